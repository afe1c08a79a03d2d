//! Linking a storage with an account: what is asked, the way to the provider, and the way back.
//!
//! Protocol: RFC 6749, 4.1 and 10.12 (the state is bound to the browser's session), RFC 7636. A look at an address uses nothing
//! up, so that previews and scanners of links do no harm; the button does. What comes back is exchanged only for the browser that
//! pressed it: somebody else's code never becomes our account.

use axum::extract::{Path, RawQuery, State};
use axum::http::header::{COOKIE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use backstock_operations::{TakenLink, asked_link, take_asked_link};
use url::form_urlencoded;

use crate::pages;
use crate::site::Site;

/// The cookie of a browser that is on its way to a provider.
const COOKIE_NAME: &str = "backstock_link";
/// The longest query that is shown for copying, in bytes. Codes of Microsoft are a thousand or two long.
const COPIED_LIMIT_BYTES: usize = 8 << 10;

/// `GET /link/<token>`: what is to be linked, and a button.
pub(crate) async fn ask(State(site): State<Site>, Path(token): Path<String>) -> Response {
    match site.run(move |environment| asked_link(environment, &token)).await {
        Some(Ok(Some(shown))) => pages::ask(&shown, &site.address().returned()),
        Some(Ok(None)) => pages::used_up(),
        Some(Err(error)) => {
            pages::failed(StatusCode::INTERNAL_SERVER_ERROR, "The storage cannot be linked", &error)
        }
        None => pages::fault(),
    }
}

/// `POST /link/<token>`: this browser has it now, and goes to the provider.
pub(crate) async fn take(State(site): State<Site>, Path(token): Path<String>) -> Response {
    let redirect = site.address().returned();
    let shared = site.clone();
    let taken = site.run(move |environment| {
        let Some(link) = take_asked_link(environment, &token, &redirect)? else { return Ok(None) };
        let address = link.address().to_owned();
        let host = &environment.host;
        let (held, given_up) = shared.sessions().bind(&*host.random, host.clock.now(), link);
        for link in given_up {
            link.give_up(environment, "the browser did not come back in time")?;
        }
        Ok(Some((address, held)))
    });
    let (address, held) = match taken.await {
        Some(Ok(Some(taken))) => taken,
        Some(Ok(None)) => return pages::used_up(),
        Some(Err(error)) => {
            return pages::failed(StatusCode::INTERNAL_SERVER_ERROR, "The storage cannot be linked", &error);
        }
        None => return pages::fault(),
    };
    let secure = if site.address().is_secure() { "; Secure" } else { "" };
    let limit_seconds = TakenLink::LIMIT.as_secs();
    let cookie = format!(
        "{COOKIE_NAME}={}; HttpOnly; SameSite=Lax; Path=/link; Max-Age={limit_seconds}{secure}",
        held.expose()
    );
    let (Ok(mut cookie), Ok(address)) = (HeaderValue::from_str(&cookie), HeaderValue::from_str(&address))
    else {
        return pages::fault();
    };
    cookie.set_sensitive(true);
    (StatusCode::SEE_OTHER, [(LOCATION, address), (SET_COOKIE, cookie)]).into_response()
}

/// `GET /link/returned?…`: what the provider answered.
pub(crate) async fn returned(
    State(site): State<Site>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = query.unwrap_or_default();
    let names: Vec<_> = form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name).collect();
    if !names.iter().any(|name| name == "code" || name == "error") {
        return pages::brings_nothing();
    }
    let ours = held_by(&headers).find_map(|held| site.sessions().returned(held, &query));
    let Some((link, returned)) = ours else {
        if query.len() > COPIED_LIMIT_BYTES {
            return pages::brings_nothing();
        }
        return pages::copy(&format!("{}?{query}", site.address().returned()));
    };
    let finished = site.run(move |environment| {
        let end = link.finish(environment, &returned)?;
        Ok((link, end))
    });
    let mut page = match finished.await {
        Some(Ok((link, end))) => pages::end(&link.shown, &end),
        Some(Err(error)) => {
            pages::failed(StatusCode::INTERNAL_SERVER_ERROR, "What came of the link cannot be told", &error)
        }
        None => pages::fault(),
    };
    let gone = format!("{COOKIE_NAME}=; HttpOnly; SameSite=Lax; Path=/link; Max-Age=0");
    page.headers_mut().extend(HeaderValue::from_str(&gone).ok().map(|gone| (SET_COOKIE, gone)));
    page
}

/// What a browser holds of ours: a cookie of another path of this host may have the same name.
fn held_by(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    let pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE_NAME).map(|(_, held)| held)
}
