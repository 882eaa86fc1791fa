//! A cursor over one value in Avro's binary encoding: primitives, blocks, and skipping whole values by the writer's schema.

use super::DEPTH_MAX;
use super::nodes::{Node, Nodes};
use crate::misfit::{Fit, Misfit};

/// Items of arrays and maps of one value whose encoding is empty (nulls, say): a few bytes may claim any number of them.
const EMPTY_ITEMS_MAX: usize = 1 << 16;

/// Nodes that a value may visit beside those its bytes pay for: records of records without a byte double with each level.
const VISITS_FREE: usize = 100_000;
const VISITS_PER_BYTE: usize = 64;

/// A place in a value.
pub(crate) struct Datum<'a> {
    bytes: &'a [u8],
    at: usize,
    empty_items: usize,
    visits: usize,
}

impl<'a> Datum<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, empty_items: 0, visits: VISITS_FREE + bytes.len().saturating_mul(VISITS_PER_BYTE) }
    }

    /// Counts one node of the schema that is walked through at `depth`.
    pub(crate) fn visit(&mut self, depth: usize) -> Fit {
        if depth > DEPTH_MAX {
            return Err(Misfit::new(format!("it nests more than {DEPTH_MAX} deep")));
        }
        self.visits =
            self.visits.checked_sub(1).ok_or_else(|| Misfit::new("it has too many empty records".to_owned()))?;
        Ok(())
    }

    /// Nothing may be left.
    pub(crate) fn end(&self) -> Fit {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            left => {
                Err(Misfit::new(format!("{left} bytes are left after the value; it was written with another schema")))
            }
        }
    }

    pub(crate) fn take(&mut self, count: usize) -> Fit<&'a [u8]> {
        let taken = self.at.checked_add(count).and_then(|end| self.bytes.get(self.at..end));
        match taken {
            Some(taken) => {
                self.at += count;
                Ok(taken)
            }
            None => Err(Misfit::new(format!(
                "{count} bytes are missing after byte {}; it is cut or was written with another schema",
                self.at
            ))),
        }
    }

    /// A variable-length zig-zag number.
    pub(crate) fn long(&mut self) -> Fit<i64> {
        let mut bits = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.take(1)?[0];
            if shift == 63 && byte > 1 {
                break;
            }
            bits |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((bits >> 1) as i64 ^ -((bits & 1) as i64));
            }
        }
        Err(Misfit::new(format!("a number before byte {} is longer than 64 bits", self.at)))
    }

    pub(crate) fn int(&mut self) -> Fit<i32> {
        let value = self.long()?;
        i32::try_from(value).map_err(|_| Misfit::new(format!("{value} is no int of 32 bits")))
    }

    pub(crate) fn boolean(&mut self) -> Fit<bool> {
        match self.take(1)?[0] {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Misfit::new(format!("the byte {other} is neither true nor false"))),
        }
    }

    pub(crate) fn float(&mut self) -> Fit<f32> {
        let bytes = self.take(4)?;
        Ok(f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    pub(crate) fn double(&mut self) -> Fit<f64> {
        let bytes = self.take(8)?;
        Ok(f64::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]]))
    }

    pub(crate) fn bytes(&mut self) -> Fit<&'a [u8]> {
        let length = self.long()?;
        let length = usize::try_from(length).map_err(|_| Misfit::new(format!("a length of {length}")))?;
        self.take(length)
    }

    pub(crate) fn string(&mut self) -> Fit<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Misfit::new("a string is not UTF-8".to_owned()))
    }

    /// An index of a union's branch or an enum's symbol.
    pub(crate) fn index(&mut self, count: usize, of: &str) -> Fit<usize> {
        let index = self.long()?;
        let valid = usize::try_from(index).ok().filter(|index| *index < count);
        valid.ok_or_else(|| Misfit::new(format!("the {of} {index} of {count}")))
    }

    /// The items of an array or a map, in blocks.
    pub(crate) fn blocks(&mut self, mut each: impl FnMut(&mut Self) -> Fit) -> Fit {
        loop {
            let mut count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                // A negative count is followed by the block's size in bytes.
                count = count.checked_neg().ok_or_else(|| Misfit::new("a block of too many items".to_owned()))?;
                self.long()?;
            }
            for _ in 0..count {
                let before = self.at;
                each(self)?;
                if self.at == before {
                    self.empty_items += 1;
                    if self.empty_items > EMPTY_ITEMS_MAX {
                        return Err(Misfit::new(format!("more than {EMPTY_ITEMS_MAX} items without a byte")));
                    }
                }
            }
        }
    }

    /// A whole value of the writer's type, checked.
    pub(crate) fn skip(&mut self, nodes: &Nodes, index: usize, depth: usize) -> Fit {
        self.visit(depth)?;
        match nodes.get(index) {
            Node::Null => Ok(()),
            Node::Boolean => self.boolean().map(drop),
            Node::Int(_) => self.int().map(drop),
            Node::Long(_) => self.long().map(drop),
            Node::Float => self.float().map(drop),
            Node::Double => self.double().map(drop),
            Node::Bytes(_) => self.bytes().map(drop),
            Node::String => self.string().map(drop),
            Node::Fixed(size, _) => self.take(*size).map(drop),
            Node::Enum(one) => self.index(one.symbols.len(), "symbol").map(drop),
            Node::Array(item) => self.blocks(|datum| datum.skip(nodes, *item, depth + 1)),
            Node::Map(value) => self.blocks(|datum| {
                datum.string()?;
                datum.skip(nodes, *value, depth + 1)
            }),
            Node::Union(branches) => {
                let branch = self.index(branches.len(), "branch")?;
                self.skip(nodes, branches[branch], depth + 1)
            }
            Node::Record(record) => record.fields.iter().try_for_each(|field| {
                self.skip(nodes, field.node, depth + 1).map_err(|misfit| misfit.within(&field.name))
            }),
        }
    }
}
