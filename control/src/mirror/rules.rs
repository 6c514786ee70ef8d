//! Rules: those that only say where to look, and all others, in words.

#![expect(clippy::wildcard_enum_match_arm, reason = "they are the library's, and more will come")]

use netlink_packet_core::{DecodeError, NlasIterator, Parseable};
use netlink_packet_route::{
    AddressFamily,
    rule::{RuleAction, RuleAttribute, RuleFlags, RuleHeader},
};

use super::things::{Family, Rule, RuleSays, TableId};

const HEADER: usize = 12;

/// Decodes a rule, which is complete when its version of IP is said.
pub(super) fn decode(payload: &[u8]) -> Result<(AddressFamily, impl FnOnce(Family) -> Rule), DecodeError> {
    let header = RuleHeader::parse(payload)?;
    let (mut priority, mut table, mut is_vrf) = (0, TableId(header.table.into()), false);
    let mut conditions = Vec::new();
    if header.flags.contains(RuleFlags::Invert) {
        conditions.push("not".to_owned());
    }
    if header.tos != 0 {
        conditions.push(format!("tos {:#x}", header.tos));
    }
    for attribute in NlasIterator::new(payload.get(HEADER..).unwrap_or_default()) {
        match RuleAttribute::parse(&attribute?)? {
            RuleAttribute::Priority(is) => priority = is,
            RuleAttribute::Table(is) => table = TableId(is),
            RuleAttribute::L3MDev(is) => is_vrf = is,
            // Who made the rule, and what routing daemons note, is no condition; nor is this number, with which nothing is suppressed.
            RuleAttribute::Protocol(_)
            | RuleAttribute::Realm(_)
            | RuleAttribute::SuppressPrefixLen(u32::MAX)
            | RuleAttribute::SuppressIfGroup(u32::MAX) => {}
            RuleAttribute::Source(is) => conditions.push(format!("from {is}/{}", header.src_len)),
            RuleAttribute::Destination(is) => conditions.push(format!("to {is}/{}", header.dst_len)),
            RuleAttribute::Iifname(is) => conditions.push(format!("iif {is}")),
            RuleAttribute::Oifname(is) => conditions.push(format!("oif {is}")),
            RuleAttribute::FwMark(is) => conditions.push(format!("fwmark {is:#x}")),
            RuleAttribute::FwMask(is) => conditions.push(format!("fwmask {is:#x}")),
            RuleAttribute::SuppressPrefixLen(is) => {
                conditions.push(format!("suppress_prefixlength {is}"));
            }
            RuleAttribute::SuppressIfGroup(is) => conditions.push(format!("suppress_ifgroup {is}")),
            RuleAttribute::IpProtocol(is) => conditions.push(format!("ipproto {}", u8::from(is))),
            RuleAttribute::SourcePortRange(is) => {
                conditions.push(format!("sport {}-{}", is.start, is.end));
            }
            RuleAttribute::DestinationPortRange(is) => {
                conditions.push(format!("dport {}-{}", is.start, is.end));
            }
            RuleAttribute::UidRange(is) => conditions.push(format!("uidrange {}-{}", is.start, is.end)),
            RuleAttribute::TunId(is) => conditions.push(format!("tun_id {is}")),
            RuleAttribute::Goto(is) => conditions.push(format!("goto {is}")),
            other => conditions.push(format!("{other:?}")),
        }
    }
    let says = match header.action {
        RuleAction::ToTable if conditions.is_empty() && is_vrf => RuleSays::Vrf,
        RuleAction::ToTable if conditions.is_empty() => RuleSays::Table(table),
        RuleAction::ToTable if is_vrf => RuleSays::Else(format!("{} lookup l3mdev", conditions.join(" "))),
        RuleAction::ToTable => RuleSays::Else(format!("{} lookup {table}", conditions.join(" "))),
        action => RuleSays::Else(format!("{} {action:?}", conditions.join(" ")).trim_start().to_lowercase()),
    };
    Ok((header.family, move |family| Rule { family, priority, says }))
}
