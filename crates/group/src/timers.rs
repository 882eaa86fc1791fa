//! The timers of a shard: one deadline for each key. A deadline that moves later costs one look-up, so a heartbeat is cheap.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What happens at a deadline.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The join phase ends.
    Join,
    /// Members that have not synced are removed.
    Sync,
    /// A member was silent too long, or an id that was given out was not used.
    Session(Arc<str>),
    /// A member has not given partitions back.
    Revocation(Arc<str>),
    /// A classic member of a group of the new protocol has not joined again.
    Rejoin(Arc<str>),
    /// A classic member of a group of the new protocol has not synced after it joined.
    MemberSync(Arc<str>),
}

type Key = (Arc<str>, Timer);

struct Entry {
    deadline: u64,
    /// Where the key is in the queue: at its deadline or before it.
    queued: u64,
}

/// Deadlines in milliseconds of elapsed time.
#[derive(Default)]
pub(crate) struct Timers {
    queue: BTreeSet<(u64, Key)>,
    entries: BTreeMap<Key, Entry>,
}

impl Timers {
    /// Sets the deadline of `timer` of `group`, in place of the one it has.
    pub(crate) fn set(&mut self, group: &Arc<str>, timer: Timer, deadline: u64) {
        let key = (group.clone(), timer);
        match self.entries.get_mut(&key) {
            Some(entry) if entry.queued <= deadline => entry.deadline = deadline,
            Some(entry) => {
                self.queue.remove(&(entry.queued, key.clone()));
                *entry = Entry { deadline, queued: deadline };
                self.queue.insert((deadline, key));
            }
            None => {
                self.queue.insert((deadline, key.clone()));
                self.entries.insert(key, Entry { deadline, queued: deadline });
            }
        }
    }

    /// Whether `timer` of `group` runs.
    pub(crate) fn is_set(&self, group: &Arc<str>, timer: &Timer) -> bool {
        self.entries.contains_key(&(group.clone(), timer.clone()))
    }

    /// Forgets `timer` of `group`.
    pub(crate) fn cancel(&mut self, group: &Arc<str>, timer: Timer) {
        let key = (group.clone(), timer);
        if let Some(entry) = self.entries.remove(&key) {
            self.queue.remove(&(entry.queued, key));
        }
    }

    /// Takes the next timer whose deadline has come.
    pub(crate) fn pop_due(&mut self, now: u64) -> Option<(Arc<str>, Timer)> {
        while self.queue.first().is_some_and(|(at, _)| *at <= now) {
            let (_, key) = self.queue.pop_first()?;
            match self.entries.get_mut(&key) {
                Some(entry) if entry.deadline > now => {
                    entry.queued = entry.deadline;
                    self.queue.insert((entry.deadline, key));
                }
                Some(_) => {
                    self.entries.remove(&key);
                    return Some(key);
                }
                None => {}
            }
        }
        None
    }

    /// When to look again: no deadline comes before.
    pub(crate) fn next(&self) -> Option<u64> {
        self.queue.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group() -> Arc<str> {
        Arc::from("g")
    }

    #[test]
    fn a_deadline_that_moves_later_fires_once_and_then() {
        let mut timers = Timers::default();
        timers.set(&group(), Timer::Join, 10);
        timers.set(&group(), Timer::Join, 30);
        assert_eq!(timers.pop_due(20), None);
        assert_eq!(timers.next(), Some(30));
        assert_eq!(timers.pop_due(30), Some((group(), Timer::Join)));
        assert_eq!(timers.pop_due(100), None);
    }

    #[test]
    fn a_deadline_that_moves_earlier_fires_then() {
        let mut timers = Timers::default();
        timers.set(&group(), Timer::Sync, 30);
        timers.set(&group(), Timer::Sync, 10);
        assert_eq!(timers.pop_due(10), Some((group(), Timer::Sync)));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_cancelled_timer_never_fires() {
        let mut timers = Timers::default();
        timers.set(&group(), Timer::Session("m".into()), 10);
        timers.cancel(&group(), Timer::Session("m".into()));
        assert_eq!(timers.pop_due(10), None);
    }
}
