//! Which events a bus has taken lately: ids within a window of time, bounded in number and bytes.

use std::collections::{BTreeMap, VecDeque};

/// Limits of what is remembered.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Milliseconds that an id is remembered.
    pub window_ms: i64,
    /// Ids remembered; the oldest are forgotten first.
    pub ids: usize,
    /// Bytes of ids and sources remembered.
    pub bytes: usize,
}

/// Ids with the time they were taken at.
#[derive(Debug)]
pub struct Seen {
    limits: Limits,
    at: BTreeMap<String, i64>,
    order: VecDeque<(i64, String)>,
    bytes: usize,
}

impl Seen {
    pub const fn new(limits: Limits) -> Self {
        Self { limits, at: BTreeMap::new(), order: VecDeque::new(), bytes: 0 }
    }

    /// An event's identity: its id is unique within its source only.
    pub fn identity(source: &str, id: &str) -> String {
        format!("{source}\n{id}")
    }

    pub fn contains(&self, identity: &str, now: i64) -> bool {
        self.at.get(identity).is_some_and(|at| now.saturating_sub(*at) <= self.limits.window_ms)
    }

    /// Remembers an event that was taken at `at`, and forgets what is too old or too much.
    pub fn insert(&mut self, identity: String, at: i64) {
        self.bytes += identity.len();
        self.order.push_back((at, identity.clone()));
        self.at.insert(identity, at);
        while let Some((oldest, _)) = self.order.front() {
            let is_old = at.saturating_sub(*oldest) > self.limits.window_ms;
            if !is_old && self.order.len() <= self.limits.ids && self.bytes <= self.limits.bytes {
                break;
            }
            if let Some((oldest, identity)) = self.order.pop_front() {
                self.bytes -= identity.len();
                if self.at.get(&identity) == Some(&oldest) {
                    self.at.remove(&identity);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(window_ms: i64, ids: usize, bytes: usize) -> Seen {
        Seen::new(Limits { window_ms, ids, bytes })
    }

    #[test]
    fn an_id_is_known_for_the_window() {
        let mut seen = seen(100, 10, 1_000);
        seen.insert("a".into(), 0);
        assert!(seen.contains("a", 100));
        assert!(!seen.contains("a", 101));
        assert!(!seen.contains("b", 0));
        seen.insert("a".into(), 150);
        seen.insert("b".into(), 160);
        assert!(seen.contains("a", 160));
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many_or_they_are_too_long() {
        let mut many = seen(100, 2, 1_000);
        ["a", "b", "c"].into_iter().for_each(|id| many.insert(id.into(), 0));
        assert_eq!(["a", "b", "c"].map(|id| many.contains(id, 0)), [false, true, true]);
        let mut long = seen(100, 10, 5);
        ["aaa", "bb", "c"].into_iter().for_each(|id| long.insert(id.into(), 0));
        assert_eq!((long.contains("aaa", 0), long.contains("bb", 0), long.bytes), (false, true, 3));
    }

    #[test]
    fn an_id_belongs_to_its_source() {
        assert_ne!(Seen::identity("a", "b"), Seen::identity("ab", ""));
    }
}
