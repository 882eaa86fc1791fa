//! Subscriptions by pattern: matched by the server against every topic's name, outside of decisions, and stored.

use super::Consumer;
use super::stored::{ConsumerChange, Resolved};
use crate::Error;
use crate::turn::Turn;
use regex::{Regex, RegexBuilder};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Patterns are matched at most so often, whatever changes.
const REFRESH_INTERVAL_MS_MIN: i64 = 10_000;

/// Bytes that one compiled pattern may take.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// Patterns to match: [`crate::Shard::resolved`] takes the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolve {
    /// Whose they are.
    pub group: Arc<str>,
    /// The patterns.
    pub patterns: BTreeSet<Arc<str>>,
}

/// What the patterns match.
#[must_use]
pub fn resolve(patterns: &BTreeSet<Arc<str>>, names: &[String]) -> BTreeMap<Arc<str>, BTreeSet<String>> {
    patterns
        .iter()
        .filter_map(|pattern| {
            let compiled = compile(pattern)?;
            let matched = names.iter().filter(|name| compiled.is_match(name)).cloned().collect();
            Some((pattern.clone(), matched))
        })
        .collect()
}

/// The pattern, to be matched against whole names.
fn compile(pattern: &str) -> Option<Regex> {
    // By itself first: what is around it below must not make sense of half a pattern.
    RegexBuilder::new(pattern).size_limit(COMPILED_BYTES_MAX).build().ok()?;
    RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(COMPILED_BYTES_MAX).build().ok()
}

/// What a change of a member's pattern means for the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RegexChange {
    pub(super) changed: bool,
    /// What the new one matches is known: the assignment is to be made anew.
    pub(super) bumps: bool,
}

impl Consumer {
    /// A member had one pattern and has another, or the same. Asks for patterns to be matched where that is due.
    pub(super) fn take_regex(
        &mut self,
        old: Option<&str>,
        new: Option<&str>,
        turn: &mut Turn<'_>,
    ) -> Result<RegexChange, Error> {
        let mut change = RegexChange { changed: old != new, bumps: false };
        let mut is_due = false;
        if change.changed {
            if let Some(old) =
                old.filter(|old| self.stored.subscribers_of(old) == 0 && self.stored.resolved(old).is_some())
            {
                self.change(ConsumerChange::Regex(Arc::from(old), None));
            }
            match new {
                None => change.bumps = true,
                Some(new) if self.stored.resolved(new).is_some() => change.bumps = true,
                Some(new) => {
                    compile(new).ok_or_else(|| Error::InvalidRegularExpression { regex: new.to_owned() })?;
                    is_due = true;
                }
            }
        }
        self.maybe_resolve(is_due, turn);
        Ok(change)
    }

    fn maybe_resolve(&mut self, is_due: bool, turn: &mut Turn<'_>) {
        if self.resolving || self.stored.patterns().next().is_none() {
            return;
        }
        let last = self.resolved.or_else(|| self.stored.last_resolved());
        let elapsed_ms = last.map_or(i64::MAX, |(at, _)| turn.now.wall.0.saturating_sub(at.0));
        // A clock that was set back must not keep patterns from being matched.
        if (0..=REFRESH_INTERVAL_MS_MIN).contains(&elapsed_ms) {
            return;
        }
        let is_unknown = self.stored.patterns().any(|regex| self.stored.resolved(regex).is_none());
        let is_old = last.is_none_or(|(_, version)| version != turn.cluster.version());
        if is_due || is_unknown || is_old || elapsed_ms > turn.config.consumer.regex_refresh_interval_ms {
            self.resolving = true;
            let patterns = self.stored.patterns().cloned().collect();
            turn.effects.resolve.push(Resolve { group: self.id.clone(), patterns });
        }
    }

    /// What patterns match, as of now.
    pub(crate) fn resolved(&mut self, matched: &BTreeMap<Arc<str>, BTreeSet<String>>, turn: &mut Turn<'_>) {
        self.resolving = false;
        let (version, at) = (turn.cluster.version(), turn.now.wall);
        self.resolved = Some((at, version));
        let mut changed = false;
        for (regex, topics) in matched {
            if self.stored.subscribers_of(regex) == 0 {
                continue;
            }
            let before = self.stored.resolved(regex);
            if before.is_some_and(|before| before.topics == *topics) {
                continue;
            }
            changed |= before.is_some() || !topics.is_empty();
            let resolved = Resolved { topics: topics.clone(), version: stored(version), at };
            self.change(ConsumerChange::Regex(regex.clone(), Some(Arc::new(resolved))));
        }
        self.take_account(changed, turn);
    }
}

/// The version as Kafka's layout holds it.
fn stored(version: u64) -> i64 {
    i64::try_from(version).unwrap_or(i64::MAX)
}
