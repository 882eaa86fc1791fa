//! Where objects go: S3 or a folder, with create-if-absent and what is there already.

use crate::name::{Range, prefix};
use crate::settings::Settings;
use bytes::Bytes;
use futures::TryStreamExt;
use millstream_connect::OperatorError;
use millstream_runtime::{Disk, OpenMode};
use millstream_types::{ErrorKind, with_causes};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, PutMode, PutOptions, PutPayload, RetryConfig};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Retries within one request; after them the task retries, and its status says so.
const RETRIES_MAX: usize = 2;
/// How long one put or list may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// What a URL names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A folder on the node.
    Folder(PathBuf),
    /// A bucket, and what its keys begin with.
    S3 { bucket: String, prefix: String },
}

impl Place {
    /// The error says what was expected.
    pub fn parse(url: &str) -> Result<Self, String> {
        if let Some(path) = url.strip_prefix("file://") {
            let path = PathBuf::from(path);
            return if path.is_absolute() {
                Ok(Self::Folder(path))
            } else {
                Err("file:// and an absolute path".to_owned())
            };
        }
        let Some(rest) = url.strip_prefix("s3://") else {
            return Err("a URL that begins with s3:// or file://".to_owned());
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err("s3:// and a bucket".to_owned());
        }
        Ok(Self::S3 { bucket: bucket.to_owned(), prefix: prefix.trim_matches('/').to_owned() })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "file://{}", folder.display()),
            Self::S3 { bucket, .. } => write!(f, "s3://{bucket}"),
        }
    }
}

/// An open destination.
pub(crate) struct Destination {
    store: Arc<dyn ObjectStore>,
    place: Place,
    disk: Arc<dyn Disk>,
}

impl Destination {
    /// Opens it; a folder is made where there is none.
    pub async fn open(settings: &Settings, disk: Arc<dyn Disk>) -> Result<Self, OperatorError> {
        let place = Place::parse(&settings.url)
            .map_err(|expected| OperatorError::new(ErrorKind::Invalid, format!("settings.url: expected {expected}")))?;
        let store: Arc<dyn ObjectStore> = match &place {
            Place::Folder(folder) => {
                let failed = |error: String| {
                    OperatorError::new(
                        ErrorKind::Unavailable,
                        format!("could not use the folder {}: {error}", folder.display()),
                    )
                };
                disk.create_dir_all(folder).await.map_err(|error| failed(error.to_string()))?;
                Arc::new(LocalFileSystem::new_with_prefix(folder).map_err(|error| failed(error.to_string()))?)
            }
            Place::S3 { bucket, .. } => {
                Arc::new(s3(settings, bucket).map_err(|error| explain("could not open the object store", &error))?)
            }
        };
        Ok(Self { store, place, disk })
    }

    /// Makes an object unless one of that name is there: the same offsets are the same records.
    pub async fn create(&self, folder: &str, name: &str, content: Bytes) -> Result<(), OperatorError> {
        let path = self.path(folder, name);
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(&path, PutPayload::from_bytes(content), options).await {
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => self.sync(folder, name).await,
            Err(error) => Err(explain(&format!("could not write {path} to {}", self.place), &error)),
        }
    }

    /// The longest object there that begins at an offset.
    pub async fn beginning_at(
        &self,
        folder: &str,
        partition: i32,
        first: i64,
        suffix: &str,
    ) -> Result<Option<Range>, OperatorError> {
        let begin = prefix(partition, first);
        let folder_path = self.path(folder, "");
        let listed: Vec<_> = self
            .store
            .list_with_offset(Some(&folder_path), &self.path(folder, &begin))
            .try_take_while(|object| {
                // S3 lists in order; a folder does not, but it is listed whole anyway.
                let ours = object.location.filename().is_some_and(|name| name.starts_with(&begin));
                let go_on = ours || matches!(self.place, Place::Folder(_));
                async move { Ok(go_on) }
            })
            .try_collect()
            .await
            .map_err(|error| explain(&format!("could not list {folder_path} in {}", self.place), &error))?;
        let ranges = listed.iter().filter_map(|object| Range::parse(object.location.filename()?, suffix));
        Ok(ranges.filter(|range| (range.partition, range.first) == (partition, first)).max())
    }

    fn path(&self, folder: &str, name: &str) -> Path {
        let prefix = match &self.place {
            Place::Folder(_) => "",
            Place::S3 { prefix, .. } => prefix,
        };
        Path::from_iter(prefix.split('/').chain(folder.split('/')).chain([name]).filter(|part| !part.is_empty()))
    }

    /// Makes a file of a folder survive a power cut: its offsets are committed next.
    async fn sync(&self, folder: &str, name: &str) -> Result<(), OperatorError> {
        let Place::Folder(root) = &self.place else { return Ok(()) };
        let path = root.join(folder).join(name);
        let synced = async {
            self.disk.open(&path, OpenMode::Read).await?.sync().await?;
            for folder in path.ancestors().skip(1).take_while(|folder| folder.starts_with(root)) {
                self.disk.sync_dir(folder).await?;
            }
            Ok::<(), std::io::Error>(())
        };
        synced.await.map_err(|error| {
            OperatorError::new(ErrorKind::Unavailable, format!("could not sync {}: {error}", path.display()))
        })
    }
}

fn s3(settings: &Settings, bucket: &str) -> Result<object_store::aws::AmazonS3, object_store::Error> {
    let plain = settings.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    let retry = RetryConfig { max_retries: RETRIES_MAX, retry_timeout: REQUEST_TIMEOUT, ..RetryConfig::default() };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(&settings.region)
        .with_allow_http(plain)
        .with_retry(retry)
        .with_client_options(ClientOptions::new().with_timeout(REQUEST_TIMEOUT).with_allow_http(plain));
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let (Some(id), Some(secret)) = (&settings.access_key_id, &settings.secret_access_key) {
        builder = builder.with_access_key_id(id).with_secret_access_key(secret);
    }
    if let Some(token) = &settings.session_token {
        builder = builder.with_token(token);
    }
    builder.build()
}

fn explain(what: &str, error: &object_store::Error) -> OperatorError {
    use object_store::Error as Store;
    let (kind, next) = match error {
        Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => {
            (ErrorKind::Unauthorized, "; check the keys and the bucket's policy, then resume")
        }
        Store::NotFound { .. } => (ErrorKind::Unavailable, "; make the bucket, and it goes on"),
        Store::InvalidPath { .. }
        | Store::NotSupported { .. }
        | Store::NotImplemented { .. }
        | Store::UnknownConfigurationKey { .. } => (ErrorKind::Invalid, "; correct the settings"),
        _ => (ErrorKind::Unavailable, "; it is tried again, check that the object store can be reached and allows it"),
    };
    OperatorError::new(kind, format!("{what}: {}{next}", with_causes(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_folder_or_a_bucket() {
        assert_eq!(Place::parse("file:///a/b"), Ok(Place::Folder("/a/b".into())));
        assert_eq!(Place::parse("s3://b"), Ok(Place::S3 { bucket: "b".into(), prefix: String::new() }));
        assert_eq!(Place::parse("s3://b/x/y/"), Ok(Place::S3 { bucket: "b".into(), prefix: "x/y".into() }));
        for url in ["file://a", "s3://", "gs://b", "/a"] {
            assert!(Place::parse(url).is_err(), "{url}");
        }
    }
}
