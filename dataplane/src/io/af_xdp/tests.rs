//! What can be tested without privileges: the pool, the state file, the objects, the settings. Sockets, programs and traffic are
//! the business of the end-to-end tests, which have network namespaces.

use std::{collections::HashSet, fs, path::PathBuf};

use libbpf_rs::ObjectBuilder;
use proptest::prelude::*;

use super::{
    AttachChoice, AttachMode, BusyPoll, InterfaceSettings, Link, NapiThreads, Role, Settings, WithoutProcess,
    ZeroCopy, genetlink,
    ioctl::Device,
    messages, napi,
    offload::{Saved, parse_rss},
    outlet::Outlet,
    own,
    pool::{CHUNK, Depot, FramePool, KEPT_CHUNKS},
    program::{self, Beside, Wanted},
};
use crate::io::blocklist;

/// A frame that can be recognised. Neither `Copy` nor `Clone`, as the real one.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Token(usize);

fn depot(frames: usize, workers: usize) -> std::sync::Arc<Depot<Token>> {
    Depot::new((0..frames).map(Token).collect(), workers)
}

#[derive(Clone, Debug)]
enum Step {
    Take {
        worker: usize,
        frames: usize,
    },
    /// The oldest frames that worker `from` has in use are given back by worker `to`.
    Give {
        from: usize,
        to: usize,
        frames: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let frames = 0..400_usize;
    let take = (0..3_usize, frames.clone()).prop_map(|(worker, frames)| Step::Take { worker, frames });
    let give =
        (0..3_usize, 0..3_usize, frames).prop_map(|(from, to, frames)| Step::Give { from, to, frames });
    prop::collection::vec(prop_oneof![take, give], 1..60)
}

proptest! {
    #[test]
    fn frames_are_conserved(frames in 1..3_000_usize, steps in steps()) {
        let depot = depot(frames, 3);
        let mut pools: Vec<_> = (0..3).map(|_| FramePool::new(depot.clone())).collect();
        let mut in_use: Vec<Vec<Token>> = vec![Vec::new(); 3].into_iter().map(|_: Vec<()>| Vec::new()).collect();
        for step in steps {
            match step {
                Step::Take { worker, frames } => {
                    let pool = &mut pools[worker];
                    in_use[worker].extend((0..frames).map_while(|_| pool.take()));
                }
                Step::Give { from, to, frames } => {
                    let count = frames.min(in_use[from].len());
                    for token in in_use[from].drain(..count) {
                        pools[to].give(token);
                    }
                }
            }
        }
        drop(pools);
        let left = depot.drain();
        let total = left.len() + in_use.iter().map(Vec::len).sum::<usize>();
        prop_assert_eq!(total, frames);
        let distinct: HashSet<Token> = left.into_iter().chain(in_use.into_iter().flatten()).collect();
        prop_assert_eq!(distinct.len(), frames);
    }
}

#[test]
fn a_surplus_reaches_the_other_worker_and_is_counted() {
    // A receives what B sends: without the depot A would run dry after the first 640 frames.
    let depot = depot(640, 2);
    let mut a = FramePool::new(depot.clone());
    let mut b = FramePool::new(depot);
    for _ in 0..100_000 {
        b.give(a.take().expect("the frames come back through the depot"));
    }
    assert!(a.refills > 1_000 && b.spills > 1_000, "{} refills, {} spills", a.refills, b.spills);
    assert_eq!((a.spills, b.refills), (0, 0));
}

#[test]
fn a_worker_that_uses_its_own_frames_leaves_the_depot_alone() {
    let depot = depot(CHUNK * KEPT_CHUNKS, 1);
    let mut pool = FramePool::new(depot);
    for _ in 0..100 {
        let frames: Vec<Token> = (0..CHUNK * KEPT_CHUNKS).map_while(|_| pool.take()).collect();
        assert_eq!(frames.len(), CHUNK * KEPT_CHUNKS);
        assert_eq!(pool.take(), None);
        frames.into_iter().for_each(|frame| pool.give(frame));
    }
    assert_eq!((pool.refills, pool.spills), (KEPT_CHUNKS as u64, 0));
}

#[test]
fn both_objects_hold_what_the_loader_looks_for() {
    for object in [program::PLAIN, program::TAGGED] {
        let object = ObjectBuilder::default().name("ravelin").unwrap().open_memory(&object.0).unwrap();
        let programs: Vec<_> = object.progs().map(|p| p.name().to_string_lossy().into_owned()).collect();
        assert_eq!(programs, ["ravelin_xdp", "ravelin_twin", "ravelin_sent", "ravelin_local"]);
        assert!(programs.iter().all(|name| name.len() <= 15 && name.starts_with(program::PREFIX)));
        let map = |name: &str| object.maps().find(|m| m.name().to_string_lossy().ends_with(name)).unwrap();
        let wanted = Wanted {
            without_socket: super::WithoutSocket::OpenTwin(7),
            max_frame: 3840,
            beside: Beside::Kernel,
        };
        let configuration = program::configuration(&link(1), &wanted);
        assert_eq!(map(".rodata").initial_value().unwrap().len(), configuration.len());
        assert_eq!(map("counters").max_entries(), program::COUNTERS);
        assert_eq!(map("sockets").max_entries(), 256);
        for (name, entries) in [
            ("blocked_v4", blocklist::CAPACITY),
            ("blocked_v6", blocklist::CAPACITY),
            ("spared_v4", blocklist::SPARED),
            ("spared_v6", blocklist::SPARED),
            ("own", own::OWN),
            ("failsafes", own::FAILSAFES),
            ("tunnels", own::TUNNELS),
        ] {
            assert_eq!(map(name).max_entries() as usize, entries, "{name}");
        }
    }
}

#[test]
fn refusals_are_told_in_the_kernels_words() {
    let told = |lines: &[&str]| {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        messages::explained("Numerical result out of range", &lines)
    };
    assert_eq!(told(&[]), "Numerical result out of range");
    let lines = [
        "libbpf: Kernel error message: Exclusivity flag on, cannot modify\n",
        "libbpf: Kernel error message: veth: Peer MTU is too large to set XDP\n",
    ];
    assert_eq!(told(&lines), "Numerical result out of range (veth: Peer MTU is too large to set XDP)");
    let log = "libbpf: prog 'ravelin_xdp': -- BEGIN PROG LOAD LOG --\n0: (b7) r0 = 0\nmetadata kfuncs require \
               device-bound program\nprocessed 0 insns\n-- END PROG LOAD LOG --\n";
    assert_eq!(told(&[log]), "Numerical result out of range (metadata kfuncs require device-bound program)");
}

/// Attributes as the kernel lays them out: length, kind, value, padding to four bytes.
fn attributes(list: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, value) in list {
        bytes.extend_from_slice(&u16::try_from(4 + value.len()).unwrap().to_ne_bytes());
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

fn message(kind: u16, content: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(16 + content.len()).unwrap().to_ne_bytes().to_vec();
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.resize(16, 0);
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

#[test]
fn the_kernels_threads_are_read_from_its_answer() {
    let napi = |list: &[(u16, &[u8])]| message(30, &[&[11, 1, 0, 0], attributes(list).as_slice()].concat());
    let threaded =
        napi(&[(1, &7_u32.to_ne_bytes()), (2, &8193_u32.to_ne_bytes()), (4, &4711_u32.to_ne_bytes())]);
    let plain = napi(&[(1, &7_u32.to_ne_bytes()), (9, b"odd")]);
    let mut found = Vec::new();
    assert!(!genetlink::read(&[threaded, plain].concat(), &mut found).unwrap(), "there is more to come");
    assert!(genetlink::read(&message(3, &[0; 4]), &mut found).unwrap());
    let pids: Vec<_> = found.iter().map(|attributes| genetlink::number(attributes, 4)).collect();
    assert_eq!(pids, [Some(4711), None]);
    // Both an error and the end of a list can say that the kernel refuses.
    for kind in [2, 3] {
        let refusal =
            genetlink::read(&message(kind, &(-libc::ENODEV).to_ne_bytes()), &mut found).unwrap_err();
        assert_eq!(refusal.raw_os_error(), Some(libc::ENODEV));
    }
    assert!(genetlink::read(&[8, 0, 0, 0, 30, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &mut found).is_err());
}

proptest! {
    #[test]
    fn any_answer_is_read_to_its_end(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0..16_u16) {
        let mut found = Vec::new();
        let _refused = genetlink::read(&bytes, &mut found);
        prop_assert!(found.iter().map(Vec::len).sum::<usize>() <= bytes.len());
        let _absent = genetlink::number(&bytes, kind);
    }
}

#[test]
fn only_the_kernels_own_threads_are_placed() {
    let own = "8 (napi/eth0-8193) S 2 0 0 0 -1 2129984 0 0";
    assert!(napi::is_napi_thread(own));
    for other in [
        own.replace("napi/", "ksoftirqd/"),
        own.replace("2129984", "4194304"), // a process with such a name
        own.replace(" 2129984 0 0", ""),
        "8 (napi/) x) S 2 0 0 0 -1 0".to_owned(),
        String::new(),
    ] {
        assert!(!napi::is_napi_thread(&other), "{other}");
    }
}

#[test]
fn receive_threads_are_wanted_where_they_help() {
    let veth =
        Link { name: "rv0".into(), index: 1, mac: [0; 6], mtu: 1500, driver: "veth".into(), queues: 1 };
    let card = Link { driver: "virtio_net".into(), ..veth.clone() };
    let auto = Settings { spare_cores: vec![0], ..settings(1) };
    assert!(napi::are_wanted(&auto, &veth, AttachMode::Native));
    assert!(!napi::are_wanted(&auto, &veth, AttachMode::Generic));
    assert!(!napi::are_wanted(&auto, &card, AttachMode::Native));
    let polling = BusyPoll { microseconds: 50, budget: 64 };
    assert!(!napi::are_wanted(
        &Settings { busy_poll: Some(polling), ..auto.clone() },
        &veth,
        AttachMode::Native
    ));
    assert!(!napi::are_wanted(&settings(1), &veth, AttachMode::Native), "every core has a worker");
    let on = Settings { napi_threads: NapiThreads::On, ..auto.clone() };
    assert!(on.check().is_ok() && napi::are_wanted(&on, &card, AttachMode::Generic));
    assert!(Settings { spare_cores: Vec::new(), ..on }.check().is_err());
    let off = Settings { napi_threads: NapiThreads::Off, ..auto };
    assert!(!napi::are_wanted(&off, &veth, AttachMode::Native));
}

#[test]
fn rss_settings_are_read_back() {
    let hash = parse_rss("1", "6d5a00ff").unwrap();
    assert_eq!((hash.transform, hash.key), (1, vec![0x6d, 0x5a, 0x00, 0xff]));
    for (transform, key) in [("x", "00"), ("0", "0"), ("0", "zz"), ("0", "ü0")] {
        assert!(parse_rss(transform, key).is_err(), "{transform} {key}");
    }
}

#[test]
fn settings_of_vanished_interfaces_are_forgotten() {
    let file = scratch("vanished");
    fs::write(&file, "# a comment\nfeature rv-none0 rx-gro\nrss rv-none0 0 6d5a\nnonsense\n").unwrap();
    let notes = Saved::open(&file).unwrap().restore().unwrap();
    assert_eq!(notes, []);
    assert!(!file.exists());
    // Without a file there is nothing to restore, which is no error.
    assert_eq!(Saved::open(&file).unwrap().restore().unwrap(), []);
}

#[test]
fn settings_of_other_interfaces_are_kept() {
    let file = scratch("kept");
    fs::write(&file, "feature rv-none0 rx-gro\nfeature rv-none1 rx-gro\n").unwrap();
    let mut saved = Saved::open(&file).unwrap();
    assert_eq!(saved.restore_interface("rv-none0"), (Vec::new(), Vec::new()));
    saved.store().unwrap();
    let mut saved = Saved::open(&file).unwrap();
    assert_eq!(saved.interfaces().into_iter().collect::<Vec<_>>(), ["rv-none1"]);
    saved.restore_interface("rv-none1");
    saved.store().unwrap();
    assert!(!file.exists());
}

#[test]
fn what_cannot_be_restored_is_told() {
    let file = scratch("told");
    fs::write(&file, "feature lo no-such-feature\nfeature lo\n").unwrap();
    let notes = Saved::open(&file).unwrap().restore().unwrap();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes.iter().all(|note| note.interface == "lo"));
}

#[test]
fn a_state_file_that_cannot_be_read_is_an_error() {
    let error = Saved::open(&std::env::temp_dir()).unwrap_err().to_string();
    assert!(error.contains("state file"), "{error}");
}

#[test]
fn the_loopback_interface_is_found() {
    assert!(Link::names().unwrap().contains(&"lo".to_owned()));
    let link = Link::find("lo").unwrap();
    assert!(link.index > 0 && link.mtu >= 1500);
    assert_eq!((link.mac, link.queues), ([0; 6], 1));
    assert!(Device::open("lo").unwrap().features().unwrap().iter().any(|feature| feature.name == "rx-gro"));
}

#[test]
fn an_outlet_tells_the_interface_that_it_was_opened_for() {
    let link = Link::find("lo").unwrap();
    let outlet = Outlet::open("lo", link.index).unwrap();
    assert!(outlet.operation().is_some());
    assert!(!outlet.is_down());
    outlet.set_down(true);
    assert!(outlet.is_down());
    // Another interface has taken the name.
    let gone = Outlet::open("lo", link.index + 1).unwrap();
    assert_eq!((gone.operation(), gone.works()), (None, false));
}

#[test]
fn names_that_cannot_be_are_refused() {
    for name in ["", "rv-none0", "a-name-that-is-too-long", "a\0b"] {
        let error = Link::find(name).unwrap_err().to_string();
        assert!(error.contains("interface"), "{error}");
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let good = settings(2);
    assert!(good.check().is_ok());
    let bad = [
        Settings { workers: 0, ..good.clone() },
        Settings { interfaces: Vec::new(), ..good.clone() },
        Settings { ring: 1000, ..good.clone() },
        Settings { ring: 32, ..good.clone() },
        Settings { frame_size: 8192, ..good.clone() },
        settings(65),
    ];
    for settings in bad {
        assert!(settings.check().is_err(), "{settings:?}");
    }
}

fn link(queues: u32) -> Link {
    Link { name: "rv0".into(), index: 1, mac: [0; 6], mtu: 1500, driver: String::new(), queues }
}

#[test]
fn memory_suffices_for_all_that_can_be_under_way() {
    let settings = settings(2);
    let frames = settings.shape(&[link(2), link(1)]).frames as usize;
    let sockets = 3 * 3 * 2048;
    let relay = 2048; // worker 1 sends to the second interface through worker 0
    let workers = 2 * (1024 + 64 + (KEPT_CHUNKS + 1) * CHUNK);
    assert!(frames >= sockets + relay + workers);
    assert!(frames < sockets + relay + workers + CHUNK);

    // Three of five workers send through the two of the others: two relays.
    let settings = Settings { workers: 5, ..settings };
    let frames = settings.shape(&[link(2)]).frames as usize;
    assert!(frames >= (3 * 2 + 2) * 2048 + 5 * (1024 + 64 + (KEPT_CHUNKS + 1) * CHUNK));
}

fn settings(interfaces: usize) -> Settings {
    let interface = |number| InterfaceSettings {
        name: format!("rv{number}"),
        attach: AttachChoice::Auto,
        without_process: WithoutProcess::Closed,
        role: Role::Whole,
    };
    Settings {
        interfaces: (0..interfaces).map(interface).collect(),
        workers: 2,
        batch: 64,
        handoff: 1024,
        ring: 2048,
        frame_size: 4096,
        huge_pages: false,
        zero_copy: ZeroCopy::Auto,
        busy_poll: None,
        napi_threads: NapiThreads::Auto,
        spare_cores: Vec::new(),
        state_file: scratch("state"),
    }
}

fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("ravelin-af-xdp-{}-{name}", std::process::id()))
}
