//! Small random worlds: resources, settings, and flows that are likely to hit them.
//!
//! A [`World`] is drawn from bytes, so that a fuzz target can hand over its input, a property test a vector that it knows how to
//! shrink, and a loop the numbers of a generator ([`bytes`]). Where the bytes end, every choice is the first one, which is the
//! simplest. Promises: resources that the configuration would accept (no ports without a protocol that has them, no two families
//! in a rule, nothing twice); few labels and few values, so that things meet.
//! Refuses: large worlds. Read next: `generate/policies.rs` for rules, `generate/flows.rs` for how flows aim at them.

mod addresses;
mod choices;
mod flows;
mod policies;
mod population;

pub use choices::{Choices, bytes};
pub use policies::ZONES;

use crate::oracle::{Flow, Settings, Verdict};
use choices::Choices as C;
use ravelin_config::{
    resources::{Failsafe, Resources},
    types::Protocol,
};

/// Resources, settings and flows.
#[derive(Clone, Debug)]
pub struct World {
    /// Who is there and what holds.
    pub resources: Resources,
    /// The settings of `[enforcement]`.
    pub settings: Settings,
    /// What comes.
    pub flows: Vec<Flow>,
}

impl World {
    /// The most bytes that are of use.
    pub const BYTES: usize = 4096;
    const FLOWS: usize = 24;

    /// The world that these bytes choose.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        // Flows have bytes of their own: a change of the resources must not change all flows.
        let (for_flows, for_resources) = bytes.split_at(bytes.len().min(Self::FLOWS * flows::BYTES));
        let mut choices = Choices::new(for_resources);
        let settings = settings(&mut choices);
        let mut resources = population::draw(&mut choices);
        policies::draw(&mut choices, &mut resources);
        let aims = flows::Aims::at(&resources, &settings);
        let flows = for_flows.chunks(flows::BYTES).map(|bytes| aims.draw(&mut Choices::new(bytes))).collect();
        Self { resources, settings, flows }
    }
}

fn settings(choices: &mut C) -> Settings {
    let list = |choices: &mut C| {
        (0..choices.below(3))
            .map(|_| {
                let net = choices.chance(3).then(|| {
                    let family = addresses::Family::draw(choices);
                    addresses::net(choices, family)
                });
                let protocols = [Some(Protocol::TCP), Some(Protocol::UDP), None];
                // A network stands behind a protocol.
                let protocol = choices.one(&protocols[..if net.is_some() { 2 } else { 3 }]);
                Failsafe { protocol, net, port: choices.one(&policies::PORTS).max(1) }
            })
            .collect()
    };
    Settings {
        unknown: choices.one(&[Verdict::Allow, Verdict::Deny]),
        inbound: list(choices),
        outbound: list(choices),
    }
}

#[cfg(test)]
mod tests;
