//! DescribeLogDirs since version 5: whether a folder takes no new logs.

use super::{
    get_array, get_bool, get_known, get_some_text, known, put_bool, put_count, put_known, put_no_tags, put_text,
    size_of, skip_tags, wrapper,
};
use anyhow::Result;
use kafka_protocol::messages::describe_log_dirs_response::DescribeLogDirsResult;
use kafka_protocol::protocol::buf::{ByteBuf, ByteBufMut};
use kafka_protocol::protocol::{Decodable, Encodable};

/// The version that folders tell more in.
const TELLS_CORDONED: i16 = 5;
/// The version in which the crate knows the topics of a folder, which are the same since.
const TOPICS: i16 = 4;

/// The answer, with what the crate's lacks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DescribeLogDirsResponse {
    /// All that earlier versions tell.
    pub message: known::DescribeLogDirsResponse,
    /// Whether each folder takes no new logs, by its place; those that are not told do.
    pub cordoned: Vec<bool>,
}

wrapper!(DescribeLogDirsResponse, 5);

impl Decodable for DescribeLogDirsResponse {
    fn decode<B: ByteBuf>(buf: &mut B, version: i16) -> Result<Self> {
        if version < TELLS_CORDONED {
            return known::DescribeLogDirsResponse::decode(buf, version).map(Self::from);
        }
        let message = known::DescribeLogDirsResponse::default()
            .with_throttle_time_ms(buf.try_get_i32()?)
            .with_error_code(buf.try_get_i16()?);
        let results = get_array(buf, |buf| {
            let result = DescribeLogDirsResult::default()
                .with_error_code(buf.try_get_i16()?)
                .with_log_dir(get_some_text(buf)?)
                .with_topics(get_known(buf, TOPICS)?)
                .with_total_bytes(buf.try_get_i64()?)
                .with_usable_bytes(buf.try_get_i64()?);
            let is_cordoned = get_bool(buf)?;
            skip_tags(buf)?;
            Ok((result, is_cordoned))
        })?;
        skip_tags(buf)?;
        let (results, cordoned) = results.unwrap_or_default().into_iter().unzip();
        Ok(Self { message: message.with_results(results), cordoned })
    }
}

impl Encodable for DescribeLogDirsResponse {
    fn encode<B: ByteBufMut>(&self, buf: &mut B, version: i16) -> Result<()> {
        if version < TELLS_CORDONED {
            return self.message.encode(buf, version);
        }
        buf.put_i32(self.throttle_time_ms);
        buf.put_i16(self.error_code);
        put_count(buf, Some(self.results.len()))?;
        let cordoned = self.cordoned.iter().copied().chain(std::iter::repeat(false));
        for (result, is_cordoned) in self.results.iter().zip(cordoned) {
            buf.put_i16(result.error_code);
            put_text(buf, Some(&result.log_dir))?;
            put_known(buf, &result.topics, TOPICS)?;
            buf.put_i64(result.total_bytes);
            buf.put_i64(result.usable_bytes);
            put_bool(buf, is_cordoned);
            put_no_tags(buf);
        }
        put_no_tags(buf);
        Ok(())
    }

    fn compute_size(&self, version: i16) -> Result<usize> {
        size_of(|buf| self.encode(buf, version))
    }
}
