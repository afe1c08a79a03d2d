//! What we remember: shops, sets, storages, runs, backups, replicas and problems.
//!
//! What the storages hold can be rebuilt from them ([`Catalog::export`] is the measure of that); settings and history
//! live here only. Every change is one transaction, durable when the call returns. The SQL text is one for SQLite and
//! PostgreSQL: no vendor functions, `$1` placeholders; a test prepares every statement.
//!
//! Times are kept in whole milliseconds. What may not be UTF-8 is kept as text with escapes ([`escaped`]).

mod acceptances;
mod backups;
mod checks;
mod confirmations;
mod connection;
mod destinations;
mod drills;
mod error;
pub mod escaped;
mod export;
mod history;
mod imports;
mod leases;
mod link_requests;
mod links;
mod locks;
mod marks;
mod migrations;
mod notices;
mod pins;
mod problems;
mod replicas;
mod row;
mod runs;
mod sets;
mod shops;
mod statements;
mod storages;
mod strangers;

pub use acceptances::AcceptedException;
pub use backups::Backup;
pub use checks::Check;
pub use confirmations::Confirmation;
pub use connection::Catalog;
pub use destinations::Destination;
pub use drills::Drill;
pub use error::{Error, Result};
pub use export::{Export, ExportedProblem, ExportedReplica, ExportedSet, ExportedShop};
pub use leases::Lease;
pub use link_requests::{LinkRequest, LinkRequestState};
pub use links::Link;
pub use locks::ReplicaLock;
pub use marks::Mark;
pub use migrations::SCHEMA_VERSION;
pub use notices::KeptNotice;
pub use pins::Pin;
pub use problems::{PROBLEMS_PER_RUN_LIMIT, Problem, Severity};
pub use replicas::Replica;
pub use runs::{Run, RunArtifact, RunDestination, RunEnd};
pub use sets::Set;
pub use shops::Shop;
pub use storages::Storage;

#[cfg(test)]
mod tests;
