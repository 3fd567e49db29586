//! The counters a node keeps in a row of its store.

use mesh_analytics::{Counters, Direction, EventKind, Purpose, SourceClass};

use crate::memory::within;
use crate::{Seed, Target};

/// Far more than all counters there are.
const DECODING_BYTES_MAX: usize = 64 * 1024;

pub const COUNTERS: Target = Target { name: "counters", input_bytes_max: 2 * 1024, check, seeds };

fn check(bytes: &[u8]) {
    let Ok(counters) = within(DECODING_BYTES_MAX, || Counters::decode(bytes)) else { return };
    let encoded = counters.encode();
    assert_eq!(Counters::decode(&encoded).ok(), Some(counters));
}

fn seeds() -> Vec<Seed> {
    let mut some = Counters::new();
    some.add_bytes(SourceClass::Metered, Purpose::Gossip, Direction::Sent, 7);
    some.add_events(EventKind::LimitQueue, 300);
    vec![Seed::new("none", Counters::new().encode()), Seed::new("some", some.encode())]
}
