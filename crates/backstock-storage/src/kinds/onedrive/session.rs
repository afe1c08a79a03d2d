//! Long contents, put in pieces: a session is begun, asked what it expects, gone on with after a cut. Data can be lost here.
//!
//! Protocol: Graph reference, "driveItem: createUploadSession". The address of a session lives for some days or a day and is all
//! that a later try needs; what it expects next is asked, never believed. No token goes there: the service would refuse it.

use backstock_host::hex;
use backstock_vocabulary::ErrorClass;
use reqwest::{Method, StatusCode, Url};
use serde::{Deserialize, Serialize};

use super::graph::Item;
use super::quick_xor::QuickXor;
use super::upload::{Failed, OnConflict, Sending, Stored};
use crate::account::Call;
use crate::content::Hashed;
use crate::http::Answer;
use crate::{Cause, Error, Result, ResumeState};

/// Bytes of a piece: a multiple of 320 KiB, as OneDrive wants of all pieces but the last, and fewer than 60 MiB.
const PIECE_BYTES: u64 = 10 << 20;
const _: () = assert!(PIECE_BYTES.is_multiple_of(327_680));
/// How often in a row a piece may be sent of which nothing is stored.
const IDLE_PIECES_LIMIT: u32 = 3;

/// What a later try needs to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    path: String,
    sha256: String,
    size_bytes: u64,
    session: String,
}

/// What a session answers as long as it is not done.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Expected {
    next_expected_ranges: Vec<String>,
}

/// Where an upload stands.
enum Standing {
    /// So many of the first bytes are stored.
    At(u64),
    Done(Box<Item>),
    /// It is no more.
    Gone,
}

impl Sending<'_> {
    /// Stores the content in a session, and goes on with an earlier one where there is one.
    pub(super) async fn send_in_session(&self) -> std::result::Result<Stored, Failed> {
        let graph = &self.storage.graph;
        let mut session = self.earlier();
        // A session may be no more at any time: it is begun anew, and at last somebody else may decide.
        for _ in 0..3 {
            let (url, is_new) = match session.take() {
                Some(url) => (url, false),
                None => {
                    let begun = graph.begin_upload(self.act, self.path, self.on_conflict.word()).await?;
                    let url = begun.map_err(|refusal| self.failed(refusal))?;
                    self.reached(&url, 0)?;
                    (url, true)
                }
            };
            match self.finish(&url, is_new).await {
                Ok(Some(stored)) => return Ok(stored),
                Ok(None) => {}
                Err(failed) => {
                    if !self.waits_for_a_later_try(&failed) {
                        self.cancel(&url).await;
                    }
                    return Err(failed);
                }
            }
        }
        let problem = "its uploads end before they are done";
        Err(graph.http().refused(self.act, Cause::Busy, problem, None).into())
    }

    /// The session of an earlier try of these very bytes. New bytes for a file are not gone on with: nobody remembers them.
    fn earlier(&self) -> Option<Url> {
        let ResumeState(state) = self.upload.resume()?;
        let state = State::deserialize(state).ok()?;
        let is_ours = state.path == self.path.as_str()
            && state.sha256 == hex::encode(&self.content.sha256)
            && state.size_bytes == self.content.size_bytes;
        is_ours.then(|| self.storage.graph.bytes_url(&state.session)).flatten()
    }

    /// Whether a later try may go on: after what passes by itself, after what the owner mends (F88), and after a wanted stop.
    fn waits_for_a_later_try(&self, failed: &Failed) -> bool {
        let Failed::Otherwise(error) = failed else { return false };
        self.on_conflict == OnConflict::Fail
            && (error.class() != ErrorClass::Stop || matches!(error, Error::Stopped { .. }))
    }

    fn reached(&self, session: &Url, confirmed_bytes: u64) -> Result<()> {
        let state = State {
            path: self.path.to_string(),
            sha256: hex::encode(&self.content.sha256),
            size_bytes: self.content.size_bytes,
            session: session.to_string(),
        };
        let state = ResumeState(serde_json::to_value(state).unwrap_or_default());
        self.upload.reached(confirmed_bytes, &state)
    }

    /// Sends what is missing. None where the session is no more.
    async fn finish(&self, session: &Url, is_new: bool) -> std::result::Result<Option<Stored>, Failed> {
        let http = self.storage.graph.http();
        let mut hashed = Hashed::<QuickXor>::default();
        let mut standing = if is_new { Standing::At(0) } else { self.ask_standing(session).await? };
        let (mut at, mut idle) = (None, 0);
        loop {
            let offset = match standing {
                Standing::Gone => return Ok(None),
                Standing::Done(item) => {
                    // The answer to the last piece: the bytes here are what was promised still?
                    let hashed = self.content.hash_to(http, hashed, self.content.size_bytes).await?;
                    return Ok(Some(Stored { item: *item, hash: hashed.service.finish() }));
                }
                Standing::At(offset) => offset,
            };
            idle = if at.is_some_and(|at| offset <= at) { idle + 1 } else { 0 };
            if idle >= IDLE_PIECES_LIMIT {
                let problem = "it stores nothing of what it is sent";
                return Err(http.refused(self.act, Cause::Busy, problem, None).into());
            }
            if at != Some(offset) {
                self.reached(session, offset)?;
                at = Some(offset);
            }
            let end = self.content.size_bytes.min(offset.saturating_add(PIECE_BYTES));
            hashed = self.content.hash_to(http, hashed, end).await?;
            standing = self.send_piece(session, offset, end).await?;
        }
    }

    async fn send_piece(
        &self,
        session: &Url,
        offset: u64,
        end: u64,
    ) -> std::result::Result<Standing, Failed> {
        if offset == end {
            return self.ask_standing(session).await;
        }
        let http = self.storage.graph.http();
        let range = format!("bytes {offset}-{}/{}", end - 1, self.content.size_bytes);
        let request = http.request(Method::PUT, session.clone()).header("content-range", range);
        let piece = (offset, end - offset);
        let answer = self.content.send_piece(http, self.act, request, piece, self.upload).await?;
        if answer.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            // It has that piece already: an answer was lost.
            return self.ask_standing(session).await;
        }
        self.standing(answer).await
    }

    async fn ask_standing(&self, session: &Url) -> std::result::Result<Standing, Failed> {
        let http = self.storage.graph.http();
        let answer = http.send(self.act, http.request(Method::GET, session.clone())).await?;
        self.standing(answer).await
    }

    async fn standing(&self, answer: Answer) -> std::result::Result<Standing, Failed> {
        let graph = &self.storage.graph;
        // A file that is done is told with 201 or 200; so is, with 200, where an unfinished one stands.
        match graph.sort_out(self.act, answer).await? {
            Ok(answer) => {
                let told: serde_json::Value = graph.account.json(self.act, answer).await?;
                self.told(told)
            }
            // Its address is its right: where that is not accepted, the session is no more.
            Err(refusal) if refusal.is_missing() || refusal.status == StatusCode::UNAUTHORIZED => {
                Ok(Standing::Gone)
            }
            Err(refusal) => Err(self.failed(refusal)),
        }
    }

    fn told(&self, told: serde_json::Value) -> std::result::Result<Standing, Failed> {
        let http = self.storage.graph.http();
        let unclear = |problem: &str| http.refused(self.act, Cause::Garbled, problem, None);
        if told.get("nextExpectedRanges").is_none() {
            let item = Item::deserialize(told);
            let item = item.map_err(|_| unclear("it tells neither a file nor what it expects"))?;
            return Ok(Standing::Done(Box::new(item)));
        }
        let expected = Expected::deserialize(told).ok();
        let starts = expected.and_then(|expected| {
            expected.next_expected_ranges.iter().map(|range| start_of(range)).collect::<Option<Vec<_>>>()
        });
        let starts = starts.ok_or_else(|| unclear("it tells a range that cannot be"))?;
        // Where it expects nothing any more, it is asked once more before that is believed.
        let stored = starts.into_iter().min().unwrap_or(self.content.size_bytes);
        if stored > self.content.size_bytes {
            return Err(unclear("it expects more than there is").into());
        }
        Ok(Standing::At(stored))
    }

    /// Ends a session that nobody goes on with. What was wrong before tells more than what is wrong with this.
    async fn cancel(&self, session: &Url) {
        let http = self.storage.graph.http();
        let call = Call::new(Method::DELETE, session.clone());
        let _ = http.send(self.act, call.request(http)).await;
    }
}

/// The first byte of a range: of `26-` and of `26-99` it is 26.
fn start_of(range: &str) -> Option<u64> {
    range.trim().split_once('-')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_that_is_expected_begins_somewhere() {
        assert_eq!([start_of("26-"), start_of("0-99"), start_of("99")], [Some(26), Some(0), None]);
    }
}
