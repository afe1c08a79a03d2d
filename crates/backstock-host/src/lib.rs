//! What we ask of the machine we run on: files, clock, randomness, locks, memory, the instance's key; and of whoever owns it:
//! settings that describe themselves, secrets, whom to trust.
//!
//! Everything that must survive a crash (state, spool, journals, local storage) goes through [`Files`], so that a
//! crash can be simulated; the walk of a shop's tree does not.

pub mod answer;
pub mod child;
pub mod clock;
pub mod failpoint;
pub mod files;
pub mod hex;
pub mod key;
pub mod lock;
pub mod machine;
pub mod memory;
pub mod mounts;
pub mod random;
pub mod seal;
mod secret;
pub mod settings;
pub mod simulated;
pub mod tls;

use std::sync::Arc;

pub use clock::Clock;
pub use files::{Files, ReadFile, WriteFile};
pub use key::{InstanceKey, KeyError};
pub use machine::Machine;
pub use random::Random;
pub use secret::Secret;
pub use settings::Field;
pub use simulated::SimulatedHost;

/// The machine: cheap to clone, handed down to whoever needs files, time or randomness.
#[derive(Debug, Clone)]
pub struct Host {
    /// Files that must survive a crash.
    pub files: Arc<dyn Files>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Unpredictable bytes.
    pub random: Arc<dyn Random>,
    /// Which machine it is.
    pub machine: Arc<dyn Machine>,
    /// The instance's key, where it is given from outside and lies in no file of the state folder.
    pub given_key: Option<Arc<InstanceKey>>,
}

impl Host {
    /// The machine that the program runs on.
    pub fn real() -> Self {
        Self {
            files: real_files(),
            clock: real_clock(),
            random: Arc::new(random::RealRandom),
            machine: Arc::new(machine::RealMachine::default()),
            given_key: None,
        }
    }

    /// The same machine, known under the identifier that its owner has set.
    #[must_use]
    pub fn with_machine_id(mut self, id: &str) -> Self {
        self.machine = Arc::new(machine::RealMachine { set_machine_id: Some(id.to_owned()) });
        self
    }

    /// The same machine, whose instance has this key.
    #[must_use]
    pub fn with_key(mut self, key: InstanceKey) -> Self {
        self.given_key = Some(Arc::new(key));
        self
    }

    /// Makes an identifier from the present time and fresh random bytes: `host.new_id(BackupId::from_parts)`.
    pub fn new_id<Id>(&self, from_parts: fn(u64, [u8; 10]) -> Id) -> Id {
        let mut bytes = [0; 10];
        self.random.fill(&mut bytes);
        let unix_ms = u64::try_from(self.clock.now().as_millisecond()).unwrap_or(0);
        from_parts(unix_ms, bytes)
    }
}

#[cfg(not(feature = "failpoints"))]
fn real_clock() -> Arc<dyn Clock> {
    Arc::new(clock::RealClock)
}

/// With failpoints, a test may set the clock.
#[cfg(feature = "failpoints")]
fn real_clock() -> Arc<dyn Clock> {
    match clock::ShiftedClock::wanted() {
        Some(shifted) => Arc::new(shifted),
        None => Arc::new(clock::RealClock),
    }
}

#[cfg(not(feature = "failpoints"))]
fn real_files() -> Arc<dyn Files> {
    Arc::new(files::RealFiles)
}

/// With failpoints, a test may let calls fail.
#[cfg(feature = "failpoints")]
fn real_files() -> Arc<dyn Files> {
    if files::faulty::is_wanted() {
        return Arc::new(files::faulty::FaultyFiles(files::RealFiles));
    }
    Arc::new(files::RealFiles)
}
