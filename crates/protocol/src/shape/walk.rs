//! The walk: every length, count and marker of a message against the bytes that remain. It allocates only to say what is wrong.
//!
//! Its depth is the table's, which has no recursion; its steps are bounded by the bytes, since every element takes at least one.

use super::table::{Field, Kind, Message};
use super::{ELEMENTS_MAX, UNKNOWN_TAGS_MAX};
use crate::Malformed;
use std::fmt::Write;

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The field needs more bytes than there are.
    #[error("needs {needed} bytes, {remaining} remain")]
    CutShort {
        /// Bytes it needs.
        needed: usize,
        /// Bytes there are.
        remaining: usize,
    },
    /// A length or count below -1.
    #[error("its length is {value}; it must be 0 or more, or -1 for null")]
    Negative {
        /// The length as sent.
        value: i64,
    },
    /// Null where the version has none.
    #[error("it is null, which this version does not allow")]
    Null,
    /// More elements than the bytes that remain can hold.
    #[error("it has {count} elements, {remaining} bytes remain")]
    Count {
        /// Elements as sent.
        count: usize,
        /// Bytes there are.
        remaining: usize,
    },
    /// A length of more than 32 bits.
    #[error("its length does not end within 32 bits")]
    Varint,
    /// A nullable struct that is neither there (1) nor null (-1).
    #[error("its marker is {value}; it must be 1, or -1 for null")]
    Marker {
        /// The marker as sent.
        value: i8,
    },
    /// A tagged field of another size than it says.
    #[error("it says {told} bytes and has {found}")]
    TagSize {
        /// Bytes as sent.
        told: usize,
        /// Bytes its fields take.
        found: usize,
    },
    /// More elements in the frame than [`ELEMENTS_MAX`].
    #[error("the request has more than {ELEMENTS_MAX} elements; send it in parts")]
    Elements,
    /// More unknown tagged fields in the frame than [`UNKNOWN_TAGS_MAX`].
    #[error("the request has more than {UNKNOWN_TAGS_MAX} unknown tagged fields")]
    UnknownTags,
    /// The table has no such message.
    #[error("there is no such message")]
    UnknownMessage,
}

/// Walks `body` as `message` of `version`. Returns the bytes it takes.
pub fn message(message: &'static Message, version: i16, body: &[u8]) -> Result<usize, Malformed> {
    let mut walk = Walk::new(body, version, message.flexible.has(version));
    match walk.fields(&message.fields) {
        Ok(()) => Ok(walk.at),
        Err(broken) => Err(broken.told(message.name, version)),
    }
}

/// Walks tagged fields of which none is known. Returns the bytes they take.
pub fn unknown_tags(name: &'static str, version: i16, bytes: &[u8]) -> Result<usize, Malformed> {
    let mut walk = Walk::new(bytes, version, true);
    match walk.tags(&[]) {
        Ok(()) => Ok(walk.at),
        Err(broken) => Err(broken.told(name, version)),
    }
}

/// A fault on its way out, with the path to it from the inside.
struct Broken {
    fault: Fault,
    path: Vec<Step>,
}

enum Step {
    Field(&'static str),
    Index(usize),
    Tag(u32),
}

impl From<Fault> for Broken {
    fn from(fault: Fault) -> Self {
        Self { fault, path: Vec::new() }
    }
}

impl Broken {
    fn within(mut self, step: Step) -> Self {
        self.path.push(step);
        self
    }

    fn told(self, message: &'static str, version: i16) -> Malformed {
        let mut path = String::new();
        for step in self.path.iter().rev() {
            // Writing to a String can't fail.
            let _ = match step {
                Step::Field(name) if path.is_empty() => path.write_str(name),
                Step::Field(name) => write!(path, ".{name}"),
                Step::Index(index) => write!(path, "[{index}]"),
                Step::Tag(tag) => write!(path, ".tag {tag}"),
            };
        }
        Malformed::Field { message, version, path, fault: self.fault }
    }
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    version: i16,
    flexible: bool,
    elements: usize,
    unknown_tags: usize,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8], version: i16, flexible: bool) -> Self {
        Self { bytes, at: 0, version, flexible, elements: 0, unknown_tags: 0 }
    }

    fn fields(&mut self, fields: &'static [Field]) -> Result<(), Broken> {
        for field in fields {
            if field.versions.has(self.version) && !field.tagged.has(self.version) {
                self.field(field).map_err(|broken| broken.within(Step::Field(field.name)))?;
            }
        }
        if self.flexible { self.tags(fields) } else { Ok(()) }
    }

    fn field(&mut self, field: &'static Field) -> Result<(), Broken> {
        let nullable = field.nullable.has(self.version);
        match &field.kind {
            // Only a nullable struct says whether it is there.
            Kind::Struct(inner) if nullable => match self.marker()? {
                1 => self.fields(inner),
                -1 => Ok(()),
                value => Err(Fault::Marker { value }.into()),
            },
            kind => self.kind(kind, nullable),
        }
    }

    fn kind(&mut self, kind: &'static Kind, nullable: bool) -> Result<(), Broken> {
        match kind {
            Kind::Fixed(size) => Ok(self.skip(*size)?),
            Kind::Struct(inner) => self.fields(inner),
            Kind::Text => {
                let len = if self.flexible { self.compact_len()? } else { self.short_len()? };
                Ok(self.skip(present(len, nullable)?)?)
            }
            Kind::Bytes => {
                let len = self.long_len()?;
                Ok(self.skip(present(len, nullable)?)?)
            }
            Kind::Array(element) => {
                let len = self.long_len()?;
                self.array(element, present(len, nullable)?)
            }
        }
    }

    fn array(&mut self, element: &'static Kind, count: usize) -> Result<(), Broken> {
        let remaining = self.remaining();
        if count > remaining {
            return Err(Fault::Count { count, remaining }.into());
        }
        self.elements += count;
        if self.elements > ELEMENTS_MAX {
            return Err(Fault::Elements.into());
        }
        if let Kind::Fixed(size) = element {
            return Ok(self.skip(count * size)?);
        }
        for index in 0..count {
            self.kind(element, false).map_err(|broken| broken.within(Step::Index(index)))?;
        }
        Ok(())
    }

    fn tags(&mut self, fields: &'static [Field]) -> Result<(), Broken> {
        const BYTES_MIN: usize = 2;
        let count = self.varint()?;
        let remaining = self.remaining();
        if count > remaining / BYTES_MIN {
            return Err(Broken::from(Fault::Count { count, remaining }).within(Step::Field("tagged fields")));
        }
        for _ in 0..count {
            let tag = self.varint()? as u32;
            let size = self.varint()?;
            let known = fields.iter().find(|field| field.tag == tag && field.tagged.has(self.version));
            match known {
                Some(field) => self.tagged(field, size).map_err(|broken| broken.within(Step::Field(field.name)))?,
                None => self.unknown(size).map_err(|fault| Broken::from(fault).within(Step::Tag(tag)))?,
            }
        }
        Ok(())
    }

    /// A known tagged field takes exactly the bytes it says: a decoder that goes by the fields and one that goes by the size agree.
    fn tagged(&mut self, field: &'static Field, size: usize) -> Result<(), Broken> {
        let start = self.at;
        self.field(field)?;
        let found = self.at - start;
        if found == size { Ok(()) } else { Err(Fault::TagSize { told: size, found }.into()) }
    }

    fn unknown(&mut self, size: usize) -> Result<(), Fault> {
        self.unknown_tags += 1;
        if self.unknown_tags > UNKNOWN_TAGS_MAX {
            return Err(Fault::UnknownTags);
        }
        self.skip(size)
    }

    fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn skip(&mut self, size: usize) -> Result<(), Fault> {
        let remaining = self.remaining();
        if size > remaining {
            return Err(Fault::CutShort { needed: size, remaining });
        }
        self.at += size;
        Ok(())
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let remaining = self.remaining();
        let taken = self.bytes[self.at..].first_chunk().ok_or(Fault::CutShort { needed: N, remaining })?;
        self.at += N;
        Ok(*taken)
    }

    fn marker(&mut self) -> Result<i8, Fault> {
        Ok(i8::from_be_bytes(self.take()?))
    }

    /// A text's length before flexible versions.
    fn short_len(&mut self) -> Result<Option<usize>, Fault> {
        signed(i64::from(i16::from_be_bytes(self.take()?)))
    }

    /// A length of bytes, or a count.
    fn long_len(&mut self) -> Result<Option<usize>, Fault> {
        if self.flexible { self.compact_len() } else { signed(i64::from(i32::from_be_bytes(self.take()?))) }
    }

    /// One more than the length; 0 for null.
    fn compact_len(&mut self) -> Result<Option<usize>, Fault> {
        Ok(self.varint()?.checked_sub(1))
    }

    /// An unsigned number of at most 32 bits, seven of them a byte, the low ones first.
    fn varint(&mut self) -> Result<usize, Fault> {
        let mut value = 0u64;
        for place in 0..5 {
            let [byte] = self.take()?;
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                let value = u32::try_from(value).map_err(|_| Fault::Varint)?;
                return usize::try_from(value).map_err(|_| Fault::Varint);
            }
        }
        Err(Fault::Varint)
    }
}

fn signed(value: i64) -> Result<Option<usize>, Fault> {
    match value {
        -1 => Ok(None),
        _ => usize::try_from(value).map(Some).map_err(|_| Fault::Negative { value }),
    }
}

/// A length where null counts as nothing, if it is allowed.
fn present(len: Option<usize>, nullable: bool) -> Result<usize, Fault> {
    match len {
        Some(len) => Ok(len),
        None if nullable => Ok(0),
        None => Err(Fault::Null),
    }
}
