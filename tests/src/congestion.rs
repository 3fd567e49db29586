//! Which congestion control TCP uses on a host.
//!
//! A namespace may choose only what the system allows its users; where that lacks one that the system has, it is allowed
//! as long as it is needed.

use std::fs;

use crate::lan::Host;
use crate::place::system;

const ALLOWED: &str = "/proc/sys/net/ipv4/tcp_allowed_congestion_control";

/// A congestion control that hosts may use. Dropped, the system allows what it did before.
#[derive(Debug)]
pub struct Congestion {
    name: String,
    /// What the system allowed, if that had to be changed.
    before: Option<String>,
}

impl Congestion {
    /// Allows the one of this name, such as `cubic`.
    ///
    /// # Panics
    /// If the system has none of this name, or this process may not allow it.
    #[must_use]
    pub fn allow(name: &str) -> Self {
        let allowed = fs::read_to_string(ALLOWED).expect("Linux says what it allows").trim().to_owned();
        let before = (!allowed.split_whitespace().any(|one| one == name)).then_some(allowed);
        if let Some(before) = &before {
            fs::write(ALLOWED, format!("{before} {name}")).expect("what the system has can be allowed");
        }
        Self { name: name.to_owned(), before }
    }

    /// Lets connections of a host use it from now on.
    pub fn set(&self, host: &Host) {
        let name = &self.name;
        system(&format!("ip netns exec {} sysctl -q -w net.ipv4.tcp_congestion_control={name}", host.namespace));
    }
}

impl Drop for Congestion {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // Nothing else depends on it; that it can't be undone would hide what failed before.
            let _ = fs::write(ALLOWED, before);
        }
    }
}
