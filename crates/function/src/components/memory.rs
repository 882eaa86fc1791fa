//! Components in memory, for tests of what uses them.

use super::ComponentStore;
use crate::Error;
use async_trait::async_trait;
use bytes::Bytes;
use millstream_wasm::ComponentHash;
use parking_lot::Mutex;
use std::collections::HashMap;

/// A [`ComponentStore`] in memory.
#[derive(Default)]
pub struct MemoryComponents(Mutex<HashMap<ComponentHash, Bytes>>);

impl MemoryComponents {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl ComponentStore for MemoryComponents {
    async fn put(&self, component: Bytes) -> Result<ComponentHash, Error> {
        let hash = ComponentHash::of(&component);
        self.0.lock().insert(hash, component);
        Ok(hash)
    }

    async fn get(&self, hash: ComponentHash) -> Result<Bytes, Error> {
        self.0.lock().get(&hash).cloned().ok_or(Error::NoComponent { hash })
    }
}
