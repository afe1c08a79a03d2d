//! MySQL 5.7 to 9 and MariaDB 10.3 and later, over their common client/server protocol.

pub(crate) mod binary_rows;
pub mod connection;
pub mod ddl;
pub(crate) mod definition;
pub(crate) mod drift;
pub mod dump;
pub mod foreign;
pub(crate) mod guard;
pub(crate) mod literals;
pub mod live;
pub mod load;
pub(crate) mod objects;
pub mod private_server;
pub mod rights;
pub mod row_values;
pub(crate) mod row_writer;
pub(crate) mod rows;
pub(crate) mod schema;
pub mod session;
pub(crate) mod snapshot;
pub mod sql;
pub mod swap;
pub mod transfer;
pub mod writer;
