//! The compiler with its memory: what was compiled, and what a change makes of it.
//!
//! A change of one policy, endpoint or network set touches the rules and sets that it concerns and nothing else; the classifiers
//! gather such changes and are built anew ([`Engine::renew`]) when they have gathered many. A change that does not fit the order as it stands
//! (a tier's first policy, no room between two others, anything staged) compiles everything anew; the result is the same.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use ravelin_config::{
    Config,
    resources::{Endpoint, Policy, Resources, RuleAction},
};
use ravelin_dataplane::{
    policy::{
        AddressSet, Classifier, Effect, Limit, OnChange, Outcome, Outcomes, PolicySet, Rule, RuleId, Sides,
        ZoneSet,
        classifier::{MemberChange, Patch},
    },
    threat::{FeedRule, IndicatorSet, Threat},
};

use super::{
    Block, BookReader, Direction, Members, RuleBook, Settings,
    entity::Resolver,
    exempt::{BeforeFeeds, exempting},
    layout::{Common, Layout, PolicyKey},
    order::{self, FEED, Ordered, THREAT},
    side::Builder,
};
use crate::{compile::CompileError, feeds::Library, identity::Identities};

/// One resource that has changed.
#[derive(Clone, Debug)]
pub enum Change {
    /// A policy, new or in another state.
    Policy(Box<Policy>),
    /// A policy that is gone.
    NoPolicy(PolicyKey),
    /// A staged policy, new or in another state.
    StagedPolicy(Box<Policy>),
    /// A staged policy that is gone.
    NoStagedPolicy(PolicyKey),
    /// An endpoint, new or in another state.
    Endpoint(Box<Endpoint>),
    /// An endpoint that is gone, by namespace and name.
    NoEndpoint(Option<String>, String),
    /// Networks that join or leave a network set.
    Members(Members),
}

impl Change {
    /// Whether it changes nothing but which addresses sets hold, provided that it needs no set that is not there.
    const fn is_of_members(&self) -> bool {
        match self {
            Self::Endpoint(_) | Self::NoEndpoint(..) | Self::Members(_) => true,
            Self::Policy(_) | Self::NoPolicy(_) | Self::StagedPolicy(_) | Self::NoStagedPolicy(_) => false,
        }
    }
}

/// The orders of both sides.
#[derive(Debug)]
struct Layouts {
    egress: Layout,
    ingress: Layout,
}

/// Policies compiled, ready for changes.
#[derive(Debug)]
pub struct Engine {
    resources: Resources,
    settings: Settings,
    book: RuleBook,
    resolver: Resolver,
    enforced: Layouts,
    pending: Option<Layouts>,
    set: PolicySet,
}

/// What is compiled at once.
struct Compiled {
    resolver: Resolver,
    enforced: Layouts,
    pending: Option<Layouts>,
    set: PolicySet,
}

/// All rules in order, before they are classifiers.
pub(super) struct Ruled {
    pub(super) resolver: Resolver,
    enforced: Layouts,
    pending: Option<Layouts>,
    /// The rules in force about egress, then ingress.
    pub(super) rules: [Vec<Rule>; 2],
    /// The same with every staged policy; `None` if there are none.
    pub(super) pending_rules: Option<[Vec<Rule>; 2]>,
    pub(super) outcomes: Outcomes,
    limits: Vec<Limit>,
    feeds: [Vec<FeedRule>; 2],
}

impl Engine {
    /// Compiles resources.
    ///
    /// # Errors
    /// [`CompileError::TooManyTiers`], [`CompileError::TooManyPolicies`], [`CompileError::TooManyRules`].
    pub fn new(resources: Resources, settings: Settings) -> Result<Self, CompileError> {
        let mut book = RuleBook::new();
        let Compiled { resolver, enforced, pending, set } = compile(&resources, &settings, &mut book)?;
        Ok(Self { resources: without_items(resources), settings, book, resolver, enforced, pending, set })
    }

    /// Compiles the resources of a configuration, with its feeds.
    ///
    /// # Errors
    /// As for [`Engine::new`].
    pub fn of(config: &Config, library: &Library) -> Result<Self, CompileError> {
        Self::new(library.resources(config), Settings::of(config, library))
    }

    /// Takes over those of another configuration; all or nothing.
    ///
    /// # Errors
    /// As for [`Engine::new`]; then everything is as it was.
    pub fn replace_with(&mut self, config: &Config, library: &Library) -> Result<(), CompileError> {
        self.replace(library.resources(config), Settings::of(config, library))
    }

    /// Takes over other resources and settings; all or nothing.
    ///
    /// # Errors
    /// As for [`Engine::new`]; then everything is as it was.
    pub fn replace(&mut self, resources: Resources, settings: Settings) -> Result<(), CompileError> {
        let Compiled { resolver, enforced, pending, set } = compile(&resources, &settings, &mut self.book)?;
        (self.resources, self.settings) = (without_items(resources), settings);
        (self.resolver, self.enforced, self.pending, self.set) = (resolver, enforced, pending, set);
        Ok(())
    }

    /// What the packet path asks.
    pub fn policy(&self) -> &PolicySet {
        &self.set
    }

    /// What it was compiled from, and what has changed since.
    pub fn resources(&self) -> Resources {
        let mut resources = self.resources.clone();
        self.resolver.fill(&mut resources);
        resources
    }

    /// What is asked before feeds.
    pub fn before_feeds(&self) -> BeforeFeeds {
        let policies = exempting(&self.resources);
        let mut resources = Resources { policies, ..self.resources.clone() };
        self.resolver.fill(&mut resources);
        BeforeFeeds::new(resources, &self.settings)
    }

    /// Has other indicators stand behind the feeds, in the order of [`Settings::feeds`].
    pub fn set_indicators(&mut self, indicators: Arc<IndicatorSet>) {
        self.settings.indicators = Arc::clone(&indicators);
        self.set.threat.indicators = indicators;
    }

    /// Who has which labels and addresses.
    pub fn identities(&self) -> &Identities {
        &self.resolver.identities
    }

    /// The names of rules, for other threads.
    pub fn book(&self) -> BookReader {
        self.book.reader()
    }

    /// Takes over changes. If nothing has changed but which addresses sets hold, the answer is the addresses that joined or left any.
    ///
    /// # Errors
    /// As for [`Engine::new`]; then everything is as it was before the change that could not be taken over.
    pub fn apply(&mut self, changes: Vec<Change>) -> Result<Option<AddressSet>, CompileError> {
        let mut members = Vec::new();
        let mut only_members = true;
        for change in changes {
            let done = self.patch(&change, &mut members)?;
            only_members &= done && change.is_of_members();
            self.keep(change);
            if !done {
                members.clear();
                self.replace(self.resources(), self.settings.clone())?;
            }
        }
        let touched = AddressSet::union_of(members.iter().flat_map(|change| [&change.join, &change.leave]));
        if !members.is_empty() {
            let patch = Patch { members, ..Patch::default() };
            self.each_side(|classifier, _, _| Ok(classifier.patched(&patch)))?;
        }
        Ok(only_members.then_some(touched))
    }

    /// Compiles everything anew if so many changes have gathered that they slow the packet path down, or take memory; says whether
    /// it did. The meaning is the same, so there is no hurry.
    ///
    /// # Errors
    /// As for [`Engine::new`]; then everything is as it was.
    pub fn renew(&mut self) -> Result<bool, CompileError> {
        let is_worn = self.is_worn();
        if is_worn {
            self.replace(self.resources(), self.settings.clone())?;
        }
        Ok(is_worn)
    }

    fn is_worn(&self) -> bool {
        let sides = [Some(&self.set.enforced), self.set.pending.as_ref()];
        let mut classifiers = sides.into_iter().flatten().flat_map(|sides| [&sides.egress, &sides.ingress]);
        classifiers.any(|classifier| classifier.changes() > Classifier::CHANGES) || self.resolver.is_worn()
    }

    /// Makes a change where it belongs; `false` if everything has to be compiled anew for it.
    fn patch(&mut self, change: &Change, members: &mut Vec<MemberChange>) -> Result<bool, CompileError> {
        match change {
            Change::Policy(policy) => self.patch_policy(&PolicyKey::of(policy), Some(policy)),
            Change::NoPolicy(key) => self.patch_policy(key, None),
            Change::StagedPolicy(_) | Change::NoStagedPolicy(_) => Ok(false),
            Change::Endpoint(endpoint) => Ok(self.resolver.update(endpoint, members)),
            Change::NoEndpoint(namespace, name) => {
                Ok(self.resolver.remove(namespace.as_deref(), name, members))
            }
            Change::Members(change) => Ok(self.resolver.change_members(change, members)),
        }
    }

    /// Puts a policy in force in the place of what is there under its name; without one, takes that away.
    fn patch_policy(&mut self, key: &PolicyKey, policy: Option<&Policy>) -> Result<bool, CompileError> {
        let named = |staged: bool| {
            let mut policies = self.resources.policies.iter();
            policies.find(move |other| other.staged.is_some() == staged && PolicyKey::of(other) == *key)
        };
        if named(true).is_some() {
            return Ok(false);
        }
        let old = named(false).cloned();
        let known = self.resolver.sets.len();
        let Self { settings, resolver, book, enforced, pending, set, .. } = self;
        let zones = &settings.zones;
        let PolicySet { outcomes, limits, .. } = set;
        let layouts = [Some(enforced), pending.as_mut()].into_iter().flatten();
        let layouts = layouts.flat_map(|layouts| [&mut layouts.egress, &mut layouts.ingress]);
        let mut patches = Vec::new();
        for layout in layouts {
            let mut remove = Vec::new();
            if let Some(old) = &old {
                layout.remove(old, &mut remove);
            }
            let direction = layout.direction();
            let mut builder =
                Builder { direction, resolver, zones, book, outcomes, limits, rules: Vec::new() };
            if let Some(policy) = policy
                && !layout.insert(policy, &mut builder)?
            {
                return Ok(false);
            }
            patches.push(Patch { remove, rules: builder.rules, ..Patch::default() });
        }
        let sets = self.resolver.sets.from(known);
        let mut patches = patches.into_iter();
        self.each_side(|classifier, _, _| {
            let patch = patches.next().unwrap_or_default();
            Ok(classifier.patched(&Patch { sets: sets.clone(), ..patch }))
        })?;
        Ok(true)
    }

    /// Replaces each classifier, in the order egress, ingress; enforced, pending.
    fn each_side(
        &mut self,
        mut make: impl FnMut(&Classifier, Direction, bool) -> Result<Classifier, CompileError>,
    ) -> Result<(), CompileError> {
        let sides = [(Some(&mut self.set.enforced), false), (self.set.pending.as_mut(), true)];
        for (sides, is_pending) in sides {
            let Some(sides) = sides else { continue };
            sides.egress = make(&sides.egress, Direction::Egress, is_pending)?;
            sides.ingress = make(&sides.ingress, Direction::Ingress, is_pending)?;
        }
        Ok(())
    }

    /// Notes a change of a policy among the resources. Endpoints and network sets are the resolver's.
    fn keep(&mut self, change: Change) {
        let policies = &mut self.resources.policies;
        let (key, staged, new) = match change {
            Change::Policy(policy) => (PolicyKey::of(&policy), false, Some(policy)),
            Change::NoPolicy(key) => (key, false, None),
            Change::StagedPolicy(policy) => (PolicyKey::of(&policy), true, Some(policy)),
            Change::NoStagedPolicy(key) => (key, true, None),
            Change::Endpoint(_) | Change::NoEndpoint(..) | Change::Members(_) => return,
        };
        let same = |other: &Policy| other.staged.is_some() == staged && PolicyKey::of(other) == key;
        match (policies.iter().position(same), new) {
            (Some(at), Some(new)) => policies[at] = *new,
            (Some(at), None) => drop(policies.remove(at)),
            (None, Some(new)) => policies.push(*new),
            (None, None) => {}
        }
    }
}

/// Resources without those that the resolver keeps.
fn without_items(mut resources: Resources) -> Resources {
    resources.endpoints = Vec::new();
    resources.network_sets = Vec::new();
    resources
}

/// Puts everything in order.
pub(super) fn rules(
    resources: &Resources,
    settings: &Settings,
    book: &mut RuleBook,
) -> Result<Ruled, CompileError> {
    let mut resolver = Resolver::new(resources);
    let profiles = order::profiles(resources);
    let lists: BTreeSet<_> = resources.endpoints.iter().map(|endpoint| &endpoint.profiles).collect();
    let lists: Vec<_> = lists.into_iter().cloned().collect();
    let common = Common { settings, profiles: &profiles, lists: &lists };
    let (mut outcomes, mut limits) = (Outcomes::default(), Vec::new());
    let mut lay = |tiers: &[Ordered<'_>], direction| {
        let (outcomes, limits) = (&mut outcomes, &mut limits);
        let (resolver, zones) = (&mut resolver, &settings.zones);
        let mut builder = Builder { direction, resolver, zones, book, outcomes, limits, rules: Vec::new() };
        let layout = Layout::new(tiers, &common, &mut builder)?;
        Ok::<_, CompileError>((layout, builder.rules))
    };
    let mut both = |tiers: Vec<Ordered<'_>>| {
        let (egress, out) = lay(&tiers, Direction::Egress)?;
        let (ingress, into) = lay(&tiers, Direction::Ingress)?;
        Ok::<_, CompileError>((Layouts { egress, ingress }, [out, into]))
    };
    let (enforced, rules) = both(order::tiers(resources, order::enforced(resources)))?;
    let pending = order::pending(resources).map(|policies| both(order::tiers(resources, policies)));
    let (pending, pending_rules) = pending.transpose()?.unzip();
    let feeds = [
        feed_rules(settings, Direction::Egress, book, &mut outcomes)?,
        feed_rules(settings, Direction::Ingress, book, &mut outcomes)?,
    ];
    outcomes.seal();
    Ok(Ruled { resolver, enforced, pending, rules, pending_rules, outcomes, limits, feeds })
}

/// The rules of feeds: first those that only note a flow.
fn feed_rules(
    settings: &Settings,
    direction: Direction,
    book: &mut RuleBook,
    outcomes: &mut Outcomes,
) -> Result<Vec<FeedRule>, CompileError> {
    let feeds = || (0u8..).zip(&settings.feeds).filter(|(_, feed)| feed.governs(direction));
    let noted = feeds().filter(|(_, feed)| !feed.blocks);
    let rules = noted.chain(feeds().filter(|(_, feed)| feed.blocks)).map(|(number, feed)| {
        let (action, effect) = match feed.blocks {
            true => (RuleAction::Deny, Effect::Deny),
            false => (RuleAction::Log, Effect::Log),
        };
        let policy = format!("{FEED}{}", feed.name);
        let first = book.number(Block {
            tier: THREAT.to_owned(),
            policy: policy.clone(),
            staged: false,
            direction,
            actions: vec![action],
            default: RuleAction::Pass,
        });
        let rule = RuleId(first.ok_or(CompileError::TooManyRules { policy })?);
        let on_change = OnChange::Drop;
        let outcome = Outcome {
            rule,
            effect,
            is_default: false,
            on_change,
            limit: None,
            captures: false,
            zones: [ZoneSet::ANY; 2],
        };
        Ok(FeedRule { feed: number, outcome: outcomes.push(outcome) })
    });
    rules.collect()
}

/// Compiles everything.
fn compile(
    resources: &Resources,
    settings: &Settings,
    book: &mut RuleBook,
) -> Result<Compiled, CompileError> {
    let ruled = self::rules(resources, settings, book)?;
    let set = ruled.classified(settings);
    let Ruled { resolver, enforced, pending, .. } = ruled;
    Ok(Compiled { resolver, enforced, pending, set })
}

impl Ruled {
    /// Whether a rule may let a flow pass, or lead it past the rules of feeds, before these are asked.
    pub(super) fn keeps_from_feeds(&self, rule: &Rule, direction: Direction) -> bool {
        let feeds = match direction {
            Direction::Egress => self.enforced.egress.feeds(),
            Direction::Ingress => self.enforced.ingress.feeds(),
        };
        let effect = self.outcomes.get(rule.outcome).map(|outcome| outcome.effect);
        rule.position < feeds
            && match effect {
                Some(Effect::Allow) => true,
                Some(Effect::Pass(next)) => next > feeds,
                Some(Effect::Deny | Effect::Reject | Effect::Log) | None => false,
            }
    }

    /// The rules as classifiers.
    pub(super) fn classified(&self, settings: &Settings) -> PolicySet {
        let sets = self.resolver.sets.from(0);
        let sides = |[egress, ingress]: &[Vec<Rule>; 2], layouts: &Layouts| Sides {
            egress: Classifier::new(sets.clone(), egress.clone()),
            ingress: Classifier::new(sets.clone(), ingress.clone()),
            feeds: [layouts.egress.feeds(), layouts.ingress.feeds()],
        };
        let pending = self.pending_rules.as_ref().zip(self.pending.as_ref());
        PolicySet {
            enforced: sides(&self.rules, &self.enforced),
            pending: pending.map(|(rules, layouts)| sides(rules, layouts)),
            outcomes: self.outcomes.clone(),
            limits: self.limits.clone(),
            unknown: settings.unknown,
            answers: Limit::new(settings.reject_rate, Duration::from_secs(1)),
            threat: Threat { indicators: Arc::clone(&settings.indicators), rules: self.feeds.clone() },
        }
    }
}
