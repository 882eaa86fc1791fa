//! A component, checked and compiled.

use crate::Error;
use crate::engine::Shared;
use crate::host::{Host, linker};
use crate::imports;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use wasmtime::component::{Component, InstancePre};

/// The SHA-256 of a component's bytes: its name everywhere.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ComponentHash([u8; 32]);

impl ComponentHash {
    /// The hash of those bytes.
    #[must_use]
    pub fn of(component: &[u8]) -> Self {
        Self(Sha256::digest(component).into())
    }
}

impl fmt::Display for ComponentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ComponentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for ComponentHash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash)
            .map_err(|_| format!("\"{text}\" is not a component's hash; expected 64 hexadecimal digits"))?;
        Ok(Self(hash))
    }
}

/// A component that passed the checks and is ready to be instantiated. Cheap to clone.
#[derive(Clone)]
pub struct Compiled {
    hash: ComponentHash,
    from_cache: bool,
    pub(crate) wasi: bool,
    pub(crate) pre: InstancePre<Host>,
    pub(crate) engine: Arc<Shared>,
}

impl Compiled {
    pub(crate) fn new(
        engine: Arc<Shared>,
        hash: ComponentHash,
        component: &Component,
        from_cache: bool,
    ) -> Result<Self, Error> {
        let wasi = imports::check(component, &engine.wasmtime)?;
        let pre = linker(&engine.wasmtime, wasi)?.instantiate_pre(component).map_err(|error| Error::Import {
            import: format!("{error:#}"),
            allowed: "the interfaces of wit/transform-1.0.0 with exactly their types",
        })?;
        Ok(Self { hash, from_cache, wasi, pre, engine })
    }

    /// The component's name.
    #[must_use]
    pub fn hash(&self) -> ComponentHash {
        self.hash
    }

    /// Whether its code came from the cache on disk.
    #[must_use]
    pub fn from_cache(&self) -> bool {
        self.from_cache
    }
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Compiled({})", self.hash)
    }
}
