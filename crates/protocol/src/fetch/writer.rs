//! A frame with slots for records in the making.
//!
//! The bytes between two slots are slices of one buffer: an answer costs one allocation for its bytes and one for its pieces.

use super::{FetchFrame, PartitionSlot, Piece};
use crate::Error;
use bytes::{BufMut, Bytes, BytesMut};

const LENGTH_BYTES: usize = 4;

/// What is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message {
    /// Its name, for errors.
    pub(super) name: &'static str,
    pub(super) version: i16,
    /// Lengths are compact, and there are tagged fields.
    pub(super) is_flexible: bool,
}

struct Slot {
    /// Where in the buffer the payload belongs.
    at: usize,
    topic: usize,
    partition: usize,
}

/// See the module.
pub(super) struct Writer {
    pub(super) buffer: BytesMut,
    pub(super) message: Message,
    slots: Vec<Slot>,
    /// Bytes of all payloads.
    payload: usize,
}

impl Writer {
    /// A writer with room for that many bytes and records.
    pub(super) fn new(message: Message, capacity: usize, slots: usize) -> Self {
        Self { buffer: BytesMut::with_capacity(capacity), message, slots: Vec::with_capacity(slots), payload: 0 }
    }

    /// The frame's length, which is filled in by [`Self::finish`], and the header.
    pub(super) fn head(&mut self, correlation_id: i32) {
        self.buffer.put_i32(0);
        self.buffer.put_i32(correlation_id);
        self.no_tags();
    }

    /// The length of the records, and the slot for them. No records are an empty field, never null: older clients fail on null.
    pub(super) fn records(&mut self, (topic, partition): PartitionSlot, len: usize) -> Result<(), Error> {
        self.count(len)?;
        if len > 0 {
            self.slots.push(Slot { at: self.buffer.len(), topic, partition });
            self.payload = self.payload.checked_add(len).ok_or(Error::TooLarge { message: self.message.name, len })?;
        }
        Ok(())
    }

    /// A writer of the same version for the inside of a tagged field, whose length goes before it.
    pub(super) fn nested(&self) -> Self {
        Self { buffer: BytesMut::new(), message: self.message, slots: Vec::new(), payload: 0 }
    }

    pub(super) fn tags(&mut self, fields: &[(u32, BytesMut)]) -> Result<(), Error> {
        self.varint(self.checked(fields.len())?);
        for (tag, content) in fields {
            self.varint(*tag);
            self.varint(self.checked(content.len())?);
            self.buffer.put_slice(content);
        }
        Ok(())
    }

    pub(super) fn no_tags(&mut self) {
        if self.message.is_flexible {
            self.buffer.put_u8(0);
        }
    }

    pub(super) fn null_array(&mut self) {
        if self.message.is_flexible {
            self.buffer.put_u8(0);
        } else {
            self.buffer.put_i32(-1);
        }
    }

    /// The number of an array's elements, or of records' bytes: their prefixes are alike.
    pub(super) fn count(&mut self, count: usize) -> Result<(), Error> {
        let told = self.checked(count)?;
        if self.message.is_flexible {
            self.varint(told + 1);
        } else {
            self.buffer.put_u32(told);
        }
        Ok(())
    }

    pub(super) fn text(&mut self, text: &str) -> Result<(), Error> {
        if self.message.is_flexible {
            self.count(text.len())?;
        } else {
            let len = i16::try_from(text.len()).map_err(|_| Error::Encode {
                message: self.message.name,
                version: self.message.version,
                reason: format!("a text of {} bytes is longer than 32767", text.len()),
            })?;
            self.buffer.put_i16(len);
        }
        self.buffer.put_slice(text.as_bytes());
        Ok(())
    }

    /// A text of a flexible message that may not be there.
    pub(super) fn nullable_text(&mut self, text: Option<&str>) -> Result<(), Error> {
        match text {
            None => {
                self.varint(0);
                Ok(())
            }
            Some(text) => self.text(text),
        }
    }

    /// A number that fits Kafka's signed 32-bit lengths.
    pub(super) fn checked(&self, len: usize) -> Result<u32, Error> {
        let signed = i32::try_from(len).map_err(|_| Error::TooLarge { message: self.message.name, len })?;
        Ok(signed.unsigned_abs())
    }

    pub(super) fn varint(&mut self, value: u32) {
        let mut rest = value;
        while rest >= 0x80 {
            // The low seven bits and a mark that more follow.
            self.buffer.put_u8((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.buffer.put_u8(rest as u8);
    }

    pub(super) fn finish(mut self) -> Result<FetchFrame, Error> {
        let len = self.buffer.len() + self.payload;
        let told = self.checked(len - LENGTH_BYTES)?;
        self.buffer[..LENGTH_BYTES].copy_from_slice(&told.to_be_bytes());
        let whole: Bytes = self.buffer.freeze();
        let mut pieces = Vec::with_capacity(2 * self.slots.len() + 1);
        let mut from = 0;
        for Slot { at, topic, partition } in self.slots {
            pieces.push(Piece::Bytes(whole.slice(from..at)));
            pieces.push(Piece::Payload { topic, partition });
            from = at;
        }
        if from < whole.len() {
            pieces.push(Piece::Bytes(whole.slice(from..)));
        }
        Ok(FetchFrame { pieces, len })
    }
}
