//! MySQL 5.7 to 9 and MariaDB 10.3 and later, over their common client/server protocol.

pub mod connection;
pub mod ddl;
pub mod sql;
