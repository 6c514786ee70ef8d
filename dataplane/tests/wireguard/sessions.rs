//! When sessions begin and end.

use ravelin_dataplane::wireguard::Counter;

use crate::{
    PEER, connected,
    lab::{Answer, HOST, OUTSIDE, packet},
};

#[test]
fn a_handshake_is_completed_by_who_uses_its_session() {
    let (mut gateway, mut remote) = connected(PEER);
    let old = remote.send(&packet("10.9.0.2", HOST, 10));
    let initiation = remote.begin();
    let answers = gateway.receive(OUTSIDE, &remote.wrap(&initiation));
    assert_eq!(gateway.receive(OUTSIDE, &old).len(), 1, "the session before that one is still good");
    assert_eq!(gateway.count(0, Counter::Handshakes), 1, "and says nothing of the new one");
    let Answer::Send(keepalive) = remote.open(&answers[0].1) else { panic!("a response") };
    assert_eq!(gateway.receive(OUTSIDE, &remote.wrap(&keepalive)), []);
    assert_eq!(gateway.count(0, Counter::Handshakes), 2);
    assert_eq!(gateway.receive(OUTSIDE, &remote.send(&packet("10.9.0.2", HOST, 10))).len(), 1);
    assert_eq!(gateway.count(0, Counter::Handshakes), 2);
}
