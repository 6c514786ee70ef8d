//! The programs in the kernel: load, attach, count, detach.
//!
//! Promises: whatever was attached stays attached when the process dies, and is found and replaced, or removed by
//! [`detach`], through the names of the programs. A program that is not ours is never replaced or removed.
//! Refuses: links and pins (see `docs/adr/0003-attach-through-netlink.md`). Read next: `bpf/ravelin.bpf.c`.

use std::{
    ffi::OsStr,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use libbpf_rs::{
    MapCore, MapFlags, MapHandle, Object, ObjectBuilder, TC_EGRESS, TC_INGRESS, TcAttachPoint, TcHook,
    TcHookBuilder, Xdp, XdpFlags, libbpf_sys, query::ProgInfoIter,
};

use super::{
    AfXdpError, Link, Owner,
    blocklist::Maps,
    error::chain,
    messages::{self, Messages},
    netlink,
    own::OwnMaps,
    owner,
};

/// All our programs are called so; the kernel keeps the name, and [`detach`] finds them by it.
pub(super) const PREFIX: &str = "ravelin_";
pub(super) const XDP_PROGRAM: &str = "ravelin_xdp";
const TWIN: &str = "ravelin_twin";
const SENT: &str = "ravelin_sent";
const LOCAL: &str = "ravelin_local";
/// Where our filter stands among those of others: first, so that nothing consumes what is for the twin.
const TC_PRIORITY: u32 = 1;
const TC_HANDLE: u32 = 0x7261;

/// How many counters the programs keep.
#[cfg(test)]
pub(super) const COUNTERS: u32 = 12;

/// `BPF_F_XDP_DEV_BOUND_ONLY` of `linux/bpf.h`: the program may call metadata functions of its device.
const DEV_BOUND_ONLY: u32 = 1 << 6;

/// The sections of an object file have to be aligned in memory.
#[repr(C, align(16))]
pub(super) struct Aligned<T: ?Sized>(pub T);

pub(super) static PLAIN: &Aligned<[u8]> =
    &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/ravelin.bpf.o")));
pub(super) static TAGGED: &Aligned<[u8]> =
    &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/ravelin_tag.bpf.o")));

/// How a program runs on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachMode {
    /// In the driver, before the kernel has made anything of the frame.
    Native,
    /// In the kernel's common receive path, on every driver.
    Generic,
}

impl AttachMode {
    fn flags(self) -> XdpFlags {
        match self {
            Self::Native => XdpFlags::DRV_MODE,
            Self::Generic => XdpFlags::SKB_MODE,
        }
    }
}

/// Which way the operator wants programs to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AttachChoice {
    /// Native, and generic where the driver refuses.
    #[default]
    Auto,
    /// Native or not at all.
    Native,
    /// Generic.
    Generic,
}

/// What happens to frames for which there is no socket because the process died or restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutSocket {
    /// They are dropped.
    Closed,
    /// The kernel sends them out through the interface with this index.
    OpenTwin(u32),
    /// The kernel's own stack takes them.
    OpenKernel,
}

/// What is asked of the programs of an interface.
pub(super) struct Wanted {
    pub without_socket: WithoutSocket,
    pub max_frame: u32,
    pub beside: Beside,
}

/// Who has a part in an interface besides us.
pub(super) enum Beside {
    Nothing,
    /// The kernel, which is a router as we are.
    Kernel,
    /// It is our end of a pair; this is the kernel's.
    Pair(Link),
}

/// What the programs counted since they were loaded, over all CPUs. Frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelCounters {
    /// Handed to a socket; the socket counts what it could not take (`SocketStatistics`).
    pub redirected: u64,
    /// Dropped because a UMEM frame cannot hold them.
    pub oversized: u64,
    /// Left to the kernel because there was no socket.
    pub open_passed: u64,
    /// Dropped because there was no socket.
    pub closed_dropped: u64,
    /// Frames that got back in-band the VLAN tag that travelled beside them.
    pub vlan_restored: u64,
    /// Dropped because there was no room for their VLAN tag.
    pub vlan_lost: u64,
    /// Sent to the twin interface by the kernel.
    pub twin_redirected: u64,
    /// Seen by tc without our mark, and left to the kernel.
    pub twin_unmarked: u64,
    /// Dropped because their source is in the list.
    pub blocked: u64,
    /// Their bytes, without a VLAN tag that travelled beside them.
    pub blocked_bytes: u64,
    /// Of an interface that routes: frames that are the kernel's alone.
    pub kernel_passed: u64,
    /// Dropped at the kernel's end of the pair because they did not come from us.
    pub local_unmarked: u64,
}

/// A program attached to an interface. Dropping it leaves the program attached.
pub(super) struct Program {
    sockets: MapHandle,
    /// One map for the programs of all interfaces, see ravelin.bpf.c.
    process: MapHandle,
    counters: MapHandle,
    /// The same for the programs of all interfaces, too.
    pub list: Maps,
    /// As are these.
    pub own: OwnMaps,
    attached: Attached,
    /// The tc program, if there is one.
    filter: Option<Filter>,
    /// Why it does not run natively, if it does not.
    pub why_generic: Option<String>,
    /// Whether VLAN tags that travel beside the frame are put back.
    pub restores_tags: bool,
    /// Whether this program took the place of one that an earlier process left.
    pub replaced: bool,
}

impl Program {
    /// Loads and attaches the programs to `link`, in the place of those that an earlier process left. `sibling` is a
    /// program on another interface of this process.
    pub(super) fn attach(
        link: &Link,
        choice: AttachChoice,
        wanted: &Wanted,
        sibling: Option<&Self>,
    ) -> Result<Self, AfXdpError> {
        messages::capture_libbpf();
        let before = attached(link)?;
        let attempts: &[(AttachMode, bool)] = match choice {
            AttachChoice::Auto => {
                &[(AttachMode::Native, true), (AttachMode::Native, false), (AttachMode::Generic, false)]
            }
            AttachChoice::Native => &[(AttachMode::Native, true), (AttachMode::Native, false)],
            AttachChoice::Generic => &[(AttachMode::Generic, false)],
        };

        let mut refused: Vec<String> = Vec::new();
        for &(mode, tags) in attempts {
            let messages = Messages::start();
            let attempt = load(link, tags, wanted, sibling).and_then(|object| {
                Ok(Self {
                    sockets: map(&object, "sockets")?,
                    process: map(&object, "process")?,
                    counters: map(&object, "counters")?,
                    list: Maps::of(&object)?,
                    own: OwnMaps::of(&object)?,
                    filter: attach_filter(link, &object, wanted)?,
                    attached: attach_xdp(link, &object, mode, before.as_ref())?,
                    why_generic: (mode == AttachMode::Generic && choice == AttachChoice::Auto)
                        .then(|| refused.last().cloned().unwrap_or_default()),
                    restores_tags: tags,
                    replaced: before.is_some(),
                })
            });
            match attempt {
                Ok(program) => return Ok(program),
                Err(error) => refused.push(messages.explain(&chain(&error))),
            }
        }
        if before.is_none() {
            let _the_first_error_counts = detach_filters(link, &BOTH, |_| true);
        }
        refused.dedup();
        let reason = refused.join("; ");
        Err(AfXdpError::Program { interface: link.name.clone(), step: "attached", reason })
    }

    pub(super) fn mode(&self) -> AttachMode {
        self.attached.mode
    }

    /// Whether it is still the one that runs on the interface, as far as the kernel tells.
    pub(super) fn is_in_place(&self, link: &Link) -> bool {
        let ours = libbpf_rs::Program::id_from_fd(self.attached.fd.as_fd());
        match (running(link), ours) {
            (Ok(Some((running, _))), Ok(ours)) => running == ours,
            (Ok(None), _) => false,
            (Ok(Some(_)), Err(_)) | (Err(_), _) => true,
        }
    }

    /// Removes it. Unlike the free function it needs no capability but `CAP_NET_ADMIN`, because it asks for no program
    /// by number.
    pub(super) fn detach(&self, link: &Link) -> Result<(), AfXdpError> {
        remove_xdp(link, &self.attached).map_err(|error| failed(link, "detached", &error))?;
        if let Some(Filter { id, .. }) = self.filter.filter(|filter| filter.index == link.index) {
            detach_filters(link, &BOTH, |found| found == id)
                .map_err(|error| failed(link, "removed from tc", &error))?;
        }
        Ok(())
    }

    /// A map that the programs of all interfaces share.
    fn shared(&self, name: &OsStr) -> Option<&MapHandle> {
        [&self.process]
            .into_iter()
            .chain(self.list.all())
            .chain(self.own.all())
            .find(|map| map.name() == name)
    }

    /// Frames of `queue` go to `socket`, once the process is [`Self::announce`]d.
    pub(super) fn insert_socket(&self, queue: u32, socket: BorrowedFd<'_>) -> Result<(), libbpf_rs::Error> {
        insert(&self.sockets, queue, socket)
    }

    /// From now on, and until one of these two sockets closes, frames of all siblings' interfaces go to sockets.
    pub(super) fn announce(
        &self,
        first: BorrowedFd<'_>,
        last: BorrowedFd<'_>,
    ) -> Result<(), libbpf_rs::Error> {
        insert(&self.process, 0, first)?;
        insert(&self.process, 1, last)
    }

    pub(super) fn counters(&self) -> KernelCounters {
        let count = |counter: u32| {
            let values = self.counters.lookup_percpu(&counter.to_ne_bytes(), MapFlags::ANY).ok().flatten();
            let values = values.unwrap_or_default();
            values.into_iter().filter_map(|v| v.try_into().ok()).map(u64::from_ne_bytes).sum()
        };
        // The order of `enum counter` in ravelin.bpf.c, which has `COUNTERS` of them.
        KernelCounters {
            redirected: count(0),
            oversized: count(1),
            open_passed: count(2),
            closed_dropped: count(3),
            vlan_restored: count(4),
            vlan_lost: count(5),
            twin_redirected: count(6),
            twin_unmarked: count(7),
            blocked: count(8),
            blocked_bytes: count(9),
            kernel_passed: count(10),
            local_unmarked: count(11),
        }
    }
}

/// Whether one of our programs is attached to an interface.
///
/// # Errors
/// If somebody else's is, or the interface cannot be asked.
pub(super) fn is_attached(link: &Link) -> Result<bool, AfXdpError> {
    messages::capture_libbpf();
    attached(link).map(|ours| ours.is_some())
}

/// The running process that has attached a program to an interface.
pub(super) fn owner(link: &Link) -> Result<Option<Owner>, AfXdpError> {
    Ok(running(link)?.and_then(|(id, _)| owner::of_program(id)))
}

/// What was removed from an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Removed {
    /// How the XDP program ran.
    pub xdp: Option<AttachMode>,
    /// Whether there was a tc program.
    pub tc: bool,
}

/// Removes our programs from an interface, whoever attached them. Those of others stay.
///
/// # Errors
/// If the interface cannot be asked or the kernel refuses.
pub(super) fn detach(link: &Link) -> Result<Removed, AfXdpError> {
    messages::capture_libbpf();
    let mut removed = Removed::default();
    match attached(link) {
        Ok(Some(ours)) => {
            remove_xdp(link, &ours).map_err(|error| failed(link, "detached", &error))?;
            removed.xdp = Some(ours.mode);
        }
        Ok(None) | Err(AfXdpError::Occupied { .. }) => (),
        Err(error) => return Err(error),
    }
    removed.tc =
        detach_filters(link, &BOTH, is_ours).map_err(|error| failed(link, "removed from tc", &error))?;
    Ok(removed)
}

/// Our program that is attached to an interface.
struct Attached {
    fd: OwnedFd,
    mode: AttachMode,
}

fn attached(link: &Link) -> Result<Option<Attached>, AfXdpError> {
    let Some((id, mode)) = running(link)? else { return Ok(None) };
    let name = program_name(id);
    if !name.starts_with(PREFIX) {
        return Err(AfXdpError::Occupied { interface: link.name.clone(), program: name });
    }
    let fd = libbpf_rs::Program::fd_from_id(id).map_err(|error| failed(link, "looked for", &error))?;
    Ok(Some(Attached { fd, mode }))
}

/// The number of the program that is attached to an interface, whoever's it is.
pub(super) fn running(link: &Link) -> Result<Option<(u32, AttachMode)>, AfXdpError> {
    let found = query(link)?;
    Ok(match (found.drv_prog_id.max(found.hw_prog_id), found.skb_prog_id) {
        (0, 0) => None,
        (0, generic) => Some((generic, AttachMode::Generic)),
        (native, _) => Some((native, AttachMode::Native)),
    })
}

/// What the kernel says of an interface and XDP.
pub(super) fn query(link: &Link) -> Result<libbpf_sys::bpf_xdp_query_opts, AfXdpError> {
    let mut found = libbpf_sys::bpf_xdp_query_opts {
        sz: size_of::<libbpf_sys::bpf_xdp_query_opts>() as _,
        ..Default::default()
    };
    // SAFETY: `found` states its own size, is exclusively ours and outlives the call.
    let result = unsafe { libbpf_sys::bpf_xdp_query(signed(link.index), 0, &mut found) };
    if result < 0 {
        return Err(failed(link, "looked for", &io::Error::from_raw_os_error(-result)));
    }
    Ok(found)
}

fn failed(link: &Link, step: &'static str, error: &dyn std::error::Error) -> AfXdpError {
    AfXdpError::Program { interface: link.name.clone(), step, reason: chain(error) }
}

/// The name of a program; empty if it cannot be seen.
pub(super) fn program_name(id: u32) -> String {
    let info = ProgInfoIter::default().find(|info| info.id == id);
    info.map(|info| info.name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn load(
    link: &Link,
    tags: bool,
    wanted: &Wanted,
    sibling: Option<&Program>,
) -> Result<Object, libbpf_rs::Error> {
    let object = if tags { TAGGED } else { PLAIN };
    let mut object = ObjectBuilder::default().name("ravelin")?.open_memory(&object.0)?;
    for mut map in object.maps_mut() {
        if map.name().to_string_lossy().ends_with(".rodata") {
            map.set_initial_value(&configuration(link, wanted))?;
        } else if map.name() == "sockets" {
            map.set_max_entries(link.queues.max(64))?;
        } else if let Some(shared) = sibling.and_then(|sibling| sibling.shared(map.name())) {
            map.reuse_fd(shared.as_fd())?;
        }
    }
    for mut program in object.progs_mut() {
        if tags && program.name() == XDP_PROGRAM {
            program.set_ifindex(link.index);
            program.set_flags(DEV_BOUND_ONLY);
        }
    }
    object.load()
}

/// The bytes of `config` in ravelin.bpf.c.
pub(super) fn configuration(link: &Link, wanted: &Wanted) -> Vec<u8> {
    let (open, twin, blocks) = match wanted.without_socket {
        WithoutSocket::Closed => (0, 0, 1),
        WithoutSocket::OpenTwin(index) => (1, index, 1),
        WithoutSocket::OpenKernel => (1, 0, 1),
    };
    let (blocks, routes) = match wanted.beside {
        // A monitor: nothing passes it that could be blocked, and it wants to see everything.
        Beside::Nothing if wanted.without_socket == WithoutSocket::OpenKernel => (0, 0),
        Beside::Nothing | Beside::Pair(_) => (blocks, 0),
        Beside::Kernel => (blocks, 1),
    };
    let words = [wanted.max_frame, open, twin, blocks, routes].into_iter().flat_map(u32::to_ne_bytes);
    words.chain(link.mac).chain([0; 2]).collect()
}

fn attach_xdp(
    link: &Link,
    object: &Object,
    mode: AttachMode,
    before: Option<&Attached>,
) -> Result<Attached, libbpf_rs::Error> {
    if let Some(before) = before.filter(|before| before.mode != mode) {
        // The kernel replaces atomically within a mode, and refuses two modes at a time. An earlier attempt may have
        // removed it already.
        let _already_gone = remove_xdp(link, before);
    }
    let fd = program(object, XDP_PROGRAM)?.as_fd().try_clone_to_owned()?;
    Xdp::new(fd.as_fd()).attach(signed(link.index), mode.flags())?;
    Ok(Attached { fd, mode })
}

fn remove_xdp(link: &Link, ours: &Attached) -> Result<(), libbpf_rs::Error> {
    let options = libbpf_sys::bpf_xdp_attach_opts {
        sz: size_of::<libbpf_sys::bpf_xdp_attach_opts>() as _,
        old_prog_fd: ours.fd.as_raw_fd(),
        ..Default::default()
    };
    let flags = (ours.mode.flags() | XdpFlags::REPLACE).bits();
    // SAFETY: `options` states its own size and outlives the call, as does the descriptor in it. Naming the expected
    // program makes the kernel refuse if another has taken its place since we looked.
    let result = unsafe { libbpf_sys::bpf_xdp_detach(signed(link.index), flags, &options) };
    if result < 0 { Err(libbpf_rs::Error::from_raw_os_error(-result)) } else { Ok(()) }
}

/// A program that tc runs.
#[derive(Clone, Copy, Debug)]
struct Filter {
    /// On which interface.
    index: u32,
    /// Its number.
    id: u32,
}

/// Has tc run the program that an interface needs there, if it needs one.
fn attach_filter(link: &Link, object: &Object, wanted: &Wanted) -> Result<Option<Filter>, libbpf_rs::Error> {
    let (link, name, point) = match (&wanted.beside, wanted.without_socket) {
        (Beside::Nothing, WithoutSocket::OpenTwin(_)) => (link, TWIN, TC_INGRESS),
        (Beside::Kernel, _) => (link, SENT, TC_EGRESS),
        (Beside::Pair(other), _) => (other, LOCAL, TC_INGRESS),
        (Beside::Nothing, WithoutSocket::Closed | WithoutSocket::OpenKernel) => {
            // An earlier process may have been told otherwise.
            return detach_filters(link, &BOTH, is_ours).map(|_found| None);
        }
    };
    // What is in the same place is replaced without a gap.
    let elsewhere = if point == TC_INGRESS { TC_EGRESS } else { TC_INGRESS };
    detach_filters(link, &[elsewhere], is_ours)?;
    let program = program(object, name)?;
    let mut hook = hook(link, program.as_fd(), point);
    hook.create()?;
    hook.attach()?;
    Ok(Some(Filter { index: link.index, id: libbpf_rs::Program::id_from_fd(program.as_fd())? }))
}

/// Where tc can run programs.
const BOTH: [TcAttachPoint; 2] = [TC_INGRESS, TC_EGRESS];

fn is_ours(id: u32) -> bool {
    program_name(id).starts_with(PREFIX)
}

/// Whether there was such a one.
fn detach_filters(
    link: &Link,
    points: &[TcAttachPoint],
    is_it: impl Fn(u32) -> bool,
) -> Result<bool, libbpf_rs::Error> {
    // The query wants no descriptor of a program, but libbpf-rs does.
    let any = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).map_err(io::Error::from)?;
    let mut found = false;
    for point in points {
        let mut hook = hook(link, any.as_fd(), *point);
        // An error is: no such filter, or no clsact qdisc at all.
        if hook.query().is_ok_and(&is_it) {
            hook.detach()?;
            found = true;
        }
    }
    // The clsact qdisc goes too, unless somebody else's filters are in it.
    if found && netlink::filters(link.index).is_ok_and(|others| others.is_empty()) {
        hook(link, any.as_fd(), TC_INGRESS | TC_EGRESS).destroy()?;
    }
    Ok(found)
}

fn hook(link: &Link, program: BorrowedFd<'_>, point: TcAttachPoint) -> TcHook {
    TcHookBuilder::new(program)
        .ifindex(signed(link.index))
        .handle(TC_HANDLE)
        .priority(TC_PRIORITY)
        .replace(true)
        .hook(point)
}

fn program<'a>(object: &'a Object, name: &str) -> Result<libbpf_rs::Program<'a>, libbpf_rs::Error> {
    object.progs().find(|program| program.name() == name).ok_or_else(not_in_object)
}

fn insert(map: &MapHandle, key: u32, socket: BorrowedFd<'_>) -> Result<(), libbpf_rs::Error> {
    map.update(&key.to_ne_bytes(), &socket.as_raw_fd().to_ne_bytes(), MapFlags::ANY)
}

pub(super) fn map(object: &Object, name: &str) -> Result<MapHandle, libbpf_rs::Error> {
    let map = object.maps().find(|map| map.name() == name).ok_or_else(not_in_object)?;
    MapHandle::try_from(&map)
}

fn not_in_object() -> libbpf_rs::Error {
    io::Error::from(io::ErrorKind::NotFound).into()
}

/// Interface indexes are positive; libbpf takes them as `int`.
fn signed(index: u32) -> i32 {
    index.cast_signed()
}
