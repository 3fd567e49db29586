//! Who gave us how much, from receipts: a hint for priorities inside a member's own share, never a right to more.
//!
//! Invariant: bounded; beyond [`MEMBERS_MAX`] the member with the least exchanged is forgotten.

use std::collections::BTreeMap;

use mesh_proto::MemberId;

/// Members remembered.
pub const MEMBERS_MAX: usize = 4096;

/// The hint for somebody unknown or in balance.
pub const HINT_NEUTRAL: u8 = 128;

/// What one member and we exchanged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Balance {
    /// Verified bytes it gave us.
    pub given_bytes: u64,
    /// Receipted bytes it took from us.
    pub taken_bytes: u64,
}

/// The balances of all members.
#[derive(Debug, Clone, Default)]
pub struct Credits {
    balances: BTreeMap<MemberId, Balance>,
}

impl Credits {
    /// Nobody known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A member gave us verified bytes.
    pub fn on_given(&mut self, member: MemberId, bytes: u64) {
        let balance = self.balance_mut(member);
        balance.given_bytes = balance.given_bytes.saturating_add(bytes);
    }

    /// A member receipted bytes of ours.
    pub fn on_taken(&mut self, member: MemberId, bytes: u64) {
        let balance = self.balance_mut(member);
        balance.taken_bytes = balance.taken_bytes.saturating_add(bytes);
    }

    /// What was exchanged with a member.
    #[must_use]
    pub fn balance(&self, member: &MemberId) -> Balance {
        self.balances.get(member).copied().unwrap_or_default()
    }

    /// From 0 (only took) over [`HINT_NEUTRAL`] to 255 (only gave). The first MiB either way hardly moves it, so that
    /// newcomers are not punished.
    #[must_use]
    pub fn priority_hint(&self, member: &MemberId) -> u8 {
        const FREE_BYTES: u128 = 1 << 20;
        let balance = self.balance(member);
        let given = u128::from(balance.given_bytes) + FREE_BYTES;
        let taken = u128::from(balance.taken_bytes) + FREE_BYTES;
        u8::try_from(given * 256 / (given + taken)).unwrap_or(u8::MAX)
    }

    fn balance_mut(&mut self, member: MemberId) -> &mut Balance {
        if self.balances.len() >= MEMBERS_MAX && !self.balances.contains_key(&member) {
            let weight = |balance: &Balance| balance.given_bytes.saturating_add(balance.taken_bytes);
            let least = self.balances.iter().min_by_key(|(_, balance)| weight(balance)).map(|(member, _)| *member);
            if let Some(least) = least {
                self.balances.remove(&least);
            }
        }
        self.balances.entry(member).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn givers_come_first_and_newcomers_in_the_middle() {
        let mut credits = Credits::new();
        let (giver, taker, new) = (MemberId([1; 32]), MemberId([2; 32]), MemberId([3; 32]));
        credits.on_given(giver, 1 << 30);
        credits.on_taken(taker, 1 << 30);
        assert_eq!(credits.priority_hint(&new), HINT_NEUTRAL);
        assert!(credits.priority_hint(&giver) > 250 && credits.priority_hint(&taker) < 5);
    }

    #[test]
    fn the_least_exchanged_is_forgotten() {
        let mut credits = Credits::new();
        for number in 0..=MEMBERS_MAX as u64 {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&number.to_le_bytes());
            credits.on_given(MemberId(id), 10 + number);
        }
        assert_eq!(credits.balances.len(), MEMBERS_MAX);
        assert_eq!(credits.balance(&MemberId([0; 32])), Balance::default());
    }
}
