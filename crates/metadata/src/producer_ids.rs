//! Giving out producer ids in blocks, so that a broker asks the controller once for many producers.

use crate::{Decision, Error, Image, Record};
use millstream_types::{BrokerEpoch, BrokerId, ProducerId};
use std::ops::Range;

/// Producer ids in one block, as in Kafka.
pub const BLOCK_LEN: i64 = 1000;

/// Gives the broker a block of producer ids that nobody else has or will have.
///
/// # Errors
/// [`Error::UnknownBroker`], [`Error::StaleBrokerEpoch`], or [`Error::IdsExhausted`] after 2^63 ids.
pub fn allocate_block(image: &Image, broker: BrokerId, epoch: BrokerEpoch) -> Result<Decision<Range<i64>>, Error> {
    crate::brokers::check_epoch(image, broker, epoch)?;
    let first = image.next_producer_id().0;
    let next = first.checked_add(BLOCK_LEN).ok_or(Error::IdsExhausted { what: "producer ids" })?;
    Ok(Decision::new(vec![Record::ProducerIdBlock { broker, next: ProducerId(next) }], first..next))
}
