//! What every decoder of bytes from outside must keep to, each said once: for the fuzzer, and for ordinary tests, which
//! replay the corpora.
//!
//! | to find | look in |
//! |---|---|
//! | the list of all targets | [`targets::ALL`] |
//! | what a target is | [`Target`] |
//! | how memory is counted | [`memory`] |
//! | how one input becomes several parts | [`input`] |
//! | the files that are tried first, and again in every test run | [`corpus`] |
//! | the fuzzer's program | `main.rs`, built only with the feature `libfuzzer` |
//!
//! A target does more than call a decoder and hope for no panic: what was accepted must encode again to the same (where
//! there is one way to write it) or to no more bytes, keep the limits of its type, and take no more memory than the
//! decoder promises, counted byte by byte on each input.
//!
//! Invariant: a target is a function of its input alone, so that a finding fails again wherever it is replayed.

pub mod corpus;
pub mod input;
pub mod memory;
pub mod targets;

/// One decoder, or one way through several, and what holds of it whatever the bytes are.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name on the command line, and that of its folder of inputs.
    pub name: &'static str,
    /// Longer inputs are not made up: they say little more, and take long.
    pub input_bytes_max: usize,
    /// Tries one input.
    ///
    /// # Panics
    /// If a property does not hold.
    pub check: fn(&[u8]),
    /// What the encoders themselves write, to begin with: names, and bytes that are the same on every machine.
    pub seeds: fn() -> Vec<Seed>,
}

/// One input to begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    /// A name that is unique within its target.
    pub name: String,
    /// The input.
    pub bytes: Vec<u8>,
}

impl Seed {
    /// A seed.
    #[must_use]
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}
