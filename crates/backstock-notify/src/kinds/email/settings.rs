//! The settings of a mail server, read once and refused with a reason.

use std::net::IpAddr;

use backstock_host::Secret;
use lettre::message::{Mailbox, Mailboxes};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{KIND, is_sendable};
use crate::{Error, Result};

/// The most people that one notifier tells.
const RECIPIENTS_LIMIT: usize = 50;

/// How the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Encryption {
    /// By TLS from the first byte on.
    #[default]
    Tls,
    /// By TLS, which the connection turns to before anyone signs in.
    Starttls,
    /// Not at all.
    None,
}

/// As they are written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EmailSettings")]
struct Written {
    /// The name or address of the mail server.
    host: String,
    /// The port; 465 where nothing is said, 587 with starttls, 25 without encryption.
    port: Option<u16>,
    /// How the connection is encrypted: tls (from the first byte on), starttls (turned to before anyone signs in), or none.
    #[serde(default)]
    encryption: Encryption,
    /// Whether a server on another machine may be used without encryption: everybody on the way then reads the password and the
    /// messages.
    #[serde(default)]
    without_encryption: bool,
    /// The user to sign in as, where the server wants that.
    user: Option<String>,
    /// The password of that user; where the server has them, one made for this program alone.
    password: Option<Secret>,
    /// The address that messages come from, such as Backstock <backstock@example.com>.
    from: String,
    /// The addresses that messages go to, with commas between them.
    to: String,
    /// A file of PEM certificates to trust beside the usual ones, as an absolute path.
    ca_file: Option<String>,
}

/// As they are used.
#[derive(Debug)]
pub(super) struct EmailSettings {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) encryption: Encryption,
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) from: Mailbox,
    pub(super) to: Vec<Mailbox>,
    pub(super) ca_file: Option<String>,
}

impl JsonSchema for EmailSettings {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Written::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Written::json_schema(generator)
    }
}

pub(super) fn fault(problem: String) -> Error {
    Error::Settings { kind: KIND.name, problem }
}

impl EmailSettings {
    pub(super) fn read(settings: &serde_json::Value) -> Result<Self> {
        let written = Written::deserialize(settings).map_err(|error| fault(error.to_string()))?;
        let Written { host, port, encryption, without_encryption, user, password, from, to, ca_file } =
            written;
        if host.is_empty() || host.contains(|found: char| found.is_control() || found.is_whitespace()) {
            return Err(fault("host is empty or holds blanks".to_owned()));
        }
        if encryption == Encryption::None {
            if !is_loopback(&host) && !without_encryption {
                let problem =
                    "encryption: none is for a server on this machine (without_encryption allows it)";
                return Err(fault(problem.to_owned()));
            }
            if ca_file.is_some() {
                return Err(fault("ca_file goes with encryption".to_owned()));
            }
        }
        if user.is_some() != password.is_some() {
            return Err(fault("user and password go together".to_owned()));
        }
        let from: Mailbox = from.parse().map_err(|error| fault(format!("from: {error}")))?;
        let to: Mailboxes = to.parse().map_err(|error| fault(format!("to: {error}")))?;
        let to: Vec<Mailbox> = to.into_iter().collect();
        if to.is_empty() || to.len() > RECIPIENTS_LIMIT {
            return Err(fault(format!("to names 1 to {RECIPIENTS_LIMIT} addresses")));
        }
        for (name, mailbox) in to.iter().map(|mailbox| ("to", mailbox)).chain([("from", &from)]) {
            let has_odd_name = mailbox.name.as_ref().is_some_and(|name| name.contains(char::is_control));
            if has_odd_name || !is_sendable(&mailbox.email) {
                return Err(fault(format!("{name} holds an address that cannot be written plainly")));
            }
        }
        let usual = match encryption {
            Encryption::Tls => 465,
            Encryption::Starttls => 587,
            Encryption::None => 25,
        };
        let port = port.unwrap_or(usual);
        Ok(Self { host, port, encryption, user, password, from, to, ca_file })
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
