//! Tests of walking, archiving, extracting and exchanging, against real file systems and stock `tar`.

mod fixture;
mod snapshot;

mod faults;
mod hostile;
mod round_trip;
