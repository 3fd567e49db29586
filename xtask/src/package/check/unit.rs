//! Unit files, as far as the checks read them.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Where a unit may lie in an extracted package.
pub type Places = [&'static str; 2];

/// The unit of the system; Debian moved its folder.
pub const SYSTEM: Places = ["usr/lib/systemd/system/mesh-node.service", "lib/systemd/system/mesh-node.service"];
/// The unit of each person.
pub const USER: Places = ["usr/lib/systemd/user/mesh-node.service", "lib/systemd/user/mesh-node.service"];

/// Where it does lie.
pub fn find(root: &Path, places: Places) -> anyhow::Result<PathBuf> {
    let found = places.iter().map(|place| root.join(place)).find(|path| path.is_file());
    found.with_context(|| format!("none of {} is in the package", places.join(", ")))
}

/// All values of a key, in order.
pub fn values<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| line.trim().strip_prefix(key)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_whole_key() {
        let text = "[Service]\n#Exec=no\nExecStart=/bin/x up\nExecStartPost=/bin/y\nEnvironment=A=1\nEnvironment=B=2\n";
        assert_eq!(values(text, "ExecStart").collect::<Vec<_>>(), ["/bin/x up"]);
        assert_eq!(values(text, "Environment").collect::<Vec<_>>(), ["A=1", "B=2"]);
    }
}
