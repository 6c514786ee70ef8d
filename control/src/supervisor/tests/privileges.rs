use caps::{CapSet, Capability};

use crate::{supervisor::privileges, testing::skip};

fn holds(set: CapSet) -> Vec<String> {
    let mut names: Vec<_> = caps::read(None, set).unwrap().iter().map(ToString::to_string).collect();
    names.sort_unstable();
    names
}

/// Capabilities belong to threads, so each test has one of its own, which it may spoil.
fn on_a_thread(work: fn()) {
    std::thread::spawn(work).join().unwrap();
}

#[test]
fn the_control_thread_keeps_what_it_needs_and_takes_up_the_rest_at_the_end() {
    let all = [
        Capability::CAP_BPF,
        Capability::CAP_NET_ADMIN,
        Capability::CAP_SETPCAP,
        Capability::CAP_SYS_ADMIN,
        Capability::CAP_SYS_NICE,
    ];
    let effective = caps::read(None, CapSet::Effective).unwrap();
    if !all.iter().all(|capability| effective.contains(capability)) {
        skip("the control thread's privileges", "root");
        return;
    }
    on_a_thread(|| {
        assert_eq!(privileges::missing().unwrap_or_default(), [""; 0]);
        privileges::drop_most(false).unwrap();
        assert_eq!(privileges::effective().unwrap(), ["CAP_BPF", "CAP_NET_ADMIN"]);
        let kept = ["CAP_BPF", "CAP_NET_ADMIN", "CAP_SYS_ADMIN"];
        assert_eq!(holds(CapSet::Permitted), kept);
        assert_eq!(holds(CapSet::Bounding), kept);
        assert_eq!(privileges::missing().unwrap(), ["CAP_NET_RAW", "CAP_SYS_ADMIN"]);
        assert!(caps::raise(None, CapSet::Effective, Capability::CAP_CHOWN).is_err(), "it is gone for good");
        assert!(rustix::thread::no_new_privs().unwrap());
        privileges::take_up().unwrap();
        assert_eq!(privileges::effective().unwrap(), kept);
    });
}

#[test]
fn whoever_tends_receive_threads_may_place_them() {
    if !caps::has_cap(None, CapSet::Effective, Capability::CAP_SYS_NICE).unwrap() {
        skip("the control thread's privileges", "root");
        return;
    }
    on_a_thread(|| {
        privileges::drop_most(true).unwrap();
        assert!(privileges::effective().unwrap().contains(&"CAP_SYS_NICE".to_owned()));
    });
}

#[test]
fn a_worker_keeps_nothing_and_its_neighbours_keep_what_they_have() {
    let before = holds(CapSet::Permitted);
    on_a_thread(|| {
        privileges::drop_all().unwrap();
        for set in [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable, CapSet::Ambient] {
            assert_eq!(holds(set), [""; 0], "{set:?}");
        }
        // A second time there is nothing to give up, which is no error.
        privileges::drop_all().unwrap();
    });
    assert_eq!(holds(CapSet::Permitted), before);
}
