//! What can be measured in any run, by name.
//!
//! Invariant: a measure that makes no sense in a run (nobody asked for anything, nothing healed) is absent, not zero.

use std::collections::BTreeMap;

use mesh_proto::{ContentId, Timestamp};

use super::observer::Got;
use super::play::Play;
use crate::kernel::Member;
use crate::result::{MeasureError, Measured};
use crate::world::NodeWorld;

/// A measure's name, unit and meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeasureInfo {
    /// Its name.
    pub name: &'static str,
    /// Its unit; `1` for counts.
    pub unit: &'static str,
    /// What it says.
    pub says: &'static str,
}

macro_rules! measures {
    ($($name:literal $unit:literal $says:literal),* $(,)?) => {
        /// All measures.
        pub const MEASURES: &[MeasureInfo] = &[$(MeasureInfo { name: $name, unit: $unit, says: $says },)*];
    };
}

measures! {
    "asked" "1" "contents that nodes were asked to get",
    "done" "1" "of these, those that arrived",
    "failed" "1" "of these, those given up",
    "unfinished" "1" "of these, those neither here nor given up at the end, of honest nodes that ran then, though one of those held them",
    "skipped" "1" "demands of nodes that were off, or for what nobody had shared",
    "honest_banned" "1" "bans of nodes that did nothing wrong",
    "liars_banned" "1" "bans of nodes that misbehaved",
    "blind" "1" "starts after which a node did not come to see everything",
    "violations" "1" "invariants that did not hold",
    "completion_s" "s" "time from asking for a content to having it, each",
    "goodput_bytes_per_s" "bytes/s" "size over that time, each",
    "sees_peers_s" "s" "time from a node's start until it knows 20 others, or all, each",
    "sees_all_s" "s" "time from a node's start until it knows all nodes and catalogue entries there were then, each",
    "last_finish_s" "s" "time from the first asking to the last arrival",
    "bound_s" "s" "the least time in which all could have had the content asked for most, by their access links",
    "last_finish_ratio" "ratio" "the last arrival of that content over that bound",
    "source_upload_ratio" "ratio" "what the publisher of that content sent over its size",
    "wasted_ratio" "ratio" "payload received in vain over all payload received",
    "control_share" "ratio" "bytes of control, receipts and upkeep over all bytes sent",
    "control_bytes_per_node_s" "bytes/s" "such bytes per node and second",
    "frames_per_node_s" "1/s" "control messages per node and second",
    "wakes_per_node_s" "1/s" "wake-ups by a node's own timeouts, per node and second",
    "moved_bytes" "bytes" "payload sent by all",
    "metered_bytes" "bytes" "of it, over links that somebody pays for by the byte",
    "goodput_jain" "ratio" "Jain's index of the mean goodput of nodes that got something",
    "converged_s" "s" "time from the last fault's end until all nodes that run know the same records",
    "available" "ratio" "share of looks at which a content was held by a node that ran, after things settled",
    "running" "1" "nodes that run, over time",
    "arrived" "1" "contents that arrived so far, over time",
    "payload_bytes" "bytes" "payload sent so far, over time",
}

/// Measures a run that is over.
pub(super) fn measure(play: &Play, seed: u64) -> Result<Measured, MeasureError> {
    let mut measured = Measured::new(seed);
    measured.digest = play.sim.digest();
    measured.events = play.sim.events();
    measured.virtual_ns = play.sim.now().0;
    gets(play, &mut measured)?;
    swarm(play, &mut measured)?;
    traffic(play, &mut measured)?;
    knowledge(play, &mut measured)?;
    over_time(play, &mut measured)?;
    measured.set_count("violations", play.sim.world().violations.len() as u64)?;
    Ok(measured)
}

fn gets(play: &Play, measured: &mut Measured) -> Result<(), MeasureError> {
    let observer = &play.observer;
    let all = || observer.gets.iter();
    measured.set_count("asked", observer.gets.len() as u64)?;
    measured.set_count("done", all().filter(|(_, got)| got.done.is_some()).count() as u64)?;
    measured.set_count("failed", all().filter(|(_, got)| got.failed && got.done.is_none()).count() as u64)?;
    measured.set_count("unfinished", unfinished(play).len() as u64)?;
    measured.set_count("skipped", play.skipped)?;
    measured.set_count("honest_banned", observer.honest_banned)?;
    measured.set_count("liars_banned", observer.liars_banned)?;
    for ((member, _), got) in all() {
        if let Some(done) = got.done.filter(|_| !observer.misbehaves(*member)) {
            let took_s = done.since(got.asked).as_secs_f64();
            measured.add_to_sample("completion_s", took_s, "s")?;
            if took_s > 0.0 {
                measured.add_to_sample("goodput_bytes_per_s", got.bytes as f64 / took_s, "bytes/s")?;
            }
        }
    }
    let last = all().filter_map(|(_, got)| got.done).max();
    if let (Some(first), Some(last)) = (observer.first_ask(), last) {
        measured.set_scalar("last_finish_s", last.since(first).as_secs_f64(), "s")?;
    }
    if let Some(jain) = jain(&mean_goodputs(observer.gets.iter())) {
        measured.set_scalar("goodput_jain", jain, "ratio")?;
    }
    Ok(())
}

/// Who waits for what in vain, and how that stands.
pub(super) fn unfinished(play: &Play) -> Vec<String> {
    let observer = &play.observer;
    let waits = |(key, got): &(&(Member, ContentId), &Got)| {
        let waits = got.done.is_none() && !got.failed && play.sim.is_on(key.0) && !observer.misbehaves(key.0);
        waits && play.sim.world().may_have(key.0, key.1) && is_held(play, key.1)
    };
    let told = |((member, content), _): (&(Member, ContentId), &Got)| {
        let told = play.sim.brain(*member).and_then(|brain| brain.told_of_transfer(*content));
        let told = told.unwrap_or_else(|| "it does not know of it".to_owned());
        format!("node {} waits for {}: {told}", member.0, content.short())
    };
    observer.gets.iter().filter(waits).map(told).collect()
}

/// How each node that runs stands, for who looks for the reason of a failure.
pub(super) fn standing(play: &Play) -> Vec<String> {
    let told = |member: Member| {
        let inside = play.sim.brain(member)?.inside();
        Some(format!(
            "node {}: {} nodes and {} entries known, {} peers connected, {} transfers, {} requests, {} bytes unreceipted",
            member.0,
            inside.nodes_known,
            inside.catalogue_entries,
            inside.peers_connected,
            inside.transfers,
            inside.serves,
            inside.unreceipted_bytes
        ))
    };
    (0..play.sim.nodes()).map(Member).filter_map(told).collect()
}

/// Whether a node that runs and does nothing wrong holds a content.
fn is_held(play: &Play, content: ContentId) -> bool {
    let mut honest = (0..play.sim.nodes()).map(Member).filter(|member| !play.observer.misbehaves(*member));
    honest.any(|member| play.sim.brain(member).is_some_and(|brain| brain.holds(content)))
}

fn mean_goodputs<'a>(gets: impl Iterator<Item = (&'a (Member, ContentId), &'a Got)>) -> Vec<f64> {
    let mut by_member: BTreeMap<Member, (u64, f64)> = BTreeMap::new();
    for ((member, _), got) in gets {
        if let Some(done) = got.done {
            let (bytes, seconds) = by_member.entry(*member).or_default();
            *bytes += got.bytes;
            *seconds += done.since(got.asked).as_secs_f64();
        }
    }
    by_member.values().filter(|(_, seconds)| *seconds > 0.0).map(|(bytes, seconds)| *bytes as f64 / seconds).collect()
}

/// Jain's fairness index (Jain, Chiu, Hawe 1984): 1 if all are equal, 1/n if one has all.
fn jain(values: &[f64]) -> Option<f64> {
    let sum: f64 = values.iter().sum();
    let squares: f64 = values.iter().map(|value| value * value).sum();
    (squares > 0.0).then(|| sum * sum / (values.len() as f64 * squares))
}

/// How near the content asked for most came to the best there could be.
fn swarm(play: &Play, measured: &mut Measured) -> Result<(), MeasureError> {
    let mut askers: BTreeMap<ContentId, Vec<(Member, &Got)>> = BTreeMap::new();
    for ((member, content), got) in &play.observer.gets {
        askers.entry(*content).or_default().push((*member, got));
    }
    let Some((content, gets)) = askers.into_iter().max_by_key(|(_, gets)| gets.len()) else { return Ok(()) };
    let Some(offered) = play.offered.values().find(|offered| offered.content == Some(content)) else { return Ok(()) };
    let publisher = Member(offered.publisher);
    let world = play.sim.world();
    if offered.bytes == 0 {
        return Ok(());
    }
    let sent = world.node(publisher).tally.payload_sent_bytes;
    measured.set_scalar("source_upload_ratio", sent as f64 / offered.bytes as f64, "ratio")?;
    let Some(bound_s) = bound_s(world, publisher, &gets, offered.bytes) else { return Ok(()) };
    measured.set_scalar("bound_s", bound_s, "s")?;
    let first = gets.iter().map(|(_, got)| got.asked).min().unwrap_or(Timestamp::ZERO);
    let all_done = gets.iter().all(|(_, got)| got.done.is_some());
    if let Some(last) = gets.iter().filter_map(|(_, got)| got.done).max().filter(|_| all_done) {
        measured.set_scalar("last_finish_ratio", last.since(first).as_secs_f64() / bound_s, "ratio")?;
    }
    Ok(())
}

/// The least time for one source and its getters (Kumar and Ross 2006): limited by the source's uplink, by the slowest
/// downlink, or by all uplinks together.
fn bound_s(world: &NodeWorld, publisher: Member, gets: &[(Member, &Got)], bytes: u64) -> Option<f64> {
    let (source_up, _) = world.wires.access_bytes_per_s(publisher)?;
    let mut up_sum = source_up as f64;
    let mut slowest_down = f64::INFINITY;
    for (member, _) in gets {
        let (up, down) = world.wires.access_bytes_per_s(*member)?;
        up_sum += up as f64;
        slowest_down = slowest_down.min(down as f64);
    }
    let bytes = bytes as f64;
    let by_all = bytes * gets.len() as f64 / up_sum;
    Some((bytes / source_up as f64).max(bytes / slowest_down).max(by_all))
}

fn traffic(play: &Play, measured: &mut Measured) -> Result<(), MeasureError> {
    let tallies = || play.sim.world().nodes.iter().map(|node| &node.tally);
    let sum = |pick: fn(&crate::world::tally::Tally) -> u64| tallies().map(pick).sum::<u64>();
    let received = sum(|tally| tally.payload_received_bytes);
    let sent = sum(|tally| tally.payload_sent_bytes);
    let control = sum(|tally| tally.control_bytes + tally.receipt_bytes + tally.upkeep_bytes);
    if received > 0 {
        let wasted = sum(|tally| tally.payload_wasted_bytes);
        measured.set_scalar("wasted_ratio", wasted as f64 / received as f64, "ratio")?;
    }
    if sent + control > 0 {
        measured.set_scalar("control_share", control as f64 / (sent + control) as f64, "ratio")?;
    }
    let node_seconds = f64::from(play.sim.nodes()) * play.sim.now().0 as f64 / 1e9;
    if node_seconds > 0.0 {
        measured.set_scalar("control_bytes_per_node_s", control as f64 / node_seconds, "bytes/s")?;
        let frames = sum(|tally| tally.control_frames);
        measured.set_scalar("frames_per_node_s", frames as f64 / node_seconds, "1/s")?;
        let wakes = sum(|tally| tally.wakes);
        measured.set_scalar("wakes_per_node_s", wakes as f64 / node_seconds, "1/s")?;
    }
    measured.set_scalar("moved_bytes", sent as f64, "bytes")?;
    measured.set_scalar("metered_bytes", sum(|tally| tally.metered_bytes) as f64, "bytes")
}

fn knowledge(play: &Play, measured: &mut Measured) -> Result<(), MeasureError> {
    let observer = &play.observer;
    measured.set_count("blind", observer.blind)?;
    for passed_s in &observer.sees_peers_s {
        measured.add_to_sample("sees_peers_s", *passed_s, "s")?;
    }
    for passed_s in &observer.sees_all_s {
        measured.add_to_sample("sees_all_s", *passed_s, "s")?;
    }
    if let Some(converged_s) = observer.converged_s {
        measured.set_scalar("converged_s", converged_s, "s")?;
    }
    if observer.looks > 0 {
        measured.set_scalar("available", observer.available as f64 / observer.looks as f64, "ratio")?;
    }
    Ok(())
}

fn over_time(play: &Play, measured: &mut Measured) -> Result<(), MeasureError> {
    for (at, running, done, sent) in &play.observer.over_time {
        measured.add_to_series("running", at.0, f64::from(*running), "1")?;
        measured.add_to_series("arrived", at.0, f64::from(*done), "1")?;
        measured.add_to_series("payload_bytes", at.0, *sent as f64, "bytes")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jains_index_is_one_for_equals_and_low_for_one_who_has_all() {
        assert_eq!(jain(&[3.0, 3.0, 3.0]), Some(1.0));
        assert_eq!(jain(&[4.0, 0.0, 0.0, 0.0]), Some(0.25));
        assert_eq!(jain(&[]), None);
    }

    #[test]
    fn names_are_given_once() {
        let mut names: Vec<&str> = MEASURES.iter().map(|measure| measure.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), MEASURES.len());
    }
}
