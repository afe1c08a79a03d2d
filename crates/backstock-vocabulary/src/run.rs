//! Words about a run: its kind and outcome, and the class of an error that ended it.

use crate::word::words;

words! {
    /// What a run did.
    pub enum RunKind {
        /// Made a backup.
        Backup = "backup",
        /// Restored one.
        Restore = "restore",
        /// Took a restore back.
        Undo = "undo",
        /// Ended a restore's undo window.
        Accept = "accept",
        /// Read replicas back and checked them.
        Verify = "verify",
        /// Restored one into a scratch place, compared it there, and removed it again.
        Drill = "drill",
        /// Deleted backups by policy, or one by hand.
        Prune = "prune",
        /// Copied backups to destinations that lacked them.
        Replicate = "replicate",
    }

    /// How a run ended, or that it has not.
    pub enum Outcome {
        /// Waiting to start.
        Pending = "pending",
        /// Under way.
        Running = "running",
        /// Everything that was asked for was done.
        Success = "success",
        /// Something usable exists, and something went wrong.
        Partial = "partial",
        /// Nothing usable came of it.
        Failed = "failed",
        /// The process died or was stopped.
        Interrupted = "interrupted",
    }

    /// What to do about an error.
    pub enum ErrorClass {
        /// The same act may succeed later.
        Retry = "retry",
        /// A person must decide or give something.
        Ask = "ask",
        /// It cannot succeed.
        Stop = "stop",
    }
}
