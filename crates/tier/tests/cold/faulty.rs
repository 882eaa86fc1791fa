//! An object store that fails when it is told to: refuses puts, loses answers, tears uploads, damages reads, or is away.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What goes wrong with the puts of objects whose name contains a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is written.
    Refuse,
    /// It is written, and the answer is lost.
    LoseAnswer,
    /// Only half is written, and the answer says all is well.
    Tear,
}

#[derive(Debug, Default)]
pub struct Faults {
    puts: Mutex<Vec<(String, usize, Fault)>>,
    away: AtomicBool,
    /// Reads of which one bit is flipped.
    damaged_reads: AtomicUsize,
    pub puts_done: AtomicUsize,
}

impl Faults {
    /// The next `times` puts of a name that contains `text` go wrong.
    pub fn puts(&self, text: &str, times: usize, fault: Fault) {
        self.puts.lock().push((text.to_owned(), times, fault));
    }

    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    pub fn damage_reads(&self, times: usize) {
        self.damaged_reads.store(times, Ordering::SeqCst);
    }

    fn check_away(&self) -> Result<()> {
        if self.away.load(Ordering::SeqCst) { Err(refused("connection refused")) } else { Ok(()) }
    }

    fn of_put(&self, name: &str) -> Option<Fault> {
        let mut puts = self.puts.lock();
        let (_, times, fault) = puts.iter_mut().find(|(text, times, _)| *times > 0 && name.contains(text.as_str()))?;
        *times -= 1;
        Some(*fault)
    }
}

fn refused(why: &str) -> Error {
    Error::Generic { store: "Faulty", source: why.to_owned().into() }
}

#[derive(Debug)]
pub struct Faulty {
    pub inner: Arc<dyn ObjectStore>,
    pub faults: Arc<Faults>,
}

impl std::fmt::Display for Faulty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Faulty({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.faults.check_away()?;
        self.faults.puts_done.fetch_add(1, Ordering::SeqCst);
        match self.faults.of_put(location.as_ref()) {
            None => self.inner.put_opts(location, payload, opts).await,
            Some(Fault::Refuse) => Err(refused("503 slow down")),
            Some(Fault::LoseAnswer) => {
                self.inner.put_opts(location, payload, opts).await?;
                Err(refused("the connection was reset"))
            }
            Some(Fault::Tear) => {
                let whole = Bytes::from(payload);
                self.inner.put_opts(location, whole.slice(..whole.len() / 2).into(), opts).await
            }
        }
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.faults.check_away()?;
        if self.faults.of_put(location.as_ref()).is_some() {
            return Err(refused("503 slow down"));
        }
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.faults.check_away()?;
        let is_head = options.head;
        let found = self.inner.get_opts(location, options).await?;
        let is_damaged = !is_head
            && self
                .faults
                .damaged_reads
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                .is_ok();
        if !is_damaged {
            return Ok(found);
        }
        let (meta, range, attributes) = (found.meta.clone(), found.range.clone(), found.attributes.clone());
        let mut bytes = found.bytes().await?.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        let payload = GetResultPayload::Stream(Box::pin(futures::stream::iter([Ok(Bytes::from(bytes))])));
        Ok(GetResult { payload, meta, range, attributes })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if let Err(error) = self.faults.check_away() {
            return Box::pin(futures::stream::iter([Err(error)]));
        }
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.faults.check_away()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
