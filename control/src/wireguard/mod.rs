//! Tunnels between this host and its peers, as WireGuard has them: what the kernel knows of them.

pub mod device;
