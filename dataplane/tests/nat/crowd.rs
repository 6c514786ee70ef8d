//! Many ends at once, and more than one worker.

use super::*;

#[test]
fn sixty_thousand_have_a_port_of_one_address() {
    let mut test = Test::translating(plan(1024..=u16::MAX), 1, 1 << 17);
    let mut seen = HashSet::new();
    for number in 0..60_000_u32 {
        let source = Endpoint {
            address: self::number("10.0.0.0") + 2 + number % 200,
            port: 1000 + (number / 200) as u16,
        };
        let left = test.receive(INSIDE, &udp(source, end(SERVER, 9)));
        let known = read(&left[0].1).source;
        assert!(known.port >= 1024 && seen.insert(known.port), "{known:?} is somebody else");
    }
    assert_eq!(test.counters().nat_mappings, 60_000);
}

/// What a test of many packets does.
#[derive(Clone, Debug)]
enum Step {
    /// Somebody inside sends to somebody outside.
    Out { host: u8, port: u16, to: u8 },
    /// Somebody outside answers the packet that left before as many others.
    Back { ago: usize },
    /// Somebody outside sends to the published service, which answers.
    Ask { from: u16 },
    /// Somebody outside sends to a port for no reason.
    Stray { port: u16 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..6_u8, 3000..3020_u16, 0..4_u8).prop_map(|(host, port, to)| Step::Out { host, port, to }),
        4 => (0..20_usize).prop_map(|ago| Step::Back { ago }),
        1 => (4000..4100_u16).prop_map(|from| Step::Ask { from }),
        1 => (3000..3020_u16).prop_map(|port| Step::Stray { port }),
    ];
    prop::collection::vec(step, 1..200)
}

proptest! {
    /// Whichever worker receives a packet, and whoever sends: an inside end has one name outside and nobody else has it, answers find back, no
    /// packet is lost, and no flow is opened twice.
    #[test]
    fn names_are_one_to_one_whichever_worker_receives(workers in 1..4_u8, steps in steps(), arrivals in any::<u64>()) {
        let mut test = Test::translating(plan(1024..=u16::MAX), workers, 4096);
        let mut names: HashMap<Endpoint, Endpoint> = HashMap::new();
        let mut left: Vec<(Endpoint, Seen)> = Vec::new();
        let mut flows = HashSet::new();
        let mut strays = 0;
        for (at, step) in steps.iter().enumerate() {
            let worker = (arrivals.rotate_left(at as u32) % u64::from(workers)) as usize;
            let mut send = |port: u8, packet: &[u8]| {
                test.0.push(worker, port, at as u64, packet);
                test.0.settle();
                let sent = test.0.sent();
                assert_eq!(sent.len(), 1, "{step:?}");
                (sent[0].0, read(&sent[0].1))
            };
            match *step {
                Step::Out { host, port, to } => {
                    let source = Endpoint { address: number(CROWD) + u32::from(host), port };
                    let target = Endpoint { address: number("192.0.2.1") + u32::from(to), port: 53 };
                    let (exit, seen) = send(INSIDE, &udp(source, target));
                    prop_assert_eq!((exit, seen.destination), (PortId(OUTSIDE), target));
                    let known = *names.entry(source).or_insert(seen.source);
                    prop_assert_eq!(known, seen.source, "{:?} has another name", source);
                    flows.insert((source, target));
                    left.push((source, seen));
                }
                Step::Back { ago } => {
                    let Some((source, seen)) = left.iter().rev().nth(ago).cloned() else { continue };
                    let (exit, back) = send(OUTSIDE, &udp(seen.destination, seen.source));
                    prop_assert_eq!((exit, back.destination, back.source), (PortId(INSIDE), source, seen.destination));
                }
                Step::Ask { from } => {
                    let stranger = end("192.0.2.99", from);
                    let (exit, seen) = send(OUTSIDE, &udp(stranger, end(GATEWAY, 53)));
                    prop_assert_eq!((exit, seen.destination), (PortId(INSIDE), end(NEIGHBOUR, 53)));
                    let (exit, seen) = send(INSIDE, &udp(end(NEIGHBOUR, 53), stranger));
                    prop_assert_eq!((exit, seen.source), (PortId(OUTSIDE), end(GATEWAY, 53)));
                    flows.insert((stranger, end(NEIGHBOUR, 53)));
                }
                Step::Stray { port } => {
                    let (exit, seen) = send(OUTSIDE, &udp(end("192.0.2.200", 1), end(GATEWAY, port)));
                    prop_assert_eq!((exit, seen.destination), (HOST, end(GATEWAY, port)));
                    flows.insert((end("192.0.2.200", 1), end(GATEWAY, port)));
                    strays += 1;
                }
            }
        }
        let distinct: HashSet<_> = names.values().collect();
        prop_assert_eq!(distinct.len(), names.len());
        let counters = test.counters();
        prop_assert_eq!(counters.flows_created as usize, flows.len());
        prop_assert_eq!(counters.nat_mappings as usize, names.len());
        prop_assert_eq!((counters.local, counters.drops.total()), (strays, 0));
    }
}

#[test]
fn hairpin_finds_both_mappings_on_two_workers() {
    for worker in 0..2 {
        // Inside ports of different workers.
        for (a, b) in [(6000, 6064), (6064, 6000), (6000, 6000)] {
            let mut test = Test::translating(plan(1024..=u16::MAX), 2, 1024);
            let mut send = |packet: &[u8]| {
                test.0.push(worker, INSIDE, 1, packet);
                test.0.settle();
                let sent = test.0.sent();
                assert_eq!(sent.len(), 1);
                read(&sent[0].1)
            };
            let known_a = send(&udp(end(CLIENT, a), end(SERVER, 1))).source;
            let known_b = send(&udp(end(NEIGHBOUR, b), end(SERVER, 1))).source;
            for _ in 0..2 {
                let to = send(&udp(end(CLIENT, a), known_b));
                assert_eq!(to, Seen { source: known_a, destination: end(NEIGHBOUR, b) });
                let back = send(&udp(end(NEIGHBOUR, b), known_a));
                assert_eq!(back, Seen { source: known_b, destination: end(CLIENT, a) });
            }
            let to = send(&tcp(end(CLIENT, a), end(GATEWAY, 443), true));
            assert_eq!(to.destination, end(NEIGHBOUR, 8443));
            let back = send(&tcp(end(NEIGHBOUR, 8443), to.source, false));
            assert_eq!(back, Seen { source: end(GATEWAY, 443), destination: end(CLIENT, a) });
            assert_eq!(test.counters().flows_created, 4);
        }
    }
}
