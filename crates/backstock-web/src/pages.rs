//! Pages: each a template with what it shows. Templates escape whatever comes from outside.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use backstock_operations::{LinkEnd, OperationError, ShownLink, StorageTest, chain};

use crate::guard::FORM_POLICY;

#[derive(Template)]
#[template(path = "ask.html")]
struct Ask<'a> {
    title: &'a str,
    provider: &'a str,
    redirect: &'a str,
}

#[derive(Template)]
#[template(path = "copy.html")]
struct Copy<'a> {
    address: &'a str,
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message<'a> {
    heading: &'a str,
    tone: &'static str,
    lines: &'a [String],
}

/// What is to be linked, with a button.
pub(crate) fn ask(shown: &ShownLink, redirect: &str) -> Response {
    let mut page = rendered(StatusCode::OK, &Ask { title: &shown.title, provider: shown.provider, redirect });
    page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(FORM_POLICY));
    page
}

/// An answer that belongs to nothing here, for copying.
pub(crate) fn copy(address: &str) -> Response {
    rendered(StatusCode::OK, &Copy { address })
}

/// What came of a link.
pub(crate) fn end(shown: &ShownLink, end: &LinkEnd) -> Response {
    let ShownLink { title, provider, .. } = shown;
    match end {
        LinkEnd::Linked(test) => {
            let heading = format!("The storage {title} is linked with an account at {provider}");
            let mut lines = tested(test);
            lines.push("You may close this window.".to_owned());
            let tone = if test.is_ok() { "good" } else { "bad" };
            message(StatusCode::OK, &heading, tone, &lines)
        }
        LinkEnd::Declined(word) => {
            let lines = [
                format!("{provider} says: {word}."),
                "To try again, ask for a new address with “backstock storage link”.".to_owned(),
            ];
            message(StatusCode::OK, "Nothing was linked, and nothing was changed", "bad", &lines)
        }
        LinkEnd::Failed(error) => failed(StatusCode::BAD_GATEWAY, "The storage could not be linked", error),
    }
}

fn tested(test: &Result<StorageTest, OperationError>) -> Vec<String> {
    match test {
        Ok(test) => vec![format!("Its test: {}.", test.told())],
        Err(error) => {
            let hint = error.hint().map(|hint| format!("What to do: {hint}."));
            let line = format!("Its test did not go well, though: {}.", chain(error));
            std::iter::once(line).chain(hint).collect()
        }
    }
}

/// An operation went wrong.
pub(crate) fn failed(status: StatusCode, heading: &str, error: &OperationError) -> Response {
    let hint = error.hint().map(|hint| format!("What to do: {hint}."));
    let lines: Vec<String> = std::iter::once(format!("{}.", chain(error))).chain(hint).collect();
    message(status, heading, "bad", &lines)
}

/// The request with a token cannot be taken.
pub(crate) fn used_up() -> Response {
    let lines = [
        "An address for linking is good once, for one browser, and for ten minutes. This one was used, is too old, or is not whole.".to_owned(),
        "Ask for a new one with “backstock storage link … --page”.".to_owned(),
    ];
    message(StatusCode::GONE, "This address is good no more", "bad", &lines)
}

/// A return that brings nothing.
pub(crate) fn brings_nothing() -> Response {
    let lines = ["Providers send browsers here when a storage is linked with an account. There is nothing to see without that.".to_owned()];
    message(StatusCode::BAD_REQUEST, "This brings no answer of a provider", "bad", &lines)
}

/// There is nothing at this address.
pub(crate) fn nothing_here() -> Response {
    message(StatusCode::NOT_FOUND, "There is nothing at this address", "bad", &[])
}

/// There is, but not for this method.
pub(crate) fn not_that_way() -> Response {
    message(StatusCode::METHOD_NOT_ALLOWED, "That cannot be done at this address", "bad", &[])
}

/// It took too long.
pub(crate) fn too_slow() -> Response {
    let lines = ["It may yet come to an end: see what the terminal says that waits for it.".to_owned()];
    message(StatusCode::GATEWAY_TIMEOUT, "This takes too long", "bad", &lines)
}

/// A fault in the program.
pub(crate) fn fault() -> Response {
    let lines = ["The daemon goes on. Its log says more.".to_owned()];
    message(StatusCode::INTERNAL_SERVER_ERROR, "A fault in the program", "bad", &lines)
}

fn message(status: StatusCode, heading: &str, tone: &'static str, lines: &[String]) -> Response {
    rendered(status, &Message { heading, tone, lines })
}

fn rendered(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
