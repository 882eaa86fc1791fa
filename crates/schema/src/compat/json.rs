//! Rules for JSON Schema: is every value that the writer's schema allows allowed by the reader's? Where a keyword can't be compared it
//! must be equal on both sides, so that "compatible" is only said of what was shown. As in the registry people know, an object without
//! `additionalProperties` is open: a property added to it is a conflict, since any value may have been written under that name before.

use super::CONFLICTS_MAX;
use crate::json::Parsed;
use crate::text::Json;
use std::collections::HashSet;

pub(super) fn conflicts(writer: &Parsed, reader: &Parsed) -> Vec<String> {
    let mut check = Check { writer, reader, seen: HashSet::new(), path: Vec::new(), conflicts: Vec::new(), steps: 0 };
    check.pair(Side { tree: &writer.root, document: None }, Side { tree: &reader.root, document: None });
    check.conflicts
}

/// How deep schemas are compared.
const DEPTH_MAX: usize = 128;
/// Pairs of subschemas that are compared at most: references may fan out.
const STEPS_MAX: usize = 100_000;

/// A subschema and the document its references are resolved in.
#[derive(Clone, Copy)]
struct Side<'a> {
    tree: &'a Json,
    document: Option<&'a str>,
}

struct Check<'a> {
    writer: &'a Parsed,
    reader: &'a Parsed,
    /// Pairs that were looked at, by address: references may lead in circles.
    seen: HashSet<(*const Json, *const Json)>,
    path: Vec<String>,
    conflicts: Vec<String>,
    steps: usize,
}

/// Keywords whose value may only grow, or stay absent, from writer to reader.
const UPPER: [&str; 5] = ["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"];
/// Keywords whose value may only shrink, or go.
const LOWER: [&str; 5] = ["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"];
/// Keywords that the reader may drop but not add or change.
const EQUAL: [&str; 13] = [
    "pattern",
    "multipleOf",
    "const",
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "contains",
    "propertyNames",
    "prefixItems",
];

impl<'a> Check<'a> {
    fn say(&mut self, conflict: impl Into<String>) {
        if self.conflicts.len() < CONFLICTS_MAX {
            let place =
                if self.path.is_empty() { "the value".to_owned() } else { format!("{:?}", self.path.join(".")) };
            self.conflicts.push(format!("{place}: {}", conflict.into()));
        }
    }

    fn agrees(&mut self, w: Side<'a>, r: Side<'a>) -> bool {
        let mut trial = Check { seen: self.seen.clone(), path: self.path.clone(), conflicts: Vec::new(), ..*self };
        trial.pair(w, r);
        self.steps = trial.steps;
        trial.conflicts.is_empty()
    }

    fn pair(&mut self, w: Side<'a>, r: Side<'a>) {
        let (w, r) = (follow(self.writer, w), follow(self.reader, r));
        if accepts_all(r.tree) || *w.tree == Json::Bool(false) || !self.seen.insert((w.tree, r.tree)) {
            return;
        }
        self.steps += 1;
        if self.path.len() > DEPTH_MAX || self.steps > STEPS_MAX {
            return self.say("the schemas are too deep or too large to be compared");
        }
        if *r.tree == Json::Bool(false) {
            return self.say("the reader allows no value here");
        }
        if self.combined(w, r) {
            return;
        }
        self.types(w, r);
        self.ranges(w, r);
        self.object(w, r);
        self.array(w, r);
    }

    /// Alternatives: each of the writer's must be taken by one of the reader's. Returns whether that was the whole comparison.
    fn combined(&mut self, w: Side<'a>, r: Side<'a>) -> bool {
        let (written, read) = (alternatives(w), alternatives(r));
        if written.is_empty() && read.is_empty() {
            if w.tree.get("allOf") != r.tree.get("allOf") && r.tree.get("allOf").is_some() {
                self.all_of(w, r);
            }
            return false;
        }
        let written = if written.is_empty() { vec![w] } else { written };
        let read = if read.is_empty() { vec![r] } else { read };
        for (index, one) in written.iter().enumerate() {
            if !read.iter().any(|other| self.agrees(*one, *other)) {
                self.say(format!("alternative {} of the writer is none of the reader's", index + 1));
            }
        }
        true
    }

    /// The reader's parts must each take the writer's value: shown where some part of the writer is taken.
    fn all_of(&mut self, w: Side<'a>, r: Side<'a>) {
        let parts = |side: Side<'a>| -> Vec<Side<'a>> {
            side.tree.get("allOf").map_or(&[][..], Json::items).iter().map(|tree| Side { tree, ..side }).collect()
        };
        let mut written = parts(w);
        written.push(w);
        for (index, part) in parts(r).into_iter().enumerate() {
            if !written.iter().any(|one| self.agrees(*one, part)) {
                self.say(format!("part {} of the reader's allOf is not met by the writer", index + 1));
            }
        }
    }

    fn types(&mut self, w: Side<'a>, r: Side<'a>) {
        let (written, read) = (type_words(w.tree), type_words(r.tree));
        if let Some(read) = &read {
            match &written {
                None => self.say(format!("any type is read as {}", read.join(" or "))),
                Some(written) => {
                    for word in written {
                        if !(read.contains(word) || *word == "integer" && read.contains(&"number")) {
                            self.say(format!("{word} is read as {}", read.join(" or ")));
                        }
                    }
                }
            }
        }
        if let Some(read) = r.tree.get("enum") {
            let constant = w.tree.get("const").map(std::slice::from_ref);
            let Some(written) = w.tree.get("enum").map(Json::items).or(constant) else {
                return self.say("the reader allows only some values");
            };
            if let Some(lost) = written.iter().find(|value| !read.items().contains(value)) {
                self.say(format!("the value {} is not among the reader's", lost.to_value()));
            }
        }
    }

    fn ranges(&mut self, w: Side<'a>, r: Side<'a>) {
        for (words, grows) in [(UPPER, true), (LOWER, false)] {
            for word in words {
                let Some(read) = r.tree.get(word) else { continue };
                let within = match (w.tree.get(word).and_then(Json::as_f64), read.as_f64()) {
                    (Some(written), Some(read)) => {
                        if grows {
                            written <= read
                        } else {
                            written >= read
                        }
                    }
                    _ => w.tree.get(word) == Some(read),
                };
                if !within {
                    self.say(format!("the reader's {word} is narrower"));
                }
            }
        }
        for word in EQUAL {
            if let Some(read) = r.tree.get(word)
                && w.tree.get(word) != Some(read)
            {
                self.say(format!("the reader's {word} is new or another"));
            }
        }
        let unique = |side: Side<'a>| side.tree.get("uniqueItems") == Some(&Json::Bool(true));
        if unique(r) && !unique(w) {
            self.say("the reader demands uniqueItems");
        }
        let format = |side: Side<'a>| side.tree.get("format").and_then(Json::as_str);
        if let Some(read) = format(r)
            && format(w) != Some(read)
        {
            self.say(format!("the reader demands the format {read:?}"));
        }
    }

    fn object(&mut self, w: Side<'a>, r: Side<'a>) {
        let may_be_object = |side: Side<'a>| type_words(side.tree).is_none_or(|words| words.contains(&"object"));
        if !may_be_object(w) || !may_be_object(r) {
            return;
        }
        let written = w.tree.get("properties").map_or(&[][..], Json::members);
        let read = r.tree.get("properties").map_or(&[][..], Json::members);
        for (name, tree) in written {
            self.path.push(name.clone());
            let property = Side { tree, ..w };
            match (read.iter().find(|(other, _)| other == name), additional(r)) {
                (Some((_, tree)), _) => self.pair(property, Side { tree, ..r }),
                (None, Additional::Closed) if *tree != Json::Bool(false) && !has_patterns(r) => {
                    self.say("the property is removed and the reader allows no others");
                }
                (None, Additional::Of(rest)) => self.pair(property, rest),
                (None, _) => {}
            }
            self.path.pop();
        }
        for (name, tree) in read.iter().filter(|(name, _)| !written.iter().any(|(other, _)| other == name)) {
            self.path.push(name.clone());
            let property = Side { tree, ..r };
            match additional(w) {
                Additional::Open if !accepts_all(tree) => {
                    self.say("the property is added and the writer allowed any value there")
                }
                Additional::Of(rest) => self.pair(rest, property),
                _ => {}
            }
            self.path.pop();
        }
        self.required(w, r);
        self.rest(w, r);
    }

    fn required(&mut self, w: Side<'a>, r: Side<'a>) {
        let demanded = |side: Side<'a>| side.tree.get("required").map_or(&[][..], Json::items);
        for name in demanded(r).iter().filter_map(Json::as_str) {
            let has_default = r.tree.get("properties").and_then(|all| all.get(name)?.get("default")).is_some();
            if !has_default && !demanded(w).iter().any(|other| other.as_str() == Some(name)) {
                self.path.push(name.to_owned());
                self.say("the reader requires the property and the writer does not");
                self.path.pop();
            }
        }
    }

    /// What is allowed beside the named properties.
    fn rest(&mut self, w: Side<'a>, r: Side<'a>) {
        if let Some(patterns) = r.tree.get("patternProperties")
            && w.tree.get("patternProperties") != Some(patterns)
        {
            self.say("the reader's patternProperties are new or others");
        }
        match (additional(w), additional(r)) {
            (_, Additional::Open) | (Additional::Closed, _) => {}
            (_, Additional::Closed) => self.say("the reader allows no further properties and the writer does"),
            (Additional::Open, Additional::Of(_)) => {
                self.say("the reader restricts further properties and the writer does not")
            }
            (Additional::Of(written), Additional::Of(read)) => self.pair(written, read),
        }
    }

    fn array(&mut self, w: Side<'a>, r: Side<'a>) {
        let may_be_array = |side: Side<'a>| type_words(side.tree).is_none_or(|words| words.contains(&"array"));
        let Some(read) = r.tree.get("items").filter(|items| !accepts_all(items)) else { return };
        if !may_be_array(w) {
            return;
        }
        self.path.push("[]".to_owned());
        match w.tree.get("items") {
            Some(written @ (Json::Object(_) | Json::Bool(_))) if !matches!(read, Json::Array(_)) => {
                self.pair(Side { tree: written, ..w }, Side { tree: read, ..r });
            }
            written if written == Some(read) => {}
            _ => self.say("the reader restricts the items and the writer does not in the same way"),
        }
        self.path.pop();
    }
}

/// What an object may hold beside its named properties.
enum Additional<'a> {
    Open,
    Closed,
    Of(Side<'a>),
}

fn additional(side: Side<'_>) -> Additional<'_> {
    match side.tree.get("additionalProperties").or_else(|| side.tree.get("unevaluatedProperties")) {
        None | Some(Json::Bool(true)) => Additional::Open,
        Some(Json::Bool(false)) => Additional::Closed,
        Some(tree) if accepts_all(tree) => Additional::Open,
        Some(tree) => Additional::Of(Side { tree, ..side }),
    }
}

/// Whether the reader has patterns that may take a removed property: not compared, and so not a conflict by itself.
fn has_patterns(side: Side<'_>) -> bool {
    side.tree.get("patternProperties").is_some_and(|patterns| !patterns.members().is_empty())
}

/// Words that say nothing about values.
const SILENT: [&str; 12] = [
    "title",
    "description",
    "$comment",
    "default",
    "examples",
    "$schema",
    "$id",
    "deprecated",
    "readOnly",
    "writeOnly",
    "$defs",
    "definitions",
];

fn accepts_all(tree: &Json) -> bool {
    match tree {
        Json::Bool(all) => *all,
        Json::Object(members) => members.iter().all(|(word, _)| SILENT.contains(&word.as_str())),
        _ => false,
    }
}

fn alternatives(side: Side<'_>) -> Vec<Side<'_>> {
    let branches = side.tree.get("anyOf").or_else(|| side.tree.get("oneOf"));
    branches.map_or(&[][..], Json::items).iter().map(|tree| Side { tree, ..side }).collect()
}

/// The types a schema names, or those of its `const` or `enum`; none when it allows any.
fn type_words(tree: &Json) -> Option<Vec<&str>> {
    match tree.get("type") {
        Some(Json::String(word)) => Some(vec![word]),
        Some(list) => Some(list.items().iter().filter_map(Json::as_str).collect()),
        None => {
            let constant = tree.get("const").map(std::slice::from_ref);
            let values = tree.get("enum").map(Json::items).or(constant)?;
            Some(values.iter().map(crate::json::type_of).collect())
        }
    }
}

/// Follows references; one that leads nowhere, or through too many others, stays as it is.
fn follow<'a>(parsed: &'a Parsed, mut side: Side<'a>) -> Side<'a> {
    for _ in 0..DEPTH_MAX {
        let Some(reference) = side.tree.get("$ref").and_then(Json::as_str) else { break };
        let Some((tree, document)) = parsed.lookup(reference, side.document) else { break };
        side = Side { tree, document };
    }
    side
}

#[cfg(test)]
mod tests {
    use crate::{Compatibility, Level, MemorySchemas, Reference, Schema, SchemaType};

    fn parse(text: &str) -> Schema {
        Schema::parse(SchemaType::Json, text, &[], &MemorySchemas::new())
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn object(rest: &str) -> String {
        format!(r#"{{"type":"object",{rest}}}"#)
    }

    /// (before, after, BACKWARD, FORWARD)
    fn table() -> Vec<(String, String, bool, bool)> {
        let closed =
            |properties: &str| object(&format!(r#""additionalProperties":false,"properties":{{{properties}}}"#));
        let open = |properties: &str| object(&format!(r#""properties":{{{properties}}}"#));
        let a = r#""a":{"type":"integer"}"#;
        let ab = r#""a":{"type":"integer"},"b":{"type":"string"}"#;
        let array = |items: &str| format!(r#"{{"type":"array","items":{items}}}"#);
        vec![
            (open(a), open(a), true, true),
            // a property more
            (closed(a), closed(ab), true, false),
            (open(a), open(ab), false, true),
            (open(a), object(&format!(r#""properties":{{{ab}}},"required":["b"]"#)), false, true),
            (closed(a), object(&format!(r#""additionalProperties":false,"properties":{{{ab}}},"required":["b"]"#)), false, false),
            // the content model opens or closes
            (closed(a), open(a), true, false),
            // a property becomes required, without and with a default
            (open(ab), object(&format!(r#""properties":{{{ab}}},"required":["b"]"#)), false, true),
            (
                open(r#""b":{"type":"string"}"#),
                object(r#""properties":{"b":{"type":"string","default":"x"}},"required":["b"]"#),
                true,
                true,
            ),
            // types
            (open(r#""a":{"type":"integer"}"#), open(r#""a":{"type":"number"}"#), true, false),
            (open(r#""a":{"type":"integer"}"#), open(r#""a":{"type":"string"}"#), false, false),
            (open(r#""a":{"type":"string"}"#), open(r#""a":{"type":["string","null"]}"#), true, false),
            (open(r#""a":{"type":"string"}"#), open(r#""a":{}"#), true, false),
            // ranges, enums and what can't be compared
            (r#"{"type":"string","maxLength":5}"#.into(), r#"{"type":"string","maxLength":9}"#.into(), true, false),
            (r#"{"type":"number","minimum":5}"#.into(), r#"{"type":"number"}"#.into(), true, false),
            (r#"{"enum":["a","b"]}"#.into(), r#"{"enum":["a","b","c"]}"#.into(), true, false),
            (r#"{"const":"a"}"#.into(), r#"{"type":"string"}"#.into(), true, false),
            (r#"{"type":"string","pattern":"a"}"#.into(), r#"{"type":"string","pattern":"b"}"#.into(), false, false),
            (r#"{"type":"string"}"#.into(), r#"{"type":"string","format":"date-time"}"#.into(), false, true),
            (array(r#"{"type":"integer"}"#), array(r#"{"type":"number"}"#), true, false),
            (array("{}"), r#"{"type":"array","items":{},"uniqueItems":true}"#.into(), false, true),
            // alternatives
            (r#"{"type":"string"}"#.into(), r#"{"oneOf":[{"type":"null"},{"type":"string"}]}"#.into(), true, false),
            (r#"{"oneOf":[{"type":"null"},{"type":"string"}]}"#.into(), r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#.into(), true, true),
            // nested, through references
            (
                r##"{"$defs":{"m":{"type":"object","properties":{"c":{"type":"integer"}}}},"type":"object","properties":{"m":{"$ref":"#/$defs/m"}}}"##.into(),
                open(r#""m":{"type":"object","properties":{"c":{"type":"number"}}}"#),
                true,
                false,
            ),
            // titles say nothing
            (r#"{"type":"string","title":"a"}"#.into(), r#"{"type":"string","description":"b"}"#.into(), true, true),
        ]
    }

    #[test]
    fn rules_hold_in_both_directions() {
        for (before, after, backward, forward) in table() {
            let (old, new) = (parse(&before), parse(&after));
            for (level, expected) in
                [(Level::Backward, backward), (Level::Forward, forward), (Level::Full, backward && forward)]
            {
                let outcome = Compatibility::check(level, &new, std::slice::from_ref(&old));
                assert_eq!(
                    outcome.is_compatible(),
                    expected,
                    "{level} from {before} to {after}: {:?}",
                    outcome.conflicts
                );
            }
        }
    }

    #[test]
    fn a_conflict_names_the_property() {
        let old =
            parse(r#"{"type":"object","properties":{"a":{"type":"object","properties":{"b":{"type":"integer"}}}}}"#);
        let new =
            parse(r#"{"type":"object","properties":{"a":{"type":"object","properties":{"b":{"type":"string"}}}}}"#);
        let outcome = Compatibility::check(Level::Backward, &new, &[old]);
        assert_eq!(
            outcome.conflicts,
            [r#"the new schema can't read what the old one wrote: "a.b": integer is read as string"#]
        );
    }

    #[test]
    fn a_schema_within_itself_is_compared_once() {
        let tree = |leaf: &str| {
            parse(&format!(
                r##"{{"$defs":{{"t":{{"type":"object","additionalProperties":false,"properties":{{"l":{{"$ref":"#/$defs/t"}},"v":{leaf}}}}}}},"$ref":"#/$defs/t"}}"##
            ))
        };
        assert!(
            Compatibility::check(Level::Full, &tree(r#"{"type":"integer"}"#), &[tree(r#"{"type":"integer"}"#)])
                .is_compatible()
        );
        assert!(
            !Compatibility::check(Level::Backward, &tree(r#"{"type":"string"}"#), &[tree(r#"{"type":"integer"}"#)])
                .is_compatible()
        );
    }

    #[test]
    fn references_to_other_subjects_are_followed() {
        let schemas = MemorySchemas::new();
        schemas.register("money", SchemaType::Json, r#"{"type":"integer"}"#, &[]).expect("valid");
        schemas.register("money", SchemaType::Json, r#"{"type":"string"}"#, &[]).expect("valid");
        let order = |version| {
            let reference = Reference { name: "money.json".into(), subject: "money".into(), version };
            let text = r#"{"type":"object","properties":{"total":{"$ref":"money.json"}}}"#;
            Schema::parse(SchemaType::Json, text, &[reference], &schemas).expect("valid")
        };
        assert!(Compatibility::check(Level::Full, &order(1), &[order(1)]).is_compatible());
        assert!(!Compatibility::check(Level::Backward, &order(2), &[order(1)]).is_compatible());
    }
}
