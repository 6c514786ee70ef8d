use std::sync::mpsc::{self, Sender};

use ravelin_dataplane::clock::Timestamp;

use super::Order;
use crate::capture::{ring::Held, trigger::Hold};

/// A wish for what the ring has between two times.
pub(super) struct Holding {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    pub(super) answer: Sender<Held>,
    /// When it is answered even if there is always more in the workers' rings.
    pub(super) late: Timestamp,
}

/// Asks the writer for what the ring has, and waits for it. It looks often enough while there is a ring.
pub(super) fn hold(orders: Sender<Order>) -> Hold {
    Box::new(move |from, until| {
        let (answer, held) = mpsc::channel();
        orders.send(Order::Hold(Holding { from, until, answer, late: Timestamp::ZERO })).ok()?;
        held.recv().ok()
    })
}
