//! Where components are kept: by hash, in chunks of an internal topic, so that every node that follows the log has them.

mod memory;
mod topic;

pub use memory::MemoryComponents;
pub use topic::{COMPONENTS_TOPIC, TopicComponents};

use crate::Error;
use async_trait::async_trait;
use bytes::Bytes;
use millstream_wasm::ComponentHash;

/// The port to stored components.
#[async_trait]
pub trait ComponentStore: Send + Sync + 'static {
    /// Keeps a component. Nothing is written when it is there already.
    async fn put(&self, component: Bytes) -> Result<ComponentHash, Error>;

    /// The component of that hash, whole and verified. `NotFound` when there is none, `Corrupt` when it is damaged.
    async fn get(&self, hash: ComponentHash) -> Result<Bytes, Error>;
}
