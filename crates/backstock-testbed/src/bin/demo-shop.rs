//! Makes, ruins and compares the demo shop; called by `./demo`, useful by hand.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use backstock_testbed::demo_shop::{DemoShop, Growth, count, size_of};
use backstock_testbed::{Snapshot, TestbedError, compare};
use clap::{Args, Parser, Subcommand};

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
    Make(Size),
    /// Make or grow the files alone, without a database.
    Files(Size),
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

/// The size of a large shop; without it the shop follows from its products.
#[derive(Args)]
struct Size {
    /// MiB of rows to add, as `INSERT` statements would hold them.
    #[arg(long, default_value_t = 0)]
    sql_mib: u64,
    /// Files to grow to.
    #[arg(long, default_value_t = 0)]
    files: u64,
    /// MiB in files to grow to.
    #[arg(long, default_value_t = 0)]
    files_mib: u64,
}

impl Size {
    fn growth(&self) -> Growth {
        Growth { sql_bytes: self.sql_mib << 20, files: self.files, file_bytes: self.files_mib << 20 }
    }
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
        Command::Make(size) => {
            shop.make()?;
            shop.grow_database(&size.growth())?;
            shop.grow_files(&size.growth())?;
            lines.push(format!("made a shop in {}: {}", shop.root().display(), count(&shop.picture()?)));
        }
        Command::Files(size) => {
            shop.grow_files(&size.growth())?;
            for folder in [shop.root(), shop.storage()] {
                let (files, bytes) = size_of(&folder)?;
                lines.push(format!("{}: {files} files, {} MiB", folder.display(), bytes >> 20));
            }
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
