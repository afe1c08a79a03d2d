//! A folder on a WebDAV server (RFC 4918): Nextcloud, Yandex Disk, Apache, nginx and others. Data can be lost here.
//!
//! Only what all of them do is asked for: no locks, no listing deeper than one folder, no parents that make themselves. An
//! upload that was cut off begins anew, since the protocol knows no other way.

mod answers;

use std::sync::Arc;

use async_trait::async_trait;
use backstock_host::{Host, hex};
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use schemars::{JsonSchema, schema_for};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::Kind;
use crate::http::{Act, Answer, Http, Way};
use crate::remote_tree::{Entry, EntryKind, Progress, RemoteTree, TreeStorage};
use crate::source::Source;
use crate::{Cause, Error, KeepSecrets, Result, Secret, Storage};

pub(super) const KIND: Kind = Kind {
    name: "webdav",
    title: "WebDAV server",
    schema: || schema_for!(WebDavSettings),
    open,
    resumes: false,
    link: None,
};

/// The longest listing of one folder that is read, in bytes: some ten thousand entries.
const LISTING_LIMIT_BYTES: usize = 32 << 20;
/// What is asked about a name.
const WANTED: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?><propfind xmlns=\"DAV:\"><prop><getcontentlength/>\
                      <resourcetype/></prop></propfind>";
/// What is asked about the room that is left (RFC 4331).
const WANTED_ROOM: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?><propfind xmlns=\"DAV:\"><prop>\
                           <quota-available-bytes/></prop></propfind>";

/// The settings of a folder on a WebDAV server.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WebDavSettings {
    /// The address of the folder, such as https://cloud.example.com/remote.php/dav/files/me/backups.
    url: String,
    /// The user to sign in as.
    user: Option<String>,
    /// The password of that user; where the server has them, one made for this program alone.
    password: Option<Secret>,
    /// A token to sign in with instead of user and password.
    token: Option<Secret>,
    /// Whether an address without encryption may be used: everybody on the way then reads the password.
    #[serde(default)]
    without_encryption: bool,
    /// A file of PEM certificates to trust beside the usual ones, as an absolute path.
    ca_file: Option<String>,
    /// The address of an HTTP proxy to go through.
    proxy: Option<String>,
}

fn open(host: &Host, settings: &serde_json::Value, _keep: Arc<dyn KeepSecrets>) -> Result<Arc<dyn Storage>> {
    let tree = web_dav(host, settings)?;
    Ok(Arc::new(TreeStorage { host: host.clone(), tree }))
}

fn web_dav(host: &Host, settings: &serde_json::Value) -> Result<WebDav> {
    let fault = |problem: String| Error::Settings { kind: KIND.name, problem };
    let settings = WebDavSettings::deserialize(settings).map_err(|error| fault(error.to_string()))?;
    WebDav::new(host, settings).map_err(fault)
}

/// A folder on a server.
#[derive(Debug)]
struct WebDav {
    http: Http,
    random: Arc<dyn backstock_host::Random>,
    /// The address of the folder; its path ends with a slash.
    folder: Url,
    user: Option<String>,
    password: Option<Secret>,
    token: Option<Secret>,
    making_folders: Mutex<()>,
}

impl WebDav {
    fn new(host: &Host, settings: WebDavSettings) -> std::result::Result<Self, String> {
        let mut folder = Url::parse(settings.url.trim()).map_err(|error| format!("url: {error}"))?;
        let is_loopback = matches!(folder.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
            || settings.without_encryption;
        match folder.scheme() {
            "https" => {}
            "http" if is_loopback => {}
            "http" => return Err("url: it is not encrypted (without_encryption allows that)".to_owned()),
            _ => return Err("url: it begins with https://".to_owned()),
        }
        if !folder.username().is_empty() || folder.password().is_some() {
            return Err("url: user and password are settings of their own".to_owned());
        }
        folder.set_query(None);
        folder.set_fragment(None);
        if !folder.path().ends_with('/') {
            let path = format!("{}/", folder.path());
            folder.set_path(&path);
        }
        if settings.token.is_some() && (settings.user.is_some() || settings.password.is_some()) {
            return Err("token: it takes the place of user and password".to_owned());
        }
        let secrets = [&settings.password, &settings.token].into_iter().flatten().cloned().collect();
        let way = Way { ca_file: settings.ca_file.as_deref(), proxy: settings.proxy.as_deref() };
        let http = Http::new(host, way, folder.to_string(), secrets)?;
        let WebDavSettings { user, password, token, .. } = settings;
        let making_folders = Mutex::new(());
        Ok(Self { http, random: host.random.clone(), folder, user, password, token, making_folders })
    }

    /// The address of a file or, with a slash at its end, of a folder.
    fn url(&self, path: &str, is_folder: bool) -> Url {
        let mut url = self.folder.clone();
        if let Ok(mut steps) = url.path_segments_mut() {
            steps.pop_if_empty();
            steps.extend(path.split('/').filter(|step| !step.is_empty()));
            if is_folder || path.is_empty() {
                steps.push("");
            }
        }
        url
    }

    fn request(&self, method: &str, url: Url) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap_or(Method::GET);
        let request = self.http.request(method, url);
        match (&self.token, &self.user) {
            (Some(token), _) => request.bearer_auth(token.expose()),
            (None, Some(user)) => request.basic_auth(user, self.password.as_ref().map(Secret::expose)),
            (None, None) => request,
        }
    }

    /// Asks for the properties of a name, and of what is in it with `depth` 1. Nothing where there is no such name.
    async fn properties(
        &self,
        act: Act<'_>,
        url: &Url,
        depth: u8,
        wanted: &'static str,
    ) -> Result<Option<Vec<u8>>> {
        let request = self.request("PROPFIND", url.clone()).header("depth", depth.to_string());
        let request = request.header("content-type", "application/xml; charset=utf-8").body(wanted);
        let answer = self.http.send(act, request).await?;
        match answer.status() {
            StatusCode::MULTI_STATUS => self.http.read(act, answer, LISTING_LIMIT_BYTES).await.map(Some),
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(None),
            _ => Err(self.refusal(act, answer).await),
        }
    }

    async fn expect_success(&self, act: Act<'_>, answer: Answer) -> Result<()> {
        // Several statuses in one: some of it failed, and that is told for what failed only.
        if answer.status().is_success() && answer.status() != StatusCode::MULTI_STATUS {
            return Ok(());
        }
        Err(self.refusal(act, answer).await)
    }

    async fn move_to(&self, act: Act<'_>, from: Url, to: &Url, replaces: bool) -> Result<()> {
        let request = self.request("MOVE", from).header("destination", to.as_str());
        let request = request.header("overwrite", if replaces { "T" } else { "F" });
        let answer = self.http.send_patiently(act, request).await?;
        self.expect_success(act, answer).await
    }
}

#[async_trait]
impl RemoteTree for WebDav {
    fn place(&self) -> &str {
        self.http.place()
    }

    async fn look(&self, path: &str) -> Result<Option<Entry>> {
        let act = Act { verb: "look at", name: path };
        let url = self.url(path, false);
        let Some(body) = self.properties(act, &url, 0, WANTED).await? else { return Ok(None) };
        Ok(self.entries_of(act, &body)?.into_iter().next().map(|(_, entry)| entry))
    }

    async fn entries(&self, folder: &str) -> Result<Vec<Entry>> {
        let act = Act { verb: "list", name: folder };
        let url = self.url(folder, true);
        let Some(body) = self.properties(act, &url, 1, WANTED).await? else { return Ok(Vec::new()) };
        let own = answers::steps_of(url.path());
        let entries = self.entries_of(act, &body)?.into_iter();
        Ok(entries.filter(|(steps, _)| *steps != own).map(|(_, entry)| entry).collect())
    }

    async fn make_folder(&self, path: &str) -> Result<()> {
        let act = Act { verb: "make the folder", name: path };
        // Apache answers 403 to all but the first of several who make one folder at once.
        let _one_at_a_time = self.making_folders.lock().await;
        let answer = self.http.send(act, self.request("MKCOL", self.url(path, true))).await?;
        // That is how servers say that there is one.
        if answer.status() == StatusCode::METHOD_NOT_ALLOWED {
            return Ok(());
        }
        let Err(refused) = self.expect_success(act, answer).await else { return Ok(()) };
        // Another machine may have been the first.
        match self.look(path).await {
            Ok(Some(Entry { kind: EntryKind::Folder, .. })) => Ok(()),
            _ => Err(refused),
        }
    }

    /// A server deletes a folder with all that is in it. So it is moved aside first: what somebody put there between our
    /// look and that is seen then, and comes back.
    async fn remove_folder(&self, path: &str) -> Result<()> {
        let act = Act { verb: "remove the folder", name: path };
        let is_used = || self.http.refused(act, Cause::Denied, "it is not empty", None);
        if path.is_empty() || !self.entries(path).await?.is_empty() {
            return Err(is_used());
        }
        let mut mark = [0; 4];
        self.random.fill(&mut mark);
        let (above, step) = path.rsplit_once('/').unwrap_or(("", path));
        let aside = format!("{above}/.{step}.{}.empty", hex::encode(&mark));
        let (here, there) = (self.url(path, true), self.url(&aside, true));
        self.move_to(act, here.clone(), &there, false).await?;
        if !self.entries(&aside).await?.is_empty() {
            self.move_to(act, there, &here, false).await?;
            return Err(is_used());
        }
        let answer = self.http.send(act, self.request("DELETE", there)).await?;
        self.expect_success(act, answer).await
    }

    async fn remove_file(&self, path: &str) -> Result<()> {
        let act = Act { verb: "delete", name: path };
        let answer = self.http.send(act, self.request("DELETE", self.url(path, false))).await?;
        if matches!(answer.status(), StatusCode::NOT_FOUND | StatusCode::GONE) {
            return Ok(());
        }
        self.expect_success(act, answer).await
    }

    async fn rename(&self, from: &str, to: &str, replaces: bool) -> Result<()> {
        let act = Act { verb: "give its name to", name: to };
        self.move_to(act, self.url(from, false), &self.url(to, false), replaces).await
    }

    async fn can_resume(&self) -> Result<bool> {
        Ok(false)
    }

    async fn write(&self, path: &str, source: &mut Source, progress: &Progress<'_>) -> Result<()> {
        let act = Act { verb: "write", name: path };
        let length_bytes = source.size_bytes();
        let request = self.request("PUT", self.url(path, false));
        let answer = self.http.send_source(act, request, source, progress).await?;
        self.expect_success(act, answer).await?;
        if source.position() < length_bytes {
            return Err(self.http.refused(
                act,
                Cause::Garbled,
                "it answered before everything was sent",
                None,
            ));
        }
        progress.reached(length_bytes, length_bytes)
    }

    async fn read(&self, path: &str, offset_bytes: u64, length_bytes: u64) -> Result<Vec<u8>> {
        let act = Act { verb: "read", name: path };
        let last = offset_bytes.saturating_add(length_bytes.saturating_sub(1));
        let request = self.request("GET", self.url(path, false));
        let answer =
            self.http.send(act, request.header("range", format!("bytes={offset_bytes}-{last}"))).await?;
        match answer.status() {
            status if status.is_success() => {
                self.http.read_range_of(act, answer, offset_bytes, length_bytes).await
            }
            StatusCode::RANGE_NOT_SATISFIABLE => Ok(Vec::new()),
            _ => Err(self.refusal(act, answer).await),
        }
    }

    async fn free_bytes(&self) -> Result<Option<u64>> {
        let act = Act { verb: "ask for the free space of", name: "" };
        let Some(body) = self.properties(act, &self.folder, 0, WANTED_ROOM).await? else { return Ok(None) };
        self.room_of(act, &body)
    }
}

#[cfg(test)]
mod tests;
