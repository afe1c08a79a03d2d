//! What may be typed behind `backstock storage`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `storage …`.
#[derive(Debug, Subcommand)]
pub(crate) enum StorageCommand {
    /// Define a storage, after its test
    Add(AddStorageArguments),
    /// List storages
    List,
    /// Write, read back, list and delete a small object there, and say what the place can do
    Test(TestStorageArguments),
    /// Link a storage of a cloud with its account again; what it holds stays where it is
    Link(LinkStorageArguments),
    /// Give a storage its secrets, in the place of those that it has: after a recovery without them, or when they were changed
    Secrets(GivenSecretsArguments),
    /// Forget a storage that holds no backups; what lies there stays
    Remove(RemoveStorageArguments),
    /// Explain the kinds of storages and their settings
    Kinds(KindsArguments),
}

/// `storage add`.
#[derive(Debug, Args)]
pub(crate) struct AddStorageArguments {
    /// What it is to be called
    pub(crate) title: String,
    /// The kind of place (see `backstock storage kinds`)
    #[arg(long)]
    pub(crate) kind: String,
    /// A setting of the kind (may be repeated)
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) settings: Vec<String>,
    /// File that holds a secret of the kind and nothing else (may be repeated); what it needs and is not given is asked for
    #[arg(long = "secret-file", value_name = "NAME=FILE")]
    pub(crate) secret_files: Vec<String>,
    /// Define it without trying it
    #[arg(long)]
    pub(crate) no_test: bool,
    /// How it is linked with an account.
    #[command(flatten)]
    pub(crate) link: LinkArguments,
}

/// How a storage is linked with an account, where its kind wants that and no refresh token is given.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Linking a cloud with its account")]
pub(crate) struct LinkArguments {
    /// Let the browser bring the code: it runs on this machine, or a port is forwarded to it [default, but for Dropbox]
    #[arg(long, conflicts_with_all = ["paste", "code_file"])]
    pub(crate) redirect: bool,
    /// The port of this machine that the browser is sent to [default: a free one]
    #[arg(long, conflicts_with_all = ["paste", "code_file"], value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    /// Have the browser end at this address, which is registered with the application, and paste it: the page of a daemon
    /// shows it for copying
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["redirect", "port"])]
    pub(crate) redirect_to: Option<String>,
    /// Paste what the browser shows at the end: the code, or else its whole address [default for Dropbox]
    #[arg(long)]
    pub(crate) paste: bool,
    /// Read that from the first line of this file as soon as it is there (- is standard input), instead of asking
    #[arg(long, value_name = "FILE")]
    pub(crate) code_file: Option<PathBuf>,
}

/// `storage link`.
#[derive(Debug, Args)]
pub(crate) struct LinkStorageArguments {
    /// The title of the storage
    pub(crate) title: String,
    /// Make the link at the page of the daemon (`backstock serve`): for a browser anywhere
    #[arg(long, conflicts_with_all = ["redirect", "port", "redirect_to", "paste", "code_file"])]
    pub(crate) page: bool,
    /// Do not try the storage afterwards
    #[arg(long)]
    pub(crate) no_test: bool,
    /// How.
    #[command(flatten)]
    pub(crate) link: LinkArguments,
}

/// `recover`.
#[derive(Debug, Args)]
pub(crate) struct RecoverArguments {
    /// What the storage is to be called, or is called already
    pub(crate) title: String,
    /// The kind of place (see `backstock storage kinds`); without it the storage must be known
    #[arg(long)]
    pub(crate) kind: Option<String>,
    /// A setting of the kind (may be repeated)
    #[arg(long = "set", value_name = "NAME=VALUE", requires = "kind")]
    pub(crate) settings: Vec<String>,
    /// File that holds a secret of the kind and nothing else (may be repeated); what it needs and is not given is asked for
    #[arg(long = "secret-file", value_name = "NAME=FILE", requires = "kind")]
    pub(crate) secret_files: Vec<String>,
    /// The fingerprint of the identity that vouches for who signed the backups, as the recovery kit shows it
    #[arg(long, value_name = "64 DIGITS")]
    pub(crate) fingerprint: Option<String>,
    /// How it is linked with an account.
    #[command(flatten)]
    pub(crate) link: LinkArguments,
    /// Bring back exported settings also where nothing vouches for who signed them
    #[arg(long, conflicts_with = "without_settings")]
    pub(crate) trust_settings: bool,
    /// Leave exported settings (storages, destinations, policy, pins, history) alone
    #[arg(long)]
    pub(crate) without_settings: bool,
}

/// `storage test`.
#[derive(Debug, Args)]
pub(crate) struct TestStorageArguments {
    /// The title of the storage
    #[arg(required_unless_present = "due", conflicts_with = "due")]
    pub(crate) title: Option<String>,
    /// Try the links with accounts that no call has used with success for a day, and those that were taken back; for a scheduler
    #[arg(long)]
    pub(crate) due: bool,
}

/// `storage secrets`.
#[derive(Debug, Args)]
pub(crate) struct GivenSecretsArguments {
    /// The title of the storage
    pub(crate) title: String,
    /// File that holds a secret of its kind and nothing else (may be repeated); what it lacks and is not given is asked for
    #[arg(long = "secret-file", value_name = "NAME=FILE")]
    pub(crate) secret_files: Vec<String>,
    /// Keep them without trying the storage
    #[arg(long)]
    pub(crate) no_test: bool,
}

/// `storage remove`.
#[derive(Debug, Args)]
pub(crate) struct RemoveStorageArguments {
    /// The title of the storage
    pub(crate) title: String,
    /// Go on without a question
    #[arg(long)]
    pub(crate) yes: bool,
}

/// `storage kinds`.
#[derive(Debug, Args)]
pub(crate) struct KindsArguments {
    /// One kind, with all its settings
    pub(crate) kind: Option<String>,
}

/// Cuts `NAME=VALUE` into its two halves.
pub(crate) fn halves(text: &str) -> Option<(String, String)> {
    text.split_once('=').map(|(name, value)| (name.trim().to_owned(), value.to_owned()))
}

/// The file of a secret.
pub(crate) fn secret_file(text: &str) -> Option<(String, PathBuf)> {
    halves(text).map(|(name, file)| (name, PathBuf::from(file)))
}
