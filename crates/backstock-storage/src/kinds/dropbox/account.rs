//! Calls to the service: arguments in JSON, in the body or in a header, with a token that is renewed when it must be.

use std::fmt::Write as _;

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::refusal::Refusal;
use crate::http::{Act, Answer, Http, Piece};
use crate::oauth::{Access, moved};
use crate::{Cause, Error, Result, Secret, Upload};

/// The longest answer that is no list, in bytes.
const ANSWER_LIMIT_BYTES: usize = 1 << 20;
/// The longest page of a list, in bytes: 2,000 entries of the longest names.
const PAGE_LIMIT_BYTES: usize = 32 << 20;
/// The longest answer that tells what is wrong, in bytes.
const REFUSAL_LIMIT_BYTES: usize = 64 << 10;
/// The header that carries arguments.
const ARGUMENTS: &str = "dropbox-api-arg";
/// The header that carries results beside the bytes of a file.
const RESULT: &str = "dropbox-api-result";

/// An answer, or what the service refused.
pub(super) type Told<T> = Result<std::result::Result<T, Refusal>>;

/// What goes into the body of an upload.
#[derive(Clone, Copy)]
pub(super) enum Content<'a> {
    Bytes(&'a [u8]),
    Piece(Piece<'a>, &'a dyn Upload),
}

/// An account, as an application sees it.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) http: Http,
    access: Access,
    api: Url,
    content: Url,
}

/// What the service tells of a file or folder.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Metadata {
    /// `file` or `folder`; not told where it can only be a file.
    #[serde(rename = ".tag")]
    pub(super) tag: Option<String>,
    pub(super) name: String,
    pub(super) path_lower: Option<String>,
    pub(super) rev: Option<String>,
    pub(super) size: Option<u64>,
    pub(super) content_hash: Option<String>,
}

/// The room of an account: `users/get_space_usage`.
#[derive(Debug, Deserialize)]
struct Space {
    used: u64,
    allocation: Allocation,
}

#[derive(Debug, Deserialize)]
struct Allocation {
    allocated: Option<u64>,
    /// What the whole team uses.
    used: Option<u64>,
    /// What this member may use of that; 0 is no limit.
    user_within_team_space_allocated: Option<u64>,
}

impl Account {
    pub(super) fn new(
        http: Http,
        access: Access,
        endpoint: Option<&Url>,
    ) -> std::result::Result<Self, String> {
        let api = moved("https://api.dropboxapi.com/2/", endpoint)?;
        let content = moved("https://content.dropboxapi.com/2/", endpoint)?;
        Ok(Self { http, access, api, content })
    }

    fn request(&self, base: &Url, route: &str, token: &Secret) -> RequestBuilder {
        let mut url = base.clone();
        url.set_path(&format!("{}{route}", base.path()));
        self.http.request(Method::POST, url).bearer_auth(token.expose())
    }

    /// Calls a function with arguments in the body.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        act: Act<'_>,
        route: &str,
        arguments: &Value,
    ) -> Told<T> {
        let body = arguments.to_string();
        let answer = self.access.authorized(|token| {
            let request = self.request(&self.api, route, &token).header(CONTENT_TYPE, "application/json");
            let request = request.body(body.clone());
            async move { self.http.send_patiently(act, request).await }
        });
        match self.sort_out(act, answer.await?).await? {
            Ok(answer) => {
                let bytes = self.http.read(act, answer, PAGE_LIMIT_BYTES).await?;
                self.understand(act, &bytes).map(Ok)
            }
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// Calls a function that takes bytes, with the arguments in a header.
    pub(super) async fn upload<T: DeserializeOwned>(
        &self,
        act: Act<'_>,
        route: &str,
        arguments: &Value,
        content: Content<'_>,
    ) -> Told<T> {
        let arguments = header_safe(arguments);
        let answer = self.access.authorized(|token| {
            let request = self.request(&self.content, route, &token).header(ARGUMENTS, &arguments);
            let request = request.header(CONTENT_TYPE, "application/octet-stream");
            async move {
                match content {
                    Content::Bytes(bytes) => {
                        let request = request.header(CONTENT_LENGTH, bytes.len()).body(bytes.to_vec());
                        self.http.send_patiently(act, request).await
                    }
                    Content::Piece(piece, upload) => self.http.send_piece(act, request, piece, upload).await,
                }
            }
        });
        match self.sort_out(act, answer.await?).await? {
            Ok(answer) => {
                let bytes = self.http.read(act, answer, ANSWER_LIMIT_BYTES).await?;
                self.understand(act, &bytes).map(Ok)
            }
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// Asks for a range of a file; with it comes what the service tells of the file.
    pub(super) async fn download(&self, act: Act<'_>, path: &str, range: &str) -> Told<(Answer, Metadata)> {
        let arguments = header_safe(&json!({ "path": path }));
        let answer = self.access.authorized(|token| {
            let request = self.request(&self.content, "files/download", &token).header(ARGUMENTS, &arguments);
            let request = request.header("range", range).header(CONTENT_LENGTH, 0);
            async move { self.http.send(act, request).await }
        });
        match self.sort_out(act, answer.await?).await? {
            Ok(answer) => {
                let told = answer.header(RESULT).unwrap_or_default().as_bytes().to_vec();
                let metadata = self.understand(act, &told)?;
                Ok(Ok((answer, metadata)))
            }
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// Bytes that may still be stored; untold where the application may not ask.
    pub(super) async fn free_bytes(&self) -> Result<Option<u64>> {
        let act = Act { verb: "ask for the free space of", name: "" };
        let space: Space = match self.call(act, "users/get_space_usage", &Value::Null).await? {
            Ok(space) => space,
            Err(refusal) if refusal.cause() == Cause::Denied => return Ok(None),
            Err(refusal) => return Err(refusal.into_error(&self.http, act)),
        };
        Ok(space.free_bytes())
    }

    /// Reads what an answer refuses, where it does.
    async fn sort_out(&self, act: Act<'_>, answer: Answer) -> Told<Answer> {
        if answer.status().is_success() {
            return Ok(Ok(answer));
        }
        let refusal = Refusal::of_head(&self.http, &answer);
        // A refusal whose text cannot be read is a refusal still.
        let body = self.http.read(act, answer, REFUSAL_LIMIT_BYTES).await.unwrap_or_default();
        Ok(Err(refusal.with_body(&body)))
    }

    fn understand<T: DeserializeOwned>(&self, act: Act<'_>, bytes: &[u8]) -> Result<T> {
        serde_json::from_slice(bytes).map_err(|error| self.garbled(act, &error))
    }

    fn garbled(&self, act: Act<'_>, error: &serde_json::Error) -> Error {
        // Where it is cut off, the next try may go well; otherwise it speaks of something else than we asked for.
        let cause = if error.is_data() { Cause::Unexpected } else { Cause::Garbled };
        self.http.refused(act, cause, &format!("its answer cannot be read: {error}"), None)
    }
}

impl Space {
    fn free_bytes(&self) -> Option<u64> {
        let allocation = &self.allocation;
        let free = allocation.allocated?.saturating_sub(allocation.used.unwrap_or(self.used));
        let own = allocation.user_within_team_space_allocated.filter(|own| *own > 0);
        Some(own.map_or(free, |own| free.min(own.saturating_sub(self.used))))
    }
}

/// Arguments as a header may carry them: what is not ASCII, and DEL, is written as JSON's escapes.
fn header_safe(arguments: &Value) -> String {
    let mut safe = String::new();
    for character in arguments.to_string().chars() {
        if character.is_ascii() && character != '\u{7f}' {
            safe.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_go_into_a_header_and_mean_the_same() {
        let arguments = json!({ "path": "/ü/😀/a\u{7f}\"\\\n" });
        let safe = header_safe(&arguments);
        assert!(safe.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{safe}");
        assert_eq!(serde_json::from_str::<Value>(&safe).unwrap(), arguments);
    }

    #[test]
    fn the_room_is_that_of_the_account_and_of_the_member() {
        for (told, free) in [
            (r#"{"used": 30, "allocation": {".tag": "individual", "allocated": 100}}"#, Some(70)),
            (r#"{"used": 130, "allocation": {".tag": "individual", "allocated": 100}}"#, Some(0)),
            (
                r#"{"used": 30, "allocation": {".tag": "team", "used": 90, "allocated": 100, "user_within_team_space_allocated": 0}}"#,
                Some(10),
            ),
            (
                r#"{"used": 30, "allocation": {".tag": "team", "used": 40, "allocated": 100, "user_within_team_space_allocated": 35}}"#,
                Some(5),
            ),
            (r#"{"used": 30, "allocation": {".tag": "other"}}"#, None),
        ] {
            assert_eq!(serde_json::from_str::<Space>(told).unwrap().free_bytes(), free, "{told}");
        }
    }
}
