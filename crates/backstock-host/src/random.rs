//! Unpredictable bytes from the operating system.

use std::fmt;

/// Gives unpredictable bytes.
pub trait Random: Send + Sync + fmt::Debug {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]);
}

/// The operating system's random source.
#[derive(Debug, Clone, Copy)]
pub struct RealRandom;

impl Random for RealRandom {
    fn fill(&self, buffer: &mut [u8]) {
        // A kernel that cannot give random bytes cannot run anything that follows: no caller could do better.
        #[expect(clippy::expect_used, reason = "there is nothing to go on with")]
        getrandom::fill(buffer).expect("the operating system gives random bytes");
    }
}
