//! What may be typed to restore a backup into a scratch place.

use std::ffi::OsString;
use std::path::PathBuf;

use backstock_operations::ShopOverrides;
use clap::Args;

use super::ReplicaArgument;

/// `drill`.
#[derive(Debug, Args)]
pub(crate) struct DrillArguments {
    /// A backup's id, the end or beginning of it, or "latest"
    #[arg(default_value = "latest")]
    pub(crate) id: String,
    /// Of which shop, where "latest" could mean several
    #[arg(long)]
    pub(crate) shop: Option<OsString>,
    /// Where to read it.
    #[command(flatten)]
    pub(crate) at: ReplicaArgument,
    /// The scratch place.
    #[command(flatten)]
    pub(crate) place: ScratchArguments,
    /// Keep the report in this folder, as report.html and report.json
    #[arg(long, value_name = "FOLDER")]
    pub(crate) report: Option<PathBuf>,
}

/// Where a backup is drilled.
#[derive(Debug, Default, Args)]
pub(crate) struct ScratchArguments {
    /// Start a private database server with the programs in this folder [default: those of the machine]
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["server_host", "server_port", "server_socket"])]
    pub(crate) server_programs: Option<PathBuf>,
    /// Make a scratch schema on the server with this host name or address instead
    #[arg(long, value_name = "HOST")]
    pub(crate) server_host: Option<String>,
    /// TCP port of that server
    #[arg(long, value_name = "PORT")]
    pub(crate) server_port: Option<u16>,
    /// Unix socket of that server
    #[arg(long, value_name = "PATH")]
    pub(crate) server_socket: Option<PathBuf>,
    /// User to log in there as: one that may make and drop a schema
    #[arg(long, value_name = "USER")]
    pub(crate) server_user: Option<String>,
    /// File that holds the password and nothing else (or set BACKSTOCK_DATABASE_PASSWORD)
    #[arg(long, value_name = "FILE")]
    pub(crate) server_password_file: Option<PathBuf>,
    /// Make the scratch folder below this one [default: the state folder]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) scratch: Option<PathBuf>,
}

impl ScratchArguments {
    /// The server that is given by hand, if one is.
    pub(crate) fn given_server(&self) -> Option<ShopOverrides> {
        let is_given =
            self.server_host.is_some() || self.server_port.is_some() || self.server_socket.is_some();
        is_given.then(|| ShopOverrides {
            host: self.server_host.clone(),
            port: self.server_port,
            socket: self.server_socket.clone(),
            user: self.server_user.clone(),
            password_file: self.server_password_file.clone(),
            password: std::env::var("BACKSTOCK_DATABASE_PASSWORD").ok(),
            ..ShopOverrides::default()
        })
    }
}
