//! Artifacts: one long text as independent compression frames, cut into parts at frame ends.

mod block;
mod block_hashes;
mod encode;
mod frame_room;
mod frame_table;
mod part_hasher;
mod part_writer;
mod parts;
mod passage;
mod queue;
mod reader;
mod store;
mod stream;
mod writer;
mod xxh64;

use backstock_vocabulary::Codec;
use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Sha256};
use crate::seal::ArtifactSeal;

pub use block::{check_block, read_block};
pub use block_hashes::BlockHashes;
pub(crate) use encode::Encoder;
pub use frame_room::FrameRoom;
pub(crate) use frame_table::FrameRow;
pub use frame_table::{Frame, FrameTable};
pub use part_hasher::PartEnded;
pub(crate) use part_writer::PartWriter;
pub use parts::{check_part, open_parts};
pub use reader::{ArtifactReader, decode_frame};
pub use stream::ArtifactStream;
pub use writer::{ArtifactWriter, Ticket};

/// The compression level of zstd unless a set says otherwise, and the entries of the table that finds repeats, as a power of
/// two: with this one, and a window as long as a frame, level 1 is as small as level 3 on rows and on the files of shops, in
/// two thirds of the time. Both are measured (`docs/performance.md`).
pub const ZSTD_LEVEL: i32 = 1;
/// See [`ZSTD_LEVEL`].
pub const ZSTD_TABLE_LOG: u32 = 16;
/// The compression level of gzip unless a set says otherwise.
pub const GZIP_LEVEL: i32 = 6;
/// The level for rows of a database with gzip: the lowest that is at most a tenth larger than gzip's own usual one.
pub const ROWS_GZIP_LEVEL: i32 = 2;
/// The part size in bytes unless a set or a destination says otherwise.
pub const PART_SIZE_BYTES: u64 = 4_000_000_000;
/// How long a frame's plaintext should be, in bytes: measured as the cheapest.
pub const FRAME_SIZE_BYTES: usize = 4 << 20;
/// A frame whose plaintext is longer is not of the usual kind, in bytes: a row of pictures, whose memory is counted and given
/// back apart.
const LARGE_FRAME_BYTES: usize = 2 * FRAME_SIZE_BYTES;
/// How long a stored frame's plaintext may be, in bytes, so that a range read of a stored file fetches little.
pub const STORED_FRAME_LIMIT_BYTES: usize = 1 << 20;
/// How long any frame's plaintext may be, in bytes. Only a single row of a table that is this long needs it.
pub const FRAME_LIMIT_BYTES: u64 = (2 << 30) + (128 << 20);
/// The length of a part's hashed blocks in bytes.
pub const BLOCK_SIZE_BYTES: u64 = 64 << 20;
/// The largest number of parts: names with three digits stand in the order that `cat name.*` takes them.
pub const PART_LIMIT: usize = 999;

/// How an artifact is to be written.
#[derive(Debug, Clone)]
pub struct ArtifactOptions {
    /// How frames are compressed.
    pub codec: Codec,
    /// The codec's level: 1 to 22 for zstd, 1 to 12 for gzip.
    pub level: i32,
    /// Of zstd only: the entries of the table that finds repeats, as a power of two, and with it a window as long as a
    /// usual frame; what the level has unless told.
    pub table_log: Option<u32>,
    /// The length in bytes that a part does not exceed, unless a single frame is longer.
    pub part_size_bytes: u64,
    /// How many threads compress.
    pub workers: usize,
    /// Bytes that must stay free on the disk that is written to.
    pub reserve_bytes: u64,
    /// How its parts are sealed, if they are.
    pub seal: Option<ArtifactSeal>,
    /// Who is told of each part that has ended.
    pub ended: Option<PartEnded>,
}

impl ArtifactOptions {
    /// The usual options of a codec.
    pub fn of(codec: Codec, workers: usize) -> Self {
        let (level, table_log) = match codec {
            Codec::Zstd => (ZSTD_LEVEL, Some(ZSTD_TABLE_LOG)),
            Codec::Gzip => (GZIP_LEVEL, None),
        };
        Self {
            codec,
            level,
            table_log,
            part_size_bytes: PART_SIZE_BYTES,
            workers,
            reserve_bytes: 0,
            seal: None,
            ended: None,
        }
    }

    /// The usual options of a codec for the rows of a database.
    pub fn for_rows(codec: Codec, workers: usize) -> Self {
        let usual = Self::of(codec, workers);
        match codec {
            Codec::Zstd => usual,
            Codec::Gzip => Self { level: ROWS_GZIP_LEVEL, ..usual },
        }
    }
}

/// Whether compressing a frame is worth the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storing {
    /// Compress it.
    Compress,
    /// Put it as it is: its content is compressed already. At most [`STORED_FRAME_LIMIT_BYTES`].
    Store,
}

/// One file of an artifact as it lies at a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// File name; in a manifest with the folder before it.
    pub name: String,
    /// Length in bytes.
    pub size_bytes: u64,
    /// SHA-256 of the whole file.
    pub sha256: Sha256,
    /// The hashes of its blocks.
    #[serde(flatten)]
    pub block_hashes: BlockHashes,
    /// Of an index only: BLAKE3 of its page directory as stored, from which every page is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory_blake3: Option<Digest<32>>,
}

/// An artifact that was written whole and is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// File name of the whole, without a part's number: `db.sql.zst`.
    pub name: String,
    /// How its frames are compressed.
    pub codec: Codec,
    /// Its files in order.
    pub parts: Vec<Part>,
    /// Where each frame lies.
    pub frames: FrameTable,
    /// Length of the text in bytes.
    pub plaintext_bytes: u64,
    /// Length of all parts in bytes.
    pub stored_bytes: u64,
}

#[cfg(test)]
mod tests;
