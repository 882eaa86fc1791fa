//! Checked output batches to records per output topic, in order of input.

use super::inherits;
use super::unpack::{Chunk, Malformed};
use millstream_record::{BinaryColumn, Columns, Failure, Outcome, Output};
use std::borrow::Cow;

/// Why a guest's answer is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Nonsense {
    /// The bytes are not an output batch.
    #[error("it emitted a malformed output batch: {0}")]
    Malformed(#[from] Malformed),
    /// Two verdicts on one input.
    #[error("it gave two verdicts on record {input}, which is kept once or fails, and has no rows when it fails")]
    Twice {
        /// Which.
        input: usize,
    },
    /// An output topic that the deployment does not have.
    #[error("it wrote to output topic {found}; the deployment has {outputs} (counted from 0)")]
    Topic {
        /// The index it said.
        found: u16,
        /// How many there are.
        outputs: usize,
    },
    /// A row of an input that is not there, or rows out of order.
    #[error("row {row} belongs to record {found}; expected one from {least} to {most}")]
    RowInput {
        /// Which row.
        row: usize,
        /// What it says.
        found: u32,
        /// The row before it.
        least: u32,
        /// The last input.
        most: usize,
    },
    /// More than the limit came out.
    #[error("it wrote more than {limit} {unit} for one batch")]
    TooMuch {
        /// The limit.
        limit: usize,
        /// Of what.
        unit: &'static str,
    },
}

/// No verdict yet: the input is dropped.
const NONE: u8 = u8::MAX;
/// The input failed.
const FAILED: u8 = u8::MAX - 1;
/// How many output topics there can be.
pub const OUTPUTS_MAX: usize = FAILED as usize;
/// A message's length, in bytes; what is longer is cut.
const MESSAGE_BYTES_MAX: usize = 4096;

/// Puts an answer together, within limits.
pub struct Assembler<'a> {
    /// The records that were given to the guest.
    pub input: &'a Columns,
    /// How many output topics the deployment has.
    pub outputs: usize,
    /// Bytes of keys, values and headers that may come out.
    pub bytes_max: usize,
    /// Records that may come out.
    pub records_max: usize,
}

impl Assembler<'_> {
    /// Reads the emitted batches and merges them.
    ///
    /// # Errors
    /// What is wrong with the answer. Nothing of it is used then.
    pub fn assemble(&self, emitted: &[Vec<u8>]) -> Result<Outcome, Nonsense> {
        let chunks = emitted.iter().map(|bytes| Chunk::read(bytes, self.input.len())).collect::<Result<Vec<_>, _>>()?;
        let mut failures = Vec::new();
        let mut verdicts = vec![NONE; self.input.len()];
        for chunk in &chunks {
            self.keep(chunk, &mut verdicts)?;
            fail(chunk, &mut verdicts, &mut failures)?;
        }
        failures.sort_by_key(|failure| failure.input);
        let outputs = Writer::new(self, &chunks).write(&chunks, &verdicts)?;
        Ok(Outcome { outputs, failures })
    }

    fn keep(&self, chunk: &Chunk<'_>, verdicts: &mut [u8]) -> Result<(), Nonsense> {
        for input in set_bits(chunk.keep) {
            let topic = chunk.keep_topic(input);
            if usize::from(topic) >= self.outputs {
                return Err(Nonsense::Topic { found: u16::from(topic), outputs: self.outputs });
            }
            if std::mem::replace(&mut verdicts[input], topic) != NONE {
                return Err(Nonsense::Twice { input });
            }
        }
        Ok(())
    }
}

fn fail(chunk: &Chunk<'_>, verdicts: &mut [u8], failures: &mut Vec<Failure>) -> Result<(), Nonsense> {
    for (rank, input) in set_bits(chunk.failed).enumerate() {
        if std::mem::replace(&mut verdicts[input], FAILED) != NONE {
            return Err(Nonsense::Twice { input });
        }
        let message = cut(&chunk.message(rank), MESSAGE_BYTES_MAX).into_owned();
        failures.push(Failure { input: u32::try_from(input).unwrap_or(u32::MAX), message });
    }
    Ok(())
}

/// The text, or as much of it as fits `max` bytes with a mark that it was cut.
#[must_use]
pub fn cut(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return Cow::Borrowed(text);
    }
    let end = (0..=max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    Cow::Owned(format!("{} [cut]", &text[..end]))
}

fn set_bits(bitmap: &[u8]) -> impl Iterator<Item = usize> {
    bitmap
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte != 0)
        .flat_map(|(at, byte)| (0..8).filter(move |bit| byte >> bit & 1 == 1).map(move |bit| at * 8 + bit))
}

/// Writes the outputs within the limits.
struct Writer<'a> {
    limits: &'a Assembler<'a>,
    outputs: Vec<Output>,
    records: usize,
    bytes: usize,
    /// Whether any record has a header: without, headers cost nothing.
    headers: bool,
}

impl<'a> Writer<'a> {
    fn new(limits: &'a Assembler<'a>, chunks: &[Chunk<'_>]) -> Self {
        let mut outputs: Vec<Output> = (0..limits.outputs).map(|topic| Output { topic, ..Output::default() }).collect();
        if let Some(first) = outputs.first_mut() {
            let rows = chunks.iter().map(|chunk| chunk.rows).sum::<usize>().min(limits.records_max);
            first.records.values = BinaryColumn::with_capacity(rows, rows.min(1 << 16) * 64);
        }
        Self { limits, outputs, records: 0, bytes: 0, headers: limits.input.headers.header_count() > 0 }
    }

    fn write(mut self, chunks: &[Chunk<'_>], verdicts: &[u8]) -> Result<Vec<Output>, Nonsense> {
        let mut next = 0;
        for chunk in chunks {
            let mut least = 0;
            for row in 0..chunk.rows {
                let found = chunk.row_input(row);
                let input = found as usize;
                if input >= verdicts.len() || found < least || (input + 1) < next {
                    return Err(Nonsense::RowInput { row, found, least, most: verdicts.len().saturating_sub(1) });
                }
                if verdicts[input] == FAILED {
                    return Err(Nonsense::Twice { input });
                }
                // A kept input comes before its own rows.
                self.kept(verdicts, next..input + 1)?;
                next = input + 1;
                least = found;
                self.row(chunk, row, input)?;
            }
        }
        self.kept(verdicts, next..verdicts.len())?;
        self.outputs.retain(|output| !output.records.is_empty());
        Ok(self.outputs)
    }

    fn kept(&mut self, verdicts: &[u8], inputs: std::ops::Range<usize>) -> Result<(), Nonsense> {
        for input in inputs {
            if usize::from(verdicts[input]) < self.limits.outputs {
                let from = self.limits.input;
                let bytes = self.payload_of(input);
                let output = self.place(u16::from(verdicts[input]), input, bytes)?;
                output.timestamps.push(from.timestamps[input]);
                output.keys.push(from.keys.get(input));
                output.values.push(from.values.get(input));
                output.headers.push(from.headers.get(input));
            }
        }
        Ok(())
    }

    fn row(&mut self, chunk: &Chunk<'_>, row: usize, input: usize) -> Result<(), Nonsense> {
        let bits = chunk.row_inherits(row);
        let (from, headers) = (self.limits.input, self.headers);
        let key =
            if bits & inherits::KEY == 0 { chunk.keys.written(row) } else { from.keys.get(input).map(Cow::Borrowed) };
        let value = if bits & inherits::VALUE == 0 {
            chunk.values.written(row)
        } else {
            from.values.get(input).map(Cow::Borrowed)
        };
        let own_headers = bits & inherits::HEADERS == 0;
        let mut bytes = key.as_ref().map_or(0, |key| key.len()) + value.as_ref().map_or(0, |value| value.len());
        if own_headers {
            bytes += header_bytes(chunk.row_headers(row));
        } else if headers {
            bytes += header_bytes(from.headers.get(input));
        }
        let output = self.place(chunk.row_topic(row), input, bytes)?;
        output.timestamps.push(if bits & inherits::TIMESTAMP == 0 {
            chunk.row_timestamp(row)
        } else {
            from.timestamps[input]
        });
        output.keys.push(key.as_deref());
        output.values.push(value.as_deref());
        if own_headers {
            output.headers.push(chunk.row_headers(row));
        } else {
            output.headers.push(from.headers.get(input));
        }
        Ok(())
    }

    /// Makes room for one record, or says that there is none.
    #[inline]
    fn place(&mut self, topic: u16, input: usize, bytes: usize) -> Result<&mut Columns, Nonsense> {
        self.records += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        let Assembler { outputs, bytes_max, records_max, .. } = *self.limits;
        if self.records > records_max {
            return Err(Nonsense::TooMuch { limit: records_max, unit: "records" });
        }
        if self.bytes > bytes_max {
            return Err(Nonsense::TooMuch { limit: bytes_max, unit: "bytes" });
        }
        let output = self.outputs.get_mut(usize::from(topic)).ok_or(Nonsense::Topic { found: topic, outputs })?;
        output.inputs.push(u32::try_from(input).unwrap_or(u32::MAX));
        output.records.offsets.push(i64::try_from(output.records.offsets.len()).unwrap_or(i64::MAX));
        Ok(&mut output.records)
    }

    fn payload_of(&self, input: usize) -> usize {
        let from = self.limits.input;
        let headers = if self.headers { header_bytes(from.headers.get(input)) } else { 0 };
        from.keys.get(input).map_or(0, <[u8]>::len) + from.values.get(input).map_or(0, <[u8]>::len) + headers
    }
}

fn header_bytes<'a>(headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>) -> usize {
    headers.map(|(name, value)| name.len() + value.map_or(0, <[u8]>::len)).sum()
}
