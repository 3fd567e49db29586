//! Both queues side by side, and the order that all who use them rely on.

use mesh_proto::Timestamp;
use proptest::prelude::{Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};

use super::{EventQueue, Heap, Radix};

#[derive(Debug, Clone)]
enum Step {
    /// So long after the present.
    Push(u64),
    /// Up to so long after the present.
    Pop(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Mostly near, many at one time, some far ahead.
    let ahead = || prop_oneof![0..4u64, 0..1000u64, (0..40u32).prop_map(|bit| 1 << bit), any::<u64>()];
    let step = prop_oneof![ahead().prop_map(Step::Push), ahead().prop_map(Step::Pop)];
    prop::collection::vec(step, 0..400)
}

proptest! {
    #[test]
    fn both_queues_give_the_same_order(steps in steps()) {
        let (mut heap, mut radix) = (Heap::default(), Radix::default());
        let mut now = 0u64;
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Push(ahead) => {
                    heap.push(Timestamp(now.saturating_add(ahead)), number);
                    radix.push(Timestamp(now.saturating_add(ahead)), number);
                }
                Step::Pop(ahead) => {
                    let limit = Timestamp(now.saturating_add(ahead));
                    let popped = heap.pop_until(limit);
                    prop_assert_eq!(radix.pop_until(limit), popped);
                    now = popped.map_or(now, |(at, _)| at.0);
                }
            }
            prop_assert_eq!(heap.len(), radix.len());
        }
        while let Some(popped) = heap.pop_until(Timestamp(u64::MAX)) {
            prop_assert_eq!(radix.pop_until(Timestamp(u64::MAX)), Some(popped));
        }
        prop_assert_eq!(radix.pop_until(Timestamp(u64::MAX)), None);
    }
}

#[test]
fn what_is_put_in_first_for_one_time_comes_out_first() {
    let mut radix = Radix::default();
    radix.push(Timestamp(9), 'a');
    radix.push(Timestamp(5), 'b');
    assert_eq!(radix.pop_until(Timestamp(8)), Some((Timestamp(5), 'b')));
    radix.push(Timestamp(9), 'c');
    assert_eq!(radix.pop_until(Timestamp(8)), None);
    assert_eq!(radix.pop_until(Timestamp(9)), Some((Timestamp(9), 'a')));
    assert_eq!(radix.pop_until(Timestamp(9)), Some((Timestamp(9), 'c')));
}
