//! One question that libbpf cannot ask: whether any tc filter is attached to an interface.

use std::io;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

const RTM_GETTFILTER: u16 = 46;
const RTM_NEWTFILTER: u16 = 44;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP: u16 = 0x300;
const CLSACT_INGRESS: u32 = 0xffff_fff2; // TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)
const CLSACT_EGRESS: u32 = 0xffff_fff3;

/// Whether the clsact qdisc of an interface has filters, in either direction.
pub(super) fn has_filters(index: u32) -> io::Result<bool> {
    Ok(dump(index, CLSACT_INGRESS)? || dump(index, CLSACT_EGRESS)?)
}

/// Protocol 0 of the netlink family is rtnetlink.
fn dump(index: u32, parent: u32) -> io::Result<bool> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    // `struct nlmsghdr`, `struct tcmsg`.
    let mut request = Vec::with_capacity(36);
    request.extend_from_slice(&36_u32.to_ne_bytes());
    request.extend_from_slice(&RTM_GETTFILTER.to_ne_bytes());
    request.extend_from_slice(&(NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    request.extend_from_slice(&[0; 8]); // sequence, port
    request.extend_from_slice(&[0; 4]); // family and padding
    request.extend_from_slice(&index.to_ne_bytes());
    request.extend_from_slice(&[0; 4]); // handle
    request.extend_from_slice(&parent.to_ne_bytes());
    request.extend_from_slice(&[0; 4]); // info
    send(&socket, &request, SendFlags::empty())?;

    // The first message tells: either a filter, or the end of the list, or an error (no such qdisc).
    let mut answer = [0; 8192];
    let (length, _) = recv(&socket, &mut answer, RecvFlags::empty())?;
    let header = answer.get(..length).and_then(|answer| answer.get(4..6));
    Ok(header == Some(&RTM_NEWTFILTER.to_ne_bytes()))
}
