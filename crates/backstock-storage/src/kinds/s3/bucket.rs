//! The bucket: its address, its keys, how its requests are signed and sent.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use backstock_host::Host;
use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, RequestBuilder, Url};
use rusty_s3::UrlStyle;
use rusty_s3::signing::sign;

use super::S3Settings;
use super::failure::{CLOCK_TOLERANCE_SECONDS, Refusal};
use super::lock::LockMode;
use super::versions::Versions;
use crate::http::{Act, Answer, Http, Way};
use crate::{ObjectName, Result, Secret};

/// How long a signed address is good, in seconds. The server looks when the request begins; so long may a clock lag behind.
const SIGNED_SECONDS: u64 = 60 * 60;
/// Bytes of an answer that tells what is wrong.
const REFUSAL_LIMIT_BYTES: usize = 64 << 10;

/// A bucket, or a folder of it.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) http: Http,
    address: rusty_s3::Bucket,
    access_key_id: String,
    secret_access_key: Secret,
    session_token: Option<Secret>,
    pub(super) storage_class: Option<String>,
    /// What the keys of all objects begin with: nothing, or something that ends with a slash.
    pub(super) prefix: String,
    /// How far the server's clock is ahead of ours, in seconds, where it has refused ours (F87).
    clock_offset_seconds: AtomicI64,
    /// Whether anything was ever seen in the bucket: then what is missing is an object, not the bucket.
    pub(super) was_seen: AtomicBool,
    /// How objects are locked, where the settings ask for it.
    pub(super) lock: Option<LockMode>,
    pub(super) versions: Versions,
}

/// One request to be.
#[derive(Debug, Clone)]
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// The key of the object; none is the bucket itself.
    pub(super) key: Option<&'a str>,
    /// What stands behind the question mark.
    pub(super) query: Vec<(&'static str, String)>,
    /// Headers that are signed: their names in small letters.
    pub(super) headers: Vec<(&'static str, String)>,
}

impl<'a> Call<'a> {
    pub(super) fn object(method: Method, key: &'a str) -> Self {
        Self { method, key: Some(key), query: Vec::new(), headers: Vec::new() }
    }

    pub(super) fn bucket(query: Vec<(&'static str, String)>) -> Self {
        Self { method: Method::GET, key: None, query, headers: Vec::new() }
    }

    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Bucket {
    pub(super) fn new(host: &Host, settings: &S3Settings) -> std::result::Result<Self, String> {
        let prefix = match settings.prefix.trim_matches('/') {
            "" => String::new(),
            // The rules for names keep steps like `..` out, which addresses would swallow.
            prefix => format!("{}/", ObjectName::new(prefix).map_err(|error| format!("prefix: {error}"))?),
        };
        let endpoint = settings.endpoint.trim();
        let endpoint =
            if endpoint.contains("://") { endpoint.to_owned() } else { format!("https://{endpoint}") };
        let endpoint = Url::parse(&endpoint).map_err(|error| format!("endpoint: {error}"))?;
        let style = if settings.path_style { UrlStyle::Path } else { UrlStyle::VirtualHost };
        let (bucket, region) = (settings.bucket.clone(), settings.region.clone());
        if bucket.is_empty() || bucket.contains('/') || bucket.starts_with('.') {
            return Err("bucket: it is the name of a bucket, without slashes".to_owned());
        }
        let host_name = endpoint.host_str().unwrap_or_default().to_owned();
        let address = rusty_s3::Bucket::new(endpoint, style, bucket, region)
            .map_err(|error| format!("endpoint: {error}"))?;
        let place = format!("s3://{}/{prefix} at {host_name}", settings.bucket);
        let way = Way { ca_file: settings.ca_file.as_deref(), proxy: settings.proxy.as_deref() };
        let secrets = [Some(&settings.secret_access_key), settings.session_token.as_ref()];
        let http = Http::new(host, way, place, secrets.into_iter().flatten().cloned().collect())?;
        Ok(Self {
            http,
            address,
            access_key_id: settings.access_key_id.clone(),
            secret_access_key: settings.secret_access_key.clone(),
            session_token: settings.session_token.clone(),
            storage_class: settings.storage_class.clone().filter(|class| !class.is_empty()),
            prefix,
            clock_offset_seconds: AtomicI64::new(0),
            was_seen: AtomicBool::new(false),
            lock: settings.lock,
            versions: Versions::default(),
        })
    }

    /// The key of an object.
    pub(super) fn key(&self, name: &ObjectName) -> String {
        format!("{}{name}", self.prefix)
    }

    /// What the keys of all objects below a folder begin with.
    pub(super) fn keys_below(&self, folder: Option<&ObjectName>) -> String {
        folder.map_or_else(|| self.prefix.clone(), |folder| format!("{}{folder}/", self.prefix))
    }

    /// A request that is signed now. It must be sent soon.
    pub(super) fn signed(&self, call: Call<'_>) -> RequestBuilder {
        let Call { method, key, mut query, mut headers } = call;
        let url = match key {
            Some(key) => self.address.object_url(key),
            None => self.address.base_url().clone(),
        };
        query.sort();
        headers.sort();
        let url = sign(
            &self.server_time(),
            signed_method(&method),
            url,
            &self.access_key_id,
            self.secret_access_key.expose(),
            self.session_token.as_ref().map(Secret::expose),
            self.address.region(),
            SIGNED_SECONDS,
            query.iter().map(|(name, value)| (*name, value.as_str())),
            headers.iter().map(|(name, value)| (*name, value.as_str())),
        );
        let request = self.http.request(method, url);
        headers.into_iter().fold(request, |request, (name, value)| request.header(name, value))
    }

    /// The time by the server's clock, as far as it is known; to the second.
    fn server_time(&self) -> Timestamp {
        let offset = SignedDuration::from_secs(self.clock_offset_seconds.load(Ordering::Relaxed));
        let now = self.http.now();
        now.checked_add(offset).unwrap_or(now)
    }

    /// Signs by the server's clock from now on, where it has refused a request for ours; whether that is new.
    fn learn_time(&self, refusal: &Refusal) -> bool {
        let Some(ahead_seconds) = refusal.clock_ahead_seconds() else { return false };
        let before = self.clock_offset_seconds.swap(-ahead_seconds, Ordering::Relaxed);
        let is_new = (before + ahead_seconds).abs() > CLOCK_TOLERANCE_SECONDS;
        if is_new {
            let place = self.http.place();
            tracing::warn!(
                "the clock of this machine is wrong: it is {} that of {place}; requests are signed by the time of that server",
                refusal.clock_difference()
            );
        }
        is_new
    }

    /// Sends a request without a body; what is not a success comes back as what was refused.
    pub(super) async fn ask(
        &self,
        act: Act<'_>,
        call: Call<'_>,
    ) -> Result<std::result::Result<Answer, Refusal>> {
        let answer = self.http.send(act, self.signed(call.clone())).await?;
        match self.sort_out(act, answer).await? {
            Err(refusal) if refusal.has_taught_time => {
                let answer = self.http.send(act, self.signed(call)).await?;
                self.sort_out(act, answer).await
            }
            other => Ok(other),
        }
    }

    /// Reads what an answer refuses, where it does. One that is refused for our clock may be tried again.
    pub(super) async fn sort_out(
        &self,
        act: Act<'_>,
        answer: Answer,
    ) -> Result<std::result::Result<Answer, Refusal>> {
        if answer.status().is_success() {
            return Ok(Ok(answer));
        }
        let refusal = Refusal::of_head(&self.http, &answer);
        // A refusal whose text cannot be read is a refusal still.
        let body = self.http.read(act, answer, REFUSAL_LIMIT_BYTES).await.unwrap_or_default();
        let mut refusal = refusal.with_body(&body);
        refusal.signed_ahead_seconds = self.clock_offset_seconds.load(Ordering::Relaxed);
        refusal.has_taught_time = self.learn_time(&refusal);
        Ok(Err(refusal))
    }
}

fn signed_method(method: &Method) -> rusty_s3::Method {
    match method.as_str() {
        "HEAD" => rusty_s3::Method::Head,
        "POST" => rusty_s3::Method::Post,
        "PUT" => rusty_s3::Method::Put,
        "DELETE" => rusty_s3::Method::Delete,
        _ => rusty_s3::Method::Get,
    }
}
