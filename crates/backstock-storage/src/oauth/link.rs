//! The link with an account: an address for the owner's browser, what the browser brings back, and the exchange.

use std::collections::BTreeMap;
use std::sync::Arc;

use backstock_host::{Host, Random};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use url::form_urlencoded;

use super::{Client, ClientSettings, Provider, REFRESH_TOKEN, endpoint};
use crate::http::{Http, Way};
use crate::{Cause, Error, Result, Secret};

/// How long a link that was begun may take to be completed, in seconds.
pub const PENDING_LIMIT_SECONDS: i64 = 10 * 60;
/// Random bytes of a verifier and of a state: 43 characters, the fewest that RFC 7636 takes (4.1).
const RANDOM_BYTES: usize = 32;
/// The longest word of a refusal that is repeated, in characters; those of RFC 6749 are far shorter.
const WORD_LIMIT_CHARACTERS: usize = 64;

/// How the owner's browser brings the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkManner {
    /// What the redirect to this machine is called, as the provider wants it written.
    pub redirect_host: &'static str,
    /// What stands behind the port: a slash, or nothing.
    pub redirect_path: &'static str,
    /// Whether any port will do; if not, the whole address is registered with the application, to the letter.
    pub any_port: bool,
    /// Whether the provider shows the code for copying where there is no redirect.
    pub shows_code: bool,
}

impl LinkManner {
    /// The address on this machine that the browser is sent to.
    pub fn redirect(&self, port: u16) -> String {
        format!("http://{}:{port}{}", self.redirect_host, self.redirect_path)
    }
}

/// The way to link a storage with an account: an address for the owner's browser, then the code that comes back.
#[derive(Debug)]
pub struct Link {
    client: Client,
    http: Http,
    random: Arc<dyn Random>,
}

/// A link that was begun: what must be known when the code comes back. It is good for ten minutes, and never leaves memory.
#[derive(Debug)]
pub struct Pending {
    pub(super) verifier: Secret,
    pub(super) state: Secret,
    pub(super) redirect: Option<String>,
    begun: Timestamp,
}

/// What a browser brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Returned {
    /// The code of the link that was begun, and the state with which it came.
    Code {
        /// The code.
        code: Secret,
        /// The state.
        state: String,
    },
    /// The owner, or the provider, said no, in a word of the protocol: `access_denied` …
    Declined(String),
    /// Nothing that belongs to the link that was begun.
    Strange,
}

/// What an exchange gave.
#[derive(Debug, Clone)]
pub struct Linked {
    /// The secrets that the storage needs from now on, by the names of their settings.
    pub secrets: BTreeMap<String, Secret>,
    /// When the exchange was.
    pub at: Timestamp,
    /// When the link ends by itself, where the provider limits that and tells.
    pub ends: Option<Timestamp>,
}

impl Pending {
    /// What came back, by the query of the address to which the provider sent the browser.
    pub fn returned(&self, query: &str) -> Returned {
        let value = |name: &str| {
            let pairs = form_urlencoded::parse(query.as_bytes());
            let mut values = pairs.filter(|(found, _)| found == name).map(|(_, value)| value.into_owned());
            // What is there twice is none (RFC 6749, 3.1).
            values.next().filter(|_| values.next().is_none())
        };
        let Some(state) = value("state").filter(|state| self.has_state(state)) else {
            return Returned::Strange;
        };
        if let Some(error) = value("error") {
            let is_plain =
                |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.');
            return Returned::Declined(error.chars().filter(is_plain).take(WORD_LIMIT_CHARACTERS).collect());
        }
        match value("code").filter(|code| !code.is_empty()) {
            Some(code) => Returned::Code { code: Secret::new(code), state },
            None => Returned::Strange,
        }
    }

    /// Whether a state is ours. Hashes are compared: how long that takes tells nothing of how much was right.
    fn has_state(&self, state: &str) -> bool {
        let hash = |text: &str| digest(&SHA256, text.as_bytes());
        hash(state).as_ref() == hash(self.state.expose()).as_ref()
    }
}

impl Link {
    /// The link of a kind, by its settings; those that are not [`ClientSettings`] do not matter.
    pub(crate) fn new(
        host: &Host,
        kind: &'static str,
        provider: Provider,
        settings: &serde_json::Value,
    ) -> Result<Self> {
        let fault = |problem: String| Error::Settings { kind, problem };
        let settings = ClientSettings::deserialize(settings).map_err(|error| fault(error.to_string()))?;
        let endpoint = endpoint(settings.endpoint.as_deref()).map_err(fault)?;
        let secret = settings.client_secret.as_ref();
        let client = Client::new(provider, &settings.client_id, secret, endpoint.as_ref()).map_err(fault)?;
        let way = Way { ca_file: settings.ca_file.as_deref(), proxy: settings.proxy.as_deref() };
        let place = client.token_url.host_str().unwrap_or_default().to_owned();
        let http = Http::new(host, way, place, secret.into_iter().cloned().collect()).map_err(fault)?;
        Ok(Self { client, http, random: host.random.clone() })
    }

    /// The name of the provider, for people.
    pub fn provider(&self) -> &'static str {
        self.client.provider.name
    }

    /// How the owner's browser brings the code.
    pub fn manner(&self) -> LinkManner {
        self.client.provider.manner
    }

    /// The address at which the owner of the account says yes. With `redirect`, the browser is sent there afterwards, with the
    /// code and the state; without, the provider shows the code for copying, where it does that at all.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where `redirect` is no address.
    pub fn authorization_url(&self, redirect: Option<&str>) -> Result<(String, Pending)> {
        let pending = Pending {
            verifier: self.random_text(),
            state: self.random_text(),
            redirect: redirect.map(str::to_owned),
            begun: self.http.now(),
        };
        let url = self.client.authorization_url(&pending).map_err(|problem| self.refused(&problem))?;
        Ok((url.into(), pending))
    }

    /// Exchanges the code for the secrets that the storage needs from now on. `state` is what came back with the code; it must
    /// have, where there was a redirect.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where the state is another one, the code is wrong or too old, or no refresh token is given; what
    /// the way to the provider brings.
    pub async fn exchange(&self, pending: &Pending, code: &Secret, state: Option<&str>) -> Result<Linked> {
        // Somebody else's code shall not become our account.
        let is_ours = match state {
            Some(state) => pending.has_state(state),
            None => pending.redirect.is_none(),
        };
        if !is_ours {
            return Err(self.refused("what came back does not belong to the link that was begun here"));
        }
        let at = self.http.now();
        let age_seconds = at.as_second() - pending.begun.as_second();
        if !(0..=PENDING_LIMIT_SECONDS).contains(&age_seconds) {
            return Err(self.refused("the link was begun too long ago"));
        }
        let tokens = self.client.exchange(&self.http, pending, code).await?;
        let Some(refresh_token) = tokens.refresh_token else {
            return Err(
                self.refused("it gave no refresh token, without which the link would die within hours")
            );
        };
        let ends = tokens.refresh_lifetime_seconds.map(|seconds| after(at, seconds));
        Ok(Linked { secrets: BTreeMap::from([(REFRESH_TOKEN.to_owned(), refresh_token)]), at, ends })
    }

    fn random_text(&self) -> Secret {
        let mut bytes = [0; RANDOM_BYTES];
        self.random.fill(&mut bytes);
        Secret::new(URL_SAFE_NO_PAD.encode(bytes))
    }

    fn refused(&self, answer: &str) -> Error {
        self.http.refused(self.client.act(), Cause::SignIn, answer, None)
    }
}

/// The time so many seconds later.
pub(super) fn after(now: Timestamp, seconds: u64) -> Timestamp {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_belongs_to_the_link_that_was_begun_is_taken() {
        let pending = Pending {
            verifier: Secret::new("verifier".to_owned()),
            state: Secret::new("s/1 +".to_owned()),
            redirect: None,
            begun: Timestamp::UNIX_EPOCH,
        };
        let code = Returned::Code { code: Secret::new("4/a b".to_owned()), state: "s/1 +".to_owned() };
        let declined = |word: &str| Returned::Declined(word.to_owned());
        for (query, wanted) in [
            ("code=4%2Fa+b&state=s%2F1+%2B", code.clone()),
            ("state=s%2F1+%2B&scope=x&code=4/a%20b&iss=https%3A%2F%2Fx", code),
            ("code=4%2Fa+b", Returned::Strange),
            ("code=4%2Fa+b&state=", Returned::Strange),
            ("code=4%2Fa+b&state=other", Returned::Strange),
            ("code=4%2Fa+b&state=s%2F1+%2B&state=s%2F1+%2B", Returned::Strange),
            ("code=1&code=2&state=s%2F1+%2B", Returned::Strange),
            ("code=&state=s%2F1+%2B", Returned::Strange),
            ("state=s%2F1+%2B", Returned::Strange),
            ("error=access_denied&state=s%2F1+%2B", declined("access_denied")),
            ("error=%3Cb%3Eno%1b&state=s%2F1+%2B", declined("bno")),
            ("error=access_denied", Returned::Strange),
            ("error=access_denied&state=other", Returned::Strange),
            ("", Returned::Strange),
            ("%ff=%00&&=&state", Returned::Strange),
        ] {
            assert_eq!(pending.returned(query), wanted, "{query}");
        }
        let long = format!("error={}&state=s%2F1+%2B", "x".repeat(1000));
        assert_eq!(pending.returned(&long), declined(&"x".repeat(WORD_LIMIT_CHARACTERS)));
    }
}
