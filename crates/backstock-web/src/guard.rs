//! What stands before and behind every answer: who may be meant, how long it may take, and the strict headers.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::pages;
use crate::site::Site;

/// How long an answer may take. An exchange asks a provider, and the test of a storage makes several requests.
const ANSWER_LIMIT: Duration = Duration::from_secs(180);
/// The largest body of a request, in bytes. No page here sends any.
pub(crate) const BODY_LIMIT_BYTES: usize = 4 << 10;

/// A page may load the one style sheet, and nothing else; nobody may frame it, and it sends forms nowhere.
const CONTENT_POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// The same for the page with a form. Browsers hold redirects after a form against it too, and providers send them on between
/// several hosts of theirs.
pub(crate) const FORM_POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self' https:; frame-ancestors 'none'";

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Lets a request through where it is meant for us and small, and dresses its answer.
pub(crate) async fn guard(State(site): State<Site>, request: Request, next: Next) -> Response {
    let answer = match refusal(&site, &request) {
        Some(refusal) => refusal,
        None => match tokio::time::timeout(ANSWER_LIMIT, next.run(request)).await {
            Ok(answer) => answer,
            Err(_) => pages::too_slow(),
        },
    };
    dressed(answer)
}

fn refusal(site: &Site, request: &Request) -> Option<Response> {
    let headers = request.headers();
    if !site.is_meant(host_of(headers)) {
        // A name that somebody else has pointed at this machine (DNS rebinding).
        return Some((StatusCode::MISDIRECTED_REQUEST, "this host is not served here\n").into_response());
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if length.is_some_and(|length| length.parse::<usize>().is_ok_and(|length| length > BODY_LIMIT_BYTES)) {
        return Some((StatusCode::PAYLOAD_TOO_LARGE, "the request is too large\n").into_response());
    }
    let is_look = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_foreign = headers.get(FETCH_SITE).is_some_and(|site| site != "same-origin" && site != "none");
    if !is_look && is_foreign {
        return Some((StatusCode::FORBIDDEN, "another site has sent this\n").into_response());
    }
    None
}

/// The one host that is named; none where there is no such header, or several.
fn host_of(headers: &HeaderMap) -> Option<&str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    hosts.next().filter(|_| hosts.next().is_none()).and_then(|host| host.to_str().ok())
}

fn dressed(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(CONTENT_POLICY));
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        // The address holds a code, or a token.
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}
