//! Where a peer may be reached, best first. Peers are known by the thousand, so all of its addresses are one piece of text.
//!
//! Invariant: no address is there twice, and there are at most [`ADDRESSES_PER_NODE_MAX`].

use mesh_proto::limits::ADDRESSES_PER_NODE_MAX;

/// Ends an address; no multiaddr has one in it.
const END: char = '\n';

/// The addresses of a peer. See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses(Box<str>);

impl Addresses {
    /// All, best first.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split_terminator(END)
    }

    /// All, best first.
    #[must_use]
    pub fn to_vec(&self) -> Vec<String> {
        self.iter().map(str::to_owned).collect()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one behind the others; if there are too many, the first goes. Says whether it was news.
    pub(super) fn add(&mut self, address: &str) -> bool {
        if !is_one(address) || self.iter().any(|known| known == address) {
            return false;
        }
        let known: Vec<&str> = self.iter().chain([address]).collect();
        let excess = known.len().saturating_sub(ADDRESSES_PER_NODE_MAX);
        *self = Self::from(&known[excess..]);
        true
    }

    /// Puts one before all others; if there are too many, the last goes.
    pub(super) fn put_first(&mut self, address: &str) {
        if is_one(address) && self.iter().next() != Some(address) {
            let others = self.iter().filter(|known| *known != address);
            let known: Vec<&str> = [address].into_iter().chain(others).take(ADDRESSES_PER_NODE_MAX).collect();
            *self = Self::from(&known);
        }
    }

    fn from(addresses: &[&str]) -> Self {
        let mut text = String::with_capacity(addresses.iter().map(|address| address.len() + 1).sum());
        for address in addresses {
            text.push_str(address);
            text.push(END);
        }
        Self(text.into_boxed_str())
    }
}

/// Whether a text is one address and not none or several.
fn is_one(address: &str) -> bool {
    !address.is_empty() && !address.contains(END)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(addresses: &Addresses) -> Vec<&str> {
        addresses.iter().collect()
    }

    #[test]
    fn each_is_there_once_and_the_best_first() {
        let mut addresses = Addresses::default();
        assert!(addresses.is_empty() && list(&addresses).is_empty());
        assert!(addresses.add("a") && addresses.add("b") && !addresses.add("a"));
        assert_eq!(list(&addresses), ["a", "b"]);
        addresses.put_first("b");
        addresses.put_first("c");
        assert_eq!(list(&addresses), ["c", "b", "a"]);
        assert!(!addresses.add("") && !addresses.add("d\ne"), "these are no addresses");
        assert_eq!(addresses.to_vec(), ["c", "b", "a"]);
    }

    #[test]
    fn there_are_never_too_many() {
        let names: Vec<String> = (0..=ADDRESSES_PER_NODE_MAX).map(|number| format!("at {number}")).collect();
        let mut addresses = Addresses::default();
        names.iter().for_each(|name| assert!(addresses.add(name)));
        assert_eq!(list(&addresses), names[1..]);
        addresses.put_first(&names[0]);
        assert_eq!(list(&addresses), names[..ADDRESSES_PER_NODE_MAX]);
    }
}
