use super::{
    capture::{Capture, arp, connection, fragments, ping, tcp, udp, unreachable},
    lines, replay,
};

/// Random numbers that are the same in every run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Traffic of all kinds, with broken packets and times that go back. `gap` is the longest usual time between packets, in
/// microseconds; `silences` are the chances in ten thousand of one in which flows expire.
fn traffic(packets: u64, gap: u64, silences: u64) -> Capture {
    let mut random = Random(0x5eed);
    let mut capture = Capture::new();
    let mut now = 0;
    for number in 0..packets {
        now += match random.below(10_000) {
            chance if chance < silences => 40_000_000,
            chance if chance < 2 * silences => 1_000_000,
            _ => random.below(gap),
        };
        let client = format!("10.0.{}.{}", random.below(4), random.below(200) + 1);
        let server = format!("192.0.2.{}", random.below(5) + 1);
        let port = 1_024 + random.below(300) as u16;
        let (client, server) = ((client.as_str(), port), (server.as_str(), 80));
        let time = now - if random.below(50) == 0 { now.min(700) } else { 0 };
        let packet = match random.below(12) {
            0 => tcp(client, server, "S", (1, 0), 0),
            1 => tcp(server, client, "SA", (9, 2), 0),
            2 => tcp(client, server, "PA", (2, 10), 33),
            3 => tcp(client, server, "RA", (3, 10), 0),
            4 => ping(client.0, server.0, random.below(2) == 0, port),
            5 => udp(&[7], client, server, 10),
            6 => unreachable(server.0, client.0, &udp(&[], client, server, 10)),
            7 => arp(),
            8 => udp(&[], client, server, 10)[..30].to_vec(),
            9 if number % 7 == 0 => {
                connection(&mut capture, time, client, server);
                continue;
            }
            9 => {
                let whole = udp(&[], client, server, 2_000);
                for fragment in fragments(&whole, 800, port).iter().rev().skip(random.below(2) as usize).rev()
                {
                    capture.add(time, fragment);
                }
                continue;
            }
            _ => udp(&[], client, server, random.below(1_000) as usize),
        };
        capture.add(time, &packet);
    }
    capture
}

const CONFIG: &str = r#"
[flow]
capacity = 16384

[[endpoint]]
name = "some"
addresses = ["10.0.1.0/24"]
"#;

/// Replays with batches of several sizes; the records, their order and the sums must be the same.
fn check(capture: &Capture, config: &str) -> String {
    let mut runs = [64, 1, 7, 256].map(|batch| {
        let (summary, records) = replay(capture.bytes(), config, |replay| replay.batch = Some(batch));
        assert_eq!(
            summary.packets,
            summary.forwarded + summary.consumed + summary.dropped(),
            "batch {batch}"
        );
        (
            batch,
            (summary.forwarded, summary.drops, summary.flows, summary.untracked, summary.malformed),
            records,
        )
    });
    let [(_, summary, records), others @ ..] = &mut runs;
    for (batch, other_summary, other_records) in others {
        assert_eq!(summary, other_summary, "batch {batch}");
        let differs = records.lines().zip(other_records.lines()).find(|(a, b)| a != b);
        assert_eq!(differs, None, "batch {batch}");
        assert_eq!(records.len(), other_records.len(), "batch {batch}");
    }
    std::mem::take(records)
}

#[test]
fn records_do_not_depend_on_the_size_of_batches() {
    let records = lines(&check(&traffic(8_000, 3_000, 100), CONFIG));
    assert!(records.len() > 3_000, "{}", records.len());
    for reason in ["timeout", "shutdown"] {
        assert!(records.iter().any(|record| record["flow"]["reason"] == reason), "{reason}");
    }
    for verdict in ["allow", "deny"] {
        assert!(records.iter().any(|record| record["ravelin"]["verdict"] == verdict), "{verdict}");
    }
    assert!(records.is_sorted_by_key(|record| record["timestamp"].as_str().unwrap().to_owned()));
}

#[test]
fn nor_when_the_tables_are_full() {
    let config = format!("{}\n[fragments]\ncapacity = 16\n", CONFIG.replace("16384", "1024"));
    let records = lines(&check(&traffic(6_000, 300, 5), &config));
    assert!(records.iter().any(|record| record["flow"]["reason"] == "forced"));
}

/// Every packet of a flow is in exactly one record.
#[test]
fn records_account_for_every_packet() {
    let mut capture = Capture::new();
    let mut packets = 0;
    for number in 0..500_u16 {
        connection(
            &mut capture,
            u64::from(number) * 70_000,
            ("10.0.0.2", 2_000 + number),
            ("192.0.2.7", 443),
        );
        packets += 11;
    }
    let (summary, records) = replay(capture.bytes(), CONFIG, |_| {});
    let sum = |field: &str| -> u64 {
        lines(&records)
            .iter()
            .map(|record| {
                record["flow"][format!("{field}_toserver")].as_u64().unwrap()
                    + record["flow"][format!("{field}_toclient")].as_u64().unwrap()
            })
            .sum()
    };
    assert_eq!((sum("pkts"), sum("bytes")), (packets, summary.bytes));
    assert_eq!((summary.packets, summary.flows.allow, summary.records), (packets, 500, Some(500)));
}
