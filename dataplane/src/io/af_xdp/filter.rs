//! Programs that tc runs beside the one of XDP.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use libbpf_rs::{Object, TC_EGRESS, TC_INGRESS, TcAttachPoint, TcHook, TcHookBuilder};

use super::{
    Link, netlink,
    program::{Beside, PREFIX, Wanted, WithoutSocket, program, program_name, signed},
};

const TWIN: &str = "ravelin_twin";
const SENT: &str = "ravelin_sent";
const LOCAL: &str = "ravelin_local";
/// Where our filter stands among those of others: first, so that nothing consumes what is for the twin.
const TC_PRIORITY: u32 = 1;
const TC_HANDLE: u32 = 0x7261;

/// A program that tc runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filter {
    /// On which interface.
    pub(super) index: u32,
    /// Its number.
    pub(super) id: u32,
}

/// Has tc run the program that an interface needs there, if it needs one.
pub(super) fn attach(
    link: &Link,
    object: &Object,
    wanted: &Wanted,
) -> Result<Option<Filter>, libbpf_rs::Error> {
    let (link, name, point) = match (&wanted.beside, wanted.without_socket) {
        (Beside::Nothing, WithoutSocket::OpenTwin(_)) => (link, TWIN, TC_INGRESS),
        (Beside::Kernel, _) => (link, SENT, TC_EGRESS),
        (Beside::Pair(other), _) => (other, LOCAL, TC_INGRESS),
        (Beside::Nothing, WithoutSocket::Closed | WithoutSocket::OpenKernel) => {
            // An earlier process may have been told otherwise.
            return detach(link, &BOTH, is_ours).map(|_found| None);
        }
    };
    // What is in the same place is replaced without a gap.
    let elsewhere = if point == TC_INGRESS { TC_EGRESS } else { TC_INGRESS };
    detach(link, &[elsewhere], is_ours)?;
    let program = program(object, name)?;
    let mut hook = hook(link, program.as_fd(), point);
    hook.create()?;
    hook.attach()?;
    Ok(Some(Filter { index: link.index, id: libbpf_rs::Program::id_from_fd(program.as_fd())? }))
}

/// Where tc can run programs.
pub(super) const BOTH: [TcAttachPoint; 2] = [TC_INGRESS, TC_EGRESS];

pub(super) fn is_ours(id: u32) -> bool {
    program_name(id).starts_with(PREFIX)
}

/// Whether there was such a one.
pub(super) fn detach(
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
