//! A folder on a server that is reached by SFTP (the SSH file transfer protocol, version 3 as OpenSSH extends it:
//! draft-ietf-secsh-filexfer-02 and OpenSSH's PROTOCOL). Files are 0600 and folders 0700.

mod connection;
mod fault;
mod transfer;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use backstock_host::Host;
use russh_sftp::protocol::{FileAttributes, Packet, StatusCode};
use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use self::connection::{Connection, Session};
use super::Kind;
use crate::patience::Patience;
use crate::remote_tree::{Entry, EntryKind, Progress, RemoteTree, TreeStorage};
use crate::source::Source;
use crate::trust::SeenIdentity;
use crate::{Cause, Error, KeepSecrets, LIST_LIMIT_OBJECTS, Result, Secret, Storage};

pub(crate) const KIND: Kind = Kind {
    name: "sftp",
    title: "SFTP server",
    schema: || schema_for!(SftpSettings),
    open,
    resumes: true,
    link: None,
};

/// The mode of files that we make.
const FILE_MODE: u32 = 0o600;
/// The mode of folders that we make.
const FOLDER_MODE: u32 = 0o700;

/// The settings of a folder on an SFTP server.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SftpSettings {
    /// The name or address of the server.
    host: String,
    /// The port.
    #[serde(default = "default_port")]
    port: u16,
    /// The user to sign in as.
    user: String,
    /// The password, where one is used to sign in.
    password: Option<Secret>,
    /// The text of the private key, where one is used to sign in: what the file `id_ed25519` holds.
    private_key: Option<Secret>,
    /// The passphrase of the private key, where it has one.
    passphrase: Option<Secret>,
    /// Whether to sign in with the keys of the running ssh-agent, which SSH_AUTH_SOCK names.
    #[serde(default)]
    agent: bool,
    /// The folder on the server: an absolute path, or one relative to the folder that a login begins in.
    #[serde(default)]
    folder: String,
    /// The fingerprint of the server's host key, as ssh-keygen -l shows it: SHA256:… . Without it nothing is sent to the server; the
    /// first test shows it.
    host_key: Option<String>,
}

fn default_port() -> u16 {
    22
}

impl SftpSettings {
    fn read(settings: &serde_json::Value) -> Result<Self> {
        let fault = |problem: String| Error::Settings { kind: KIND.name, problem };
        let settings = Self::deserialize(settings).map_err(|error| fault(error.to_string()))?;
        for (name, text) in [("host", &settings.host), ("user", &settings.user)] {
            if text.is_empty() || text.contains(char::is_control) {
                return Err(fault(format!("{name} is empty or holds control characters")));
            }
        }
        if settings.folder.contains('\0') {
            return Err(fault("folder holds a zero byte".to_owned()));
        }
        if settings.host_key.as_ref().is_some_and(|key| !key.starts_with("SHA256:")) {
            return Err(fault("host_key begins with SHA256:".to_owned()));
        }
        Ok(settings)
    }

    fn place(&self) -> String {
        let slash = if self.folder.starts_with('/') { "" } else { "/~/" };
        format!("sftp://{}@{}:{}{slash}{}", self.user, self.host, self.port, self.folder)
    }
}

fn open(host: &Host, settings: &serde_json::Value, _keep: Arc<dyn KeepSecrets>) -> Result<Arc<dyn Storage>> {
    let tree = Sftp::new(settings, Patience::default())?;
    let can_sign_in = tree.connection.settings.password.is_some()
        || tree.connection.settings.private_key.is_some()
        || tree.connection.settings.agent;
    if !can_sign_in {
        let problem = "one of password, private_key and agent is needed".to_owned();
        return Err(Error::Settings { kind: KIND.name, problem });
    }
    Ok(Arc::new(TreeStorage { host: host.clone(), tree }))
}

/// What the server shows of itself before anyone signs in.
pub(crate) async fn seen_identity(settings: &serde_json::Value) -> Result<SeenIdentity> {
    let tree = Sftp::new(settings, Patience::default())?;
    let fingerprint = tree.connection.seen_host_key().await?;
    Ok(SeenIdentity { setting: "host_key", fingerprint })
}

#[derive(Debug)]
struct Sftp {
    connection: Connection,
    folder: String,
}

impl Sftp {
    fn new(settings: &serde_json::Value, patience: Patience) -> Result<Self> {
        let settings = SftpSettings::read(settings)?;
        let folder = match settings.folder.trim_end_matches('/') {
            "" if settings.folder.starts_with('/') => "/".to_owned(),
            "" => ".".to_owned(),
            folder => folder.to_owned(),
        };
        let agent_socket = std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from);
        Ok(Self { connection: Connection::new(settings, patience, agent_socket), folder })
    }

    fn path(&self, path: &str) -> String {
        match (self.folder.as_str(), path) {
            (folder, "") => folder.to_owned(),
            (".", path) => path.to_owned(),
            ("/", path) => format!("/{path}"),
            (folder, path) => format!("{folder}/{path}"),
        }
    }

    /// The type and length under an absolute path. The storage's own folder may be a link.
    async fn attributes(
        &self,
        session: &Session,
        path: &str,
        follows_link: bool,
    ) -> Result<Option<FileAttributes>> {
        let asked = async {
            if follows_link { session.sftp.stat(path).await } else { session.sftp.lstat(path).await }
        };
        match session.ask("look at", path, asked).await {
            Ok(attributes) => Ok(Some(attributes.attrs)),
            Err(failure) if failure.status() == Some(StatusCode::NoSuchFile) => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Makes the storage's own folder with all that it lies in.
    async fn make_own_folder(&self, session: &Session) -> Result<()> {
        let mut path = String::new();
        for step in self.folder.split_inclusive('/') {
            path.push_str(step);
            let folder = path.trim_end_matches('/');
            if folder.is_empty() || self.attributes(session, folder, true).await?.is_some() {
                continue;
            }
            self.make(session, folder).await?;
        }
        Ok(())
    }

    async fn make(&self, session: &Session, path: &str) -> Result<()> {
        let attributes = FileAttributes { permissions: Some(FOLDER_MODE), ..FileAttributes::empty() };
        match session.ask("make the folder", path, session.sftp.mkdir(path, attributes)).await {
            Ok(_) => Ok(()),
            // That it is there already is no error of its own in this protocol.
            Err(failure) if failure.status() == Some(StatusCode::Failure) => {
                match self.attributes(session, path, true).await? {
                    Some(attributes) if kind_of(&attributes) == EntryKind::Folder => Ok(()),
                    _ => Err(failure.into()),
                }
            }
            Err(failure) => Err(failure.into()),
        }
    }
}

fn kind_of(attributes: &FileAttributes) -> EntryKind {
    // The type bits of a mode, as in <sys/stat.h>.
    match attributes.permissions.map(|mode| mode & 0o170_000) {
        Some(0o100_000) => EntryKind::File,
        Some(0o040_000) => EntryKind::Folder,
        _ => EntryKind::Other,
    }
}

/// A text as the protocol writes it: its length in four bytes, then it.
fn encode_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(text.as_bytes());
}

#[async_trait]
impl RemoteTree for Sftp {
    fn place(&self) -> &str {
        &self.connection.place
    }

    async fn look(&self, path: &str) -> Result<Option<Entry>> {
        let session = self.connection.session().await?;
        let attributes = self.attributes(&session, &self.path(path), path.is_empty()).await?;
        Ok(attributes.map(|attributes| Entry {
            step: path.rsplit('/').next().unwrap_or(path).to_owned(),
            kind: kind_of(&attributes),
            size_bytes: attributes.size.unwrap_or(0),
        }))
    }

    async fn entries(&self, folder: &str) -> Result<Vec<Entry>> {
        let session = self.connection.session().await?;
        let path = self.path(folder);
        let handle = match session.ask("list", &path, session.sftp.opendir(path.as_str())).await {
            Ok(handle) => handle.handle,
            Err(failure) if failure.status() == Some(StatusCode::NoSuchFile) => return Ok(Vec::new()),
            Err(failure) => return Err(failure.into()),
        };
        let mut entries = Vec::new();
        let listed = loop {
            match session.ask("list", &path, session.sftp.readdir(handle.as_str())).await {
                Ok(names) => entries.extend(names.files.into_iter().map(|file| Entry {
                    step: file.filename,
                    kind: kind_of(&file.attrs),
                    size_bytes: file.attrs.size.unwrap_or(0),
                })),
                Err(failure) if failure.status() == Some(StatusCode::Eof) => break Ok(()),
                Err(failure) => break Err(failure.into()),
            }
            if entries.len() > LIST_LIMIT_OBJECTS {
                let place = self.connection.place.clone();
                break Err(Error::TooMany { place, limit: LIST_LIMIT_OBJECTS });
            }
        };
        session.close(&handle).await;
        listed?;
        entries.retain(|entry| entry.step != "." && entry.step != "..");
        Ok(entries)
    }

    async fn make_folder(&self, path: &str) -> Result<()> {
        let session = self.connection.session().await?;
        if path.is_empty() {
            return self.make_own_folder(&session).await;
        }
        self.make(&session, &self.path(path)).await
    }

    async fn remove_folder(&self, path: &str) -> Result<()> {
        let session = self.connection.session().await?;
        let path = self.path(path);
        session.ask("remove the folder", &path, session.sftp.rmdir(path.as_str())).await?;
        Ok(())
    }

    async fn remove_file(&self, path: &str) -> Result<()> {
        let session = self.connection.session().await?;
        let path = self.path(path);
        match session.ask("delete", &path, session.sftp.remove(path.as_str())).await {
            Err(failure) if failure.status() != Some(StatusCode::NoSuchFile) => Err(failure.into()),
            _ => Ok(()),
        }
    }

    async fn rename(&self, from: &str, to: &str, replaces: bool) -> Result<()> {
        let session = self.connection.session().await?;
        let (from, to) = (self.path(from), self.path(to));
        let act = "give its name to";
        if replaces && session.extensions.posix_rename {
            let mut names = Vec::new();
            encode_text(&mut names, &from);
            encode_text(&mut names, &to);
            let renamed = async {
                match session.sftp.extended("posix-rename@openssh.com", names).await? {
                    Packet::Status(status) if status.status_code == StatusCode::Ok => Ok(()),
                    Packet::Status(status) => Err(status.into()),
                    _ => Err(russh_sftp::client::error::Error::UnexpectedPacket),
                }
            };
            return Ok(session.ask(act, &to, renamed).await?);
        }
        if replaces {
            match session.ask(act, &to, session.sftp.remove(to.as_str())).await {
                Err(failure) if failure.status() != Some(StatusCode::NoSuchFile) => {
                    return Err(failure.into());
                }
                _ => {}
            }
        }
        session.ask(act, &to, session.sftp.rename(from, to.as_str())).await?;
        Ok(())
    }

    async fn can_resume(&self) -> Result<bool> {
        Ok(true)
    }

    async fn write(&self, path: &str, source: &mut Source, progress: &Progress<'_>) -> Result<()> {
        let session = self.connection.session().await?;
        let path = self.path(path);
        let written = transfer::write(&session, &path, source, progress).await;
        match written {
            // OpenSSH says no more than "Failure" when the disk is full.
            Err(Error::Refused { act, name, place, cause: Cause::Unexpected, answer, .. })
                if session
                    .free_bytes(&self.folder)
                    .await
                    .is_ok_and(|free| free.is_some_and(|free| free < transfer::IN_FLIGHT_BYTES)) =>
            {
                Err(Error::Refused {
                    act,
                    name,
                    place,
                    cause: Cause::Full,
                    answer,
                    retry_after_seconds: None,
                })
            }
            other => other,
        }
    }

    async fn read(&self, path: &str, offset_bytes: u64, length_bytes: u64) -> Result<Vec<u8>> {
        let session = self.connection.session().await?;
        transfer::read(&session, &self.path(path), offset_bytes, length_bytes).await
    }

    async fn free_bytes(&self) -> Result<Option<u64>> {
        let session = self.connection.session().await?;
        let mut folder = self.folder.as_str();
        loop {
            match session.free_bytes(folder).await {
                // Before its first use the folder is not there.
                Err(failure) if failure.status() == Some(StatusCode::NoSuchFile) => {
                    folder = match folder.rsplit_once('/') {
                        Some(("", _)) => "/",
                        Some((above, _)) => above,
                        None if folder != "." => ".",
                        None => return Ok(None),
                    };
                }
                other => return Ok(other?),
            }
        }
    }
}

#[cfg(test)]
mod tests;
