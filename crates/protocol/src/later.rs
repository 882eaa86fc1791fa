//! Messages that Kafka 4.3 has in later versions than the `kafka-protocol` crate, which knows them up to Kafka 4.0.
//!
//! ```text
//! API              crate  here  what is new
//! ListOffsets      10     11    nothing on the wire: one more special timestamp
//! OffsetCommit      9     10    topics by id                                (KIP-848)
//! OffsetFetch       9     10    topics by id                                (KIP-848)
//! WriteTxnMarkers   1      2    the transaction version of each marker      (KIP-1228)
//! DescribeLogDirs   4      5    whether a folder is cordoned                (KIP-1066)
//! DescribeShareGroupOffsets
//!                   0      1    how many records are left                   (KIP-1226)
//! ShareFetch        1      2    acquisition by record, renewed locks        (KIP-1206, KIP-1222)
//! ShareAcknowledge  1      2    renewed locks                               (KIP-1222)
//! WriteShareGroupState, ReadShareGroupStateSummary
//!                   0      1    how many records are done                   (KIP-1226)
//! ```
//!
//! A wrapper reads as the message it wraps. Its bytes are held against Kafka's own by the golden frames.

mod log_dirs;
mod share_data;
mod share_offsets;
mod share_states;
mod topics_by_id;
mod txn_markers;

pub use log_dirs::DescribeLogDirsResponse;
pub use share_data::{ShareAcknowledgeRequest, ShareAcknowledgeResponse, ShareFetchRequest};
pub use share_offsets::DescribeShareGroupOffsetsResponse;
pub use share_states::{ReadShareGroupStateSummaryResponse, WriteShareGroupStateRequest};
pub use topics_by_id::{OffsetCommitRequest, OffsetFetchRequest};
pub use txn_markers::WriteTxnMarkersRequest;

use anyhow::{Context, Result};
use kafka_protocol::messages as known;
use kafka_protocol::protocol::buf::{ByteBuf, ByteBufMut};
use kafka_protocol::protocol::{Decodable, Encodable, Message, Request, StrBytes};
use uuid::Uuid;

/// What every wrapper is, but for its bytes in the versions that the crate lacks.
macro_rules! wrapper {
    ($name:ident, $max:literal) => {
        impl From<kafka_protocol::messages::$name> for $name {
            #[allow(clippy::needless_update, reason = "where the message is all there is")]
            fn from(message: kafka_protocol::messages::$name) -> Self {
                Self { message, ..Self::default() }
            }
        }

        impl std::ops::Deref for $name {
            type Target = kafka_protocol::messages::$name;

            fn deref(&self) -> &Self::Target {
                &self.message
            }
        }

        impl std::ops::DerefMut for $name {
            fn deref_mut(&mut self) -> &mut Self::Target {
                &mut self.message
            }
        }

        impl kafka_protocol::protocol::HeaderVersion for $name {
            fn header_version(version: i16) -> i16 {
                kafka_protocol::messages::$name::header_version(version)
            }
        }

        impl kafka_protocol::protocol::Message for $name {
            const VERSIONS: kafka_protocol::protocol::VersionRange = kafka_protocol::protocol::VersionRange {
                min: <kafka_protocol::messages::$name as kafka_protocol::protocol::Message>::VERSIONS.min,
                max: $max,
            };
            const DEPRECATED_VERSIONS: Option<kafka_protocol::protocol::VersionRange> = None;
        }
    };
}
use wrapper;

/// A message whose last versions have the same fields.
macro_rules! same_fields {
    ($name:ident, $max:literal) => {
        /// The crate's message, in later versions with the same fields.
        #[derive(Debug, Clone, PartialEq, Default)]
        pub struct $name {
            /// All of it.
            pub message: known::$name,
        }

        wrapper!($name, $max);

        impl Decodable for $name {
            fn decode<B: ByteBuf>(buf: &mut B, version: i16) -> Result<Self> {
                known::$name::decode(buf, version.min(<known::$name as Message>::VERSIONS.max)).map(Self::from)
            }
        }

        impl Encodable for $name {
            fn encode<B: ByteBufMut>(&self, buf: &mut B, version: i16) -> Result<()> {
                self.message.encode(buf, version.min(<known::$name as Message>::VERSIONS.max))
            }

            fn compute_size(&self, version: i16) -> Result<usize> {
                self.message.compute_size(version.min(<known::$name as Message>::VERSIONS.max))
            }
        }
    };
}

same_fields!(ListOffsetsRequest, 11);
same_fields!(ListOffsetsResponse, 11);
same_fields!(WriteTxnMarkersResponse, 2);
same_fields!(DescribeLogDirsRequest, 5);
same_fields!(DescribeShareGroupOffsetsRequest, 1);
same_fields!(ShareFetchResponse, 2);
same_fields!(WriteShareGroupStateResponse, 1);
same_fields!(ReadShareGroupStateSummaryRequest, 1);

macro_rules! requests {
    ($($request:ident => $response:ty;)*) => {
        $(
            impl Request for $request {
                const KEY: i16 = known::$request::KEY;
                type Response = $response;
            }
        )*
    };
}

requests! {
    ListOffsetsRequest => ListOffsetsResponse;
    OffsetCommitRequest => known::OffsetCommitResponse;
    OffsetFetchRequest => known::OffsetFetchResponse;
    WriteTxnMarkersRequest => WriteTxnMarkersResponse;
    DescribeLogDirsRequest => DescribeLogDirsResponse;
    DescribeShareGroupOffsetsRequest => DescribeShareGroupOffsetsResponse;
    ShareFetchRequest => ShareFetchResponse;
    ShareAcknowledgeRequest => ShareAcknowledgeResponse;
    WriteShareGroupStateRequest => WriteShareGroupStateResponse;
    ReadShareGroupStateSummaryRequest => ReadShareGroupStateSummaryResponse;
}

/// Reads an unsigned number of one to five bytes.
fn get_varint<B: ByteBuf>(buf: &mut B) -> Result<u32> {
    const BYTES_MAX: u32 = 5;
    let mut value = 0;
    for place in 0..BYTES_MAX {
        let byte = buf.try_get_u8()?;
        value |= u32::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Ok(value);
        }
    }
    anyhow::bail!("a variable-length number has more than {BYTES_MAX} bytes")
}

fn put_varint<B: ByteBufMut>(buf: &mut B, value: u32) {
    let mut rest = value;
    while rest > 0x7f {
        buf.put_u8((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    buf.put_u8(rest as u8);
}

/// Reads the count of a compact list; `None` is null. It has been walked: bytes for all of its elements are there.
fn get_count<B: ByteBuf>(buf: &mut B) -> Result<Option<u32>> {
    Ok(get_varint(buf)?.checked_sub(1))
}

/// Writes the count of a compact list, whose elements follow. `None` is null.
fn put_count<B: ByteBufMut>(buf: &mut B, count: Option<usize>) -> Result<()> {
    let told = count.map_or(Ok(0), |count| u32::try_from(count + 1))?;
    put_varint(buf, told);
    Ok(())
}

/// Reads a compact array, each element by `element`.
fn get_array<B: ByteBuf, T>(buf: &mut B, mut element: impl FnMut(&mut B) -> Result<T>) -> Result<Option<Vec<T>>> {
    let Some(count) = get_count(buf)? else { return Ok(None) };
    let mut all = Vec::with_capacity((count as usize).min(buf.remaining()));
    for _ in 0..count {
        all.push(element(buf)?);
    }
    Ok(Some(all))
}

/// Reads an array of structs that the crate knows in that version.
fn get_known<B: ByteBuf, T: Decodable>(buf: &mut B, version: i16) -> Result<Vec<T>> {
    get_array(buf, |buf| T::decode(buf, version))?.context("an array is null that must not be")
}

/// Writes an array of structs that the crate knows in that version.
fn put_known<B: ByteBufMut, T: Encodable>(buf: &mut B, all: &[T], version: i16) -> Result<()> {
    put_count(buf, Some(all.len()))?;
    all.iter().try_for_each(|one| one.encode(buf, version))
}

fn get_text<B: ByteBuf>(buf: &mut B) -> Result<Option<StrBytes>> {
    let Some(len) = get_count(buf)? else { return Ok(None) };
    Ok(Some(StrBytes::from_utf8(buf.try_get_bytes(len as usize)?)?))
}

fn get_some_text<B: ByteBuf>(buf: &mut B) -> Result<StrBytes> {
    get_text(buf)?.context("a text is null that must not be")
}

fn put_text<B: ByteBufMut>(buf: &mut B, text: Option<&StrBytes>) -> Result<()> {
    put_count(buf, text.map(|text| text.len()))?;
    buf.put_slice(text.map_or(&[], |text| text.as_bytes()));
    Ok(())
}

fn get_uuid<B: ByteBuf>(buf: &mut B) -> Result<Uuid> {
    Ok(Uuid::from_u128(buf.try_get_u128()?))
}

fn put_uuid<B: ByteBufMut>(buf: &mut B, id: Uuid) {
    buf.put_u128(id.as_u128());
}

fn get_bool<B: ByteBuf>(buf: &mut B) -> Result<bool> {
    Ok(buf.try_get_u8()? != 0)
}

fn put_bool<B: ByteBufMut>(buf: &mut B, value: bool) {
    buf.put_u8(u8::from(value));
}

/// Passes over tagged fields, of which none is known.
fn skip_tags<B: ByteBuf>(buf: &mut B) -> Result<()> {
    for _ in 0..get_varint(buf)? {
        get_varint(buf)?;
        let size = get_varint(buf)?;
        buf.try_get_bytes(size as usize)?;
    }
    Ok(())
}

/// No tagged fields.
fn put_no_tags<B: ByteBufMut>(buf: &mut B) {
    put_varint(buf, 0);
}

/// The size of what `write` writes: these messages are small and rare, so they are written twice.
fn size_of(write: impl FnOnce(&mut bytes::BytesMut) -> Result<()>) -> Result<usize> {
    let mut buffer = bytes::BytesMut::new();
    write(&mut buffer)?;
    Ok(buffer.len())
}
