//! E-mail by a mail server (RFC 5321, 5322), over TLS unless its owner says otherwise.
//!
//! The message and the conversation are `lettre`'s; the connection is ours: it trusts by the one rule of this program, turns to
//! TLS before anything is said that matters, and takes no more bytes than a mail server has to say.

mod connection;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use backstock_host::{Host, Random, answer, hex};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use lettre::Message;
use lettre::address::Address;
use lettre::message::SinglePart;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use schemars::schema_for;

use self::connection::Door;
use self::settings::EmailSettings;
use super::Kind;
use crate::{Cause, Error, Notice, Notifier, Receipt, Result};

pub(super) const KIND: Kind =
    Kind { name: "email", title: "E-mail", schema: || schema_for!(EmailSettings), open };

/// How long a server may take to say goodbye: the message is its own by then.
const QUIT_LIMIT: Duration = Duration::from_secs(1);
/// Replies that say that somebody must sign in, or in another way (RFC 4954, 6).
const SIGN_IN_REPLIES: [u16; 4] = [530, 534, 535, 538];

fn open(host: &Host, settings: &serde_json::Value) -> Result<Arc<dyn Notifier>> {
    let settings = EmailSettings::read(settings)?;
    let door = Door::new(host, &settings)?;
    let place = format!("the mail server {}", door.name());
    Ok(Arc::new(Email { settings, door, place, random: host.random.clone() }))
}

/// A mail server, from whom and to whom.
#[derive(Debug)]
struct Email {
    settings: EmailSettings,
    door: Door,
    place: String,
    random: Arc<dyn Random>,
}

#[async_trait]
impl Notifier for Email {
    async fn send(&self, notice: &Notice) -> Result<Receipt> {
        let message = self.message(notice)?;
        let mut connection =
            self.door.open(&self.place).await.map_err(|error| self.without_secrets(error))?;
        self.sign_in(&mut connection).await?;
        let refused = self.hand_over(&mut connection, &message).await?;
        // Whether it says goodbye is all the same.
        let _ = tokio::time::timeout(QUIT_LIMIT, connection.quit()).await;
        Ok(Receipt { refused })
    }

    fn place(&self) -> &str {
        &self.place
    }
}

impl Email {
    fn message(&self, notice: &Notice) -> Result<Message> {
        let EmailSettings { from, to, .. } = &self.settings;
        let mut mark = [0; 16];
        self.random.fill(&mut mark);
        let domain = from.email.domain();
        let seconds = u64::try_from(self.door.now().as_second()).unwrap_or(0);
        let mut builder = Message::builder()
            .from(from.clone())
            .subject(notice.subject())
            .message_id(Some(format!("<{}@{domain}>", hex::encode(&mark))))
            .date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        for mailbox in to {
            builder = builder.to(mailbox.clone());
        }
        // No vacation answers (RFC 3834, 5).
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        builder = builder.raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()));
        let text = notice.lines().iter().flat_map(|line| [line.as_str(), "\r\n"]).collect::<String>();
        let built = builder.singlepart(SinglePart::plain(text));
        built.map_err(|error| settings::fault(format!("no message comes of them: {error}")))
    }

    async fn sign_in(&self, connection: &mut AsyncSmtpConnection) -> Result<()> {
        let (Some(user), Some(password)) = (&self.settings.user, &self.settings.password) else {
            return Ok(());
        };
        let credentials = Credentials::new(user.clone(), password.expose().to_owned());
        let known = [Mechanism::Plain, Mechanism::Login];
        if !known.iter().any(|way| connection.server_info().supports_auth_mechanism(*way)) {
            let answer = "it offers no way to sign in that is known here (PLAIN, LOGIN)";
            return Err(self.refused("sign in to", Cause::SignIn, answer));
        }
        let signed_in = connection.auth(&known, &credentials).await;
        signed_in.map(drop).map_err(|error| self.failed("sign in to", &error))
    }

    /// Gives the message for everybody whom the server does not refuse for good; tells whom it did. Where it is only busy for one of
    /// them, nobody gets it yet: all of them do at the next try.
    async fn hand_over(
        &self,
        connection: &mut AsyncSmtpConnection,
        message: &Message,
    ) -> Result<Vec<String>> {
        let act = "send a message by";
        let from = Mail::new(message.envelope().from().cloned(), Vec::new());
        connection.command(from).await.map_err(|error| self.failed(act, &error))?;
        let (mut refused, mut last) = (Vec::new(), None);
        for to in message.envelope().to() {
            match connection.command(Rcpt::new(to.clone(), Vec::new())).await {
                Ok(_) => {}
                Err(error) if error.is_permanent() => {
                    let failed = self.failed(act, &error);
                    refused.push(format!("{to}: {}", self.answer_of(&error)));
                    last = Some(failed);
                }
                Err(error) => return Err(self.failed(act, &error)),
            }
        }
        if let Some(last) = last.filter(|_| refused.len() == message.envelope().to().len()) {
            return Err(last);
        }
        connection.command(Data).await.map_err(|error| self.failed(act, &error))?;
        connection.message(&message.formatted()).await.map_err(|error| self.failed(act, &error))?;
        Ok(refused)
    }

    fn failed(&self, act: &'static str, error: &SmtpError) -> Error {
        let cause = match error.status().map(u16::from) {
            Some(code) if SIGN_IN_REPLIES.contains(&code) => Cause::SignIn,
            Some(_) if error.is_transient() => Cause::Busy,
            Some(_) => Cause::Denied,
            None => match connection::broken(error) {
                Some(source) => return Error::Io { act, place: self.place.clone(), source },
                None => Cause::Unexpected,
            },
        };
        self.refused(act, cause, &self.answer_of(error))
    }

    fn answer_of(&self, error: &SmtpError) -> String {
        self.printable(&error.to_string())
    }

    fn refused(&self, act: &'static str, cause: Cause, answer: &str) -> Error {
        Error::Refused { act, place: self.place.clone(), cause, answer: self.printable(answer) }
    }

    fn without_secrets(&self, error: Error) -> Error {
        match error {
            Error::Refused { act, place, cause, answer } => {
                Error::Refused { act, place, cause, answer: self.printable(&answer) }
            }
            other => other,
        }
    }

    /// A text of the server as it may be shown: one line, not too long, without what was sent to sign in.
    fn printable(&self, text: &str) -> String {
        let (Some(user), Some(password)) = (&self.settings.user, &self.settings.password) else {
            return answer::printable(text, []);
        };
        let password = password.expose();
        let plain = BASE64_STANDARD.encode(format!("\0{user}\0{password}"));
        answer::printable(text, [&plain, &BASE64_STANDARD.encode(password), password])
    }
}

/// Addresses hold no characters with which a line could end; this says so once more where they are written.
fn is_sendable(address: &Address) -> bool {
    let text: &str = address.as_ref();
    text.is_ascii() && !text.contains(char::is_control)
}
