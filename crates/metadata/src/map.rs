//! A sorted map whose clones share what they have in common (a height-balanced tree of shared nodes).
//!
//! An image is cloned at every commit and each clone lives as long as somebody looks at it, so a change must cost the path to one
//! entry, not a copy of the section.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// A sorted map; a clone is one pointer, a change copies at most the path to its entry.
pub struct Map<K, V> {
    root: Link<K, V>,
    len: usize,
}

type Link<K, V> = Option<Arc<Node<K, V>>>;

#[derive(Clone)]
struct Node<K, V> {
    key: K,
    value: V,
    height: u8,
    left: Link<K, V>,
    right: Link<K, V>,
}

impl<K, V> Clone for Map<K, V> {
    fn clone(&self) -> Self {
        Self { root: self.root.clone(), len: self.len }
    }
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self { root: None, len: 0 }
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for Map<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K, V> Map<K, V> {
    /// Entries in the map.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no entry.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entries in the order of their keys.
    #[must_use]
    pub fn iter(&self) -> Iter<'_, K, V> {
        let mut iter = Iter { pending: Vec::new() };
        iter.descend(&self.root);
        iter
    }

    /// The values in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// The keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }
}

impl<'a, K, V> IntoIterator for &'a Map<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Iter<'a, K, V> {
        self.iter()
    }
}

impl<K: Ord, V> Map<K, V> {
    /// The value under `key`.
    #[must_use]
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let mut link = &self.root;
        while let Some(node) = link {
            link = match key.cmp(node.key.borrow()) {
                Ordering::Equal => return Some(&node.value),
                Ordering::Less => &node.left,
                Ordering::Greater => &node.right,
            };
        }
        None
    }

    /// Whether there is an entry under `key`.
    #[must_use]
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }

    /// The entries from `key` on, in order.
    #[must_use]
    pub fn iter_from<Q: Ord + ?Sized>(&self, key: &Q) -> Iter<'_, K, V>
    where
        K: Borrow<Q>,
    {
        let mut pending = Vec::new();
        let mut link = &self.root;
        while let Some(node) = link {
            if node.key.borrow() < key {
                link = &node.right;
            } else {
                pending.push(&**node);
                link = &node.left;
            }
        }
        Iter { pending }
    }
}

impl<K: Ord + Clone, V: Clone> Map<K, V> {
    /// Puts `value` under `key`; returns what was there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let previous = insert(&mut self.root, key, value);
        self.len += usize::from(previous.is_none());
        previous
    }

    /// Takes out the entry under `key`.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        // Looking first keeps a miss from copying a path.
        let value = self.get(key)?.clone();
        remove(&mut self.root, key);
        self.len -= 1;
        Some(value)
    }

    /// The value under `key`, to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        if !self.contains_key(key) {
            return None;
        }
        let mut link = &mut self.root;
        while let Some(shared) = link {
            let node = Arc::make_mut(shared);
            link = match key.cmp(node.key.borrow()) {
                Ordering::Equal => return Some(&mut node.value),
                Ordering::Less => &mut node.left,
                Ordering::Greater => &mut node.right,
            };
        }
        None
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

/// The entries of a [`Map`] in the order of their keys.
pub struct Iter<'a, K, V> {
    /// Nodes whose left side is done, the next one last.
    pending: Vec<&'a Node<K, V>>,
}

impl<'a, K, V> Iter<'a, K, V> {
    fn descend(&mut self, mut link: &'a Link<K, V>) {
        while let Some(node) = link {
            self.pending.push(node);
            link = &node.left;
        }
    }
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        let node = self.pending.pop()?;
        self.descend(&node.right);
        Some((&node.key, &node.value))
    }
}

fn height<K, V>(link: &Link<K, V>) -> u8 {
    link.as_ref().map_or(0, |node| node.height)
}

fn insert<K: Ord + Clone, V: Clone>(link: &mut Link<K, V>, key: K, value: V) -> Option<V> {
    let Some(shared) = link else {
        *link = Some(Arc::new(Node { key, value, height: 1, left: None, right: None }));
        return None;
    };
    let node = Arc::make_mut(shared);
    let previous = match key.cmp(&node.key) {
        Ordering::Equal => return Some(std::mem::replace(&mut node.value, value)),
        Ordering::Less => insert(&mut node.left, key, value),
        Ordering::Greater => insert(&mut node.right, key, value),
    };
    balance(link);
    previous
}

/// Takes out the entry under `key`, which exists.
fn remove<K: Ord + Clone + Borrow<Q>, V: Clone, Q: Ord + ?Sized>(link: &mut Link<K, V>, key: &Q) {
    let Some(shared) = link else { return };
    let node = Arc::make_mut(shared);
    match key.cmp(node.key.borrow()) {
        Ordering::Less => remove(&mut node.left, key),
        Ordering::Greater => remove(&mut node.right, key),
        Ordering::Equal => match (node.left.take(), node.right.take()) {
            (None, only) | (only, None) => *link = only,
            (left, mut right) => {
                if let Some((next_key, next_value)) = pop_first(&mut right) {
                    *node = Node { key: next_key, value: next_value, height: 0, left, right };
                }
            }
        },
    }
    balance(link);
}

fn pop_first<K: Ord + Clone, V: Clone>(link: &mut Link<K, V>) -> Option<(K, V)> {
    let node = Arc::make_mut(link.as_mut()?);
    if let Some(first) = pop_first(&mut node.left) {
        balance(link);
        return Some(first);
    }
    let first = (node.key.clone(), node.value.clone());
    *link = node.right.take();
    Some(first)
}

/// Restores the height and the balance of the node at `link`, whose sides are balanced and differ in height by at most 2.
fn balance<K: Clone, V: Clone>(link: &mut Link<K, V>) {
    let Some(shared) = link else { return };
    let node = Arc::make_mut(shared);
    let (left, right) = (height(&node.left), height(&node.right));
    if left > right + 1 {
        if leans_right(&node.left) {
            rotate_left(&mut node.left);
        }
        rotate_right(link);
    } else if right > left + 1 {
        if leans_left(&node.right) {
            rotate_right(&mut node.right);
        }
        rotate_left(link);
    } else {
        node.height = 1 + left.max(right);
    }
}

fn leans_right<K, V>(link: &Link<K, V>) -> bool {
    link.as_ref().is_some_and(|node| height(&node.right) > height(&node.left))
}

fn leans_left<K, V>(link: &Link<K, V>) -> bool {
    link.as_ref().is_some_and(|node| height(&node.left) > height(&node.right))
}

fn measure<K, V>(node: &mut Node<K, V>) {
    node.height = 1 + height(&node.left).max(height(&node.right));
}

fn rotate_right<K: Clone, V: Clone>(link: &mut Link<K, V>) {
    let Some(mut top) = link.take() else { return };
    let lower = Arc::make_mut(&mut top);
    let Some(mut riser) = lower.left.take() else {
        *link = Some(top);
        return;
    };
    let upper = Arc::make_mut(&mut riser);
    lower.left = upper.right.take();
    measure(lower);
    upper.right = Some(top);
    measure(upper);
    *link = Some(riser);
}

fn rotate_left<K: Clone, V: Clone>(link: &mut Link<K, V>) {
    let Some(mut top) = link.take() else { return };
    let lower = Arc::make_mut(&mut top);
    let Some(mut riser) = lower.right.take() else {
        *link = Some(top);
        return;
    };
    let upper = Arc::make_mut(&mut riser);
    lower.right = upper.left.take();
    measure(lower);
    upper.left = Some(top);
    measure(upper);
    *link = Some(riser);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn check_balance<K, V>(link: &Link<K, V>) -> u8 {
        let Some(node) = link else { return 0 };
        let (left, right) = (check_balance(&node.left), check_balance(&node.right));
        assert!(left.abs_diff(right) <= 1, "a node's sides differ by more than one level");
        assert_eq!(node.height, 1 + left.max(right));
        node.height
    }

    proptest! {
        #[test]
        fn it_holds_what_a_btree_map_holds(steps in prop::collection::vec((any::<bool>(), 0u8..64, any::<u16>()), 0..300)) {
            let (mut map, mut model) = (Map::default(), BTreeMap::new());
            for (put, key, value) in steps {
                let before = (map.clone(), model.clone());
                if put {
                    prop_assert_eq!(map.insert(key, value), model.insert(key, value));
                } else {
                    prop_assert_eq!(map.remove(&key), model.remove(&key));
                }
                check_balance(&map.root);
                prop_assert_eq!(map.len(), model.len());
                prop_assert!(map.iter().eq(model.iter()));
                prop_assert!(map.iter_from(&key).eq(model.range(key..)));
                prop_assert!(before.0.iter().eq(before.1.iter()), "a clone changed with its original");
            }
        }
    }

    #[test]
    fn a_change_through_get_mut_leaves_clones_alone() {
        let mut map: Map<u32, u32> = (0..100).map(|key| (key, 0)).collect();
        let before = map.clone();
        *map.get_mut(&40).unwrap() = 1;
        assert_eq!((before.get(&40), map.get(&40)), (Some(&0), Some(&1)));
        assert_eq!(map.get_mut(&100), None);
    }
}
