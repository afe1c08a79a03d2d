//! The floor of processor time: reading, compressing and the hashes that the format asks for, with the crates that Backstock
//! uses, and nothing else.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use backstock_archive::ArtifactOptions;
use backstock_archive::artifact::BLOCK_SIZE_BYTES;
use backstock_vocabulary::Codec;
use ring::digest::{Context, SHA256};
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

/// As large as a frame of a backup.
const FRAME_BYTES: usize = 4 << 20;
/// What a backup stores as it is, since it is compressed already.
const STORED: [&str; 6] = ["jpg", "png", "webp", "zip", "gz", "woff2"];

/// What was done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Work {
    /// Bytes read.
    pub(crate) read_bytes: u64,
    /// Bytes after compression.
    pub(crate) stored_bytes: u64,
}

/// What the format wants of stored bytes (`docs/format.md`): BLAKE3 of each frame and block, SHA-256 of a part.
struct StoredHashes {
    part: Context,
    block: blake3::Hasher,
    block_bytes: u64,
    mixed: u8,
}

impl StoredHashes {
    fn new() -> Self {
        Self { part: Context::new(&SHA256), block: blake3::Hasher::new(), block_bytes: 0, mixed: 0 }
    }

    fn frame(&mut self, stored: &[u8]) {
        self.mixed ^= blake3::hash(stored).as_bytes()[0];
        self.part.update(stored);
        self.block.update(stored);
        self.block_bytes += stored.len() as u64;
        if self.block_bytes >= BLOCK_SIZE_BYTES {
            self.end_block();
        }
    }

    fn end_block(&mut self) {
        self.mixed ^= self.block.finalize().as_bytes()[0];
        self.block.reset();
        self.block_bytes = 0;
    }

    /// Always true, which no compiler can know.
    fn finish(mut self) -> bool {
        self.end_block();
        u16::from(self.mixed) + u16::from(self.part.finish().as_ref()[0]) < u16::MAX
    }
}

/// Frames on their way: what is to be compressed, and what is stored as it is.
struct Frames {
    compressor: Compressor<'static>,
    hashes: StoredHashes,
    plain: Vec<u8>,
    frame: Vec<u8>,
    work: Work,
}

impl Frames {
    fn compress(&mut self) -> io::Result<()> {
        self.frame.clear();
        self.frame.reserve(zstd::zstd_safe::compress_bound(self.plain.len()));
        self.compressor.compress_to_buffer(&self.plain, &mut self.frame)?;
        self.hashes.frame(&self.frame);
        self.work.stored_bytes += self.frame.len() as u64;
        self.plain.clear();
        Ok(())
    }

    fn store(&mut self, start: usize) {
        self.hashes.frame(&self.plain[start..]);
        self.work.stored_bytes += (self.plain.len() - start) as u64;
        self.plain.truncate(start);
    }

    /// BLAKE3 for the file, the others for what would be written.
    fn file(&mut self, path: &Path) -> io::Result<()> {
        let is_stored = path.extension().is_some_and(|ending| STORED.iter().any(|known| ending == *known));
        let mut file = File::open(path)?;
        let mut content = blake3::Hasher::new();
        loop {
            let start = self.plain.len();
            let room = (FRAME_BYTES - start.min(FRAME_BYTES - 1)) as u64;
            let read = (&mut file).take(room).read_to_end(&mut self.plain)?;
            if read == 0 {
                self.hashes.mixed ^= content.finalize().as_bytes()[0];
                return Ok(());
            }
            self.work.read_bytes += read as u64;
            content.update(&self.plain[start..]);
            if is_stored {
                self.store(start);
            } else if self.plain.len() >= FRAME_BYTES {
                self.compress()?;
            }
        }
    }

    fn tree(&mut self, path: &Path) -> io::Result<()> {
        if fs::symlink_metadata(path)?.is_file() {
            return self.file(path);
        }
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.tree(&entry.path())?;
            } else if kind.is_file() {
                self.file(&entry.path())?;
            }
        }
        Ok(())
    }
}

/// A compressor as a backup has it.
fn compressor() -> io::Result<Compressor<'static>> {
    let options = ArtifactOptions::of(Codec::Zstd, 1);
    let mut compressor = Compressor::new(options.level)?;
    compressor.include_checksum(true)?;
    if let Some(table_log) = options.table_log {
        compressor.set_parameter(CParameter::HashLog(table_log))?;
        compressor.set_parameter(CParameter::WindowLog(FRAME_BYTES.ilog2()))?;
    }
    Ok(compressor)
}

/// Reads all files, compresses them in frames and hashes them, on one thread.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn read_compress_hash(paths: &[PathBuf]) -> io::Result<Work> {
    let mut frames = Frames {
        compressor: compressor()?,
        hashes: StoredHashes::new(),
        plain: Vec::with_capacity(FRAME_BYTES),
        frame: Vec::new(),
        work: Work::default(),
    };
    for path in paths {
        frames.tree(path)?;
    }
    if !frames.plain.is_empty() {
        frames.compress()?;
    }
    // So that nothing of it can be left out by the compiler.
    if frames.hashes.finish() { Ok(frames.work) } else { Err(io::ErrorKind::InvalidData.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_read_and_what_is_compressed_already_is_stored() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("below")).unwrap();
        fs::write(folder.path().join("below/text.php"), b"the same again ".repeat(600_000)).unwrap();
        fs::write(folder.path().join("picture.jpg"), b"the same again ".repeat(400_000)).unwrap();
        let work = read_compress_hash(&[folder.path().to_owned()]).unwrap();
        assert_eq!(work.read_bytes, 15_000_000);
        assert!((6_000_000..6_100_000).contains(&work.stored_bytes), "{work:?}");
    }
}
