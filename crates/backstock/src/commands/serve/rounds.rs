//! What the daemon does once an hour, piece by piece. A piece that fails, or ends by a fault in the program, is a warning.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use backstock_operations::{DueLink, Environment, OperationError, chain, tell_due, try_due_links};

use crate::commands::notifier::lines_of_failed;
use crate::terminal::{Terminal, link_text, printable};

/// How much time lies between the end of a round and the next one.
const PAUSE: Duration = Duration::from_secs(60 * 60);
/// How long an end waits for a round that is under way; whatever it does survives a kill.
const END_LIMIT: Duration = Duration::from_secs(5);
/// How often is looked whether it has come to its end.
const LOOK: Duration = Duration::from_millis(50);

/// What a piece brings: lines worth a warning.
type Lines = Result<Vec<String>, OperationError>;

/// One piece of a round.
struct Piece {
    /// What it does, as in "trying the links with accounts".
    act: &'static str,
    run: fn(&Environment) -> Lines,
}

/// What a round does, in this order.
const PIECES: &[Piece] = &[
    Piece { act: "trying the links with accounts", run: try_links },
    // Last: of what the others found.
    Piece { act: "telling people what stands", run: tell_people },
];

/// Links that nobody has used for a day, and those that were taken back.
fn try_links(environment: &Environment) -> Lines {
    let links = try_due_links(environment)?;
    // Those that were not due were told when they were.
    let troubled = links.iter().filter(|due| due.was_tried && !due.is_ok());
    Ok(troubled.map(line_of).collect())
}

/// What has begun, what is over, and what did not go out before.
fn tell_people(environment: &Environment) -> Lines {
    Ok(lines_of_failed(&tell_due(environment)?))
}

fn line_of(due: &DueLink) -> String {
    let state = due.link.as_ref().map_or_else(|| "not known".to_owned(), link_text);
    let problem = due.problem.as_ref().map(|problem| format!(": {problem}")).unwrap_or_default();
    format!("the link of the storage {} is {state}{problem}", due.title)
}

/// Rounds on a thread of their own, so that nobody waits for them.
pub(super) struct Rounds {
    ended: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Rounds {
    /// Begins with a round at once.
    pub(super) fn start(environment: &Arc<Environment>, terminal: Terminal) -> Self {
        let environment = environment.clone();
        let (ended, is_ended) = mpsc::channel();
        let thread = std::thread::Builder::new().name("backstock-rounds".to_owned()).spawn(move || {
            every(
                || round(PIECES, &environment, &|line| terminal.warn(&printable(line))),
                || is_ended.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout),
            );
        });
        if let Err(error) = &thread {
            terminal.warn(&format!("there are no rounds: starting their thread: {error}"));
        }
        Self { ended, thread: thread.ok() }
    }

    /// Ends them; one that is under way gets a moment.
    pub(super) fn end(self) {
        drop(self.ended);
        let Some(thread) = self.thread else { return };
        let mut waited = Duration::ZERO;
        while !thread.is_finished() && waited < END_LIMIT {
            std::thread::sleep(LOOK);
            waited += LOOK;
        }
    }
}

/// Acts, and again whenever the wait says that it is time.
fn every(mut act: impl FnMut(), mut is_time: impl FnMut() -> bool) {
    act();
    while is_time() {
        act();
    }
}

fn round(pieces: &[Piece], environment: &Environment, warn: &dyn Fn(&str)) {
    for piece in pieces {
        match catch_unwind(AssertUnwindSafe(|| (piece.run)(environment))) {
            Ok(Ok(lines)) => lines.iter().for_each(|line| warn(line)),
            Ok(Err(error)) => warn(&format!("{}: {}", piece.act, chain(&error))),
            Err(_) => warn(&format!("{} ended by a fault in the program", piece.act)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use backstock_host::Host;
    use backstock_operations::ErrorKind;

    use super::*;

    #[test]
    fn a_piece_that_fails_holds_up_neither_the_others_nor_the_next_round() {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment::open(&Host::real(), &folder.path().join("state")).unwrap();
        let fails: fn(&Environment) -> Lines = |_| {
            let message = "no way".to_owned();
            Err(OperationError::Plain { kind: ErrorKind::Failed, message, hint: None })
        };
        let pieces = [
            Piece { act: "failing", run: fails },
            Piece { act: "panicking", run: |_| panic!("a fault") },
            Piece { act: "telling", run: |_| Ok(vec!["something".to_owned()]) },
        ];
        let told = RefCell::new(Vec::new());
        let mut waits = 0;
        every(
            || round(&pieces, &environment, &|line| told.borrow_mut().push(line.to_owned())),
            || {
                waits += 1;
                waits < 2
            },
        );
        let once = ["failing: no way", "panicking ended by a fault in the program", "something"];
        assert_eq!(told.into_inner(), [once, once].concat());
    }
}
