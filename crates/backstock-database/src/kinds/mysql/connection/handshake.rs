//! Greeting and log-in (MySQL Internals, "Connection Phase"). The methods themselves come from `mysql_common`; what
//! may be sent in clear is decided here: a password leaves this machine only over a connection whose other end has
//! proven who it is.

use std::io::{Read, Write};

use mysql_common::auth::plugins::{AuthProc, ChallengeResponsePlugin, Context, Response};
use mysql_common::packets::AuthPlugin;

use super::answer::{is_eof, parse_error};
use super::wire::{Fields, Malformed, Wire, put_length};
use crate::error::{Error, Result};
use crate::settings::{Address, ServerSettings};

const CLIENT_LONG_PASSWORD: u32 = 1;
const CLIENT_LONG_FLAG: u32 = 1 << 2;
const CLIENT_CONNECT_WITH_DB: u32 = 1 << 3;
const CLIENT_LOCAL_FILES: u32 = 1 << 7;
const CLIENT_PROTOCOL_41: u32 = 1 << 9;
pub(crate) const CLIENT_SSL: u32 = 1 << 11;
const CLIENT_TRANSACTIONS: u32 = 1 << 13;
const CLIENT_SECURE_CONNECTION: u32 = 1 << 15;
const CLIENT_PLUGIN_AUTH: u32 = 1 << 19;
const CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA: u32 = 1 << 21;

/// What we ask for. Not asked for, on purpose: several statements in one command, several results, the newer end
/// of rows (`CLIENT_DEPRECATE_EOF`; one shape less to tell apart), compression.
const WANTED: u32 = CLIENT_LONG_PASSWORD
    | CLIENT_LONG_FLAG
    | CLIENT_LOCAL_FILES
    | CLIENT_PROTOCOL_41
    | CLIENT_TRANSACTIONS
    | CLIENT_SECURE_CONNECTION
    | CLIENT_PLUGIN_AUTH
    | CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA;

/// The largest message that we say we take, bytes.
const MAX_PACKET_BYTES: u32 = 1 << 30;

/// utf8mb4_general_ci, known to every server since 5.5. The session sets its character sets again itself.
const COLLATION: u8 = 45;

/// What the server says before anything else.
#[derive(Debug, Clone)]
pub(crate) struct Greeting {
    pub(crate) version: Vec<u8>,
    pub(crate) connection_id: u32,
    pub(crate) capabilities: u32,
    nonce: Vec<u8>,
    plugin: Vec<u8>,
}

impl Greeting {
    /// Reads a handshake packet of version 10.
    pub(crate) fn parse(message: &[u8]) -> std::result::Result<Self, Malformed> {
        let mut fields = Fields(message);
        if fields.byte()? != 10 {
            return Err(Malformed);
        }
        let version = fields.up_to_zero()?.to_vec();
        let connection_id = u32::try_from(fields.integer(4)?).map_err(|_| Malformed)?;
        let mut nonce = fields.bytes(8)?.to_vec();
        fields.byte()?;
        let low = u32::from(fields.short()?);
        fields.bytes(3)?;
        let capabilities = low | u32::from(fields.short()?) << 16;
        let nonce_length = usize::from(fields.byte()?);
        fields.bytes(10)?;
        nonce.extend_from_slice(fields.bytes(nonce_length.saturating_sub(8).max(13))?);
        nonce.truncate(20);
        let plugin = fields.up_to_zero().unwrap_or(fields.0).to_vec();
        Ok(Self { version, connection_id, capabilities, nonce, plugin })
    }
}

/// How far the other end of the connection can be trusted with a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Channel {
    /// A Unix socket, or TCP that cannot leave this machine.
    pub(crate) on_this_machine: bool,
    /// Encrypted, and the server's identity was checked.
    pub(crate) proven: bool,
    /// Encrypted.
    pub(crate) tls: bool,
}

impl Channel {
    fn may_carry_password(self) -> bool {
        self.on_this_machine || self.proven
    }
}

struct Secrets<'a> {
    password: &'a [u8],
    nonce: &'a [u8],
    tls: bool,
    socket: bool,
}

impl Context for &Secrets<'_> {
    fn pass(&self) -> &[u8] {
        self.password
    }
    fn is_ipc_transport(&self) -> bool {
        self.socket
    }
    fn is_tls_transport(&self) -> bool {
        self.tls
    }
    fn scramble(&self) -> &[u8] {
        self.nonce
    }
    fn server_key_pem(&self) -> Option<&[u8]> {
        None
    }
}

/// One method of proving who we are, under way.
struct Method<'a> {
    settings: &'a ServerSettings,
    channel: Channel,
    name: Vec<u8>,
    nonce: Vec<u8>,
    process: Option<AuthProc>,
}

impl<'a> Method<'a> {
    fn start(
        settings: &'a ServerSettings,
        channel: Channel,
        name: &[u8],
        challenge: &[u8],
    ) -> Result<(Self, Vec<u8>)> {
        let name = name.to_vec();
        let mut method = Method { settings, channel, name, nonce: Vec::new(), process: None };
        // Some servers end the challenge with a zero byte, which is no part of it.
        method.nonce = match challenge {
            [nonce @ .., 0] if nonce.len() == 20 || nonce.len() == 32 => nonce.to_vec(),
            other => other.to_vec(),
        };
        match method.name.as_slice() {
            // The operating system vouches for us: nothing to send.
            b"unix_socket" | b"auth_socket" => return Ok((method, Vec::new())),
            b"mysql_old_password" => {
                return Err(method.refuse("the server wants a password in the form of MySQL 4.0"));
            }
            b"mysql_clear_password" | b"dialog" if !channel.may_carry_password() => {
                return Err(method.refuse("the server wants the password in clear text"));
            }
            _ => {}
        }
        let process = AuthProc::init(&AuthPlugin::from_bytes(&method.name)).map_err(|_| {
            method.refuse(&format!(
                "the account uses the method {}, which is not known here",
                String::from_utf8_lossy(&method.name)
            ))
        })?;
        method.process = Some(process);
        let nonce = method.nonce.clone();
        let answer = method.answer(&nonce)?.unwrap_or_default();
        Ok((method, answer))
    }

    fn answer(&mut self, challenge: &[u8]) -> Result<Option<Vec<u8>>> {
        let secrets = Secrets {
            password: self.settings.password.expose(),
            nonce: &self.nonce,
            // A server takes a clear password over these two only, and not every method does over a socket.
            tls: self.channel.tls && self.channel.may_carry_password(),
            socket: matches!(self.settings.address, Address::Socket(_)),
        };
        let Some(process) = self.process.as_mut() else { return Ok(Some(Vec::new())) };
        let response = process.run(&secrets, challenge);
        let packet = match response {
            Ok(Response::Next { packet } | Response::Last { packet }) => packet,
            Err(error) => return Err(self.refuse(&error.to_string())),
        };
        // These one-byte answers ask the server for a key to encrypt the password with. Anyone in between could
        // give his own key.
        if matches!(packet.as_deref(), Some([1 | 2])) && !self.channel.on_this_machine {
            return Err(self.refuse(
                "the server wants the password itself, and it has not proven who it is; \
                 set up encryption with a certificate authority or the certificate's SHA-256",
            ));
        }
        Ok(packet)
    }

    fn refuse(&self, reason: &str) -> Error {
        Error::LogInMethod {
            address: self.settings.address.to_string(),
            user: self.settings.user.clone(),
            reason: reason.to_owned(),
        }
    }
}

/// The request to go on encrypted ("Protocol::SSLRequest"). MySQL takes the capabilities from here and not from the
/// response that follows: without the database's flag in both, it ignores the database.
pub(crate) fn encryption_request(has_database: bool) -> Vec<u8> {
    response_start(capabilities(true, has_database))
}

fn capabilities(tls: bool, has_database: bool) -> u32 {
    let mut capabilities = WANTED;
    if tls {
        capabilities |= CLIENT_SSL;
    }
    if has_database {
        capabilities |= CLIENT_CONNECT_WITH_DB;
    }
    capabilities
}

fn response_start(capabilities: u32) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&capabilities.to_le_bytes());
    out.extend_from_slice(&MAX_PACKET_BYTES.to_le_bytes());
    out.push(COLLATION);
    out.extend_from_slice(&[0; 23]);
    out
}

fn response(
    settings: &ServerSettings,
    database: Option<&[u8]>,
    tls: bool,
    method: &[u8],
    answer: &[u8],
) -> Vec<u8> {
    let mut out = response_start(capabilities(tls, database.is_some()));
    out.extend_from_slice(settings.user.as_bytes());
    out.push(0);
    put_length(&mut out, answer.len());
    out.extend_from_slice(answer);
    if let Some(database) = database {
        out.extend_from_slice(database);
        out.push(0);
    }
    out.extend_from_slice(method);
    out.push(0);
    out
}

/// Logs in. On success the server waits for the first command.
pub(crate) fn log_in<S: Read + Write>(
    wire: &mut Wire<S>,
    greeting: &Greeting,
    settings: &ServerSettings,
    database: Option<&[u8]>,
    channel: Channel,
) -> Result<()> {
    let lost = |source| Error::Connect { address: settings.address.to_string(), source };
    let first_name: &[u8] =
        if greeting.plugin.is_empty() { b"mysql_native_password" } else { &greeting.plugin };
    // The server's favourite may be one that we refuse or do not know; the account's own method may still be fine.
    let started = Method::start(settings, channel, first_name, &greeting.nonce)
        .or_else(|_| Method::start(settings, channel, b"mysql_native_password", &greeting.nonce));
    let (mut method, answer) = started?;
    wire.send(&[&response(settings, database, channel.tls, &method.name, &answer)]).map_err(lost)?;
    loop {
        let message = wire.receive().map_err(lost)?.to_vec();
        match message.first() {
            Some(0x00) => return Ok(()),
            Some(0xff) => {
                let (address, user) = (settings.address.to_string(), settings.user.clone());
                return Err(Error::LogIn { address, user, source: parse_error(&message) });
            }
            Some(0xfe) if message.len() == 1 => {
                return Err(method.refuse("the server wants a password in the form of MySQL 4.0"));
            }
            Some(0xfe) if !is_eof(&message) || message.len() > 1 => {
                let mut fields = Fields(&message[1..]);
                let name = fields.up_to_zero().map_err(|_| method.refuse("its greeting is damaged"))?;
                let (next, answer) = Method::start(settings, channel, name, fields.0)?;
                method = next;
                wire.send(&[&answer]).map_err(lost)?;
            }
            Some(0x01) => {
                if let Some(answer) = method.answer(&message[1..])? {
                    wire.send(&[&answer]).map_err(lost)?;
                }
            }
            _ => return Err(method.refuse("the server's answer is not of this protocol")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::settings::{Secret, Tls};

    fn remote() -> ServerSettings {
        ServerSettings {
            address: Address::Tcp { host: "db.example".into(), port: 3306 },
            user: "shop".into(),
            password: Secret::new("hunter2"),
            tls: Tls::Off,
        }
    }

    const AWAY: Channel = Channel { on_this_machine: false, proven: false, tls: false };

    fn greeting(plugin: &[u8]) -> Greeting {
        let nonce = vec![7; 20];
        Greeting { version: Vec::new(), connection_id: 1, capabilities: 0, nonce, plugin: plugin.to_vec() }
    }

    /// A stream that answers from a list and remembers what it was sent.
    struct Script(Cursor<Vec<u8>>, Vec<u8>);

    impl Read for Script {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.1.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn run(plugin: &[u8], answers: &[(u8, &[u8])]) -> (Result<()>, Vec<u8>) {
        let mut bytes = Vec::new();
        for (sequence, answer) in answers {
            bytes.extend_from_slice(&[u8::try_from(answer.len()).unwrap(), 0, 0, *sequence]);
            bytes.extend_from_slice(answer);
        }
        let mut wire = Wire::new(Script(Cursor::new(bytes), Vec::new()));
        let result = log_in(&mut wire, &greeting(plugin), &remote(), None, AWAY);
        let sent = wire.stream().1.clone();
        (result, sent)
    }

    #[test]
    fn a_far_server_that_asks_for_the_password_itself_does_not_get_it() {
        for answers in [
            &[(1, b"\x01\x04".as_slice())][..],
            &[(1, b"\xfemysql_clear_password\0")],
            &[(1, b"\xfesha256_password\0aaaaaaaaaaaaaaaaaaaa\0")],
        ] {
            let (result, sent) = run(b"caching_sha2_password", answers);
            assert!(matches!(result, Err(Error::LogInMethod { .. })), "{result:?}");
            assert!(!sent.windows(7).any(|window| window == b"hunter2"));
        }
    }

    #[test]
    fn a_cached_password_logs_in() {
        let ok = b"\0\0\0\x02\0\0\0".as_slice();
        let (result, _) = run(b"caching_sha2_password", &[(1, b"\x01\x03"), (2, ok)]);
        assert!(result.is_ok(), "{result:?}");
    }

    #[test]
    fn a_greeting_is_read() {
        let mut message = b"\x0a11.8.6-MariaDB\0\x2a\0\0\0abcdefgh\0\xff\xf7\x2d\x02\0\xff\x81\x15".to_vec();
        message.extend_from_slice(&[0; 10]);
        message.extend_from_slice(b"ijklmnopqrst\0mysql_native_password\0");
        let greeting = Greeting::parse(&message).unwrap();
        assert_eq!((greeting.connection_id, greeting.nonce.len()), (42, 20));
        assert_eq!(greeting.plugin, b"mysql_native_password");
        for length in 0..60 {
            assert!(Greeting::parse(&message[..length]).is_err(), "{length}");
        }
    }
}
