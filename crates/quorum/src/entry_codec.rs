//! Log entries as bytes: what a frame of the metadata log holds.
//!
//! ```text
//! entries    1 u8 | committed term u64, index u64 (index 2^64-1: none) | count u32 | count x entry
//! entry      kind u8 (0 blank, 1 records, 2 members) | term u64 | index u64 | length u32 | payload
//! records    term of the controller u64 | records as `metadata::encode` writes them
//! truncate   2 u8 | the last index kept u64 (2^64-1: none)
//! ```
//! Kinds are stored: never renumber.

use crate::frame::Reader;
use crate::raft_types::{Entry, LogId, Payload, Proposal, log_id};
use bytes::{BufMut, BytesMut};
use openraft::entry::RaftEntry;
use std::sync::Arc;

const ENTRIES: u8 = 1;
const TRUNCATE: u8 = 2;
const BLANK: u8 = 0;
const RECORDS: u8 = 1;
const MEMBERS: u8 = 2;
const NONE: u64 = u64::MAX;

/// What one frame says.
#[derive(Debug, PartialEq)]
pub(crate) enum Body {
    /// Entries were appended; `committed` was known to be committed then.
    Entries { committed: Option<LogId>, entries: Vec<Entry> },
    /// Entries after `kept` are void.
    Truncate { kept: Option<u64> },
}

/// The body of a frame of entries, each as [`encode_entry`] made it.
pub(crate) fn encode_entries(committed: Option<LogId>, entries: &[BytesMut]) -> std::io::Result<BytesMut> {
    let mut body = BytesMut::with_capacity(21 + entries.iter().map(BytesMut::len).sum::<usize>());
    body.put_u8(ENTRIES);
    let (term, index) = committed.map_or((0, NONE), |id| (id.leader_id.term, id.index));
    body.put_u64(term);
    body.put_u64(index);
    body.put_u32(u32::try_from(entries.len()).map_err(std::io::Error::other)?);
    entries.iter().for_each(|entry| body.put_slice(entry));
    Ok(body)
}

/// One entry.
pub(crate) fn encode_entry(entry: &Entry) -> std::io::Result<BytesMut> {
    let (kind, payload) = match &entry.payload {
        Payload::Blank => (BLANK, Vec::new()),
        Payload::Normal(proposal) => {
            let mut payload = proposal.term.to_be_bytes().to_vec();
            payload.extend(millstream_metadata::encode(&proposal.records));
            (RECORDS, payload)
        }
        Payload::Membership(members) => (MEMBERS, serde_json::to_vec(members)?),
    };
    let mut encoded = BytesMut::with_capacity(21 + payload.len());
    encoded.put_u8(kind);
    encoded.put_u64(entry.log_id.leader_id.term);
    encoded.put_u64(entry.log_id.index);
    encoded.put_u32(u32::try_from(payload.len()).map_err(std::io::Error::other)?);
    encoded.put_slice(&payload);
    Ok(encoded)
}

/// The body of a frame that voids the entries after `kept`.
pub(crate) fn encode_truncate(kept: Option<u64>) -> BytesMut {
    let mut body = BytesMut::new();
    body.put_u8(TRUNCATE);
    body.put_u64(kept.unwrap_or(NONE));
    body
}

/// Reads a frame's body. The error says what is wrong with it.
pub(crate) fn decode(body: &[u8]) -> Result<Body, DecodeError> {
    let mut reader = Reader(body);
    let decoded = match reader.u8() {
        Some(ENTRIES) => decode_entries(&mut reader)?,
        Some(TRUNCATE) => {
            let kept = reader.u64().ok_or(DecodeError::Short)?;
            Body::Truncate { kept: (kept != NONE).then_some(kept) }
        }
        kind => return Err(DecodeError::Kind(kind)),
    };
    if reader.0.is_empty() { Ok(decoded) } else { Err(DecodeError::Long) }
}

/// Why a body with a right checksum makes no sense.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("a frame ends before its content does")]
    Short,
    #[error("a frame goes on after its content")]
    Long,
    #[error("unknown kind {0:?}, perhaps of a newer version of Millstream")]
    Kind(Option<u8>),
    #[error(transparent)]
    Records(#[from] millstream_metadata::Error),
    #[error("the quorum's members can't be read: {0}")]
    Members(#[from] serde_json::Error),
}

fn decode_entries(reader: &mut Reader<'_>) -> Result<Body, DecodeError> {
    let (term, index) = (reader.u64().ok_or(DecodeError::Short)?, reader.u64().ok_or(DecodeError::Short)?);
    let committed = (index != NONE).then(|| log_id(term, index));
    let count = reader.u32().ok_or(DecodeError::Short)?;
    let entries = (0..count).map(|_| decode_entry(reader)).collect::<Result<_, _>>()?;
    Ok(Body::Entries { committed, entries })
}

fn decode_entry(reader: &mut Reader<'_>) -> Result<Entry, DecodeError> {
    let head = (|| Some((reader.u8()?, reader.u64()?, reader.u64()?, reader.u32()?)))();
    let (kind, term, index, len) = head.ok_or(DecodeError::Short)?;
    let len = usize::try_from(len).map_err(|_| DecodeError::Short)?;
    let mut payload = Reader(reader.take(len).ok_or(DecodeError::Short)?);
    let payload = match kind {
        BLANK => Payload::Blank,
        RECORDS => {
            let term = payload.u64().ok_or(DecodeError::Short)?;
            Payload::Normal(Proposal { term, records: Arc::new(millstream_metadata::decode(payload.0)?) })
        }
        MEMBERS => Payload::Membership(serde_json::from_slice(payload.0)?),
        other => return Err(DecodeError::Kind(Some(other))),
    };
    Ok(Entry::new(log_id(term, index), payload))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft_types::{Peer, ReplicaId};
    use millstream_metadata::Record;
    use millstream_types::ControllerEpoch;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn entries() -> impl Strategy<Value = Vec<Entry>> {
        let payload = prop_oneof![
            Just(Payload::Blank),
            (any::<u64>(), prop::collection::vec(any::<i32>(), 0..4)).prop_map(|(term, epochs)| {
                let records =
                    epochs.into_iter().map(|epoch| Record::Controller { epoch: ControllerEpoch(epoch) }).collect();
                Payload::Normal(Proposal { term, records: Arc::new(records) })
            }),
            (0u64..9).prop_map(|node| {
                let nodes = BTreeMap::from([(ReplicaId::from(node), Peer { address: "a:1".into() })]);
                Payload::Membership(openraft::Membership::new(vec![nodes.keys().copied().collect()], nodes).unwrap())
            }),
        ];
        prop::collection::vec((any::<u64>(), any::<u64>(), payload), 0..5).prop_map(|all| {
            all.into_iter().map(|(term, index, payload)| Entry::new(log_id(term, index), payload)).collect()
        })
    }

    proptest! {
        #[test]
        fn entries_round_trip(entries in entries(), committed in prop::option::of((any::<u64>(), 0..u64::MAX))) {
            let committed = committed.map(|(term, index)| log_id(term, index));
            let encoded: Vec<BytesMut> = entries.iter().map(|entry| encode_entry(entry).unwrap()).collect();
            let body = encode_entries(committed, &encoded).unwrap();
            prop_assert_eq!(decode(&body).unwrap(), Body::Entries { committed, entries });
        }

        #[test]
        fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = decode(&body);
        }
    }

    #[test]
    fn bytes_are_golden() {
        let entry = Entry::new(log_id(3, 5), Payload::Blank);
        let expected = [
            &[1][..],
            &[0, 0, 0, 0, 0, 0, 0, 2],
            &[0, 0, 0, 0, 0, 0, 0, 4],
            &[0, 0, 0, 1],
            &[0],
            &[0, 0, 0, 0, 0, 0, 0, 3],
            &[0, 0, 0, 0, 0, 0, 0, 5],
            &[0, 0, 0, 0],
        ]
        .concat();
        assert_eq!(encode_entries(Some(log_id(2, 4)), &[encode_entry(&entry).unwrap()]).unwrap(), expected);
        assert_eq!(encode_truncate(Some(9)), [&[2][..], &[0, 0, 0, 0, 0, 0, 0, 9]].concat());
        assert_eq!(decode(&encode_truncate(None)).unwrap(), Body::Truncate { kept: None });
    }
}
