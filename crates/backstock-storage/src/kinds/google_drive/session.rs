//! Long contents, put in pieces: a session is begun, asked where it stands, gone on with after a cut. Data can be lost here.
//!
//! Protocol: guide "Upload file data", "Perform a resumable upload". The address of a session lives for a week and is all that a
//! later try needs; where it stands is asked, never believed. A session that is no more is begun anew.

use backstock_host::hex;
use backstock_vocabulary::ErrorClass;
use md5::{Digest, Md5};
use reqwest::{Method, StatusCode, Url};
use serde::{Deserialize, Serialize};

use super::GoogleDrive;
use super::file::File;
use super::upload::{Failed, Stored, Target};
use crate::account::Call;
use crate::content::{Content, Hashed};
use crate::http::{Act, Answer};
use crate::{Cause, Error, Result, ResumeState, Upload};

/// Bytes of a piece: a multiple of 256 KiB, as Drive wants of all pieces but the last.
const PIECE_BYTES: u64 = 8 << 20;
const _: () = assert!(PIECE_BYTES.is_multiple_of(256 << 10));
/// How often in a row a piece may be sent of which nothing is stored.
const IDLE_PIECES_LIMIT: u32 = 3;

/// What a later try needs to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    name: String,
    sha256: String,
    size_bytes: u64,
    session: String,
}

/// Where an upload stands.
enum Standing {
    /// So many of the first bytes are stored.
    At(u64),
    Done(Box<File>),
    /// It is no more.
    Gone,
}

/// One content on its way.
struct Sending<'a> {
    storage: &'a GoogleDrive,
    act: Act<'a>,
    content: &'a Content<'a>,
    upload: &'a dyn Upload,
    target: &'a Target,
}

impl GoogleDrive {
    /// Stores a content in a session, and goes on with an earlier one where there is one.
    pub(super) async fn store_in_session(
        &self,
        act: Act<'_>,
        content: &Content<'_>,
        upload: &dyn Upload,
        target: &Target,
    ) -> std::result::Result<Stored, Failed> {
        let sending = Sending { storage: self, act, content, upload, target };
        let mut session = sending.earlier();
        // A session may be no more at any time: once it is begun anew, then somebody else may decide.
        for _ in 0..3 {
            let (url, is_new) = match session.take() {
                Some(url) => (url, false),
                None => (sending.begin().await?, true),
            };
            match sending.finish(&url, is_new).await {
                Ok(Some(stored)) => return Ok(stored),
                Ok(None) => {}
                Err(error) => {
                    if !sending.waits_for_a_later_try(&error) {
                        sending.cancel(&url).await;
                    }
                    return Err(error.into());
                }
            }
        }
        let problem = "its uploads end before they are done";
        Err(self.drive.http().refused(act, Cause::Busy, problem, None).into())
    }
}

impl Sending<'_> {
    /// The session of an earlier try of these very bytes. Another target can only be another folder of the same name.
    fn earlier(&self) -> Option<Url> {
        let ResumeState(state) = self.upload.resume()?;
        let state = State::deserialize(state).ok()?;
        let is_ours = state.name == self.content.name.as_str()
            && state.sha256 == hex::encode(&self.content.sha256)
            && state.size_bytes == self.content.size_bytes;
        is_ours.then(|| self.storage.drive.session_url(&state.session)).flatten()
    }

    /// Whether a later try may go on: after what passes by itself, after what the owner mends (F88), and after a wanted stop. New
    /// bytes for a file are not gone on with: nobody remembers them.
    fn waits_for_a_later_try(&self, error: &Error) -> bool {
        self.target.id().is_none()
            && (error.class() != ErrorClass::Stop || matches!(error, Error::Stopped { .. }))
    }

    fn reached(&self, session: &Url, confirmed_bytes: u64) -> Result<()> {
        let state = State {
            name: self.content.name.to_string(),
            sha256: hex::encode(&self.content.sha256),
            size_bytes: self.content.size_bytes,
            session: session.to_string(),
        };
        let state = ResumeState(serde_json::to_value(state).unwrap_or_default());
        self.upload.reached(confirmed_bytes, &state)
    }

    /// Begins a session, and says so before the first byte is sent.
    async fn begin(&self) -> std::result::Result<Url, Failed> {
        let drive = &self.storage.drive;
        let url = drive.upload_url(self.target.id(), "resumable");
        let call = Call::new(self.target.method(), url)
            .header("x-upload-content-type", "application/octet-stream")
            .header("x-upload-content-length", self.content.size_bytes.to_string())
            .json(&self.target.described(self.content));
        let answer = match drive.ask(self.act, &call).await? {
            Ok(answer) => answer,
            Err(refusal) if refusal.is_missing() => return Err(Failed::Moved),
            Err(refusal) => return Err(drive.fail(self.act, refusal).into()),
        };
        let session = answer.header("location").and_then(|location| drive.session_url(location));
        let session = session.ok_or_else(|| {
            let problem = "it does not tell where the upload goes to";
            drive.http().refused(self.act, Cause::Unexpected, problem, None)
        })?;
        self.reached(&session, 0)?;
        Ok(session)
    }

    /// Sends what is missing. None where the session is no more.
    async fn finish(&self, session: &Url, is_new: bool) -> Result<Option<Stored>> {
        let http = self.storage.drive.http();
        let mut hashed = Hashed::<Md5>::default();
        let mut standing = if is_new { Standing::At(0) } else { self.ask_standing(session).await? };
        let (mut at, mut idle) = (None, 0);
        loop {
            let offset = match standing {
                Standing::Gone => return Ok(None),
                Standing::Done(file) => {
                    // A session remembers a file that was deleted since, or lies in the trash.
                    if at.is_none() && !self.is_there(&file).await? {
                        return Ok(None);
                    }
                    // An answer was lost, or this is the answer to the last piece: the bytes here are what was promised still?
                    let hashed = self.content.hash_to(http, hashed, self.content.size_bytes).await?;
                    return Ok(Some(Stored { file: *file, md5: hashed.service.finalize().into() }));
                }
                Standing::At(offset) => offset,
            };
            idle = if at.is_some_and(|at| offset <= at) { idle + 1 } else { 0 };
            if idle >= IDLE_PIECES_LIMIT {
                let problem = "it stores nothing of what it is sent";
                return Err(http.refused(self.act, Cause::Busy, problem, None));
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

    /// Sends a piece, and tells where the upload stands then. A token that died on the way is renewed once, and then it is
    /// asked first what is there.
    async fn send_piece(&self, session: &Url, offset: u64, end: u64) -> Result<Standing> {
        if offset == end {
            return self.ask_standing(session).await;
        }
        let account = &self.storage.drive.account;
        let token = account.access.token().await?;
        let request = account.http.request(Method::PUT, session.clone()).bearer_auth(token.expose());
        let range = format!("bytes {offset}-{}/{}", end - 1, self.content.size_bytes);
        let request = request.header("content-range", range);
        let piece = (offset, end - offset);
        let answer = self.content.send_piece(&account.http, self.act, request, piece, self.upload).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            account.access.renewed(&token).await?;
            return self.ask_standing(session).await;
        }
        self.standing(answer).await
    }

    async fn ask_standing(&self, session: &Url) -> Result<Standing> {
        let range = format!("bytes */{}", self.content.size_bytes);
        let call = Call::new(Method::PUT, session.clone()).header("content-range", range);
        let answer = self.storage.drive.account.call(self.act, &call).await?;
        self.standing(answer).await
    }

    async fn standing(&self, answer: Answer) -> Result<Standing> {
        let drive = &self.storage.drive;
        if answer.status() == StatusCode::PERMANENT_REDIRECT {
            let stored = match answer.header("range") {
                // Nothing is stored yet.
                None => Some(0),
                Some(range) => stored_bytes(range).filter(|stored| *stored <= self.content.size_bytes),
            };
            let problem = "it tells a range that cannot be";
            return stored
                .map(Standing::At)
                .ok_or_else(|| drive.http().refused(self.act, Cause::Unexpected, problem, None));
        }
        match drive.sort_out(self.act, answer).await? {
            Ok(answer) => Ok(Standing::Done(Box::new(drive.account.json(self.act, answer).await?))),
            Err(refusal) if refusal.is_missing() => Ok(Standing::Gone),
            Err(refusal) => Err(drive.fail(self.act, refusal)),
        }
    }

    async fn is_there(&self, file: &File) -> Result<bool> {
        let now = self.storage.drive.file(self.act, &file.id).await?;
        Ok(now.is_some_and(|now| !now.trashed && now.has_bytes_of(file)))
    }

    /// Ends a session that nobody goes on with. What was wrong before tells more than what is wrong with this.
    async fn cancel(&self, session: &Url) {
        let _ = self.storage.drive.account.call(self.act, &Call::new(Method::DELETE, session.clone())).await;
    }
}

/// How many bytes are stored: `bytes=0-42` are 43.
fn stored_bytes(range: &str) -> Option<u64> {
    let last = range.trim().strip_prefix("bytes=0-")?;
    last.parse::<u64>().ok()?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_tells_how_much_is_stored() {
        assert_eq!(stored_bytes("bytes=0-42"), Some(43));
        for range in ["bytes=1-42", "0-42", "bytes=0-", "bytes=0-18446744073709551615"] {
            assert_eq!(stored_bytes(range), None, "{range}");
        }
    }
}
