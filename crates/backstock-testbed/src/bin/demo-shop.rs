//! Makes, ruins and compares the demo shop; called by `./demo`, useful by hand.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use backstock_testbed::demo_shop::{DemoShop, count};
use backstock_testbed::{Snapshot, TestbedError, compare};
use clap::{Parser, Subcommand};

/// How many differences are shown before the rest is only counted.
const SHOWN_DIFFERENCES: usize = 12;

/// Makes, ruins and compares a made-up shop in the shape of OpenCart 4.
#[derive(Parser)]
struct Arguments {
    /// The folder that holds the shop and its storage.
    #[arg(long, global = true, default_value = "demo-shop")]
    folder: PathBuf,
    /// The database server's socket; root without a password must be able to log in.
    #[arg(long, global = true, default_value = "demo-shop/mariadb.sock")]
    socket: PathBuf,
    /// The database server's loopback port, for the shop's configuration.
    #[arg(long, global = true, default_value_t = 33_060)]
    port: u16,
    /// Number of products.
    #[arg(long, global = true, default_value_t = 3000)]
    products: u32,
    /// What all choices follow from.
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make database, account and files.
    Make,
    /// Ruin the shop.
    Break,
    /// Write down what the shop looks like.
    Snapshot {
        /// The file to write.
        output: PathBuf,
    },
    /// Compare the shop with what was written down; exit code 1 when they differ.
    Compare {
        /// The file that `snapshot` wrote.
        snapshot: PathBuf,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut output = std::io::stdout().lock();
    match run(&arguments, &mut output) {
        Ok(code) => code,
        Err(error) => {
            let mut errors = std::io::stderr().lock();
            let _ = writeln!(errors, "error: {error}");
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                let _ = writeln!(errors, "  because: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments, output: &mut impl Write) -> Result<ExitCode, TestbedError> {
    let shop = DemoShop {
        folder: arguments.folder.clone(),
        products: arguments.products,
        seed: arguments.seed,
        socket: arguments.socket.clone(),
        port: arguments.port,
    };
    let mut lines = Vec::new();
    let mut code = ExitCode::SUCCESS;
    match &arguments.command {
        Command::Make => {
            shop.make()?;
            lines.push(format!("made a shop in {}: {}", shop.root().display(), count(&shop.picture()?)));
        }
        Command::Break => lines = shop.ruin()?,
        Command::Snapshot { output } => {
            let picture = shop.picture()?;
            picture.save(output)?;
            lines.push(format!("noted {}", count(&picture)));
        }
        Command::Compare { snapshot } => {
            let differences = compare(&Snapshot::load(snapshot)?, &shop.picture()?);
            lines.extend(differences.iter().take(SHOWN_DIFFERENCES).map(ToString::to_string));
            lines.push(match differences.len() {
                0 => format!("identical: {}", count(&shop.picture()?)),
                number => format!("{number} differences"),
            });
            if !differences.is_empty() {
                code = ExitCode::FAILURE;
            }
        }
    }
    for line in lines {
        writeln!(output, "{line}")
            .map_err(|error| TestbedError::file("write to", "standard output".as_ref(), error))?;
    }
    Ok(code)
}
