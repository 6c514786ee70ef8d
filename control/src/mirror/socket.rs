//! The sockets: one that hears what the kernel says and asks for lists, and one for requests.

use std::{io, net::IpAddr};

use netlink_packet_core::{
    Emitable, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR,
    NetlinkBuffer, NetlinkHeader, NetlinkMessage, NetlinkPayload, parse_i32,
};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::AddressMessage,
    link::{LinkAttribute, LinkExtentMask, LinkMessage},
    neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage},
    route::RouteMessage,
    rule::RuleMessage,
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use rustix::net::{RecvFlags, sockopt};

use super::{
    dump::Part,
    things::{Family, LinkIndex},
};

/// The groups of `linux/rtnetlink.h` that speak of what is mirrored: links, neighbours, and for each version of IP addresses, routes and
/// rules, and how they are set (`netconf`); then next-hop objects.
const GROUPS: [u32; 10] = [1, 3, 5, 7, 8, 9, 11, 19, 24, 25];
const OBJECTS: u32 = 32;

const GETNEXTHOP: u16 = 106;

/// More than the kernel puts into one datagram, as lists come in pieces of at most 32 KiB, and the attributes of one message have at most 64.
const LARGEST: usize = 256 << 10;

/// What a look at the socket brought.
#[derive(Debug)]
pub(super) enum Heard {
    /// A datagram, which may be empty.
    Datagram,
    /// Nothing is there.
    Silence,
    /// The kernel had no room for what it wanted to say.
    Lost,
}

/// Hears what the kernel says.
#[derive(Debug)]
pub(super) struct Ear {
    socket: Socket,
    buffer: Vec<u8>,
    port: u32,
    sequence: u32,
}

impl Ear {
    /// Begins to listen, with room for so many bytes that are not yet taken.
    pub(super) fn open(room: usize) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        // Beyond what the system allows everybody, if we may.
        sockopt::set_socket_recv_buffer_size_force(&socket, room)
            .or_else(|_| sockopt::set_socket_recv_buffer_size(&socket, room))?;
        let port = socket.bind_auto()?.port_number();
        // Since Linux 4.20. Without it the kernel lists more than was asked for, which does no harm.
        let _lenient = socket.set_netlink_get_strict_chk(true);
        for group in GROUPS {
            socket.add_membership(group)?;
        }
        // Since Linux 5.3.
        let _without_objects = socket.add_membership(OBJECTS);
        Ok(Self { socket, buffer: Vec::with_capacity(LARGEST), port, sequence: 0 })
    }

    /// What to wait for.
    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Asks for a list.
    pub(super) fn ask(&mut self, part: Part) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let request = request(part, self.sequence);
        self.socket.send_to(&request, &SocketAddr::new(0, 0), 0)?;
        Ok(())
    }

    /// Whether a message answers something that was asked.
    pub(super) fn is_ours(&self, message: &NetlinkBuffer<&[u8]>) -> bool {
        message.port_number() == self.port
    }

    /// Whether a message answers what was asked last.
    pub(super) fn is_answer(&self, message: &NetlinkBuffer<&[u8]>) -> bool {
        self.is_ours(message) && message.sequence_number() == self.sequence
    }

    /// The datagram that was heard last.
    pub(super) fn datagram(&self) -> &[u8] {
        &self.buffer
    }

    /// Takes a datagram, if one is there.
    pub(super) fn hear(&mut self) -> io::Result<Heard> {
        self.buffer.clear();
        let flags = (RecvFlags::DONTWAIT | RecvFlags::TRUNC).bits().cast_signed();
        match self.socket.recv_from(&mut self.buffer, flags) {
            // Only the kernel is believed.
            Ok((_, from)) if from.port_number() != 0 => {
                self.buffer.clear();
                Ok(Heard::Datagram)
            }
            Ok((length, _)) if length > self.buffer.len() => Ok(Heard::Lost),
            Ok(_) => Ok(Heard::Datagram),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Heard::Silence),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Heard::Datagram),
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error()) => {
                Ok(Heard::Lost)
            }
            Err(error) => Err(error),
        }
    }
}

/// Asks the kernel to do something.
#[derive(Debug)]
pub struct Requests {
    socket: Socket,
}

impl Requests {
    /// Opens the socket. What it can be used for depends also on what the thread may that uses it: `CAP_NET_ADMIN`.
    ///
    /// # Errors
    /// What the system said.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        // As in `Ear::open`.
        let _lenient = socket.set_netlink_get_strict_chk(true);
        Ok(Self { socket })
    }

    /// Has the kernel find out who is at an address of a link, or confirm what it has not used for a while. The answer comes as a change of the neighbour.
    ///
    /// # Errors
    /// What the kernel said: the link is gone or down, the table of neighbours is full, or the privilege is missing.
    pub fn resolve(&self, link: LinkIndex, address: IpAddr) -> io::Result<()> {
        let mut neighbour = NeighbourMessage::default();
        neighbour.header.ifindex = link.0;
        neighbour.header.flags = NeighbourFlags::Use;
        let destination = match address {
            IpAddr::V4(address) => NeighbourAddress::Inet(address),
            IpAddr::V6(address) => NeighbourAddress::Inet6(address),
        };
        neighbour.header.family = match address {
            IpAddr::V4(_) => AddressFamily::Inet,
            IpAddr::V6(_) => AddressFamily::Inet6,
        };
        neighbour.attributes = vec![NeighbourAttribute::Destination(destination)];
        let flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_ACK;
        self.ask(RouteNetlinkMessage::NewNeighbour(neighbour), flags)
    }

    /// Asks for something, with `NLM_F_ACK` among the flags, and waits for the answer.
    ///
    /// # Errors
    /// What the kernel said.
    pub(crate) fn ask(&self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.socket.send_to(&bytes(message, flags, 1), &SocketAddr::new(0, 0), 0)?;
        // The kernel has answered when the system call returns.
        let mut answer = Vec::with_capacity(4096);
        self.socket.recv_from(&mut answer, RecvFlags::DONTWAIT.bits().cast_signed())?;
        let answer: NetlinkMessage<RouteNetlinkMessage> =
            NetlinkMessage::deserialize(&answer).map_err(io::Error::other)?;
        if let NetlinkPayload::Error(error) = answer.payload
            && error.code.is_some()
        {
            return Err(error.to_io());
        }
        Ok(())
    }
}

/// A message: its type, and what is behind its netlink header.
pub(crate) type Listed = (u16, Vec<u8>);

impl Requests {
    /// How often to ask again for a list that something changed while the kernel made it.
    const TRIES: usize = 5;

    /// Asks for a list, and takes it. If things go on changing, some of them may be missing.
    ///
    /// # Errors
    /// What the kernel said.
    pub(crate) fn list(&self, message: &RouteNetlinkMessage) -> io::Result<Vec<Listed>> {
        let mut listed = Vec::new();
        for _ in 0..Self::TRIES {
            let is_torn;
            (listed, is_torn) = self.answers(message.clone(), NLM_F_REQUEST | NLM_F_DUMP)?;
            if !is_torn {
                break;
            }
        }
        Ok(listed)
    }

    /// Asks for one thing, and takes it.
    ///
    /// # Errors
    /// What the kernel said: most often that it is not there.
    pub(crate) fn get(&self, message: RouteNetlinkMessage) -> io::Result<Listed> {
        let (listed, _) = self.answers(message, NLM_F_REQUEST | NLM_F_ACK)?;
        listed.into_iter().next().ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Asks, and takes what comes until the kernel says that this was all. Says also whether something changed meanwhile.
    fn answers(&self, message: RouteNetlinkMessage, flags: u16) -> io::Result<(Vec<Listed>, bool)> {
        self.socket.send_to(&bytes(message, flags, 1), &SocketAddr::new(0, 0), 0)?;
        let (mut listed, mut is_torn) = (Vec::new(), false);
        let mut datagram = Vec::with_capacity(LARGEST);
        loop {
            datagram.clear();
            // The kernel makes a piece of a list when the one before is taken.
            self.socket.recv_from(&mut datagram, RecvFlags::DONTWAIT.bits().cast_signed())?;
            let mut rest = datagram.as_slice();
            while let Ok(message) = NetlinkBuffer::new_checked(rest) {
                is_torn |= message.flags() & NLM_F_DUMP_INTR != 0;
                match message.message_type() {
                    NLMSG_DONE | NLMSG_ERROR => {
                        let code = message.payload().get(..4).and_then(|code| parse_i32(code).ok());
                        return match code.unwrap_or_default() {
                            0.. => Ok((listed, is_torn)),
                            code => Err(io::Error::from_raw_os_error(-code)),
                        };
                    }
                    kind => listed.push((kind, message.payload().to_vec())),
                }
                let length = usize::try_from(message.length()).unwrap_or(usize::MAX);
                rest = rest.get(length.saturating_add(3) & !3..).unwrap_or_default();
            }
        }
    }
}

/// The request for a list.
fn request(part: Part, sequence: u32) -> Vec<u8> {
    let version = |family| match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    };
    let message = match part {
        Part::Links => {
            let mut message = LinkMessage::default();
            message.header.link_layer_type = 0.into();
            message.attributes = vec![LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats])];
            RouteNetlinkMessage::GetLink(message)
        }
        Part::Addresses => RouteNetlinkMessage::GetAddress(AddressMessage::default()),
        Part::Rules(family) => {
            let mut message = RuleMessage::default();
            message.header.family = version(family);
            RouteNetlinkMessage::GetRule(message)
        }
        Part::Routes(family) => {
            let mut message = RouteMessage::default();
            message.header.address_family = version(family);
            RouteNetlinkMessage::GetRoute(message)
        }
        Part::Neighbours => RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default()),
        Part::Objects => return objects(sequence),
    };
    bytes(message, NLM_F_REQUEST | NLM_F_DUMP, sequence)
}

fn bytes(message: RouteNetlinkMessage, flags: u16, sequence: u32) -> Vec<u8> {
    let mut message = NetlinkMessage::from(message);
    message.header.flags = flags;
    message.header.sequence_number = sequence;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// The request for next-hop objects, which the library does not know: a header and an empty `struct nhmsg`.
fn objects(sequence: u32) -> Vec<u8> {
    let mut bytes = vec![0; 24];
    let mut header = NetlinkHeader::default();
    header.length = 24;
    header.message_type = GETNEXTHOP;
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    header.sequence_number = sequence;
    header.emit(&mut bytes);
    bytes
}
