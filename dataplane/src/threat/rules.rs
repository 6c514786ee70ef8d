use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use super::{Feeds, IndicatorSet};
use crate::policy::{Key, PolicySet};

/// What follows for a flow whose other end a feed names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedRule {
    /// The feed's number.
    pub feed: u8,
    /// The outcome, which denies or logs.
    pub outcome: u32,
}

/// What feeds name, and what follows on each side of a flow.
#[derive(Clone, Debug, Default)]
pub struct Threat {
    /// What feeds name.
    pub indicators: Arc<IndicatorSet>,
    /// The rules about flows to what feeds name, and about flows from there, each list in the order in which it is asked.
    pub rules: [Vec<FeedRule>; 2],
}

impl Threat {
    /// The feeds that name the destination of a flow, and those that name its source.
    pub(crate) fn feeds(&self, key: &Key) -> [Feeds; 2] {
        ends(key).map(|(address, port)| self.indicators.feeds(address, port))
    }

    /// The same of up to [`PolicySet::CHUNK`] flows. What is behind the shorter of the two is not touched.
    pub(crate) fn feeds_of_batch(&self, keys: &[Key], out: &mut [[Feeds; 2]]) {
        if self.indicators.is_empty() {
            return;
        }
        let nobody = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let mut both = [[nobody; 2]; PolicySet::CHUNK];
        for (key, both) in keys.iter().zip(&mut both) {
            *both = ends(key);
        }
        let asked = keys.len().min(PolicySet::CHUNK);
        let ends = both.get(..asked).unwrap_or_default().as_flattened();
        self.indicators.feeds_of_batch(ends, out.as_flattened_mut());
    }
}

/// Destination and source, with their ports; 0 where there are none, which is no indicator's.
fn ends(key: &Key) -> [(IpAddr, u16); 2] {
    let ports = if key.protocol.has_ports() { [key.destination_port, key.source_port] } else { [0; 2] };
    [(key.destination, ports[0]), (key.source, ports[1])]
}
