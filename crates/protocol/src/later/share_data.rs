//! ShareFetch and ShareAcknowledge since version 2: how records are acquired (KIP-1206), and locks that are renewed (KIP-1222).

use super::{
    get_bool, get_known, get_text, known, put_bool, put_known, put_no_tags, put_text, size_of, skip_tags, wrapper,
};
use anyhow::Result;
use kafka_protocol::protocol::buf::{ByteBuf, ByteBufMut};
use kafka_protocol::protocol::{Decodable, Encodable};

/// The version that tells more.
const TELLS_MORE: i16 = 2;
/// The version in which the crate knows the parts, which are the same since.
const PARTS: i16 = 1;

/// The request, with what the crate's lacks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ShareFetchRequest {
    /// All that earlier versions tell.
    pub message: known::ShareFetchRequest,
    /// How records are acquired: 0 in whole batches, 1 as many as asked for at most.
    pub share_acquire_mode: i8,
    /// Whether locks are renewed by it.
    pub is_renew_ack: bool,
}

wrapper!(ShareFetchRequest, 2);

impl Decodable for ShareFetchRequest {
    fn decode<B: ByteBuf>(buf: &mut B, version: i16) -> Result<Self> {
        if version < TELLS_MORE {
            return known::ShareFetchRequest::decode(buf, version).map(Self::from);
        }
        let message = known::ShareFetchRequest::default()
            .with_group_id(get_text(buf)?.map(Into::into))
            .with_member_id(get_text(buf)?)
            .with_share_session_epoch(buf.try_get_i32()?)
            .with_max_wait_ms(buf.try_get_i32()?)
            .with_min_bytes(buf.try_get_i32()?)
            .with_max_bytes(buf.try_get_i32()?)
            .with_max_records(buf.try_get_i32()?)
            .with_batch_size(buf.try_get_i32()?);
        let (share_acquire_mode, is_renew_ack) = (buf.try_get_i8()?, get_bool(buf)?);
        let message = message.with_topics(get_known(buf, PARTS)?).with_forgotten_topics_data(get_known(buf, PARTS)?);
        skip_tags(buf)?;
        Ok(Self { message, share_acquire_mode, is_renew_ack })
    }
}

impl Encodable for ShareFetchRequest {
    fn encode<B: ByteBufMut>(&self, buf: &mut B, version: i16) -> Result<()> {
        if version < TELLS_MORE {
            return self.message.encode(buf, version);
        }
        put_text(buf, self.group_id.as_ref().map(|group| &group.0))?;
        put_text(buf, self.member_id.as_ref())?;
        buf.put_i32(self.share_session_epoch);
        buf.put_i32(self.max_wait_ms);
        buf.put_i32(self.min_bytes);
        buf.put_i32(self.max_bytes);
        buf.put_i32(self.max_records);
        buf.put_i32(self.batch_size);
        buf.put_i8(self.share_acquire_mode);
        put_bool(buf, self.is_renew_ack);
        put_known(buf, &self.topics, PARTS)?;
        put_known(buf, &self.forgotten_topics_data, PARTS)?;
        put_no_tags(buf);
        Ok(())
    }

    fn compute_size(&self, version: i16) -> Result<usize> {
        size_of(|buf| self.encode(buf, version))
    }
}

/// The request, with what the crate's lacks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ShareAcknowledgeRequest {
    /// All that earlier versions tell.
    pub message: known::ShareAcknowledgeRequest,
    /// Whether locks are renewed by it.
    pub is_renew_ack: bool,
}

wrapper!(ShareAcknowledgeRequest, 2);

impl Decodable for ShareAcknowledgeRequest {
    fn decode<B: ByteBuf>(buf: &mut B, version: i16) -> Result<Self> {
        if version < TELLS_MORE {
            return known::ShareAcknowledgeRequest::decode(buf, version).map(Self::from);
        }
        let message = known::ShareAcknowledgeRequest::default()
            .with_group_id(get_text(buf)?.map(Into::into))
            .with_member_id(get_text(buf)?)
            .with_share_session_epoch(buf.try_get_i32()?);
        let is_renew_ack = get_bool(buf)?;
        let message = message.with_topics(get_known(buf, PARTS)?);
        skip_tags(buf)?;
        Ok(Self { message, is_renew_ack })
    }
}

impl Encodable for ShareAcknowledgeRequest {
    fn encode<B: ByteBufMut>(&self, buf: &mut B, version: i16) -> Result<()> {
        if version < TELLS_MORE {
            return self.message.encode(buf, version);
        }
        put_text(buf, self.group_id.as_ref().map(|group| &group.0))?;
        put_text(buf, self.member_id.as_ref())?;
        buf.put_i32(self.share_session_epoch);
        put_bool(buf, self.is_renew_ack);
        put_known(buf, &self.topics, PARTS)?;
        put_no_tags(buf);
        Ok(())
    }

    fn compute_size(&self, version: i16) -> Result<usize> {
        size_of(|buf| self.encode(buf, version))
    }
}

/// The answer, with what the crate's lacks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ShareAcknowledgeResponse {
    /// All that earlier versions tell.
    pub message: known::ShareAcknowledgeResponse,
    /// How long a member has records to itself, in milliseconds.
    pub acquisition_lock_timeout_ms: i32,
}

wrapper!(ShareAcknowledgeResponse, 2);

impl Decodable for ShareAcknowledgeResponse {
    fn decode<B: ByteBuf>(buf: &mut B, version: i16) -> Result<Self> {
        if version < TELLS_MORE {
            return known::ShareAcknowledgeResponse::decode(buf, version).map(Self::from);
        }
        let message = known::ShareAcknowledgeResponse::default()
            .with_throttle_time_ms(buf.try_get_i32()?)
            .with_error_code(buf.try_get_i16()?)
            .with_error_message(get_text(buf)?);
        let acquisition_lock_timeout_ms = buf.try_get_i32()?;
        let message = message.with_responses(get_known(buf, PARTS)?).with_node_endpoints(get_known(buf, PARTS)?);
        skip_tags(buf)?;
        Ok(Self { message, acquisition_lock_timeout_ms })
    }
}

impl Encodable for ShareAcknowledgeResponse {
    fn encode<B: ByteBufMut>(&self, buf: &mut B, version: i16) -> Result<()> {
        if version < TELLS_MORE {
            return self.message.encode(buf, version);
        }
        buf.put_i32(self.throttle_time_ms);
        buf.put_i16(self.error_code);
        put_text(buf, self.error_message.as_ref())?;
        buf.put_i32(self.acquisition_lock_timeout_ms);
        put_known(buf, &self.responses, PARTS)?;
        put_known(buf, &self.node_endpoints, PARTS)?;
        put_no_tags(buf);
        Ok(())
    }

    fn compute_size(&self, version: i16) -> Result<usize> {
        size_of(|buf| self.encode(buf, version))
    }
}
