//! What may be typed to decide which backups stay.

use std::ffi::OsString;

use clap::Args;

/// `prune`.
#[derive(Debug, Args)]
pub(crate) struct PruneArguments {
    /// Only this shop (folder, name, set or id)
    pub(crate) shop: Option<OsString>,
    /// Confirm the policy, and whatever would be asked
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Delete what is marked at once, without its grace
    #[arg(long)]
    pub(crate) now: bool,
    /// Show every backup with its verdict, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Delete at this storage what its writer has let go and may not delete there, on whatever machine that was decided
    #[arg(long, value_name = "STORAGE", conflicts_with_all = ["shop", "now"])]
    pub(crate) finish: Option<String>,
    /// With --finish: a setting of the storage in the place of the one that is kept, such as the id of a key (may be repeated)
    #[arg(long = "set", value_name = "NAME=VALUE", requires = "finish")]
    pub(crate) settings: Vec<String>,
    /// With --finish: file that holds a secret of the storage, used this once in the place of the one that is kept (may be repeated)
    #[arg(long = "secret-file", value_name = "NAME=FILE", requires = "finish")]
    pub(crate) secret_files: Vec<String>,
}

/// `delete`.
#[derive(Debug, Args)]
pub(crate) struct DeleteArguments {
    /// A backup's id, the end or beginning of it
    pub(crate) id: String,
    /// Of which shop, where it could be several
    #[arg(long)]
    pub(crate) shop: Option<OsString>,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Delete it at once, without the grace
    #[arg(long)]
    pub(crate) now: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `pin`.
#[derive(Debug, Args)]
pub(crate) struct PinArguments {
    /// A backup's id, the end or beginning of it, or "latest"
    pub(crate) id: String,
    /// Of which shop, where "latest" could mean several
    #[arg(long)]
    pub(crate) shop: Option<OsString>,
    /// Why it is kept
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) note: String,
}

/// `unpin`.
#[derive(Debug, Args)]
pub(crate) struct UnpinArguments {
    /// A backup's id, the end or beginning of it
    pub(crate) id: String,
    /// Of which shop, where it could be several
    #[arg(long)]
    pub(crate) shop: Option<OsString>,
}

/// `confirm`.
#[derive(Debug, Args)]
pub(crate) struct ConfirmArguments {
    /// A backup's id, the end or beginning of it, or "latest"
    pub(crate) id: String,
    /// Of which shop, where "latest" could mean several
    #[arg(long)]
    pub(crate) shop: Option<OsString>,
    /// Confirm that it is not suspect, and accept none of its exceptions
    #[arg(long)]
    pub(crate) only_suspicion: bool,
    /// Accept this exception alone, as `show` names it (may be repeated)
    #[arg(long, value_name = "NAME")]
    pub(crate) exception: Vec<String>,
    /// Every suspect backup of the set before it too
    #[arg(long)]
    pub(crate) earlier: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Show what there is to be confirmed, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
