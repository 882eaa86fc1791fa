//! WriteTxnMarkers since version 2: each marker says by which rules its transaction was written.

use super::{
    get_array, get_bool, get_known, known, put_bool, put_count, put_known, put_no_tags, size_of, skip_tags, wrapper,
};
use anyhow::Result;
use kafka_protocol::messages::write_txn_markers_request::WritableTxnMarker;
use kafka_protocol::protocol::buf::{ByteBuf, ByteBufMut};
use kafka_protocol::protocol::{Decodable, Encodable};

/// The version that markers tell more in.
const TELLS_VERSION: i16 = 2;
/// The version in which the crate knows the topics of a marker, which are the same since.
const TOPICS: i16 = 1;

/// The request, with what the crate's lacks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WriteTxnMarkersRequest {
    /// All that earlier versions tell.
    pub message: known::WriteTxnMarkersRequest,
    /// The transaction version of each marker, by its place; 0 where none is told.
    pub transaction_versions: Vec<i8>,
}

wrapper!(WriteTxnMarkersRequest, 2);

impl Decodable for WriteTxnMarkersRequest {
    fn decode<B: ByteBuf>(buf: &mut B, version: i16) -> Result<Self> {
        if version < TELLS_VERSION {
            return known::WriteTxnMarkersRequest::decode(buf, version).map(Self::from);
        }
        let markers = get_array(buf, |buf| {
            let marker = WritableTxnMarker::default()
                .with_producer_id(buf.try_get_i64()?.into())
                .with_producer_epoch(buf.try_get_i16()?)
                .with_transaction_result(get_bool(buf)?)
                .with_topics(get_known(buf, TOPICS)?)
                .with_coordinator_epoch(buf.try_get_i32()?);
            let transaction_version = buf.try_get_i8()?;
            skip_tags(buf)?;
            Ok((marker, transaction_version))
        })?;
        skip_tags(buf)?;
        let (markers, transaction_versions) = markers.unwrap_or_default().into_iter().unzip();
        let message = known::WriteTxnMarkersRequest::default().with_markers(markers);
        Ok(Self { message, transaction_versions })
    }
}

impl Encodable for WriteTxnMarkersRequest {
    fn encode<B: ByteBufMut>(&self, buf: &mut B, version: i16) -> Result<()> {
        if version < TELLS_VERSION {
            return self.message.encode(buf, version);
        }
        put_count(buf, Some(self.markers.len()))?;
        let versions = self.transaction_versions.iter().copied().chain(std::iter::repeat(0));
        for (marker, transaction_version) in self.markers.iter().zip(versions) {
            buf.put_i64(marker.producer_id.0);
            buf.put_i16(marker.producer_epoch);
            put_bool(buf, marker.transaction_result);
            put_known(buf, &marker.topics, TOPICS)?;
            buf.put_i32(marker.coordinator_epoch);
            buf.put_i8(transaction_version);
            put_no_tags(buf);
        }
        put_no_tags(buf);
        Ok(())
    }

    fn compute_size(&self, version: i16) -> Result<usize> {
        size_of(|buf| self.encode(buf, version))
    }
}
