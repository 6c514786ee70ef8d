use serde::{Deserialize, Serialize};

use super::{Decided, Flow};

/// `GET /policy`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// When counting began: the start of the process.
    pub since: String,
    /// Workers that did not answer in time, so that what their live flows add is missing.
    pub missing: Vec<u8>,
    /// If unused rules were asked for: the policies of which no rule was met, nor the default behind them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unused_policies: Vec<String>,
    /// The rules of policies in the order in which they are asked, then those of profiles that were met.
    pub rules: Vec<RuleUse>,
}

/// A rule, and what was decided by way of it since the process was started. Of a staged policy: what would have been.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleUse {
    /// The tier.
    pub tier: String,
    /// The policy, as traces call it.
    pub policy: String,
    /// Whether it is only staged.
    pub staged: bool,
    /// `egress` or `ingress`.
    pub direction: String,
    /// Which of its rules, from 0; -1 for the default behind them.
    pub rule: i64,
    /// What the rule does.
    pub action: String,
    /// Flows that met it.
    pub flows: u64,
    /// Their packets.
    pub packets: u64,
    /// Their bytes, whole frames.
    pub bytes: u64,
    /// When the first such flow came; absent if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    /// When the last one came, or the last packet of one that is alive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
}

/// `GET /staged`: live flows whose verdict would be another with every staged policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StagedFlows {
    /// Flows in the tables that were looked at.
    pub seen: u64,
    /// Those whose verdict would change.
    pub changing: u64,
    /// Workers that did not answer in time, so that their flows are missing.
    pub missing: Vec<u8>,
    /// The same by the rule that would decide, those with most flows first.
    pub groups: Vec<StagedGroup>,
    /// The flows, at most as many as were asked for.
    pub flows: Vec<Flow>,
}

/// Live flows whose verdict would change in one way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedGroup {
    /// The policy that would decide, as traces call it.
    pub policy: String,
    /// The direction in which it would.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<String>,
    /// Which of its rules, from 0; -1 for the default behind them.
    pub rule: i64,
    /// What is decided now.
    pub verdict: String,
    /// What would be decided.
    pub pending_verdict: String,
    /// Flows.
    pub flows: u64,
    /// Their packets so far.
    pub packets: u64,
    /// Their bytes so far, whole frames.
    pub bytes: u64,
}

/// `GET /cut`: flows that a change of policy has cut.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CutFlows {
    /// How many there were since the process was started, as far as they could be noted.
    pub total: u64,
    /// The last ones, the newest first.
    pub flows: Vec<CutOne>,
}

/// A flow that a change of policy has cut.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CutOne {
    /// When.
    pub time: String,
    /// What policy says about it since.
    pub now: Decided,
    /// What it was until then, with what allowed it.
    pub flow: Flow,
}
