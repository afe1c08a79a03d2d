//! Signing in to a cloud by OAuth 2.0: the link to an account is made once, and goes on by its refresh token.
//!
//! Protocol: RFC 6749 (authorisation code, refresh), RFC 7636 (PKCE with S256), RFC 9700. A [`Provider`] is what differs from
//! cloud to cloud, [`Client`] the application that its owner has registered there, [`Link`] the way to a refresh token, and
//! [`Access`] the way from that to the tokens that requests carry.

mod access;
mod grant;
mod link;
#[cfg(test)]
pub(crate) mod trial;

use std::borrow::Cow;

use reqwest::Url;
use serde::Deserialize;

pub(crate) use self::access::Access;
pub use self::link::{Link, LinkManner, Linked, PENDING_LIMIT_SECONDS, Pending, Returned};
use crate::Secret;
use crate::http::Act;

/// The setting that holds the refresh token, and the name under which a renewed one is kept.
pub(crate) const REFRESH_TOKEN: &str = "refresh_token";

/// What one cloud's OAuth is like.
#[derive(Debug, Clone)]
pub(crate) struct Provider {
    /// Its name, for people.
    pub(crate) name: &'static str,
    /// Where the owner of the account says yes.
    pub(crate) authorize_url: Cow<'static, str>,
    /// Where codes and refresh tokens are exchanged.
    pub(crate) token_url: Cow<'static, str>,
    /// What it wants to be asked with beside what the standard says, such as `access_type=offline`.
    pub(crate) extra_query: &'static [(&'static str, &'static str)],
    /// The rights that are asked for.
    pub(crate) scopes: &'static [&'static str],
    /// Whether it refuses clients without a secret, PKCE or not.
    pub(crate) needs_secret: bool,
    /// How the owner's browser brings the code.
    pub(crate) manner: LinkManner,
    /// What its access tokens begin with. They die within hours: people paste them where a refresh token belongs.
    pub(crate) access_token_prefixes: &'static [&'static str],
}

/// The settings that every kind with OAuth has. A kind lists them in its own settings too, with these names and with the
/// help of its own; here they are read a second time, where only they matter.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ClientSettings {
    /// The id of the registered application.
    pub(crate) client_id: String,
    /// Its secret, for providers that want one.
    pub(crate) client_secret: Option<Secret>,
    /// Another address of the service, for tests and proxies.
    pub(crate) endpoint: Option<String>,
    /// A file of certificates to trust.
    pub(crate) ca_file: Option<String>,
    /// The address of a proxy.
    pub(crate) proxy: Option<String>,
}

/// An application that is registered with a provider.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    provider: Provider,
    id: String,
    secret: Option<Secret>,
    authorize_url: Url,
    token_url: Url,
}

/// What a token endpoint gives.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    /// The token that requests carry.
    pub(crate) access_token: Secret,
    /// How long it is good, in seconds, where that is told.
    pub(crate) lifetime_seconds: Option<u64>,
    /// The refresh token to use from now on, where another one is given.
    pub(crate) refresh_token: Option<Secret>,
    /// How long the refresh token is good, in seconds, where its provider limits that and tells.
    pub(crate) refresh_lifetime_seconds: Option<u64>,
}

impl Client {
    /// An application. With `endpoint`, provider's addresses are looked for there, under their usual paths.
    ///
    /// # Errors
    ///
    /// What is wrong with the settings, as a sentence for [`Error::Settings`].
    pub(crate) fn new(
        provider: Provider,
        id: &str,
        secret: Option<&Secret>,
        endpoint: Option<&Url>,
    ) -> Result<Self, String> {
        let id = id.trim().to_owned();
        if id.is_empty() {
            return Err(format!(
                "client_id: it is the id of an application that is registered with {}",
                provider.name
            ));
        }
        let secret = secret.filter(|secret| !secret.expose().is_empty()).cloned();
        if secret.is_none() && provider.needs_secret {
            return Err(format!("client_secret: {} wants the secret of the application too", provider.name));
        }
        let authorize_url = moved(&provider.authorize_url, endpoint)?;
        let token_url = moved(&provider.token_url, endpoint)?;
        Ok(Self { provider, id, secret, authorize_url, token_url })
    }

    /// The provider.
    pub(crate) fn provider(&self) -> &Provider {
        &self.provider
    }

    /// How errors call what is done here.
    fn act(&self) -> Act<'static> {
        Act { verb: "sign in to", name: self.provider.name }
    }
}

/// The address that the setting `endpoint` names, if any.
///
/// # Errors
///
/// What is wrong with it, as a sentence for [`Error::Settings`].
pub(crate) fn endpoint(text: Option<&str>) -> Result<Option<Url>, String> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    let url = Url::parse(text).map_err(|error| format!("endpoint: {error}"))?;
    let is_loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match url.scheme() {
        "https" => Ok(Some(url)),
        "http" if is_loopback => Ok(Some(url)),
        "http" => Err("endpoint: it is not encrypted".to_owned()),
        _ => Err("endpoint: it begins with https://".to_owned()),
    }
}

/// An address of a service, looked for at another endpoint where one is set.
pub(crate) fn moved(address: &str, endpoint: Option<&Url>) -> Result<Url, String> {
    let address = Url::parse(address).map_err(|error| format!("the address \"{address}\": {error}"))?;
    let Some(endpoint) = endpoint else { return Ok(address) };
    let mut there = endpoint.clone();
    there.set_path(&format!("{}{}", endpoint.path().trim_end_matches('/'), address.path()));
    there.set_query(address.query());
    there.set_fragment(None);
    Ok(there)
}

/// Refuses what cannot be a refresh token, with the way out.
///
/// # Errors
///
/// What is wrong with it, as a sentence for [`Error::Settings`].
pub(crate) fn check_refresh_token(provider: &Provider, token: &Secret) -> Result<(), String> {
    let text = token.expose().trim();
    if text.is_empty() {
        return Err(format!(
            "{REFRESH_TOKEN}: it is empty; link the storage with the account at {}",
            provider.name
        ));
    }
    if provider.access_token_prefixes.iter().any(|prefix| text.starts_with(prefix)) {
        return Err(format!(
            "{REFRESH_TOKEN}: this is an access token of {}, which dies within hours; link the storage with the account, so \
             that it gets a refresh token",
            provider.name
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
