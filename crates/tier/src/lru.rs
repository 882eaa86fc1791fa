//! Which of many sized things goes first when there is no more room: the one that was not used for longest.

use std::collections::BTreeMap;

/// Sizes by key, bounded in all.
pub struct Lru<K, V> {
    limit: u64,
    used: u64,
    tick: u64,
    entries: BTreeMap<K, Entry<V>>,
    by_use: BTreeMap<u64, K>,
}

struct Entry<V> {
    tick: u64,
    size: u64,
    value: V,
}

impl<K: Ord + Clone, V: Clone> Lru<K, V> {
    pub const fn new(limit: u64) -> Self {
        Self { limit, used: 0, tick: 0, entries: BTreeMap::new(), by_use: BTreeMap::new() }
    }

    pub const fn used(&self) -> u64 {
        self.used
    }

    pub fn contains(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    /// The value, which is now the last to go.
    pub fn get(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.get_mut(key)?;
        self.tick += 1;
        self.by_use.remove(&entry.tick);
        entry.tick = self.tick;
        self.by_use.insert(self.tick, key.clone());
        Some(entry.value.clone())
    }

    /// Adds a thing, and returns those that had to go: itself too, where it is larger than all the room.
    pub fn insert(&mut self, key: K, value: V, size: u64) -> Vec<(K, V)> {
        self.remove(&key);
        self.tick += 1;
        self.by_use.insert(self.tick, key.clone());
        self.entries.insert(key, Entry { tick: self.tick, size, value });
        self.used += size;
        let mut gone = Vec::new();
        while self.used > self.limit {
            let Some((_, key)) = self.by_use.pop_first() else { break };
            if let Some(entry) = self.entries.remove(&key) {
                self.used -= entry.size;
                gone.push((key, entry.value));
            }
        }
        gone
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.remove(key)?;
        self.by_use.remove(&entry.tick);
        self.used -= entry.size;
        Some(entry.value)
    }

    /// Takes out everything whose key `goes`.
    pub fn remove_where(&mut self, goes: impl Fn(&K) -> bool) -> Vec<(K, V)> {
        let keys: Vec<K> = self.entries.keys().filter(|key| goes(key)).cloned().collect();
        keys.into_iter().filter_map(|key| self.remove(&key).map(|value| (key, value))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_stays() {
        let mut lru = Lru::new(10);
        assert!(lru.insert("a", 1, 4).is_empty());
        assert!(lru.insert("b", 2, 4).is_empty());
        assert_eq!(lru.get(&"a"), Some(1));
        assert_eq!(lru.insert("c", 3, 4), [("b", 2)]);
        assert_eq!((lru.used(), lru.get(&"b")), (8, None));
        assert_eq!(lru.insert("d", 4, 11), [("a", 1), ("c", 3), ("d", 4)]);
        assert_eq!(lru.used(), 0);
    }

    #[test]
    fn replacing_counts_once() {
        let mut lru = Lru::new(10);
        lru.insert("a", 1, 6);
        assert!(lru.insert("a", 2, 7).is_empty());
        assert_eq!((lru.used(), lru.remove(&"a")), (7, Some(2)));
        assert_eq!(lru.used(), 0);
    }
}
