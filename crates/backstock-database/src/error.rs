//! What can go wrong with a database: each error names the act and the thing, and says what to do about it.

use std::io;
use std::path::PathBuf;

use backstock_vocabulary::ErrorClass;

use crate::kinds::mysql::sql::SqlFault;

/// The result of everything that talks to a database.
pub type Result<T> = std::result::Result<T, Error>;

/// An error that the server itself reported (ERR packet of the client/server protocol).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the server says: {message} (error {code}, state {sqlstate})")]
pub struct ServerError {
    /// The server's error number, for example 1045.
    pub code: u16,
    /// Five characters; `HY000` where the server gave none.
    pub sqlstate: String,
    /// The server's text. Bytes that are not UTF-8 are replaced.
    pub message: String,
}

/// What went wrong, and with what.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection could be made.
    #[error("cannot reach the database server at {address}")]
    Connect {
        /// Host and port, or the socket's path.
        address: String,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// The server refused the account.
    #[error("cannot log in to the database server at {address} as {user}")]
    LogIn {
        /// Host and port, or the socket's path.
        address: String,
        /// The account's name.
        user: String,
        /// The server's reason.
        #[source]
        source: ServerError,
    },
    /// We refuse the way in which the server wants the password, or cannot follow it.
    #[error("cannot log in to the database server at {address} as {user}: {reason}")]
    LogInMethod {
        /// Host and port, or the socket's path.
        address: String,
        /// The account's name.
        user: String,
        /// Why.
        reason: String,
    },
    /// Encryption was asked for and cannot be had.
    #[error("cannot set up an encrypted connection to the database server at {address}: {reason}")]
    Encryption {
        /// Host and port, or the socket's path.
        address: String,
        /// Why.
        reason: String,
    },
    /// A certificate file could not be read.
    #[error("cannot read the certificates in {}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// The server refused a statement.
    #[error("the statement \"{statement}\" failed")]
    Statement {
        /// The first bytes of the statement, readable; never a value of a row.
        statement: String,
        /// The server's reason.
        #[source]
        source: ServerError,
    },
    /// The connection broke.
    #[error("lost the connection to the database server during \"{statement}\"")]
    Lost {
        /// The first bytes of the statement.
        statement: String,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// The server sent something that the protocol does not allow, or more than we accept.
    #[error("the database server's answer to \"{statement}\" cannot be understood: {what}")]
    Protocol {
        /// The first bytes of the statement.
        statement: String,
        /// What is wrong with it.
        what: String,
    },
    /// The source of a LOAD DATA LOCAL failed.
    #[error("cannot read the rows to send for \"{statement}\"")]
    LocalRows {
        /// The first bytes of the statement.
        statement: String,
        /// The reader's reason.
        #[source]
        source: io::Error,
    },
    /// The place that takes the dump failed.
    #[error("cannot write the dump of the database {database}")]
    Sink {
        /// The database's name, readable.
        database: String,
        /// The writer's reason.
        #[source]
        source: io::Error,
    },
    /// The database is not there or the account cannot see it.
    #[error("the database {database} does not exist, or this account may not see it")]
    NoDatabase {
        /// Its name, readable.
        database: String,
    },
    /// A pattern of a table selection cannot be understood.
    #[error("\"{pattern}\" is not a pattern of table names")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        #[source]
        source: globset::Error,
    },
    /// The database changed under the dump, and every attempt was void.
    #[error("the database {database} kept changing while it was read: {reason}")]
    KeptChanging {
        /// Its name, readable.
        database: String,
        /// What the last attempt saw.
        reason: String,
    },
    /// The dump was asked to stop.
    #[error("the dump of the database {database} was stopped")]
    Cancelled {
        /// Its name, readable.
        database: String,
    },
    /// A definition from the server has a form that we do not understand.
    #[error("the definition of {object} cannot be understood: {what}")]
    Definition {
        /// Kind and readable name.
        object: String,
        /// What is wrong with it.
        what: String,
    },
    /// SQL text of a dump or of the server cannot be read.
    #[error("the SQL text of {object} cannot be read")]
    Sql {
        /// What it should be.
        object: String,
        /// Where and why.
        #[source]
        source: SqlFault,
    },
    /// A frame of a dump cannot be had.
    #[error("cannot read frame {frame} of the dump")]
    Frame {
        /// Its number.
        frame: u64,
        /// The reader's reason.
        #[source]
        source: io::Error,
    },
    /// No program of a database server is on this machine.
    #[error("no database server's program (mariadbd or mysqld) was found in {searched}")]
    NoPrograms {
        /// Where it was looked for, readable.
        searched: String,
    },
    /// A private server could not be made or did not come up.
    #[error("cannot {act} a private database server with {}: {what}", program.display())]
    PrivateServer {
        /// The act, as a verb.
        act: &'static str,
        /// The program.
        program: PathBuf,
        /// What it said, or what the operating system said.
        what: String,
    },
    /// What was loaded is not what was dumped.
    #[error("the table {table} was not loaded as it was dumped: {what}")]
    NotEqual {
        /// Its name, readable.
        table: String,
        /// The difference.
        what: String,
    },
    /// A server of another vendor or version refused what the backup has.
    #[error("this server does not take the table {table} of the backup: {what}")]
    NotTaken {
        /// Its name, readable.
        table: String,
        /// What it is about.
        what: String,
        /// The server's words.
        #[source]
        source: ServerError,
    },
    /// A load cannot be planned.
    #[error("cannot plan the load into the database {database}: {reason}")]
    Plan {
        /// The target's name, readable.
        database: String,
        /// Why.
        reason: String,
    },
    /// A table of a swap is neither under its own name nor aside.
    #[error("the table {table} is neither under its own name nor aside as {aside}")]
    SideGone {
        /// Its name, readable.
        table: String,
        /// Its name aside.
        aside: String,
    },
    /// A dump made by others cannot be taken.
    #[error("{file}, line {line}: {what}")]
    ForeignText {
        /// The file, as it was given.
        file: String,
        /// The line, from 1.
        line: u64,
        /// Why.
        what: String,
    },
    /// A dump made by others cannot be read.
    #[error("cannot read {file}")]
    ForeignRead {
        /// The file, as it was given.
        file: String,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// A dump made by others was not the same when it was read again.
    #[error("{files} changed while it was read")]
    ForeignChanged {
        /// The files.
        files: String,
    },
    /// The load was asked to stop.
    #[error("the load into the database {database} was stopped")]
    LoadStopped {
        /// The target's name, readable.
        database: String,
    },
    /// Anything else that the operating system refused.
    #[error("cannot {act}")]
    System {
        /// What was tried.
        act: String,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// The server's error number, if the server reported one.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::LogIn { source, .. } | Self::Statement { source, .. } | Self::NotTaken { source, .. } => {
                Some(source.code)
            }
            _ => None,
        }
    }

    /// What to do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Connect { .. } | Self::Lost { .. } | Self::KeptChanging { .. } => ErrorClass::Retry,
            Self::LogIn { source, .. } | Self::Statement { source, .. } => class_of_code(source.code),
            Self::LogInMethod { .. }
            | Self::Encryption { .. }
            | Self::Certificates { .. }
            | Self::NoDatabase { .. }
            | Self::Plan { .. }
            | Self::NotTaken { .. }
            | Self::NoPrograms { .. }
            | Self::ForeignText { .. }
            | Self::ForeignChanged { .. }
            | Self::Pattern { .. } => ErrorClass::Ask,
            Self::Protocol { .. }
            | Self::LocalRows { .. }
            | Self::Sink { .. }
            | Self::Cancelled { .. }
            | Self::Definition { .. }
            | Self::Sql { .. }
            | Self::Frame { .. }
            | Self::NotEqual { .. }
            | Self::PrivateServer { .. }
            | Self::SideGone { .. }
            | Self::ForeignRead { .. }
            | Self::LoadStopped { .. }
            | Self::System { .. } => ErrorClass::Stop,
        }
    }
}

/// Server error numbers that pass by themselves, those that a person must settle, and the rest.
fn class_of_code(code: u16) -> ErrorClass {
    match code {
        // Too many connections, server shutdown, out of memory, lock waits, deadlock, killed, definition changed.
        1037 | 1040 | 1053 | 1129 | 1158..=1161 | 1203 | 1205 | 1213 | 1226 | 1317 | 1412 | 1927 | 4031 => {
            ErrorClass::Retry
        }
        // Access denied in its forms, and unknown database.
        1044 | 1045 | 1049 | 1130 | 1142 | 1143 | 1227 | 1370 | 1698 | 1820 | 1862 | 3118 => ErrorClass::Ask,
        _ => ErrorClass::Stop,
    }
}

/// The first bytes of a statement in readable form, for messages. Cut where a list of rows would begin, or the address
/// of a table that lies on another server, which holds a password.
pub(crate) fn readable_statement(sql: &[u8]) -> String {
    const LIMIT_BYTES: usize = 120;
    let start = &sql[..sql.len().min(LIMIT_BYTES)];
    let behind = |word: &[u8]| {
        let at = start.windows(word.len()).position(|window| window.eq_ignore_ascii_case(word));
        at.map(|at| at + word.len())
    };
    let end = behind(b"VALUES").into_iter().chain(behind(b"CONNECTION=")).min().unwrap_or(start.len());
    let mut text = String::from_utf8_lossy(&sql[..end]).replace(char::is_control, " ");
    if end < sql.len() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_in_a_message_shows_no_row() {
        let text = readable_statement(b"INSERT INTO `t` (`a`) VALUES\n('secret')");
        assert_eq!(text, "INSERT INTO `t` (`a`) VALUES…");
        assert!(readable_statement(&[b'x'; 500]).len() < 130);
        let text =
            readable_statement(b"CREATE TABLE `t` (`a` int) ENGINE=FEDERATED CONNECTION='mysql://u:p@h/d/t'");
        assert!(text.ends_with("CONNECTION=\u{2026}"), "{text}");
    }

    #[test]
    fn codes_have_classes() {
        let error = |code| {
            let source = ServerError { code, sqlstate: "HY000".into(), message: "m".into() };
            Error::Statement { statement: "s".into(), source }.class()
        };
        assert_eq!(error(1040), ErrorClass::Retry);
        assert_eq!(error(1142), ErrorClass::Ask);
        assert_eq!(error(1064), ErrorClass::Stop);
    }
}
