//! The tests of one field, filed so that a value finds those that accept it.
//!
//! Exact values, cases and affixes are looked up; ranges are found by their bounds. `anything-but` and address blocks are gone through,
//! since the first accept nearly everything and the second are few.

use super::Condition;
use crate::number::Number;
use crate::test::{Range, Scalar, Test, Text};
use crate::wildcard::Wildcard;
use std::collections::{BTreeMap, BTreeSet};

/// Tests of one field.
#[derive(Debug, Default)]
pub struct Index {
    exact: BTreeMap<Scalar, Vec<Condition>>,
    lower_case: BTreeMap<String, Vec<Condition>>,
    /// A wildcard is filed under what it begins with.
    prefixes: Affixes<Option<Wildcard>>,
    suffixes: Affixes<()>,
    lower_prefixes: Affixes<()>,
    lower_suffixes: Affixes<()>,
    /// By lower bound alone, ascending: a value is above a front part of them.
    above: Vec<(Number, Range, Condition)>,
    /// By upper bound alone, descending: a value is below a front part of them.
    below: Vec<(Number, Range, Condition)>,
    /// By lower bound, ascending, each with the largest upper bound up to it.
    between: Vec<(Number, Range, Condition, Number)>,
    any: Vec<Condition>,
    others: Vec<(Test, Condition)>,
}

/// Texts that others begin or end with.
#[derive(Debug)]
struct Affixes<T> {
    texts: BTreeMap<String, Vec<(Condition, T)>>,
    lens: BTreeSet<usize>,
}

impl<T> Default for Affixes<T> {
    fn default() -> Self {
        Self { texts: BTreeMap::new(), lens: BTreeSet::new() }
    }
}

impl<T> Affixes<T> {
    fn add(&mut self, text: &str, condition: Condition, more: T) {
        self.lens.insert(text.len());
        self.texts.entry(text.to_owned()).or_default().push((condition, more));
    }

    /// What is filed under the parts that `cut` gives for each length there is.
    fn look_up<'a>(
        &'a self,
        text: &'a str,
        cut: impl Fn(&'a str, usize) -> Option<&'a str>,
    ) -> impl Iterator<Item = &'a (Condition, T)> {
        let lens = self.lens.range(..=text.len());
        lens.filter_map(move |len| cut(text, *len)).filter_map(|part| self.texts.get(part)).flatten()
    }
}

fn front(text: &str, len: usize) -> Option<&str> {
    text.get(..len)
}

fn back(text: &str, len: usize) -> Option<&str> {
    text.get(text.len() - len..)
}

impl Index {
    /// Files a test of a condition.
    pub fn add(&mut self, condition: Condition, test: &Test) {
        match test {
            Test::Equals(scalar) => self.exact.entry(scalar.clone()).or_default().push(condition),
            Test::Text(Text::Prefix(text)) => self.prefixes.add(text, condition, None),
            Test::Text(Text::Wildcard(wildcard)) => {
                self.prefixes.add(wildcard.prefix(), condition, Some(wildcard.clone()))
            }
            Test::Text(Text::Suffix(text)) => self.suffixes.add(text, condition, ()),
            Test::Text(Text::PrefixIgnoringCase(text)) => self.lower_prefixes.add(text, condition, ()),
            Test::Text(Text::SuffixIgnoringCase(text)) => self.lower_suffixes.add(text, condition, ()),
            Test::Text(Text::EqualsIgnoringCase(text)) => {
                self.lower_case.entry(text.clone()).or_default().push(condition)
            }
            Test::InRange(range) => self.add_range(condition, *range),
            Test::Exists => self.any.push(condition),
            Test::InBlock(_) | Test::NotAny(_) | Test::NotText(_) => self.others.push((test.clone(), condition)),
            // Absence is not of a value: the way itself has it.
            Test::Absent => {}
        }
    }

    fn add_range(&mut self, condition: Condition, range: Range) {
        match (range.low, range.high) {
            (Some((low, true)), Some((high, true))) if low == high => {
                self.exact.entry(Scalar::Number(low)).or_default().push(condition);
            }
            (Some((low, _)), Some((high, _))) => self.between.push((low, range, condition, high)),
            (Some((low, _)), None) => self.above.push((low, range, condition)),
            (None, Some((high, _))) => self.below.push((high, range, condition)),
            (None, None) => self.others.push((Test::InRange(range), condition)),
        }
    }

    /// Puts ranges in order, when all tests are filed.
    pub fn seal(&mut self) {
        self.above.sort_by_key(|(low, ..)| *low);
        self.below.sort_by_key(|(high, ..)| std::cmp::Reverse(*high));
        self.between.sort_by_key(|(low, ..)| *low);
        let mut largest: Option<Number> = None;
        for (_, _, _, high) in &mut self.between {
            let so_far = largest.map_or(*high, |known| known.max(*high));
            largest = Some(so_far);
            *high = so_far;
        }
    }

    /// Tells `found` of every condition that a value satisfies; of some more than once.
    pub fn look_up(&self, value: &Scalar, found: &mut impl FnMut(Condition)) {
        self.any.iter().copied().for_each(&mut *found);
        if let Some(conditions) = self.exact.get(value) {
            conditions.iter().copied().for_each(&mut *found);
        }
        for (test, condition) in &self.others {
            if test.accepts(value) {
                found(*condition);
            }
        }
        match value {
            Scalar::Text(text) => self.look_up_text(text, found),
            Scalar::Number(number) => self.look_up_number(*number, found),
            Scalar::Null | Scalar::Boolean(_) => {}
        }
    }

    fn look_up_text(&self, text: &str, found: &mut impl FnMut(Condition)) {
        for (condition, wildcard) in self.prefixes.look_up(text, front) {
            if wildcard.as_ref().is_none_or(|wildcard| wildcard.accepts(text)) {
                found(*condition);
            }
        }
        self.suffixes.look_up(text, back).for_each(|(condition, ())| found(*condition));
        if self.lower_case.is_empty() && self.lower_prefixes.lens.is_empty() && self.lower_suffixes.lens.is_empty() {
            return;
        }
        let lower = text.to_lowercase();
        if let Some(conditions) = self.lower_case.get(&lower) {
            conditions.iter().copied().for_each(&mut *found);
        }
        self.lower_prefixes.look_up(&lower, front).for_each(|(condition, ())| found(*condition));
        self.lower_suffixes.look_up(&lower, back).for_each(|(condition, ())| found(*condition));
    }

    fn look_up_number(&self, number: Number, found: &mut impl FnMut(Condition)) {
        let above =
            self.above.iter().take_while(|(low, ..)| *low <= number).map(|(_, range, condition)| (range, condition));
        let below =
            self.below.iter().take_while(|(high, ..)| *high >= number).map(|(_, range, condition)| (range, condition));
        // From the last that begins below the number back to where none before it reaches so far.
        let end = self.between.partition_point(|(low, ..)| *low <= number);
        let between = self.between[..end].iter().rev().take_while(|(.., largest)| *largest >= number);
        let between = between.map(|(_, range, condition, _)| (range, condition));
        for (range, condition) in above.chain(below).chain(between) {
            if range.contains(number) {
                found(*condition);
            }
        }
    }
}
