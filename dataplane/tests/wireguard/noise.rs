//! The gateway's handshake against another implementation of Noise: published vectors hold for that one, and the two understand each other,
//! whoever begins. So what the gateway speaks is `Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s`, in the messages that section 5.4 of the paper
//! on WireGuard gives it. Ciphers, hash and curve of the other implementation are not those of the gateway either, but for the curve.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use boringtun::x25519::{PublicKey, StaticSecret};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305,
    aead::{Aead as _, Payload},
};
use ravelin_dataplane::{
    verdict::DropReason,
    wireguard::{Counter, PeerKeys, PeerSlot},
};
use snow::{Builder, HandshakeState, StatelessTransportState};

use crate::{
    PEER,
    lab::{Gateway, HOST, INSIDE, OUTSIDE, content, frame, labelled, mac, mac1, packet, wrap},
    routed,
};

const PATTERN: &str = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
const PROLOGUE: &[u8] = b"WireGuard v1 zx2c4 Jason@zx2c4.com";
/// No preshared key is one of zeros.
const NO_KEY: [u8; 32] = [0; 32];
/// What the peer calls its sessions.
const INDEX: u32 = 0x1234_5678;
const ADDRESS: &str = "10.9.0.2";

/// A peer of the gateway that speaks with another implementation.
pub(crate) struct Other {
    secret: [u8; 32],
    gateway: [u8; 32],
    preshared_key: [u8; 32],
    handshake: Option<HandshakeState>,
    session: Option<StatelessTransportState>,
    /// What the gateway calls the session.
    receiver: u32,
    cookie: Option<[u8; 16]>,
    pub(crate) endpoint: SocketAddr,
}

impl Other {
    /// A gateway that knows the peer, which is said to be there, and the peer.
    pub(crate) fn with_gateway(preshared_key: Option<[u8; 32]>, said: Option<SocketAddr>) -> (Gateway, Self) {
        let mut gateway = Gateway::new(1);
        let secret = [0x77; 32];
        let other = Self {
            secret,
            gateway: gateway.identity.public_key(),
            preshared_key: preshared_key.unwrap_or(NO_KEY),
            handshake: None,
            session: None,
            receiver: 0,
            cookie: None,
            endpoint: PEER.parse().unwrap(),
        };
        let keys = PeerKeys { public_key: other.public_key(), preshared_key, keepalive: None };
        gateway.add_peer(PeerSlot(0), keys, said, &["10.9.0.2/32"]);
        (gateway, other)
    }

    /// The same with a session that the peer has begun.
    pub(crate) fn connected(preshared_key: Option<[u8; 32]>) -> (Gateway, Self) {
        let (mut gateway, mut other) = Self::with_gateway(preshared_key, None);
        gateway.publish();
        let initiation = other.initiation();
        let answers = gateway.receive(OUTSIDE, &wrap(other.endpoint, &initiation));
        let [(OUTSIDE, response)] = &*answers else { panic!("one answer: {answers:?}") };
        other.take_response(content(response)).expect("a response that can be read");
        (gateway, other)
    }

    fn public_key(&self) -> [u8; 32] {
        PublicKey::from(&StaticSecret::from(self.secret)).to_bytes()
    }

    fn builder(&self) -> Builder<'_> {
        let builder = Builder::new(PATTERN.parse().unwrap()).prologue(PROLOGUE).unwrap();
        builder.local_private_key(&self.secret).unwrap().psk(2, &self.preshared_key).unwrap()
    }

    /// The sums at the end of a handshake message.
    fn add_sums(&self, mut message: Vec<u8>) -> Vec<u8> {
        message.extend(mac1(self.gateway, &message));
        let second = self.cookie.map_or([0; 16], |cookie| mac(&cookie, &message));
        message.extend(second);
        message
    }

    /// What follows the first sum of a message to the peer, once it was found to be right.
    fn check_sums<'m>(&self, message: &'m [u8]) -> &'m [u8] {
        let (covered, sums) = message.split_at(message.len() - 32);
        assert_eq!(sums[..16], mac1(self.public_key(), covered));
        assert_eq!(sums[16..], [0; 16], "nobody has sent a cookie");
        covered
    }

    fn initiation(&mut self) -> Vec<u8> {
        let mut noise = [0; 108];
        let mut handshake =
            self.builder().remote_public_key(&self.gateway).unwrap().build_initiator().unwrap();
        assert_eq!(handshake.write_message(&timestamp(), &mut noise), Ok(108));
        self.handshake = Some(handshake);
        self.add_sums([&[1, 0, 0, 0], &INDEX.to_le_bytes()[..], &noise].concat())
    }

    /// Ends a handshake that the peer has begun.
    fn take_response(&mut self, message: &[u8]) -> Result<(), snow::Error> {
        assert_eq!((message.len(), &message[..4]), (92, &[2, 0, 0, 0][..]));
        assert_eq!(message[8..12], INDEX.to_le_bytes());
        let covered = self.check_sums(message);
        let mut handshake = self.handshake.take().unwrap();
        assert_eq!(handshake.read_message(&covered[12..], &mut [])?, 0);
        self.receiver = u32::from_le_bytes(message[4..8].try_into().unwrap());
        self.session = Some(handshake.into_stateless_transport_mode()?);
        Ok(())
    }

    /// Answers the gateway, which has begun.
    fn answer(&mut self, message: &[u8]) -> Vec<u8> {
        assert_eq!((message.len(), &message[..4]), (148, &[1, 0, 0, 0][..]));
        let covered = self.check_sums(message);
        let mut handshake = self.builder().build_responder().unwrap();
        let mut sent_at = [0; 12];
        assert_eq!(handshake.read_message(&covered[8..], &mut sent_at), Ok(12));
        assert_eq!(handshake.get_remote_static(), Some(&self.gateway[..]));
        let seconds = |stamp: [u8; 12]| u64::from_be_bytes(stamp[..8].try_into().unwrap());
        assert!(seconds(timestamp()).abs_diff(seconds(sent_at)) < 120, "it is a time, of now");
        let mut noise = [0; 48];
        assert_eq!(handshake.write_message(&[], &mut noise), Ok(48));
        self.receiver = u32::from_le_bytes(message[4..8].try_into().unwrap());
        self.session = Some(handshake.into_stateless_transport_mode().unwrap());
        self.add_sums([&[2, 0, 0, 0], &INDEX.to_le_bytes()[..], &message[4..8], &noise].concat())
    }

    /// A packet in a message with this number.
    pub(crate) fn seal(&self, number: u64, packet: &[u8]) -> Vec<u8> {
        let mut sealed = vec![0; packet.len() + 16];
        let session = self.session.as_ref().unwrap();
        assert_eq!(session.write_message(number, packet, &mut sealed), Ok(sealed.len()));
        [&[4, 0, 0, 0], &self.receiver.to_le_bytes()[..], &number.to_le_bytes(), &sealed].concat()
    }

    /// The packet in a message with this number, as long as it was made.
    fn open(&self, number: u64, message: &[u8]) -> Vec<u8> {
        assert_eq!(message[..8], [&[4, 0, 0, 0], &INDEX.to_le_bytes()[..]].concat());
        assert_eq!(message[8..16], number.to_le_bytes());
        let mut packet = vec![0; message.len() - 32];
        let session = self.session.as_ref().unwrap();
        assert_eq!(session.read_message(number, &message[16..], &mut packet), Ok(packet.len()));
        packet
    }
}

/// Now, as TAI64N.
fn timestamp() -> [u8; 12] {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut stamp = [0; 12];
    stamp[..8].copy_from_slice(&((1 << 62) + 10 + now.as_secs()).to_be_bytes());
    stamp[8..].copy_from_slice(&now.subsec_nanos().to_be_bytes());
    stamp
}

/// Packets both ways; the gateway has sent so many messages in the session, and the peer as many.
fn exchange(gateway: &mut Gateway, other: &Other, sent: [u64; 2]) {
    for number in 0..3 {
        let asked = packet(ADDRESS, HOST, 101);
        let message = other.seal(sent[1] + number, &asked);
        let out = gateway.receive(OUTSIDE, &wrap(other.endpoint, &message));
        let [(INSIDE, received)] = &*out else { panic!("one packet: {out:?}") };
        assert_eq!(received[14..], routed(asked));

        let answered = frame(HOST, ADDRESS, 101);
        let out = gateway.receive(INSIDE, &answered);
        let [(OUTSIDE, message)] = &*out else { panic!("one message: {out:?}") };
        let opened = other.open(sent[0] + number, content(message));
        let expected = routed(answered[14..].to_vec());
        assert_eq!(opened[..expected.len()], expected);
        assert_eq!(opened.len(), expected.len().next_multiple_of(16));
        assert!(opened[expected.len()..].iter().all(|byte| *byte == 0), "padding is zeros");
    }
}

#[test]
fn a_peer_of_another_implementation_begins() {
    for preshared_key in [None, Some([5; 32])] {
        let (mut gateway, other) = Other::connected(preshared_key);
        exchange(&mut gateway, &other, [0, 0]);
        assert_eq!(gateway.count(0, Counter::Handshakes), 1);
        assert_eq!(gateway.counters().drops.total(), 0);
    }
}

#[test]
fn the_gateway_begins_with_another_implementation() {
    for preshared_key in [None, Some([5; 32])] {
        let there = UdpSocket::bind("127.0.0.1:0").unwrap();
        there.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let (mut gateway, mut other) = Other::with_gateway(preshared_key, there.local_addr().ok());
        gateway.sockets = [Some(Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap())), None];
        gateway.publish();
        // This one waits for the session.
        assert_eq!(gateway.receive(INSIDE, &frame(HOST, ADDRESS, 101)), []);
        let mut buffer = [0; 256];
        let (length, _) = there.recv_from(&mut buffer).unwrap();
        let response = other.answer(&buffer[..length]);
        let out = gateway.receive(OUTSIDE, &wrap(other.endpoint, &response));
        let numbered = |number: u64| {
            let is_it = |(port, frame): &&(u8, Vec<u8>)| {
                *port == OUTSIDE && content(frame)[8..16] == number.to_le_bytes()
            };
            other.open(number, content(&out.iter().find(is_it).expect("a message with this number").1))
        };
        assert_eq!((out.len(), numbered(0).len()), (2, 0), "a keepalive, and what waited");
        assert_eq!(numbered(1)[..129], routed(frame(HOST, ADDRESS, 101)[14..].to_vec()));
        exchange(&mut gateway, &other, [2, 0]);
        assert_eq!(gateway.counters().drops.total(), 0);
    }
}

#[test]
fn without_the_same_preshared_key_there_is_no_session() {
    for keys in [[None, Some([5; 32])], [Some([5; 32]), None], [Some([5; 32]), Some([6; 32])]] {
        let (mut gateway, mut other) = Other::with_gateway(keys[0], None);
        gateway.publish();
        other.preshared_key = keys[1].unwrap_or(NO_KEY);
        let initiation = other.initiation();
        let answers = gateway.receive(OUTSIDE, &wrap(other.endpoint, &initiation));
        assert_eq!(other.take_response(content(&answers[0].1)), Err(snow::Error::Decrypt));
        // Now that the gateway knows where the peer is, it begins.
        let begun = gateway.receive(INSIDE, &frame(HOST, ADDRESS, 101));
        let response = other.answer(content(&begun[0].1));
        gateway.drops(OUTSIDE, &wrap(other.endpoint, &response), DropReason::WireguardHandshakeFailed);
        assert_eq!(gateway.count(0, Counter::Handshakes), 0);
    }
}

#[test]
fn the_cookie_of_the_gateway_is_that_of_the_paper() {
    let (mut gateway, mut other) = Other::connected(None);
    let mut last = Vec::new();
    let cookie = (0..300).find_map(|_| {
        last = other.initiation();
        let answers = gateway.receive(OUTSIDE, &wrap(other.endpoint, &last));
        let cookie = answers.first().map(|(_, frame)| content(frame).to_vec());
        cookie.filter(|message| message[0] == 3)
    });
    let cookie = cookie.expect("a cookie is demanded");
    assert_eq!(
        (cookie.len(), &cookie[..4], &cookie[4..8]),
        (64, &[3, 0, 0, 0][..], &INDEX.to_le_bytes()[..])
    );
    let cipher = XChaCha20Poly1305::new(&labelled(b"cookie--", other.gateway).into());
    let payload = Payload { msg: &cookie[32..], aad: &last[116..132] };
    let opened =
        cipher.decrypt(cookie[8..32].into(), payload).expect("sealed with the first sum of the message");
    other.cookie = opened.try_into().ok();
    let initiation = other.initiation();
    let answers = gateway.receive(OUTSIDE, &wrap(other.endpoint, &initiation));
    other.take_response(content(&answers[0].1)).expect("with the cookie it is heard");
}

fn hex(text: &str) -> Vec<u8> {
    let digits = |place| u8::from_str_radix(&text[place..place + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

/// The one vector of this protocol among those of cacophony, with which implementations of Noise are compared.
#[test]
fn the_other_implementation_says_what_was_published() {
    let key = |text: &str| <[u8; 32]>::try_from(hex(text)).unwrap();
    let preshared_key = key("54686973206973206d7920417573747269616e20706572737065637469766521");
    let statics = [
        key("e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1"),
        key("4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893"),
    ];
    let ephemerals = [
        key("893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a"),
        key("bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b"),
    ];
    let responder_public = key("31e0303fd6418d2f8c0e78b91f22e8caed0fbe48656dcf4767e4834f701b8f62");
    let build = |place: usize| {
        let builder = Builder::new(PATTERN.parse().unwrap()).prologue(b"John Galt").unwrap();
        let builder = builder.local_private_key(&statics[place]).unwrap().psk(2, &preshared_key).unwrap();
        builder.fixed_ephemeral_key_for_testing_only(&ephemerals[place])
    };
    let mut initiator = build(0).remote_public_key(&responder_public).unwrap().build_initiator().unwrap();
    let mut responder = build(1).build_responder().unwrap();
    let messages = [
        (
            "4c756477696720766f6e204d69736573",
            "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944001e21de9f98ddd8e2ad57527207feb56253c9c94a9e496782ecfcb2a75fbcaf\
             1b52948cc48daefe660c62119ab5000980c84831215f2441eba616548e832985464cf17e51ee93109008399a21f7e13f",
        ),
        (
            "4d757272617920526f746862617264",
            "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843cb765f2caef0751b8f007572dab0322217755c0632f365717edbf34d33e87a",
        ),
        ("462e20412e20486179656b", "8153ca9833bc3c1b91a7e66e5f4d4f5b59bf9e64c2f20d15f0bba7"),
        ("4361726c204d656e676572", "07af0c9c86e1b4e80f36b04ff7688d51141af3debd0332f0a705ef"),
        (
            "4a65616e2d426170746973746520536179",
            "6ab1467c0448cc78394494abaaf23afce0e234315d6e2624dcbfa8a21c1c4d073d",
        ),
        (
            "457567656e2042f6686d20766f6e2042617765726b",
            "dfc346c0d2296ae6cf1acf6f12b8456a1dba228cf8d8b774aacf1c47fc53aa80ebc7a4c292",
        ),
    ];
    let (handshake, transport) = messages.split_at(2);
    let (mut buffer, mut content) = ([0; 256], [0; 256]);
    for (place, (payload, expected)) in handshake.iter().enumerate() {
        let pair =
            if place == 0 { [&mut initiator, &mut responder] } else { [&mut responder, &mut initiator] };
        let [sender, receiver] = pair;
        let length = sender.write_message(&hex(payload), &mut buffer).unwrap();
        assert_eq!(buffer[..length], hex(expected));
        let length = receiver.read_message(&buffer[..length], &mut content).unwrap();
        assert_eq!(content[..length], hex(payload));
    }
    let hash = hex("f5191b875290abcd41347ac3622d9679688a7e980229cb937ef748336cfde0e5");
    assert_eq!((initiator.get_handshake_hash(), responder.get_handshake_hash()), (&*hash, &*hash));
    let ends = [initiator, responder].map(|end| end.into_stateless_transport_mode().unwrap());
    for (place, (payload, expected)) in transport.iter().enumerate() {
        let (sender, receiver, number) = (&ends[place % 2], &ends[1 - place % 2], (place / 2) as u64);
        let length = sender.write_message(number, &hex(payload), &mut buffer).unwrap();
        assert_eq!(buffer[..length], hex(expected));
        let length = receiver.read_message(number, &buffer[..length], &mut content).unwrap();
        assert_eq!(content[..length], hex(payload));
    }
}

/// draft-irtf-cfrg-xchacha-03, appendix A.3.1, for what opens cookies here.
#[test]
fn the_cipher_of_cookies_says_what_was_published() {
    let text = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
    let key: [u8; 32] = std::array::from_fn(|place| 0x80 + place as u8);
    let nonce: [u8; 24] = std::array::from_fn(|place| 0x40 + place as u8);
    let aad = hex("50515253c0c1c2c3c4c5c6c7");
    let sealed = XChaCha20Poly1305::new(&key.into()).encrypt(&nonce.into(), Payload { msg: text, aad: &aad });
    let expected = "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452\
                    2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f615c68b13b52e\
                    c0875924c1c7987947deafd8780acf49";
    assert_eq!(sealed.unwrap(), hex(expected));
}
