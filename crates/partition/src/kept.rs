//! What is known of a partition's producers, as bytes that the log keeps with each checkpoint. Whether they are whole the log sees to.
//!
//! ```text
//! producers i32, of each:   id i64 | epoch i16 | coordinator epoch i32 | last timestamp i64 | open transaction's first offset i64 or -1
//!                           batches i32, of each:   last sequence i32 | last offset i64 | offset delta i32 | timestamp i64
//! ended i32, of each:       first offset i64 | marker's offset i64                    stored: never renumber
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut, TryGetError};
use millstream_txn::{Memory, ProducerMemory, Remembered};
use millstream_types::{Offset, ProducerEpoch, ProducerId, TimestampMs};

/// The bytes of what is known.
#[must_use]
pub fn encode(memory: &Memory) -> Bytes {
    let mut out = BytesMut::new();
    put_count(&mut out, memory.producers.len());
    for producer in &memory.producers {
        out.put_i64(producer.producer_id.0);
        out.put_i16(producer.epoch.0);
        out.put_i32(producer.coordinator_epoch);
        out.put_i64(producer.last_timestamp.0);
        out.put_i64(producer.current_txn_first_offset.unwrap_or(Offset::NONE).0);
        put_count(&mut out, producer.batches.len());
        for batch in &producer.batches {
            out.put_i32(batch.last_sequence);
            out.put_i64(batch.last_offset.0);
            out.put_i32(batch.offset_delta);
            out.put_i64(batch.timestamp.0);
        }
    }
    put_count(&mut out, memory.ended.len());
    for (first, marker) in &memory.ended {
        out.put_i64(first.0);
        out.put_i64(marker.0);
    }
    out.freeze()
}

fn put_count(out: &mut BytesMut, count: usize) {
    out.put_i32(i32::try_from(count).unwrap_or(i32::MAX));
}

/// What the bytes say; none where they are not such bytes.
#[must_use]
pub fn decode(mut content: Bytes) -> Option<Memory> {
    read(&mut content).ok().filter(|_| content.is_empty())
}

fn read(content: &mut Bytes) -> Result<Memory, TryGetError> {
    let mut memory = Memory::default();
    // A count that lies ends at the last byte: no room is made for it ahead.
    for _ in 0..content.try_get_i32()? {
        memory.producers.push(producer(content)?);
    }
    for _ in 0..content.try_get_i32()? {
        memory.ended.push((Offset(content.try_get_i64()?), Offset(content.try_get_i64()?)));
    }
    Ok(memory)
}

fn producer(content: &mut Bytes) -> Result<ProducerMemory, TryGetError> {
    let mut producer = ProducerMemory {
        producer_id: ProducerId(content.try_get_i64()?),
        epoch: ProducerEpoch(content.try_get_i16()?),
        coordinator_epoch: content.try_get_i32()?,
        last_timestamp: TimestampMs(content.try_get_i64()?),
        current_txn_first_offset: Some(Offset(content.try_get_i64()?)).filter(|&offset| offset != Offset::NONE),
        batches: Vec::new(),
    };
    for _ in 0..content.try_get_i32()? {
        producer.batches.push(Remembered {
            last_sequence: content.try_get_i32()?,
            last_offset: Offset(content.try_get_i64()?),
            offset_delta: content.try_get_i32()?,
            timestamp: TimestampMs(content.try_get_i64()?),
        });
    }
    Ok(producer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(producers: i64) -> Memory {
        let batch = |at: i64| Remembered {
            last_sequence: 9,
            last_offset: Offset(at),
            offset_delta: 3,
            timestamp: TimestampMs(1_000 + at),
        };
        let producer = |id: i64| ProducerMemory {
            producer_id: ProducerId(id),
            epoch: ProducerEpoch(2),
            batches: (0..id).map(batch).collect(),
            last_timestamp: TimestampMs(4_000),
            coordinator_epoch: -1,
            current_txn_first_offset: (id % 2 == 0).then_some(Offset(40 + id)),
        };
        Memory { producers: (0..producers).map(producer).collect(), ended: vec![(Offset(7), Offset(9))] }
    }

    #[test]
    fn what_is_encoded_is_decoded_and_nothing_shorter_is() {
        for producers in [0, 1, 6] {
            let content = encode(&memory(producers));
            assert_eq!(decode(content.clone()), Some(memory(producers)));
            for len in 0..content.len() {
                assert_eq!(decode(content.slice(..len)), None, "{len} bytes");
            }
            assert_eq!(decode([&content[..], b"x"].concat().into()), None);
        }
    }

    #[test]
    fn a_count_that_lies_takes_no_memory() {
        assert_eq!(decode(Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff, 0, 0])), None);
    }
}
