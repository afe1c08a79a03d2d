//! The executable: parse, run one command, exit with its code.

mod arguments;
mod commands;
mod configuration;
mod exit;
mod progress;
mod session;
mod terminal;
mod unlock;

use std::process::ExitCode;

use clap::Parser;

use arguments::Arguments;
use terminal::Terminal;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    terminal::start_log();
    let terminal = Terminal::new(arguments.common.json, arguments.common.quiet);
    match commands::run(&arguments, terminal) {
        Ok(code) => code.into(),
        Err(error) => {
            terminal.error(error.as_ref(), error.hint().as_deref());
            error.code().into()
        }
    }
}
