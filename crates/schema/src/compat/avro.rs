//! Avro's rules of schema resolution, asked of types instead of values: can every value of the writer be read by the reader?

use super::CONFLICTS_MAX;
use crate::avro::{DEPTH_MAX, Logical, Node, Nodes, Record};
use std::collections::HashSet;

pub(super) fn conflicts(writer: &Nodes, reader: &Nodes) -> Vec<String> {
    let mut check = Check { writer, reader, seen: HashSet::new(), path: Vec::new(), depth: 0, conflicts: Vec::new() };
    check.pair(writer.root, reader.root);
    check.conflicts
}

struct Check<'a> {
    writer: &'a Nodes,
    reader: &'a Nodes,
    /// Pairs that were looked at, or are being looked at: types may hold themselves.
    seen: HashSet<(usize, usize)>,
    path: Vec<&'a str>,
    depth: usize,
    conflicts: Vec<String>,
}

impl<'a> Check<'a> {
    fn say(&mut self, conflict: impl Into<String>) {
        if self.conflicts.len() < CONFLICTS_MAX {
            let place =
                if self.path.is_empty() { "the value".to_owned() } else { format!("{:?}", self.path.join(".")) };
            self.conflicts.push(format!("{place}: {}", conflict.into()));
        }
    }

    /// Whether a pair agrees, without saying what does not.
    fn agrees(&mut self, w: usize, r: usize) -> bool {
        let mut trial = Check { seen: self.seen.clone(), path: Vec::new(), conflicts: Vec::new(), ..*self };
        trial.pair(w, r);
        trial.conflicts.is_empty()
    }

    fn pair(&mut self, w: usize, r: usize) {
        if !self.seen.insert((w, r)) {
            return;
        }
        if self.depth >= DEPTH_MAX {
            return self.say(format!("the types nest more than {DEPTH_MAX} deep"));
        }
        self.depth += 1;
        self.shapes(w, r);
        self.depth -= 1;
    }

    fn shapes(&mut self, w: usize, r: usize) {
        let (writer, reader) = (self.writer, self.reader);
        match (writer.get(w), reader.get(r)) {
            (Node::Union(branches), _) => branches.iter().for_each(|branch| self.pair(*branch, r)),
            (written, Node::Union(branches)) => {
                if !branches.iter().any(|branch| self.agrees(w, *branch)) {
                    self.say(format!("no type of the reader's union takes {}", written.word()));
                }
            }
            (Node::Array(w), Node::Array(r)) | (Node::Map(w), Node::Map(r)) => self.pair(*w, *r),
            (Node::Record(written), Node::Record(read)) => self.record(written, read),
            (Node::Enum(written), Node::Enum(read)) => {
                if !read.names.take(&written.names) {
                    self.say(format!("an enum {:?} is read as the enum {:?}", written.names.name, read.names.name));
                }
                let lost: Vec<&String> =
                    written.symbols.iter().filter(|symbol| !read.symbols.contains(symbol)).collect();
                if !lost.is_empty() && !read.has_default {
                    self.say(format!("the reader's enum lacks the symbols {lost:?} and has no default"));
                }
            }
            (Node::Fixed(a, _), Node::Fixed(b, _)) if a != b => {
                self.say(format!("a fixed of {a} bytes is read as one of {b}"))
            }
            (Node::Fixed(_, a) | Node::Bytes(a), Node::Fixed(_, b) | Node::Bytes(b)) => self.decimals(*a, *b),
            (written, read) if takes(written, read) => {}
            (written, read) => self.say(format!("{} is read as {}", written.word(), read.word())),
        }
    }

    fn decimals(&mut self, a: Logical, b: Logical) {
        if let (Logical::Decimal(..), Logical::Decimal(..)) = (a, b)
            && a != b
        {
            self.say("the decimals differ in precision or scale");
        }
    }

    fn record(&mut self, written: &'a Record, read: &'a Record) {
        if !read.names.take(&written.names) {
            self.say(format!("a record {:?} is read as the record {:?}", written.names.name, read.names.name));
        }
        for field in &read.fields {
            let found = written.fields.iter().find(|one| one.name == field.name || field.aliases.contains(&one.name));
            self.path.push(&field.name);
            match found {
                Some(one) => self.pair(one.node, field.node),
                None if field.default.is_none() => {
                    self.say("the writer has no such field and the reader has no default for it")
                }
                None => {}
            }
            self.path.pop();
        }
    }
}

/// Whether a writer's scalar may be read as a reader's, by the table of promotions in Avro's specification. What a type stands for (a
/// date, a moment) does not matter to it.
const fn takes(written: &Node, read: &Node) -> bool {
    matches!(
        (written, read),
        (Node::Null, Node::Null)
            | (Node::Boolean, Node::Boolean)
            | (Node::Int(_), Node::Int(_) | Node::Long(_) | Node::Float | Node::Double)
            | (Node::Long(_), Node::Long(_) | Node::Float | Node::Double)
            | (Node::Float, Node::Float | Node::Double)
            | (Node::Double, Node::Double)
            | (Node::String | Node::Bytes(_), Node::String | Node::Bytes(_))
    )
}

#[cfg(test)]
mod tests {
    use crate::{Compatibility, Level, MemorySchemas, Schema, SchemaType};

    fn record(fields: &str) -> Schema {
        parse(&format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#))
    }

    fn parse(text: &str) -> Schema {
        Schema::parse(SchemaType::Avro, text, &[], &MemorySchemas::new()).expect(text)
    }

    const ID: &str = r#"{"name":"id","type":"long"}"#;

    #[test]
    fn avro_rules_hold_in_both_directions() {
        // (fields before, fields after, may follow by BACKWARD, by FORWARD)
        let with = |field: &str| format!("{ID},{field}");
        let table = [
            (ID.to_owned(), with(r#"{"name":"n","type":"int","default":1}"#), true, true),
            (ID.to_owned(), with(r#"{"name":"n","type":"int"}"#), false, true),
            (with(r#"{"name":"n","type":"int"}"#), ID.to_owned(), true, false),
            (with(r#"{"name":"n","type":"int"}"#), with(r#"{"name":"n","type":"long"}"#), true, false),
            (with(r#"{"name":"n","type":"int"}"#), with(r#"{"name":"n","type":["null","int"]}"#), true, false),
            (with(r#"{"name":"n","type":"int"}"#), with(r#"{"name":"n","type":"string"}"#), false, false),
            (with(r#"{"name":"n","type":"int"}"#), with(r#"{"name":"m","type":"int","aliases":["n"]}"#), true, false),
            (
                with(r#"{"name":"e","type":{"type":"enum","name":"E","symbols":["A"]}}"#),
                with(r#"{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}}"#),
                true,
                false,
            ),
            (
                with(r#"{"name":"f","type":{"type":"fixed","name":"F","size":4}}"#),
                with(r#"{"name":"f","type":{"type":"fixed","name":"F","size":8}}"#),
                false,
                false,
            ),
        ];
        for (before, after, backward, forward) in table {
            let (old, new) = (record(&before), record(&after));
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
    fn transitive_levels_look_at_every_version() {
        let versions = [record(r#"{"name":"n","type":"string"}"#), record(ID)];
        let new = record(&format!(r#"{ID},{{"name":"n","type":"int","default":0}}"#));
        assert!(Compatibility::check(Level::Backward, &new, &versions).is_compatible());
        let outcome = Compatibility::check(Level::BackwardTransitive, &new, &versions);
        assert!(
            outcome.conflicts.iter().any(|conflict| conflict.contains("\"n\": string is read as int")),
            "{:?}",
            outcome.conflicts
        );
        assert!(Compatibility::check(Level::None, &parse("\"int\""), &versions).is_compatible());
    }

    #[test]
    fn a_type_within_itself_is_compared_once() {
        let list = |extra: &str| {
            parse(&format!(r#"{{"type":"record","name":"L","fields":[{{"name":"next","type":["null","L"]}}{extra}]}}"#))
        };
        assert!(Compatibility::check(Level::Full, &list(""), &[list("")]).is_compatible());
        let more = list(r#",{"name":"v","type":"int"}"#);
        assert!(!Compatibility::check(Level::Backward, &more, &[list("")]).is_compatible());
    }

    #[test]
    fn another_language_never_follows() {
        let json = Schema::parse(SchemaType::Json, "{}", &[], &MemorySchemas::new()).expect("valid");
        assert!(!Compatibility::check(Level::Backward, &json, &[parse("\"int\"")]).is_compatible());
    }

    #[test]
    fn levels_are_the_registrys_words() {
        for word in
            ["NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"]
        {
            let level: Level = word.parse().expect(word);
            assert_eq!(level.to_string(), word);
            assert_eq!(serde_json::to_string(&level).expect("a word"), format!("{word:?}"));
        }
        assert!("SIDEWAYS".parse::<Level>().is_err());
    }
}
