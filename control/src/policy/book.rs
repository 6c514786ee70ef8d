//! The numbers of rules: what a record, a counter or a trace names when it names a rule.

use std::{collections::HashMap, sync::Arc};

use parking_lot::RwLock;
use ravelin_config::resources::{RateLimit, RuleAction};
use ravelin_dataplane::policy::{Limit, RuleId};

use super::{
    Direction,
    order::{FEED, THREAT},
};

/// The rules of one direction of one policy, in the order in which they are asked. Their numbers are consecutive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The tier.
    pub tier: String,
    /// The policy's full name.
    pub policy: String,
    /// Whether the policy is only staged.
    pub staged: bool,
    /// The direction.
    pub direction: Direction,
    /// What each rule does.
    pub actions: Vec<RuleAction>,
    /// What happens where none of them matches, if that is this policy's to say.
    pub default: RuleAction,
}

/// A rule by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The policy and direction that it belongs to.
    pub block: Arc<Block>,
    /// Its place among the rules of its policy, from 0; `None` for the default behind them.
    pub index: Option<usize>,
}

impl Named {
    /// What it does.
    pub fn action(&self) -> RuleAction {
        let action = self.index.and_then(|index| self.block.actions.get(index));
        action.copied().unwrap_or(self.block.default)
    }

    /// The index as traces have it: -1 for the default.
    pub fn number(&self) -> i64 {
        self.index.and_then(|index| i64::try_from(index).ok()).unwrap_or(-1)
    }

    /// The feed that it is the rule of, if it is one's.
    pub fn feed(&self) -> Option<&str> {
        let policy = self.block.policy.strip_prefix(FEED).filter(|_| self.block.tier == THREAT);
        policy.filter(|_| self.index.is_some())
    }

    /// The entry of a trace in Calico's form; `at` is its place in the trace.
    pub fn entry(&self, at: usize) -> String {
        let Block { tier, policy, .. } = &*self.block;
        format!("{at}|{tier}|{policy}|{}|{}", action_name(self.action()), self.number())
    }
}

/// An action as it is written.
pub const fn action_name(action: RuleAction) -> &'static str {
    match action {
        RuleAction::Allow => "allow",
        RuleAction::Deny => "deny",
        RuleAction::Log => "log",
        RuleAction::Pass => "pass",
        RuleAction::Reject => "reject",
    }
}

/// All numbers given so far, with what they stand for. Only ever grows.
type Pages = Arc<RwLock<Vec<(u32, Arc<Block>)>>>;

/// Gives numbers to rules. The same rules of the same policy keep their numbers while the process lives; rules that change get new
/// ones, so that what was written under the old numbers stays true.
#[derive(Debug)]
pub struct RuleBook {
    ids: HashMap<(String, String, Direction), (u32, Arc<Block>)>,
    next: u32,
    pages: Pages,
    limits: HashMap<RuleId, (RateLimit, Limit)>,
}

impl Default for RuleBook {
    fn default() -> Self {
        Self { ids: HashMap::new(), next: 1, pages: Pages::default(), limits: HashMap::new() }
    }
}

impl RuleBook {
    /// A book without rules.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of the first of the block's rules; the others follow, the default last. `None` if there are no more numbers.
    pub(super) fn number(&mut self, block: Block) -> Option<u32> {
        let key = (block.tier.clone(), block.policy.clone(), block.direction);
        if let Some((first, known)) = self.ids.get(&key)
            && **known == block
        {
            return Some(*first);
        }
        let first = self.next;
        let length = u32::try_from(block.actions.len()).ok()?.checked_add(1)?;
        self.next = first.checked_add(length)?;
        let block = Arc::new(block);
        self.pages.write().push((first, Arc::clone(&block)));
        self.ids.insert(key, (first, block));
        Some(first)
    }

    /// The limit of a rule, which goes on as it was if it has not changed.
    pub(super) fn limit(&mut self, rule: RuleId, wanted: RateLimit) -> Limit {
        match self.limits.get(&rule) {
            Some((known, limit)) if *known == wanted => limit.clone(),
            _ => {
                let limit = Limit::new(wanted.flows, wanted.per);
                self.limits.insert(rule, (wanted, limit.clone()));
                limit
            }
        }
    }

    /// A view for other threads. It sees rules that are added later.
    pub fn reader(&self) -> BookReader {
        BookReader { pages: Arc::clone(&self.pages), seen: Vec::new() }
    }
}

/// Turns numbers back into names. Takes a lock only for a number that it has not seen, since what is there never changes.
#[derive(Clone, Debug, Default)]
pub struct BookReader {
    pages: Pages,
    seen: Vec<(u32, Arc<Block>)>,
}

impl BookReader {
    /// The rule of that number; `None` if it was never given.
    pub fn rule(&mut self, id: RuleId) -> Option<Named> {
        if let Some(named) = self.look_up(id) {
            return Some(named);
        }
        let pages = self.pages.read();
        let new = pages.get(self.seen.len()..).unwrap_or_default();
        self.seen.extend_from_slice(new);
        drop(pages);
        self.look_up(id)
    }

    /// Every block of rules that has numbers, with the first of them; those in force last.
    pub fn blocks(&self) -> Vec<(RuleId, Arc<Block>)> {
        self.pages.read().iter().map(|(first, block)| (RuleId(*first), Arc::clone(block))).collect()
    }

    fn look_up(&self, RuleId(id): RuleId) -> Option<Named> {
        let behind = self.seen.partition_point(|(first, _)| *first <= id);
        let (first, block) = self.seen.get(behind.checked_sub(1)?)?;
        let index = (id - first) as usize;
        let count = block.actions.len();
        (index <= count).then(|| Named { block: Arc::clone(block), index: (index < count).then_some(index) })
    }
}
