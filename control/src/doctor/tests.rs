//! Facts in, findings out; and the parsers of what the kernel writes.

use std::path::PathBuf;

use ravelin_config::{InterfaceMode, IoMode};

use super::{Finding, Level, disk, interface, kernel, memory, network, process, processors, system};
use crate::{
    api::view::LinkState,
    supervisor::ports::{Abilities, PortsError, Runs, Survey},
};

const GIB: u64 = 1 << 30;

/// How a check came out. Whatever is not well says what is wanted and how to get there.
fn level(findings: &[Finding], check: &str) -> Option<Level> {
    for finding in findings {
        let Finding { level, found, wanted, change, .. } = finding;
        assert!(!found.is_empty());
        assert_eq!(*level == Level::Ok, wanted.is_none() && change.is_none(), "{finding:?}");
    }
    findings.iter().filter(|finding| finding.check == check).map(|finding| finding.level).max()
}

fn kernel() -> kernel::Facts {
    kernel::Facts {
        release: "6.1.0-28-amd64".into(),
        sockets: true,
        bpf: true,
        types: true,
        compiler: Some(1),
    }
}

#[test]
fn a_kernel_needs_sockets_programs_and_an_age() {
    let judge = |change: fn(&mut kernel::Facts), check| {
        let mut facts = kernel();
        change(&mut facts);
        level(&kernel::judge(&facts), check)
    };
    for check in ["version", "af-xdp", "bpf", "btf", "bpf-jit"] {
        assert_eq!(judge(|_| (), check), Some(Level::Ok), "{check}");
    }
    assert_eq!(judge(|facts| facts.release = "5.10.0".into(), "version"), Some(Level::Ok));
    assert_eq!(judge(|facts| facts.release = "5.9.16-arch1".into(), "version"), Some(Level::Problem));
    assert_eq!(judge(|facts| facts.release = "nonsense".into(), "version"), None);
    assert_eq!(judge(|facts| facts.sockets = false, "af-xdp"), Some(Level::Problem));
    assert_eq!(judge(|facts| facts.bpf = false, "bpf"), Some(Level::Problem));
    assert_eq!(judge(|facts| facts.types = false, "btf"), Some(Level::Advice));
    assert_eq!(judge(|facts| facts.compiler = Some(0), "bpf-jit"), Some(Level::Advice));
    assert_eq!(judge(|facts| facts.compiler = None, "bpf-jit"), None);
}

#[test]
fn a_process_needs_capabilities_and_memory_that_it_may_lock() {
    let facts = |refusal, limit, exempt| process::Facts { refusal, limit, exempt, needed: Some(GIB) };
    let missing = PortsError::Privileges(vec!["CAP_BPF".into()]);
    let findings = process::judge(&facts(Some(missing), Some(8 << 20), false));
    assert_eq!(level(&findings, "capabilities"), Some(Level::Problem));
    assert!(findings[0].found.contains("CAP_BPF"));
    assert_eq!(level(&findings, "memlock"), Some(Level::Problem));
    for (limit, exempt) in [(Some(8 << 20), true), (Some(GIB), false), (None, false)] {
        let findings = process::judge(&facts(None, limit, exempt));
        assert_eq!(level(&findings, "capabilities"), Some(Level::Ok));
        assert_eq!(level(&findings, "memlock"), Some(Level::Ok), "{limit:?} {exempt}");
    }
    let findings = process::judge(&facts(Some(PortsError::NotBuilt), None, false));
    assert_eq!(level(&findings, "built"), Some(Level::Problem));
}

#[test]
fn workers_want_cores_of_their_own_and_a_fast_clock() {
    let judge = |workers: &[usize], allowed: &[usize], isolated: &[usize], governor: &str, clock: &str| {
        let findings = processors::judge(&processors::Facts {
            workers: workers.to_vec(),
            allowed: allowed.to_vec(),
            online: vec![0, 1, 2, 3],
            isolated: isolated.to_vec(),
            governors: workers.iter().map(|core| (*core, governor.to_owned())).collect(),
            clock: Some(clock.to_owned()),
        });
        ["cores", "spare-core", "isolated", "governor", "clock"].map(|check| level(&findings, check).unwrap())
    };
    use Level::{Advice, Ok, Problem};
    assert_eq!(judge(&[3], &[0, 1, 2], &[3], "performance", "tsc"), [Ok; 5]);
    assert_eq!(judge(&[0, 1], &[0, 1], &[], "powersave", "hpet"), [Ok, Advice, Advice, Advice, Advice]);
    // Neither allowed nor isolated; and one that is not there.
    for core in [3, 4] {
        assert_eq!(judge(&[core], &[0, 1], &[4], "performance", "tsc")[0], Problem, "core {core}");
    }
}

#[test]
fn memory_must_be_there_before_ravelin_has_it() {
    let judge = |available, is_running, huge_pages| {
        memory::judge(&memory::Facts {
            needs: vec![("packets", GIB), ("flows", GIB), ("capture ring", 0)],
            available: Some(available),
            huge_pages,
            is_running,
        })
    };
    let findings = judge(2 * GIB - 1, false, 0);
    assert_eq!(level(&findings, "memory"), Some(Level::Problem));
    assert_eq!(findings[0].wanted.as_deref(), Some("2.0 GiB: 1.0 GiB for packets, 1.0 GiB for flows"));
    assert_eq!(level(&judge(2 * GIB, false, 0), "memory"), Some(Level::Ok));
    assert_eq!(level(&judge(0, true, 0), "memory"), Some(Level::Ok));
    assert_eq!(level(&judge(0, true, 0), "huge-pages"), None);
    assert_eq!(level(&judge(0, true, GIB), "huge-pages"), Some(Level::Advice));
}

#[test]
fn a_router_has_the_kernel_beside_it() {
    let judge = |routed: &[&str], forwarding| {
        network::judge(&network::Facts {
            routed: routed.iter().map(|name| (*name).to_owned()).collect(),
            forwarding: vec![("net.ipv4.ip_forward", forwarding)],
        })
    };
    assert_eq!(judge(&[], 0), []);
    assert_eq!(level(&judge(&["eth0"], 1), "forwarding"), Some(Level::Ok));
    assert_eq!(level(&judge(&["eth0"], 0), "forwarding"), Some(Level::Problem));
}

#[test]
fn captures_want_the_room_that_they_are_given() {
    let judge = |free, used, is_wanted| {
        let facts = disk::Facts {
            directory: PathBuf::from("/captures"),
            free: Some(free),
            used,
            budget: 10 * GIB,
            min_free: GIB,
            is_wanted,
        };
        level(&disk::judge(&facts), "captures")
    };
    assert_eq!(judge(11 * GIB, 0, true), Some(Level::Ok));
    assert_eq!(judge(3 * GIB, 8 * GIB, true), Some(Level::Ok), "what captures have already is theirs");
    assert_eq!(judge(3 * GIB, 0, true), Some(Level::Advice));
    assert_eq!(judge(GIB - 1, 10 * GIB, true), Some(Level::Problem));
    assert_eq!(judge(GIB - 1, 10 * GIB, false), Some(Level::Advice), "somebody may want one some day");
}

/// An interface that nothing is to be said against.
fn interface() -> interface::Facts {
    interface::Facts {
        name: "eth0".into(),
        survey: Ok(Survey {
            index: 2,
            driver: "virtio_net".into(),
            state: LinkState::Up,
            queues: 2,
            mtu: 1500,
            abilities: Some(Abilities { native: true, zero_copy: false }),
            program: None,
            filters: Vec::new(),
            offloads: vec![("rx-gro".into(), true)],
            symmetric: Ok(true),
        }),
        mode: Some(InterfaceMode::Bridge),
        io_mode: IoMode::Auto,
        workers: 2,
        max_frame: Some(1792),
        routes: Vec::new(),
        deferred: Some([2, 200_000]),
    }
}

/// How a check comes out when an interface is otherwise.
fn with(check: &str, change: impl FnOnce(&mut interface::Facts)) -> Option<Level> {
    let mut facts = interface();
    change(&mut facts);
    level(&interface::judge(&facts), check)
}

/// The same, for what is found on the interface itself.
fn surveyed(check: &str, change: impl FnOnce(&mut Survey)) -> Option<Level> {
    with(check, |facts| change(facts.survey.as_mut().unwrap()))
}

fn runs(name: &str, mode: &'static str) -> Option<Runs> {
    Some(Runs { name: name.into(), mode, is_ours: name.starts_with("ravelin_") })
}

#[test]
fn an_interface_that_is_fit_is_told_so() {
    let findings = interface::judge(&interface());
    assert!(findings.iter().all(|finding| finding.level == Level::Ok), "{findings:#?}");
    let checks: Vec<_> = findings.iter().map(|finding| finding.check).collect();
    assert_eq!(checks, ["link", "xdp", "host", "mtu", "queues", "rss", "offload", "busy-poll"]);
    assert_eq!(
        with("there", |facts| facts.survey = Err(PortsError::Refused("no".into()))),
        Some(Level::Problem)
    );
    let mut facts = interface();
    facts.survey = Err(PortsError::NotBuilt);
    assert_eq!(interface::judge(&facts), [], "the process is told so, once");
}

#[test]
fn an_interface_has_room_for_one_program() {
    assert_eq!(surveyed("xdp", |survey| survey.program = runs("ravelin_xdp", "native")), Some(Level::Ok));
    assert_eq!(
        surveyed("xdp", |survey| survey.program = runs("ravelin_xdp", "generic")),
        Some(Level::Advice)
    );
    for foreign in ["cil_xdp_entry", ""] {
        assert_eq!(surveyed("xdp", |survey| survey.program = runs(foreign, "native")), Some(Level::Problem));
    }
    assert_eq!(surveyed("tc", |survey| survey.filters = vec!["cil_from_netdev".into()]), Some(Level::Advice));
}

#[test]
fn a_driver_that_cannot_is_named_and_one_that_is_silent_is_not_blamed() {
    let cannot = Some(Abilities { native: false, zero_copy: false });
    assert_eq!(surveyed("xdp", |survey| survey.abilities = cannot), Some(Level::Advice));
    assert_eq!(surveyed("xdp", |survey| survey.abilities = None), Some(Level::Advice));
    let mode = |mode| {
        with("xdp", |facts| {
            facts.io_mode = mode;
            facts.survey.as_mut().unwrap().abilities = cannot;
        })
    };
    assert_eq!(mode(IoMode::Native), Some(Level::Problem));
    assert_eq!(mode(IoMode::Generic), Some(Level::Ok), "nobody asks it to");
}

#[test]
fn what_would_be_locked_out_is_told_before() {
    let routes = |facts: &mut interface::Facts| facts.routes = vec!["0.0.0.0/0".into()];
    assert_eq!(with("host", routes), Some(Level::Problem));
    let mut facts = interface();
    routes(&mut facts);
    facts.mode = None;
    assert_eq!(level(&interface::judge(&facts), "host"), None, "nobody wants to take it over");
}

#[test]
fn packets_queues_and_offloads_must_fit() {
    // 1792 bytes less an Ethernet header.
    assert_eq!(surveyed("mtu", |survey| survey.mtu = 1778), Some(Level::Ok));
    assert_eq!(surveyed("mtu", |survey| survey.mtu = 1779), Some(Level::Problem));
    assert_eq!(surveyed("queues", |survey| survey.queues = 1), Some(Level::Advice));
    assert_eq!(surveyed("link", |survey| survey.state = LinkState::Down), Some(Level::Advice));
    assert_eq!(surveyed("link", |survey| survey.state = LinkState::NoCarrier), Some(Level::Advice));
    assert_eq!(
        surveyed("offload", |survey| survey.offloads = vec![("rx-lro".into(), false)]),
        Some(Level::Advice)
    );
    assert_eq!(
        surveyed("offload", |survey| survey.program = runs("ravelin_xdp", "native")),
        Some(Level::Advice)
    );
    assert_eq!(with("busy-poll", |facts| facts.deferred = Some([0, 200_000])), Some(Level::Advice));
}

#[test]
fn flows_want_both_directions_in_one_queue() {
    assert_eq!(
        surveyed("rss", |survey| survey.symmetric = Ok(false)),
        Some(Level::Ok),
        "start tries to change it"
    );
    let after = |survey: &mut Survey| {
        survey.symmetric = Ok(false);
        survey.program = runs("ravelin_xdp", "native");
    };
    assert_eq!(surveyed("rss", after), Some(Level::Advice));
    assert_eq!(surveyed("rss", |survey| survey.symmetric = Err("no".into())), Some(Level::Advice));
    assert_eq!(surveyed("rss", |survey| survey.queues = 1), None);
    assert_eq!(with("rss", |facts| facts.workers = 1), None);
}

#[test]
fn what_the_kernel_writes_is_understood() {
    assert_eq!(system::list("0-2,8"), [0, 1, 2, 8]);
    assert_eq!(system::list(""), [0_usize; 0]);
    assert_eq!(system::kilobytes("MemFree: 1 kB\nMemAvailable:  2048 kB\n", "MemAvailable"), Some(2 << 20));
    assert_eq!(system::kilobytes("MemFree: 1 kB\n", "MemAvailable"), None);
    assert_eq!(
        [system::bytes(512 << 10), system::bytes(96 << 20), system::bytes(3 * GIB / 2)],
        ["512.0 KiB", "96.0 MiB", "1.5 GiB"]
    );

    let number = u32::from_ne_bytes([10, 9, 0, 0]);
    let mask = u32::from_ne_bytes([255, 255, 255, 0]);
    let line = format!("eth0\t{number:08X}\t00000000\t0001\t0\t0\t0\t{mask:08X}\t0\t0\t0");
    assert_eq!(interface::route_v4(&line, "eth0").as_deref(), Some("10.9.0.0/24"));
    assert_eq!(interface::route_v4(&line, "eth1"), None);
    assert_eq!(interface::route_v4("Iface\tDestination\tGateway", "Iface"), None);
    let v6 = |destination: &str| {
        let zero = "0".repeat(32);
        let line = format!("{destination} 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001     eth0");
        interface::route_v6(&line, "eth0")
    };
    assert_eq!(v6("fd090000000000000000000000000000").as_deref(), Some("fd09::/64"));
    assert_eq!(v6("fe800000000000000000000000000000"), None, "every interface has it");
    assert_eq!(v6("ff000000000000000000000000000000"), None);
}
