//! EtherTypes, by their IEEE assignment.

pub(super) const IPV4: u16 = 0x0800;
pub(super) const ARP: u16 = 0x0806;
/// Transparent Ethernet bridging: an Ethernet frame inside a tunnel.
pub(super) const BRIDGED: u16 = 0x6558;
/// 802.1Q.
pub(super) const VLAN: u16 = 0x8100;
pub(super) const IPV6: u16 = 0x86dd;
/// 802.1ad service tag.
pub(super) const PROVIDER: u16 = 0x88a8;
pub(super) const LLDP: u16 = 0x88cc;
/// Double tagging as sold before 802.1ad.
pub(super) const QINQ: u16 = 0x9100;
/// Below this the field is a length, IEEE 802.3 section 3.2.6.
pub(super) const FIRST: u16 = 0x0600;
