//! Table definitions as the server prints them: where their parts lie, and what can be built from them.
//!
//! The input is the verbatim bytes of `SHOW CREATE TABLE` under `sql_mode=''` and `sql_quote_show_create=1` (MySQL 9
//! manual, section 15.1.24 "CREATE TABLE Statement"; MariaDB documentation, "CREATE TABLE"). It need not be UTF-8.

mod build;
mod constraint;
mod edit;
mod shadow;
mod spans;
#[cfg(test)]
mod tests;

pub use spans::{DdlSpans, Item, ItemKind, OptionKind, Span, TableOption, spans};

pub(crate) use build::{Text, joined_names};
pub(crate) use constraint::{
    CheckConstraint, ForeignKey, checks, folded, foreign_keys, trigger_on, with_folded_parents,
};
pub(crate) use edit::Edits;
pub(crate) use shadow::{
    Concessions, DERIVED_CHECK, DERIVED_FOREIGN_KEY, INVISIBLE_KEY, ShadowRequest, ShadowTable,
    sequence_references, shadow_table, temporary_name,
};
