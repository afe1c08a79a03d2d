//! A folder on a server that is reached by FTP, encrypted unless its owner says otherwise (RFC 959, 2228, 2428, 3659, 4217).
//!
//! Binary type always; the length is asked for after each piece, since servers report success for uploads that were cut.

mod connection;
mod fault;
mod listing;
mod tls;
mod transfer;

use std::sync::Arc;

use async_trait::async_trait;
use backstock_host::Host;
use schemars::{JsonSchema, schema_for};
use serde::Deserialize;
use suppaftp::Status;

use self::connection::{Lease, Pool};
use super::Kind;
use crate::patience::Patience;
use crate::remote_tree::{Entry, EntryKind, Progress, RemoteTree, TreeStorage};
use crate::source::Source;
use crate::trust::SeenIdentity;
use crate::{Cause, Error, KeepSecrets, Result, Secret, Storage};

pub(crate) const KIND: Kind = Kind {
    name: "ftp",
    title: "FTP or FTPS server",
    schema: || schema_for!(FtpSettings),
    open,
    resumes: true,
    link: None,
};

/// The ports by custom: for plain connections and those that turn to TLS, and for those that begin with it.
const PORT: u16 = 21;
const IMPLICIT_PORT: u16 = 990;

/// How the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Encryption {
    /// By TLS, which the connection turns to before anyone signs in.
    #[default]
    Explicit,
    /// By TLS from the first byte on.
    Implicit,
    /// Not at all.
    None,
}

/// Who opens the connections for data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum DataMode {
    /// We do.
    #[default]
    Passive,
    /// The server does.
    Active,
}

/// The settings of a folder on an FTP server.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FtpSettings {
    /// The name or address of the server.
    host: String,
    /// The port; 21 where nothing is said, 990 with implicit encryption.
    port: Option<u16>,
    /// How the connection is encrypted: explicit (TLS on the ordinary port), implicit (TLS from the first byte on), or none. With none the
    /// password and everything stored can be read and changed by whoever sits on the way: unsafe.
    #[serde(default)]
    encryption: Encryption,
    /// Who opens the connections for data: passive (we do, which passes most firewalls) or active (the server does).
    #[serde(default)]
    mode: DataMode,
    /// The user to sign in as.
    user: String,
    /// The password.
    password: Secret,
    /// The folder on the server: an absolute path, or one relative to the folder that a login begins in.
    #[serde(default)]
    folder: String,
    /// A file of certificates (PEM) whose issuers are trusted beside the usual ones, as an absolute path on this machine.
    ca_file: Option<String>,
    /// The SHA-256 fingerprint of the server's certificate, in hexadecimal digits: this certificate is trusted and no other. For servers
    /// that have made their own; the first test shows it.
    certificate: Option<String>,
}

impl FtpSettings {
    fn read(settings: &serde_json::Value) -> Result<Self> {
        let settings = Self::deserialize(settings).map_err(|error| fault(error.to_string()))?;
        for (name, text) in [("host", &settings.host), ("user", &settings.user)] {
            if text.is_empty() || text.contains(char::is_control) {
                return Err(fault(format!("{name} is empty or holds control characters")));
            }
        }
        if settings.folder.contains(char::is_control) {
            return Err(fault("folder holds control characters".to_owned()));
        }
        if settings.password.expose().contains(['\r', '\n']) {
            return Err(fault("password holds an end of line".to_owned()));
        }
        let is_plain = settings.encryption == Encryption::None;
        if is_plain && (settings.certificate.is_some() || settings.ca_file.is_some()) {
            return Err(fault("certificate and ca_file go with encryption".to_owned()));
        }
        Ok(settings)
    }

    fn port(&self) -> u16 {
        self.port.unwrap_or(if self.encryption == Encryption::Implicit { IMPLICIT_PORT } else { PORT })
    }

    fn place(&self) -> String {
        let scheme = if self.encryption == Encryption::None { "ftp" } else { "ftps" };
        let slash = if self.folder.starts_with('/') { "" } else { "/~/" };
        format!("{scheme}://{}@{}:{}{slash}{}", self.user, self.host, self.port(), self.folder)
    }
}

fn fault(problem: String) -> Error {
    Error::Settings { kind: KIND.name, problem }
}

fn open(host: &Host, settings: &serde_json::Value, _keep: Arc<dyn KeepSecrets>) -> Result<Arc<dyn Storage>> {
    open_patiently(host, settings, Patience::default())
}

fn open_patiently(host: &Host, settings: &serde_json::Value, patience: Patience) -> Result<Arc<dyn Storage>> {
    let pool = Pool::new(host, FtpSettings::read(settings)?, patience)?;
    Ok(Arc::new(TreeStorage { host: host.clone(), tree: Ftp { pool } }))
}

/// What the server shows of itself before anyone signs in, where not everybody trusts it.
pub(crate) async fn seen_identity(host: &Host, settings: &serde_json::Value) -> Result<Option<SeenIdentity>> {
    let settings = FtpSettings::read(settings)?;
    if settings.encryption == Encryption::None {
        return Ok(None);
    }
    let fingerprint = connection::seen_certificate(host, settings, Patience::default()).await?;
    Ok(fingerprint.map(|fingerprint| SeenIdentity { setting: "certificate", fingerprint }))
}

#[derive(Debug)]
struct Ftp {
    pool: Pool,
}

impl Ftp {
    /// The type and length under an absolute path.
    async fn look_with(&self, lease: &mut Lease<'_>, path: &str) -> Result<Option<Entry>> {
        let step = path.rsplit('/').next().unwrap_or(path).to_owned();
        if lease.features().mlst {
            let told = lease.patience().answer(lease.ftp().mlst(Some(path))).await;
            return match lease.note("look at", path, told) {
                Ok(line) => {
                    Ok(listing::facts(&line).map(|(kind, size_bytes)| Entry { step, kind, size_bytes }))
                }
                Err(failure) if failure.says_absent() => Ok(None),
                Err(failure) => Err(failure.into()),
            };
        }
        let told = lease.patience().answer(lease.ftp().size(path)).await;
        match lease.note("look at", path, told) {
            Ok(size) => return Ok(Some(Entry { step, kind: EntryKind::File, size_bytes: size as u64 })),
            Err(failure) if failure.says_absent() => {}
            // Before RFC 3659 lists alone told a length.
            Err(failure) if failure.is_unknown_command() => {
                let above = path.rsplit_once('/').map_or("", |(above, _)| above);
                let above = if above.is_empty() { "/" } else { above };
                let entries = listing::entries(lease, above).await?;
                return Ok(entries.into_iter().find(|entry| entry.step == step));
            }
            Err(failure) => return Err(failure.into()),
        }
        let told = lease.patience().answer(lease.ftp().cwd(path)).await;
        match lease.note("look at", path, told) {
            Ok(()) => Ok(Some(Entry { step, kind: EntryKind::Folder, size_bytes: 0 })),
            Err(failure) if failure.says_absent() => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn make(&self, lease: &mut Lease<'_>, path: &str) -> Result<()> {
        let told = lease.patience().answer(lease.ftp().mkdir(path)).await;
        match lease.note("make the folder", path, told) {
            Ok(()) => Ok(()),
            // That it is there already and that it may not be made have the same number.
            Err(failure) if failure.is_answer() => match self.look_with(lease, path).await? {
                Some(entry) if entry.kind == EntryKind::Folder => Ok(()),
                _ => Err(failure.into()),
            },
            Err(failure) => Err(failure.into()),
        }
    }

    /// Asks for the length of a file that was written.
    async fn size(&self, lease: &mut Lease<'_>, path: &str) -> Result<Option<u64>> {
        let entry = self.look_with(lease, path).await?;
        Ok(entry.filter(|entry| entry.kind == EntryKind::File).map(|entry| entry.size_bytes))
    }
}

#[async_trait]
impl RemoteTree for Ftp {
    fn place(&self) -> &str {
        &self.pool.place
    }

    async fn look(&self, path: &str) -> Result<Option<Entry>> {
        let mut lease = self.pool.lease().await?;
        let path = lease.path(path);
        self.look_with(&mut lease, &path).await
    }

    async fn entries(&self, folder: &str) -> Result<Vec<Entry>> {
        let mut lease = self.pool.lease().await?;
        let path = lease.path(folder);
        listing::entries(&mut lease, &path).await
    }

    async fn make_folder(&self, path: &str) -> Result<()> {
        let mut lease = self.pool.lease().await?;
        let whole = lease.path(path);
        if !path.is_empty() {
            return self.make(&mut lease, &whole).await;
        }
        let mut above = String::new();
        for step in whole.split_inclusive('/') {
            above.push_str(step);
            let folder = above.trim_end_matches('/');
            if !folder.is_empty() && self.look_with(&mut lease, folder).await?.is_none() {
                self.make(&mut lease, folder).await?;
            }
        }
        Ok(())
    }

    async fn remove_folder(&self, path: &str) -> Result<()> {
        let mut lease = self.pool.lease().await?;
        let path = lease.path(path);
        let told = lease.patience().answer(lease.ftp().rmdir(&path)).await;
        Ok(lease.note("remove the folder", &path, told)?)
    }

    async fn remove_file(&self, path: &str) -> Result<()> {
        let mut lease = self.pool.lease().await?;
        let path = lease.path(path);
        let told = lease.patience().answer(lease.ftp().rm(&path)).await;
        match lease.note("delete", &path, told) {
            Ok(()) => Ok(()),
            Err(failure) if failure.says_absent() && self.look_with(&mut lease, &path).await?.is_none() => {
                Ok(())
            }
            Err(failure) => Err(failure.into()),
        }
    }

    async fn rename(&self, from: &str, to: &str, replaces: bool) -> Result<()> {
        let mut lease = self.pool.lease().await?;
        let (from, to) = (lease.path(from), lease.path(to));
        let act = "give its name to";
        // Many servers replace what has the name.
        if !replaces && self.look_with(&mut lease, &to).await?.is_some() {
            let answer = "something has that name already".to_owned();
            return Err(lease.refused(act, &to, Cause::Unexpected, answer));
        }
        let told = lease.patience().answer(lease.ftp().rename(&from, &to)).await;
        match lease.note(act, &to, told) {
            Ok(()) => return Ok(()),
            // Others refuse to: there the old one goes first.
            Err(failure) if replaces && failure.is_answer() => {
                let told = lease.patience().answer(lease.ftp().rm(&to)).await;
                lease.note(act, &to, told)?;
            }
            Err(failure) => return Err(failure.into()),
        }
        let told = lease.patience().answer(lease.ftp().rename(&from, &to)).await;
        Ok(lease.note(act, &to, told)?)
    }

    async fn can_resume(&self) -> Result<bool> {
        Ok(self.pool.lease().await?.features().restarts)
    }

    async fn write(&self, path: &str, source: &mut Source, progress: &Progress<'_>) -> Result<()> {
        let mut lease = self.pool.lease().await?;
        let path = lease.path(path);
        progress.reached(source.position(), source.position())?;
        loop {
            let limit = if lease.features().restarts { transfer::PIECE_BYTES } else { u64::MAX };
            transfer::write_piece(&mut lease, &path, source, limit, progress).await?;
            let stored = self.size(&mut lease, &path).await?;
            if stored != Some(source.position()) {
                let answer =
                    format!("{} bytes were sent and confirmed, and {stored:?} are there", source.position());
                return Err(lease.refused("store", &path, Cause::Garbled, answer));
            }
            progress.reached(source.position(), source.position())?;
            if source.position() == source.size_bytes() {
                return Ok(());
            }
        }
    }

    async fn read(&self, path: &str, offset_bytes: u64, length_bytes: u64) -> Result<Vec<u8>> {
        let mut lease = self.pool.lease().await?;
        let path = lease.path(path);
        transfer::read(&mut lease, &path, offset_bytes, length_bytes).await
    }

    async fn free_bytes(&self) -> Result<Option<u64>> {
        // The protocol has no word for it that more than a few servers know (AVBL).
        let mut lease = self.pool.lease().await?;
        if !lease.features().tells_free_space {
            return Ok(None);
        }
        let command = format!("AVBL {}", lease.path(""));
        let told = lease.patience().answer(lease.ftp().custom_command(command, &[Status::File])).await;
        let told = lease.note("ask for the free space of", "", told);
        let body = told.ok().and_then(|response| response.as_string().ok()).unwrap_or_default();
        Ok(body.split_whitespace().find_map(|word| word.parse().ok().filter(|&bytes: &u64| bytes != 213)))
    }
}

#[cfg(test)]
mod tests;
