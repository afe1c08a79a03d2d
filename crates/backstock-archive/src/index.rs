//! Indexes: sorted JSON lines in compressed pages, with a page directory at the end.
//!
//! `zstd -dc index.zst` shows all of it, one JSON object a line: the header, the entries in the order of their keys, the
//! frame table of the artifact, the summary, and the directory. Behind that, in a skippable frame that tools pass
//! over (RFC 8878 section 3.1.2), a trailer says where the directory begins. What an entry holds is up to its writer.
//!
//! The directory has the hash of every page, the trailer that of the directory, and the signed manifest that of the
//! directory again: one entry is found and believed by reading three small regions.

mod directory;
mod key;
mod line;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub use key::{compare_keys, is_at_or_below};
pub use reader::{IndexEntry, IndexReader};
pub use writer::{IndexOptions, IndexWriter};

/// File name of every index, beside its artifact.
pub const INDEX_NAME: &str = "index.zst";
/// The major version of the index's form.
pub const INDEX_MAJOR: u32 = 1;
/// What an index names as critical when its entries lie in the archives of several backups: whoever does not know it would
/// read other files in their place.
pub const CRITICAL_HELD_BY: &str = "held_by";
/// The critical names that this program knows.
const KNOWN_CRITICAL: &[&str] = &[CRITICAL_HELD_BY];
/// How long a page's text should be, in bytes.
pub const PAGE_SIZE_BYTES: usize = 64 << 10;
/// How long a page's text may be, in bytes: one very long line makes one very long page.
pub const PAGE_LIMIT_BYTES: usize = 64 << 20;
/// How long the directory's text may be, in bytes: enough for 100 million entries.
pub const DIRECTORY_LIMIT_BYTES: usize = 256 << 20;
