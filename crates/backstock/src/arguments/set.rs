//! What may be typed behind `backstock set` and `backstock replicate`.

use std::ffi::OsString;
use std::str::FromStr;

use backstock_operations::{ByteRate, Hours};
use clap::{Args, Subcommand};

/// `set …`.
#[derive(Debug, Subcommand)]
pub(crate) enum SetCommand {
    /// List the sets of every shop, with where their backups go
    List,
    /// Show where the backups of a shop go
    Show(ShownSetArguments),
    /// Keep the backups of a shop on this machine, or only at its destinations
    Local(LocalArguments),
    /// Look after where the backups of a shop go
    #[command(subcommand)]
    Destination(DestinationCommand),
}

/// `set show`.
#[derive(Debug, Args)]
pub(crate) struct ShownSetArguments {
    /// The shop: its folder, its name, or the name of a set in the configuration file
    pub(crate) shop: OsString,
}

/// `set local`.
#[derive(Debug, Args)]
pub(crate) struct LocalArguments {
    /// The shop: its folder, its name, or the name of a set in the configuration file
    pub(crate) shop: OsString,
    /// Keep them on this machine, besides the destinations
    #[arg(long, required_unless_present = "off", conflicts_with = "off")]
    pub(crate) on: bool,
    /// Only pass them through the state folder; what lies here stays
    #[arg(long)]
    pub(crate) off: bool,
}

/// `set destination …`.
#[derive(Debug, Subcommand)]
pub(crate) enum DestinationCommand {
    /// Send the backups of a shop to one more storage from now on
    Add(AddDestinationArguments),
    /// Change what is said of a destination
    Change(ChangeDestinationArguments),
    /// Send nothing there any more; what lies there stays
    Remove(RemoveDestinationArguments),
}

/// `set destination add`.
#[derive(Debug, Args)]
pub(crate) struct AddDestinationArguments {
    /// The shop: its folder, its name, or the name of a set in the configuration file
    pub(crate) shop: OsString,
    /// The title of the storage (see `backstock storage list`)
    pub(crate) storage: String,
    /// The folder in that storage below which the shop gets its own
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) path: String,
    /// How many backups to keep there [default: what the policy of the set says]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) copies: Option<u32>,
    /// The most that may go there in a second, as in `5 MB` [default: as fast as can be]
    #[arg(long, value_name = "SIZE")]
    pub(crate) limit: Option<ByteRate>,
    /// The hours in which it may be sent to, as in `22:00-06:00` [default: all]
    #[arg(long, value_name = "HOURS")]
    pub(crate) hours: Option<Hours>,
}

/// `set destination change`.
#[derive(Debug, Args)]
pub(crate) struct ChangeDestinationArguments {
    /// The shop: its folder, its name, or the name of a set in the configuration file
    pub(crate) shop: OsString,
    /// The title of the storage
    pub(crate) storage: String,
    /// How many backups to keep there, or `none`: what the policy of the set says
    #[arg(long, value_name = "NUMBER")]
    pub(crate) copies: Option<OrNone<u32>>,
    /// The most that may go there in a second, or `none`
    #[arg(long, value_name = "SIZE")]
    pub(crate) limit: Option<OrNone<ByteRate>>,
    /// The hours in which it may be sent to, or `none`: all
    #[arg(long, value_name = "HOURS")]
    pub(crate) hours: Option<OrNone<Hours>>,
    /// Send new backups there again
    #[arg(long, conflicts_with = "off")]
    pub(crate) on: bool,
    /// Send nothing there until it is switched on again
    #[arg(long)]
    pub(crate) off: bool,
}

/// `set destination remove`.
#[derive(Debug, Args)]
pub(crate) struct RemoveDestinationArguments {
    /// The shop: its folder, its name, or the name of a set in the configuration file
    pub(crate) shop: OsString,
    /// The title of the storage
    pub(crate) storage: String,
}

/// `replicate`.
#[derive(Debug, Args)]
pub(crate) struct ReplicateArguments {
    /// The shop: its folder, its name, or the name of a set in the configuration file [default: all]
    pub(crate) shop: Option<OsString>,
    /// Become the writer of folders that another instance wrote to
    #[arg(long, requires = "shop")]
    pub(crate) take_over: bool,
}

/// A value, or the word `none`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OrNone<T>(pub(crate) Option<T>);

impl<T: FromStr> FromStr for OrNone<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text == "none" { Ok(Self(None)) } else { text.parse().map(|value| Self(Some(value))) }
    }
}
