//! A folder in OneDrive, by Microsoft Graph. Data can be lost here.
//!
//! Protocol: the Graph v1.0 reference, resource `driveItem` with its pages on uploads, and the page on throttling. Items are
//! addressed by path; capital letters are not told from small ones, so what is found under a path may have another name, and
//! then is none of ours. Files appear when all their bytes are there, and a name that is taken is refused by the service itself.
//! Addresses that Graph names for bytes carry their own right: the token is never sent there.

mod failure;
mod folders;
mod graph;
mod quick_xor;
mod session;
mod upload;

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use backstock_host::{Host, Random};
use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use self::folders::Seen;
use self::graph::Graph;
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
    name: "onedrive",
    title: "OneDrive",
    schema: || schema_for!(OneDriveSettings),
    open,
    resumes: true,
    link: Some(link),
};

/// The largest file that OneDrive takes, in bytes.
const LARGEST_OBJECT_BYTES: u64 = 250 << 30;

/// The settings of a folder in OneDrive.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OneDriveSettings {
    /// The application (client) id of your own registration, from the Microsoft Entra admin center.
    client_id: String,
    /// The secret of that application, where it is registered as one that keeps secrets.
    client_secret: Option<Secret>,
    /// The refresh token that linking the account gave.
    refresh_token: Secret,
    /// Whose accounts may be linked: common, consumers, organizations, or the id or domain of one organization.
    #[serde(default = "default_tenant")]
    tenant: String,
    /// The folder in which everything is kept, steps joined by slashes; made when it is missing.
    #[serde(default = "default_folder")]
    folder: String,
    /// Whether that folder lies in the folder of the application, and the link gives the right to nothing else.
    #[serde(default)]
    app_folder: bool,
    /// Another address of the service, for tests and proxies.
    endpoint: Option<String>,
    /// A file of PEM certificates to trust beside the usual ones, as an absolute path.
    ca_file: Option<String>,
    /// The address of an HTTP proxy to go through.
    proxy: Option<String>,
}

/// What of them matters for linking.
#[derive(Debug, Deserialize)]
struct LinkSettings {
    #[serde(default = "default_tenant")]
    tenant: String,
    #[serde(default)]
    app_folder: bool,
}

fn default_tenant() -> String {
    "common".to_owned()
}

fn default_folder() -> String {
    "Backstock".to_owned()
}

/// How Microsoft's OAuth is: each renewal brings another refresh token.
fn provider(tenant: &str, app_folder: bool) -> std::result::Result<Provider, String> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.');
    if tenant.is_empty() || !tenant.chars().all(is_plain) {
        return Err("tenant: it is common, consumers, organizations, or an id or a domain".to_owned());
    }
    let address =
        |what: &str| Cow::Owned(format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/{what}"));
    Ok(Provider {
        name: "Microsoft",
        authorize_url: address("authorize"),
        token_url: address("token"),
        extra_query: &[],
        scopes: if app_folder {
            &["Files.ReadWrite.AppFolder", "offline_access"]
        } else {
            &["Files.ReadWrite", "offline_access"]
        },
        needs_secret: false,
        // Of `http://localhost`, the port is not compared.
        manner: LinkManner {
            redirect_host: "localhost",
            redirect_path: "",
            any_port: true,
            shows_code: false,
        },
        access_token_prefixes: &["eyJ", "EwA", "EwB", "EwC"],
    })
}

fn open(host: &Host, settings: &serde_json::Value, keep: Arc<dyn KeepSecrets>) -> Result<Arc<dyn Storage>> {
    Ok(Arc::new(onedrive(host, settings, keep)?))
}

fn link(host: &Host, settings: &serde_json::Value) -> Result<Link> {
    let fault = |problem: String| Error::Settings { kind: KIND.name, problem };
    let of_link = LinkSettings::deserialize(settings).map_err(|error| fault(error.to_string()))?;
    let provider = provider(&of_link.tenant, of_link.app_folder).map_err(fault)?;
    Link::new(host, KIND.name, provider, settings)
}

fn onedrive(host: &Host, settings: &serde_json::Value, keep: Arc<dyn KeepSecrets>) -> Result<OneDrive> {
    let fault = |problem: String| Error::Settings { kind: KIND.name, problem };
    let settings = OneDriveSettings::deserialize(settings).map_err(|error| fault(error.to_string()))?;
    OneDrive::new(host, settings, keep).map_err(fault)
}

/// A storage in a folder.
#[derive(Debug)]
struct OneDrive {
    graph: Graph,
    /// The folder in which everything is kept.
    base: ObjectName,
    seen: Seen,
    random: Arc<dyn Random>,
}

impl OneDrive {
    fn new(
        host: &Host,
        settings: OneDriveSettings,
        keep: Arc<dyn KeepSecrets>,
    ) -> std::result::Result<Self, String> {
        let base = ObjectName::new(settings.folder.trim_matches('/'));
        let base = base.map_err(|error| format!("folder: {error}"))?;
        if let Some(fault) = folders::fault_of(&base) {
            return Err(format!("folder: {fault}"));
        }
        let endpoint = oauth::endpoint(settings.endpoint.as_deref())?;
        let provider = provider(&settings.tenant, settings.app_folder)?;
        let secret = settings.client_secret.as_ref();
        let client = Client::new(provider, &settings.client_id, secret, endpoint.as_ref())?;
        let secrets = secret.into_iter().chain([&settings.refresh_token]).cloned().collect();
        let way = Way { ca_file: settings.ca_file.as_deref(), proxy: settings.proxy.as_deref() };
        let http = Http::new(host, way, format!("OneDrive, folder {base}"), secrets)?;
        let access = Access::new(client, http.clone(), settings.refresh_token, keep)?;
        let graph = Graph::new(
            Account { http, access, refusal: failure::refusal },
            endpoint.as_ref(),
            settings.app_folder,
        )?;
        Ok(Self { graph, base, seen: Seen::default(), random: host.random.clone() })
    }

    fn conflict(&self, name: &ObjectName) -> Error {
        Error::Conflict { name: name.clone(), place: self.graph.http().place().to_owned() }
    }
}

#[async_trait]
impl Storage for OneDrive {
    async fn put(
        &self,
        name: &ObjectName,
        part: &SpooledPart<'_>,
        upload: &dyn Upload,
    ) -> Result<PutReceipt> {
        let content = Content::of_part(self.graph.http(), name, part).await?;
        self.put_content(&content, upload).await.map(PutReceipt::new)
    }

    async fn put_small(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        self.put_content(&Content::of_memory(name, bytes)?, &InOneGo).await.map(drop)
    }

    async fn replace(&self, name: &ObjectName, part: &SpooledPart<'_>) -> Result<PutReceipt> {
        let content = Content::of_part(self.graph.http(), name, part).await?;
        self.replace_content(&content).await.map(PutReceipt::new)
    }

    async fn replace_small(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        self.replace_content(&Content::of_memory(name, bytes)?).await.map(drop)
    }

    async fn stat(&self, name: &ObjectName) -> Result<Option<ObjectFacts>> {
        let item = self.file(Act { verb: "look at", name: name.as_str() }, name).await?;
        Ok(item.map(|item| ObjectFacts { name: name.clone(), size_bytes: item.size_bytes() }))
    }

    async fn list(&self, folder: Option<&ObjectName>) -> Result<Vec<ObjectFacts>> {
        self.list_objects(folder).await
    }

    async fn read_range(&self, name: &ObjectName, offset_bytes: u64, length_bytes: u64) -> Result<Vec<u8>> {
        Error::expect_at_most(name, length_bytes, RANGE_LIMIT_BYTES)?;
        let act = Act { verb: "read", name: name.as_str() };
        let not_found =
            || Error::NotFound { name: name.clone(), place: self.graph.http().place().to_owned() };
        let item = self.file(act, name).await?.ok_or_else(not_found)?;
        let wanted = item.size_bytes().saturating_sub(offset_bytes).min(length_bytes);
        if wanted == 0 {
            return Ok(Vec::new());
        }
        self.graph.read(act, &item.id, offset_bytes, wanted).await?.ok_or_else(not_found)
    }

    async fn delete(&self, name: &ObjectName) -> Result<()> {
        let act = Act { verb: "delete", name: name.as_str() };
        let Some(item) = self.file(act, name).await? else { return Ok(()) };
        self.graph.delete(act, &item.id).await?;
        self.remove_empty_folders_above(name).await
    }

    async fn delete_leftovers(&self, folder: Option<&ObjectName>) -> Result<u64> {
        self.sweep(folder).await
    }

    async fn probe(&self, folder: Option<&ObjectName>) -> Result<Properties> {
        let place = self.graph.http().place();
        let rights = probe::rights(self, place, folder, &*self.random).await?;
        let largest_object_bytes = Some(LARGEST_OBJECT_BYTES);
        Ok(Properties { largest_object_bytes, ..Properties::far(rights, true) })
    }

    async fn free_bytes(&self) -> Result<Option<u64>> {
        self.graph.free_bytes().await
    }
}

#[cfg(test)]
mod tests;
