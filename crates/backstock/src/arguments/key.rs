//! What may be typed behind `backstock key`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `key …`.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make an identity: from now on every backup is sealed for it
    Create(NewKeyArguments),
    /// Go on sealing for an identity that `catalog rebuild` found beside backups, and certify this machine with it
    Adopt(NamedKeyArguments),
    /// List identities
    List,
    /// Show one identity
    Show(NamedKeyArguments),
    /// Make another identity in the place of the present one, for what is backed up from now on
    Rotate(NewKeyArguments),
    /// Give an identity another passphrase (does not help where the old one has leaked)
    Passphrase(ChangeKeyArguments),
    /// Write the private half of an identity into a file, to be kept outside the server
    Export(ExportKeyArguments),
    /// Print the page that somebody needs who has nothing but the backups and the key
    Kit(KitArguments),
    /// Prove that the key is known: open the newest sealed backup with it
    Rehearse(NamedKeyArguments),
}

/// `key create` and `key rotate`.
#[derive(Debug, Args)]
pub(crate) struct NewKeyArguments {
    /// Keep the private half in this new file instead of behind a passphrase; take it away from the server
    #[arg(long, value_name = "FILE")]
    pub(crate) to_file: Option<PathBuf>,
    /// File that holds the new passphrase and nothing else (or set BACKSTOCK_NEW_PASSPHRASE)
    #[arg(long, value_name = "FILE", conflicts_with = "to_file")]
    pub(crate) new_passphrase_file: Option<PathBuf>,
    /// How the keys of backups are wrapped
    #[arg(long, default_value = "x-wing")]
    pub(crate) suite: SuiteArgument,
}

/// `key passphrase`.
#[derive(Debug, Args)]
pub(crate) struct ChangeKeyArguments {
    /// An identity's id, the end or beginning of it [default: the one that backups are sealed for]
    pub(crate) id: Option<String>,
    /// File that holds the new passphrase and nothing else (or set BACKSTOCK_NEW_PASSPHRASE)
    #[arg(long, value_name = "FILE")]
    pub(crate) new_passphrase_file: Option<PathBuf>,
}

/// `key export`.
#[derive(Debug, Args)]
pub(crate) struct ExportKeyArguments {
    /// An identity's id, the end or beginning of it [default: the one that backups are sealed for]
    pub(crate) id: Option<String>,
    /// The new file
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
}

/// `key kit`.
#[derive(Debug, Args)]
pub(crate) struct KitArguments {
    /// Write it as HTML into this new file instead of printing it as text
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// `key adopt`, `key show` and `key rehearse`.
#[derive(Debug, Args)]
pub(crate) struct NamedKeyArguments {
    /// An identity's id, the end or beginning of it [default: the one that backups are sealed for]
    pub(crate) id: Option<String>,
}

/// How the keys of backups are wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SuiteArgument {
    /// ML-KEM-768 and X25519 together: safe while one of the two is
    XWing,
    /// X25519 alone
    X25519,
}
