//! A file as a stream of uncompressed bytes. It blocks: used on compute threads only.

use crate::settings::Compression;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is read from the file at once where it is compressed.
const BUFFER_BYTES: usize = 64 << 10;

/// An open file and its uncompressed bytes.
pub(crate) struct Stream {
    file: File,
    bytes: Box<dyn Read + Send>,
    taken: Arc<AtomicU64>,
}

/// Counts the bytes taken from the file.
struct Counted {
    file: File,
    taken: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.taken.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl Stream {
    /// Opens a regular file: a pipe or a device could block for ever.
    pub fn open(path: &Path, compression: Compression) -> io::Result<Self> {
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "it is not a regular file"));
        }
        let file = File::open(path)?;
        let taken = Arc::new(AtomicU64::new(0));
        let counted = Counted { file: file.try_clone()?, taken: taken.clone() };
        let bytes: Box<dyn Read + Send> = match compression {
            Compression::Auto | Compression::None => Box::new(counted),
            Compression::Gzip => Box::new(MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, counted))),
            Compression::Zstd => Box::new(zstd::stream::read::Decoder::new(counted)?),
        };
        Ok(Self { file, bytes, taken })
    }

    /// Goes to a place in the uncompressed bytes: directly in a plain file, by reading up to it in a compressed one.
    pub fn skip_to(&mut self, offset: u64, compression: Compression) -> io::Result<()> {
        if matches!(compression, Compression::Auto | Compression::None) {
            // Both handles share the file's cursor.
            self.file.seek(SeekFrom::Start(offset))?;
            self.taken.store(offset, Ordering::Relaxed);
            return Ok(());
        }
        let skipped = io::copy(&mut (&mut self.bytes).take(offset), &mut io::sink())?;
        if skipped < offset {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("it has {skipped} bytes uncompressed, and {offset} were read of it before"),
            ));
        }
        Ok(())
    }

    /// Reads the next block onto the end of `buffer`; 0 at the end of the file.
    pub fn read_onto(&mut self, buffer: &mut Vec<u8>, bytes_max: usize) -> io::Result<usize> {
        let before = buffer.len();
        (&mut self.bytes).take(bytes_max as u64).read_to_end(buffer)?;
        Ok(buffer.len() - before)
    }

    /// The file's first bytes.
    pub fn head(&self, bytes_max: usize) -> io::Result<Vec<u8>> {
        let mut head = vec![0; bytes_max];
        let mut filled = 0;
        while filled < bytes_max {
            match self.file.read_at(&mut head[filled..], filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        head.truncate(filled);
        Ok(head)
    }

    /// The file's length, compressed as it is.
    pub fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// What the file system calls it.
    pub fn inode(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.ino())
    }

    /// Bytes of the file, compressed as it is, that have been taken.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}
