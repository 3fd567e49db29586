//! What the measurements have in common: where they ran, how figures are summed up and shown.
//!
//! | to find | look in |
//! |---|---|
//! | machine, date, commit | [`setting`] |
//! | medians, spreads, tables | [`figures`] |
//! | one way to carry a file over loopback | [`contestant`] |
//! | other programs of this kind | [`peers`] |
//! | the measurements themselves | `fidelity/`, `lan.rs`, `loopback.rs`, `bare_stream.rs`, `restart.rs`, `sim.rs`, `sim_nodes.rs` |

pub mod contestant;
pub mod figures;
pub mod peers;
pub mod setting;
