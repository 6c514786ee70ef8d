//! WireGuard: what it is tested against.

mod peers;
