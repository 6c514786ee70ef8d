//! A TCP conversation that keeps its own sequence numbers.

use etherparse::TcpHeader;

use super::{Capture, End, payload, segment};

/// Both ends of a connection; each call adds one segment to a capture.
#[derive(Clone, Copy, Debug)]
pub struct Tcp {
    ends: [End; 2],
    /// The next sequence number of client and server.
    next: [u32; 2],
}

/// A segment's flags, as in `"SA"` for SYN and ACK.
fn set(header: &mut TcpHeader, flags: &str) {
    for flag in flags.chars() {
        match flag {
            'F' => header.fin = true,
            'S' => header.syn = true,
            'R' => header.rst = true,
            'P' => header.psh = true,
            'A' => header.ack = true,
            other => panic!("{other} is no TCP flag"),
        }
    }
}

impl Tcp {
    /// A connection that is not open yet.
    pub const fn new(client: End, server: End) -> Self {
        Self { ends: [client, server], next: [1_000, 5_000] }
    }

    /// The client sends a segment with `flags` (letters as in tcpdump, without the dot) and `length` bytes.
    pub fn client(&mut self, capture: &mut Capture, flags: &str, length: usize) -> Vec<u8> {
        self.send(capture, 0, flags, length, 64_240)
    }

    /// The server sends a segment.
    pub fn server(&mut self, capture: &mut Capture, flags: &str, length: usize) -> Vec<u8> {
        self.send(capture, 1, flags, length, 64_240)
    }

    /// The server announces a window of `window` bytes.
    pub fn server_window(&mut self, capture: &mut Capture, window: u16) {
        self.send(capture, 1, "A", 0, window);
    }

    /// The handshake, with `milliseconds` between client and server.
    pub fn open(&mut self, capture: &mut Capture, milliseconds: u64) {
        self.client(capture, "S", 0);
        self.server(capture.wait(milliseconds), "SA", 0);
        self.client(capture, "A", 0);
    }

    /// The orderly end, begun by the client.
    pub fn close(&mut self, capture: &mut Capture, milliseconds: u64) {
        self.client(capture, "FA", 0);
        self.server(capture.wait(milliseconds), "FA", 0);
        self.client(capture, "A", 0);
    }

    fn send(
        &mut self,
        capture: &mut Capture,
        side: usize,
        flags: &str,
        length: usize,
        window: u16,
    ) -> Vec<u8> {
        let (from, to) = (self.ends[side], self.ends[1 - side]);
        let mut header = TcpHeader::new(from.port, to.port, self.next[side], window);
        set(&mut header, flags);
        if header.ack {
            header.acknowledgment_number = self.next[1 - side];
        }
        let occupied = u32::try_from(length).expect("segments are short");
        self.next[side] += occupied + u32::from(header.syn) + u32::from(header.fin);
        let frame = segment(from, to, &header, &payload(length));
        capture.push(&frame);
        frame
    }
}
