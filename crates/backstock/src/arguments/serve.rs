//! What may be typed behind `backstock serve`.

use std::net::SocketAddr;

use clap::Args;

/// `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// Where to listen [default: 127.0.0.1:8086, this machine alone]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// The address by which browsers reach it, behind a reverse proxy, as <https://backup.example.com>
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) address: Option<String>,
}
