//! Tests of judging and of the log of decisions; what comes of them for flows is in `flow/tests`.

mod decisions;
mod feeds;
mod judge;
