//! Loading a dump into MySQL or MariaDB: planned, aside, checked; or in place where nothing else is possible.

mod aside;
mod bulk;
mod bulk_text;
mod compare;
mod concession;
mod foreign;
mod foreign_keys;
mod in_place;
mod large_row;
mod not_taken;
mod plan;
mod plan_code;
mod plan_keys;
mod plan_transfer;
pub(crate) mod presence;
mod queue;
mod rows;
pub(crate) mod session;
mod table;
mod tables;
#[cfg(test)]
mod tests;

pub use aside::load_aside;
pub use in_place::load_in_place;
pub use plan::plan_load;
