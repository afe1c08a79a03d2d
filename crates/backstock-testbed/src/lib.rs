//! Private database servers, servers to store to, awkward data and comparisons, for the tests, the benchmark and the demo.
//!
//! This crate is the independent oracle: it shares no code with the dump, the archive or the restore, reads databases
//! through another client and another wire protocol (the binary one), and so notices what those would agree to miss.

pub mod clouds;
pub mod database;
pub mod demo_shop;
pub mod error;
pub mod kept_shop;
pub mod mail;
pub mod programs;
pub mod proxy;
pub mod server;
pub mod snapshot;
mod spawner;
pub mod storages;
pub mod time_zone;
pub mod torture_database;
pub mod torture_tree;
pub mod tree;

pub use error::TestbedError;
pub use server::{Server, ServerKind, ServerOptions};
pub use snapshot::{Difference, Snapshot, assert_same, compare};
