use std::collections::HashMap;

use ravelin_dataplane::{capture::Fate, handoff::WorkerId, policy::DecisionId};

use super::blocks::Packet;
use crate::policy::{Teller, verdict_name};

/// Says of captured packets what became of them, in the words of flow records: `deny by threat.feed:c2 rule 0 (rule_deny), worker 0`.
#[derive(Clone, Debug, Default)]
pub struct Commentator {
    teller: Teller,
    texts: HashMap<(Fate, u8, u32), Box<str>>,
}

impl Commentator {
    /// Texts that are kept; beyond that all are made anew.
    const MOST: usize = 1 << 14;

    /// One that names decisions as `teller` does.
    pub fn new(teller: Teller) -> Self {
        Self { teller, texts: HashMap::new() }
    }

    /// What became of a packet.
    pub fn comment(&mut self, packet: &Packet<'_>) -> &str {
        if self.texts.len() >= Self::MOST {
            self.texts.clear();
        }
        let Self { teller, texts } = self;
        let key = (packet.fate, packet.worker, packet.decision);
        texts.entry(key).or_insert_with(|| text(teller, packet).into())
    }
}

fn text(teller: &mut Teller, packet: &Packet<'_>) -> String {
    let decision = DecisionId(packet.decision);
    let told = teller.tell(WorkerId(packet.worker), decision).filter(|_| decision != DecisionId::default());
    let verdict = match (packet.fate.drop_reason(), &told) {
        (Some(_), Some(told)) => verdict_name(told.verdict),
        (Some(_), None) => "drop",
        (None, _) if packet.fate == Fate::CONSUMED => "consume",
        (None, _) if packet.fate == Fate::INJECTED => "inject",
        (None, _) => "allow",
    };
    let mut text = verdict.to_owned();
    if let Some(rule) = told.as_ref().and_then(|told| told.decider.as_ref()) {
        text += &format!(" by {} rule {}", rule.block.policy, rule.number());
    }
    if let Some(reason) = packet.fate.drop_reason() {
        text += &format!(" ({})", reason.name());
    }
    text + &format!(", worker {}", packet.worker)
}
