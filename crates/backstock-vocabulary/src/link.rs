//! Words about a link with an account.

use crate::word::words;

words! {
    /// How the link of a storage with an account is.
    pub enum LinkState {
        /// The last call went well.
        Ok = "ok",
        /// It is good, and its provider has said when it ends.
        Expiring = "expiring",
        /// Its owner, or the provider, has taken it back: it must be made again.
        Revoked = "revoked",
    }
}
