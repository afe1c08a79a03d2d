//! What went wrong with a request, as one of our errors: by what broke on the way, or by the status of the answer.

use std::error::Error as StdError;
use std::io;
use std::sync::PoisonError;

use backstock_host::{Secret, answer, tls};
use jiff::Timestamp;
use reqwest::StatusCode;

use super::{Act, Answer, Http};
use crate::{Cause, Error};

/// The longest pause that a server may ask for, in seconds; one that asks for more does not mean it.
const PAUSE_LIMIT_SECONDS: u64 = 24 * 60 * 60;

/// What a status means that nothing else explains.
pub(crate) fn cause_of(status: StatusCode) -> Cause {
    match status.as_u16() {
        401 | 407 => Cause::SignIn,
        403 | 405 => Cause::Denied,
        404 | 410 => Cause::NoPlace,
        408 | 423 | 425 | 429 | 500 | 502 | 503 | 504 | 509 => Cause::Busy,
        507 => Cause::Full,
        _ => Cause::Unexpected,
    }
}

impl Http {
    /// An [`Error::Refused`] of this place. `answer` is what the server said or what was wrong with it.
    pub(crate) fn refused(
        &self,
        act: Act<'_>,
        cause: Cause,
        answer: &str,
        retry_after_seconds: Option<u64>,
    ) -> Error {
        Error::Refused {
            act: act.verb,
            name: act.name.to_owned(),
            place: self.place.clone(),
            cause,
            answer: self.printable(answer),
            retry_after_seconds,
        }
    }

    /// How long an answer asks us to wait, in seconds: RFC 9110, 10.2.3.
    pub(crate) fn retry_after_seconds(&self, answer: &Answer) -> Option<u64> {
        pause_seconds(answer.header("retry-after")?, self.now())
    }

    /// A text of a server as it may be shown: one line, not too long, without the secrets of the settings.
    fn printable(&self, text: &str) -> String {
        let passing = self.passing.lock().unwrap_or_else(PoisonError::into_inner);
        answer::printable(text, self.secrets.iter().chain(passing.iter()).map(Secret::expose))
    }

    /// The connection is there and nothing moves.
    pub(super) fn stalled(&self, act: Act<'_>, what: &'static str) -> Error {
        self.io(act, io::Error::new(io::ErrorKind::TimedOut, what))
    }

    /// What broke on the way to the server or back.
    pub(super) fn transport(&self, act: Act<'_>, error: reqwest::Error) -> Error {
        let error = error.without_url();
        let why = innermost(&error);
        if tls::is_distrust(&error) {
            // Before the first byte of ours it is a matter of trust; later, something garbled the records.
            let cause = if error.is_connect() { Cause::Untrusted } else { Cause::Garbled };
            return self.refused(act, cause, &why, None);
        }
        self.io(act, io::Error::new(kind_of(&error), self.printable(&why)))
    }
}

fn kind_of(error: &reqwest::Error) -> io::ErrorKind {
    if error.is_builder() {
        return io::ErrorKind::InvalidInput;
    }
    if error.is_timeout() {
        return io::ErrorKind::TimedOut;
    }
    // Names that cannot be resolved just now have no kind of their own.
    if error.is_dns() {
        return io::ErrorKind::HostUnreachable;
    }
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            match error.kind() {
                // A connection that ends too early is one that was cut.
                io::ErrorKind::UnexpectedEof => return io::ErrorKind::ConnectionReset,
                io::ErrorKind::Other => {}
                kind => return kind,
            }
            next = error.get_ref().map(|carried| carried as _);
            continue;
        }
        next = error.source();
    }
    if error.is_connect() { io::ErrorKind::HostUnreachable } else { io::ErrorKind::ConnectionAborted }
}

/// What the innermost cause of an error says: the outer ones name layers of ours.
pub(super) fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn pause_seconds(text: &str, now: Timestamp) -> Option<u64> {
    let text = text.trim();
    let seconds = match text.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            u64::try_from(until.as_second() - now.as_second()).unwrap_or(0)
        }
    };
    Some(seconds.min(PAUSE_LIMIT_SECONDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_told_in_seconds_or_as_a_date() {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        assert_eq!(pause_seconds("120", now), Some(120));
        assert_eq!(pause_seconds(" 7 ", now), Some(7));
        assert_eq!(pause_seconds("Sun, 22 Nov 2026 10:00:30 GMT", now), Some(30));
        assert_eq!(pause_seconds("Sun, 22 Nov 2026 09:00:30 GMT", now), Some(0));
        assert_eq!(pause_seconds("99999999999", now), Some(PAUSE_LIMIT_SECONDS));
        assert_eq!(pause_seconds("soon", now), None);
    }

    #[test]
    fn a_status_alone_tells_what_to_do() {
        for (status, cause) in [
            (429, Cause::Busy),
            (503, Cause::Busy),
            (500, Cause::Busy),
            (401, Cause::SignIn),
            (403, Cause::Denied),
            (404, Cause::NoPlace),
            (507, Cause::Full),
            (418, Cause::Unexpected),
            (301, Cause::Unexpected),
        ] {
            assert_eq!(cause_of(StatusCode::from_u16(status).unwrap()), cause, "{status}");
        }
    }
}
