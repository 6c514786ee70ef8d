use crate::schema::{
    entry,
    parser::{absolute_path, addresses, duration, integer, list, moment, prefix, reason, resource_name},
    reader::At,
    section,
};
use crate::types::{IpNet, IpRange};
use ipnet::{Ipv4Net, Ipv6Net};
use jiff::Timestamp;
use std::{
    net::{Ipv4Addr, Ipv6Addr},
    path::PathBuf,
    time::Duration,
};

section! {
    /// What all threat feeds share.
    pub struct Threat in "threat" {
        /// Where the last good copy of each feed is kept, for the next start and for when its source fails.
        directory: PathBuf = PathBuf::from("/var/lib/ravelin/feeds") => absolute_path(), Restart;
        /// Networks that no feed can block, whatever it says. The appliance's own addresses, gateways and resolvers are guarded
        /// besides. An empty list: none.
        guard: Vec<IpNet> = guard() => list("addresses or prefixes", prefix()).or_empty().plain(), Live;
        /// Hits of one endpoint and one indicator within this time are one alert with a count.
        #[serde(serialize_with = "crate::duration::serialize")]
        alert_window: Duration = Duration::from_hours(1) => duration(Duration::from_secs(1)..=Duration::from_hours(24 * 7)), Live;
    }
    with {
        /// How wide a network a feed may block.
        widest: Widest;
    }
}

section! {
    /// The shortest prefixes that a feed may block. Wider ones are held back: they are more likely a mistake than a network of
    /// nothing but criminals.
    pub struct Widest in "threat.widest" {
        /// The shortest IPv4 prefix.
        ipv4: u8 = 8 => integer(0..=32), Live;
        /// The shortest IPv6 prefix.
        ipv6: u8 = 19 => integer(0..=128), Live;
    }
}

entry! {
    /// Addresses that feeds name wrongly: they are taken out of what the feeds say, for every rule, so that nothing is blocked or
    /// reported because of them. Entries may overlap.
    struct AllowModel in "threat.allow" {
        /// Which. No more than an IPv4 /8 or an IPv6 /16.
        address: IpRange = Required => addresses(), Live;
        /// The feeds that this is about.
        feeds: Vec<At<String>> = Means("all") => list("names of feeds", resource_name()), Live;
        /// Why, for those who find it later.
        reason: String = Required => reason(), Live;
        /// When it ends by itself: a date-time with offset, or a date, at whose end in UTC it ends. What has expired has no effect.
        expires: Timestamp = Means("never") => moment(), Live;
    }
}

/// What is no address of a machine elsewhere on the Internet: RFC 6890, and multicast.
fn guard() -> Vec<IpNet> {
    let ipv4 = [
        ([0, 0, 0, 0], 8),
        ([10, 0, 0, 0], 8),
        ([100, 64, 0, 0], 10),
        ([127, 0, 0, 0], 8),
        ([169, 254, 0, 0], 16),
        ([172, 16, 0, 0], 12),
        ([192, 168, 0, 0], 16),
        ([224, 0, 0, 0], 4),
        ([255, 255, 255, 255], 32),
    ];
    let ipv6 = [
        (Ipv6Addr::UNSPECIFIED, 128),
        (Ipv6Addr::LOCALHOST, 128),
        (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
        (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
        (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
    ];
    let ipv4 = ipv4.into_iter().flat_map(|(octets, length)| Ipv4Net::new(Ipv4Addr::from(octets), length));
    let ipv6 = ipv6.into_iter().flat_map(|(address, length)| Ipv6Net::new(address, length));
    ipv4.map(IpNet::from).chain(ipv6.map(IpNet::from)).collect()
}
