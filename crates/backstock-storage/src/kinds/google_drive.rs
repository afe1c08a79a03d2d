//! A folder in Google Drive, by version 3 of its API. Data can be lost here.
//!
//! Protocol: the Drive API v3 reference and its guides on uploads, on searching and on errors. Drive knows files by their ids;
//! names are mere words that several may have. So the way to an object is a chain of folders that are looked up by name and
//! parent, all folders of one name are read as one, and writing goes into the oldest. Of several files with one name and the
//! same bytes one counts; with different bytes that is a conflict, which is told and never settled by guessing. What is
//! deleted is deleted for good: the trash would go on using room up.
//!
//! The application sees what it has made itself, and nothing else (scope `drive.file`).

mod client;
mod failure;
mod file;
mod folders;
mod session;
mod upload;

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use backstock_host::{Host, Random};
use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use self::client::Drive;
use self::folders::Folders;
use super::Kind;
use crate::account::Account;
use crate::content::Content;
use crate::http::{Act, Http, Way};
use crate::oauth::{self, Access, Client, Provider};
use crate::{
    Error, InOneGo, KeepSecrets, Link, LinkManner, ObjectFacts, ObjectName, Properties, PutReceipt,
    RANGE_LIMIT_BYTES, Result, Secret, SpooledPart, Storage, Upload, probe,
};

pub(super) const KIND: Kind = Kind {
    name: "google_drive",
    title: "Google Drive",
    schema: || schema_for!(GoogleDriveSettings),
    open,
    resumes: true,
    link: Some(link),
};

/// The largest file that Drive takes, in bytes.
const LARGEST_OBJECT_BYTES: u64 = 5_120_000_000_000;

/// How Google's OAuth is: only so it gives a refresh token, and gives it again when the account is linked anew.
const PROVIDER: Provider = Provider {
    name: "Google",
    authorize_url: Cow::Borrowed("https://accounts.google.com/o/oauth2/v2/auth"),
    token_url: Cow::Borrowed("https://oauth2.googleapis.com/token"),
    extra_query: &[("access_type", "offline"), ("prompt", "consent")],
    scopes: &["https://www.googleapis.com/auth/drive.file"],
    needs_secret: true,
    // A desktop client may be sent to any port of the loopback address.
    manner: LinkManner { redirect_host: "127.0.0.1", redirect_path: "/", any_port: true, shows_code: false },
    access_token_prefixes: &["ya29."],
};

/// The settings of a folder in Google Drive.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GoogleDriveSettings {
    /// The client id of your own OAuth client, from the Google Cloud console.
    client_id: String,
    /// The secret of that client; Google wants it of desktop applications too.
    client_secret: Secret,
    /// The refresh token that linking the account gave.
    refresh_token: Secret,
    /// The folder in which everything is kept, steps joined by slashes; made when it is missing.
    #[serde(default = "default_folder")]
    folder: String,
    /// The id of a shared drive to keep that folder in, instead of the account's own drive.
    shared_drive: Option<String>,
    /// Another address of the service, for tests and proxies.
    endpoint: Option<String>,
    /// A file of PEM certificates to trust beside the usual ones, as an absolute path.
    ca_file: Option<String>,
    /// The address of an HTTP proxy to go through.
    proxy: Option<String>,
}

fn default_folder() -> String {
    "Backstock".to_owned()
}

fn open(host: &Host, settings: &serde_json::Value, keep: Arc<dyn KeepSecrets>) -> Result<Arc<dyn Storage>> {
    Ok(Arc::new(google_drive(host, settings, keep)?))
}

fn link(host: &Host, settings: &serde_json::Value) -> Result<Link> {
    Link::new(host, KIND.name, PROVIDER, settings)
}

fn google_drive(
    host: &Host,
    settings: &serde_json::Value,
    keep: Arc<dyn KeepSecrets>,
) -> Result<GoogleDrive> {
    let fault = |problem: String| Error::Settings { kind: KIND.name, problem };
    let settings = GoogleDriveSettings::deserialize(settings).map_err(|error| fault(error.to_string()))?;
    GoogleDrive::new(host, settings, keep).map_err(fault)
}

/// A storage in a folder.
#[derive(Debug)]
struct GoogleDrive {
    drive: Drive,
    folders: Folders,
    random: Arc<dyn Random>,
}

impl GoogleDrive {
    fn new(
        host: &Host,
        settings: GoogleDriveSettings,
        keep: Arc<dyn KeepSecrets>,
    ) -> std::result::Result<Self, String> {
        let folder = settings.folder.trim_matches('/');
        let folder = ObjectName::new(folder).map_err(|error| format!("folder: {error}"))?;
        let endpoint = oauth::endpoint(settings.endpoint.as_deref())?;
        let secret = &settings.client_secret;
        let client = Client::new(PROVIDER, &settings.client_id, Some(secret), endpoint.as_ref())?;
        let secrets = vec![secret.clone(), settings.refresh_token.clone()];
        let way = Way { ca_file: settings.ca_file.as_deref(), proxy: settings.proxy.as_deref() };
        let http = Http::new(host, way, format!("Google Drive, folder {folder}"), secrets)?;
        let access = Access::new(client, http.clone(), settings.refresh_token, keep)?;
        let shared_drive = settings.shared_drive.filter(|id| !id.trim().is_empty());
        let drive =
            Drive::new(Account { http, access, refusal: failure::refusal }, endpoint.as_ref(), shared_drive)?;
        Ok(Self { drive, folders: Folders::new(folder), random: host.random.clone() })
    }
}

#[async_trait]
impl Storage for GoogleDrive {
    async fn put(
        &self,
        name: &ObjectName,
        part: &SpooledPart<'_>,
        upload: &dyn Upload,
    ) -> Result<PutReceipt> {
        let content = Content::of_part(self.drive.http(), name, part).await?;
        self.put_content(&content, upload).await.map(PutReceipt::new)
    }

    async fn put_small(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        self.put_content(&Content::of_memory(name, bytes)?, &InOneGo).await.map(drop)
    }

    async fn replace(&self, name: &ObjectName, part: &SpooledPart<'_>) -> Result<PutReceipt> {
        let content = Content::of_part(self.drive.http(), name, part).await?;
        self.replace_content(&content).await.map(PutReceipt::new)
    }

    async fn replace_small(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        self.replace_content(&Content::of_memory(name, bytes)?).await.map(drop)
    }

    async fn stat(&self, name: &ObjectName) -> Result<Option<ObjectFacts>> {
        let act = Act { verb: "look at", name: name.as_str() };
        let file = self.find(act, name).await?;
        Ok(file.map(|file| ObjectFacts { name: name.clone(), size_bytes: file.size_bytes() }))
    }

    async fn list(&self, folder: Option<&ObjectName>) -> Result<Vec<ObjectFacts>> {
        let found = self.walk("list", folder).await?;
        let facts = found.objects.into_iter().map(|(name, files)| {
            let size_bytes = self.the_one(&name, files)?.map_or(0, |file| file.size_bytes());
            Ok(ObjectFacts { name, size_bytes })
        });
        facts.collect()
    }

    async fn read_range(&self, name: &ObjectName, offset_bytes: u64, length_bytes: u64) -> Result<Vec<u8>> {
        Error::expect_at_most(name, length_bytes, RANGE_LIMIT_BYTES)?;
        let act = Act { verb: "read", name: name.as_str() };
        let not_found =
            || Error::NotFound { name: name.clone(), place: self.drive.http().place().to_owned() };
        let file = self.find(act, name).await?.ok_or_else(not_found)?;
        let wanted = file.size_bytes().saturating_sub(offset_bytes).min(length_bytes);
        if wanted == 0 {
            return Ok(Vec::new());
        }
        self.drive.read(act, &file.id, offset_bytes, wanted).await?.ok_or_else(not_found)
    }

    async fn delete(&self, name: &ObjectName) -> Result<()> {
        let act = Act { verb: "delete", name: name.as_str() };
        let files = self.find_all(act, name).await?;
        if files.is_empty() {
            return Ok(());
        }
        for file in &files {
            self.drive.delete(act, &file.id).await?;
        }
        self.remove_empty_folders_above(name).await
    }

    async fn delete_leftovers(&self, folder: Option<&ObjectName>) -> Result<u64> {
        self.sweep(folder).await
    }

    async fn probe(&self, folder: Option<&ObjectName>) -> Result<Properties> {
        let place = self.drive.http().place();
        let rights = probe::rights(self, place, folder, &*self.random).await?;
        let largest_object_bytes = Some(LARGEST_OBJECT_BYTES);
        Ok(Properties { largest_object_bytes, ..Properties::far(rights, true) })
    }

    async fn free_bytes(&self) -> Result<Option<u64>> {
        self.drive.free_bytes().await
    }
}

#[cfg(test)]
mod tests;
