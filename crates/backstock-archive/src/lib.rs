//! What is inside a backup: compression frames cut into parts, indexes, the signed manifest, the folder layout.
//!
//! An [`ArtifactWriter`] turns buffers into independent compression frames (parallel workers, one ordered writer) and
//! cuts the file into parts at frame ends; an [`ArtifactReader`] gives back any one frame or the whole text. An
//! [`IndexWriter`] and an [`IndexReader`] do the same for the sorted lines that say what lies where. The
//! [`Manifest`] is written last and signed: a backup exists when its manifest does.
//!
//! The bytes are described in `docs/format.md`, which is enough to read a backup without this crate.

pub mod artifact;
pub mod digest;
mod error;
pub mod index;
#[cfg(test)]
mod kept_backups;
pub mod layout;
pub mod manifest;
pub mod owner;
pub mod read_at;
pub mod seal;
pub mod settings;
pub mod signed;
pub mod tar;
pub mod tombstone;
pub mod tree;

pub use artifact::{
    Artifact, ArtifactOptions, ArtifactReader, ArtifactStream, ArtifactWriter, FrameRoom, FrameTable, Part,
    PartEnded, Storing, Ticket, check_block, check_part, open_parts, read_block,
};
pub use digest::{Digest, Sha256};
pub use error::{Error, Result};
pub use index::{IndexEntry, IndexReader, IndexWriter};
pub use layout::BackupFolder;
pub use manifest::{Manifest, ManifestArtifact, SignedManifest, manifest_hash};
pub use owner::Owner;
pub use read_at::{ReadAt, read_fully};
pub use settings::{ExportedSettings, SettingsName};
pub use tombstone::Tombstone;
