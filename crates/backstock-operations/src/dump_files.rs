//! The files of a dump made by others: one file, plain or compressed, a zip archive, or the folder of a program that
//! writes one file for each table. Opened for reading, in the order in which they must be read.

mod order;
mod zip;

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use backstock_database::{ForeignPlan, ForeignRequest, ForeignSource, ServerSettings};

use crate::error::{Doing, ErrorKind, OperationError, Result};

/// Files of a folder, or entries of an archive, at most.
const FILES_LIMIT: usize = 200_000;
/// A file that grows beyond this when it is decompressed is taken for a trap, bytes.
const TEXT_LIMIT_BYTES: u64 = 1 << 42;

/// How a file is packed, by its first bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
    Zstd,
    Zip(zip::Entry),
}

#[derive(Debug, Clone)]
struct Piece {
    /// As messages show it.
    name: String,
    path: PathBuf,
    packing: Packing,
}

/// The files of one dump.
#[derive(Debug, Clone)]
pub struct DumpFiles {
    pieces: Vec<Piece>,
    /// What they were given as.
    pub(crate) given: PathBuf,
    /// Length of all of them as they lie there, in bytes.
    pub(crate) stored_bytes: u64,
}

/// A dump made by others, read once: what a backup takes instead of a database.
#[derive(Debug, Clone)]
pub struct ImportedDump {
    /// Its files.
    pub files: DumpFiles,
    /// How it is read.
    pub request: ForeignRequest,
    /// What the first reading found.
    pub plan: ForeignPlan,
    /// The server that it is for.
    pub server: ServerSettings,
}

impl DumpFiles {
    /// Finds the files of a dump. `database` tells which one to take from a folder that has several.
    ///
    /// # Errors
    /// When there is nothing to read, or in a form that is not known.
    pub fn open(given: &Path, database: Option<&str>) -> Result<Self> {
        let act = || format!("looking at {}", given.display());
        let facts = fs::metadata(given).doing(act())?;
        if facts.is_dir() {
            return Self::of_folder(given, database);
        }
        let packing = packing(given).doing(act())?;
        let name = given.display().to_string();
        let whole = Piece { name, path: given.to_owned(), packing: Packing::Plain };
        let pieces = match packing {
            Found::One(packing) => vec![Piece { packing, ..whole }],
            Found::Archive => entries(given, database)?,
            Found::Unknown(what) => return Err(unknown(given, what)),
        };
        Ok(Self { pieces, given: given.to_owned(), stored_bytes: facts.len() })
    }

    fn of_folder(folder: &Path, database: Option<&str>) -> Result<Self> {
        let act = || format!("listing {}", folder.display());
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).doing(act())? {
            let entry = entry.doing(act())?;
            if entry.file_type().doing(act())?.is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
            if names.len() > FILES_LIMIT {
                return Err(refused(format!("{} has more files than any dump", folder.display())));
            }
        }
        let metadata = fs::read_to_string(folder.join("metadata")).ok();
        order::check_folder(&names, metadata.as_deref()).map_err(refused)?;
        let names = order::in_order(names, database).map_err(refused)?;
        let mut stored_bytes = 0;
        let mut pieces = Vec::new();
        for name in names {
            let path = folder.join(&name);
            let act = || format!("looking at {}", path.display());
            stored_bytes += fs::metadata(&path).doing(act())?.len();
            let packing = match packing(&path).doing(act())? {
                Found::One(packing) => packing,
                Found::Archive => return Err(unknown(&path, "it is a zip archive within a folder")),
                Found::Unknown(what) => return Err(unknown(&path, what)),
            };
            pieces.push(Piece { name, path, packing });
        }
        if pieces.is_empty() {
            return Err(refused(format!("{} has no files of a dump (*.sql)", folder.display())));
        }
        Ok(Self { pieces, given: folder.to_owned(), stored_bytes })
    }
}

fn refused(message: String) -> OperationError {
    OperationError::plain(ErrorKind::Declined, message)
}

fn unknown(path: &Path, what: &str) -> OperationError {
    let hint = "unpack it first: plain, gzip, zstd and zip are read";
    OperationError::hinted(ErrorKind::Declined, format!("{}: {what}", path.display()), hint)
}

enum Found {
    One(Packing),
    Archive,
    Unknown(&'static str),
}

/// Tells by the first bytes; names lie.
fn packing(path: &Path) -> io::Result<Found> {
    let mut first = [0; 6];
    let mut file = File::open(path)?;
    let mut length = 0;
    while length < first.len() {
        match file.read(&mut first[length..])? {
            0 => break,
            count => length += count,
        }
    }
    Ok(match &first[..length] {
        [0x1f, 0x8b, ..] => Found::One(Packing::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Found::One(Packing::Zstd),
        [b'P', b'K', 3 | 5, 4 | 6, ..] => Found::Archive,
        [b'B', b'Z', b'h', ..] => Found::Unknown("it is packed with bzip2"),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Found::Unknown("it is packed with xz"),
        [b'7', b'z', 0xbc, 0xaf, ..] => Found::Unknown("it is a 7z archive"),
        [b'R', b'a', b'r', b'!', ..] => Found::Unknown("it is a rar archive"),
        _ => Found::One(Packing::Plain),
    })
}

/// The entries of an archive that belong to a dump.
fn entries(path: &Path, database: Option<&str>) -> Result<Vec<Piece>> {
    let act = || format!("reading the archive {}", path.display());
    let mut file = File::open(path).doing(act())?;
    let found = zip::entries(&mut file, FILES_LIMIT).doing(act())?;
    let names = found.iter().map(|entry| entry.name.clone()).collect();
    let names = order::in_order(names, database).map_err(refused)?;
    let mut pieces = Vec::new();
    for name in names {
        if let Some(entry) = found.iter().find(|entry| entry.name == name) {
            let packing = Packing::Zip(entry.clone());
            pieces.push(Piece {
                name: format!("{} in {}", name, path.display()),
                path: path.to_owned(),
                packing,
            });
        }
    }
    if pieces.is_empty() {
        return Err(refused(format!("{} holds no file of a dump (*.sql)", path.display())));
    }
    Ok(pieces)
}

impl ForeignSource for DumpFiles {
    fn files(&self) -> Vec<String> {
        self.pieces.iter().map(|piece| piece.name.clone()).collect()
    }

    fn open(&self, at: usize) -> io::Result<Box<dyn Read + '_>> {
        let piece = self.pieces.get(at).ok_or_else(|| io::Error::other("there is no such file"))?;
        let mut file = File::open(&piece.path)?;
        Ok(match &piece.packing {
            Packing::Plain => Box::new(file),
            Packing::Gzip => limited(flate2::read::MultiGzDecoder::new(BufReader::new(file))),
            Packing::Zstd => limited(zstd::stream::read::Decoder::new(file)?),
            Packing::Zip(entry) => {
                let start = zip::data_start(&mut file, entry)?;
                file.seek(SeekFrom::Start(start))?;
                limited(zip::reader(BufReader::new(file), entry)?)
            }
        })
    }
}

/// A stream that fails where it would grow without end.
struct Limited<R> {
    inner: R,
    left: u64,
}

fn limited<'a>(inner: impl Read + 'a) -> Box<dyn Read + 'a> {
    Box::new(Limited { inner, left: TEXT_LIMIT_BYTES })
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::other("it grows beyond all bounds when it is decompressed"))?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const TEXT: &[u8] = b"CREATE TABLE `a` (`b` int);\n";

    fn read(files: &DumpFiles) -> Vec<Vec<u8>> {
        let read = |at| {
            let mut text = Vec::new();
            ForeignSource::open(files, at).unwrap().read_to_end(&mut text).unwrap();
            text
        };
        (0..files.files().len()).map(read).collect()
    }

    #[test]
    fn packed_files_are_known_by_their_first_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dump.sql");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(TEXT).unwrap();
        let gzip = gzip.finish().unwrap();
        let zstd = zstd::stream::encode_all(TEXT, 1).unwrap();
        for bytes in [TEXT.to_vec(), gzip.clone(), zstd.clone(), [zstd.clone(), zstd].concat()] {
            fs::write(&path, &bytes).unwrap();
            let files = DumpFiles::open(&path, None).unwrap();
            assert_eq!(read(&files)[0].get(..TEXT.len()).unwrap(), TEXT);
        }
        fs::write(&path, &gzip[..gzip.len() - 3]).unwrap();
        let files = DumpFiles::open(&path, None).unwrap();
        let mut text = Vec::new();
        assert!(ForeignSource::open(&files, 0).unwrap().read_to_end(&mut text).is_err());
        fs::write(&path, b"BZh91AY").unwrap();
        assert!(DumpFiles::open(&path, None).unwrap_err().to_string().contains("bzip2"));
    }

    #[test]
    fn a_folder_is_read_in_an_order_that_works() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "shop.a-schema.sql",
            "shop.a.sql",
            "shop-schema-create.sql",
            "shop.v-schema-view.sql",
            "shop.a-schema-triggers.sql",
            "shop-schema-post.sql",
            "metadata",
            "notes.txt",
        ] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let files = DumpFiles::open(folder.path(), None).unwrap();
        assert_eq!(
            files.files(),
            [
                "shop-schema-create.sql",
                "shop.a-schema.sql",
                "shop.a.sql",
                "shop.a-schema-triggers.sql",
                "shop-schema-post.sql",
                "shop.v-schema-view.sql",
            ]
        );
        fs::write(folder.path().join("other-schema-create.sql"), "").unwrap();
        assert!(DumpFiles::open(folder.path(), None).is_err());
        assert_eq!(DumpFiles::open(folder.path(), Some("other")).unwrap().files().len(), 1);
        fs::write(folder.path().join("metadata"), "Started dump at: 2026\n").unwrap();
        assert!(DumpFiles::open(folder.path(), Some("shop")).is_err());
    }
}
