//! What all storages over HTTP stand on: one client, requests with bodies from the spool, bounded answers, typed failures.
//!
//! Addresses may carry signatures, and answers may repeat what they were asked with: no address reaches an error, and the
//! secrets of the settings are struck out of every text that a server sends.

mod answer;
mod body;
mod failure;

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backstock_host::{Clock, Files, Host, tls};
use futures_util::future::{Either, select};
use reqwest::{Client, Method, Request, RequestBuilder, Url, redirect};

pub(crate) use self::answer::Answer;
use self::body::{Outgoing, OutgoingPiece, OutgoingSource};
pub(crate) use self::body::{Piece, read_exactly, read_piece, read_span, with_file};
pub(crate) use self::failure::cause_of;
use crate::buffers::Buffers;
use crate::remote_tree::Progress;
use crate::source::Source;
use crate::{Error, Result, Secret, Upload};

/// How long a connection may take to be made, TLS included.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);
/// How long a server may take to send the next bytes, or to take them.
const STALL_LIMIT: Duration = Duration::from_secs(60);
/// How long a server may take to answer when it has been handed a whole body: what lies in the buffers on the way must
/// reach it first, and it makes everything durable.
const ANSWER_LIMIT: Duration = Duration::from_secs(180);
/// How long a connection is kept that nobody uses; servers close theirs after a minute or so.
const IDLE_LIMIT: Duration = Duration::from_secs(20);
/// How many passing secrets are remembered, so that they can be struck out of what a server says: the latest ones.
const PASSING_SECRETS: usize = 16;

/// What is done, and with what, as errors tell it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Act<'a> {
    /// A verb.
    pub(crate) verb: &'static str,
    /// An object or folder.
    pub(crate) name: &'a str,
}

/// How patient a client is. Tests have no time for the usual limits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// See [`STALL_LIMIT`].
    pub(crate) stall: Duration,
    /// See [`ANSWER_LIMIT`].
    pub(crate) answer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { stall: STALL_LIMIT, answer: ANSWER_LIMIT }
    }
}

/// What the settings of a kind say about the way to its server.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Way<'a> {
    /// A file of certificates to trust.
    pub(crate) ca_file: Option<&'a str>,
    /// The address of a proxy. The environment has no say.
    pub(crate) proxy: Option<&'a str>,
}

/// A client for one place.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: Client,
    files: Arc<dyn Files>,
    clock: Arc<dyn Clock>,
    place: String,
    secrets: Vec<Secret>,
    passing: Arc<Mutex<VecDeque<Secret>>>,
    patience: Patience,
}

impl Http {
    /// A client. `place` names the storage in errors, `secrets` are struck out of what servers say.
    ///
    /// # Errors
    ///
    /// What is wrong with the settings, as a sentence for [`Error::Settings`].
    pub(crate) fn new(
        host: &Host,
        way: Way<'_>,
        place: String,
        secrets: Vec<Secret>,
    ) -> std::result::Result<Self, String> {
        let tls = tls::client_config(&*host.files, way.ca_file)?;
        // Without HTTP/2: pieces that are sent side by side shall not share one connection, and its one window.
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(CONNECT_LIMIT)
            .pool_idle_timeout(IDLE_LIMIT)
            .user_agent(concat!("Backstock/", env!("CARGO_PKG_VERSION")));
        if let Some(address) = way.proxy {
            let proxy = reqwest::Proxy::all(address).map_err(|error| problem("proxy", error))?;
            builder = builder.proxy(proxy);
        }
        let client = builder.build().map_err(|error| problem("client", error))?;
        let (files, clock) = (host.files.clone(), host.clock.clone());
        let passing = Arc::default();
        Ok(Self { client, files, clock, place, secrets, passing, patience: Patience::default() })
    }

    /// The same client with other limits.
    #[cfg(test)]
    pub(crate) fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// The name of the storage in errors.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// From now on strikes this secret too out of what servers say: one that comes and goes, as tokens do.
    pub(crate) fn hide(&self, secret: &Secret) {
        let mut passing = self.passing.lock().unwrap_or_else(PoisonError::into_inner);
        if !passing.contains(secret) {
            passing.push_back(secret.clone());
        }
        if passing.len() > PASSING_SECRETS {
            passing.pop_front();
        }
    }

    /// The files of this machine.
    pub(crate) fn files(&self) -> &Arc<dyn Files> {
        &self.files
    }

    /// The present time.
    pub(crate) fn now(&self) -> jiff::Timestamp {
        self.clock.now()
    }

    /// Begins a request.
    pub(crate) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends a request with a short body, or none, and waits for the head of the answer, whatever its status is.
    pub(crate) async fn send(&self, act: Act<'_>, request: RequestBuilder) -> Result<Answer> {
        self.send_within(act, request, self.patience.stall).await
    }

    /// As [`Self::send`], where the server has much to do before it answers.
    pub(crate) async fn send_patiently(&self, act: Act<'_>, request: RequestBuilder) -> Result<Answer> {
        self.send_within(act, request, self.patience.answer).await
    }

    async fn send_within(&self, act: Act<'_>, request: RequestBuilder, limit: Duration) -> Result<Answer> {
        let request = request.build().map_err(|error| self.transport(act, error))?;
        match tokio::time::timeout(limit, self.client.execute(request)).await {
            Ok(answer) => self.answer(act, answer),
            Err(_) => Err(self.stalled(act, "it gave no answer in time")),
        }
    }

    /// Sends a request whose body is a piece of a spooled part, asking `upload` before each slice, and waits for the head
    /// of the answer. The time that `upload` takes counts for nothing.
    pub(crate) async fn send_piece(
        &self,
        act: Act<'_>,
        request: RequestBuilder,
        piece: Piece<'_>,
        upload: &dyn Upload,
    ) -> Result<Answer> {
        let mut outgoing =
            OutgoingPiece { piece, upload, file: None, buffers: Buffers::default(), done_bytes: 0 };
        self.send_body(act, request, piece.length_bytes, &mut outgoing).await
    }

    /// As [`Self::send_piece`], with what is left of a source as the body.
    pub(crate) async fn send_source(
        &self,
        act: Act<'_>,
        request: RequestBuilder,
        source: &mut Source,
        progress: &Progress<'_>,
    ) -> Result<Answer> {
        let length_bytes = source.size_bytes() - source.position();
        self.send_body(act, request, length_bytes, &mut OutgoingSource { source, progress }).await
    }

    async fn send_body(
        &self,
        act: Act<'_>,
        request: RequestBuilder,
        length_bytes: u64,
        outgoing: &mut dyn Outgoing,
    ) -> Result<Answer> {
        let (sender, body) = body::channel();
        // A length that is stated: servers of backups take no bodies in chunks.
        let request = request
            .header(reqwest::header::CONTENT_LENGTH, length_bytes)
            .body(if length_bytes == 0 { Vec::new().into() } else { body });
        let request: Request = request.build().map_err(|error| self.transport(act, error))?;
        let answering = pin!(self.client.execute(request));
        let feeding = pin!(self.feed(act, outgoing, sender));
        let answer = match select(answering, feeding).await {
            // The server has answered before it had everything: it wants no more.
            Either::Left((answer, _)) => answer,
            Either::Right((fed, answering)) => {
                fed?;
                let waited = tokio::time::timeout(self.patience.answer, answering).await;
                waited.map_err(|_| self.stalled(act, "it took everything and gave no answer in time"))?
            }
        };
        self.answer(act, answer)
    }

    fn answer(&self, act: Act<'_>, answer: reqwest::Result<reqwest::Response>) -> Result<Answer> {
        let response = answer.map_err(|error| self.transport(act, error))?;
        Ok(Answer { response, stall: self.patience.stall })
    }

    /// An [`Error::Io`] of this place.
    pub(crate) fn io(&self, act: Act<'_>, source: std::io::Error) -> Error {
        Error::Io { act: act.verb, name: act.name.to_owned(), place: self.place.clone(), source }
    }
}

fn problem(thing: &str, error: reqwest::Error) -> String {
    format!("{thing}: {}", failure::innermost(&error.without_url()))
}

#[cfg(test)]
mod tests;
