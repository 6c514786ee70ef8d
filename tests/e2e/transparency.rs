//! A bridge changes nothing: frames leave as they came, byte for byte.

use std::{fs, path::Path};

use ravelin_tests::{
    packets::{Capture, inside, inside6, outside, outside6, tagged, udp},
    process::wait_for,
    scenario::inputs,
    topology::Lab,
};
use rustix::process::Signal;

/// The frames of a capture file as tcpdump writes it on a little-endian machine.
fn frames(path: &Path) -> Vec<Vec<u8>> {
    let file = fs::read(path).unwrap_or_default();
    let mut rest = file.get(24..).unwrap_or_default();
    let mut frames = Vec::new();
    while let Some(length) = rest.get(8..12) {
        let length = u32::from_le_bytes(length.try_into().expect("four bytes")) as usize;
        let Some(frame) = rest.get(16..16 + length) else { break };
        frames.push(frame.to_vec());
        rest = &rest[16 + length..];
    }
    frames
}

/// Frames of all kinds that a default configuration lets pass.
fn sent() -> Capture {
    let mut capture = Capture::new();
    for (name, packets) in inputs::all() {
        if ["non-ip", "vlan", "ipv6", "icmp-errors", "retransmissions"].contains(&name) {
            capture.append(&packets);
        }
    }
    // Padding behind the packet, priority bits, and reserved multicast stay too.
    let mut padded = udp(outside(1), inside(1), 1);
    padded.resize(80, 0xa5);
    capture.push(&padded).push(&tagged(&udp(outside6(1), inside6(1), 9), &[(0x8100, 0xe007)]));
    capture
}

#[test]
fn frames_leave_as_they_came() {
    let Some(lab) = Lab::new(&["tcpdump", "tcpreplay"]) else { return };
    let ravelin = lab.ravelin("");
    let capture = sent();
    let (input, output) = (lab.folder().join("sent.pcap"), lab.folder().join("received.pcap"));
    fs::write(&input, capture.to_pcap()).expect("the folder is writable");
    let filter = "ether src host 02:00:00:00:01:01 or ether[6:4] = 0x02000000 or ether[6:4] = 0x02000006";
    let mut dump = lab.spawn(
        &lab.server,
        &format!(
            "tcpdump -i eth0 -n -U --immediate-mode -s 2048 -B 8192 -Z root -Q in -w {} {filter}",
            output.display()
        ),
    );
    dump.wait_for_output("listening on");
    lab.client.run(&format!("tcpreplay --intf1 eth0 --pps 2000 {}", input.display()));
    ravelin.wait_for_counters("all frames", |counters| {
        counters["forwarded"] + counters.dropped_in_all() >= capture.len() as u64
    });
    ravelin.counters().assert_drops_only(&[]);
    wait_for("all frames to be seen", || frames(&output).len() >= capture.len());
    dump.signal(Signal::INT);
    dump.wait();
    let received = frames(&output);
    assert_eq!(received.len(), capture.len());
    for (number, (received, sent)) in received.iter().zip(capture.frames()).enumerate() {
        assert!(received == sent, "frame {number} changed:\n   sent {sent:02x?}\nreceived {received:02x?}");
    }
    ravelin.finish(&[]);
}
