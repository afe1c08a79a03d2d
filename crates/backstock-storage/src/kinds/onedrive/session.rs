//! Long contents, put in pieces: how OneDrive speaks of its upload sessions. Data can be lost here.
//!
//! Protocol: Graph reference, "driveItem: createUploadSession". The address of a session lives for some days or a day. No token
//! goes there: the service would refuse it.

use async_trait::async_trait;
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;

use super::graph::Item;
use super::quick_xor::QuickXor;
use super::upload::{Failed, OnConflict, Sending};
use crate::account::Call;
use crate::http::Answer;
use crate::session::{Errand, Sessions, Standing};
use crate::{Cause, Error, Result};

/// Bytes of a piece: a multiple of 320 KiB, as OneDrive wants of all pieces but the last, and fewer than 60 MiB.
const PIECE_BYTES: u64 = 10 << 20;
const _: () = assert!(PIECE_BYTES.is_multiple_of(327_680));

/// What a session answers as long as it is not done.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Expected {
    next_expected_ranges: Vec<String>,
}

#[async_trait]
impl Sessions for Sending<'_> {
    type File = Item;
    type Hash = QuickXor;
    type Failed = Failed;

    const PIECE_BYTES: u64 = PIECE_BYTES;

    fn errand(&self) -> Errand<'_> {
        self.errand
    }

    fn address(&self, text: &str) -> Option<Url> {
        self.storage.graph.bytes_url(text)
    }

    fn is_remembered(&self) -> bool {
        self.on_conflict == OnConflict::Fail
    }

    fn error_of(failed: &Failed) -> Option<&Error> {
        match failed {
            Failed::Taken | Failed::Moved => None,
            Failed::Otherwise(error) => Some(error),
        }
    }

    async fn begin(&self) -> std::result::Result<Url, Failed> {
        let begun = self.storage.graph.begin_upload(self.errand.act, self.path, self.on_conflict.word());
        begun.await?.map_err(|refusal| self.failed(refusal))
    }

    async fn ask(&self, session: &Url) -> std::result::Result<Standing<Item>, Failed> {
        let Errand { http, act, .. } = self.errand;
        let answer = http.send(act, http.request(Method::GET, session.clone())).await?;
        self.standing(answer).await
    }

    async fn send(
        &self,
        session: &Url,
        offset: u64,
        end: u64,
    ) -> std::result::Result<Standing<Item>, Failed> {
        let Errand { http, act, content, upload } = self.errand;
        let range = format!("bytes {offset}-{}/{}", end - 1, content.size_bytes);
        let request = http.request(Method::PUT, session.clone()).header("content-range", range);
        let answer = content.send_piece(http, act, request, (offset, end - offset), upload).await?;
        if answer.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            // It has that piece already: an answer was lost.
            return self.ask(session).await;
        }
        self.standing(answer).await
    }

    /// A session that has made its file is no more: it never tells of a file of an earlier try.
    async fn is_there(&self, _: &Item) -> Result<bool> {
        Ok(true)
    }

    async fn cancel(&self, session: &Url) {
        let Errand { http, act, .. } = self.errand;
        let call = Call::new(Method::DELETE, session.clone());
        let _ = http.send(act, call.request(http)).await;
    }
}

impl Sending<'_> {
    async fn standing(&self, answer: Answer) -> std::result::Result<Standing<Item>, Failed> {
        let (account, act) = (&self.storage.graph.account, self.errand.act);
        // A file that is done is told with 201 or 200; so is, with 200, where an unfinished one stands.
        match account.sort_out(act, answer).await? {
            Ok(answer) => {
                let told: serde_json::Value = account.json(act, answer).await?;
                self.told(told)
            }
            // Its address is its right: where that is not accepted, the session is no more.
            Err(refusal) if refusal.is_missing() || refusal.status == StatusCode::UNAUTHORIZED => {
                Ok(Standing::Gone)
            }
            Err(refusal) => Err(self.failed(refusal)),
        }
    }

    fn told(&self, told: serde_json::Value) -> std::result::Result<Standing<Item>, Failed> {
        let Errand { http, act, content, .. } = self.errand;
        let unclear = |problem: &str| http.refused(act, Cause::Garbled, problem, None);
        if told.get("nextExpectedRanges").is_none() {
            let item = Item::deserialize(told);
            let item = item.map_err(|_| unclear("it tells neither a file nor what it expects"))?;
            return Ok(Standing::Done(item));
        }
        let expected = Expected::deserialize(told).ok();
        let starts = expected.and_then(|expected| {
            expected.next_expected_ranges.iter().map(|range| start_of(range)).collect::<Option<Vec<_>>>()
        });
        let starts = starts.ok_or_else(|| unclear("it tells a range that cannot be"))?;
        // Where it expects nothing any more, it is asked once more before that is believed.
        let stored = starts.into_iter().min().unwrap_or(content.size_bytes);
        if stored > content.size_bytes {
            return Err(unclear("it expects more than there is").into());
        }
        Ok(Standing::At(stored))
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
