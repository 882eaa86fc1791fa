//! Requests of every API made by Kafka's own message shapes: true in their heads, at the extremes in their fields, and on demand wrong in one
//! place, which is a length, a count, a null, a tag or the end.

use crate::kit::{Body, Draw};
use std::collections::BTreeMap;

const TABLE: &str = include_str!("../../../protocol/src/shape/kafka.shapes");
/// Elements of the lists that are made, at most.
const ELEMENTS_MAX: u64 = 3;
/// Names that requests draw from: few, so that what is made on the way stays small, and is met again.
const NAMES: [&str; 8] = ["hostile-0", "hostile-1", "hostile-2", "", "x", "bad name", "\u{e9}\u{4e2d}", "."];

/// Versions, both ends included.
#[derive(Debug, Clone, Copy)]
struct Versions(i16, i16);

impl Versions {
    const NONE: Self = Self(1, 0);

    fn parse(text: &str) -> Self {
        let number = |text: &str| text.parse().unwrap();
        match (text, text.strip_suffix('+'), text.split_once('-')) {
            ("none", ..) => Self::NONE,
            (_, Some(first), _) => Self(number(first), i16::MAX),
            (_, _, Some((first, last))) => Self(number(first), number(last)),
            _ => Self(number(text), number(text)),
        }
    }

    fn has(self, version: i16) -> bool {
        (self.0..=self.1).contains(&version)
    }
}

struct Field {
    name: &'static str,
    /// Without `[]`.
    kind: &'static str,
    is_array: bool,
    versions: Versions,
    nullable: Versions,
    tag: u32,
    tagged: Versions,
    fields: Vec<Field>,
}

struct Message {
    flexible: Versions,
    fields: Vec<Field>,
}

/// The shapes of requests by their APIs' numbers.
pub struct Shapes(BTreeMap<i16, Message>);

/// A request as it is sent.
pub struct Made {
    /// Head and body.
    pub frame: Vec<u8>,
    /// Nothing was made wrong: it decodes.
    pub is_whole: bool,
    /// A produce request that wants no answer.
    pub is_silent: bool,
}

impl Shapes {
    pub fn read() -> Self {
        let mut requests = BTreeMap::new();
        let lines: Vec<&'static str> = TABLE.lines().filter(|line| !line.starts_with('#')).collect();
        let mut at = 0;
        while at < lines.len() {
            let words: Vec<&str> = lines[at].split(' ').collect();
            at += 1;
            let fields = fields(&lines, &mut at, 1);
            if let ["request", key, _, flexible] = words[..] {
                requests.insert(key.parse().unwrap(), Message { flexible: Versions::parse(flexible), fields });
            }
        }
        Self(requests)
    }

    /// A request of that API and version. `wrong`: one place of it is.
    pub fn make(&self, (api, version): (i16, i16), correlation: i32, wrong: bool, draw: &mut Draw) -> Option<Made> {
        let message = self.0.get(&api)?;
        let is_flexible = message.flexible.has(version);
        let start = draw.0;
        let mut writer =
            Writer { draw, api, version, is_flexible, out: Vec::new(), places: 0, wrong_at: None, is_silent: false };
        writer.fields(&message.fields);
        if wrong {
            // Written again alike, up to one of the places that can be wrong.
            let at = writer.draw.next() % u64::from(writer.places.max(1));
            writer.draw.0 = start;
            (writer.wrong_at, writer.places, writer.is_silent) = (Some(at as u32), 0, false);
            writer.out.clear();
            writer.fields(&message.fields);
        }
        let head = Body::default().i16(api).i16(version).i32(correlation).text("frames");
        let head = if is_flexible { head.raw(&[0]) } else { head };
        let is_silent = writer.is_silent;
        let mut frame = head.raw(&writer.out).0;
        if wrong && draw.next().is_multiple_of(4) {
            let cut = (draw.next() as usize) % (frame.len() - 10);
            frame.truncate(10 + cut);
        }
        Some(Made { frame, is_whole: !wrong, is_silent })
    }
}

fn fields(lines: &[&'static str], at: &mut usize, depth: usize) -> Vec<Field> {
    let mut found = Vec::new();
    while let Some(line) = lines.get(*at).filter(|line| line.len() - line.trim_start().len() == depth) {
        *at += 1;
        let inner = fields(lines, at, depth + 1);
        let mut words = line.trim_start().split(' ');
        let (name, kind, versions) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        let element = kind.strip_prefix("[]");
        let mut field = Field {
            name,
            kind: element.unwrap_or(kind),
            is_array: element.is_some(),
            versions: Versions::parse(versions),
            nullable: Versions::NONE,
            tag: 0,
            tagged: Versions::NONE,
            fields: inner,
        };
        for word in words {
            match word.split_once('=').unwrap() {
                ("null", versions) => field.nullable = Versions::parse(versions),
                (_, tag) => {
                    let (number, versions) = tag.split_once('@').unwrap();
                    (field.tag, field.tagged) = (number.parse().unwrap(), Versions::parse(versions));
                }
            }
        }
        found.push(field);
    }
    found
}

struct Writer<'a> {
    draw: &'a mut Draw,
    api: i16,
    version: i16,
    is_flexible: bool,
    out: Vec<u8>,
    /// Lengths, counts and markers written so far: what can be wrong.
    places: u32,
    /// Which of them is.
    wrong_at: Option<u32>,
    is_silent: bool,
}

impl Writer<'_> {
    fn below(&mut self, bound: u64) -> u64 {
        self.draw.next() % bound
    }

    fn varint(&mut self, mut number: u32) {
        while number > 127 {
            self.out.push(number as u8 | 128);
            number >>= 7;
        }
        self.out.push(number as u8);
    }

    /// A length or a count, -1 for null; or, at the place that is to be wrong, something else.
    fn count(&mut self, count: i32, is_wide: bool) {
        let is_wrong = self.wrong_at == Some(self.places);
        self.places += 1;
        let lies = [-1, -2, 0, count + 1, count - 1, 1_000_000, i32::MAX, i32::MIN];
        let lie = lies[self.below(8) as usize];
        let told = if is_wrong { lie } else { count };
        match (self.is_flexible, is_wide) {
            (true, _) if is_wrong && self.below(4) == 0 => self.out.extend([0xff; 6]),
            (true, _) => self.varint(told.wrapping_add(1) as u32),
            (false, true) => self.out.extend(told.to_be_bytes()),
            (false, false) => self.out.extend((told as i16).to_be_bytes()),
        }
    }

    fn fields(&mut self, fields: &[Field]) {
        let version = self.version;
        let here = |field: &&Field| field.versions.has(version);
        fields.iter().filter(here).filter(|field| !field.tagged.has(version)).for_each(|field| self.value(field));
        if !self.is_flexible {
            return;
        }
        let mut tags = Vec::new();
        for field in fields.iter().filter(here).filter(|field| field.tagged.has(version)) {
            if self.below(2) == 0 {
                let before = std::mem::take(&mut self.out);
                self.value(field);
                tags.push((field.tag, std::mem::replace(&mut self.out, before)));
            }
        }
        // One that nobody knows is passed over.
        if self.below(8) == 0 {
            tags.push((1_000, vec![7; self.below(20) as usize]));
        }
        self.count(tags.len() as i32 - 1, true);
        for (tag, content) in tags {
            self.varint(tag);
            self.count(content.len() as i32 - 1, true);
            self.out.extend(content);
        }
    }

    fn value(&mut self, field: &Field) {
        let is_nullable = field.nullable.has(self.version);
        let is_null = is_nullable && self.below(6) == 0;
        if field.is_array {
            let count = self.below(ELEMENTS_MAX + 1);
            self.count(if is_null { -1 } else { count as i32 }, true);
            (0..if is_null { 0 } else { count }).for_each(|_| self.single(field, false));
        } else if field.kind == "struct" && is_nullable {
            self.out.push(if is_null { 255 } else { 1 });
            if !is_null {
                self.single(field, false);
            }
        } else {
            self.single(field, is_null);
        }
    }

    fn single(&mut self, field: &Field, is_null: bool) {
        match field.kind {
            "struct" => self.fields(&field.fields),
            "string" => {
                let text = self.text(field.name);
                self.count(if is_null { -1 } else { text.len() as i32 }, false);
                self.out.extend(if is_null { &[] } else { text.as_bytes() });
            }
            "bytes" | "records" => {
                let bytes = self.bytes(field.kind == "records");
                self.count(if is_null { -1 } else { bytes.len() as i32 }, true);
                self.out.extend(if is_null { &[][..] } else { &bytes });
            }
            "uuid" => {
                let known = self.below(2) as u8;
                self.out.extend([known; 16]);
            }
            kind => {
                let width = match kind {
                    "bool" | "int8" => 1,
                    "int16" | "uint16" => 2,
                    "int32" | "uint32" => 4,
                    _ => 8,
                };
                let number = self.number(field.name, kind).to_be_bytes();
                self.out.extend(&number[8 - width..]);
            }
        }
    }

    fn text(&mut self, name: &str) -> String {
        // Nothing that a broker or all clients are set to: the client beside is to be served as ever.
        let pool: &[&str] = match name {
            "EntityName" | "User" => &["nobody"],
            "ProtocolType" => &["consumer", ""],
            "FilterType" | "EntityType" => &["user", "client-id", "nope"],
            _ => &NAMES,
        };
        match self.below(20) {
            0 if pool.len() > 1 => "a".repeat(self.draw.next() as usize % 3_000),
            _ => pool[self.below(pool.len() as u64) as usize].to_owned(),
        }
    }

    fn bytes(&mut self, is_batch: bool) -> Vec<u8> {
        let count = self.below(200) as usize;
        let mut bytes = self.draw.bytes(count);
        if is_batch && bytes.len() > 61 {
            // The head of a batch that says how long it is and which format it has; the rest lies.
            bytes[..8].fill(0);
            bytes[8..12].copy_from_slice(&(count as i32 - 12).to_be_bytes());
            bytes[16] = 2;
        }
        bytes
    }

    fn number(&mut self, name: &str, kind: &str) -> i64 {
        // What a client may make a broker wait for, or make of it for good, is bounded; that it is, other tests show.
        let pool: &[i64] = match (name, kind) {
            (_, "bool") => &[0, 1],
            ("Acks", _) => &[-1, 1, 0, 2, -2],
            ("MaxWaitMs" | "TimeoutMs" | "timeoutMs" | "RebalanceTimeoutMs", _) => &[0, 1, 50, -1, i64::MIN],
            ("SessionTimeoutMs", _) => &[6_000, 0, -1, i32::MAX as i64],
            ("NumPartitions" | "Count", _) => &[1, 2, 0, -1, i32::MAX as i64],
            ("ResourceType", _) => &[2, 8, 16, 0, 99, -1],
            ("BrokerId", _) => &[7, -1, 0],
            (_, "float64") => &[0, 1, -1, i64::MAX, 0x7ff8_0000_0000_0000],
            _ => &[0, 1, -1, 2, 1_000, 0x7fff, 0xffff, i32::MAX as i64, i32::MIN as i64, i64::MAX, i64::MIN],
        };
        let number = pool[self.below(pool.len() as u64) as usize];
        if name == "Acks" && self.api == 0 && number == 0 {
            self.is_silent = true;
        }
        number
    }
}
