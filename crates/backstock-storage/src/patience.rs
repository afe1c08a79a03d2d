//! How long a server may take: limits on silence, never on the whole.

use std::io;
use std::time::Duration;

/// The longest time in which a connection must be made.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);
/// The longest time without an answer or progress.
const STALL_LIMIT: Duration = Duration::from_secs(60);

/// How long we wait for a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For a connection to be made.
    pub(crate) connect: Duration,
    /// For an answer, or for progress.
    pub(crate) stall: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connect: CONNECT_LIMIT, stall: STALL_LIMIT }
    }
}

impl Patience {
    /// Waits for a connection.
    ///
    /// # Errors
    ///
    /// `TimedOut`, with a text that tells the limit.
    pub(crate) async fn connection<T>(&self, work: impl Future<Output = T>) -> io::Result<T> {
        within(self.connect, work, "the connection was not made in").await
    }

    /// Waits for an answer.
    ///
    /// # Errors
    ///
    /// `TimedOut`, with a text that tells the limit.
    pub(crate) async fn answer<T>(&self, work: impl Future<Output = T>) -> io::Result<T> {
        within(self.stall, work, "nothing was heard of it for").await
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = T>, what: &str) -> io::Result<T> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("{what} {} s", limit.as_secs_f32()));
    tokio::time::timeout(limit, work).await.map_err(late)
}
