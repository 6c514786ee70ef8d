//! Decode alone, against etherparse on the same bytes.

use std::hint::black_box;

use ravelin_dataplane::{
    batch::{Batch, Meta},
    io::{Frame, memory::MemoryFrame},
    parse::DecodeStage,
    verdict::Verdict,
};

use crate::harness::{Report, interleave, nanos_per_item, ratios, state_calibration};

const BATCH: usize = 64;
const TURNS: u64 = 50_000;
const ROUNDS: usize = 9;

pub(crate) fn run(report: &Report) {
    state_calibration(report);
    for (name, packet) in packets() {
        report.heading(&format!("decode, {name}, {} bytes", packet.len()));
        let mut batch = Batch::new(BATCH);
        for _ in 0..BATCH {
            let meta = Meta { length: packet.len() as u32, ..Meta::default() };
            batch.push(MemoryFrame::new(&packet), meta).expect("the batch has room");
        }
        let frames: Vec<MemoryFrame> = (0..BATCH).map(|_| MemoryFrame::new(&packet)).collect();
        let mut stage = DecodeStage;
        let results = interleave(
            ROUNDS,
            &mut [
                &mut || {
                    nanos_per_item(|| {
                        for _ in 0..TURNS {
                            for meta in batch.metas_mut() {
                                meta.verdict = Verdict::Undecided;
                            }
                            stage.run(black_box(&mut batch));
                        }
                        TURNS * BATCH as u64
                    })
                },
                &mut || {
                    nanos_per_item(|| {
                        for _ in 0..TURNS {
                            for frame in black_box(&frames) {
                                black_box(etherparse::SlicedPacket::from_ethernet(frame.bytes()).is_ok());
                            }
                        }
                        TURNS * BATCH as u64
                    })
                },
            ],
        );
        let [own, peer] = &results[..] else { unreachable!("two candidates") };
        assert!(batch.metas().iter().all(|meta| meta.verdict.is_undecided()), "every packet is well-formed");
        report.figure("ravelin", own, "ns/packet", None);
        report.figure("etherparse SlicedPacket", peer, "ns/packet", None);
        report.figure("etherparse / ravelin", &ratios(peer, own), "x", None);
    }
}

fn packets() -> Vec<(&'static str, Vec<u8>)> {
    let build = |build: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        build(&mut bytes);
        bytes.resize(bytes.len().max(60), 0);
        bytes
    };
    let ethernet = || etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    vec![
        (
            "TCP over IPv4",
            build(&|out| {
                let packet =
                    ethernet().ipv4([192, 0, 2, 1], [198, 51, 100, 2], 64).tcp(40_000, 443, 1, 1000).ack(1);
                packet.write(out, &[]).expect("fits");
            }),
        ),
        (
            "UDP over IPv6 with a VLAN tag",
            build(&|out| {
                let vlan = etherparse::VlanId::try_new(100).expect("below 4096");
                let packet = ethernet().single_vlan(vlan).ipv6([0x20; 16], [0x30; 16], 64).udp(40_000, 53);
                packet.write(out, &[0; 32]).expect("fits");
            }),
        ),
    ]
}
