//! Any bytes as a capture: every packet comes out once, and nothing panics.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use ravelin_dataplane::{
    batch::Batch,
    io::{
        Frame, PacketIo, PortId,
        pcap::{PcapFrame, PcapIo, PortMap},
    },
};

fuzz_target!(|capture: &[u8]| {
    let ports = PortMap {
        names: vec![("eth0".to_owned(), PortId(2))],
        inside: vec!["10.0.0.0/8".parse().unwrap()],
        inside_port: PortId(1),
        outside_port: PortId(0),
    };
    let input = Box::new(Cursor::new(capture.to_vec()));
    let Ok(io) = PcapIo::from_reader("fuzz".to_owned(), input, ports) else { return };
    let mut io = io.write_into("nowhere".to_owned(), Box::new(std::io::sink()));
    let mut batch = Batch::new(7);
    let mut packets = 0;
    while !io.is_exhausted() {
        let now = io.now();
        assert_eq!(now, io.now());
        packets += io.receive(now, &mut batch) as u64;
        for (frame, meta) in batch.drain() {
            assert!(frame.bytes().len() <= PcapFrame::MAX);
            assert!(io.transmit(meta.port, frame).is_ok());
        }
        io.flush();
    }
    assert_eq!(io.summary().packets, packets);
    assert!(io.progress().0 <= capture.len() as u64);
    let _damage = io.finish();
});
