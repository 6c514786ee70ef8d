use std::{collections::BTreeSet, fmt};

use ravelin_dataplane::policy::{RuleId, RuleSet};

use crate::policy::{Block, BookReader};

/// By what a flow has to have been decided, in the names that records, traces and comments have for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DecidedBy<'n> {
    pub(super) tier: Option<&'n str>,
    /// With its tier, `default.web`, or without.
    pub(super) policy: Option<&'n str>,
    /// The place among the policy's rules, from 0, or -1 for what holds where none of them matches.
    pub(super) rule: Option<i64>,
}

/// A name that nothing has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    what: &'static str,
    name: String,
    known: Vec<String>,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no {} `{}`", self.what, self.name)?;
        match &*self.known {
            [] => Ok(()),
            known => write!(f, "; there is `{}`", known.join("`, `")),
        }
    }
}

impl std::error::Error for Unknown {}

impl Unknown {
    /// Names that are told.
    const MOST: usize = 5;

    /// With those of the names there are that are nearest.
    fn new(what: &'static str, name: &str, known: BTreeSet<&str>) -> Self {
        let mut known: Vec<_> = known.into_iter().collect();
        known.sort_by_cached_key(|known| ravelin_config::distance(name, known));
        let known = known.into_iter().take(Self::MOST).map(str::to_owned).collect();
        Self { what, name: name.to_owned(), known }
    }
}

impl DecidedBy<'_> {
    /// Whether it is no matter by what.
    pub(super) fn is_anything(&self) -> bool {
        (self.tier, self.policy, self.rule) == (None, None, None)
    }

    /// The rules, of now and of before: what was decided by a rule that has changed since was decided by one of that name.
    pub(super) fn rules(&self, book: &BookReader) -> RuleSet {
        let blocks = book.blocks();
        let of_names = blocks.iter().filter(|(_, block)| self.is_of_block(block));
        of_names.flat_map(|(first, block)| self.of_block(*first, block)).collect()
    }

    /// Whether there are such rules among those in force.
    ///
    /// # Errors
    /// [`Unknown`].
    pub(super) fn check(
        &self,
        book: &BookReader,
        is_in_force: impl Fn(RuleId) -> bool,
    ) -> Result<(), Unknown> {
        let mut blocks = book.blocks();
        blocks.retain(|(first, block)| {
            !block.staged && (first.0..).take(block.actions.len() + 1).any(|rule| is_in_force(RuleId(rule)))
        });
        if let Some(tier) = self.tier {
            let tiers: BTreeSet<_> = blocks.iter().map(|(_, block)| &*block.tier).collect();
            if !tiers.contains(tier) {
                return Err(Unknown::new("tier", tier, tiers));
            }
        }
        let of_tier = blocks.iter().filter(|(_, block)| self.tier.is_none_or(|tier| tier == block.tier));
        let policies: BTreeSet<_> = of_tier.map(|(_, block)| &*block.policy).collect();
        let blocks: Vec<_> = blocks.iter().filter(|(_, block)| self.is_of_block(block)).collect();
        if let (Some(policy), true) = (self.policy, blocks.is_empty()) {
            return Err(Unknown::new("policy", policy, policies));
        }
        let rules = blocks.iter().flat_map(|(first, block)| self.of_block(*first, block));
        if let (Some(rule), true) = (self.rule, rules.count() == 0) {
            let last =
                blocks.iter().map(|(_, block)| block.actions.len()).max().unwrap_or_default() as i64 - 1;
            let known = (-1..=last).map(|rule| rule.to_string()).collect::<Vec<_>>();
            return Err(Unknown::new("rule", &rule.to_string(), known.iter().map(String::as_str).collect()));
        }
        Ok(())
    }

    fn is_of_block(&self, block: &Block) -> bool {
        let is_called = |name: &str| {
            let short = block.policy.strip_prefix(&*block.tier).and_then(|rest| rest.strip_prefix('.'));
            block.policy == name || short == Some(name)
        };
        self.tier.is_none_or(|tier| tier == block.tier) && self.policy.is_none_or(is_called)
    }

    /// The numbers of those rules of a block that are meant; the default is the last.
    fn of_block(&self, RuleId(first): RuleId, block: &Block) -> impl Iterator<Item = RuleId> {
        let (wanted, default) = (self.rule, block.actions.len());
        let numbers = (first..).zip(0..=default);
        numbers.filter_map(move |(number, at)| {
            let is_meant = wanted.is_none_or(|rule| match rule {
                -1 => at == default,
                _ => at < default && usize::try_from(rule) == Ok(at),
            });
            is_meant.then_some(RuleId(number))
        })
    }
}
