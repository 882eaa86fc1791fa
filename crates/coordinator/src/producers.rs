//! Producer ids for idempotent producers: one block of the controller's at a time.

use crate::error::Error;
use crate::port::Controller;
use millstream_txn::{IdBlock, ProducerIds};
use millstream_types::ProducerId;
use parking_lot::Mutex;
use std::sync::Arc;

/// See the module.
pub(crate) struct ProducerIdSource {
    controller: Arc<dyn Controller>,
    ids: Mutex<ProducerIds>,
    /// One asks for the next block while the others wait for it.
    refill: tokio::sync::Mutex<()>,
}

impl ProducerIdSource {
    pub(crate) fn new(controller: Arc<dyn Controller>) -> Self {
        Self { controller, ids: Mutex::new(ProducerIds::new()), refill: tokio::sync::Mutex::new(()) }
    }

    /// An id that nobody else has or will have.
    pub(crate) async fn next(&self) -> Result<ProducerId, Error> {
        loop {
            if let Ok(id) = self.ids.lock().take() {
                return Ok(id);
            }
            let _turn = self.refill.lock().await;
            // Whoever had the turn before may have brought a block.
            if let Ok(id) = self.ids.lock().take() {
                return Ok(id);
            }
            let block = self.controller.allocate_producer_ids().await?;
            self.ids.lock().refill(IdBlock::new(block));
        }
    }
}
