//! The state machine of boringtun without a worker around it: what it takes besides the cipher is in the tunnel too.

use boringtun::{
    noise::{Tunn, TunnResult},
    x25519::{PublicKey, StaticSecret},
};

use super::gateway::sent;

/// Both ends of a session, and a batch of messages that one seals and the other opens again and again.
pub(super) struct Library {
    ends: [Tunn; 2],
    packet: Vec<u8>,
    messages: Vec<[u8; Self::ROOM]>,
    length: usize,
    opened: Box<[u8; Self::ROOM]>,
}

impl Library {
    const ROOM: usize = 2048;

    pub(super) fn new(count: usize, packet: Vec<u8>) -> Self {
        let secrets = [[1; 32], [2; 32]].map(StaticSecret::from);
        let [near, far] = secrets.each_ref().map(PublicKey::from);
        let [own, other] = secrets;
        let mut library = Self {
            ends: [Tunn::new(own, far, None, None, 1, None), Tunn::new(other, near, None, None, 2, None)],
            packet,
            messages: vec![[0; Self::ROOM]; count],
            length: 0,
            opened: Box::new([0; Self::ROOM]),
        };
        library.connect();
        library
    }

    fn connect(&mut self) {
        let [near, far] = &mut self.ends;
        let [mut one, mut other] = [[0; Self::ROOM]; 2];
        let begun = sent(near.format_handshake_initiation(&mut one, false)).expect("it begins");
        let answered = sent(far.decapsulate(None, &one[..begun], &mut other)).expect("it answers");
        let confirmed = sent(near.decapsulate(None, &other[..answered], &mut one)).expect("it confirms");
        assert!(matches!(far.decapsulate(None, &one[..confirmed], &mut other), TunnResult::Done));
    }

    /// Seals the packet into all of them.
    pub(super) fn seal(&mut self) {
        for message in &mut self.messages {
            self.length = sent(self.ends[0].encapsulate(&self.packet, message)).expect("there is a session");
        }
    }

    /// Opens what was sealed last.
    pub(super) fn open(&mut self) {
        for message in &self.messages {
            let opened = self.ends[1].decapsulate(None, &message[..self.length], &mut self.opened[..]);
            assert!(matches!(opened, TunnResult::WriteToTunnelV4(..)), "it is authentic");
        }
    }
}
