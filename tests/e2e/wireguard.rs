//! WireGuard: what it is tested against, keys, and what is shown.

mod bridge;
mod changes;
mod faults;
mod gateway;
mod kernel;
mod keys;
mod lossy;
mod peers;
mod rotate;
mod set;
mod shown;
mod traffic;
mod tunnel;
