//! Another question that no crate in use asks: which kernel threads do an interface's receive work.
//!
//! Generic netlink, family `netdev`, since Linux 6.8 (`linux/netdev.h`, `linux/genetlink.h`). Unlike the threads' names and unlike
//! sysfs, the answer is about this network namespace. Promises: whatever the answer is, reading it ends and never panics.

use std::io;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink::GENERIC, recv, send, socket_with,
};

const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP: u16 = 0x300;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const GENL_ID_CTRL: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const NETDEV_CMD_NAPI_GET: u8 = 11;
const NETDEV_A_NAPI_IFINDEX: u16 = 1;
const NETDEV_A_NAPI_PID: u16 = 4;

/// Datagrams of one answer. A datagram has hundreds of entries, an interface has one for each queue.
const DATAGRAMS: usize = 64;
/// `struct nlmsghdr`, `struct genlmsghdr`.
const HEADERS: usize = 20;

/// For each NAPI instance of an interface the thread that it runs in, by its number in the kernel's first process namespace;
/// `None` if it runs in no thread.
pub(super) fn napi_threads(index: u32) -> io::Result<Vec<Option<u32>>> {
    let index = index.to_ne_bytes();
    let answers = ask(netdev()?, NETDEV_CMD_NAPI_GET, NLM_F_DUMP, NETDEV_A_NAPI_IFINDEX, &index)?;
    Ok(answers.iter().map(|attributes| number(attributes, NETDEV_A_NAPI_PID)).collect())
}

/// Whether the kernel says what a driver can do with XDP (Linux 6.3); libbpf asks it.
pub(super) fn knows_features() -> bool {
    netdev().is_ok()
}

/// The family's number.
fn netdev() -> io::Result<u16> {
    ask(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0, CTRL_ATTR_FAMILY_NAME, b"netdev\0")?
        .iter()
        .find_map(|attributes| number(attributes, CTRL_ATTR_FAMILY_ID))
        .and_then(|family| u16::try_from(family).ok())
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Asks with one attribute; returns the attributes of each answer.
fn ask(family: u16, command: u8, flags: u16, attribute: u16, value: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(GENERIC))?;
    let padded = value.len().next_multiple_of(4);
    let length =
        |bytes: usize| u16::try_from(bytes).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput));
    let mut request = Vec::with_capacity(HEADERS + 4 + padded);
    request.extend_from_slice(&u32::from(length(HEADERS + 4 + padded)?).to_ne_bytes());
    request.extend_from_slice(&family.to_ne_bytes());
    request.extend_from_slice(&(NLM_F_REQUEST | flags).to_ne_bytes());
    request.extend_from_slice(&[0; 8]); // sequence, port
    request.extend_from_slice(&[command, 1, 0, 0]); // version 1
    request.extend_from_slice(&length(4 + value.len())?.to_ne_bytes());
    request.extend_from_slice(&attribute.to_ne_bytes());
    request.extend_from_slice(value);
    request.resize(HEADERS + 4 + padded, 0);
    send(&socket, &request, SendFlags::empty())?;

    let mut found = Vec::new();
    let mut answer = vec![0; 1 << 16];
    for _ in 0..DATAGRAMS {
        let (length, _) = recv(&socket, answer.as_mut_slice(), RecvFlags::empty())?;
        if read(answer.get(..length).unwrap_or_default(), &mut found)? || flags & NLM_F_DUMP == 0 {
            return Ok(found);
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

/// Adds the attributes of a datagram's messages to `found`. Returns whether the list ends in it.
pub(super) fn read(datagram: &[u8], found: &mut Vec<Vec<u8>>) -> io::Result<bool> {
    let mut rest = datagram;
    while let Some((header, _)) = rest.split_first_chunk::<16>() {
        let [l0, l1, l2, l3, k0, k1, ..] = *header;
        let length = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        let message = rest.get(..length).filter(|message| message.len() >= 16);
        let message = message.ok_or(io::ErrorKind::InvalidData)?;
        match u16::from_ne_bytes([k0, k1]) {
            // Both have an error number next, which is negative (`struct nlmsgerr`); a list that ended well has zero.
            NLMSG_DONE | NLMSG_ERROR => {
                let code = message
                    .get(16..)
                    .and_then(<[u8]>::first_chunk)
                    .map_or(0, |code| i32::from_ne_bytes(*code));
                return if code == 0 {
                    Ok(true)
                } else {
                    Err(io::Error::from_raw_os_error(code.saturating_neg()))
                };
            }
            _ => found.push(message.get(HEADERS..).unwrap_or_default().to_vec()),
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// The first attribute of this kind, if it is a number of 16 or 32 bits.
pub(super) fn number(attributes: &[u8], kind: u16) -> Option<u32> {
    match *attribute(attributes, kind)? {
        [a, b] => Some(u16::from_ne_bytes([a, b]).into()),
        [a, b, c, d] => Some(u32::from_ne_bytes([a, b, c, d])),
        _ => None,
    }
}

/// The value of the first attribute of this kind.
pub(super) fn attribute(attributes: &[u8], kind: u16) -> Option<&[u8]> {
    /// `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`, which say something about the value.
    const FLAGS: u16 = 0xc000;
    let mut rest = attributes;
    while let Some(([l0, l1, k0, k1], _)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_ne_bytes([*l0, *l1]));
        let value = rest.get(4..length)?;
        if u16::from_ne_bytes([*k0, *k1]) & !FLAGS == kind {
            return Some(value);
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    None
}
