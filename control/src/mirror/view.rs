//! What a packet finds: the tables that it is looked up in, one after the other, made into one.

use ipnet::IpNet;
use prefix_trie::joint::map::JointPrefixMap;

use super::{
    groups::{GroupId, Groups, Outcome},
    tables::Tables,
    things::{Family, Rule, RuleSays, TableId},
};

/// The one table that lookups of a VRF, or of all that is in none, come to.
#[derive(Debug)]
pub(super) struct View {
    /// The VRF's table, or [`TableId::MAIN`].
    pub(super) table: TableId,
    /// What is looked at, for each version of IP.
    orders: [Vec<TableId>; 2],
    /// What was told.
    told: JointPrefixMap<IpNet, GroupId>,
}

impl View {
    /// A view of which nothing was told yet.
    pub(super) fn new(table: TableId) -> Self {
        Self { table, orders: [Vec::new(), Vec::new()], told: JointPrefixMap::new() }
    }

    /// Takes the tables that rules speak of. Returns whether they are others than before.
    pub(super) fn order(&mut self, rules: &[Rule]) -> bool {
        let orders = [Family::V4, Family::V6].map(|family| self.tables(rules, family));
        let changed = orders != self.orders;
        self.orders = orders;
        changed
    }

    fn tables(&self, rules: &[Rule], family: Family) -> Vec<TableId> {
        let mut tables = Vec::new();
        for rule in rules.iter().filter(|rule| rule.family == family) {
            let table = match &rule.says {
                RuleSays::Table(table) => *table,
                RuleSays::Vrf if self.table != TableId::MAIN => self.table,
                RuleSays::Vrf | RuleSays::Else(_) => continue,
            };
            if !tables.contains(&table) {
                tables.push(table);
            }
        }
        tables
    }

    /// The tables in which packets to a prefix are looked up.
    pub(super) fn tables_for(&self, prefix: &IpNet) -> &[TableId] {
        let [v4, v6] = &self.orders;
        match Family::of(prefix) {
            Family::V4 => v4,
            Family::V6 => v6,
        }
    }

    /// What was told.
    pub(super) fn told(&self) -> &JointPrefixMap<IpNet, GroupId> {
        &self.told
    }

    /// Works out what a prefix leads to, and returns it if that is not what was told. A prefix is told if any of the tables has a route for it; then it
    /// leads where the first of the tables leads that has something for all of it.
    pub(super) fn update(
        &mut self,
        tables: &Tables,
        groups: &Groups,
        prefix: IpNet,
    ) -> Option<Option<GroupId>> {
        let now = self.lookup(tables, groups, prefix);
        let before = match now {
            Some(group) => self.told.insert(prefix, group),
            None => self.told.remove(&prefix),
        };
        (before != now).then_some(now)
    }

    fn lookup(&self, tables: &Tables, groups: &Groups, prefix: IpNet) -> Option<GroupId> {
        let order = || self.tables_for(&prefix).iter().filter_map(|id| tables.get(*id));
        let is_own =
            order().any(|table| table.get(&prefix).is_some_and(|entry| entry.best(groups).is_some()));
        let longest = |table: &JointPrefixMap<IpNet, super::tables::Entry>| {
            table.cover(&prefix).filter_map(|(_, entry)| entry.best(groups)).last()
        };
        let is_throw = |group: &GroupId| *groups.outcome(*group) == Outcome::Throw;
        if !is_own {
            return None;
        }
        Some(order().filter_map(longest).find(|group| !is_throw(group)).unwrap_or(Groups::NOWHERE))
    }
}
