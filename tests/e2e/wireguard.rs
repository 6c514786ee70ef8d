//! WireGuard: what it is tested against, keys, and what is shown.

mod gateway;
mod kernel;
mod keys;
mod peers;
mod shown;
