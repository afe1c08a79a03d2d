//! What a browser may see and ask: for now, the pages by which a storage is linked with an account.
//!
//! [`Server`] listens and bounds what clients may cost; [`Site`] is everything that is answered, and can be asked without a
//! network. Operations block, so each runs on a thread of its own; nothing of a request is logged.

mod address;
mod guard;
mod link;
mod pages;
mod server;
mod sessions;
mod site;

pub use address::{AddressError, PublicAddress};
pub use server::Server;
pub use site::Site;

#[cfg(test)]
mod tests;
