//! What goes wrong between us and an FTP server, in the words of the seam. Numbers mean several things; the words beside them decide.

use std::io;

use backstock_host::answer;
use suppaftp::types::Response;
use suppaftp::{FtpError, Status};

use crate::{Cause, Error};

/// An act that failed.
#[derive(Debug)]
pub(super) struct Failure {
    act: &'static str,
    name: String,
    place: String,
    fault: Fault,
}

#[derive(Debug)]
enum Fault {
    /// The server answered, and this is what it said.
    Answer(Status, String),
    /// It answered something that is no FTP.
    Strange(String),
    /// It cannot prove who it is.
    Untrusted(String),
    /// The way to it.
    Way(io::Error),
}

/// What marks an error of TLS that is one of trust, on its way through the library's texts.
pub(super) const DISTRUST: &str = "not trusted: ";

impl Failure {
    pub(super) fn new(act: &'static str, name: &str, place: &str, error: FtpError) -> Self {
        let fault = match error {
            FtpError::ConnectionError(source) => Fault::Way(closed(source)),
            FtpError::UnexpectedResponse(response) => answer(&response),
            FtpError::SecureError(text) => match text.split_once(DISTRUST) {
                Some((_, text)) => Fault::Untrusted(text.to_owned()),
                None => Fault::Way(io::Error::new(io::ErrorKind::ConnectionReset, text)),
            },
            other => Fault::Strange(other.to_string()),
        };
        Self { act, name: name.to_owned(), place: place.to_owned(), fault }
    }

    pub(super) fn way(act: &'static str, name: &str, place: &str, error: io::Error) -> Self {
        Self { act, name: name.to_owned(), place: place.to_owned(), fault: Fault::Way(error) }
    }

    /// Whether the server answered, and the connection goes on.
    pub(super) fn is_answer(&self) -> bool {
        matches!(&self.fault, Fault::Answer(status, _) if *status != Status::NotAvailable)
    }

    /// Whether the server knows no such command.
    pub(super) fn is_unknown_command(&self) -> bool {
        use Status::{BadArguments, BadCommand, NotImplemented, NotImplementedParameter};
        matches!(
            self.fault,
            Fault::Answer(BadCommand | BadArguments | NotImplemented | NotImplementedParameter, _)
        )
    }

    /// Whether the answer to a question about a file means, or may mean, that it is not there.
    pub(super) fn says_absent(&self) -> bool {
        match &self.fault {
            Fault::Answer(Status::FileUnavailable | Status::RequestFileActionIgnored, text) => {
                !mentions(text, DENIED)
            }
            _ => false,
        }
    }
}

/// What the end of a connection is called differs; it is always that someone cut it.
fn closed(source: io::Error) -> io::Error {
    match source.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::NotConnected => {
            io::Error::new(io::ErrorKind::ConnectionReset, source)
        }
        _ => source,
    }
}

fn answer(response: &Response) -> Fault {
    let text = String::from_utf8_lossy(&response.body).trim().to_owned();
    match response.status {
        // The connection for data was not made or was cut, whoever did it.
        Status::CannotOpenDataConnection | Status::TransferAborted if !mentions(&text, FULL) => {
            Fault::Way(io::Error::new(io::ErrorKind::ConnectionAborted, answer::printable(&text, [])))
        }
        // An empty answer is the end of the connection.
        Status::Unknown if text.is_empty() => Fault::Way(io::ErrorKind::ConnectionReset.into()),
        status => Fault::Answer(status, text),
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let Failure { act, name, place, fault } = failure;
        let (cause, answer) = match fault {
            Fault::Way(source) => return Self::Io { act, name, place, source },
            Fault::Strange(text) => (Cause::Unexpected, text),
            Fault::Untrusted(text) => (Cause::Untrusted, text),
            Fault::Answer(status, text) => (cause_of(status, &text), text),
        };
        let answer = answer::printable(&answer, []);
        Self::Refused { act, name, place, cause, answer, retry_after_seconds: None }
    }
}

const FULL: &[&str] = &["no space", "quota", "disk full", "exceeded", "not enough space", "insufficient"];
const DENIED: &[&str] =
    &["denied", "not permitted", "not allowed", "forbidden", "prohibited", "read-only", "could not create"];
const ABSENT: &[&str] = &["no such", "not found", "not exist", "cannot find"];
const CROWDED: &[&str] = &["too many", "try again", "limit"];

fn mentions(text: &str, words: &[&str]) -> bool {
    let text = text.to_ascii_lowercase();
    words.iter().any(|words| text.contains(words))
}

fn cause_of(status: Status, text: &str) -> Cause {
    match status {
        Status::NotAvailable => Cause::Busy,
        Status::ExceededStorage | Status::RequestedActionNotTaken => Cause::Full,
        _ if mentions(text, FULL) => Cause::Full,
        Status::NotLoggedIn | Status::InvalidCredentials | Status::StoringNeedAccount => {
            if mentions(text, CROWDED) { Cause::Busy } else { Cause::SignIn }
        }
        Status::RequestFileActionIgnored | Status::ActionAborted => Cause::Busy,
        _ if mentions(text, DENIED) => Cause::Denied,
        _ if mentions(text, ABSENT) => Cause::NoPlace,
        Status::FileUnavailable | Status::BadFilename => Cause::Denied,
        _ => Cause::Unexpected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: Status, text: &str) -> Failure {
        let response = Response::new(status, text.as_bytes().to_vec());
        Failure::new("store", "a", "there", FtpError::UnexpectedResponse(response))
    }

    #[test]
    fn one_number_means_several_things() {
        for (status, text, wanted) in [
            (Status::FileUnavailable, "550 a: No such file or directory", Cause::NoPlace),
            (Status::FileUnavailable, "550 Permission denied.", Cause::Denied),
            (Status::FileUnavailable, "550 a: Disk quota exceeded", Cause::Full),
            (Status::ExceededStorage, "552 Requested file action aborted.", Cause::Full),
            (Status::ActionAborted, "451 a: No space left on device", Cause::Full),
            (Status::NotLoggedIn, "530 Login incorrect.", Cause::SignIn),
            (Status::NotLoggedIn, "530 Too many users, try again later", Cause::Busy),
            (Status::NotAvailable, "421 Timeout.", Cause::Busy),
            (Status::BadFilename, "553 Could not create file.", Cause::Denied),
            (Status::BadCommand, "500 What?", Cause::Unexpected),
        ] {
            let error = Error::from(failure(status, text));
            assert!(matches!(&error, Error::Refused { cause, .. } if *cause == wanted), "{text}: {error}");
        }
        assert!(failure(Status::FileUnavailable, "550 Could not get file size.").says_absent());
        assert!(!failure(Status::FileUnavailable, "550 Permission denied.").says_absent());
        let cut = Error::from(failure(Status::TransferAborted, "426 Failure reading network stream."));
        assert_eq!(cut.class(), backstock_vocabulary::ErrorClass::Retry);
    }
}
