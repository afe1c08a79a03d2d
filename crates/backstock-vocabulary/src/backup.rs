//! Words about a backup: its level, reason, content, artifacts and codec.

use crate::word::words;

words! {
    /// How much of the files a backup holds by itself. The database is always complete.
    pub enum Level {
        /// Everything.
        Full = "full",
        /// Files changed since the last full backup.
        Differential = "differential",
        /// Files changed since the last backup.
        Incremental = "incremental",
    }

    /// Why a backup was made.
    pub enum Reason {
        /// A person asked for it.
        Manual = "manual",
        /// Its set's schedule asked for it.
        Scheduled = "scheduled",
        /// The safety snapshot before a restore.
        PreRestore = "pre-restore",
        /// The safety snapshot before an upgrade of the shop.
        PreUpgrade = "pre-upgrade",
        /// It was made of a dump by others, not of the shop.
        Imported = "imported",
    }

    /// What a backup is worth.
    pub enum Content {
        /// Everything that was asked for is in it.
        Whole = "whole",
        /// Everything but named things.
        WholeExcept = "whole-except",
        /// Implausibly much is gone or rewritten against the backup before.
        Suspect = "suspect",
        /// It must not be restored.
        Unusable = "unusable",
    }

    /// What to take or bring back.
    pub enum Scope {
        /// Database and files.
        Everything = "everything",
        /// The database alone.
        Database = "database",
        /// The files alone.
        Files = "files",
    }

    /// How an artifact is compressed.
    pub enum Codec {
        /// Zstandard frames (RFC 8878): `db.sql.zst`, `files.tar.zst`.
        Zstd = "zstd",
        /// Gzip members (RFC 1952): `db.sql.gz`, `files.tgz`.
        Gzip = "gzip",
    }

    /// One of the files that a backup consists of.
    pub enum ArtifactKind {
        /// The SQL text of the database.
        Database = "database",
        /// The index of the database artifact.
        DatabaseIndex = "database-index",
        /// The tar archive of the files.
        Files = "files",
        /// The index of the files artifact.
        FilesIndex = "files-index",
    }
}

impl Scope {
    /// Whether the database belongs to it.
    pub fn has_database(self) -> bool {
        self != Self::Files
    }

    /// Whether the files belong to it.
    pub fn has_files(self) -> bool {
        self != Self::Database
    }
}
