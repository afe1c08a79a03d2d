//! `backstock serve`: the daemon. It answers browsers and does once an hour what nobody should have to think of.

mod rounds;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use backstock_operations::{Daemon, OperationError};
use backstock_web::{PublicAddress, Server, Site};
use sd_notify::NotifyState;
use serde::Serialize;

use self::rounds::Rounds;
use super::{Document, Result};
use crate::arguments::ServeArguments;
use crate::exit::{Code, CommandError};
use crate::session::Session;

/// Where it listens unless something else is said: on this machine alone.
const USUAL_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8086);
/// How often is looked whether a signal asks to stop.
const LOOK: Duration = Duration::from_millis(100);

pub(super) fn run(session: &Session, arguments: &ServeArguments) -> Result {
    #[derive(Serialize)]
    struct Ready<'a> {
        address: &'a str,
        listen: SocketAddr,
    }
    let settings = &session.configuration.serve;
    let listen = arguments.listen.or(settings.listen).unwrap_or(USUAL_LISTEN);
    let public = public_address(arguments.address.as_deref().or(settings.address.as_deref()), listen)?;
    let environment = Arc::new(session.open()?);
    let daemon = Daemon::become_it(&environment)?;
    let failed = |source| OperationError::Machine { act: format!("listening on {listen}"), source };
    let mut server = Server::bind(listen).map_err(failed)?;
    let listen = server.address();
    let public = public.unwrap_or_else(|| PublicAddress::of_this_machine(listen.port()));
    server.start(Site::new(environment.clone(), public.clone(), listen).router());
    daemon.tell_address(public.origin())?;
    let terminal = session.terminal;
    let address = public.origin();
    terminal.say(&format!("serving {address} (listening on {listen}); a signal (SIGTERM, SIGINT) ends it"));
    if terminal.json() {
        let ready = serde_json::to_string(&Document::new("backstock.serve/1", Ready { address, listen }));
        terminal.data(&ready.unwrap_or_default());
    }
    tell_service_manager(session, &NotifyState::Ready);
    let rounds = Rounds::start(&environment, terminal);
    while !session.is_interrupted() {
        std::thread::sleep(LOOK);
    }
    tell_service_manager(session, &NotifyState::Stopping);
    terminal.say("ending");
    rounds.end();
    server.end();
    daemon.end()?;
    Ok(Code::Done)
}

/// The address that was given; none where browsers of this machine alone are to come.
fn public_address(
    given: Option<&str>,
    listen: SocketAddr,
) -> std::result::Result<Option<PublicAddress>, CommandError> {
    let Some(given) = given else {
        return if listen.ip().is_loopback() {
            Ok(None)
        } else {
            let hint =
                "write address = \"https://…\" below [serve] in the configuration file, or give --address";
            let problem = format!("browsers elsewhere can reach {listen}, but not by which address");
            Err(CommandError::usage(problem, hint))
        };
    };
    let hint = "for example https://backup.example.com; see docs/serve.md";
    PublicAddress::parse(given).map(Some).map_err(|error| CommandError::usage(error.to_string(), hint))
}

/// Tells systemd, where it has started this and wants to know.
fn tell_service_manager(session: &Session, state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        session.terminal.warn(&format!("telling the service manager: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_listens_to_all_says_by_which_address() {
        let all: SocketAddr = "0.0.0.0:8086".parse().unwrap();
        assert!(public_address(None, all).is_err());
        assert!(public_address(Some("http://backup.example.com"), all).is_err());
        assert!(public_address(Some("https://backup.example.com"), all).unwrap().is_some());
        assert!(public_address(None, USUAL_LISTEN).unwrap().is_none());
    }
}
