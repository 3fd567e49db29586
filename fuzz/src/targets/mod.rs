//! All targets, by where their bytes come from.
//!
//! | file | bytes from |
//! |---|---|
//! | `control`, `bulk` | a peer's streams |
//! | `record` | anybody, passed on by peers |
//! | `manifest`, `tree`, `pack` | whoever made a content |
//! | `brain` | peers, people and the store, as the brain hears of them |
//! | `text` | people: tickets, addresses |
//! | `program` | files and callers of the program: configuration, identity, calls of the API |
//! | `journal` | journals that were given away |
//! | `store` | the store's own files, damaged |
//! | `counters` | a row of the store |
//! | `simulator` | files of others: scenarios, plans of faults, maps, traces, results |

mod brain;
mod bulk;
mod control;
mod counters;
mod journal;
mod manifest;
mod pack;
mod program;
mod record;
mod simulator;
mod store;
mod text;
mod tree;

use crate::Target;

/// All targets.
pub const ALL: &[Target] = &[
    control::FRAMES,
    bulk::GETTER,
    bulk::SOURCE,
    record::RECORD,
    manifest::ROOT,
    manifest::PAGES,
    tree::LISTING,
    tree::PATH,
    pack::PACK,
    brain::MESSAGES,
    brain::ROWS,
    brain::WORDS,
    text::TICKET,
    text::ADDRESS,
    program::CONFIG,
    program::IDENTITY,
    program::CALL,
    journal::JOURNAL,
    store::LOG,
    store::MANIFESTS,
    store::ASIDE,
    counters::COUNTERS,
    simulator::SCENARIO,
    simulator::FAULTS,
    simulator::NETJSON,
    simulator::GRAPHML,
    simulator::GML,
    simulator::TRACE,
    simulator::RESULTS,
];

/// The target of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Target> {
    ALL.iter().find(|target| target.name == name)
}
