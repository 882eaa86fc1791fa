//! Cold storage: upload, manifest, remote read and the local cache.
