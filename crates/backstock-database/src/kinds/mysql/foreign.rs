//! Dumps made by others: `mysqldump`, `mariadb-dump`, mydumper, phpMyAdmin, Adminer, HeidiSQL, OpenCart, or by hand.
//!
//! Data can be lost here. Nothing of a file is ever run as it stands. It is read to its end first, statement by
//! statement against a list of what may stand in it; a file that was cut, that holds something unknown or that reaches
//! beyond its database is refused before anything happens. What remains are objects and rows, in the form of a dump of
//! our own: it becomes an ordinary backup, and is restored like one. Only two things differ: the rows keep the literals
//! that others wrote, and so are compared by their number.

mod allow;
mod code;
mod columns;
mod drafts;
mod fault;
mod inserts;
mod live;
mod offline;
mod rows;
mod script;
mod session;
mod spelling;
mod statement;
mod table;
#[cfg(test)]
mod tests;
mod tool;
mod walk;
mod write;

pub use offline::scan_foreign_offline;
pub use write::{dump_foreign, scan_foreign};

use crate::foreign::ForeignTrust as Trust;
