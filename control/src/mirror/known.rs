//! What is known of one kind of thing, and what of it is news.

use std::{collections::HashMap, hash::Hash};

/// Things by their keys. Remembers what it was like when somebody was told last, and which dump spoke of each thing.
#[derive(Debug)]
pub(super) struct Known<K, V> {
    items: HashMap<K, (V, u32)>,
    before: HashMap<K, Option<V>>,
}

impl<K, V> Default for Known<K, V> {
    fn default() -> Self {
        Self { items: HashMap::new(), before: HashMap::new() }
    }
}

impl<K: Copy + Eq + Hash, V: Clone + PartialEq> Known<K, V> {
    /// What is known now.
    pub(super) fn get(&self, key: K) -> Option<&V> {
        self.items.get(&key).map(|(value, _)| value)
    }

    /// Everything, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.items.iter().map(|(key, (value, _))| (key, value))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Notes a thing that was spoken of in, or since the beginning of, the dump `round`.
    pub(super) fn put(&mut self, key: K, value: V, round: u32) {
        let old = self.items.insert(key, (value, round));
        self.before.entry(key).or_insert_with(|| old.map(|(old, _)| old));
    }

    /// Forgets a thing.
    pub(super) fn remove(&mut self, key: K) -> Option<V> {
        let (old, _) = self.items.remove(&key)?;
        self.before.entry(key).or_insert_with(|| Some(old.clone()));
        Some(old)
    }

    /// Forgets what was not spoken of since the dump `round` began.
    pub(super) fn sweep(&mut self, round: u32) {
        let old: Vec<K> =
            self.items.iter().filter(|(_, (_, seen))| *seen != round).map(|(key, _)| *key).collect();
        for key in old {
            self.remove(key);
        }
    }

    /// What is different from what it was at the last call: things as they are now, or `None` if they are gone.
    pub(super) fn news(&mut self) -> Vec<(K, Option<V>)> {
        let before = std::mem::take(&mut self.before);
        let mut news = Vec::new();
        for (key, before) in before {
            let now = self.get(key);
            if now != before.as_ref() {
                news.push((key, now.cloned()));
            }
        }
        news
    }
}
