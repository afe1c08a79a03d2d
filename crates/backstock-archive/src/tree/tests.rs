//! Tests of walking, archiving, extracting and exchanging, against real file systems and stock `tar`.

pub(super) mod fixture;
pub(super) mod snapshot;

mod chain;
mod chain_cases;
mod chain_unseen;
mod check;
mod faults;
mod hostile;
mod round_trip;
