use std::time::{Duration, Instant};

use crate::{api::view::LinkState, supervisor::links::LinkWatch};

#[test]
fn changes_are_told_once() {
    let start = Instant::now();
    let mut watch = LinkWatch::new(2, start);
    let at = |seconds| start + Duration::from_secs(seconds);
    assert_eq!(watch.look(at(0), || vec![LinkState::Up; 2]), []);
    let one_down = || vec![LinkState::Up, LinkState::NoCarrier];
    assert_eq!(watch.look(at(1), one_down), [(1, LinkState::NoCarrier)]);
    assert_eq!(watch.look(at(2), one_down), []);
    let worse = || vec![LinkState::Detached, LinkState::Gone];
    assert_eq!(watch.look(at(3), worse), [(0, LinkState::Detached), (1, LinkState::Gone)]);
    assert_eq!(watch.look(at(4), || vec![LinkState::Up; 2]), [(0, LinkState::Up), (1, LinkState::Up)]);
}

#[test]
fn the_kernel_is_asked_once_a_second() {
    let start = Instant::now();
    let mut watch = LinkWatch::new(1, start);
    assert_eq!(watch.look(start, || vec![LinkState::Up]), []);
    let soon = start + Duration::from_millis(899);
    assert_eq!(watch.look(soon, || panic!("too soon")), []);
    assert_eq!(watch.look(start + Duration::from_secs(1), || vec![LinkState::Down]), [(0, LinkState::Down)]);
}
