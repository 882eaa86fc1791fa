//! Many patterns as one matcher: every test is filed under its field and value, and an event looks its own values up.
//!
//! A pattern is a list of *ways* to match, each a conjunction of conditions on fields. An event's values satisfy conditions; a way whose
//! conditions are all satisfied, and whose absent fields are absent, matches. Where an event has objects in arrays, a way may be put
//! together from different elements: then, and only then, the few patterns that were found are asked themselves.

mod index;

use crate::error::Error;
use crate::pattern::{EVENT_BYTES_MAX, Fields, Node, Pattern, check_size};
use crate::test::{Scalar, Test};
use index::Index;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Patterns looked up together. A pattern's rule is its place in the list the matcher was made of.
#[derive(Debug, Default)]
pub struct Matcher {
    patterns: Vec<Pattern>,
    ways: Vec<Way>,
    /// Ways that ask only for absence: no value leads to them.
    only_absent: Vec<usize>,
    root: Tree,
    fields: usize,
}

/// One conjunction of one pattern.
#[derive(Debug)]
struct Way {
    rule: usize,
    conditions: usize,
    absent: Vec<usize>,
}

/// The fields that any pattern asks for.
#[derive(Debug, Default)]
struct Tree {
    field: usize,
    children: BTreeMap<String, Tree>,
    index: Index,
}

/// A condition: the way it is of, and its number there.
type Condition = (usize, usize);

/// A conjunction while it is being put together: tests by path, and paths that must have no value.
#[derive(Debug, Clone, Default)]
struct Draft<'a> {
    present: Vec<(Vec<&'a str>, Vec<&'a Test>)>,
    absent: Vec<Vec<&'a str>>,
}

/// What an event satisfied.
#[derive(Default)]
struct Hits {
    satisfied: BTreeSet<Condition>,
    present: BTreeSet<usize>,
    has_objects_in_arrays: bool,
}

impl Matcher {
    /// Compiles patterns.
    #[must_use]
    pub fn new(patterns: Vec<Pattern>) -> Self {
        let mut matcher = Self { fields: 1, ..Self::default() };
        for (rule, pattern) in patterns.iter().enumerate() {
            for draft in drafts(&pattern.0, &[]) {
                matcher.add(rule, &draft);
            }
        }
        matcher.root.seal();
        matcher.patterns = patterns;
        matcher
    }

    fn add(&mut self, rule: usize, draft: &Draft<'_>) {
        let way = self.ways.len();
        for (number, (path, tests)) in draft.present.iter().enumerate() {
            let tree = self.root.at(path, &mut self.fields);
            tests.iter().for_each(|test| tree.index.add((way, number), test));
        }
        let absent = draft.absent.iter().map(|path| self.root.at(path, &mut self.fields).field).collect();
        if draft.present.is_empty() {
            self.only_absent.push(way);
        }
        self.ways.push(Way { rule, conditions: draft.present.len(), absent });
    }

    /// The rules that an event matches, in order.
    ///
    /// # Errors
    /// [`Error::Json`] and [`Error::TooLarge`].
    pub fn matches(&self, event: &[u8]) -> Result<Vec<usize>, Error> {
        check_size("event", event.len(), EVENT_BYTES_MAX)?;
        let event =
            serde_json::from_slice(event).map_err(|error| Error::Json { what: "event", problem: error.to_string() })?;
        Ok(self.matches_value(&event))
    }

    /// The rules that a parsed event matches, in order.
    #[must_use]
    pub fn matches_value(&self, event: &Value) -> Vec<usize> {
        let mut hits = Hits::default();
        self.root.visit(event, &mut hits);
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for (way, _) in &hits.satisfied {
            *counts.entry(*way).or_default() += 1;
        }
        let complete =
            counts.into_iter().filter(|(way, count)| self.ways[*way].conditions == *count).map(|(way, _)| way);
        let found = complete.chain(self.only_absent.iter().copied()).map(|way| &self.ways[way]);
        let rules: BTreeSet<usize> = if hits.has_objects_in_arrays {
            let candidates: BTreeSet<usize> = found.map(|way| way.rule).collect();
            candidates.into_iter().filter(|rule| self.patterns[*rule].matches(event)).collect()
        } else {
            found
                .filter(|way| way.absent.iter().all(|field| !hits.present.contains(field)))
                .map(|way| way.rule)
                .collect()
        };
        rules.into_iter().collect()
    }

    /// How many patterns there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.patterns.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }
}

impl Tree {
    fn at(&mut self, path: &[&str], fields: &mut usize) -> &mut Self {
        let mut tree = self;
        for name in path {
            tree = tree.children.entry((*name).to_owned()).or_insert_with(|| {
                *fields += 1;
                Self { field: *fields, ..Self::default() }
            });
        }
        tree
    }

    fn seal(&mut self) {
        self.index.seal();
        self.children.values_mut().for_each(Self::seal);
    }

    fn visit(&self, value: &Value, hits: &mut Hits) {
        match value {
            Value::Object(object) => {
                for (name, value) in object {
                    if let Some(child) = self.children.get(name) {
                        child.visit(value, hits);
                    }
                }
            }
            Value::Array(elements) => {
                hits.has_objects_in_arrays |= elements.iter().any(Value::is_object);
                elements.iter().for_each(|element| self.visit(element, hits));
            }
            value => {
                if let Some(scalar) = Scalar::of(value) {
                    hits.present.insert(self.field);
                    self.index.look_up(&scalar, &mut |condition| {
                        hits.satisfied.insert(condition);
                    });
                }
            }
        }
    }
}

/// The ways in which `fields`, found at `path`, can match. Patterns are bounded in their number.
fn drafts<'a>(fields: &'a Fields, path: &[&'a str]) -> Vec<Draft<'a>> {
    let mut all = vec![Draft::default()];
    for (name, node) in &fields.fields {
        let mut within = path.to_vec();
        within.push(name);
        let ways = match node {
            Node::Object(inner) => drafts(inner, &within),
            Node::Tests(tests) => of_tests(tests, &within),
        };
        all = product(&all, &ways);
    }
    for group in &fields.alternatives {
        let ways: Vec<Draft<'a>> = group.iter().flat_map(|way| drafts(way, path)).collect();
        all = product(&all, &ways);
    }
    all
}

fn of_tests<'a>(tests: &'a [Test], path: &[&'a str]) -> Vec<Draft<'a>> {
    let present: Vec<&Test> = tests.iter().filter(|test| **test != Test::Absent).collect();
    let mut ways = Vec::new();
    if present.len() < tests.len() {
        ways.push(Draft { absent: vec![path.to_vec()], ..Draft::default() });
    }
    if !present.is_empty() {
        ways.push(Draft { present: vec![(path.to_vec(), present)], ..Draft::default() });
    }
    ways
}

fn product<'a>(one: &[Draft<'a>], two: &[Draft<'a>]) -> Vec<Draft<'a>> {
    let join = |first: &Draft<'a>, second: &Draft<'a>| Draft {
        present: first.present.iter().chain(&second.present).cloned().collect(),
        absent: first.absent.iter().chain(&second.absent).cloned().collect(),
    };
    one.iter().flat_map(|first| two.iter().map(move |second| join(first, second))).collect()
}

#[cfg(test)]
#[path = "matcher_tests.rs"]
mod tests;
