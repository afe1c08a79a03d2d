//! How a database is dumped and loaded: bytes, not text; everything dumped or named as not dumped.

pub mod error;
pub mod kinds;
pub mod settings;

pub use error::{Error, Result, ServerError};
pub use kinds::KINDS;
pub use kinds::mysql::connection::{
    Breaker, Column, Connection, Done, ResultSet, Row, RowStream, Values, Vendor, Version,
};
pub use settings::{Address, DEFAULT_PORT, Secret, ServerIdentity, ServerSettings, Tls};
