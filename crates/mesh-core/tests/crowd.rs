//! Crowds: what sources advise helps, and harms nobody where it is a lie.

#[allow(dead_code, reason = "each test file uses its part of the world")]
mod world;

use std::time::Duration;

use mesh_proto::extensions::Extensions;
use mesh_proto::message::{HaveMore, Message};
use mesh_proto::port::Event;
use mesh_proto::record::Access;
use mesh_proto::{ChunkRange, ChunkSet, ContentId};
use world::World;

const MBIT: u64 = 125_000;

fn is_complete(world: &World, host: usize) -> bool {
    let complete = |event: &Event| matches!(event, Event::TransferComplete { .. }).then_some(());
    !world.seen(host, complete).is_empty()
}

/// Says to a getter, in the name of a source, that chunks are given to others.
fn say_given(world: &mut World, getter: usize, source: usize, content: ContentId, chunks: ChunkRange) {
    let given = ChunkSet::from_iter([chunks]);
    let more = HaveMore { content, added: ChunkSet::new(), given, extensions: Extensions::default() };
    world.inject(getter, source, Message::HaveMore(more));
}

/// Two getters of one source, of which each is told by it all the time that the others get what `lie` names. Gives the
/// seconds until both are done.
fn seconds_of_two(lie: Option<ChunkRange>) -> f64 {
    let mut world = World::new();
    let source = world.add(20 * MBIT, &[]);
    let getters = [world.add(20 * MBIT, &[source]), world.add(20 * MBIT, &[source])];
    let shared = world.share(source, "/data/file-200", Access::Public);
    world.settle(5);
    getters.iter().for_each(|getter| world.get(*getter, &shared.ticket));
    let began = world.now;
    for _ in 0..1200 {
        if getters.iter().all(|getter| is_complete(&world, *getter)) {
            return (world.now - began) as f64 / 1e9;
        }
        if let Some(chunks) = lie {
            for getter in
                getters.iter().filter(|getter| world.is_connected(**getter, source)).copied().collect::<Vec<_>>()
            {
                say_given(&mut world, getter, source, shared.content_id, chunks);
            }
        }
        world.run_until(Duration::from_millis(50), |_| false);
    }
    panic!("they are not done after a minute");
}

#[test]
fn a_source_that_says_all_is_given_away_starves_nobody() {
    let (honest, lied_to) = (seconds_of_two(None), seconds_of_two(Some(ChunkRange { start: 0, count: u32::MAX })));
    assert!(lied_to < honest * 2.5 + 1.0, "{lied_to:.2} s instead of {honest:.2} s");
}

#[test]
fn advice_about_chunks_that_do_not_exist_changes_nothing() {
    let nowhere = ChunkRange { start: 1_000_000, count: 1_000_000 };
    let (honest, lied_to) = (seconds_of_two(None), seconds_of_two(Some(nowhere)));
    assert!(lied_to < honest * 1.5 + 0.5, "{lied_to:.2} s instead of {honest:.2} s");
}
