//! The OAuth side of a cloud: the owner's yes, codes with PKCE, tokens that end, refresh tokens that are replaced or taken back.
//!
//! Contracts: RFC 6749 and RFC 7636, with what the providers want beyond them ([`Rules`]). The owner answers at once: yes, unless
//! a test says otherwise.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use url::Url;

use super::server::{Request, Response, Service};
use super::token;

/// What becomes of refresh tokens when they are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// They stay.
    Never,
    /// Each use gives another one; the old one stays good.
    KeepsOld,
    /// Each use gives another one, and the old one is good no more.
    EndsOld,
}

/// Which addresses the browser may be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirects {
    /// One of this machine, on any port.
    AnyPort {
        /// Scheme and host.
        origin: &'static str,
        /// The path; `/` and nothing are the same.
        path: &'static str,
    },
    /// One that was registered, to the letter.
    Registered,
}

/// What one provider's OAuth is like.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The path of the page for the owner.
    pub authorize_path: &'static str,
    /// The path of the token endpoint.
    pub token_path: &'static str,
    /// The application that is registered.
    pub client_id: &'static str,
    /// Its secret, where the provider wants one.
    pub client_secret: Option<&'static str>,
    /// What the page must be asked with beside what the standard says, or no refresh token is given.
    pub offline_query: &'static [(&'static str, &'static str)],
    /// Scopes that must be among those that are asked for.
    pub scopes: &'static [&'static str],
    /// What access tokens begin with.
    pub access_prefix: &'static str,
    /// What refresh tokens become.
    pub rotation: Rotation,
    /// How long an access token is good.
    pub lifetime: Duration,
    /// Which addresses the browser may be sent to.
    pub redirects: Redirects,
    /// Whether the code is shown for copying where no address is named; otherwise one must be.
    pub shows_code: bool,
}

/// How long a code is good where nothing else is said.
const CODE_LIFETIME: Duration = Duration::from_secs(600);

#[derive(Debug)]
struct Grant {
    challenge: String,
    redirect: Option<String>,
    is_offline: bool,
    ends: Instant,
}

#[derive(Debug)]
struct State {
    rotation: Rotation,
    lifetime: Duration,
    count: u64,
    codes: HashMap<String, Grant>,
    code_lifetime: Duration,
    /// How long refresh tokens are good, where that is told.
    refresh_lifetime: Option<Duration>,
    /// Addresses that were registered for the browser.
    registered: Vec<String>,
    declines: bool,
    /// Refresh tokens and whether they are good.
    refresh_tokens: HashMap<String, bool>,
    /// Access tokens and until when they are good.
    access_tokens: HashMap<String, Instant>,
    renewals: u64,
}

/// The OAuth side of one cloud.
#[derive(Debug)]
pub struct OAuth {
    rules: Rules,
    state: Mutex<State>,
}

impl OAuth {
    /// An account that nothing is linked with yet.
    pub fn new(rules: Rules) -> Self {
        let state = State {
            rotation: rules.rotation,
            lifetime: rules.lifetime,
            count: 0,
            codes: HashMap::new(),
            code_lifetime: CODE_LIFETIME,
            refresh_lifetime: None,
            registered: Vec::new(),
            declines: false,
            refresh_tokens: HashMap::new(),
            access_tokens: HashMap::new(),
            renewals: 0,
        };
        Self { rules, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Links the application without a browser, and gives a refresh token.
    pub fn link(&self) -> String {
        self.state().new_refresh_token()
    }

    /// Takes every link back, as the owner may on the provider's pages.
    pub fn revoke(&self) {
        let mut state = self.state();
        state.refresh_tokens.values_mut().for_each(|is_good| *is_good = false);
        state.access_tokens.clear();
    }

    /// Lets every access token end.
    pub fn end_access_tokens(&self) {
        self.state().access_tokens.clear();
    }

    /// What becomes of refresh tokens from now on.
    pub fn set_rotation(&self, rotation: Rotation) {
        self.state().rotation = rotation;
    }

    /// How long access tokens are good from now on.
    pub fn set_lifetime(&self, lifetime: Duration) {
        self.state().lifetime = lifetime;
    }

    /// How long codes are good from now on.
    pub fn set_code_lifetime(&self, lifetime: Duration) {
        self.state().code_lifetime = lifetime;
    }

    /// How long refresh tokens are said to be good from now on: Google does so while a consent screen is in "Testing".
    pub fn set_refresh_lifetime(&self, lifetime: Option<Duration>) {
        self.state().refresh_lifetime = lifetime;
    }

    /// Registers an address that the browser may be sent to.
    pub fn register(&self, redirect: &str) {
        self.state().registered.push(redirect.to_owned());
    }

    /// Whether the owner says no from now on.
    pub fn set_declines(&self, declines: bool) {
        self.state().declines = declines;
    }

    /// How often a refresh token was used with success.
    pub fn renewals(&self) -> u64 {
        self.state().renewals
    }

    /// Whether a refresh token is good.
    pub fn is_linked_by(&self, refresh_token: &str) -> bool {
        self.state().refresh_tokens.get(refresh_token).copied().unwrap_or(false)
    }

    /// Whether a request carries a token that is good.
    pub fn allows(&self, request: &Request) -> bool {
        let now = Instant::now();
        request
            .bearer()
            .and_then(|token| self.state().access_tokens.get(token).copied())
            .is_some_and(|ends| now < ends)
    }

    /// The answer to a request that is meant for this side; none for others.
    pub fn answer(&self, request: &Request) -> Option<Response> {
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", path) if path == self.rules.authorize_path => Some(self.authorize(request)),
            ("POST", path) if path == self.rules.token_path => {
                Some(self.grant(request).unwrap_or_else(|refusal| refusal))
            }
            _ => None,
        }
    }

    /// The owner answers: the code goes to the redirect, or is shown for copying.
    fn authorize(&self, request: &Request) -> Response {
        let asked = |name: &str| request.asked(name).unwrap_or_default();
        let scopes = asked("scope");
        let challenge = asked("code_challenge");
        for (is_right, problem) in [
            (asked("client_id") == self.rules.client_id, "client_id"),
            (asked("response_type") == "code", "response_type"),
            (asked("code_challenge_method") == "S256", "code_challenge_method"),
            (challenge.len() == 43, "code_challenge"),
            (!asked("state").is_empty(), "state"),
            (self.rules.scopes.iter().all(|scope| scopes.split(' ').any(|asked| asked == *scope)), "scope"),
        ] {
            if !is_right {
                return Response::text(400, &format!("the page cannot be shown: {problem}"));
            }
        }
        let redirect = request.asked("redirect_uri");
        let is_allowed =
            redirect.as_ref().map_or(self.rules.shows_code, |redirect| self.allows_redirect(redirect));
        if !is_allowed {
            return Response::text(400, "the page cannot be shown: redirect_uri_mismatch");
        }
        let is_offline = self.rules.offline_query.iter().all(|(name, value)| asked(name) == *value);
        if let (Some(redirect), true) = (&redirect, self.state().declines) {
            return sent_back(redirect, &[("error", "access_denied"), ("state", &asked("state"))]);
        }
        let code = self.state().new_code(challenge, redirect.clone(), is_offline);
        match redirect {
            Some(redirect) => sent_back(&redirect, &[("code", &code), ("state", &asked("state"))]),
            None => Response::text(200, &code),
        }
    }

    fn allows_redirect(&self, redirect: &str) -> bool {
        let is_registered = self.state().registered.iter().any(|registered| registered == redirect);
        match self.rules.redirects {
            _ if is_registered => true,
            Redirects::Registered => false,
            Redirects::AnyPort { origin, path } => {
                let rest = redirect.strip_prefix(origin).unwrap_or("none");
                let rest = match rest.strip_prefix(':') {
                    Some(port) => port.trim_start_matches(|letter: char| letter.is_ascii_digit()),
                    None => rest,
                };
                rest.split('?').next().unwrap_or_default().trim_end_matches('/') == path.trim_end_matches('/')
            }
        }
    }

    fn grant(&self, request: &Request) -> Result<Response, Response> {
        let form = |name: &str| request.form(name).unwrap_or_default();
        if request.header("content-type") != Some("application/x-www-form-urlencoded") {
            return Err(refused("invalid_request", "the body is no form"));
        }
        if form("client_id") != self.rules.client_id {
            return Err(refused("invalid_client", "there is no such client"));
        }
        if self.rules.client_secret.is_some_and(|secret| form("client_secret") != secret) {
            return Err(refused("invalid_client", "the secret of the client is wrong"));
        }
        match form("grant_type").as_str() {
            "authorization_code" => self.exchange(&form("code"), &form("code_verifier"), request),
            "refresh_token" => self.refresh(&form("refresh_token")),
            _ => Err(refused("unsupported_grant_type", "there is no such grant type")),
        }
    }

    fn exchange(&self, code: &str, verifier: &str, request: &Request) -> Result<Response, Response> {
        let mut state = self.state();
        // A code is good for one try.
        let grant = state.codes.remove(code);
        let grant = grant.filter(|grant| Instant::now() < grant.ends);
        let grant = grant.ok_or_else(|| refused("invalid_grant", "code doesn't exist or has expired"))?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(is_plain) {
            return Err(refused("invalid_request", "the verifier has another form"));
        }
        if URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()).as_ref()) != grant.challenge {
            return Err(refused("invalid_grant", "invalid code verifier"));
        }
        if request.form("redirect_uri") != grant.redirect {
            return Err(refused("invalid_grant", "the redirect is another one"));
        }
        let refresh_token = grant.is_offline.then(|| state.new_refresh_token());
        Ok(state.tokens(self.rules.access_prefix, refresh_token))
    }

    fn refresh(&self, refresh_token: &str) -> Result<Response, Response> {
        let mut state = self.state();
        if state.refresh_tokens.get(refresh_token) != Some(&true) {
            return Err(refused("invalid_grant", "refresh token is invalid or revoked"));
        }
        state.renewals += 1;
        let next = match state.rotation {
            Rotation::Never => None,
            Rotation::KeepsOld => Some(state.new_refresh_token()),
            Rotation::EndsOld => {
                state.refresh_tokens.insert(refresh_token.to_owned(), false);
                Some(state.new_refresh_token())
            }
        };
        Ok(state.tokens(self.rules.access_prefix, next))
    }
}

/// A service that has nothing but this side, and greets those whose token is good.
impl Service for OAuth {
    fn answer(&self, request: &Request) -> Response {
        let own = Self::answer(self, request);
        own.unwrap_or_else(|| {
            if self.allows(request) { Response::text(200, "hello") } else { Response::empty(401) }
        })
    }
}

impl State {
    fn new_code(&mut self, challenge: String, redirect: Option<String>, is_offline: bool) -> String {
        self.count += 1;
        let code = token("code-", self.count);
        let ends = Instant::now() + self.code_lifetime;
        self.codes.insert(code.clone(), Grant { challenge, redirect, is_offline, ends });
        code
    }

    fn new_refresh_token(&mut self) -> String {
        self.count += 1;
        // With characters that a form must escape.
        let refresh_token = format!("{}/+=", token("refresh-", self.count));
        self.refresh_tokens.insert(refresh_token.clone(), true);
        refresh_token
    }

    fn tokens(&mut self, prefix: &str, refresh_token: Option<String>) -> Response {
        self.count += 1;
        let access_token = token(prefix, self.count);
        self.access_tokens.insert(access_token.clone(), Instant::now() + self.lifetime);
        let mut told = json!({
            "access_token": access_token,
            "token_type": "bearer",
            "expires_in": self.lifetime.as_secs(),
        });
        if let Some(refresh_token) = refresh_token {
            told["refresh_token"] = Value::from(refresh_token);
        }
        if let Some(lifetime) = self.refresh_lifetime {
            told["refresh_token_expires_in"] = Value::from(lifetime.as_secs());
        }
        Response::json(200, &told)
    }
}

/// Sends the browser back, with what the address says beyond what it had.
fn sent_back(redirect: &str, pairs: &[(&str, &str)]) -> Response {
    let Ok(mut to) = Url::parse(redirect) else { return Response::text(400, "redirect_uri") };
    to.query_pairs_mut().extend_pairs(pairs);
    Response::empty(302).with("Location", String::from(to))
}

fn refused(code: &str, description: &str) -> Response {
    Response::json(400, &json!({ "error": code, "error_description": description }))
}
