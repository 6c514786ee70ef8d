//! The pair of interfaces over which workers give packets to the kernel: made at start, removed at the end.

use std::{fs, io};

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage},
};

use crate::{compile::HOST_PAIR, mirror::Requests};

/// The longest packet that goes over the pair.
const MTU: u32 = 9000;

/// Makes the pair, with so many queues, unless it is there: then another process has it, or has left it. Says whether it was made.
///
/// # Errors
/// What the kernel said.
pub fn make(queues: usize) -> io::Result<bool> {
    let requests = Requests::open()?;
    let [ours, kernels] = HOST_PAIR;
    let queues = u32::try_from(queues).unwrap_or(1).max(1);
    let end = |name: &str| {
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::Mtu(MTU),
            LinkAttribute::NumTxQueues(queues),
            LinkAttribute::NumRxQueues(queues),
        ];
        message
    };
    let mut message = end(kernels);
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(end(ours)))),
    ]));
    let flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK;
    match requests.ask(RouteNetlinkMessage::NewLink(message), flags) {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::EXIST.raw_os_error()) => {
            return Ok(false);
        }
        Err(error) => return Err(error),
        Ok(()) => {}
    }
    for name in HOST_PAIR {
        // Nobody is to be told of it, and nothing it says to be believed. What remains is harmless.
        let _best_effort = fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1");
        // Neither can be up before the other is there.
        let mut message = LinkMessage::default();
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        message.attributes.push(LinkAttribute::IfName(name.to_owned()));
        requests.ask(RouteNetlinkMessage::SetLink(message), NLM_F_REQUEST | NLM_F_ACK)?;
    }
    Ok(true)
}

/// Removes the pair, if it is there.
///
/// # Errors
/// What the kernel said.
pub fn remove() -> io::Result<()> {
    let [ours, _] = HOST_PAIR;
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(ours.to_owned()));
    let gone = |error: io::Error| {
        if error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error()) {
            Ok(())
        } else {
            Err(error)
        }
    };
    Requests::open()?.ask(RouteNetlinkMessage::DelLink(message), NLM_F_REQUEST | NLM_F_ACK).or_else(gone)
}
