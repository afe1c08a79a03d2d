//! How to reach a shop's database again when its own configuration cannot tell: sealed in the state folder, since the
//! configuration may be what was lost, or one of the files that are being exchanged.

use std::path::{Path, PathBuf};

use backstock_database::{Address, Secret, ServerSettings, Tls};
use backstock_host::seal;
use serde::{Deserialize, Serialize};

use crate::environment::Environment;
use crate::error::{Doing, Result};
use crate::subject::ShopDatabase;

/// A sealed connection of more bytes is none.
const SIZE_LIMIT_BYTES: u64 = 64 * 1024;

#[derive(Serialize, Deserialize)]
struct Kept {
    #[serde(with = "backstock_vocabulary::path_bytes")]
    socket: Option<PathBuf>,
    host: Option<String>,
    port: u16,
    user: String,
    password: Vec<u8>,
    name: Vec<u8>,
}

/// Seals a connection into a file. The purpose says whose it is: it opens for that alone.
pub(crate) fn keep(
    environment: &Environment,
    file: &Path,
    purpose: &str,
    database: &ShopDatabase,
) -> Result<()> {
    let act = || format!("keeping {purpose}");
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
    let sealed =
        seal::seal(&environment.key, environment.host.random.as_ref(), purpose, &bytes).doing(act())?;
    environment.host.files.write_durably(file, &sealed).doing(act())
}

/// Opens what [`keep`] sealed; `None` when there is no such file.
pub(crate) fn recall(environment: &Environment, file: &Path, purpose: &str) -> Result<Option<ShopDatabase>> {
    let act = || format!("recalling {purpose}");
    if environment.host.files.stat(file).doing(act())?.is_none() {
        return Ok(None);
    }
    let sealed = environment.host.files.read(file, SIZE_LIMIT_BYTES).doing(act())?;
    let bytes = seal::open(&environment.key, purpose, &sealed).doing(act())?;
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
