//! One connection to a server: statements in, raw bytes out. One packet loop of our own, since no client crate hands
//! over the rows as they came; log-in methods come from `mysql_common`.

mod answer;
mod handshake;
mod prepared;
mod result;
mod stream;
mod tls;
mod wire;

use std::io::{self, BufRead};
use std::sync::Arc;

pub use answer::{Column, Done};
#[cfg(test)]
pub(crate) use result::put_value;
pub use result::{Fetched, ResultSet, Row, RowStream, Values};
pub use stream::Breaker;
pub(crate) use wire::USUAL_BYTES;

use backstock_host::memory::Room;

use self::answer::{is_eof, parse_column, parse_eof, parse_error, parse_ok};
use self::handshake::{CLIENT_SSL, Channel, Greeting, encryption_request, log_in};
use self::stream::{LOG_IN_TIMEOUT, Socket, Stream};
use self::wire::{Fields, Wire};
use crate::error::{Error, Result, readable_statement};
use crate::settings::{Address, ServerSettings, Tls};

const COMMAND_QUIT: u8 = 0x01;
const COMMAND_QUERY: u8 = 0x03;
const COMMAND_PING: u8 = 0x0e;

/// More columns than any server allows in one result.
const COLUMNS_LIMIT: u64 = 65_536;

/// The first byte of an answer that asks for the content of a LOAD DATA LOCAL.
const LOCAL_INFILE: u8 = 0xfb;

/// How much of a LOAD DATA LOCAL goes into one packet, bytes.
const LOCAL_PACKET_BYTES: usize = 256 * 1024;

/// Whose server it is: the two vendors differ in what they know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vendor {
    /// Oracle MySQL and its descendants other than MariaDB.
    MySql,
    /// MariaDB.
    MariaDb,
}

/// A server's version number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Version(pub u16, pub u16, pub u16);

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// A connection that is logged in. Dropping it says goodbye to the server.
#[derive(Debug)]
pub struct Connection {
    wire: Wire<Stream>,
    connection_id: u64,
    version_text: String,
    vendor: Vendor,
    version: Version,
    transport: &'static str,
    breaker: Breaker,
    /// A result was left half read, or the stream broke: no further statement can be sent.
    broken: bool,
    status: u16,
}

/// What the server answered to a statement.
pub(crate) enum Answer {
    Done(Done),
    Columns(Vec<Column>),
}

impl Connection {
    /// Connects and logs in. `database` becomes the default database.
    ///
    /// # Errors
    /// Everything between an unreachable server and a refused password, each by its own variant of [`Error`].
    pub fn open(settings: &ServerSettings, database: Option<&[u8]>) -> Result<Self> {
        let address = settings.address.to_string();
        if settings.user.contains('\0') || database.is_some_and(|name| name.contains(&0)) {
            let reason = "a name with a zero byte cannot be sent".to_owned();
            return Err(Error::LogInMethod { address, user: settings.user.clone(), reason });
        }
        let connect = |source| Error::Connect { address: address.clone(), source };
        let socket = Socket::connect(&settings.address).map_err(connect)?;
        socket.set_timeout(Some(LOG_IN_TIMEOUT)).map_err(connect)?;
        let breaker = Breaker::of(&socket).map_err(connect)?;
        let mut wire = Wire::new(Stream::Plain(socket));
        let message = wire.receive().map_err(connect)?;
        if message.first() == Some(&0xff) {
            return Err(Error::LogIn { address, user: settings.user.clone(), source: parse_error(message) });
        }
        let greeting = Greeting::parse(message).map_err(|_| Error::Protocol {
            statement: "connect".to_owned(),
            what: "its greeting is not that of MySQL or MariaDB".to_owned(),
        })?;
        let (mut wire, channel, transport) = secure(wire, &greeting, settings, database.is_some())?;
        log_in(&mut wire, &greeting, settings, database, channel)?;
        wire.stream().socket().set_timeout(None).map_err(connect)?;
        let version_text = String::from_utf8_lossy(&greeting.version).into_owned();
        let (vendor, version) = read_version(&version_text);
        let connection_id = u64::from(greeting.connection_id);
        Ok(Self {
            wire,
            connection_id,
            version_text,
            vendor,
            version,
            transport,
            breaker,
            broken: false,
            status: 0,
        })
    }

    /// The server's number for this connection, for `KILL`.
    pub fn connection_id(&self) -> u64 {
        self.connection_id
    }

    /// Whose server it is.
    pub fn vendor(&self) -> Vendor {
        self.vendor
    }

    /// Its version as numbers.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Its version as it says it.
    pub fn version_text(&self) -> &str {
        &self.version_text
    }

    /// How the bytes travel: `unix socket`, `clear text`, or which encryption.
    pub fn transport(&self) -> &'static str {
        self.transport
    }

    /// A handle that breaks this connection off from another thread.
    pub fn breaker(&self) -> Breaker {
        self.breaker.clone()
    }

    /// Whether the server said at the end of the last statement that a transaction is open.
    pub fn is_in_transaction(&self) -> bool {
        self.status & answer::STATUS_IN_TRANSACTION != 0
    }

    /// Limits how long the next answers may take; `None` waits as long as the server needs.
    pub(crate) fn set_timeout(&mut self, timeout: Option<std::time::Duration>) -> Result<()> {
        self.wire
            .stream()
            .socket()
            .set_timeout(timeout)
            .map_err(|source| Error::System { act: "set the time limit of a connection".to_owned(), source })
    }

    /// From now on, large rows wait until there is room for them and for a text of the same length. The room is given
    /// back when the next row is asked for, or the rows are left.
    pub(crate) fn share_room(&mut self, room: Arc<Room>) {
        self.wire.share_room(room);
    }

    /// Whether nothing more can be sent.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Runs a statement that returns no rows. Rows that come all the same are read and dropped.
    pub fn execute(&mut self, sql: &[u8]) -> Result<Done> {
        self.send_query(sql)?;
        match self.receive_answer(sql)? {
            Answer::Done(done) => Ok(done),
            Answer::Columns(columns) => {
                let mut rows = RowStream::new(self, sql, columns);
                while rows.next()?.is_some() {}
                Ok(Done { warnings: rows.warnings(), ..Done::default() })
            }
        }
    }

    /// Runs a query and keeps its rows in memory: for small results only (at most 256 MiB).
    pub fn query(&mut self, sql: &[u8]) -> Result<ResultSet> {
        let mut rows = self.query_streaming(sql)?;
        ResultSet::collect(&mut rows)
    }

    /// Runs a query and hands out its rows one by one. A stream that is dropped before its end breaks the connection.
    pub fn query_streaming(&mut self, sql: &[u8]) -> Result<RowStream<'_>> {
        self.send_query(sql)?;
        let columns = match self.receive_answer(sql)? {
            Answer::Done(_) => Vec::new(),
            Answer::Columns(columns) => columns,
        };
        Ok(RowStream::new(self, sql, columns))
    }

    /// Runs a `LOAD DATA LOCAL INFILE` and sends `content` when the server asks for exactly `name`. For any other
    /// name the connection is broken off: a server may ask for any file that this process can read.
    pub fn execute_with_local_infile(
        &mut self,
        sql: &[u8],
        name: &[u8],
        content: &mut dyn BufRead,
    ) -> Result<Done> {
        self.send_query(sql)?;
        let message = self.receive(sql)?;
        match message.first() {
            Some(&LOCAL_INFILE) if &message[1..] == name => {}
            Some(&LOCAL_INFILE) => {
                return Err(self.protocol(sql, "it asks for another file than the one it was told"));
            }
            Some(0x00) => return self.done(sql, &message),
            Some(0xff) => return Err(self.refused(sql, &message)),
            _ => return Err(self.protocol(sql, "neither done nor a request for the rows")),
        }
        let sent = self.send_local_rows(sql, content);
        // The empty packet ends the rows, even after a failed read: only then can the answer be read.
        self.wire.send(&[]).map_err(|source| self.lost(sql, source))?;
        let message = self.receive(sql)?;
        let answer = match message.first() {
            Some(0x00) => self.done(sql, &message),
            Some(0xff) => Err(self.refused(sql, &message)),
            _ => Err(self.protocol(sql, "no end after the rows")),
        };
        sent.and(answer)
    }

    fn send_local_rows(&mut self, sql: &[u8], content: &mut dyn BufRead) -> Result<()> {
        loop {
            let count = match content.fill_buf() {
                Ok([]) => return Ok(()),
                Ok(piece) => {
                    let piece = &piece[..piece.len().min(LOCAL_PACKET_BYTES)];
                    self.wire.send(&[piece]).map_err(|source| self.lost(sql, source))?;
                    piece.len()
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => {
                    return Err(Error::LocalRows { statement: readable_statement(sql), source });
                }
            };
            content.consume(count);
        }
    }

    /// Asks the server for a sign of life.
    pub fn ping(&mut self) -> Result<()> {
        self.send_command(COMMAND_PING, b"ping", &[])?;
        let message = self.receive(b"ping")?;
        self.done(b"ping", &message).map(drop)
    }

    fn send_query(&mut self, sql: &[u8]) -> Result<()> {
        self.send_command(COMMAND_QUERY, sql, sql)
    }

    fn send_command(&mut self, command: u8, statement: &[u8], content: &[u8]) -> Result<()> {
        if self.broken {
            return Err(self.lost(statement, io::ErrorKind::NotConnected.into()));
        }
        self.wire.start_command();
        self.wire.send(&[&[command], content]).map_err(|source| self.send_failed(statement, source))
    }

    /// A server that dislikes a statement's size answers and hangs up while we still send: its answer says more than
    /// the broken pipe.
    fn send_failed(&mut self, statement: &[u8], source: io::Error) -> Error {
        self.broken = true;
        match self.wire.receive() {
            Ok(message) if message.first() == Some(&0xff) => {
                Error::Statement { statement: readable_statement(statement), source: parse_error(message) }
            }
            _ => self.lost(statement, source),
        }
    }

    fn receive(&mut self, sql: &[u8]) -> Result<Vec<u8>> {
        match self.wire.receive() {
            Ok(message) => Ok(message.to_vec()),
            Err(source) => Err(self.lost(sql, source)),
        }
    }

    fn receive_answer(&mut self, sql: &[u8]) -> Result<Answer> {
        let message = self.receive(sql)?;
        match message.first() {
            Some(0x00) => self.done(sql, &message).map(Answer::Done),
            Some(0xff) => Err(self.refused(sql, &message)),
            Some(&LOCAL_INFILE) => Err(self.protocol(sql, "it asks for a file of this machine")),
            _ => self.receive_columns(sql, &message).map(Answer::Columns),
        }
    }

    fn receive_columns(&mut self, sql: &[u8], message: &[u8]) -> Result<Vec<Column>> {
        let count = match Fields(message).length() {
            Ok(Some(count)) if count <= COLUMNS_LIMIT => count,
            _ => return Err(self.protocol(sql, "the number of columns is damaged")),
        };
        let mut columns = Vec::new();
        for _ in 0..count {
            let message = self.receive(sql)?;
            let column = parse_column(&message);
            columns.push(column.map_err(|_| self.protocol(sql, "a column's description is damaged"))?);
        }
        let message = self.receive(sql)?;
        if !is_eof(&message) {
            return Err(self.protocol(sql, "the columns do not end"));
        }
        Ok(columns)
    }

    fn done(&mut self, sql: &[u8], message: &[u8]) -> Result<Done> {
        let done = parse_ok(message).map_err(|_| self.protocol(sql, "its end is damaged"))?;
        self.keep_status(sql, done)
    }

    fn keep_status(&mut self, sql: &[u8], done: Done) -> Result<Done> {
        self.status = done.status;
        if done.status & answer::STATUS_MORE_RESULTS != 0 {
            return Err(self.protocol(sql, "a second result follows"));
        }
        Ok(done)
    }

    /// One row, or the end with its warnings.
    #[inline]
    fn receive_row(&mut self, sql: &[u8]) -> Result<Fetched<'_>> {
        // Looked at twice because the borrow checker does not let an early return keep the message.
        let (first, length) = match self.wire.receive() {
            Ok(message) => (message.first().copied(), message.len()),
            Err(source) => return Err(self.lost(sql, source)),
        };
        match first {
            Some(0xff) => Err(self.refused_last(sql)),
            Some(0xfe) if length < 9 => {
                let done = parse_eof(self.wire.last());
                let done = done.map_err(|_| self.protocol(sql, "the end of its rows is damaged"))?;
                self.keep_status(sql, done).map(Fetched::End)
            }
            _ => Ok(Fetched::Row(Row::new(self.wire.last_padded()))),
        }
    }

    fn refused_last(&mut self, sql: &[u8]) -> Error {
        let source = parse_error(self.wire.last());
        Error::Statement { statement: readable_statement(sql), source }
    }

    fn refused(&mut self, sql: &[u8], message: &[u8]) -> Error {
        Error::Statement { statement: readable_statement(sql), source: parse_error(message) }
    }

    fn lost(&mut self, sql: &[u8], source: io::Error) -> Error {
        self.broken = true;
        Error::Lost { statement: readable_statement(sql), source }
    }

    fn protocol(&mut self, sql: &[u8], what: &str) -> Error {
        self.broken = true;
        self.breaker.break_off();
        Error::Protocol { statement: readable_statement(sql), what: what.to_owned() }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.broken {
            self.breaker.break_off();
        } else {
            self.wire.start_command();
            let _ = self.wire.send(&[&[COMMAND_QUIT]]);
        }
    }
}

/// Goes on encrypted where the settings ask for it, and says what came of it.
fn secure(
    mut wire: Wire<Stream>,
    greeting: &Greeting,
    settings: &ServerSettings,
    has_database: bool,
) -> Result<(Wire<Stream>, Channel, &'static str)> {
    let on_this_machine = settings.address.is_on_this_machine();
    let clear = Channel { on_this_machine, proven: false, tls: false };
    let offered = greeting.capabilities & CLIENT_SSL != 0;
    let identity = match (&settings.address, &settings.tls) {
        (Address::Socket(_), _) => return Ok((wire, clear, "unix socket")),
        (_, Tls::Off) => return Ok((wire, clear, "clear text")),
        (_, Tls::IfOffered) if !offered => return Ok((wire, clear, "clear text")),
        (_, Tls::IfOffered) => None,
        (_, Tls::Require(_)) if !offered => {
            let reason = "the server does not offer it".to_owned();
            return Err(Error::Encryption { address: settings.address.to_string(), reason });
        }
        (_, Tls::Require(identity)) => Some(identity),
    };
    let connect = |source| Error::Connect { address: settings.address.to_string(), source };
    wire.send(&[&encryption_request(has_database)]).map_err(connect)?;
    let mut failure = None;
    let encrypted = wire.replace_stream(|stream| match stream {
        Stream::Plain(socket) => match tls::encrypt(socket, settings, identity) {
            Ok(stream) => Ok(Stream::Encrypted(Box::new(stream))),
            Err(error) => {
                failure = Some(error);
                Err(io::ErrorKind::ConnectionAborted.into())
            }
        },
        encrypted => Ok(encrypted),
    });
    let wire = encrypted.map_err(|source| failure.unwrap_or_else(|| connect(source)))?;
    let transport = if identity.is_some() { "TLS" } else { "TLS, the server's identity not checked" };
    Ok((wire, Channel { on_this_machine, proven: identity.is_some(), tls: true }, transport))
}

/// Reads `5.5.5-10.11.6-MariaDB-0+deb12u1`, `8.0.36-28` and the like.
fn read_version(text: &str) -> (Vendor, Version) {
    let vendor = if text.to_ascii_lowercase().contains("mariadb") { Vendor::MariaDb } else { Vendor::MySql };
    // MariaDB before 11 puts this in front, for replicas that cannot read two-digit versions.
    let digits = if vendor == Vendor::MariaDb { text.strip_prefix("5.5.5-").unwrap_or(text) } else { text };
    let mut numbers = digits
        .split(|character: char| !character.is_ascii_digit())
        .map(|number| number.parse().unwrap_or(0))
        .chain(std::iter::repeat(0));
    let mut next = || numbers.next().unwrap_or(0);
    (vendor, Version(next(), next(), next()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(read_version("5.5.5-10.11.6-MariaDB-0+deb12u1"), (Vendor::MariaDb, Version(10, 11, 6)));
        assert_eq!(read_version("11.8.6-MariaDB"), (Vendor::MariaDb, Version(11, 8, 6)));
        assert_eq!(read_version("9.7.4"), (Vendor::MySql, Version(9, 7, 4)));
        assert_eq!(read_version("8.0.36-28"), (Vendor::MySql, Version(8, 0, 36)));
        assert_eq!(read_version("unknown").1, Version(0, 0, 0));
    }
}
