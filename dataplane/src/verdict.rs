//! What is decided for a packet ([`Verdict`]) and why it was dropped ([`DropReason`]).
//!
//! A drop reason is declared once, in the table below; the declaration yields the variant, the counter, the metric
//! label, the line in `docs/counters.md` and the text that the command line prints.

use crate::{handoff::WorkerId, io::PortId};

/// What has been decided for a packet so far. Stages only move a verdict forward: from `Undecided` to one of the
/// others, from `Allow` to `Forward`, `Consume` or `Drop`; `settle` turns every final verdict into one disposition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// No stage has decided yet.
    #[default]
    Undecided,
    /// Policy lets the packet pass; where to is the forward stage's business.
    Allow,
    /// Leaves through this port.
    Forward(PortId),
    /// Belongs to a flow of another worker and goes to it over a ring.
    Handoff(WorkerId),
    /// Given to the kernel that the appliance runs on: for one of its addresses, or for it to forward.
    Local,
    /// Taken by the appliance itself, such as everything that a monitor interface receives.
    Consume,
    /// Dropped, and why.
    Drop(DropReason),
}

impl Verdict {
    /// Whether classifiers still have to look at the packet.
    pub const fn is_undecided(self) -> bool {
        matches!(self, Self::Undecided)
    }
}

macro_rules! drop_reasons {
    ($($group:ident { $($variant:ident $name:literal $help:literal,)+ })+) => {
        /// Why a packet was dropped. Every packet that does not leave has exactly one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum DropReason {
            $($(#[doc = $help] $variant,)+)+
        }

        impl DropReason {
            /// Every reason, in the order of declaration, which is the order of the pipeline.
            pub const ALL: &[Self] = &[$($(Self::$variant,)+)+];

            /// The reason's name in counters, metrics, records and on the command line.
            pub const fn name(self) -> &'static str {
                match self { $($(Self::$variant => $name,)+)+ }
            }

            /// One sentence that explains the reason to an operator.
            pub const fn help(self) -> &'static str {
                match self { $($(Self::$variant => $help,)+)+ }
            }

            /// The step of the pipeline that drops for this reason.
            pub const fn group(self) -> DropGroup {
                match self { $($(Self::$variant => DropGroup::$group,)+)+ }
            }
        }
    };
}

drop_reasons! {
    Kernel {
        ThreatKernel "threat_kernel" "A feed names the sender, and the kernel drops what comes from there before a worker sees it.",
    }
    Decode {
        EthernetTruncated "ethernet_truncated" "The frame is shorter than an Ethernet header.",
        VlanTruncated "vlan_truncated" "The frame ends inside a VLAN tag.",
        VlanDepth "vlan_depth" "The frame carries more than two VLAN tags.",
        ArpMalformed "arp_malformed" "The ARP packet is cut off or its address lengths are wrong (RFC 826).",
        Ipv4Truncated "ipv4_truncated" "The frame ends inside the IPv4 header.",
        Ipv4Version "ipv4_version" "The EtherType says IPv4 but the version field does not.",
        Ipv4HeaderLength "ipv4_header_length" "The IPv4 header length is below 20 bytes or beyond the packet.",
        Ipv4TotalLength "ipv4_total_length" "The IPv4 total length is below the header length or beyond the frame.",
        Ipv4Checksum "ipv4_checksum" "The IPv4 header checksum is wrong.",
        Ipv6Truncated "ipv6_truncated" "The frame ends inside the IPv6 header.",
        Ipv6Version "ipv6_version" "The EtherType says IPv6 but the version field does not.",
        Ipv6Mapped "ipv6_mapped" "An address of the IPv6 packet stands for one of IPv4, which is for use within hosts and never on a link (RFC 6890 section 2.2.3).",
        Ipv6PayloadLength "ipv6_payload_length" "The IPv6 payload length is beyond the frame.",
        Ipv6Extension "ipv6_extension" "An IPv6 extension header is cut off or malformed.",
        Ipv6ExtensionDepth "ipv6_extension_depth" "The IPv6 packet carries more extension headers than are followed.",
        TcpTruncated "tcp_truncated" "The packet ends inside the TCP header.",
        TcpDataOffset "tcp_data_offset" "The TCP data offset is below 20 bytes or beyond the packet.",
        UdpTruncated "udp_truncated" "The packet ends inside the UDP header.",
        UdpLength "udp_length" "The UDP length is below 8 bytes or beyond the packet.",
        IcmpTruncated "icmp_truncated" "The packet ends inside the ICMP header.",
        Icmpv6Truncated "icmpv6_truncated" "The packet ends inside the ICMPv6 header.",
        SctpTruncated "sctp_truncated" "The packet ends inside the SCTP common header.",
    }
    Fragment {
        FragmentTiny "fragment_tiny" "A first fragment is too small to hold the transport header, or a later one starts inside it (RFC 1858, RFC 3128).",
        FragmentOverlap "fragment_overlap" "A fragment overlaps one that came before it or contradicts it about the datagram's end, or belongs to a datagram in which that happened (RFC 5722).",
        FragmentGaps "fragment_gaps" "A fragment would leave more gaps in its datagram than are tracked.",
        FragmentLength "fragment_length" "A fragment is empty, reaches beyond the largest possible datagram, or is not a multiple of 8 bytes though more follow.",
        FragmentOrphan "fragment_orphan" "A later fragment came without its first fragment, so no rule could judge it.",
        FragmentTableFull "fragment_table_full" "The fragment table is full and the configuration says drop.",
    }
    Handoff {
        HandoffFull "handoff_full" "The ring to the worker that owns the flow is full.",
    }
    Wireguard {
        WireguardMalformed "wireguard_malformed" "What came to the port of a tunnel is no message of WireGuard.",
        WireguardBadMac "wireguard_bad_mac" "A handshake message is not for the public key of the interface.",
        WireguardCookieRequired "wireguard_cookie_required" "There are many handshakes; the sender was sent a cookie, with which to repeat this one.",
        WireguardBusy "wireguard_busy" "There were more handshakes at once than are worked off in one turn; the sender repeats them.",
        WireguardUnknownPeer "wireguard_unknown_peer" "A handshake was begun by somebody who is no peer.",
        WireguardHandshakeFailed "wireguard_handshake_failed" "A handshake message is not authentic, not newer than one before, or not awaited.",
        WireguardUnknownIndex "wireguard_unknown_index" "A message names a session that no peer of the interface has.",
        WireguardNoSession "wireguard_no_session" "The session that a packet came under is gone, or none came up in time for one that was to leave.",
        WireguardReplay "wireguard_replay" "A packet came twice through a tunnel, or too late to be told from such.",
        WireguardBadTag "wireguard_bad_tag" "A packet that came through a tunnel is not authentic.",
        WireguardInside "wireguard_inside" "What came through a tunnel is no IP packet.",
        WireguardSource "wireguard_source_not_allowed" "The source of a packet that came through a tunnel is not among the allowed IPs of its peer.",
        WireguardCongestion "wireguard_congestion" "The message met congestion, and the packet inside is one whose sender could not be told (RFC 6040).",
        WireguardRequired "wireguard_required" "A packet to an allowed IP of a peer has to leave encrypted, and would not: its route leads elsewhere.",
        WireguardNoPeer "wireguard_no_peer" "No peer of the interface through which a packet leaves has its destination among its allowed IPs.",
        WireguardNoEndpoint "wireguard_no_endpoint" "Nobody knows yet where the peer is to which a packet goes.",
        WireguardQueueFull "wireguard_queue_full" "Too many packets wait for a session with their peer.",
        WireguardTooBig "wireguard_too_big" "A packet does not fit into a frame together with what its tunnel adds.",
        WireguardUnroutable "wireguard_unroutable" "A message cannot be sent to where the peer is: there is no way, or it leads into a tunnel.",
    }
    Flow {
        FlowTableFull "flow_table_full" "The flow table is full, nothing could be evicted and the configuration says drop.",
        TcpMidstream "tcp_midstream" "A TCP packet without a flow is not the start of a connection and mid-stream pick-up is off.",
        TcpFlags "tcp_flags" "A combination of TCP flags that no stack sends: none at all, SYN with FIN, SYN with RST, or FIN with RST.",
    }
    Policy {
        RuleDeny "rule_deny" "A rule of a policy or profile denies the flow.",
        RuleReject "rule_reject" "A rule of a policy rejects the flow: it is denied, and the sender is told.",
        RuleRateLimit "rule_rate_limit" "A rule matches no more new flows for the moment.",
        DefaultDeny "default_deny" "No rule allowed the flow: the end of a tier that denies, or no profile that allows.",
        UnknownDeny "unknown_deny" "Neither end of the flow is an endpoint and the configuration denies such flows.",
        FlowCut "flow_cut" "The flow was allowed until a change of policy.",
        FlowReset "flow_reset" "The flow was allowed until a change of policy; both ends are sent a reset.",
    }
    Forward {
        ArpDenied "arp_denied" "The bridge's configuration drops ARP.",
        LldpDenied "lldp_denied" "The bridge's configuration drops LLDP.",
        StpDenied "stp_denied" "The bridge's configuration drops spanning tree frames.",
        EtherTypeDenied "ethertype_denied" "The bridge's configuration drops EtherTypes that it does not know.",
        Martian "martian" "The source or destination is an address that nobody may send from or to through a router (RFC 1812 section 5.3.7).",
        ReversePath "reverse_path" "There is no route back to the source, or not through the interface that received the packet, and the configuration asks for one.",
        RouteBlackhole "route_blackhole" "The route to the destination is a blackhole.",
        MtuExceeded "mtu_exceeded" "The frame is longer than the outgoing interface allows, or, behind address translation, than the route allows without fragments; then the sender is told.",
        TtlExpired "ttl_expired" "The packet had no hop left, and it is one whose addresses are translated; the sender is told.",
        NatUntracked "nat_untracked" "The packet's addresses have to be translated, and no flow says into what: the flow table is full, or the beginning of the connection was not seen.",
        NatProtocol "nat_protocol" "The packet has to leave under a shared address, and its protocol has no ports to tell answers by.",
        NatExhausted "nat_exhausted" "All ports of the outside addresses are taken, or there are too many mappings.",
        NoDestination "no_destination" "The port that received the packet has no port to forward to.",
        TransmitFull "transmit_full" "The transmit ring of the outgoing port is full.",
        TransmitDown "transmit_down" "The outgoing interface is down or gone.",
    }
    Fault {
        FaultInjected "fault_injected" "The fault injector dropped the packet on purpose.",
    }
}

impl DropReason {
    /// How many reasons there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The reason's place in counter arrays.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// The step of the pipeline that drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropGroup {
    /// The XDP program in the kernel.
    Kernel,
    /// Headers that cannot be parsed.
    Decode,
    /// Fragments that cannot be judged.
    Fragment,
    /// Rings between workers.
    Handoff,
    /// Tunnels that end here.
    Wireguard,
    /// The flow table and connection tracking.
    Flow,
    /// Rules and the default behind them.
    Policy,
    /// Bridge configuration and outgoing interfaces.
    Forward,
    /// Faults injected on purpose, in tests.
    Fault,
}

impl DropGroup {
    /// The group's name as shown to operators.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Decode => "decode",
            Self::Fragment => "fragment",
            Self::Handoff => "handoff",
            Self::Wireguard => "wireguard",
            Self::Flow => "flow",
            Self::Policy => "policy",
            Self::Forward => "forward",
            Self::Fault => "fault",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_indices_follow_the_declaration() {
        let names: std::collections::HashSet<_> =
            DropReason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), DropReason::COUNT);
        for (index, reason) in DropReason::ALL.iter().enumerate() {
            assert_eq!(reason.index(), index);
            assert!(reason.help().ends_with('.'), "{} needs a whole sentence", reason.name());
        }
    }
}
