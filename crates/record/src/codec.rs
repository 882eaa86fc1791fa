//! The four codecs and none: compression, and decompression that stops at a limit.

mod lz4;
mod snappy;

use crate::error::Error;
use bytes::Bytes;
use std::fmt;
use std::io::{Read, Write};

/// How a batch's records are compressed. The numbers are those of the attributes: stored, never renumber.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Not at all.
    #[default]
    None = 0,
    /// gzip.
    Gzip = 1,
    /// Snappy, in the framing of snappy-java.
    Snappy = 2,
    /// An LZ4 frame of independent blocks.
    Lz4 = 3,
    /// Zstandard.
    Zstd = 4,
}

/// How far a batch is unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes its records may have when decompressed.
    pub decompressed_bytes_max: usize,
    /// Records it may have.
    pub records_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { decompressed_bytes_max: 64 << 20, records_max: 1 << 20 }
    }
}

/// A codec, and how hard it tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compression {
    /// By what.
    pub codec: Codec,
    /// The codec's level, as Kafka's topic options have it. Snappy has none, and this program's LZ4 has one only: they ignore it.
    pub level: i32,
}

/// The level of gzip that says that zlib's own default is meant.
const GZIP_DEFAULT: i32 = -1;
/// zstd's own default.
const ZSTD_DEFAULT: i32 = 3;

impl From<Codec> for Compression {
    /// At the codec's default level.
    fn from(codec: Codec) -> Self {
        let level = match codec {
            Codec::Gzip => GZIP_DEFAULT,
            Codec::Zstd => ZSTD_DEFAULT,
            Codec::None | Codec::Snappy | Codec::Lz4 => 0,
        };
        Self { codec, level }
    }
}

impl Compression {
    pub(crate) fn compress(self, plain: Vec<u8>) -> Result<Vec<u8>, Error> {
        let packed = match self.codec {
            Codec::None => Ok(plain),
            Codec::Gzip => gzip(&plain, self.level),
            Codec::Snappy => snappy::compress(&plain),
            Codec::Lz4 => lz4::compress(&plain),
            Codec::Zstd => zstd::stream::encode_all(plain.as_slice(), self.level),
        };
        packed.map_err(|error| Error::Inflate { codec: self.codec, problem: error.to_string() })
    }
}

impl Codec {
    /// Every codec, in order of its number.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec of this number.
    ///
    /// # Errors
    /// [`Error::UnknownCodec`].
    pub fn from_id(id: u8) -> Result<Self, Error> {
        Self::ALL.get(usize::from(id)).copied().ok_or(Error::UnknownCodec { id })
    }

    /// The codec's number.
    #[must_use]
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// Kafka's name for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// At the codec's default level.
    pub(crate) fn compress(self, plain: Vec<u8>) -> Result<Vec<u8>, Error> {
        Compression::from(self).compress(plain)
    }

    /// The plain bytes, at most `limit` of them. Memory follows what was really inflated, never what the bytes claim.
    ///
    /// # Errors
    /// [`Error::Bomb`] for more bytes than that, [`Error::Inflate`] for what is not of this codec.
    pub fn decompress(self, packed: &Bytes, limit: usize) -> Result<Bytes, Error> {
        match self {
            Self::None if packed.len() > limit => Err(Error::Bomb { codec: self, limit }),
            Self::None => Ok(packed.clone()),
            Self::Gzip => self.inflate(flate2::bufread::MultiGzDecoder::new(packed.as_ref()), limit),
            Self::Snappy => snappy::decompress(packed, limit),
            Self::Lz4 => self.inflate(lz4::reader(packed), limit),
            // A frame may ask for a window of up to 128 MiB, as level 22 does: it is only touched as far as bytes are inflated.
            Self::Zstd => {
                let reader =
                    zstd::stream::read::Decoder::with_buffer(packed.as_ref()).map_err(|error| self.broken(&error))?;
                self.inflate(reader, limit)
            }
        }
    }

    fn inflate(self, reader: impl Read, limit: usize) -> Result<Bytes, Error> {
        let mut plain = Vec::new();
        reader.take(limit as u64 + 1).read_to_end(&mut plain).map_err(|error| self.broken(&error))?;
        if plain.len() > limit {
            return Err(Error::Bomb { codec: self, limit });
        }
        Ok(plain.into())
    }

    fn broken(self, error: &std::io::Error) -> Error {
        Error::Inflate { codec: self, problem: error.to_string() }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Codec {
    type Err = UnknownCodecName;

    fn from_str(name: &str) -> Result<Self, UnknownCodecName> {
        Self::ALL.into_iter().find(|codec| codec.name() == name).ok_or_else(|| UnknownCodecName(name.to_owned()))
    }
}

/// A text that is no codec's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown compression {0:?}: expected none, gzip, snappy, lz4 or zstd")]
pub struct UnknownCodecName(String);

fn gzip(plain: &[u8], level: i32) -> std::io::Result<Vec<u8>> {
    let level = u32::try_from(level).map_or_else(|_| flate2::Compression::default(), flate2::Compression::new);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
    encoder.write_all(plain)?;
    encoder.finish()
}
