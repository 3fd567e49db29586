//! The fuzzer's program: libFuzzer around one target, which the environment names.
//!
//! One program holds all targets, so that it is linked once; `cargo xtask fuzz` builds and calls it.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::Corpus;
use mesh_fuzz::{Target, targets};

/// Names the target.
const TARGET_VARIABLE: &str = "MESH_FUZZ_TARGET";

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var(TARGET_VARIABLE).unwrap_or_default();
    targets::find(&name).unwrap_or_else(|| panic!("{TARGET_VARIABLE} names no target: {name:?}"))
});

libfuzzer_sys::fuzz_target!(init: LazyLock::force(&TARGET), |bytes: &[u8]| -> Corpus {
    if bytes.len() > TARGET.input_bytes_max {
        return Corpus::Reject;
    }
    (TARGET.check)(bytes);
    Corpus::Keep
});
