//! `backstock storage link`: the owner of an account says yes in a browser, and the code comes back by itself or by hand.
//!
//! The address is printed, and opened by nobody here. Codes and states are printed nowhere.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use backstock_operations::{
    BegunLink, Environment, LinkManner, Linked, ListedLink, OperationError, Returned, StorageLink,
    StorageSecret, StorageTest, link_of, link_storage, test_storage,
};
use backstock_vocabulary::LinkState;
use serde::Serialize;

use super::page::link_by_page;
use super::redirect::Listener;
use super::{Document, Result, say_test};
use crate::arguments::{LinkArguments, LinkStorageArguments};
use crate::exit::{Code, CommandError};
use crate::session::Session;
use crate::terminal::{Terminal, link_text, printable};

/// The longest code, or address with one, that is pasted, in bytes.
const PASTED_LIMIT_BYTES: u64 = 16 << 10;
/// How often is looked whether a file with a code is there.
const LOOK: Duration = Duration::from_millis(200);
/// The port in an address that is only to be copied from the browser: nobody listens there.
const COPIED_PORT: u16 = 8085;

/// What comes of a step that a person has a part in.
type Step<T> = std::result::Result<T, CommandError>;

/// How the code comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The browser brings it to this port, or to a free one.
    Redirect(Option<u16>),
    /// The provider shows it, and it is pasted.
    Shown,
    /// The browser ends at an address that holds it, and that is pasted.
    Copied,
}

pub(super) fn run(session: &Session, arguments: &LinkStorageArguments) -> Result {
    #[derive(Serialize)]
    struct Told<'a> {
        title: &'a str,
        provider: &'a str,
        link: Option<ListedLink>,
        test: Option<StorageTest>,
    }
    let environment = session.open()?;
    let account = link_storage(&environment, &arguments.title)?;
    if arguments.page {
        link_by_page(session, &environment, &arguments.title, account.provider())?;
    } else {
        linked(session, &environment, &account, &arguments.link)?;
    }
    let (terminal, title) = (session.terminal, printable(&arguments.title));
    if !terminal.json() {
        terminal.data(&format!("the storage {title} is linked with an account at {}", account.provider()));
    }
    let test = if arguments.no_test { None } else { Some(test_storage(&environment, &arguments.title)?) };
    let link = link_of(&environment, &arguments.title)?;
    // Another account was linked, or another client: what is known to be there is not to be seen.
    let sees_nothing = test.as_ref().is_some_and(|test| test.sees_nothing.is_some());
    let code = if sees_nothing { Code::Partial } else { Code::Done };
    if terminal.json() {
        let told = Told { title: &arguments.title, provider: account.provider(), link, test };
        terminal.document(&Document::new("backstock.storage-link/1", told));
        return Ok(code);
    }
    test.iter().for_each(|test| say_test(terminal, test));
    warn_of_link(terminal, &title, link.as_ref());
    Ok(code)
}

/// Says what is to be done about a link that is not as it should be.
pub(in super::super) fn warn_of_link(terminal: Terminal, title: &str, link: Option<&ListedLink>) {
    let Some(link) = link.filter(|link| link.state != LinkState::Ok) else { return };
    let what = match link.state {
        LinkState::Expiring => "the provider limits it; see \"The link\" in docs/storages.md",
        _ => "nothing goes there until `backstock storage link` makes it anew",
    };
    terminal.warn(&format!("the link of the storage {title} is {}; {what}", link_text(link)));
}

/// Links with the account: the address is printed, what comes back is exchanged.
pub(super) fn linked(
    session: &Session,
    environment: &Environment,
    account: &StorageLink,
    arguments: &LinkArguments,
) -> Step<Linked> {
    let manner = account.manner();
    let way = way_of(account.provider(), manner, arguments)?;
    let (begun, returned) = match way {
        Way::Redirect(port) => by_redirect(session, account, port)?,
        Way::Shown | Way::Copied => by_hand(session, account, way, arguments)?,
    };
    match returned {
        // A code that was shown came without a state.
        Returned::Code { code, state } => {
            let state = Some(state.as_str()).filter(|_| way != Way::Shown);
            Ok(account.finish(environment, &begun, &code, state)?)
        }
        Returned::Declined(word) => {
            Err(CommandError::declined(format!("{} says: {word}; nothing was changed", account.provider())))
        }
        Returned::Strange => Err(CommandError::usage(
            "what was pasted does not belong to the link that was begun here",
            "paste all of what the browser shows in its address line at the end, and only of this try",
        )),
    }
}

fn way_of(provider: &str, manner: LinkManner, arguments: &LinkArguments) -> Step<Way> {
    if arguments.redirect_to.is_some() {
        return Ok(Way::Copied);
    }
    let is_pasted = arguments.paste || arguments.code_file.is_some();
    let is_redirected = arguments.redirect || arguments.port.is_some();
    match (is_pasted, is_redirected) {
        (true, _) | (_, false) if manner.shows_code => Ok(Way::Shown),
        (true, _) => Ok(Way::Copied),
        _ if !manner.any_port && arguments.port.is_none() => Err(CommandError::usage(
            format!("{provider} sends a browser only to addresses that are registered with the application"),
            format!("register {} there, and give --port 8085; or paste the code", manner.redirect(8085)),
        )),
        _ => Ok(Way::Redirect(arguments.port)),
    }
}

fn by_redirect(session: &Session, account: &StorageLink, port: Option<u16>) -> Step<(BegunLink, Returned)> {
    let failed =
        |what: String| move |source| CommandError::from(OperationError::Machine { act: what, source });
    let listener = Listener::bind(port.unwrap_or(0))
        .map_err(failed(format!("listening on port {} of this machine", port.unwrap_or(0))))?;
    let port = listener.port().map_err(failed("asking for the port that is listened on".to_owned()))?;
    let begun = account.begin(Some(&account.manner().redirect(port)))?;
    show_address(session.terminal, &begun);
    session.terminal.say(&format!(
        "waiting ten minutes for the browser, on port {port} of this machine; --paste is for a browser elsewhere"
    ));
    let heard = listener.wait(&|query| begun.returned(query), &|| session.is_interrupted());
    let heard = heard.map_err(failed(format!("waiting for the browser on port {port}")))?;
    match heard {
        Some(returned) => Ok((begun, returned)),
        None => Err(nobody_came(session)),
    }
}

fn by_hand(
    session: &Session,
    account: &StorageLink,
    way: Way,
    arguments: &LinkArguments,
) -> Step<(BegunLink, Returned)> {
    let (terminal, file) = (session.terminal, arguments.code_file.as_deref());
    if file.is_none() && !terminal.can_ask() {
        let hint = "run this at a terminal, or give --code-file";
        return Err(CommandError::usage("there is nobody to paste what the browser shows", hint));
    }
    let usual = || account.manner().redirect(COPIED_PORT);
    let redirect = (way == Way::Copied).then(|| arguments.redirect_to.clone().unwrap_or_else(usual));
    let begun = account.begin(redirect.as_deref())?;
    show_address(terminal, &begun);
    let what = match way {
        Way::Copied if arguments.redirect_to.is_some() => "the address that the page shows".to_owned(),
        Way::Copied => "the address at which the browser ends (nothing answers there)".to_owned(),
        _ => format!("the code that {} shows", account.provider()),
    };
    let pasted = match file {
        Some(file) => from_file(session, file)?,
        None => terminal.secret(&format!("{what}: "), StorageSecret::new),
    };
    let pasted = pasted.filter(|pasted| !pasted.expose().trim().is_empty());
    let pasted = pasted.ok_or_else(|| CommandError::declined(format!("{what} was not given")))?;
    let pasted = pasted.expose().trim();
    let returned = match way {
        Way::Copied => begun.returned(query_of(pasted)),
        _ => Returned::Code { code: StorageSecret::new(pasted.to_owned()), state: String::new() },
    };
    Ok((begun, returned))
}

/// What stands behind the question mark of an address.
fn query_of(address: &str) -> &str {
    let query = address.split_once('?').map_or("", |(_, query)| query);
    query.split('#').next().unwrap_or_default()
}

fn show_address(terminal: Terminal, begun: &BegunLink) {
    terminal.prompt("open this address in a browser, and say yes there:");
    terminal.prompt(&begun.address);
}

/// The first line of a file, as soon as there is a whole one.
fn from_file(session: &Session, file: &Path) -> Step<Option<StorageSecret>> {
    if file == Path::new("-") {
        return Ok(session.terminal.read_line(PASTED_LIMIT_BYTES).map(StorageSecret::new));
    }
    let until = Instant::now() + BegunLink::LIMIT;
    while Instant::now() < until && !session.is_interrupted() {
        let mut text = String::new();
        match File::open(file).and_then(|file| file.take(PASTED_LIMIT_BYTES).read_to_string(&mut text)) {
            Ok(_) => {
                if let Some((line, _)) = text.split_once('\n') {
                    return Ok(Some(StorageSecret::new(line.to_owned())));
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(source) => {
                let act = format!("reading the code in {}", file.display());
                return Err(OperationError::Machine { act, source }.into());
            }
        }
        std::thread::sleep(LOOK);
    }
    Err(nobody_came(session))
}

fn nobody_came(session: &Session) -> CommandError {
    if session.is_interrupted() {
        let (kind, message) =
            (backstock_operations::ErrorKind::Interrupted, "stopped by a signal".to_owned());
        return OperationError::Plain { kind, message, hint: None }.into();
    }
    CommandError::declined("nobody has said yes within ten minutes; nothing was changed")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY_PORT: LinkManner =
        LinkManner { redirect_host: "127.0.0.1", redirect_path: "/", any_port: true, shows_code: false };
    const SHOWS: LinkManner =
        LinkManner { redirect_host: "localhost", redirect_path: "/", any_port: false, shows_code: true };

    #[test]
    fn each_provider_has_its_way_and_may_have_another() {
        let typed = |redirect, port, paste, file: Option<&str>| LinkArguments {
            redirect,
            port,
            paste,
            code_file: file.map(Into::into),
            redirect_to: None,
        };
        for (manner, arguments, wanted) in [
            (ANY_PORT, typed(false, None, false, None), Some(Way::Redirect(None))),
            (ANY_PORT, typed(true, None, false, None), Some(Way::Redirect(None))),
            (ANY_PORT, typed(false, Some(80), false, None), Some(Way::Redirect(Some(80)))),
            (ANY_PORT, typed(false, None, true, None), Some(Way::Copied)),
            (ANY_PORT, typed(false, None, false, Some("-")), Some(Way::Copied)),
            (SHOWS, typed(false, None, false, None), Some(Way::Shown)),
            (SHOWS, typed(false, None, true, None), Some(Way::Shown)),
            (SHOWS, typed(false, None, false, Some("x")), Some(Way::Shown)),
            (SHOWS, typed(false, Some(80), false, None), Some(Way::Redirect(Some(80)))),
            (SHOWS, typed(true, None, false, None), None),
        ] {
            assert_eq!(way_of("Cloud", manner, &arguments).ok(), wanted, "{arguments:?}");
        }
    }

    #[test]
    fn an_address_that_is_named_is_pasted_whatever_the_provider_shows() {
        let there = Some("https://backup.example.com/link/returned".to_owned());
        for manner in [ANY_PORT, SHOWS] {
            let arguments = LinkArguments { redirect_to: there.clone(), ..LinkArguments::default() };
            assert_eq!(way_of("Cloud", manner, &arguments).ok(), Some(Way::Copied));
        }
    }

    #[test]
    fn of_an_address_only_its_query_counts() {
        assert_eq!(query_of("http://localhost:8085/?code=a&state=b#_=_"), "code=a&state=b");
        assert_eq!(query_of("4/0Acode"), "");
        assert_eq!(query_of("?code=a"), "code=a");
    }
}
