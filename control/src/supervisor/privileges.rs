//! What this process may do once it has its sockets.
//!
//! A worker needs nothing but its open descriptors, so it gives up everything. The control thread keeps what it takes to
//! give the interfaces back at the end ([`KEPT`]). Capabilities belong to threads; every thread that is started later
//! inherits the few that are left.

use std::io;

use caps::{CapSet, Capability, CapsHashSet};

/// What the control thread keeps: `CAP_NET_ADMIN` detaches the XDP program and restores offloads, `CAP_SYS_ADMIN` is what
/// the kernel asks for to look up an attached program by its number, which must come before it is detached.
pub const KEPT: [Capability; 2] = [Capability::CAP_NET_ADMIN, Capability::CAP_SYS_ADMIN];

/// Gives up every privilege of the calling thread, for good.
///
/// # Errors
/// What the system said.
pub fn drop_all() -> io::Result<()> {
    reduce(&CapsHashSet::new())
}

/// Gives up every privilege of the calling thread but [`KEPT`]. What it does not have, it does not get.
///
/// # Errors
/// What the system said.
pub fn drop_most() -> io::Result<()> {
    reduce(&KEPT.into_iter().collect())
}

/// The privileges that the calling thread can use.
///
/// # Errors
/// What the system said.
pub fn effective() -> io::Result<Vec<String>> {
    let mut names: Vec<_> = read(CapSet::Effective)?.iter().map(ToString::to_string).collect();
    names.sort_unstable();
    Ok(names)
}

fn reduce(keep: &CapsHashSet) -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    // The bounding set first: changing it is a privilege itself, and a thread without it has nothing to give up.
    if read(CapSet::Effective)?.contains(&Capability::CAP_SETPCAP) {
        for capability in read(CapSet::Bounding)?.difference(keep) {
            caps::drop(None, CapSet::Bounding, *capability).map_err(io::Error::other)?;
        }
    }
    caps::clear(None, CapSet::Ambient).map_err(io::Error::other)?;
    caps::clear(None, CapSet::Inheritable).map_err(io::Error::other)?;
    for set in [CapSet::Effective, CapSet::Permitted] {
        let left = read(set)?.intersection(keep).copied().collect();
        caps::set(None, set, &left).map_err(io::Error::other)?;
    }
    Ok(())
}

fn read(set: CapSet) -> io::Result<CapsHashSet> {
    caps::read(None, set).map_err(io::Error::other)
}
