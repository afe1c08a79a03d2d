//! Long contents, put in pieces by an upload session: begun, asked where it stands, gone on with after a cut. Data can be lost
//! here.
//!
//! For services whose session is an address, which is all that a later try needs. Where a session stands is asked, never
//! believed; one that is no more is begun anew. A content is done only when all of it was hashed and is what was promised.

use async_trait::async_trait;
use backstock_host::hex;
use backstock_vocabulary::ErrorClass;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::content::{Content, Hashed, ServiceHash};
use crate::http::{Act, Http};
use crate::{Cause, Error, Result, ResumeState, Upload};

/// How often in a row a piece may be sent of which nothing is stored.
const IDLE_PIECES_LIMIT: u32 = 3;
/// How many sessions one try may need: one may be no more at any time, and at last somebody else may decide.
const SESSIONS_LIMIT: u32 = 3;

/// What a later try needs to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    name: String,
    sha256: String,
    size_bytes: u64,
    session: String,
}

/// Where an upload stands.
pub(crate) enum Standing<F> {
    /// So many of the first bytes are stored.
    At(u64),
    Done(F),
    /// It is no more.
    Gone,
}

/// What is being done, and with what.
#[derive(Clone, Copy)]
pub(crate) struct Errand<'a> {
    pub(crate) http: &'a Http,
    pub(crate) act: Act<'a>,
    pub(crate) content: &'a Content<'a>,
    pub(crate) upload: &'a dyn Upload,
}

/// How a service speaks of its upload sessions.
#[async_trait]
pub(crate) trait Sessions: Sync {
    /// What it tells of a file that is done.
    type File: Send;
    type Hash: ServiceHash;
    type Failed: From<Error> + Send;

    /// Bytes of all pieces but the last.
    const PIECE_BYTES: u64;

    fn errand(&self) -> Errand<'_>;

    /// The address of a session, if it is one that bytes and tokens may go to.
    fn address(&self, text: &str) -> Option<Url>;

    /// Whether a later try can know what this one was about. New bytes for a file are not gone on with: nobody remembers them.
    fn is_remembered(&self) -> bool;

    /// The error behind a failure, where it is one that may pass.
    fn error_of(failed: &Self::Failed) -> Option<&Error>;

    async fn begin(&self) -> std::result::Result<Url, Self::Failed>;

    /// Asks a session where it stands.
    async fn ask(&self, session: &Url) -> std::result::Result<Standing<Self::File>, Self::Failed>;

    /// Sends the piece from `offset` as far as `end`, and tells where the upload stands then.
    async fn send(
        &self,
        session: &Url,
        offset: u64,
        end: u64,
    ) -> std::result::Result<Standing<Self::File>, Self::Failed>;

    /// Whether a file that an earlier try has finished is there still.
    async fn is_there(&self, file: &Self::File) -> Result<bool>;

    /// Ends a session that nobody goes on with. What was wrong before tells more than what is wrong with this.
    async fn cancel(&self, session: &Url);
}

/// A file that was stored, and the hash of what was sent.
type Stored<S> = (<S as Sessions>::File, <S as Sessions>::Hash);

/// Stores a content in a session, and goes on with an earlier one where there is one.
///
/// # Errors
///
/// What the service refuses; [`Error::PartChanged`] when the content is not what was promised: it is not completed then.
pub(crate) async fn store<S: Sessions>(sessions: &S) -> std::result::Result<Stored<S>, S::Failed> {
    let errand = sessions.errand();
    let mut earlier = earlier(sessions);
    for _ in 0..SESSIONS_LIMIT {
        let (session, is_new) = match earlier.take() {
            Some(session) => (session, false),
            None => {
                // It is told before the first byte is sent.
                let session = sessions.begin().await?;
                reached(errand, &session, 0)?;
                (session, true)
            }
        };
        match finish(sessions, &session, is_new).await {
            Ok(Some(stored)) => return Ok(stored),
            Ok(None) => {}
            Err(failed) => {
                if !waits_for_a_later_try(sessions, &failed) {
                    sessions.cancel(&session).await;
                }
                return Err(failed);
            }
        }
    }
    let problem = "its uploads end before they are done";
    Err(errand.http.refused(errand.act, Cause::Busy, problem, None).into())
}

/// The session of an earlier try of these very bytes.
fn earlier<S: Sessions>(sessions: &S) -> Option<Url> {
    let Errand { content, upload, .. } = sessions.errand();
    let ResumeState(state) = upload.resume()?;
    let state = State::deserialize(state).ok()?;
    let is_ours = state.name == content.name.as_str()
        && state.sha256 == hex::encode(&content.sha256)
        && state.size_bytes == content.size_bytes;
    is_ours.then(|| sessions.address(&state.session)).flatten()
}

/// Whether a later try may go on: after what passes by itself, after what the owner mends (F88), and after a wanted stop.
fn waits_for_a_later_try<S: Sessions>(sessions: &S, failed: &S::Failed) -> bool {
    sessions.is_remembered()
        && S::error_of(failed)
            .is_some_and(|error| error.class() != ErrorClass::Stop || matches!(error, Error::Stopped { .. }))
}

fn reached(errand: Errand<'_>, session: &Url, confirmed_bytes: u64) -> Result<()> {
    let state = State {
        name: errand.content.name.to_string(),
        sha256: hex::encode(&errand.content.sha256),
        size_bytes: errand.content.size_bytes,
        session: session.to_string(),
    };
    let state = ResumeState(serde_json::to_value(state).unwrap_or_default());
    errand.upload.reached(confirmed_bytes, &state)
}

/// Sends what is missing. None where the session is no more.
async fn finish<S: Sessions>(
    sessions: &S,
    session: &Url,
    is_new: bool,
) -> std::result::Result<Option<Stored<S>>, S::Failed> {
    let errand @ Errand { http, act, content, .. } = sessions.errand();
    let mut hashed = Hashed::<S::Hash>::default();
    let mut standing = if is_new { Standing::At(0) } else { sessions.ask(session).await? };
    let (mut at, mut idle) = (None, 0);
    loop {
        let offset = match standing {
            Standing::Gone => return Ok(None),
            Standing::Done(file) => {
                // A session remembers a file that was deleted since.
                if at.is_none() && !sessions.is_there(&file).await? {
                    return Ok(None);
                }
                // An answer was lost, or this is the answer to the last piece: the bytes here are what was promised still?
                let hashed = content.hash_to(http, hashed, content.size_bytes).await?;
                return Ok(Some((file, hashed.service)));
            }
            Standing::At(offset) => offset,
        };
        idle = if at.is_some_and(|at| offset <= at) { idle + 1 } else { 0 };
        if idle >= IDLE_PIECES_LIMIT {
            let problem = "it stores nothing of what it is sent";
            return Err(http.refused(act, Cause::Busy, problem, None).into());
        }
        if at != Some(offset) {
            reached(errand, session, offset)?;
            at = Some(offset);
        }
        let end = content.size_bytes.min(offset.saturating_add(S::PIECE_BYTES));
        if offset == end {
            standing = sessions.ask(session).await?;
            continue;
        }
        hashed = content.hash_to(http, hashed, end).await?;
        standing = sessions.send(session, offset, end).await?;
    }
}
