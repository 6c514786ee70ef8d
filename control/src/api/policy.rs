//! What policy did to flows, and what staged policies would do.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use ravelin_dataplane::{clock, flow::FlowRecord, handoff::WorkerId, policy::DecisionId};

use super::{
    describe, flows,
    view::{CutFlows, CutOne, RuleUse, StagedFlows, StagedGroup, Used},
};
use crate::{
    appliance::{Appliance, whole_seconds},
    policy::{Direction, Live, Named, RuleUsage, Told, Usage, action_name, verdict_name},
};

/// What every rule did; with `unused`, those that did nothing for so many seconds.
pub(super) async fn usage(appliance: &Appliance, unused: Option<u64>) -> Used {
    let mut live = Live::new();
    let missing = flows::walk(appliance, |record| {
        let usage = live.entry((record.worker, record.decision)).or_default();
        usage.packets += record.packets.iter().sum::<u64>();
        usage.bytes += record.bytes.iter().sum::<u64>();
        usage.last = usage.last.max(Some(record.last));
    })
    .await;
    let rules = appliance.usage(&live);
    let now = Timestamp::now();
    let is_unused = |usage: &Usage| match (unused, usage.last) {
        (Some(seconds), Some(last)) => now.as_second().saturating_sub_unsigned(seconds) > seconds_of(last),
        (Some(_) | None, _) => true,
    };
    let policies = unused.map(|_| unused_policies(&rules, is_unused));
    // A default is not there for its own sake.
    let shown = |rule: &&RuleUsage| unused.is_none() || (rule.index.is_some() && is_unused(&rule.usage));
    Used {
        since: whole_seconds(appliance.started),
        missing,
        unused_policies: policies.unwrap_or_default(),
        rules: rules.iter().filter(shown).map(rule).collect(),
    }
}

/// Policies of which no rule did anything, nor the default behind them.
fn unused_policies(rules: &[RuleUsage], is_unused: impl Fn(&Usage) -> bool) -> Vec<String> {
    let mut policies: BTreeMap<&str, bool> = BTreeMap::new();
    for rule in rules.iter().filter(|rule| !rule.tier.starts_with("__")) {
        *policies.entry(&rule.policy).or_insert(true) &= is_unused(&rule.usage);
    }
    policies.into_iter().filter(|(_, unused)| *unused).map(|(policy, _)| policy.to_owned()).collect()
}

fn rule(rule: &RuleUsage) -> RuleUse {
    let RuleUsage { tier, policy, staged, direction, index, action, usage } = rule;
    RuleUse {
        tier: tier.clone(),
        policy: policy.clone(),
        staged: *staged,
        direction: direction.name().to_owned(),
        rule: index.and_then(|index| i64::try_from(index).ok()).unwrap_or(-1),
        action: action_name(*action).to_owned(),
        flows: usage.flows,
        packets: usage.packets,
        bytes: usage.bytes,
        first: usage.first.map(describe::time),
        last: usage.last.map(describe::time),
    }
}

fn seconds_of(time: clock::Timestamp) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// What a decision would become with every staged policy, if that is something else.
struct Turned {
    verdict: &'static str,
    pending_verdict: &'static str,
    policy: String,
    rule: i64,
    direction: Option<Direction>,
}

fn turned(told: &Told) -> Option<Turned> {
    if told.verdict == told.pending_verdict {
        return None;
    }
    let decider = told.pending_decider.as_ref();
    Some(Turned {
        verdict: verdict_name(told.verdict),
        pending_verdict: verdict_name(told.pending_verdict),
        policy: decider.map(|rule| rule.block.policy.clone()).unwrap_or_default(),
        rule: decider.map_or(-1, Named::number),
        direction: decider.map(|rule| rule.block.direction),
    })
}

/// The live flows whose verdict would change, by the policy that would decide, and at most `limit` of them one by one.
pub(super) async fn staged(appliance: &Appliance, limit: usize) -> StagedFlows {
    // Thousands of flows share a decision.
    let mut decisions: HashMap<(WorkerId, DecisionId), Option<Turned>> = HashMap::new();
    let mut groups: BTreeMap<_, StagedGroup> = BTreeMap::new();
    let mut chosen: Vec<FlowRecord> = Vec::new();
    let (mut seen, mut changing) = (0, 0);
    let missing = flows::walk(appliance, |record| {
        seen += 1;
        let turned = decisions
            .entry((record.worker, record.decision))
            .or_insert_with(|| turned(&appliance.told(record.worker, record.decision)?));
        let Some(Turned { verdict, pending_verdict, policy, rule, direction }) = turned else { return };
        changing += 1;
        let key = (policy.clone(), *direction, *rule, *verdict, *pending_verdict);
        let group = groups.entry(key).or_insert_with(|| StagedGroup {
            policy: policy.clone(),
            direction: direction.map(|direction| direction.name().to_owned()),
            rule: *rule,
            verdict: (*verdict).to_owned(),
            pending_verdict: (*pending_verdict).to_owned(),
            ..StagedGroup::default()
        });
        group.flows += 1;
        group.packets += record.packets.iter().sum::<u64>();
        group.bytes += record.bytes.iter().sum::<u64>();
        if chosen.len() < limit {
            chosen.push(record);
        }
    })
    .await;
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.flows));
    let flows = chosen.iter().map(|record| describe::flow(appliance, record)).collect();
    StagedFlows { seen, changing, missing, groups, flows }
}

/// The flows that changes of policy have cut, the last first.
pub(super) async fn cut(appliance: &Appliance, limit: usize) -> CutFlows {
    let (cut, forgotten) = appliance.cut().await;
    let total = forgotten + cut.len() as u64;
    let flows = cut.iter().rev().take(limit).map(|cut| CutOne {
        time: describe::time(cut.record.ended),
        now: describe::told(&cut.now),
        flow: describe::flow(appliance, &cut.record),
    });
    CutFlows { total, flows: flows.collect() }
}
