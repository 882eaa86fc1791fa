//! The object store: a folder or S3, counted, with errors that name the object and never a secret.

use crate::config::{MANIFEST_BYTES_MAX, PART_BYTES, PARTS_IN_FLIGHT};
use crate::error::Error;
use crate::stats::Counters;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use millstream_runtime::{Disk, OpenMode};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    BackoffConfig, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, RetryConfig,
    WriteMultipart,
};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Times the S3 client itself tries a request again: few, since whoever asked tries again later.
const REQUEST_RETRIES: usize = 2;
const REQUEST_RETRY_LIMIT: Duration = Duration::from_secs(10);
const OBJECTS_LISTED_MAX: usize = 1_000_000;

/// An object store and the front of every name in it.
#[derive(Clone)]
pub struct TierStore {
    store: Arc<dyn ObjectStore>,
    name: Arc<str>,
    prefix: Path,
    /// The folder, where the store is one: its files are synced, which the store does not do itself.
    folder: Option<Arc<PathBuf>>,
}

/// Its name; never its options, which have secrets among them.
impl std::fmt::Debug for TierStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TierStore({})", self.name)
    }
}

impl TierStore {
    /// Any object store, under `name` in messages.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, name: &str, prefix: Path) -> Self {
        Self { store, name: name.into(), prefix, folder: None }
    }

    /// The store that `url` names: a folder (a path, or `file://` and a path), which is made where it is not there, or
    /// `s3://BUCKET/PREFIX`. Options are those of S3: `endpoint`, `region`, `access_key_id`, `secret_access_key`, `allow_http`,
    /// `virtual_hosted_style_request` and what else `object_store` knows; dots may stand for underscores, and an empty value is none.
    ///
    /// # Errors
    /// [`Error::Settings`] for another scheme, an unknown option, a wrong value, or a folder that can't be made.
    pub fn from_url(url: &str, options: &BTreeMap<String, String>) -> Result<Self, Error> {
        match url.split_once("://") {
            None => Self::folder(url, url),
            Some(("file", path)) => Self::folder(url, path),
            Some(("s3" | "s3a", rest)) => Self::s3(url, rest, options),
            Some((scheme, _)) => Err(settings(
                url,
                &format!("unknown scheme {scheme:?}; expected a folder, file://PATH or s3://BUCKET/PREFIX"),
            )),
        }
    }

    fn folder(url: &str, path: &str) -> Result<Self, Error> {
        let refused = |error: &dyn std::fmt::Display| settings(url, &format!("the folder can't be used: {error}"));
        std::fs::create_dir_all(path).map_err(|error| refused(&error))?;
        let path = std::fs::canonicalize(path).map_err(|error| refused(&error))?;
        let store = LocalFileSystem::new_with_prefix(&path).map_err(|error| refused(&error))?;
        let name = path.display().to_string();
        Ok(Self { folder: Some(Arc::new(path)), ..Self::new(Arc::new(store), &name, Path::default()) })
    }

    fn s3(url: &str, rest: &str, options: &BTreeMap<String, String>) -> Result<Self, Error> {
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(settings(url, "no bucket; expected s3://BUCKET/PREFIX"));
        }
        let retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: REQUEST_RETRIES,
            retry_timeout: REQUEST_RETRY_LIMIT,
        };
        let mut builder = AmazonS3Builder::new().with_bucket_name(bucket).with_retry(retry);
        let defaults =
            [("connect_timeout", "5 seconds"), ("timeout", "60 seconds")].map(|(name, value)| (name.to_owned(), value));
        let given = options.iter().map(|(name, value)| (name.replace('.', "_"), value.as_str()));
        for (name, value) in defaults.into_iter().chain(given).filter(|(_, value)| !value.is_empty()) {
            let key: AmazonS3ConfigKey =
                name.parse().map_err(|_| settings(&name, "the object store has no such option"))?;
            builder = builder.with_config(key, value);
        }
        let store = builder.build().map_err(|error| settings(url, &error.to_string()))?;
        let prefix = Path::parse(prefix.trim_matches('/')).map_err(|error| settings(url, &error.to_string()))?;
        Ok(Self::new(Arc::new(store), &format!("s3://{bucket}"), prefix))
    }

    /// The front of every name.
    #[must_use]
    pub const fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// What it is called in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn settings(name: &str, problem: &str) -> Error {
    Error::Settings { name: name.to_owned(), problem: problem.to_owned() }
}

/// A store with its counters and, for a folder, the disk that syncs it.
pub struct Counted {
    pub store: TierStore,
    pub counters: Counters,
    pub disk: Arc<dyn Disk>,
}

/// How a create-if-absent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    Yes,
    /// There is one of that name.
    Exists,
}

impl Counted {
    fn failed(&self, action: &'static str, object: &Path, source: object_store::Error) -> Error {
        self.counters.failed();
        let (object, store) = (object.to_string(), self.store.name.to_string());
        Error::Store { action, object, store, source: Box::new(source) }
    }

    /// As [`Self::failed`], for the reading of an object that should be there. (Elsewhere "not found" is said of a bucket.)
    fn unread(&self, object: &Path, source: object_store::Error) -> Error {
        match source {
            object_store::Error::NotFound { .. } => {
                self.counters.failed();
                Error::Missing { object: object.to_string(), store: self.store.name.to_string() }
            }
            source => self.failed("read", object, source),
        }
    }

    /// The whole of a small object.
    pub async fn get(&self, object: &Path) -> Result<Bytes, Error> {
        let found = self.store.store.get(object).await.map_err(|error| self.unread(object, error))?;
        if found.meta.size > MANIFEST_BYTES_MAX {
            return Err(Error::corrupt(
                object,
                format!("{} bytes; expected {MANIFEST_BYTES_MAX} at most", found.meta.size),
            ));
        }
        let bytes = found.bytes().await.map_err(|error| self.unread(object, error))?;
        self.counters.got(bytes.len());
        Ok(bytes)
    }

    /// Part of an object.
    pub async fn get_range(&self, object: &Path, range: Range<u64>) -> Result<Bytes, Error> {
        let bytes = self.store.store.get_range(object, range).await.map_err(|error| self.unread(object, error))?;
        self.counters.got(bytes.len());
        Ok(bytes)
    }

    /// Writes an object of a name that nobody else uses, and looks whether all of it arrived.
    pub async fn put(&self, object: &Path, content: Bytes) -> Result<(), Error> {
        let bytes = content.len();
        self.store.store.put(object, content.into()).await.map_err(|error| self.failed("write", object, error))?;
        self.counters.put(bytes);
        self.arrived(object, bytes as u64).await
    }

    /// Writes an object unless there is one of that name.
    pub async fn create(&self, object: &Path, content: Bytes) -> Result<Created, Error> {
        let bytes = content.len();
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.store.put_opts(object, PutPayload::from(content), options).await {
            Ok(_) => {
                self.counters.put(bytes);
                self.settle(object).await?;
                Ok(Created::Yes)
            }
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Ok(Created::Exists)
            }
            Err(error) => Err(self.failed("write", object, error)),
        }
    }

    /// Begins a large object.
    pub async fn begin(&self, object: &Path) -> Result<Upload<'_>, Error> {
        let upload =
            self.store.store.put_multipart(object).await.map_err(|error| self.failed("write", object, error))?;
        let writer = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        Ok(Upload { counted: self, object: object.clone(), writer, bytes: 0 })
    }

    async fn arrived(&self, object: &Path, expected: u64) -> Result<(), Error> {
        self.counters.listed();
        let found = self.store.store.head(object).await.map_err(|error| self.failed("look at", object, error))?.size;
        if found != expected {
            self.counters.failed();
            return Err(Error::Torn { object: object.to_string(), expected, found });
        }
        self.settle(object).await
    }

    /// Makes an object survive a power cut, where the store is a folder of this machine.
    async fn settle(&self, object: &Path) -> Result<(), Error> {
        let Some(root) = &self.store.folder else { return Ok(()) };
        let mut path = root.as_path().to_owned();
        path.extend(object.parts().map(|part| part.as_ref().to_owned()));
        let failed = |source| Error::Disk { action: "sync", path: path.clone(), source };
        self.disk.open(&path, OpenMode::Read).await.map_err(failed)?.sync().await.map_err(failed)?;
        for folder in path.ancestors().skip(1).take_while(|folder| folder.starts_with(root.as_path())) {
            self.disk.sync_dir(folder).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Every object below `prefix`.
    pub async fn list(&self, prefix: &Path) -> Result<Vec<ObjectMeta>, Error> {
        self.counters.listed();
        let listed = self.store.store.list(Some(prefix)).take(OBJECTS_LISTED_MAX).try_collect().await;
        listed.map_err(|error| self.failed("list", prefix, error))
    }

    /// What is directly below `prefix` and has more below it.
    pub async fn folders(&self, prefix: &Path) -> Result<Vec<Path>, Error> {
        self.counters.listed();
        match self.store.store.list_with_delimiter(Some(prefix)).await {
            Ok(listed) => Ok(listed.common_prefixes),
            Err(object_store::Error::NotFound { .. }) => Ok(Vec::new()),
            Err(error) => Err(self.failed("list", prefix, error)),
        }
    }

    /// Deletes an object; nothing happens where there is none.
    pub async fn delete(&self, object: &Path) -> Result<(), Error> {
        self.counters.deleted();
        match self.store.store.delete(object).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("delete", object, error)),
        }
    }
}

/// A large object on its way.
pub struct Upload<'a> {
    counted: &'a Counted,
    object: Path,
    writer: WriteMultipart,
    bytes: u64,
}

impl Upload<'_> {
    /// Adds bytes; waits where too many are on their way.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        let failed = |error| self.counted.failed("write", &self.object, error);
        self.writer.wait_for_capacity(PARTS_IN_FLIGHT).await.map_err(failed)?;
        self.bytes += bytes.len() as u64;
        self.writer.put(bytes);
        Ok(())
    }

    /// Ends the object, and looks whether all of it arrived.
    pub async fn finish(self) -> Result<(), Error> {
        let Self { counted, object, writer, bytes } = self;
        writer.finish().await.map_err(|error| counted.failed("write", &object, error))?;
        counted.counters.put(usize::try_from(bytes).unwrap_or(usize::MAX));
        counted.arrived(&object, bytes).await
    }

    /// Gives the object up; the store forgets its parts.
    pub async fn abort(self) {
        if let Err(error) = self.writer.abort().await {
            tracing::debug!(object = %self.object, %error, "parts of an upload that was given up may remain in the store");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str, options: &[(&str, &str)]) -> String {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        TierStore::from_url(url, &options).unwrap_err().to_string()
    }

    #[test]
    fn wrong_settings_are_named() {
        assert_eq!(
            refused("ftp://x", &[]),
            "ftp://x: unknown scheme \"ftp\"; expected a folder, file://PATH or s3://BUCKET/PREFIX"
        );
        assert_eq!(refused("s3://", &[]), "s3://: no bucket; expected s3://BUCKET/PREFIX");
        assert_eq!(refused("s3://b", &[("colour", "red")]), "colour: the object store has no such option");
    }

    #[test]
    fn no_secret_is_shown() {
        let options = [
            ("access.key.id", "AKIDEXAMPLE"),
            ("secret.access.key", "hush"),
            ("region", "eu-west-1"),
            ("endpoint", ""),
        ];
        let options = options.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let store = TierStore::from_url("s3://bucket/a/b/", &options).unwrap();
        assert_eq!((format!("{store:?}").as_str(), store.prefix().as_ref()), ("TierStore(s3://bucket)", "a/b"));
    }

    #[test]
    fn a_folder_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("file://{}", dir.path().join("a/b").display());
        TierStore::from_url(&url, &BTreeMap::new()).unwrap();
        assert!(dir.path().join("a/b").is_dir());
    }
}
