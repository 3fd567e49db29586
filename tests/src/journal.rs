//! Replaying what a node's brain did: the same inputs must give the same outputs, bit for bit.

use std::fs;
use std::path::Path;

/// Replays every journal in a node's data folder into a fresh brain; how many there were.
///
/// # Panics
/// If a replay differs from what was recorded.
pub fn replay_all(data: &Path) -> usize {
    let Ok(entries) = fs::read_dir(data.join("journal")) else {
        return 0;
    };
    let mut replayed = 0;
    for entry in entries {
        let path = entry.expect("the journal folder can be read").path();
        if !path.is_file() {
            continue;
        }
        let report = mesh_node::journal::replay(&path);
        let report = report.unwrap_or_else(|error| panic!("{} can't be replayed: {error}", path.display()));
        assert!(report.same(), "{} went another way: {:#?}", path.display(), report.difference);
        replayed += 1;
    }
    replayed
}
