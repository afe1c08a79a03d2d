//! `backstock storage link --page`: a browser makes the link at the daemon's page, and this waits for what comes of it.

use std::time::Duration;

use backstock_operations::{
    AskedLinkOutcome, Environment, ErrorKind, OperationError, ask_for_link, daemon_address,
};

use crate::exit::CommandError;
use crate::session::Session;

/// How often is looked what has come of it.
const LOOK: Duration = Duration::from_millis(500);

/// Asks the daemon's page for a link of a storage of the catalog, and waits until there is one.
pub(super) fn link_by_page(
    session: &Session,
    environment: &Environment,
    title: &str,
    provider: &str,
) -> Result<(), CommandError> {
    let address = daemon_address(environment)?;
    let asked = ask_for_link(environment, title)?;
    let terminal = session.terminal;
    terminal.prompt("open this address in a browser, and say yes there:");
    terminal.prompt(&format!("{address}/link/{}", asked.token.expose()));
    terminal.say("it is good once, for one browser, and for ten minutes; this waits for what comes of it");
    loop {
        if session.is_interrupted() {
            asked.withdraw(environment)?;
            let message = "stopped by a signal; the address is good no more".to_owned();
            return Err(OperationError::Plain { kind: ErrorKind::Interrupted, message, hint: None }.into());
        }
        match asked.outcome(environment)? {
            AskedLinkOutcome::Open => std::thread::sleep(LOOK),
            AskedLinkOutcome::Linked => return Ok(()),
            AskedLinkOutcome::Declined(word) => {
                return Err(CommandError::declined(format!("{provider} says: {word}; nothing was changed")));
            }
            AskedLinkOutcome::Failed(message) => {
                return Err(OperationError::Plain { kind: ErrorKind::Storage, message, hint: None }.into());
            }
            AskedLinkOutcome::TooLate => {
                asked.withdraw(environment)?;
                return Err(CommandError::declined(
                    "nobody has said yes within ten minutes; nothing was changed",
                ));
            }
        }
    }
}
