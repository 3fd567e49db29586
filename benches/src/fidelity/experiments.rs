//! The seven experiments. Each gives one figure: seconds, or a share.
//!
//! Invariant: each lasts long enough that a hundred milliseconds of starting a program do not matter.

use std::time::Duration;

use crate::lab::{Fetch, Lab, Link};

/// An experiment.
pub struct Experiment {
    /// Its name.
    pub name: &'static str,
    /// What its figure is.
    pub figure: &'static str,
    /// The links of its hosts.
    pub links: fn() -> Vec<Link>,
    /// Does it.
    pub act: fn(&mut dyn Lab) -> f64,
}

/// All of them.
pub static EXPERIMENTS: [Experiment; 7] = [
    Experiment {
        name: "one-source",
        figure: "seconds for 100 MB at 100 Mbit/s",
        links: || vec![Link::mbit(100); 2],
        act: |lab| sources_to_one(lab, 1, 100 * MB),
    },
    Experiment {
        name: "four-sources",
        figure: "seconds for 100 MB, four sources at 20 Mbit/s",
        links: || [vec![Link::mbit(20); 4], vec![Link::mbit(100)]].concat(),
        act: |lab| sources_to_one(lab, 4, 100 * MB),
    },
    Experiment {
        name: "flash-crowd",
        figure: "seconds until six have 60 MB of one source, all at 40 Mbit/s",
        links: || vec![Link::mbit(40); 7],
        act: flash_crowd,
    },
    Experiment {
        name: "loss",
        figure: "seconds for 100 MB at 100 Mbit/s with 1 % loss",
        links: || vec![Link::mbit(100), Link { lost_percent: 1, ..Link::mbit(100) }],
        act: |lab| sources_to_one(lab, 1, 100 * MB),
    },
    Experiment {
        name: "partition",
        figure: "seconds for 50 MB at 20 Mbit/s, cut off from second 5 to 25",
        links: || vec![Link::mbit(20); 2],
        act: partition,
    },
    Experiment {
        name: "greedy-member",
        figure: "share of one against a member with four nodes and 32 contents, at 20 Mbit/s",
        links: || [vec![Link::mbit(20)], vec![Link::mbit(100); 5]].concat(),
        act: greedy_member,
    },
    Experiment {
        name: "slow-hop",
        figure: "seconds for 20 KiB at 2 kbit/s",
        links: || vec![Link { bits_per_s: 2000, lost_percent: 0 }, Link::mbit(100)],
        act: slow_hop,
    },
];

const MB: u64 = 1_000_000;

/// The last host fetches what all others have.
fn sources_to_one(lab: &mut dyn Lab, sources: usize, bytes: u64) -> f64 {
    let tickets: Vec<String> = (0..sources).map(|host| lab.share(host, bytes, 1)).collect();
    let fetch = lab.begin(sources, &tickets[0]);
    lab.finish(&[fetch]).as_secs_f64()
}

/// Begins when all that a new host says at first is said: neighbours, routers and groups are looked for by the system,
/// which takes such a link a minute.
fn slow_hop(lab: &mut dyn Lab) -> f64 {
    lab.pass(Duration::from_secs(90));
    sources_to_one(lab, 1, 20 << 10)
}

fn flash_crowd(lab: &mut dyn Lab) -> f64 {
    let ticket = lab.share(0, 60 * MB, 1);
    let fetches: Vec<Fetch> = (1..7).map(|host| lab.begin(host, &ticket)).collect();
    lab.finish(&fetches).as_secs_f64()
}

fn partition(lab: &mut dyn Lab) -> f64 {
    let ticket = lab.share(0, 50 * MB, 1);
    let fetch = lab.begin(1, &ticket);
    lab.pass(Duration::from_secs(5));
    lab.set_plugged(0, false);
    lab.pass(Duration::from_secs(20));
    lab.set_plugged(0, true);
    lab.finish(&[fetch]).as_secs_f64()
}

/// The modest member's part of what the source gave while it fetched.
fn greedy_member(lab: &mut dyn Lab) -> f64 {
    let (greedy, modest) = ([1, 2, 3, 4], 5);
    lab.make_member(&greedy);
    lab.make_member(&[modest]);
    let mut fetches = Vec::new();
    for number in 0..32 {
        let ticket = lab.share(0, 4 * MB, 1 + number);
        fetches.push((greedy[number as usize % greedy.len()], ticket));
    }
    let wanted = lab.share(0, 10 * MB, 99);
    let fetches: Vec<Fetch> = fetches.iter().map(|(host, ticket)| lab.begin(*host, ticket)).collect();
    lab.pass(Duration::from_secs(3));
    let before = lab.given_bytes(0);
    let fetch = lab.begin(modest, &wanted);
    let _ = lab.finish(&[fetch]);
    let given: Vec<u64> = lab.given_bytes(0).iter().zip(before).map(|(after, before)| after - before).collect();
    let busy = fetches.iter().filter(|fetch| lab.is_under_way(**fetch)).count();
    assert!(busy > 0, "the greedy member had nothing left to ask for: the experiment shows nothing");
    given[modest] as f64 / given.iter().sum::<u64>() as f64
}
