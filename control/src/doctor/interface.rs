//! An interface: whether it is fit to be taken over, and what would be lost with it.

use std::net::{Ipv4Addr, Ipv6Addr};

use ravelin_config::{Config, Interface, InterfaceMode, IoMode};

use super::{Finding, system};
use crate::{
    api::view::LinkState,
    supervisor::ports::{self, Abilities, PortsError, Runs, Survey},
};

/// Bytes of an Ethernet header.
const ETHERNET: u32 = 14;

pub(super) struct Facts {
    /// Its name.
    pub name: String,
    /// What it is like, or why it cannot be asked.
    pub survey: Result<Survey, PortsError>,
    /// What it is configured for, if it is.
    pub mode: Option<InterfaceMode>,
    /// Where the XDP program is to run.
    pub io_mode: IoMode,
    /// How many workers there are.
    pub workers: usize,
    /// Bytes of the largest frame that fits into the packet memory.
    pub max_frame: Option<u32>,
    /// The kernel's own routes that leave by it.
    pub routes: Vec<String>,
    /// With `[io] busy_poll`: whether the kernel leaves the card to those who poll (`napi_defer_hard_irqs`,
    /// `gro_flush_timeout`), as far as can be seen.
    pub deferred: Option<[u64; 2]>,
}

impl Facts {
    pub(super) fn read(config: &Config, name: &str, workers: usize, max_frame: Option<u32>) -> Self {
        let configured = |interface: &&Interface| interface.name.as_str() == name;
        let survey = ports::survey(name);
        let deferred = survey.as_ref().ok().filter(|_| !config.io.busy_poll.is_zero());
        Self {
            mode: config.interfaces.iter().find(configured).map(|interface| interface.mode),
            io_mode: config.io.mode,
            deferred: deferred.and_then(|survey| deferred_interrupts(name, survey.index)),
            routes: routes(name),
            name: name.to_owned(),
            survey,
            workers,
            max_frame,
        }
    }
}

/// sysfs shows the network namespace of whoever mounted it, so the interface there must be ours by number.
fn deferred_interrupts(name: &str, index: u32) -> Option<[u64; 2]> {
    let number = |file: &str| system::number(&format!("/sys/class/net/{name}/{file}"));
    let is_ours = number("ifindex") == Some(index.into());
    let [interrupts, timeout] = ["napi_defer_hard_irqs", "gro_flush_timeout"].map(number);
    Some([interrupts.filter(|_| is_ours)?, timeout?])
}

/// The destinations of the kernel's routes over an interface, without those that every interface has by itself.
fn routes(name: &str) -> Vec<String> {
    let table = |file: &str| system::text(&format!("/proc/thread-self/net/{file}")).unwrap_or_default();
    let (v4, v6) = (table("route"), table("ipv6_route"));
    let v4 = v4.lines().filter_map(|line| route_v4(line, name));
    v4.chain(v6.lines().filter_map(|line| route_v6(line, name))).collect()
}

/// `eth0 0000090A 00000000 0001 0 0 0 00FFFFFF 0 0 0`: addresses are numbers of this machine.
pub(super) fn route_v4(line: &str, name: &str) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |word: usize| u32::from_str_radix(words.get(word)?, 16).ok();
    let (destination, mask) = (number(1)?, number(7)?);
    (*words.first()? == name)
        .then(|| format!("{}/{}", Ipv4Addr::from(destination.to_ne_bytes()), mask.count_ones()))
}

/// `fd090000000000000000000000000000 40 0000... 00 0000... 00000100 00000001 00000000 00000001 eth0`
pub(super) fn route_v6(line: &str, name: &str) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let destination = Ipv6Addr::from(u128::from_str_radix(words.first()?, 16).ok()?);
    let length = u8::from_str_radix(words.get(1)?, 16).ok()?;
    let is_everywhere = destination.is_unicast_link_local() || destination.is_multicast();
    (*words.last()? == name && !is_everywhere).then(|| format!("{destination}/{length}"))
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let survey = match &facts.survey {
        Ok(survey) => survey,
        // The section about the process says so, once.
        Err(PortsError::NotBuilt) => return Vec::new(),
        Err(error) => {
            return vec![Finding::problem("there", error, "an interface of this name", "ip link")];
        }
    };
    let mut findings = vec![link(facts, survey), driver(facts, survey)];
    findings.extend(reachable(facts));
    findings.extend(mtu(facts, survey));
    findings.push(queues(facts, survey));
    findings.extend(spread(facts, survey));
    findings
        .extend(survey.offloads.iter().map(|(name, changeable)| offload(facts, survey, name, *changeable)));
    if !survey.filters.is_empty() {
        findings.push(Finding::advice(
            "tc",
            format_args!("tc runs {}", survey.filters.join(", ")),
            "no other filters: what Ravelin takes does not come to them",
            format_args!("tc filter show dev {0} ingress; tc filter show dev {0} egress", facts.name),
        ));
    }
    findings.extend(facts.deferred.map(|deferred| busy_poll(facts, deferred)));
    findings
}

fn link(facts: &Facts, survey: &Survey) -> Finding {
    let name = &facts.name;
    match survey.state {
        LinkState::Up | LinkState::Detached => Finding::ok("link", "up"),
        LinkState::NoCarrier => Finding::advice(
            "link",
            "no carrier",
            "a link",
            format_args!("look at the cable, or at the other end of {name}"),
        ),
        LinkState::Down | LinkState::Gone => {
            Finding::advice("link", "down", "up", format_args!("ip link set dev {name} up"))
        }
    }
}

/// Where the XDP program runs, or would.
fn driver(facts: &Facts, survey: &Survey) -> Finding {
    let name = &facts.name;
    let driver = if survey.driver.is_empty() { "a driver without a name" } else { &survey.driver };
    let slow = "native mode, which spares the kernel's work on every frame";
    match (&survey.program, survey.abilities, facts.io_mode) {
        (Some(Runs { name: program, mode, is_ours: false }), _, _) => {
            let program = if program.is_empty() {
                "somebody's XDP program".to_owned()
            } else {
                format!("the XDP program `{program}`")
            };
            let flag = if *mode == "generic" { "xdpgeneric" } else { "xdp" };
            Finding::problem(
                "xdp",
                format_args!("{program} runs here, and it is not known to be Ravelin's"),
                "none: an interface has room for one, and Ravelin replaces nobody's",
                format_args!("stop who attached it, or ip link set dev {name} {flag} off"),
            )
        }
        (Some(Runs { mode: "native", .. }), ..) => {
            Finding::ok("xdp", format_args!("{driver}: Ravelin's program runs in the driver"))
        }
        (Some(_), _, IoMode::Generic) | (None, _, IoMode::Generic) => {
            Finding::ok("xdp", format_args!("{driver}: generic mode, as [io] mode says"))
        }
        (Some(_), _, IoMode::Auto | IoMode::Native) => Finding::advice(
            "xdp",
            format_args!("{driver}: Ravelin's program runs in the kernel's generic code"),
            slow,
            "ravelin show interfaces says why it does not",
        ),
        (None, None, _) => Finding::advice(
            "xdp",
            format_args!("{driver}: this kernel does not say whether the driver runs XDP programs itself"),
            slow,
            "start ravelin, which tries; ravelin show interfaces says what came of it",
        ),
        (None, Some(Abilities { native: true, zero_copy }), _) => {
            let copies = if zero_copy { "without copies" } else { "packets are copied" };
            Finding::ok("xdp", format_args!("{driver} runs XDP programs itself, {copies}"))
        }
        (None, Some(Abilities { native: false, .. }), IoMode::Auto) => Finding::advice(
            "xdp",
            format_args!(
                "{driver} does not run XDP programs itself as it is now; the kernel's generic code will"
            ),
            slow,
            "another driver, or its own settings: its documentation says what switches XDP off",
        ),
        (None, Some(Abilities { native: false, .. }), IoMode::Native) => Finding::problem(
            "xdp",
            format_args!(
                "{driver} does not run XDP programs itself as it is now, and [io] mode = \"native\""
            ),
            "a driver that does",
            "[io] mode = \"auto\"",
        ),
    }
}

/// What this machine itself sends and receives through an interface that is a port of a bridge ends when it is taken over.
fn reachable(facts: &Facts) -> Option<Finding> {
    let what = match facts.mode? {
        InterfaceMode::Bridge => "what comes in goes on to the other port of the bridge",
        // The kernel keeps its part of it.
        InterfaceMode::Route => return None,
        InterfaceMode::Monitor => "what comes in ends with Ravelin",
    };
    if facts.routes.is_empty() {
        return Some(Finding::ok("host", "this machine has no routes over it that would be lost"));
    }
    let shown: Vec<&str> = facts.routes.iter().take(3).map(String::as_str).collect();
    let more = if facts.routes.len() > shown.len() { " and more" } else { "" };
    Some(Finding::problem(
        "host",
        format_args!("this machine has routes over it: {}{more}", shown.join(", ")),
        format_args!("none: {what}, so that this machine cannot be reached here, not by SSH either"),
        format_args!(
            "move its addresses to an interface that Ravelin leaves alone, then ip address flush dev {}",
            facts.name
        ),
    ))
}

fn mtu(facts: &Facts, survey: &Survey) -> Option<Finding> {
    let largest = facts.max_frame?.saturating_sub(ETHERNET);
    let mtu = survey.mtu;
    Some(if mtu <= largest {
        Finding::ok("mtu", format_args!("MTU {mtu}; packets of up to {largest} bytes fit"))
    } else {
        Finding::problem(
            "mtu",
            format_args!("MTU {mtu}: what is larger than {largest} bytes is dropped (xdp_oversized_packets)"),
            format_args!("at most {largest}, or [io] frame_size = 4096 where it is 2048"),
            format_args!("ip link set dev {} mtu {largest}, at its neighbours too", facts.name),
        )
    })
}

fn queues(facts: &Facts, survey: &Survey) -> Finding {
    let (queues, workers) = (survey.queues as usize, facts.workers);
    let found = format!("receive queues in use: {queues}, workers: {workers}");
    if queues >= workers {
        return Finding::ok("queues", found);
    }
    let change = if survey.driver == "veth" {
        format!(
            "make the pair anew: ip link add ... numrxqueues {workers} type veth peer ... numrxqueues {workers}"
        )
    } else {
        format!("ethtool -L {} combined {workers}, or fewer cores in [workers] cores", facts.name)
    };
    Finding::advice(
        "queues",
        found,
        "one for each worker; those without only get what others hand over",
        change,
    )
}

fn spread(facts: &Facts, survey: &Survey) -> Option<Finding> {
    if survey.queues < 2 || facts.workers < 2 {
        return None;
    }
    let is_taken = survey.program.as_ref().is_some_and(|program| program.is_ours);
    let (wanted, change) = (
        "both directions of a flow in one queue: else workers hand packets to one another",
        "a card whose driver lets its hash be set, or one worker",
    );
    Some(match &survey.symmetric {
        Ok(true) => Finding::ok("rss", "both directions of a flow come to the same queue"),
        Ok(false) if !is_taken => Finding::ok(
            "rss",
            "the directions of a flow come to queues of their own, which is tried to be changed at start",
        ),
        Ok(false) => Finding::advice(
            "rss",
            "the directions of a flow come to queues of their own, although ravelin runs",
            wanted,
            change,
        ),
        Err(why) => Finding::advice(
            "rss",
            format_args!("how flows are spread over queues cannot be set: {why}"),
            wanted,
            change,
        ),
    })
}

fn offload(facts: &Facts, survey: &Survey, offload: &str, changeable: bool) -> Finding {
    let is_taken = survey.program.as_ref().is_some_and(|program| program.is_ours);
    let wanted = "off: it changes frames before the XDP program sees them";
    match (changeable, is_taken) {
        (true, false) => Finding::ok(
            "offload",
            format_args!("{offload} is on; it is switched off at start, and on again at the end"),
        ),
        (true, true) => Finding::advice(
            "offload",
            format_args!("{offload} is on, although Ravelin's program is there"),
            wanted,
            format_args!("ethtool -K {} {offload} off", facts.name),
        ),
        (false, _) => Finding::advice(
            "offload",
            format_args!("{offload} is on, and the driver does not let it be switched off"),
            wanted,
            "another driver, or [io] mode = \"generic\"",
        ),
    }
}

fn busy_poll(facts: &Facts, [interrupts, timeout]: [u64; 2]) -> Finding {
    let name = &facts.name;
    let found = format!("napi_defer_hard_irqs {interrupts}, gro_flush_timeout {timeout}");
    if interrupts > 0 && timeout > 0 {
        return Finding::ok("busy-poll", found);
    }
    Finding::advice(
        "busy-poll",
        found,
        "both above zero: else the card interrupts although a worker polls it",
        format_args!(
            "cd /sys/class/net/{name} && echo 2 > napi_defer_hard_irqs && echo 200000 > gro_flush_timeout"
        ),
    )
}
