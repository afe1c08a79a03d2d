//! A machine for tests: files that can lose their power, a clock that is set, randomness from a seed.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::files::SimulatedFiles;
use crate::machine::{FixedMachine, Machine};
use crate::{Clock, Host, Random};

/// When the clock of a new simulated machine stands: 2026-11-20T03:00:00Z, in seconds since the Unix epoch.
const START_SECONDS: i64 = 1_795_143_600;

/// A machine for tests. Its parts stay at hand beside the [`Host`] that is given to the code under test.
#[derive(Debug, Clone)]
pub struct SimulatedHost {
    /// What the code under test gets.
    pub host: Host,
    /// Its files.
    pub files: SimulatedFiles,
    /// Its clock.
    pub clock: Arc<SettableClock>,
}

impl SimulatedHost {
    /// A machine with an empty disk. The seed decides everything that is left to chance.
    pub fn new(seed: u64) -> Self {
        let files = SimulatedFiles::new(seed);
        let clock = Arc::new(SettableClock::default());
        let host = Host {
            files: Arc::new(files.clone()),
            clock: clock.clone(),
            random: Arc::new(SeededRandom::new(seed)),
            machine: Arc::new(FixedMachine::new("simulated")),
            given_key: None,
        };
        Self { host, files, clock }
    }

    /// The same machine under another identity: its disk was moved or copied.
    pub fn with_machine(mut self, machine: impl Machine + 'static) -> Self {
        self.host.machine = Arc::new(machine);
        self
    }
}

/// A clock that stands still until it is set.
#[derive(Debug)]
pub struct SettableClock(Mutex<Timestamp>);

impl Default for SettableClock {
    fn default() -> Self {
        Self(Mutex::new(Timestamp::new(START_SECONDS, 0).unwrap_or(Timestamp::UNIX_EPOCH)))
    }
}

impl SettableClock {
    /// Sets the time, backwards too.
    pub fn set(&self, now: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// Lets time pass. At the end of time it stands still.
    pub fn advance(&self, by: SignedDuration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.checked_add(by).unwrap_or(*now);
    }
}

impl Clock for SettableClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same bytes for the same seed. Not random for anyone who knows it.
#[derive(Debug)]
pub struct SeededRandom(Mutex<Dice>);

impl SeededRandom {
    /// Starts the sequence that belongs to a seed.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(Dice::new(seed)))
    }
}

impl Random for SeededRandom {
    fn fill(&self, buffer: &mut [u8]) {
        let mut dice = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in buffer.chunks_mut(8) {
            chunk.copy_from_slice(&dice.next().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014): small, and good enough to choose with.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    /// A number below the limit; 0 for a limit of 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let limit = limit.max(1) as u64;
        usize::try_from(self.next() % limit).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_machine() {
        let (one, two) = (SimulatedHost::new(7), SimulatedHost::new(7));
        let id = |machine: &SimulatedHost| machine.host.new_id(backstock_vocabulary::RunId::from_parts);
        assert_eq!(id(&one), id(&two));
        assert_ne!(id(&one), id(&one));
        assert_eq!(one.host.clock.now().to_string(), "2026-11-20T03:00:00Z");
        one.clock.advance(SignedDuration::from_hours(-1));
        assert_eq!(one.host.clock.now().to_string(), "2026-11-20T02:00:00Z");
    }
}
