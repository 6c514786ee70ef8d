//! The kernel's receive work in threads of its own, away from the workers.
//!
//! Without it a veth's receive work (NAPI: the XDP program, the copy into our memory) runs on the core that sent the packet,
//! which for the replies of a TCP receiver is a worker's. With it the work runs in a thread for each queue
//! (`/sys/class/net/IFACE/threaded`), which must be kept off the workers' cores and scheduled at once, or rings overflow
//! meanwhile: pinned to the other cores, `SCHED_FIFO`. See `docs/adr/0008-receive-threads.md`.
//!
//! Promises: a thread that cannot be placed does not stay; a number that the kernel gave is used only for one of its own NAPI
//! threads, whatever process namespace this is. Refuses: interfaces whose operator has switched threads on already.
//! sysfs shows the network namespace of whoever mounted it, so an interface there must be ours by number and address.

use std::{fs, io, path::PathBuf};

use rustix::{
    process::Pid,
    thread::{CpuSet, sched_setaffinity},
};

use super::{AttachMode, Link, NapiThreads, Note, Settings, genetlink};

/// `PF_KTHREAD` of `linux/sched.h`, in the flags of `/proc/PID/stat`.
const PF_KTHREAD: u64 = 0x0020_0000;
/// The lowest real-time priority: above everything ordinary, below whatever else is there.
const PRIORITY: libc::c_int = 1;
/// Threads may end between the kernel's answer and our next step, when the interface goes down.
const ATTEMPTS: usize = 3;

/// Where the kernel does an interface's receive work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiveThreads {
    /// The cores that it may use.
    pub cores: Vec<usize>,
    /// The threads by their process numbers; none while the interface is down.
    pub pids: Vec<u32>,
    are_on: bool,
}

/// Whether an interface is to have receive threads.
pub(super) fn are_wanted(settings: &Settings, link: &Link, mode: AttachMode) -> bool {
    match settings.napi_threads {
        NapiThreads::On => true,
        NapiThreads::Off => false,
        // In generic mode a veth has no NAPI, and where a network card's work runs is told by its interrupts. A worker that
        // polls wants to do the work itself.
        NapiThreads::Auto => {
            mode == AttachMode::Native
                && link.driver == "veth"
                && settings.busy_poll.is_none()
                && !settings.spare_cores.is_empty()
        }
    }
}

impl ReceiveThreads {
    /// Threads for an interface, which is as it is until [`tend`] has seen it.
    pub(super) fn new(cores: &[usize]) -> Self {
        Self { cores: cores.to_owned(), pids: Vec::new(), are_on: false }
    }

    /// Makes the kernel use threads as soon as the interface has receive work, and places those that are new: the kernel makes
    /// new ones whenever the interface goes up. If that fails it does not use threads any more.
    fn tend(&mut self, link: &Link) -> io::Result<()> {
        if !self.are_on {
            match set_threaded(link, true) {
                // It is down.
                Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => return Ok(()),
                done => done?,
            }
            self.are_on = true;
        }
        let mut placed = self.place(link);
        for _ in 1..ATTEMPTS {
            if !placed.as_ref().is_err_and(has_ended) {
                break;
            }
            placed = self.place(link);
        }
        placed.map_err(|error| {
            let error = if has_ended(&error) { unseen() } else { error };
            match set_threaded(link, false) {
                Ok(()) => error,
                Err(worse) => io::Error::other(format!("{error}; and they cannot be switched off: {worse}")),
            }
        })
    }

    fn place(&mut self, link: &Link) -> io::Result<()> {
        let silent = |error| io::Error::other(format!("the kernel does not say which they are ({error})"));
        let found = genetlink::napi_threads(link.index).map_err(|error| silent(error.to_string()))?;
        let found: Option<Vec<u32>> = found.into_iter().collect();
        let found = found.ok_or_else(|| silent("no numbers".to_owned()))?;
        let new = found.iter().filter(|pid| !self.pids.contains(pid));
        new.copied().try_for_each(|pid| place(pid, &self.cores))?;
        self.pids = found;
        Ok(())
    }
}

/// Tends to an interface's threads, if it is to have some. If that fails it has none any more, which is told.
pub(super) fn tend(threads: &mut Option<ReceiveThreads>, link: &Link) -> Option<Note> {
    let error = threads.as_mut()?.tend(link).err()?;
    *threads = None;
    Some(Note::new(link, format!("no receive threads: {error}")))
}

fn has_ended(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

fn unseen() -> io::Error {
    io::Error::other("they cannot be seen from this process namespace")
}

fn place(pid: u32, cores: &[usize]) -> io::Result<()> {
    if !is_napi_thread(&fs::read_to_string(format!("/proc/{pid}/stat"))?) {
        return Err(unseen());
    }
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
    let mut set = CpuSet::new();
    cores.iter().filter(|core| **core < CpuSet::MAX_CPU).for_each(|core| set.set(*core));
    sched_setaffinity(Some(pid), &set)?;
    let parameter = libc::sched_param { sched_priority: PRIORITY };
    // SAFETY: the kernel reads one `struct sched_param`, which outlives the call. A wrong number is an error, not a danger.
    let result = unsafe {
        let pid = pid.as_raw_nonzero().get();
        libc::syscall(libc::SYS_sched_setscheduler, pid, libc::SCHED_FIFO, &raw const parameter)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Whether this line of `/proc/PID/stat` is that of a kernel thread for NAPI: `8 (napi/eth0-8193) S 2 0 0 0 -1 2129984 ...`.
pub(super) fn is_napi_thread(stat: &str) -> bool {
    let Some((name, rest)) = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')) else {
        return false;
    };
    // proc_pid_stat(5): state, parent, group, session, terminal, its group, flags.
    let flags = rest.split_whitespace().nth(6).and_then(|flags| flags.parse::<u64>().ok());
    name.starts_with("napi/") && flags.is_some_and(|flags| flags & PF_KTHREAD != 0)
}

/// Whether the kernel uses threads for an interface.
pub(super) fn is_threaded(link: &Link) -> io::Result<bool> {
    Ok(fs::read_to_string(folder(link)?.join("threaded"))?.trim() != "0")
}

/// Tells the kernel to use threads for an interface, or not. It refuses while the interface has no receive work: a veth has
/// some while it is up and has a native program.
pub(super) fn set_threaded(link: &Link, threaded: bool) -> io::Result<()> {
    // What is so already is not written: sysfs may be read-only.
    if is_threaded(link)? == threaded {
        return Ok(());
    }
    fs::write(folder(link)?.join("threaded"), if threaded { "1" } else { "0" })
}

/// The interface in sysfs, if it is this one.
fn folder(link: &Link) -> io::Result<PathBuf> {
    let folder = PathBuf::from("/sys/class/net").join(&link.name);
    let says =
        |name, value: String| fs::read_to_string(folder.join(name)).is_ok_and(|text| text.trim() == value);
    let address: Vec<String> = link.mac.iter().map(|byte| format!("{byte:02x}")).collect();
    if says("ifindex", link.index.to_string()) && says("address", address.join(":")) {
        Ok(folder)
    } else {
        Err(io::Error::other("sysfs is not that of this network namespace"))
    }
}
