//! Producer ids: the controller gives out blocks, a broker gives out the ids in them.

use crate::Error;
use millstream_types::ProducerId;
use std::ops::Range;

/// Ids that only this broker may give out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdBlock(Range<i64>);

impl IdBlock {
    /// The ids from `ids.start` up to but not `ids.end`.
    #[must_use]
    pub const fn new(ids: Range<i64>) -> Self {
        Self(ids)
    }
}

/// The ids a broker may still give out. Those left at a restart are lost, never given twice.
#[derive(Debug)]
pub struct ProducerIds {
    left: Range<i64>,
}

impl ProducerIds {
    /// No ids: a block is needed first.
    #[must_use]
    pub const fn new() -> Self {
        Self { left: 0..0 }
    }

    /// Gives out the next id.
    ///
    /// # Errors
    /// `IdsUsedUp` when a block is needed.
    pub fn take(&mut self) -> Result<ProducerId, Error> {
        self.left.next().map(ProducerId).ok_or(Error::IdsUsedUp)
    }

    /// Goes on with the ids of `block`; those left of the block before are lost.
    pub fn refill(&mut self, block: IdBlock) {
        self.left = block.0;
    }
}

impl Default for ProducerIds {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_gives_each_id_once_and_then_asks_for_another() {
        let mut ids = ProducerIds::new();
        assert_eq!(ids.take(), Err(Error::IdsUsedUp));
        ids.refill(IdBlock::new(1000..1002));
        assert_eq!(ids.take(), Ok(ProducerId(1000)));
        assert_eq!(ids.take(), Ok(ProducerId(1001)));
        assert_eq!(ids.take(), Err(Error::IdsUsedUp));
    }
}
