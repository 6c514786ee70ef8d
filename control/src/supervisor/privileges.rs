//! What this process may do once it has its sockets.
//!
//! A worker needs nothing but its open descriptors, so it gives up everything. The control thread keeps what it takes to
//! give the interfaces back at the end. Capabilities belong to threads; every thread that is started later
//! inherits the few that are left.

use std::io;

use caps::{CapSet, Capability, CapsHashSet};

/// What the control thread can use while it runs: `CAP_NET_ADMIN` asks interfaces how they are, `CAP_BPF` reads the
/// counters of the programs in the kernel where an unprivileged thread may not.
const USED: [Capability; 2] = [Capability::CAP_NET_ADMIN, Capability::CAP_BPF];

/// What it takes besides to place receive threads that the kernel makes anew while it runs.
const TENDS_THREADS: Capability = Capability::CAP_SYS_NICE;

/// What it can take up again to give the interfaces back: looking up an attached program by its number, which comes before
/// detaching it, is reserved to `CAP_SYS_ADMIN` by the kernel (`bpf_prog_get_fd_by_id` in `kernel/bpf/syscall.c`).
const AT_EXIT: Capability = Capability::CAP_SYS_ADMIN;

/// What it takes to take interfaces over and to give them back: programs and sockets (`CAP_BPF`, `CAP_NET_RAW`), interface
/// settings (`CAP_NET_ADMIN`), and to see whose program is attached (`CAP_SYS_ADMIN`).
const NEEDED: [Capability; 4] =
    [Capability::CAP_BPF, Capability::CAP_NET_ADMIN, Capability::CAP_NET_RAW, AT_EXIT];

/// The privileges that taking interfaces over needs and the calling thread does not have.
///
/// # Errors
/// What the system said.
pub fn missing() -> io::Result<Vec<String>> {
    let effective = read(CapSet::Effective)?;
    Ok(NEEDED.iter().filter(|needed| !effective.contains(needed)).map(ToString::to_string).collect())
}

/// Gives up every privilege of the calling thread, for good.
///
/// # Errors
/// What the system said.
pub fn drop_all() -> io::Result<()> {
    reduce(&CapsHashSet::new(), &CapsHashSet::new())
}

/// Gives up every privilege of the calling thread but that to change what programs in the kernel look at.
///
/// # Errors
/// What the system said.
pub fn keep_bpf() -> io::Result<()> {
    let kept = CapsHashSet::from([Capability::CAP_BPF]);
    reduce(&kept, &kept)
}

/// Gives up every privilege of the calling thread that it will not need, and leaves it to [`take_up`] to use what it needs at the end.
/// What it does not have, it does not get. `tends_threads`: whether the kernel may receive in threads.
///
/// # Errors
/// What the system said.
pub fn drop_most(tends_threads: bool) -> io::Result<()> {
    let mut used = CapsHashSet::from(USED);
    if tends_threads {
        used.insert(TENDS_THREADS);
    }
    let mut kept = used.clone();
    kept.insert(AT_EXIT);
    reduce(&kept, &used)
}

/// Makes everything that [`drop_most`] kept usable, to give the interfaces back.
///
/// # Errors
/// What the system said.
pub fn take_up() -> io::Result<()> {
    caps::set(None, CapSet::Effective, &read(CapSet::Permitted)?).map_err(io::Error::other)
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

fn reduce(keep: &CapsHashSet, used: &CapsHashSet) -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    // The bounding set first: changing it is a privilege itself, and a thread without it has nothing to give up.
    if read(CapSet::Effective)?.contains(&Capability::CAP_SETPCAP) {
        for capability in read(CapSet::Bounding)?.difference(keep) {
            caps::drop(None, CapSet::Bounding, *capability).map_err(io::Error::other)?;
        }
    }
    caps::clear(None, CapSet::Ambient).map_err(io::Error::other)?;
    caps::clear(None, CapSet::Inheritable).map_err(io::Error::other)?;
    for (set, keep) in [(CapSet::Effective, used), (CapSet::Permitted, keep)] {
        let left = read(set)?.intersection(keep).copied().collect();
        caps::set(None, set, &left).map_err(io::Error::other)?;
    }
    Ok(())
}

fn read(set: CapSet) -> io::Result<CapsHashSet> {
    caps::read(None, set).map_err(io::Error::other)
}
