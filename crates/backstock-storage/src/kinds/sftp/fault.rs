//! What goes wrong between us and an SFTP server, in the words of the seam.

use std::io;

use backstock_host::answer;
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::protocol::StatusCode;

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
    Status(StatusCode, String),
    /// It answered something else.
    Strange(String),
    /// The way to it.
    Way(io::Error),
}

impl Failure {
    pub(super) fn new(act: &'static str, name: &str, place: &str, error: SftpError) -> Self {
        let reset = |text: String| Fault::Way(io::Error::new(io::ErrorKind::ConnectionReset, text));
        let fault = match error {
            SftpError::Status(status) => match status.status_code {
                StatusCode::NoConnection | StatusCode::ConnectionLost => reset(status.error_message),
                code => Fault::Status(code, status.error_message),
            },
            SftpError::Timeout => Fault::Way(io::ErrorKind::TimedOut.into()),
            SftpError::IO(text) | SftpError::UnexpectedBehavior(text) => reset(text),
            SftpError::Limited(text) => Fault::Strange(text),
            SftpError::UnexpectedPacket => Fault::Strange("another answer than was asked for".to_owned()),
        };
        Self { act, name: name.to_owned(), place: place.to_owned(), fault }
    }

    pub(super) fn way(act: &'static str, name: &str, place: &str, error: io::Error) -> Self {
        Self { act, name: name.to_owned(), place: place.to_owned(), fault: Fault::Way(error) }
    }

    /// What the server answered, if it did.
    pub(super) fn status(&self) -> Option<StatusCode> {
        match self.fault {
            Fault::Status(code, _) => Some(code),
            _ => None,
        }
    }

    /// Whether the connection is of no more use.
    pub(super) fn is_of_the_way(&self) -> bool {
        !matches!(self.fault, Fault::Status(..))
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let Failure { act, name, place, fault } = failure;
        let (cause, answer) = match fault {
            Fault::Way(source) => return Self::Io { act, name, place, source },
            Fault::Strange(text) => (Cause::Unexpected, text),
            Fault::Status(code, text) => (cause_of(code, &text), format!("{code}: {text}")),
        };
        let answer = answer::printable(&answer, []);
        Self::Refused { act, name, place, cause, answer, retry_after_seconds: None }
    }
}

fn cause_of(code: StatusCode, text: &str) -> Cause {
    let text = text.to_ascii_lowercase();
    match code {
        StatusCode::PermissionDenied => Cause::Denied,
        StatusCode::NoSuchFile => Cause::NoPlace,
        // Servers other than OpenSSH put the operating system's words there.
        _ if ["no space", "quota", "disk full", "file too large"]
            .iter()
            .any(|words| text.contains(words)) =>
        {
            Cause::Full
        }
        _ => Cause::Unexpected,
    }
}
