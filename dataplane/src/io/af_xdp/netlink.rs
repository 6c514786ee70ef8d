//! One question that libbpf cannot ask: which tc filters are attached to an interface.

use std::io;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

use super::genetlink;

const RTM_GETTFILTER: u16 = 46;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP: u16 = 0x300;
const CLSACT_INGRESS: u32 = 0xffff_fff2; // TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)
const CLSACT_EGRESS: u32 = 0xffff_fff3;
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_BPF_NAME: u16 = 7;

/// Datagrams of one answer that are read; there are never so many filters.
const DATAGRAMS: usize = 64;
/// `struct tcmsg`, less the four bytes of it that `genetlink::read` takes for a header.
const REST_OF_HEADER: usize = 16;

/// The names of the filters in the clsact qdisc of an interface, in either direction: those of programs, or else the kind of
/// filter.
pub(super) fn filters(index: u32) -> io::Result<Vec<String>> {
    Ok([dump(index, CLSACT_INGRESS)?, dump(index, CLSACT_EGRESS)?].concat())
}

/// Protocol 0 of the netlink family is rtnetlink.
fn dump(index: u32, parent: u32) -> io::Result<Vec<String>> {
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

    let mut found = Vec::new();
    let mut answer = vec![0; 1 << 16];
    for _ in 0..DATAGRAMS {
        let (length, _) = recv(&socket, answer.as_mut_slice(), RecvFlags::empty())?;
        // An error is: no such qdisc.
        if genetlink::read(answer.get(..length).unwrap_or_default(), &mut found).unwrap_or(true) {
            break;
        }
    }
    Ok(found.iter().filter_map(|message| name(message.get(REST_OF_HEADER..)?)).collect())
}

/// The name of a filter. The head of a list of filters has no options, and is none.
fn name(attributes: &[u8]) -> Option<String> {
    let options = genetlink::attribute(attributes, TCA_OPTIONS)?;
    let name =
        genetlink::attribute(options, TCA_BPF_NAME).or_else(|| genetlink::attribute(attributes, TCA_KIND))?;
    Some(String::from_utf8_lossy(name).trim_end_matches('\0').to_owned())
}
