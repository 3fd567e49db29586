//! What the measurements have in common: where they ran, how figures are summed up and shown.
//!
//! | to find | look in |
//! |---|---|
//! | machine, date, commit | [`setting`] |
//! | medians, spreads, tables | [`figures`] |
//! | what a measurement prints, and what its figures have to keep to | [`report`] |
//! | what TCP itself reaches | [`tcp`] |
//! | one way to carry a file over loopback | [`contestant`] |
//! | other programs of this kind | [`peers`] |
//! | the measurements themselves | `fidelity/`, and a file each: `lan.rs`, `loopback.rs` (with `bare_stream.rs`), … |

pub mod contestant;
pub mod figures;
pub mod peers;
pub mod report;
pub mod setting;
pub mod tcp;
