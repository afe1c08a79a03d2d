//! What may be typed to check backups.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ReplicaArgument, ScratchArguments};

/// How deep to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LevelArgument {
    /// Every part is there with its size
    Present,
    /// Every part is read and hashed
    Bytes,
    /// Every frame, tar entry and SQL statement is decoded and compared with the index
    Decoded,
    /// Restored into a scratch place and compared
    Drilled,
}

/// `verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// A backup's id, the end or beginning of it, or "latest"; with --due a shop (folder, name, set or id)
    pub(crate) id: Option<OsString>,
    /// Of which shop, where "latest" could mean several
    #[arg(long)]
    pub(crate) shop: Option<OsString>,
    /// Where to read it.
    #[command(flatten)]
    pub(crate) at: ReplicaArgument,
    /// How deep to check
    #[arg(long, default_value = "decoded")]
    pub(crate) level: LevelArgument,
    /// Check what is due by the schedule of the configuration (its table `verify`), of all shops or of one; for a scheduler
    #[arg(long, conflicts_with_all = ["level", "shop", "replica"])]
    pub(crate) due: bool,
    /// Mend what is damaged of it, block by block, from its other replicas and the folders that are given
    #[arg(long, conflicts_with_all = ["level", "due", "replica"])]
    pub(crate) repair: bool,
    /// Another copy of the folder of backups, of the set's folder or of the backup's own: where good blocks are (may be repeated)
    #[arg(long, value_name = "FOLDER", requires = "repair")]
    pub(crate) from: Vec<PathBuf>,
    /// With --level drilled: the scratch place.
    #[command(flatten, next_help_heading = "With --level drilled")]
    pub(crate) place: ScratchArguments,
    /// With --due or --repair: say what would be done and why, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
