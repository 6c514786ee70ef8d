//! A bridge changes nothing: frames leave as they came, byte for byte, but for checksums that a stack left unfinished.

use std::fs;

use ravelin_tests::{
    packets::{Capture, frames, inside, inside6, outside, outside6, tagged, udp},
    process::wait_for,
    ravelin::Ravelin,
    scenario::{inputs, offload},
    topology::Lab,
};
use rustix::process::Signal;

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

/// Sends the frames of a capture from the client, one after the other, and returns what arrives at the server.
fn crossed(lab: &Lab, ravelin: &Ravelin, capture: &Capture) -> Vec<Vec<u8>> {
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
    frames(&output)
}

/// Panics unless these frames arrived.
fn assert_same(received: &[Vec<u8>], expected: &Capture) {
    assert_eq!(received.len(), expected.len());
    for (number, (received, expected)) in received.iter().zip(expected.frames()).enumerate() {
        assert!(received == expected, "frame {number}:\nexpected {expected:02x?}\nreceived {received:02x?}");
    }
}

#[test]
fn frames_leave_as_they_came() {
    let Some(lab) = Lab::new(&["tcpdump", "tcpreplay"]) else { return };
    let ravelin = lab.ravelin("");
    let capture = sent();
    assert_same(&crossed(&lab, &ravelin, &capture), &capture);
    assert_eq!(ravelin.finish(&[])["checksums_completed"], 0);
}

#[test]
fn checksums_that_stacks_leave_are_completed_and_nothing_else() {
    let Some(lab) = Lab::new(&["tcpdump", "tcpreplay"]) else { return };
    let ravelin = lab.ravelin("");
    let (partial, whole) = offload::captures();
    assert_same(&crossed(&lab, &ravelin, &partial), &whole);
    assert_eq!(ravelin.finish(&[])["checksums_completed"], partial.len() as u64);
}
