//! A folder of a Dropbox account. Data can be lost here.
//!
//! Protocol: the Dropbox API v2 (`files`, `users`), as its published specification says. A file is visible when its upload
//! or the end of its upload session is done, never before; the service tells a hash of everything that it holds. Names are
//! the same in small and in large letters there: a name that is taken in another spelling is taken.

mod account;
mod content_hash;
mod listing;
mod objects;
mod refusal;
mod session;

use std::sync::Arc;

use async_trait::async_trait;
use backstock_host::{Host, Random};
use schemars::{JsonSchema, schema_for};
use serde::Deserialize;
use tokio::sync::Mutex;

use self::account::Account;
use super::Kind;
use crate::http::{Http, Way};
use crate::oauth::{self, Access, Client, Provider};
use crate::{
    Error, KeepSecrets, Link, LinkManner, ObjectFacts, ObjectName, Properties, PutReceipt, Result, Secret,
    SpooledPart, Storage, Upload, probe,
};

pub(super) const KIND: Kind = Kind {
    name: "dropbox",
    title: "Dropbox",
    schema: || schema_for!(DropboxSettings),
    open,
    resumes: true,
    link: Some(link),
};

/// How Dropbox links applications with accounts.
const PROVIDER: Provider = Provider {
    name: "Dropbox",
    authorize_url: std::borrow::Cow::Borrowed("https://www.dropbox.com/oauth2/authorize"),
    token_url: std::borrow::Cow::Borrowed("https://api.dropboxapi.com/oauth2/token"),
    // Without it there is no refresh token.
    extra_query: &[("token_access_type", "offline")],
    // Those that the application was registered with.
    scopes: &[],
    needs_secret: false,
    // Redirect addresses are registered to the letter.
    manner: LinkManner { redirect_host: "localhost", redirect_path: "/", any_port: false, shows_code: true },
    access_token_prefixes: &["sl."],
};

/// The largest file of an upload session, in bytes.
const LARGEST_OBJECT_BYTES: u64 = (1 << 41) - (1 << 22);

/// The settings of a folder of a Dropbox account.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DropboxSettings {
    /// The folder in which everything is kept, within what the application may see; none is all of that.
    #[serde(default)]
    folder: String,
    /// The app key of your own application, from the App Console of Dropbox.
    client_id: String,
    /// The app secret of that application; not needed where the link was made with PKCE.
    client_secret: Option<Secret>,
    /// The refresh token that links the application with the account; the access token that the App Console generates is none.
    refresh_token: Secret,
    /// Another address of the service, for tests and proxies.
    endpoint: Option<String>,
    /// A file of PEM certificates to trust beside the usual ones, as an absolute path.
    ca_file: Option<String>,
    /// The address of an HTTP proxy to go through.
    proxy: Option<String>,
}

fn open(host: &Host, settings: &serde_json::Value, keep: Arc<dyn KeepSecrets>) -> Result<Arc<dyn Storage>> {
    Ok(Arc::new(dropbox(host, settings, keep)?))
}

fn link(host: &Host, settings: &serde_json::Value) -> Result<Link> {
    Link::new(host, KIND.name, PROVIDER, settings)
}

fn dropbox(host: &Host, settings: &serde_json::Value, keep: Arc<dyn KeepSecrets>) -> Result<Dropbox> {
    let fault = |problem: String| Error::Settings { kind: KIND.name, problem };
    let settings = DropboxSettings::deserialize(settings).map_err(|error| fault(error.to_string()))?;
    Dropbox::new(host, settings, keep).map_err(fault)
}

/// A storage in a folder of an account.
#[derive(Debug)]
struct Dropbox {
    account: Account,
    random: Arc<dyn Random>,
    /// What the paths of all objects begin with: nothing, or a slash and a name.
    root: String,
    /// Held while the tree of the account changes: Dropbox refuses changes that happen side by side.
    changing: Mutex<()>,
}

impl Dropbox {
    fn new(
        host: &Host,
        settings: DropboxSettings,
        keep: Arc<dyn KeepSecrets>,
    ) -> std::result::Result<Self, String> {
        let root = match settings.folder.trim().trim_matches('/') {
            "" => String::new(),
            folder => format!("/{}", ObjectName::new(folder).map_err(|error| format!("folder: {error}"))?),
        };
        let endpoint = oauth::endpoint(settings.endpoint.as_deref())?;
        let secret = settings.client_secret.as_ref();
        let client = Client::new(PROVIDER, &settings.client_id, secret, endpoint.as_ref())?;
        let secrets = [secret, Some(&settings.refresh_token)].into_iter().flatten().cloned().collect();
        let way = Way { ca_file: settings.ca_file.as_deref(), proxy: settings.proxy.as_deref() };
        let http = Http::new(host, way, format!("Dropbox:{root}/"), secrets)?;
        let access = Access::new(client, http.clone(), settings.refresh_token, keep)?;
        let account = Account::new(http, access, endpoint.as_ref())?;
        Ok(Self { account, random: host.random.clone(), root, changing: Mutex::default() })
    }

    /// The path of an object or folder.
    fn path(&self, name: &ObjectName) -> String {
        format!("{}/{name}", self.root)
    }
}

#[async_trait]
impl Storage for Dropbox {
    async fn put(
        &self,
        name: &ObjectName,
        part: &SpooledPart<'_>,
        upload: &dyn Upload,
    ) -> Result<PutReceipt> {
        self.put_part(name, part, upload).await
    }

    async fn put_small(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        self.put_bytes(name, bytes).await
    }

    async fn replace(&self, name: &ObjectName, part: &SpooledPart<'_>) -> Result<PutReceipt> {
        self.replace_part(name, part).await
    }

    async fn replace_small(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        self.replace_bytes(name, bytes).await
    }

    async fn stat(&self, name: &ObjectName) -> Result<Option<ObjectFacts>> {
        let file = self.file("look at", name).await?;
        Ok(file.map(|file| ObjectFacts { name: name.clone(), size_bytes: file.size_bytes }))
    }

    async fn list(&self, folder: Option<&ObjectName>) -> Result<Vec<ObjectFacts>> {
        Ok(self.walk(folder).await?.objects)
    }

    async fn read_range(&self, name: &ObjectName, offset_bytes: u64, length_bytes: u64) -> Result<Vec<u8>> {
        self.read(name, offset_bytes, length_bytes).await
    }

    async fn delete(&self, name: &ObjectName) -> Result<()> {
        self.delete_file(name).await
    }

    /// Upload sessions cannot be listed or ended; nobody pays for them, and Dropbox forgets them after a week.
    async fn delete_leftovers(&self, folder: Option<&ObjectName>) -> Result<u64> {
        let found = self.walk(folder).await?;
        let mut count = 0;
        for facts in found.objects.iter().filter(|facts| probe::is_probe(&facts.name)) {
            self.delete_file(&facts.name).await?;
            count += 1;
        }
        self.remove_empty_folders(&found).await?;
        Ok(count)
    }

    async fn probe(&self, folder: Option<&ObjectName>) -> Result<Properties> {
        let place = self.account.http.place();
        let rights = probe::rights(self, place, folder, &*self.random).await?;
        let largest_object_bytes = Some(LARGEST_OBJECT_BYTES);
        Ok(Properties { largest_object_bytes, ..Properties::far(rights, true) })
    }

    async fn free_bytes(&self) -> Result<Option<u64>> {
        self.account.free_bytes().await
    }
}

#[cfg(test)]
mod tests;
