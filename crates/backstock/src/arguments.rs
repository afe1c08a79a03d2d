//! What may be typed: every command, flag and argument.

mod drill;
mod key;
mod notifier;
mod retention;
mod serve;
mod set;
mod storage;
mod verify;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use backstock_operations::{PartSize, ShopOverrides};
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use drill::{DrillArguments, ScratchArguments};
pub(crate) use key::{
    ChangeKeyArguments, ExportKeyArguments, KeyCommand, KitArguments, NamedKeyArguments, NewKeyArguments,
    SuiteArgument,
};
pub(crate) use notifier::{NotifierCommand, TestNotifierArguments};
pub(crate) use retention::{ConfirmArguments, DeleteArguments, PinArguments, PruneArguments, UnpinArguments};
pub(crate) use serve::ServeArguments;
pub(crate) use set::{
    AddDestinationArguments, ChangeDestinationArguments, DestinationCommand, LocalArguments,
    RemoveDestinationArguments, ReplicateArguments, SetCommand, ShownSetArguments,
};
pub(crate) use storage::{
    AddStorageArguments, GivenSecretsArguments, KindsArguments, LinkArguments, LinkStorageArguments,
    RecoverArguments, RemoveStorageArguments, StorageCommand, TestStorageArguments, halves, secret_file,
};
pub(crate) use verify::{LevelArgument, VerifyArguments};

/// Backup and restore for online shops.
#[derive(Debug, Parser)]
#[command(name = "backstock", version, max_term_width = 110)]
pub(crate) struct Arguments {
    /// Flags that every command takes.
    #[command(flatten)]
    pub(crate) common: CommonArguments,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Args)]
pub(crate) struct CommonArguments {
    /// Where Backstock keeps its catalog, key, journals and spool
    #[arg(long, global = true, env = "BACKSTOCK_STATE", value_name = "FOLDER")]
    pub(crate) state: Option<PathBuf>,
    /// The configuration file [default: /etc/backstock/backstock.toml or ~/.config/backstock/backstock.toml]
    #[arg(long, global = true, env = "BACKSTOCK_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What this machine is known by, where /etc/machine-id does not stay: in containers
    #[arg(long, global = true, env = "BACKSTOCK_MACHINE_ID", value_name = "ID")]
    pub(crate) machine_id: Option<String>,
    /// File that holds the passphrase of a sealed backup and nothing else (or set BACKSTOCK_PASSPHRASE)
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// File that holds the private half of an identity
    #[arg(long, global = true, env = "BACKSTOCK_IDENTITY_FILE", value_name = "FILE")]
    pub(crate) identity_file: Option<PathBuf>,
    /// Print one JSON document on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say nothing but warnings and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Recognise the shop in a folder and print what was found
    Detect(DetectArguments),
    /// Back a shop up: database and files
    Backup(BackupArguments),
    /// List backups
    List(ListArguments),
    /// Show one backup
    Show(ShowArguments),
    /// Say what differs between two backups, or between one and the live shop
    Diff(DiffArguments),
    /// Read a backup back and check it, or those that are due
    Verify(VerifyArguments),
    /// Restore a backup into a scratch place, compare everything, and remove it again
    Drill(DrillArguments),
    /// Write a backup as plain files for stock tools, opened where it is sealed
    Open(OpenArguments),
    /// Bring a shop, some tables or some files back
    Restore(RestoreArguments),
    /// Take the last restore back, exactly
    Undo(UndoArguments),
    /// Show what the policy keeps, and delete the rest
    Prune(PruneArguments),
    /// Delete one backup
    Delete(DeleteArguments),
    /// Keep a backup, whatever the policy says
    Pin(PinArguments),
    /// Let a pinned backup go again
    Unpin(UnpinArguments),
    /// Say that a suspect backup is as it should be, or accept what a backup lacks
    Confirm(ConfirmArguments),
    /// Make and look after the keys that backups are sealed for
    #[command(subcommand)]
    Key(KeyCommand),
    /// Look after the places where backups are kept
    #[command(subcommand)]
    Storage(StorageCommand),
    /// Look after where the backups of each shop go
    #[command(subcommand)]
    Set(SetCommand),
    /// Bring backups to the destinations that lack them
    Replicate(ReplicateArguments),
    /// Find what a storage holds, on a machine that knows nothing: then list it and restore
    Recover(RecoverArguments),
    /// Tell people of what goes wrong
    #[command(subcommand)]
    Notifier(NotifierCommand),
    /// Run as a daemon: answer browsers, and try the links with accounts each day
    Serve(ServeArguments),
    /// Look after the catalog
    #[command(subcommand)]
    Catalog(CatalogCommand),
}

/// What a person gives by hand, where the shop's own files do not tell it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where the shop's files do not tell")]
pub(crate) struct ShopArguments {
    /// Host name or address of the database server
    #[arg(long, value_name = "HOST")]
    pub(crate) database_host: Option<String>,
    /// TCP port of the database server
    #[arg(long, value_name = "PORT")]
    pub(crate) database_port: Option<u16>,
    /// Unix socket of the database server
    #[arg(long, value_name = "PATH")]
    pub(crate) database_socket: Option<PathBuf>,
    /// Name of the database
    #[arg(long, value_name = "NAME")]
    pub(crate) database_name: Option<String>,
    /// User to log in as
    #[arg(long, value_name = "USER")]
    pub(crate) database_user: Option<String>,
    /// File that holds the password and nothing else (or set BACKSTOCK_DATABASE_PASSWORD)
    #[arg(long, value_name = "FILE")]
    pub(crate) database_password_file: Option<PathBuf>,
    /// What every table name of the shop begins with
    #[arg(long, value_name = "PREFIX")]
    pub(crate) table_prefix: Option<String>,
    /// A folder of the shop outside its own, under a short name that stays (may be repeated)
    #[arg(long, value_name = "NAME=FOLDER", value_parser = OsStringValueParser::new().try_map(|given| outside_folder(&given)))]
    pub(crate) outside_folder: Vec<(String, PathBuf)>,
}

/// Reads `storage=/srv/shop-storage`.
fn outside_folder(given: &OsStr) -> Result<(String, PathBuf), String> {
    let mut pieces = given.as_bytes().splitn(2, |byte| *byte == b'=');
    let (Some(name), Some(folder)) = (pieces.next(), pieces.next()) else {
        return Err("a name and a folder with = between them are expected".to_owned());
    };
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !(1..=40).contains(&name.len()) || !name.iter().all(is_plain) {
        return Err("the name may have letters, digits, - and _".to_owned());
    }
    let folder = Path::new(OsStr::from_bytes(folder));
    let real = std::fs::canonicalize(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok((String::from_utf8_lossy(name).into_owned(), real))
}

impl ShopArguments {
    /// As the operations take them. The password never stands in an argument.
    pub(crate) fn overrides(&self) -> ShopOverrides {
        ShopOverrides {
            host: self.database_host.clone(),
            port: self.database_port,
            socket: self.database_socket.clone(),
            name: self.database_name.clone(),
            user: self.database_user.clone(),
            password_file: self.database_password_file.clone(),
            password: std::env::var("BACKSTOCK_DATABASE_PASSWORD").ok(),
            table_prefix: self.table_prefix.clone(),
            outside_folders: self.outside_folder.clone(),
        }
    }
}

/// Database or files alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Only {
    /// The database alone
    Database,
    /// The files alone
    Files,
}

/// How artifacts are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CodecArgument {
    /// db.sql.zst and files.tar.zst
    Zstd,
    /// db.sql.gz and files.tgz
    Gzip,
}

/// How much of the files a backup takes. The database is always complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BackupLevel {
    /// Everything
    Full,
    /// What changed since the last full backup
    Differential,
    /// What changed since the last backup
    Incremental,
    /// What the set's plan says; without one a full backup a week and incremental ones between
    Auto,
}

/// `detect`.
#[derive(Debug, Args)]
pub(crate) struct DetectArguments {
    /// The shop's folder
    pub(crate) folder: PathBuf,
}

/// `backup`.
#[derive(Debug, Args)]
pub(crate) struct BackupArguments {
    /// The shop's folder, or the name of a known shop or set. May be left out when --database-name is given
    pub(crate) shop: Option<OsString>,
    /// Take the database or the files alone
    #[arg(long)]
    pub(crate) only: Option<Only>,
    /// Leave a path or glob out (may be repeated)
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude: Vec<String>,
    /// Leave the contents of a table out, keep its structure (name or glob)
    #[arg(long, value_name = "TABLE")]
    pub(crate) exclude_table: Vec<String>,
    /// Leave a table out entirely (name or glob)
    #[arg(long, value_name = "TABLE")]
    pub(crate) exclude_table_entirely: Vec<String>,
    /// Take only this table (name or glob, may be repeated)
    #[arg(long, value_name = "TABLE")]
    pub(crate) table: Vec<String>,
    /// Take what the platform's own list would leave out (caches, sessions …) too
    #[arg(long)]
    pub(crate) no_default_exclusions: bool,
    /// The folder in which backups are kept
    #[arg(long, value_name = "FOLDER", env = "BACKSTOCK_BACKUPS")]
    pub(crate) to: Option<PathBuf>,
    /// How much of the files: all, or what changed since the last full backup, or since the last backup [default: what the set's
    /// plan says, else full]
    #[arg(long)]
    pub(crate) level: Option<BackupLevel>,
    /// How to compress
    #[arg(long, default_value = "zstd")]
    pub(crate) codec: CodecArgument,
    /// How long a part may become, as in 64MiB; at least 1MiB [default: what the configuration says, else 4GB]
    #[arg(long, value_name = "SIZE")]
    pub(crate) part_size: Option<PartSize>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Become the one who writes to a folder that another machine or copy wrote to
    #[arg(long)]
    pub(crate) take_over: bool,
    /// Let no older backup go afterwards, whatever the policy says
    #[arg(long)]
    pub(crate) no_prune: bool,
    /// Restore the new backup into a scratch place afterwards, and compare it: needs the programs of a database server, and room
    #[arg(long)]
    pub(crate) drill: bool,
    /// Do not seal this backup, although there is an identity to seal it for
    #[arg(long)]
    pub(crate) unsealed: bool,
    /// What the shop's files do not tell.
    #[command(flatten)]
    pub(crate) by_hand: ShopArguments,
}

/// `list`.
#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// Only this shop (folder, name or id)
    pub(crate) shop: Option<OsString>,
}

/// `show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArguments {
    /// A backup's id, the end or beginning of it, or "latest"
    pub(crate) id: String,
    /// Of which shop, where "latest" could mean several
    #[arg(long)]
    pub(crate) shop: Option<OsString>,
    /// Where to read it.
    #[command(flatten)]
    pub(crate) at: ReplicaArgument,
    /// Name every table and file
    #[arg(long)]
    pub(crate) contents: bool,
}

/// `diff`.
#[derive(Debug, Args)]
pub(crate) struct DiffArguments {
    /// The earlier backup's id, the end or beginning of it, or "latest"
    pub(crate) before: String,
    /// The later backup's, or "live" for the shop as it is now
    #[arg(default_value = "live")]
    pub(crate) after: String,
    /// Of which shop, where "latest" could mean several
    #[arg(long)]
    pub(crate) shop: Option<OsString>,
    /// Where to read it.
    #[command(flatten)]
    pub(crate) at: ReplicaArgument,
    /// Name every difference, one a line, in the order of the paths
    #[arg(long)]
    pub(crate) all: bool,
    /// Write all of it into this new file too, as one page to be read in a browser or printed
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// What the shop's files do not tell.
    #[command(flatten)]
    pub(crate) by_hand: ShopArguments,
}

/// Which replica of a backup is read.
#[derive(Debug, Args)]
pub(crate) struct ReplicaArgument {
    /// Read it at this storage alone, by its title; else at the best place that can be reached
    #[arg(long, value_name = "STORAGE")]
    pub(crate) replica: Option<String>,
}

/// `open`.
#[derive(Debug, Args)]
pub(crate) struct OpenArguments {
    /// A backup's id, the end or beginning of it, or "latest"
    pub(crate) id: String,
    /// The new or empty folder to write into
    #[arg(long, value_name = "FOLDER")]
    pub(crate) to: PathBuf,
    /// Of which shop, where "latest" could mean several
    #[arg(long)]
    pub(crate) shop: Option<OsString>,
    /// Where to read it.
    #[command(flatten)]
    pub(crate) at: ReplicaArgument,
}

/// `restore`.
#[derive(Debug, Args)]
pub(crate) struct RestoreArguments {
    /// A backup's id, the end or beginning of it, or "latest"; with --dump the shop's folder or name
    #[arg(required_unless_present_any = ["resume", "accept", "dump"])]
    pub(crate) id: Option<OsString>,
    /// Where to read it.
    #[command(flatten)]
    pub(crate) at: ReplicaArgument,
    /// Bring a dump in that another program made: a file (.sql, packed with gzip, zstd or zip) or a folder
    #[arg(long, value_name = "FILE", conflicts_with_all = ["resume", "accept", "file", "to", "setuid"])]
    pub(crate) dump: Option<PathBuf>,
    /// Of a dump of several databases, the one to take
    #[arg(long, value_name = "NAME", requires = "dump")]
    pub(crate) dump_database: Option<String>,
    /// The dump came from somebody else: refuse whatever a shop's dump does not need, and leave code out
    #[arg(long, requires = "dump")]
    pub(crate) untrusted: bool,
    /// With --dump: the folder in which backups are kept
    #[arg(long, value_name = "FOLDER", env = "BACKSTOCK_BACKUPS")]
    pub(crate) backups: Option<PathBuf>,
    /// Of which shop, where it could be several
    #[arg(long)]
    pub(crate) shop: Option<OsString>,
    /// Bring back the database or the files alone
    #[arg(long)]
    pub(crate) only: Option<Only>,
    /// Bring back this table (name or glob, may be repeated)
    #[arg(long, value_name = "TABLE")]
    pub(crate) table: Vec<String>,
    /// Bring back this file (path or glob, may be repeated)
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Vec<String>,
    /// Take this one difference back, by its name in `backstock diff <id> live` (may be repeated)
    #[arg(long, value_name = "ITEM", conflicts_with_all = ["resume", "accept", "dump", "only", "table", "file", "to", "other_database", "exact"])]
    pub(crate) from_diff: Vec<String>,
    /// Write the files into this new or empty folder; the shop is not touched
    #[arg(long, value_name = "FOLDER")]
    pub(crate) to: Option<PathBuf>,
    /// Load the tables into this other database
    #[arg(long = "database", value_name = "NAME")]
    pub(crate) other_database: Option<String>,
    /// Move tables and files that the backup lacks out of the way too
    #[arg(long)]
    pub(crate) exact: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Go on although the shop cannot be put into maintenance mode: nobody must order while it runs
    #[arg(long)]
    pub(crate) without_maintenance: bool,
    /// Take no safety snapshot first: what is replaced can then be had back by undo alone
    #[arg(long)]
    pub(crate) without_snapshot: bool,
    /// Give tables without a primary key an invisible one, where the server demands one of every table
    #[arg(long)]
    pub(crate) add_keys: bool,
    /// Give files their setuid and setgid bits back
    #[arg(long)]
    pub(crate) setuid: bool,
    /// Show the plan, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Finish a restore that was interrupted
    #[arg(long, conflicts_with_all = ["accept", "id"])]
    pub(crate) resume: bool,
    /// Keep the restored shop for good: the old side goes, undo is no longer possible
    #[arg(long, conflicts_with = "id")]
    pub(crate) accept: bool,
    /// What the shop's files do not tell.
    #[command(flatten)]
    pub(crate) by_hand: ShopArguments,
}

/// `undo`.
#[derive(Debug, Args)]
pub(crate) struct UndoArguments {
    /// Of which shop, where it could be several
    pub(crate) shop: Option<OsString>,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// First write what changed since the restore into this new folder
    #[arg(long, value_name = "FOLDER")]
    pub(crate) export: Option<PathBuf>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `catalog …`.
#[derive(Debug, Subcommand)]
pub(crate) enum CatalogCommand {
    /// Make the catalog anew from a folder of backups
    Rebuild(RebuildArguments),
}

/// `catalog rebuild`.
#[derive(Debug, Args)]
pub(crate) struct RebuildArguments {
    /// The folder in which backups are kept
    pub(crate) folder: PathBuf,
    /// The fingerprint of the identity that vouches for who signed the backups, as the recovery kit shows it
    #[arg(long, value_name = "64 DIGITS")]
    pub(crate) fingerprint: Option<String>,
}
