//! The floor of processor time: reading, compressing and the hashes that the format asks for, with the crates that Backstock
//! uses, and nothing else; or that and the writing, without the archive and the index around it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;

use backstock_archive::ArtifactOptions;
use backstock_archive::artifact::{ArtifactWriter, BLOCK_SIZE_BYTES, STORED_FRAME_LIMIT_BYTES, Storing};
use backstock_host::Host;
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

/// What becomes of a full buffer, which is empty afterwards.
trait FrameTaker {
    fn compress(&mut self, plain: &mut Vec<u8>) -> io::Result<()>;

    fn store(&mut self, content: &mut Vec<u8>) -> io::Result<()>;

    /// Ends, and tells how many bytes a backup would have stored.
    fn finish(self) -> io::Result<u64>;
}

/// Compresses and hashes on this thread, and writes nothing.
struct Alone {
    compressor: Compressor<'static>,
    hashes: StoredHashes,
    frame: Vec<u8>,
    stored_bytes: u64,
}

impl FrameTaker for Alone {
    fn compress(&mut self, plain: &mut Vec<u8>) -> io::Result<()> {
        self.frame.clear();
        self.frame.reserve(zstd::zstd_safe::compress_bound(plain.len()));
        self.compressor.compress_to_buffer(&plain[..], &mut self.frame)?;
        self.hashes.frame(&self.frame);
        self.stored_bytes += self.frame.len() as u64;
        plain.clear();
        Ok(())
    }

    fn store(&mut self, content: &mut Vec<u8>) -> io::Result<()> {
        self.hashes.frame(content);
        self.stored_bytes += content.len() as u64;
        content.clear();
        Ok(())
    }

    fn finish(self) -> io::Result<u64> {
        // So that nothing of it can be left out by the compiler.
        if self.hashes.finish() { Ok(self.stored_bytes) } else { Err(io::ErrorKind::InvalidData.into()) }
    }
}

/// Gives the frames to what a backup writes them with: what is left out then is the archive around the content.
struct Written(ArtifactWriter);

impl FrameTaker for Written {
    fn compress(&mut self, plain: &mut Vec<u8>) -> io::Result<()> {
        let full = std::mem::replace(plain, self.0.buffer());
        self.0.frame(full, Storing::Compress).map(|_| ()).map_err(io::Error::other)
    }

    fn store(&mut self, content: &mut Vec<u8>) -> io::Result<()> {
        let full = std::mem::replace(content, self.0.stored_buffer());
        self.0.frame(full, Storing::Store).map(|_| ()).map_err(io::Error::other)
    }

    fn finish(self) -> io::Result<u64> {
        self.0.finish().map(|artifact| artifact.stored_bytes).map_err(io::Error::other)
    }
}

/// Files on their way into frames: what is to be compressed, and what is stored as it is.
struct Frames<T> {
    taker: T,
    plain: Vec<u8>,
    stored: Vec<u8>,
    read_bytes: u64,
    mixed: u8,
}

impl<T: FrameTaker> Frames<T> {
    /// BLAKE3 for the file, the others for what would be written.
    fn file(&mut self, path: &Path) -> io::Result<()> {
        let is_stored = path.extension().is_some_and(|ending| STORED.iter().any(|known| ending == *known));
        let mut file = File::open(path)?;
        let mut content = blake3::Hasher::new();
        loop {
            let (buffer, limit) = match is_stored {
                true => (&mut self.stored, STORED_FRAME_LIMIT_BYTES),
                false => (&mut self.plain, FRAME_BYTES),
            };
            let start = buffer.len();
            let read = (&mut file).take((limit - start) as u64).read_to_end(buffer)?;
            if read == 0 {
                self.mixed ^= content.finalize().as_bytes()[0];
                return Ok(());
            }
            self.read_bytes += read as u64;
            content.update(&buffer[start..]);
            match buffer.len() < limit {
                true => {}
                false if is_stored => self.taker.store(&mut self.stored)?,
                false => self.taker.compress(&mut self.plain)?,
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

    fn all(mut self, paths: &[PathBuf]) -> io::Result<Work> {
        for path in paths {
            self.tree(path)?;
        }
        if !self.plain.is_empty() {
            self.taker.compress(&mut self.plain)?;
        }
        if !self.stored.is_empty() {
            self.taker.store(&mut self.stored)?;
        }
        std::hint::black_box(self.mixed);
        Ok(Work { read_bytes: self.read_bytes, stored_bytes: self.taker.finish()? })
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
    let hashes = StoredHashes::new();
    let taker = Alone { compressor: compressor()?, hashes, frame: Vec::new(), stored_bytes: 0 };
    let (plain, stored) = (Vec::with_capacity(FRAME_BYTES), Vec::with_capacity(STORED_FRAME_LIMIT_BYTES));
    Frames { taker, plain, stored, read_bytes: 0, mixed: 0 }.all(paths)
}

/// The same, and writes the frames into an artifact below this folder, durably.
///
/// # Errors
/// When a file cannot be read, or the artifact not be written.
pub(crate) fn read_compress_hash_write(paths: &[PathBuf], folder: &Path) -> io::Result<Work> {
    let options = ArtifactOptions::of(Codec::Zstd, thread::available_parallelism()?.get());
    let writer = ArtifactWriter::create(&Host::real(), folder, "probe.zst", &options);
    let writer = writer.map_err(io::Error::other)?;
    let (plain, stored) = (writer.buffer(), writer.stored_buffer());
    Frames { taker: Written(writer), plain, stored, read_bytes: 0, mixed: 0 }.all(paths)
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
        let out = tempfile::tempdir().unwrap();
        let written = read_compress_hash_write(&[folder.path().to_owned()], out.path()).unwrap();
        assert_eq!(written.read_bytes, work.read_bytes);
        assert_eq!(fs::metadata(out.path().join("probe.zst")).unwrap().len(), written.stored_bytes);
    }
}
