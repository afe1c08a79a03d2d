//! Long contents, put in pieces: how Drive speaks of its upload sessions. Data can be lost here.
//!
//! Protocol: guide "Upload file data", "Perform a resumable upload". The address of a session lives for a week.

use async_trait::async_trait;
use md5::Md5;
use reqwest::{Method, StatusCode, Url};

use super::GoogleDrive;
use super::file::File;
use super::upload::{Failed, Target};
use crate::account::Call;
use crate::http::Answer;
use crate::session::{Errand, Sessions, Standing};
use crate::{Cause, Error, Result};

/// Bytes of a piece: a multiple of 256 KiB, as Drive wants of all pieces but the last.
const PIECE_BYTES: u64 = 8 << 20;
const _: () = assert!(PIECE_BYTES.is_multiple_of(256 << 10));

/// One content on its way.
pub(super) struct Sending<'a> {
    pub(super) storage: &'a GoogleDrive,
    pub(super) errand: Errand<'a>,
    pub(super) target: &'a Target,
}

#[async_trait]
impl Sessions for Sending<'_> {
    type File = File;
    type Hash = Md5;
    type Failed = Failed;

    const PIECE_BYTES: u64 = PIECE_BYTES;

    fn errand(&self) -> Errand<'_> {
        self.errand
    }

    fn address(&self, text: &str) -> Option<Url> {
        self.storage.drive.session_url(text)
    }

    /// Another target can only be another folder of the same name.
    fn is_remembered(&self) -> bool {
        self.target.id().is_none()
    }

    fn error_of(failed: &Failed) -> Option<&Error> {
        match failed {
            Failed::Moved => None,
            Failed::Otherwise(error) => Some(error),
        }
    }

    async fn begin(&self) -> std::result::Result<Url, Failed> {
        let (drive, Errand { act, content, .. }) = (&self.storage.drive, self.errand);
        let url = drive.upload_url(self.target.id(), "resumable");
        let call = Call::new(self.target.method(), url)
            .header("x-upload-content-type", "application/octet-stream")
            .header("x-upload-content-length", content.size_bytes.to_string())
            .json(&self.target.described(content));
        let answer = drive.account.if_there(act, &call).await?.ok_or(Failed::Moved)?;
        let session = answer.header("location").and_then(|location| drive.session_url(location));
        let problem = "it does not tell where the upload goes to";
        Ok(session.ok_or_else(|| drive.http().refused(act, Cause::Unexpected, problem, None))?)
    }

    async fn ask(&self, session: &Url) -> std::result::Result<Standing<File>, Failed> {
        let range = format!("bytes */{}", self.errand.content.size_bytes);
        let call = Call::new(Method::PUT, session.clone()).header("content-range", range);
        let answer = self.storage.drive.account.call(self.errand.act, &call).await?;
        Ok(self.standing(answer).await?)
    }

    /// A token that died on the way is renewed once, and then it is asked first what is there.
    async fn send(
        &self,
        session: &Url,
        offset: u64,
        end: u64,
    ) -> std::result::Result<Standing<File>, Failed> {
        let (account, Errand { act, content, upload, .. }) = (&self.storage.drive.account, self.errand);
        let token = account.access.token().await?;
        let request = account.http.request(Method::PUT, session.clone()).bearer_auth(token.expose());
        let range = format!("bytes {offset}-{}/{}", end - 1, content.size_bytes);
        let request = request.header("content-range", range);
        let answer = content.send_piece(&account.http, act, request, (offset, end - offset), upload).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            account.access.renewed(&token).await?;
            return self.ask(session).await;
        }
        Ok(self.standing(answer).await?)
    }

    /// Deleted, or in the trash.
    async fn is_there(&self, file: &File) -> Result<bool> {
        let now = self.storage.drive.file(self.errand.act, &file.id).await?;
        Ok(now.is_some_and(|now| !now.trashed && now.has_bytes_of(file)))
    }

    async fn cancel(&self, session: &Url) {
        let call = Call::new(Method::DELETE, session.clone());
        let _ = self.storage.drive.account.call(self.errand.act, &call).await;
    }
}

impl Sending<'_> {
    async fn standing(&self, answer: Answer) -> Result<Standing<File>> {
        let (account, Errand { act, content, .. }) = (&self.storage.drive.account, self.errand);
        if answer.status() == StatusCode::PERMANENT_REDIRECT {
            let stored = match answer.header("range") {
                // Nothing is stored yet.
                None => Some(0),
                Some(range) => stored_bytes(range).filter(|stored| *stored <= content.size_bytes),
            };
            let problem = "it tells a range that cannot be";
            return stored
                .map(Standing::At)
                .ok_or_else(|| account.http.refused(act, Cause::Unexpected, problem, None));
        }
        match account.sort_out(act, answer).await? {
            Ok(answer) => Ok(Standing::Done(account.json(act, answer).await?)),
            Err(refusal) if refusal.is_missing() => Ok(Standing::Gone),
            Err(refusal) => Err(account.fail(act, refusal)),
        }
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
