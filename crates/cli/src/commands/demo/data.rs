//! What the demo is made of, carried in the binary: the data of `examples/flights`, its schemas, and the function's component. The data may
//! be another folder's.

use crate::error::Error;
use std::borrow::Cow;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// A file of the data: CSV with a heading, a record a line, compressed by zstd.
pub struct File {
    /// What it is about; its name is this and `.csv.zst`.
    pub about: &'static str,
    content: Cow<'static, [u8]>,
    /// Its records.
    pub rows: i64,
}

/// The data as it is carried.
const CARRIED: [(&str, &[u8]); 4] = [
    ("airlines", include_bytes!("../../../../../examples/flights/data/airlines.csv.zst")),
    ("airports", include_bytes!("../../../../../examples/flights/data/airports.csv.zst")),
    ("weather", include_bytes!("../../../../../examples/flights/data/weather.csv.zst")),
    ("flights", include_bytes!("../../../../../examples/flights/data/flights.csv.zst")),
];

/// The files that are carried, or those of the same names in `folder`.
///
/// # Errors
/// A file that is not there or is not compressed by zstd, by its path.
pub fn files(folder: Option<&Path>) -> Result<Vec<File>, Error> {
    CARRIED.iter().map(|(about, carried)| File::read(about, carried, folder)).collect()
}

impl File {
    fn read(about: &'static str, carried: &'static [u8], folder: Option<&Path>) -> Result<Self, Error> {
        let name = format!("{about}.csv.zst");
        let path = folder.map_or_else(|| name.clone().into(), |folder| folder.join(&name));
        let content = match folder {
            None => Cow::Borrowed(carried),
            Some(_) => Cow::Owned(std::fs::read(&path).map_err(|error| Error::file("read", &path, &error))?),
        };
        let rows = rows(&content).map_err(|error| Error::file("decompress", &path, &error))?;
        Ok(Self { about, content, rows })
    }

    /// Its name.
    pub fn name(&self) -> String {
        format!("{}.csv.zst", self.about)
    }

    /// Writes it to `path`.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        std::fs::write(path, &self.content).map_err(|error| Error::file("write", path, &error))
    }
}

/// The lines after the heading.
fn rows(content: &[u8]) -> std::io::Result<i64> {
    let mut lines = BufReader::with_capacity(1 << 20, zstd::Decoder::with_buffer(content)?);
    let mut count = 0;
    while lines.skip_until(b'\n')? > 0 {
        count += 1;
    }
    Ok((count - 1).max(0))
}

/// Topics and the schemas of their values.
pub const SCHEMAS: [(&str, &str); 5] = [
    ("airlines", include_str!("../../../../../examples/flights/schemas/airlines.json")),
    ("airports", include_str!("../../../../../examples/flights/schemas/airports.json")),
    ("weather", include_str!("../../../../../examples/flights/schemas/weather.json")),
    ("flights", include_str!("../../../../../examples/flights/schemas/flights.json")),
    ("cancelled", include_str!("../../../../../examples/flights/schemas/cancelled.json")),
];

/// The function that checks, enriches and routes departures: `functions/flights-enrich`.
pub const FUNCTION: &[u8] = include_bytes!("../../../../../functions/flights-enrich/flights-enrich.wasm");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_carried_files_have_the_rows_that_are_told_of_them() {
        let rows: Vec<i64> = files(None).unwrap().iter().map(|file| file.rows).collect();
        assert_eq!(rows, [16, 1_458, 26_115, 336_776]);
    }

    #[test]
    fn a_file_that_is_missing_or_not_compressed_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let refused = || files(Some(folder.path())).err().unwrap().to_string();
        let path = folder.path().join("airlines.csv.zst");
        assert!(refused().starts_with(&format!("can't read {}", path.display())), "{}", refused());
        std::fs::write(&path, "carrier,name\n").unwrap();
        assert!(refused().starts_with(&format!("can't decompress {}", path.display())), "{}", refused());
    }
}
