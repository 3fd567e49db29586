//! The share of a flow that loss keeps from using all of it.
//!
//! A lossy flow's window rises and falls. What it can use while it is large is what it would be given if it wanted
//! everything and the others took what they take; that is its share here, and [`rate_of`](super::loss::rate_of) says
//! what it carries on average. What it leaves, others have: to them it is a flow with a cap.
//!
//! Invariant: the share is at least an equal part of the resource.

use super::share::Shares;

/// Who takes how much of one resource, the smallest first.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    capacity: f64,
    /// (rate, weight, flow)
    members: Vec<(f64, f64, u32)>,
    /// What the first so many take, and the weight of the others.
    taken: Vec<f64>,
    weights: Vec<f64>,
}

impl Crowd {
    /// Looks at a resource.
    pub(super) fn look(&mut self, shares: &Shares, resource: u32) {
        self.capacity = shares.capacity(resource);
        self.members.clear();
        self.members.extend(shares.members(resource).map(|(flow, weight)| (shares.rate(flow), weight, flow)));
        self.members.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.2.cmp(&b.2)));
        let count = self.members.len();
        self.taken.clear();
        self.taken.resize(count + 1, 0.0);
        self.weights.clear();
        self.weights.resize(count + 1, 0.0);
        for place in 0..count {
            self.taken[place + 1] = self.taken[place] + self.members[place].0 * self.members[place].1;
            let from_end = count - 1 - place;
            self.weights[from_end] = self.weights[from_end + 1] + self.members[from_end].1;
        }
    }

    /// What each member would be given if it alone wanted everything: (flow, rate).
    pub(super) fn shares(&self) -> impl Iterator<Item = (u32, f64)> + '_ {
        (0..self.members.len()).map(|place| (self.members[place].2, self.share(place)))
    }

    fn share(&self, own: usize) -> f64 {
        // The first `small` take what they take; the others, and this one, would be equal.
        let level = |small: usize| {
            let (rate, weight, _) = self.members[own];
            let (own_taken, own_weight) = if own < small { (rate * weight, weight) } else { (0.0, 0.0) };
            (self.capacity - self.taken[small] + own_taken).max(0.0) / (self.weights[small] + own_weight)
        };
        let (mut low, mut high) = (0, self.members.len());
        while low < high {
            let middle = (low + high) / 2;
            match level(middle) <= self.members[middle].0 {
                true => high = middle,
                false => low = middle + 1,
            }
        }
        level(low)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::super::share::Hold;
    use super::*;

    fn crowd(capacity: f64, members: &[(f64, f64)]) -> Crowd {
        let mut shares = Shares::new();
        shares.add_pool(capacity);
        for (flow, (cap, weight)) in members.iter().enumerate() {
            let hold = Hold::new(0, (weight * 1e6) as u64);
            shares.set_holds(flow as u32, vec![hold]);
            shares.set_cap(flow as u32, *cap);
            shares.join(flow as u32);
        }
        shares.solve();
        let mut crowd = Crowd::default();
        crowd.look(&shares, 0);
        crowd
    }

    proptest! {
        #[test]
        fn a_share_is_what_a_flow_without_a_cap_would_be_given(
            capacity in 1.0..100.0f64,
            members in proptest::collection::vec((0.0..30.0f64, 1.0..3.0f64), 1..10),
        ) {
            for (flow, share) in crowd(capacity, &members).shares() {
                let mut greedy = members.clone();
                greedy[flow as usize].0 = 1e12;
                let given = crowd(capacity, &greedy);
                let given = given.members.iter().find(|member| member.2 == flow).expect("it is there").0;
                prop_assert!((share - given).abs() <= 1e-9 * given, "flow {flow}: {share} {given}");
            }
        }
    }
}
