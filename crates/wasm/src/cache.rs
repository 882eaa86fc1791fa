//! Compiled code on disk, by component and engine: a node that restarts does not compile again.
//!
//! ```text
//! <folder>/<sha-256 of the component>-<engine hash>.code      32 bytes SHA-256 of what follows, then wasmtime's serialized code
//! ```

use crate::compiled::ComponentHash;
use bytes::{Bytes, BytesMut};
use millstream_runtime::{Disk, EntryKind, Runtime};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes of the checksum in front of the code.
const CHECKSUM_BYTES: usize = 32;

/// A folder of compiled code.
pub struct Cache {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    /// What code must have been compiled by: wasmtime's version, target and settings.
    engine_hash: String,
    files_max: usize,
    used: parking_lot::Mutex<HashSet<String>>,
}

impl Cache {
    /// The cache in `folder`, for code of `engine`.
    pub fn new(runtime: &Runtime, folder: PathBuf, engine: &wasmtime::Engine, files_max: usize) -> Self {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Self {
            disk: runtime.disk.clone(),
            folder,
            engine_hash: format!("{:016x}", hasher.finish()),
            files_max,
            used: parking_lot::Mutex::default(),
        }
    }

    fn name(&self, hash: &ComponentHash) -> String {
        format!("{hash}-{}.code", self.engine_hash)
    }

    /// The code of a component, if it is there and whole. What is damaged counts as absent and is written anew.
    pub async fn load(&self, hash: &ComponentHash) -> Option<Bytes> {
        let name = self.name(hash);
        let mut stored = self.disk.read(&self.folder.join(&name)).await.ok()?;
        if stored.len() < CHECKSUM_BYTES {
            return None;
        }
        let code = stored.split_off(CHECKSUM_BYTES);
        if Sha256::digest(&code)[..] != stored[..] {
            tracing::warn!(file = name, "compiled code in the cache is damaged; the component is compiled again");
            return None;
        }
        self.used.lock().insert(name);
        Some(code)
    }

    /// Keeps code. A failure costs only the next start's time, so it is told to the log and no one else.
    pub async fn store(&self, hash: &ComponentHash, code: &[u8]) {
        let name = self.name(hash);
        self.used.lock().insert(name.clone());
        let mut content = BytesMut::with_capacity(CHECKSUM_BYTES + code.len());
        content.extend_from_slice(&Sha256::digest(code));
        content.extend_from_slice(code);
        let path = self.folder.join(&name);
        let stored = async {
            self.disk.create_dir_all(&self.folder).await?;
            self.make_room().await?;
            self.disk.write_atomic(&path, content.freeze()).await
        };
        if let Err(error) = stored.await {
            tracing::warn!(file = %path.display(), %error, "compiled code could not be kept; the component is compiled again at the next start");
        }
    }

    /// Deletes other engines' code, and then what this process has not used, until a new file fits.
    async fn make_room(&self) -> std::io::Result<()> {
        let entries = self.disk.read_dir(&self.folder).await?;
        let mut names: Vec<String> =
            entries.into_iter().filter(|(_, kind)| *kind == EntryKind::File).map(|(name, _)| name).collect();
        let of_this_engine = format!("-{}.code", self.engine_hash);
        names.sort_by_key(|name| (name.ends_with(&of_this_engine), self.used.lock().contains(name)));
        let surplus = (names.len() + 1).saturating_sub(self.files_max);
        for (index, name) in names.iter().enumerate() {
            if index < surplus || !name.ends_with(&of_this_engine) {
                self.disk.remove_file(&self.folder.join(name)).await?;
            }
        }
        Ok(())
    }
}
