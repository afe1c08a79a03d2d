//! The kinds of database server, one folder each.

pub mod mysql;

/// Every kind's name. MariaDB speaks MySQL's protocol and is told apart when a connection is open.
pub const KINDS: &[&str] = &["mysql"];
