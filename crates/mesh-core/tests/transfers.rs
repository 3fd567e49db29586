//! Transfers between brains: one source, several, liars, slow ones, dying ones, and what it all costs.

#[allow(dead_code, reason = "each test file uses its part of the world")]
mod world;

use std::time::Duration;

use mesh_proto::bulk::TrafficClass;
use mesh_proto::port::user::{ErrorKind, UserCommand, UserReply};
use mesh_proto::port::view::{GetReport, ShareView};
use mesh_proto::port::{Event, Failure};
use mesh_proto::record::Access;
use world::World;
use world::person::get_command;

const MBIT: u64 = 125_000;

fn report_of(world: &World, host: usize) -> Option<GetReport> {
    world
        .seen(host, |event| match event {
            Event::TransferComplete { report } => Some(report.clone()),
            _ => None,
        })
        .pop()
}

fn get(world: &mut World, host: usize, ticket: &str) -> GetReport {
    world.get(host, ticket);
    let done = world.run_until(Duration::from_secs(600), |world| report_of(world, host).is_some());
    assert!(done, "the transfer did not end: {:?}", world.hosts[host].events.last());
    report_of(world, host).expect("just seen")
}

#[test]
fn a_file_arrives_whole_and_once() {
    let mut world = World::new();
    let source = world.add(100 * MBIT, &[]);
    let getter = world.add(100 * MBIT, &[]);
    let shared = world.share(source, "/data/file-2000", Access::Ticket);
    let began = world.now;
    let report = get(&mut world, getter, &shared.ticket);
    assert_eq!(report.received_bytes, shared.size_bytes);
    assert_eq!((report.duplicate_bytes, report.rejected_bytes), (0, 0));
    assert_eq!(report.sources.len(), 1);
    // The wire is kept full: within 10 % of what its rate allows, connecting and starting included.
    let seconds = (world.now - began) as f64 / 1e9;
    let ideal = shared.size_bytes as f64 / (100 * MBIT) as f64;
    assert!(seconds < ideal * 1.10, "{seconds:.2} s for {ideal:.2} s of wire");
}

#[test]
fn four_sources_give_together() {
    let mut world = World::new();
    let sources: Vec<usize> = (0..4).map(|_| world.add(20 * MBIT, &[])).collect();
    let getter = world.add(100 * MBIT, &[0, 1, 2, 3]);
    let tickets: Vec<ShareView> =
        sources.iter().map(|source| world.share(*source, "/data/file-2000", Access::Ticket)).collect();
    let peers: Vec<String> =
        tickets.iter().map(|view| view.ticket.split("peer=").nth(1).expect("a peer").to_owned()).collect();
    let ticket = format!("{}&peer={}&peer={}&peer={}", tickets[0].ticket, peers[1], peers[2], peers[3]);
    let began = world.now;
    let report = get(&mut world, getter, &ticket);
    let seconds = (world.now - began) as f64 / 1e9;
    let ideal = tickets[0].size_bytes as f64 / (80 * MBIT) as f64;
    assert!(seconds < ideal * 1.15, "{seconds:.2} s for {ideal:.2} s of wire");
    assert_eq!(report.sources.len(), 4);
    assert!(report.sources.iter().all(|source| source.bytes > tickets[0].size_bytes / 8));
    assert!(report.duplicate_bytes * 100 < report.size_bytes, "{} bytes twice", report.duplicate_bytes);
}

#[test]
fn a_liar_is_banned_and_the_file_still_right() {
    let mut world = World::new();
    let liar = world.add(100 * MBIT, &[]);
    let honest = world.add(10 * MBIT, &[]);
    let getter = world.add(100 * MBIT, &[0, 1]);
    world.hosts[liar].corrupts = true;
    let first = world.share(liar, "/data/file-500", Access::Ticket);
    let second = world.share(honest, "/data/file-500", Access::Ticket);
    let peer = second.ticket.split("peer=").nth(1).expect("a peer");
    let report = get(&mut world, getter, &format!("{}&peer={peer}", first.ticket));
    let banned: Vec<_> = report.sources.iter().filter(|source| source.banned).map(|source| source.node).collect();
    assert_eq!(banned, vec![world.hosts[liar].id]);
    assert!(report.rejected_bytes > 0);
    let bans = world.seen(getter, |event| matches!(event, Event::PeerBanned { .. }).then_some(()));
    assert_eq!(bans.len(), 1, "a ban is told once");
    assert_eq!(world.hosts[getter].store.have(first.content_id).len(), first.chunks);
}

#[test]
fn every_counter_is_shown_and_those_of_a_transfer_count() {
    let mut world = World::new();
    let source = world.add(100 * MBIT, &[]);
    let getter = world.add(100 * MBIT, &[]);
    let shared = world.share(source, "/data/file-100", Access::Ticket);
    for kind in mesh_analytics::EventKind::ALL {
        assert!(world.counter(getter, kind.name()).is_some(), "{}", kind.name());
    }
    for purpose in mesh_analytics::Purpose::ALL {
        assert_eq!(world.counter(getter, purpose.name()), Some(0), "{}", purpose.name());
    }
    get(&mut world, getter, &shared.ticket);
    assert_eq!(world.counted(getter, "transfer_started"), 1);
    assert_eq!(world.counted(getter, "transfer_finished"), 1);
    assert_eq!(world.counted(getter, "chunk_verified"), u64::from(shared.chunks));
    assert_eq!(world.counted(getter, "connection_opened"), 1);
    world.kill(source);
    world.run_until(Duration::from_secs(30), |_| false);
    assert_eq!(world.counted(getter, "connection_closed"), 1);
    assert!(world.counted(getter, "dial_failed") > 0);
}

#[test]
fn a_silent_source_loses_its_spans_and_not_our_time() {
    let mut world = World::new();
    let silent = world.add(100 * MBIT, &[]);
    let getter = world.add(100 * MBIT, &[silent]);
    let shared = world.share(silent, "/data/file-100", Access::Ticket);
    world.hosts[silent].silent = true;
    assert!(matches!(world.reply(getter, get_command(&shared.ticket)), UserReply::Getting(_)));
    world.run_until(Duration::from_secs(20), |_| false);
    assert_eq!(world.counted(getter, "span_stalled"), 0, "it may only be slow, and there is nobody else");
    let other = world.add(100 * MBIT, &[getter]);
    assert_eq!(world.share(other, "/data/file-100", Access::Ticket).content_id, shared.content_id);
    let done = world.run_until(Duration::from_secs(40), |world| report_of(world, getter).is_some());
    assert!(done, "the silent source held it up");
    assert!(world.counted(getter, "span_stolen") > 0);
}

/// Its connection stands, but nobody is there any more: the other source soon has what it was asked for.
#[test]
fn a_source_that_falls_silent_holds_nothing_up() {
    let mut world = World::new();
    let [vanishing, staying] = [(); 2].map(|()| world.add(50 * MBIT, &[]));
    let getter = world.add(100 * MBIT, &[vanishing, staying]);
    let shared = world.share(vanishing, "/data/file-400", Access::Ticket);
    assert_eq!(world.share(staying, "/data/file-400", Access::Ticket).content_id, shared.content_id);
    assert!(matches!(world.reply(getter, get_command(&shared.ticket)), UserReply::Getting(_)));
    world.run_until(Duration::from_secs(1), |_| false);
    world.hosts[vanishing].silent = true;
    let done = world.run_until(Duration::from_secs(8), |world| report_of(world, getter).is_some());
    assert!(done, "the silent source held it up");
    assert!(world.is_connected(getter, vanishing));
}

/// What is taken from a source that never gave anything is asked of the one it was taken for, whoever would be asked first.
#[test]
fn what_is_taken_from_a_source_does_not_go_back_to_it() {
    for silent in [0, 1] {
        let mut world = World::new();
        let sources = [(); 2].map(|()| world.add(50 * MBIT, &[]));
        let getter = world.add(100 * MBIT, &sources);
        let [shared, _] = sources.map(|source| world.share(source, "/data/file-400", Access::Ticket));
        world.hosts[sources[silent]].silent = true;
        assert!(matches!(world.reply(getter, get_command(&shared.ticket)), UserReply::Getting(_)));
        let done = world.run_until(Duration::from_secs(20), |world| report_of(world, getter).is_some());
        let stolen = world.counted(getter, "span_stolen");
        assert!(done && stolen < 50, "{stolen} spans were taken from source {silent}");
    }
}

/// What is taken from one that vanished is not given to another that did, and so on.
#[test]
fn many_sources_that_fall_silent_hold_nothing_up() {
    let mut world = World::new();
    let sources = [(); 12].map(|()| world.add(20 * MBIT, &[]));
    let getter = world.add(200 * MBIT, &sources);
    let [shared, ..] = sources.map(|source| world.share(source, "/data/file-1000", Access::Ticket));
    assert!(matches!(world.reply(getter, get_command(&shared.ticket)), UserReply::Getting(_)));
    world.run_until(Duration::from_millis(1_500), |_| false);
    sources[..11].iter().for_each(|source| world.hosts[*source].silent = true);
    let done = world.run_until(Duration::from_secs(40), |world| report_of(world, getter).is_some());
    assert!(done, "those that are silent take it from each other");
}

#[test]
fn a_dying_source_costs_nothing_but_its_share() {
    let mut world = World::new();
    let dying = world.add(50 * MBIT, &[]);
    let staying = world.add(50 * MBIT, &[]);
    let getter = world.add(100 * MBIT, &[0, 1]);
    let first = world.share(dying, "/data/file-1000", Access::Ticket);
    let second = world.share(staying, "/data/file-1000", Access::Ticket);
    let peer = second.ticket.split("peer=").nth(1).expect("a peer");
    let ticket = format!("{}&peer={peer}", first.ticket);
    assert!(matches!(world.reply(getter, get_command(&ticket)), UserReply::Getting(_)));
    world.run_until(Duration::from_secs(2), |_| false);
    world.kill(dying);
    assert!(world.run_until(Duration::from_secs(120), |world| report_of(world, getter).is_some()));
}

#[test]
fn a_killed_getter_goes_on_where_it_was() {
    let mut world = World::new();
    let source = world.add(20 * MBIT, &[]);
    let getter = world.add(20 * MBIT, &[]);
    let shared = world.share(source, "/data/file-1000", Access::Ticket);
    assert!(matches!(world.reply(getter, get_command(&shared.ticket)), UserReply::Getting(_)));
    world.run_until(Duration::from_secs(10), |_| false);
    world.kill(getter);
    let had = world.hosts[getter].store.have(shared.content_id).len();
    assert!(had > 100, "only {had} chunks after ten seconds");
    world.hosts[getter].events.clear();
    world.restart(getter, &[]);
    assert!(world.run_until(Duration::from_secs(120), |world| report_of(world, getter).is_some()));
}

#[test]
fn a_source_that_comes_later_is_found_and_people_are_told_to_wait() {
    let mut world = World::new();
    let source = world.add(20 * MBIT, &[]);
    let getter = world.add(20 * MBIT, &[]);
    let shared = world.share(source, "/data/file-50", Access::Ticket);
    world.kill(source);
    assert!(matches!(world.reply(getter, get_command(&shared.ticket)), UserReply::Getting(_)));
    world.run_until(Duration::from_secs(30), |_| false);
    let waiting = world.seen(getter, |event| matches!(event, Event::TransferWaiting { .. }).then_some(()));
    assert!(waiting.len() <= 1, "told {} times", waiting.len());
    world.restart(source, &[]);
    assert!(world.run_until(Duration::from_secs(60), |world| report_of(world, getter).is_some()));
}

#[test]
fn wrong_asks_are_answered_with_a_cure() {
    let mut world = World::new();
    let host = world.add(MBIT, &[]);
    match world.reply(host, get_command("http://example.org")) {
        UserReply::Failed(error) => {
            assert_eq!(error.kind, ErrorKind::Invalid);
            assert!(!error.cure.is_empty());
        }
        other => panic!("{other:?}"),
    }
    let content = mesh_proto::ContentId([3; 32]);
    for command in [
        UserCommand::Pause { content },
        UserCommand::Cancel { content },
        UserCommand::Remove { content, delete_files: true },
        UserCommand::Verify { content },
        UserCommand::Pin { content, pinned: true },
    ] {
        let reply = world.reply(host, command.clone());
        let not_found = matches!(&reply, UserReply::Failed(error) if error.kind == ErrorKind::NotFound);
        assert!(not_found, "{command:?}: {reply:?}");
    }
}

#[test]
fn a_flash_crowd_trades_and_spares_the_seed() {
    let mut world = World::new();
    let seed = world.add(50 * MBIT, &[]);
    let shared = world.share(seed, "/data/file-1000", Access::Ticket);
    let getters: Vec<usize> = (0..6).map(|_| world.add(50 * MBIT, &[0])).collect();
    let began = world.now;
    for getter in &getters {
        assert!(matches!(world.reply(*getter, get_command(&shared.ticket)), UserReply::Getting(_)));
    }
    let all = |world: &World| getters.iter().all(|getter| report_of(world, *getter).is_some());
    assert!(world.run_until(Duration::from_secs(300), all));
    let seconds = (world.now - began) as f64 / 1e9;
    let reports: Vec<GetReport> = getters.iter().filter_map(|getter| report_of(&world, *getter)).collect();
    let seed_id = world.hosts[seed].id;
    let from_seed: u64 =
        reports.iter().flat_map(|report| &report.sources).filter(|one| one.node == seed_id).map(|one| one.bytes).sum();
    let share_of_seed = from_seed as f64 / shared.size_bytes as f64;
    println!("{seconds:.2} s, seed gave {share_of_seed:.2} of the file");
    assert!(share_of_seed < 4.0, "the seed gave {share_of_seed:.2} times the file");
}

#[test]
fn a_ticket_without_peers_finds_its_holder_among_the_neighbours() {
    let mut world = World::new();
    let source = world.add(20 * MBIT, &[]);
    let _stranger = world.add(20 * MBIT, &[0]);
    let getter = world.add(20 * MBIT, &[0, 1]);
    let shared = world.share(source, "/data/file-50", Access::Ticket);
    let bare = shared.ticket.split("&peer=").next().expect("a ticket").to_owned();
    let report = get(&mut world, getter, &bare);
    assert_eq!(report.sources.iter().map(|one| one.node).collect::<Vec<_>>(), [world.hosts[source].id]);
}

#[test]
fn an_idle_node_sleeps() {
    let mut world = World::new();
    for _ in 0..3 {
        world.add(50 * MBIT, &[0]);
    }
    world.run_until(Duration::from_secs(60), |_| false);
    let before = world.wakes;
    world.run_until(Duration::from_secs(600), |_| false);
    let per_second = (world.wakes - before) as f64 / 600.0 / 3.0;
    assert!(per_second < 0.5, "{per_second:.2} wake-ups a second and node");
}

#[test]
fn a_store_that_can_t_go_on_is_tried_again_and_told_of_once() {
    let mut world = World::new();
    let source = world.add(20 * MBIT, &[]);
    let getter = world.add(20 * MBIT, &[]);
    let shared = world.share(source, "/data/file-50", Access::Ticket);
    assert!(matches!(world.reply(getter, get_command(&shared.ticket)), UserReply::Getting(_)));
    for _ in 0..4 {
        world.hosts[getter].store.finish_failure = Some(Failure::passing("no space left"));
        world.run_until(Duration::from_secs(8), |_| false);
    }
    let waiting = world.seen(getter, |event| matches!(event, Event::TransferWaiting { .. }).then_some(()));
    assert_eq!(waiting.len(), 1);
    world.hosts[getter].store.finish_failure = None;
    assert!(world.run_until(Duration::from_secs(15), |world| report_of(world, getter).is_some()));
}

#[test]
fn a_cancelled_transfer_tells_who_waits_for_it() {
    let mut world = World::new();
    let getter = world.add(MBIT, &[]);
    let content = mesh_proto::ContentId([3; 32]);
    assert!(matches!(world.reply(getter, get_command(&format!("mesh:{content}"))), UserReply::Getting(_)));
    assert!(matches!(world.reply(getter, UserCommand::Cancel { content }), UserReply::Done));
    let failed = world.seen(getter, |event| match event {
        Event::TransferFailed { error, .. } => Some(error.message.clone()),
        _ => None,
    });
    assert_eq!(failed, ["the transfer was cancelled"]);
}

/// Asks for contents that nobody has.
fn get_unknown(world: &mut World, host: usize, numbers: std::ops::Range<u16>) -> Vec<UserReply> {
    let one = |number: u16| {
        let mut content = mesh_proto::ContentId([0; 32]);
        content.0[..2].copy_from_slice(&number.to_be_bytes());
        content
    };
    numbers.map(|number| world.reply(host, get_command(&format!("mesh:{}", one(number))))).collect()
}

#[test]
fn tickets_that_nobody_answers_do_not_stand_in_another_s_way() {
    let mut world = World::new();
    let source = world.add(20 * MBIT, &[]);
    let getter = world.add(20 * MBIT, &[source]);
    let shared = world.share(source, "/data/file-50", Access::Ticket);
    let replies = get_unknown(&mut world, getter, 0..300);
    assert!(replies.iter().all(|reply| matches!(reply, UserReply::Getting(_))));
    world.run_until(Duration::from_secs(10), |_| false);
    let before = world.now;
    let _ = get(&mut world, getter, &shared.ticket);
    assert!(world.now - before < 5_000_000_000, "it took {} ns", world.now - before);
}

#[test]
fn more_unfinished_transfers_than_a_node_keeps_are_refused_with_a_cure() {
    let mut world = World::new();
    let getter = world.add(MBIT, &[]);
    let replies = get_unknown(&mut world, getter, 0..1025);
    let (last, others) = replies.split_last().expect("many");
    assert!(others.iter().all(|reply| matches!(reply, UserReply::Getting(_))));
    assert!(matches!(last, UserReply::Failed(error) if error.cure.contains("cancel")), "{last:?}");
}

#[test]
fn the_most_urgent_of_many_transfers_go_first_and_all_come_to_an_end() {
    let mut world = World::new();
    let source = world.add(20 * MBIT, &[]);
    let getter = world.add(20 * MBIT, &[source]);
    let shares: Vec<ShareView> =
        (0..20).map(|number| world.share(source, &format!("/data/{number}/file-200"), Access::Ticket)).collect();
    let ask = |world: &mut World, view: &ShareView, class| {
        let command = match get_command(&view.ticket) {
            UserCommand::Get { ticket, seed_seconds, priority, .. } => UserCommand::Get {
                ticket,
                target: format!("/home/ada/{}", view.content_id),
                seed_seconds,
                class,
                priority,
            },
            other => other,
        };
        assert!(matches!(world.reply(getter, command), UserReply::Getting(_)));
    };
    let (urgent, others) = shares.split_last().expect("many");
    others.iter().for_each(|view| ask(&mut world, view, TrafficClass::Bulk));
    ask(&mut world, urgent, TrafficClass::Interactive);
    let complete = |world: &World| {
        world.seen(getter, |event| match event {
            Event::TransferComplete { report } => Some(report.content_id),
            _ => None,
        })
    };
    let mut working_max = 0;
    let done = world.run_until(Duration::from_secs(600), |world| {
        working_max = working_max.max(world.contents_in_flight(getter));
        complete(world).len() == shares.len()
    });
    assert!(done, "{} of {} are complete", complete(&world).len(), shares.len());
    assert_eq!(complete(&world).first(), Some(&urgent.content_id));
    assert!((2..=16).contains(&working_max), "{working_max} contents were fetched at once");
}

#[test]
fn what_could_not_be_removed_is_still_here() {
    let mut world = World::new();
    let source = world.add(20 * MBIT, &[]);
    let getter = world.add(20 * MBIT, &[source]);
    let shared = world.share(source, "/data/file-50", Access::Ticket);
    let remove = UserCommand::Remove { content: shared.content_id, delete_files: false };
    world.hosts[source].store.remove_failure = Some(Failure::passing("no space left"));
    assert!(matches!(world.reply(source, remove.clone()), UserReply::Failed(_)));
    let _ = get(&mut world, getter, &shared.ticket);
    world.hosts[source].store.remove_failure = Some(Failure::lasting("it is no longer what was received"));
    match world.reply(source, remove.clone()) {
        UserReply::Failed(error) => {
            assert_eq!(error.kind, ErrorKind::Exists);
            assert!(error.cure.contains("without `--delete`"), "{}", error.cure);
        }
        other => panic!("it was removed: {other:?}"),
    }
    world.hosts[source].store.remove_failure = None;
    assert_eq!(world.reply(source, remove.clone()), UserReply::Done);
    assert!(matches!(world.reply(source, remove), UserReply::Failed(error) if error.kind == ErrorKind::NotFound));
}
