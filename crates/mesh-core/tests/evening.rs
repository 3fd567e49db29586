//! Two nodes that know different records: both know all of them in the end, however many there are and wherever they fall.

#[allow(dead_code, reason = "each test file uses its part of the world")]
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_core::records::book::bucket;
use mesh_proto::ContentId;
use mesh_proto::limits::RECORD_NAMES_PER_MESSAGE_MAX;
use mesh_proto::record::Signed;
use world::{World, entry, signed};

const RATE: u64 = 2_500_000;

fn numbered(number: u64, version: u64, name: &str) -> Signed {
    let content = ContentId(mesh_chunk::chunk_id(&number.to_le_bytes()).0);
    // Some publishers, each with fewer entries than one may have.
    let publisher = [u8::try_from(number % 16).expect("few") + 100; 32];
    signed(publisher, &entry(content, version, false, name))
}

fn entries(numbers: impl Iterator<Item = u64>) -> Vec<Signed> {
    numbers.map(|number| numbered(number, 1, "maps")).collect()
}

fn is_even(world: &World, hosts: &[usize], count: usize) -> bool {
    let first = world.hosts[hosts[0]].store.records();
    first.len() == count && hosts.iter().all(|host| world.hosts[*host].store.records() == first)
}

fn evens_out(world: &mut World, hosts: &[usize], count: usize, seconds: u64) -> bool {
    (0..seconds).any(|_| {
        world.run_until(Duration::from_secs(1), |_| false);
        is_even(world, hosts, count)
    })
}

#[test]
fn a_bucket_larger_than_a_list_evens_out() {
    let in_one = (0..).map(|number| numbered(number, 1, "maps")).filter(|one| {
        let name = one.record().expect("a good record").name(one.signer);
        bucket(&name) == 5
    });
    let all: Vec<Signed> = in_one.take(4 * RECORD_NAMES_PER_MESSAGE_MAX).collect();
    let mut world = World::new();
    // Each lacks a quarter that the other has, at either end.
    let quarter = RECORD_NAMES_PER_MESSAGE_MAX;
    let first = world.add_with(RATE, &[], &all[..3 * quarter]);
    let second = world.add_with(RATE, &[first], &all[quarter..]);
    // Their own two records come to it.
    assert!(evens_out(&mut world, &[first, second], all.len() + 2, 60));
}

#[test]
fn a_new_node_learns_everything_from_an_old_one() {
    let all = entries(0..70_000);
    let mut world = World::new();
    let old = world.add_with(RATE, &[], &all);
    let new = world.add(RATE, &[old]);
    assert!(evens_out(&mut world, &[old, new], all.len() + 2, 120));
}

#[test]
fn a_small_difference_between_large_sets_costs_little() {
    let all = entries(0..40_000);
    let mut world = World::new();
    let first = world.add_with(RATE, &[], &all[1..]);
    let second = world.add_with(RATE, &[first], &all[..39_999]);
    assert!(evens_out(&mut world, &[first, second], all.len() + 2, 60));
    assert!(world.frames < 60, "{} messages for four records", world.frames);
}

#[test]
fn two_records_of_one_name_and_version_even_out() {
    let mut world = World::new();
    let [one, other] = ["maps", "charts"].map(|name| numbered(1, 7, name));
    let greater = if one.body > other.body { one.clone() } else { other.clone() };
    let first = world.add_with(RATE, &[], &[one]);
    let second = world.add_with(RATE, &[first], &[other]);
    assert!(evens_out(&mut world, &[first, second], 3, 60));
    let kept: BTreeMap<Vec<u8>, Signed> = world.hosts[first].store.records();
    assert!(kept.values().any(|record| *record == greater), "the greater body wins on both sides");
}
