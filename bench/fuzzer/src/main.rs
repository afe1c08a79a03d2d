//! Hands libFuzzer's inputs to the target that `BACKSTOCK_FUZZ_TARGET` names.

#![no_main]

use std::sync::LazyLock;

use backstock_fuzz::{TARGETS, Target, target};
use libfuzzer_sys::fuzz_target;

static CHOSEN: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("BACKSTOCK_FUZZ_TARGET").unwrap_or_default();
    target(&name).unwrap_or_else(|| {
        let known: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        panic!("BACKSTOCK_FUZZ_TARGET is \"{name}\"; known are {}", known.join(", "))
    })
});

fuzz_target!(|bytes: &[u8]| (CHOSEN.run)(bytes));
