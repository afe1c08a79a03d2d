//! The answer of a server: its head at once, its body never longer than expected.

use std::time::Duration;

use reqwest::StatusCode;

use super::{Act, Http};
use crate::{Cause, Result};

/// The head of an answer, and what is left to read of it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(super) response: reqwest::Response,
    pub(super) stall: Duration,
}

impl Answer {
    /// The status.
    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// A header, where it is there and readable.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The length that the head states, in bytes: that of the object, where it answers a HEAD.
    pub(crate) fn stated_bytes(&self) -> Option<u64> {
        self.header("content-length")?.trim().parse().ok()
    }
}

impl Http {
    /// Reads the body of an answer, of at most so many bytes. One that is longer is not understood.
    pub(crate) async fn read(&self, act: Act<'_>, answer: Answer, limit_bytes: usize) -> Result<Vec<u8>> {
        let stated = answer.stated_bytes().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0);
        let mut bytes = Vec::with_capacity(stated.min(limit_bytes));
        let (mut response, stall) = (answer.response, answer.stall);
        loop {
            let chunk = tokio::time::timeout(stall, response.chunk()).await;
            let chunk = chunk.map_err(|_| self.stalled(act, "it stopped in the middle of its answer"))?;
            let Some(chunk) = chunk.map_err(|error| self.transport(act, error))? else { return Ok(bytes) };
            if bytes.len() + chunk.len() > limit_bytes {
                let problem = format!("its answer is longer than {limit_bytes} bytes");
                return Err(self.refused(act, Cause::Unexpected, &problem, None));
            }
            bytes.extend_from_slice(&chunk);
        }
    }

    /// Reads the answer to a request for a range. Gives fewer bytes only where the object ends; a server that sent
    /// another range, or did not care that one was asked for, is found out.
    pub(crate) async fn read_range_of(
        &self,
        act: Act<'_>,
        answer: Answer,
        offset_bytes: u64,
        length_bytes: u64,
    ) -> Result<Vec<u8>> {
        let ignored = |problem: &str| self.refused(act, Cause::Unexpected, problem, None);
        let total_bytes = if answer.status() == StatusCode::PARTIAL_CONTENT {
            let range = answer.header("content-range").and_then(range_of);
            let (first, total) = range.ok_or_else(|| ignored("it does not tell which range it sends"))?;
            if first != offset_bytes {
                return Err(ignored("it sends another range than it was asked for"));
            }
            total
        } else {
            // A whole object is the range where it is no longer than that.
            let total = answer.stated_bytes().filter(|total| offset_bytes == 0 && *total <= length_bytes);
            Some(total.ok_or_else(|| ignored("it does not know ranges"))?)
        };
        let limit = usize::try_from(length_bytes).unwrap_or(usize::MAX);
        let bytes = self.read(act, answer, limit).await?;
        let wanted = total_bytes.map(|total| total.saturating_sub(offset_bytes).min(length_bytes));
        if wanted.is_some_and(|wanted| wanted != bytes.len() as u64) {
            let problem = format!("{} bytes of a range of {}", bytes.len(), wanted.unwrap_or(0));
            return Err(self.refused(act, Cause::Garbled, &problem, None));
        }
        Ok(bytes)
    }
}

/// First byte and length of the whole, where it is known: `bytes 0-99/1234`.
fn range_of(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.trim().parse().ok()?, total.trim().parse().ok()))
}
