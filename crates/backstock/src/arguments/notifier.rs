//! What may be typed behind `backstock notifier`.

use clap::{Args, Subcommand};

/// `notifier …`.
#[derive(Debug, Subcommand)]
pub(crate) enum NotifierCommand {
    /// Who is told of what goes wrong, and what was told
    List,
    /// Send a message that says only that it arrives
    Test(TestNotifierArguments),
    /// Tell what is due to be told: what has begun, what is over, and what did not go out before
    Due,
}

/// `notifier test`.
#[derive(Debug, Args)]
pub(crate) struct TestNotifierArguments {
    /// The title of the notifier [default: all of them]
    #[arg(value_name = "TITLE")]
    pub(crate) title: Option<String>,
}
