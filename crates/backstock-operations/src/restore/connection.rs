//! How to reach the shop's database again when a restore is resumed or undone: sealed beside the journal, since the
//! shop's own configuration may be one of the files that are being exchanged.

use backstock_database::{Address, Secret, ServerSettings, Tls};
use backstock_host::seal;
use serde::{Deserialize, Serialize};

use super::journal::{Journal, JournalFolder};
use crate::environment::Environment;
use crate::error::{Doing, Result};
use crate::subject::ShopDatabase;

const FILE: &str = "connection.sealed";

#[derive(Serialize, Deserialize)]
struct Kept {
    socket: Option<std::path::PathBuf>,
    host: Option<String>,
    port: u16,
    user: String,
    password: Vec<u8>,
    name: Vec<u8>,
}

fn purpose(journal: &Journal) -> String {
    format!("connection of the restore {}", journal.run)
}

/// Seals the connection into the journal's folder.
pub(super) fn keep(
    environment: &Environment,
    folder: &JournalFolder,
    journal: &Journal,
    database: Option<&ShopDatabase>,
) -> Result<()> {
    let Some(database) = database else { return Ok(()) };
    let act = || "keeping the connection for the restore".to_owned();
    let (socket, host, port) = match &database.server.address {
        Address::Socket(path) => (Some(path.clone()), None, 0),
        Address::Tcp { host, port } => (None, Some(host.clone()), *port),
    };
    let kept = Kept {
        socket,
        host,
        port,
        user: database.server.user.clone(),
        password: database.server.password.expose().to_vec(),
        name: database.name.clone(),
    };
    let bytes = serde_json::to_vec(&kept).doing(act())?;
    let random = environment.host.random.as_ref();
    let sealed = seal::seal(&environment.key, random, &purpose(journal), &bytes).doing(act())?;
    folder.write_bytes(FILE, &sealed)
}

/// Opens what [`keep`] sealed.
pub(super) fn recall(
    environment: &Environment,
    folder: &JournalFolder,
    journal: &Journal,
) -> Result<Option<ShopDatabase>> {
    let act = || "recalling the connection of the restore".to_owned();
    if !folder.has(FILE)? {
        return Ok(None);
    }
    let sealed = folder.read_bytes(FILE)?;
    let bytes = seal::open(&environment.key, &purpose(journal), &sealed).doing(act())?;
    let kept: Kept = serde_json::from_slice(&bytes).doing(act())?;
    let address = match (kept.socket, kept.host) {
        (Some(socket), _) => Address::Socket(socket),
        (None, host) => Address::Tcp { host: host.unwrap_or_default(), port: kept.port },
    };
    let server = ServerSettings {
        address,
        user: kept.user,
        password: Secret::new(kept.password),
        tls: Tls::default(),
    };
    Ok(Some(ShopDatabase { server, name: kept.name }))
}
