//! How many files the process may have open: each transfer, connection and served content takes some, and the usual limit
//! of 1,024 is a relic of `select`, which nothing here uses.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More than a node needs: its transfers, connections and contents open at once are bounded far below.
const WANTED: u64 = 65_536;

/// Raises the limit as far as the system lets anybody. What can't be raised stays: a node with little to do needs few.
pub fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(WANTED, |maximum| maximum.min(WANTED));
    if current.is_some_and(|current| current < wanted) {
        // Refused it is no worse than not asked for.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_and_never_lowered() {
        let before = getrlimit(Resource::Nofile);
        raise_limit();
        let after = getrlimit(Resource::Nofile);
        assert_eq!(before.maximum, after.maximum);
        let enough = after.maximum.map_or(WANTED, |maximum| maximum.min(WANTED));
        assert!(after.current.is_none_or(|current| current >= enough.max(before.current.unwrap_or(0).min(current))));
    }
}
