//! Starts programs so that they die with this process, however that ends.
//!
//! The kernel sends the parent-death signal when the *thread* that forked ends, not the process; so one thread that
//! lives as long as the process does all the forking.

use std::io;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

type Job = (Command, Sender<io::Result<Child>>);

/// What the names of our variables begin with.
const OUR_VARIABLES: &[u8] = b"BACKSTOCK_";

static SPAWNER: OnceLock<Sender<Job>> = OnceLock::new();

/// Starts a command from the thread that never ends.
pub fn spawn(command: Command) -> io::Result<Child> {
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, jobs) = channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, answer) in jobs {
                // The asker may have gone away; a child that nobody takes is dropped, and dies with this process.
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let (answer, result) = channel();
    spawner.send((command, answer)).map_err(io::Error::other)?;
    result.recv().map_err(io::Error::other)?
}

/// What this program is told by its environment, passwords and keys among it, is no business of the programs that it starts.
pub fn keep_our_variables_from(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(OUR_VARIABLES) {
            command.env_remove(name);
        }
    }
}

/// A command that is killed when this process ends, where the machine has `setpriv` (util-linux); it keeps its process
/// id, and learns nothing of our variables. It must be started with [`spawn`].
pub fn dying_with_us(program: &std::path::Path) -> Command {
    let mut command = killed_with_us(program);
    keep_our_variables_from(&mut command);
    command
}

fn killed_with_us(program: &std::path::Path) -> Command {
    for setpriv in ["/usr/bin/setpriv", "/bin/setpriv"] {
        if std::path::Path::new(setpriv).exists() {
            let mut command = Command::new(setpriv);
            command.arg("--pdeathsig").arg("KILL").arg("--").arg(program);
            return command;
        }
    }
    Command::new(program)
}
