//! What can go wrong while a test is being set up or compared.

use std::path::{Path, PathBuf};

/// A failure of the testbed itself, never of the code under test.
#[derive(Debug, thiserror::Error)]
pub enum TestbedError {
    /// The server is not on this machine, and `./check` said that it cannot be had.
    #[error("{server} is not available here (named in BACKSTOCK_TEST_WITHOUT): this test did NOT run")]
    ServerNotAvailable {
        /// Name of the server, as `ci/servers` spells it.
        server: &'static str,
    },
    /// The server program is missing.
    #[error("{server} is missing below {}: run ./check or ci/servers {server}", folder.display())]
    ServerMissing {
        /// Name of the server, as `ci/servers` spells it.
        server: &'static str,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// The server came up badly or not at all.
    #[error("{server} did not start: {why}")]
    ServerDidNotStart {
        /// Name of the server, as `ci/servers` spells it.
        server: &'static str,
        /// The last lines of its log.
        why: String,
    },
    /// A program ended with an error.
    #[error("{program} failed: {why}")]
    Program {
        /// The program.
        program: String,
        /// What it wrote to standard error.
        why: String,
    },
    /// The database refused something.
    #[error("cannot {act}")]
    Database {
        /// What was to be done.
        act: String,
        /// What the server or the client library said.
        #[source]
        source: mysql::Error,
    },
    /// The file system refused something.
    #[error("cannot {act} {}", path.display())]
    File {
        /// What was to be done.
        act: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
}

impl TestbedError {
    /// Wraps an error of the file system.
    pub fn file(act: &'static str, path: &Path, source: impl Into<std::io::Error>) -> Self {
        Self::File { act, path: path.to_path_buf(), source: source.into() }
    }

    /// Wraps an error of the database.
    pub fn database(act: impl Into<String>, source: mysql::Error) -> Self {
        Self::Database { act: act.into(), source }
    }
}
