//! Makes the kept backups of `fixtures/backups` with a built `backstock`: `keep-backups target/release/backstock fixtures/backups/v2`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use backstock_testbed::{Server, ServerKind, ServerOptions, TestbedError, kept_shop};
use clap::Parser;

/// Each codec once, each vendor once.
const KEPT: [(&str, ServerKind); 2] = [("zstd", ServerKind::MariaDb), ("gzip", ServerKind::MySql)];

/// Backs the small shop up with a built `backstock`, once in each codec and on each vendor, for keeps.
#[derive(Parser)]
struct Arguments {
    /// The program that writes the backups.
    backstock: PathBuf,
    /// The folder to make: one folder for each codec, and beside it a picture of what a restore must bring back.
    into: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
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

fn run(arguments: &Arguments) -> Result<(), TestbedError> {
    fs::create_dir(&arguments.into).map_err(|error| TestbedError::file("make", &arguments.into, error))?;
    let program = arguments
        .backstock
        .canonicalize()
        .map_err(|error| TestbedError::file("find", &arguments.backstock, error))?;
    KEPT.into_iter().try_for_each(|(codec, kind)| keep(&program, &arguments.into, codec, kind))
}

fn keep(program: &Path, into: &Path, codec: &str, kind: ServerKind) -> Result<(), TestbedError> {
    let server = Server::start(kind, &ServerOptions::default())?;
    let place = tempfile::Builder::new()
        .prefix("backstock-kept-")
        .tempdir()
        .map_err(|error| TestbedError::file("make a folder in", &std::env::temp_dir(), error))?;
    let root = place.path().join("shop");
    kept_shop::make(&server, &root)?;
    kept_shop::picture(&server, kept_shop::DATABASE, &root)?.save(&into.join(format!("{codec}.picture")))?;
    let backups = place.path().join("backups");
    let configuration = place.path().join("backstock.toml");
    fs::write(&configuration, "").map_err(|error| TestbedError::file("write", &configuration, error))?;
    let output = Command::new(program)
        .arg("backup")
        .arg(&root)
        .args(["--database-name", kept_shop::DATABASE, "--database-user", "root", "--codec", codec])
        .arg("--database-socket")
        .arg(server.socket())
        .env("BACKSTOCK_STATE", place.path().join("state"))
        .env("BACKSTOCK_BACKUPS", &backups)
        .env("BACKSTOCK_CONFIG", &configuration)
        .output()
        .map_err(|error| TestbedError::file("run", program, error))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(TestbedError::Program { program: program.display().to_string(), why });
    }
    let read = |error| TestbedError::file("read", &backups, error);
    for set in fs::read_dir(&backups).map_err(read)? {
        copy(&set.map_err(read)?.path(), &into.join(codec))?;
    }
    Ok(())
}

/// Copies a folder and everything in it.
fn copy(from: &Path, to: &Path) -> Result<(), TestbedError> {
    let fault = |error| TestbedError::file("copy", from, error);
    fs::create_dir(to).map_err(fault)?;
    for entry in fs::read_dir(from).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let target = to.join(entry.file_name());
        if entry.file_type().map_err(fault)?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            let bytes = fs::read(entry.path()).map_err(fault)?;
            fs::write(&target, bytes).map_err(fault)?;
        }
    }
    Ok(())
}
