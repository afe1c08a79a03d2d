//! An account with a cloud: calls that carry its token, answers in JSON, refusals with what they say.

use bytes::Bytes;
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde::de::DeserializeOwned;

use crate::http::{Act, Answer, Http};
use crate::oauth::Access;
use crate::{Cause, Error, Result};

mod refusal;

pub(crate) use refusal::Refusal;

/// The longest answer in JSON that is read, in bytes: one page of a list, with long names.
const JSON_LIMIT_BYTES: usize = 8 << 20;
/// The longest text that tells what is wrong, in bytes.
const REFUSAL_LIMIT_BYTES: usize = 64 << 10;

/// An account, and the way to it.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) http: Http,
    pub(crate) access: Access,
    /// How the service says what it refuses.
    pub(crate) refusal: fn(Told) -> Refusal,
}

/// One request to be, short enough to be sent twice.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    method: Method,
    url: Url,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl Call {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: Vec::new(), body: Bytes::new() }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(self, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self.header("content-type", content_type) }
    }

    pub(crate) fn json(self, value: &serde_json::Value) -> Self {
        self.body("application/json; charset=UTF-8", value.to_string())
    }

    /// It as a request, without a token.
    pub(crate) fn request(&self, http: &Http) -> RequestBuilder {
        let request = http.request(self.method.clone(), self.url.clone());
        let request =
            self.headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        match self.method {
            Method::GET | Method::DELETE => request,
            // A length is stated even where there is nothing: servers refuse the rest.
            _ => request.header("content-length", self.body.len()).body(self.body.clone()),
        }
    }
}

/// An answer, or what the service refused.
pub(crate) type Asked = std::result::Result<Answer, Refusal>;

/// An answer that is no success: what its head and the words of its body tell.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: StatusCode,
    pub(crate) retry_after_seconds: Option<u64>,
    /// The body, where it is JSON.
    pub(crate) json: Option<serde_json::Value>,
    /// The body, where it is plain text.
    pub(crate) text: String,
}

impl Account {
    /// Sends a call with the account's token, and once more with a new one where that is not accepted.
    pub(crate) async fn call(&self, act: Act<'_>, call: &Call) -> Result<Answer> {
        let send = |token: crate::Secret| async move {
            let request = call.request(&self.http).bearer_auth(token.expose());
            self.http.send_patiently(act, request).await
        };
        self.access.authorized(send).await
    }

    /// Sends a call; what is no success comes back as what was refused.
    pub(crate) async fn ask(&self, act: Act<'_>, call: &Call) -> Result<Asked> {
        let answer = self.call(act, call).await?;
        self.sort_out(act, answer).await
    }

    /// Reads what an answer refuses, where it does.
    pub(crate) async fn sort_out(&self, act: Act<'_>, answer: Answer) -> Result<Asked> {
        if answer.status().is_success() {
            return Ok(Ok(answer));
        }
        Ok(Err(self.refused(act, answer).await))
    }

    /// Reads what an answer refuses that is no success.
    pub(crate) async fn refused(&self, act: Act<'_>, answer: Answer) -> Refusal {
        (self.refusal)(self.told(act, answer).await)
    }

    /// What was refused, as one of our errors.
    pub(crate) fn fail(&self, act: Act<'_>, refusal: Refusal) -> Error {
        refusal.into_error(&self.http, act)
    }

    /// An answer that is a success; anything else is an error.
    pub(crate) async fn expect(&self, act: Act<'_>, call: &Call) -> Result<Answer> {
        self.ask(act, call).await?.map_err(|refusal| self.fail(act, refusal))
    }

    /// An answer that says what is there, or that nothing is.
    pub(crate) async fn if_there(&self, act: Act<'_>, call: &Call) -> Result<Option<Answer>> {
        match self.ask(act, call).await? {
            Ok(answer) => Ok(Some(answer)),
            Err(refusal) if refusal.is_missing() => Ok(None),
            Err(refusal) => Err(self.fail(act, refusal)),
        }
    }

    /// The same, read.
    pub(crate) async fn json_if_there<T: DeserializeOwned>(
        &self,
        act: Act<'_>,
        call: &Call,
    ) -> Result<Option<T>> {
        match self.if_there(act, call).await? {
            Some(answer) => self.json(act, answer).await.map(Some),
            None => Ok(None),
        }
    }

    /// Reads an answer in JSON.
    pub(crate) async fn json<T: DeserializeOwned>(&self, act: Act<'_>, answer: Answer) -> Result<T> {
        let body = self.http.read(act, answer, JSON_LIMIT_BYTES).await?;
        serde_json::from_slice(&body).map_err(|error| {
            let problem = format!("its answer is not what the protocol says: {error}");
            self.http.refused(act, Cause::Garbled, &problem, None)
        })
    }

    /// Reads what an answer tells that is no success.
    async fn told(&self, act: Act<'_>, answer: Answer) -> Told {
        let (status, retry_after_seconds) = (answer.status(), self.http.retry_after_seconds(&answer));
        // A refusal whose text cannot be read is a refusal still.
        let body = self.http.read(act, answer, REFUSAL_LIMIT_BYTES).await.unwrap_or_default();
        let json =
            serde_json::from_slice::<serde_json::Value>(&body).ok().filter(serde_json::Value::is_object);
        let text = String::from_utf8_lossy(&body).trim().to_owned();
        // Proxies and load balancers speak HTML; their words help nobody.
        let is_plain = json.is_none() && !text.starts_with('<');
        Told { status, retry_after_seconds, json, text: if is_plain { text } else { String::new() } }
    }
}

/// An address below another one, each step encoded, with what stands behind the question mark.
pub(crate) fn below(base: &Url, steps: &[&str], query: &[(&str, &str)]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(steps);
    }
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    url
}
