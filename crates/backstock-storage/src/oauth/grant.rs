//! What is asked of a provider: the address for the owner, a code for tokens, a refresh token for an access token.

use std::borrow::Cow;

use futures_util::future::BoxFuture;
use oauth2::basic::{
    BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse,
    BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet,
    EndpointSet, ExtraTokenFields, HttpRequest, HttpResponse, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, RefreshToken, RequestTokenError, Scope, StandardRevocableToken, StandardTokenResponse,
    TokenResponse, TokenUrl,
};
use reqwest::{Method, StatusCode, Url};
use serde::{Deserialize, Serialize};

use super::{Client, Pending, Tokens};
use crate::http::{Act, Http, cause_of};
use crate::{Cause, Error, Result, Secret};

/// The longest answer of a token endpoint, in bytes. Tokens of some providers are several thousand long.
const ANSWER_LIMIT_BYTES: usize = 256 << 10;

/// What providers tell with their tokens beyond the standard.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Beyond {
    /// Google: how long the refresh token is good, in seconds, where it is limited.
    refresh_token_expires_in: Option<u64>,
}

impl ExtraTokenFields for Beyond {}

type Told = StandardTokenResponse<Beyond, BasicTokenType>;
type Unconfigured = oauth2::Client<
    BasicErrorResponse,
    Told,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
>;
type Configured = oauth2::Client<
    BasicErrorResponse,
    Told,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;
type Failure = RequestTokenError<Error, BasicErrorResponse>;

impl Client {
    fn configured(&self) -> Configured {
        let client = Unconfigured::new(ClientId::new(self.id.clone()))
            .set_auth_uri(AuthUrl::from_url(self.authorize_url.clone()))
            .set_token_uri(TokenUrl::from_url(self.token_url.clone()))
            // All of them take the id in the body, and none wants both.
            .set_auth_type(AuthType::RequestBody);
        match &self.secret {
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.expose().to_owned())),
            None => client,
        }
    }

    /// The address at which the owner says yes.
    pub(super) fn authorization_url(&self, pending: &Pending) -> std::result::Result<Url, String> {
        let client = self.configured();
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier(pending));
        let mut request = client
            .authorize_url(|| CsrfToken::new(pending.state.expose().to_owned()))
            .set_pkce_challenge(challenge)
            .add_scopes(self.provider.scopes.iter().map(|scope| Scope::new((*scope).to_owned())));
        for (name, value) in self.provider.extra_query {
            request = request.add_extra_param(*name, *value);
        }
        if let Some(redirect) = redirect(pending)? {
            request = request.set_redirect_uri(Cow::Owned(redirect));
        }
        Ok(request.url().0)
    }

    /// Exchanges a code.
    pub(super) async fn exchange(&self, http: &Http, pending: &Pending, code: &Secret) -> Result<Tokens> {
        let act = self.act();
        let redirect =
            redirect(pending).map_err(|problem| http.refused(act, Cause::SignIn, &problem, None))?;
        let client = self.configured();
        let mut request = client
            .exchange_code(AuthorizationCode::new(code.expose().trim().to_owned()))
            .set_pkce_verifier(verifier(pending));
        if let Some(redirect) = redirect {
            request = request.set_redirect_uri(Cow::Owned(redirect));
        }
        http.hide(code);
        let told = request.request_async(&Carrier { http, act }).await;
        // A code that is not taken is a matter of this try; there is no link yet that could have ended.
        told.map(|told| tokens(http, &told)).map_err(|failure| refusal(http, act, failure, Cause::SignIn))
    }

    /// Asks for a new access token.
    pub(super) async fn refresh(&self, http: &Http, refresh_token: &Secret) -> Result<Tokens> {
        let act = self.act();
        let (client, token) =
            (self.configured(), RefreshToken::new(refresh_token.expose().trim().to_owned()));
        http.hide(refresh_token);
        let request = client.exchange_refresh_token(&token);
        let told = request.request_async(&Carrier { http, act }).await;
        told.map(|told| tokens(http, &told)).map_err(|failure| refusal(http, act, failure, Cause::Unlinked))
    }
}

fn verifier(pending: &Pending) -> PkceCodeVerifier {
    PkceCodeVerifier::new(pending.verifier.expose().to_owned())
}

fn redirect(pending: &Pending) -> std::result::Result<Option<RedirectUrl>, String> {
    let redirect = pending.redirect.clone().map(RedirectUrl::new).transpose();
    redirect.map_err(|error| format!("the redirect is no address: {error}"))
}

/// Our client, as that of the protocol: one that says of its future that it may move between threads.
struct Carrier<'a> {
    http: &'a Http,
    act: Act<'a>,
}

impl<'c> AsyncHttpClient<'c> for Carrier<'_> {
    type Error = Error;
    type Future = BoxFuture<'c, Result<HttpResponse>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(carry(self.http, self.act, request))
    }
}

/// Carries a request of the protocol to its endpoint. What says nothing in the protocol's own words is an error of ours.
async fn carry(http: &Http, act: Act<'_>, request: HttpRequest) -> Result<HttpResponse> {
    let (head, body) = request.into_parts();
    let unusable = || http.refused(act, Cause::Unexpected, "its address cannot be used", None);
    let url = Url::parse(&head.uri.to_string()).map_err(|_| unusable())?;
    let request = http.request(Method::POST, url).headers(head.headers).body(body);
    let answer = http.send(act, request).await?;
    let (status, pause) = (answer.status(), http.retry_after_seconds(&answer));
    let kind = answer.header("content-type").map(str::to_owned);
    let body = http.read(act, answer, ANSWER_LIMIT_BYTES).await?;
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok();
    let is_busy = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
    if is_busy || (status != StatusCode::OK && !is_json) {
        let words = String::from_utf8_lossy(&body);
        // Proxies and load balancers speak HTML; their words help nobody.
        let words = if words.trim_start().starts_with('<') { "" } else { words.trim() };
        let text = format!("status {} {words}", status.as_u16());
        return Err(http.refused(act, cause_of(status), text.trim(), pause));
    }
    let mut response = HttpResponse::new(body);
    *response.status_mut() = status;
    if let Some(kind) = kind.and_then(|kind| kind.parse().ok()) {
        response.headers_mut().insert("content-type", kind);
    }
    Ok(response)
}

fn tokens(http: &Http, told: &Told) -> Tokens {
    let tokens = Tokens {
        access_token: Secret::new(told.access_token().secret().clone()),
        lifetime_seconds: told.expires_in().map(|lifetime| lifetime.as_secs()),
        refresh_token: told.refresh_token().map(|token| Secret::new(token.secret().clone())),
        refresh_lifetime_seconds: told.extra_fields().refresh_token_expires_in,
    };
    http.hide(&tokens.access_token);
    if let Some(refresh_token) = &tokens.refresh_token {
        http.hide(refresh_token);
    }
    tokens
}

/// What a provider refuses, by the codes of RFC 6749 (5.2) and those that it adds. `invalid_grant` says that the code or the
/// refresh token is no good (any more).
fn refusal(http: &Http, act: Act<'_>, failure: Failure, invalid_grant: Cause) -> Error {
    let told = match failure {
        RequestTokenError::Request(error) => return error,
        RequestTokenError::ServerResponse(told) => told,
        // What it says instead may hold tokens: it is not repeated.
        RequestTokenError::Parse(problem, _) => {
            let text = format!("its answer is not what the protocol says, at {}", problem.path());
            return http.refused(act, Cause::Garbled, &text, None);
        }
        RequestTokenError::Other(problem) => return http.refused(act, Cause::Garbled, &problem, None),
    };
    let cause = match told.error() {
        BasicErrorResponseType::InvalidGrant => invalid_grant,
        BasicErrorResponseType::InvalidClient | BasicErrorResponseType::UnauthorizedClient => Cause::SignIn,
        BasicErrorResponseType::InvalidScope => Cause::Denied,
        BasicErrorResponseType::Extension(code) => match code.as_str() {
            "interaction_required" | "consent_required" | "login_required" => invalid_grant,
            "invalid_code" | "expired_token" => Cause::SignIn,
            "access_denied" => Cause::Denied,
            "temporarily_unavailable" | "server_error" | "slow_down" => Cause::Busy,
            _ => Cause::Unexpected,
        },
        _ => Cause::Unexpected,
    };
    let code = told.error().as_ref();
    let text = told.error_description().map_or_else(|| code.to_owned(), |words| format!("{code}: {words}"));
    http.refused(act, cause, &text, None)
}
