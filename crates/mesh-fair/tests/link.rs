//! The scheduler on links of all kinds, in virtual time: fairness, utilisation, queue, adaptation.

mod link_sim;

use std::time::Duration;

use link_sim::{PeerSpec, World, mbit};
use mesh_fair::{Discipline, Request, RequestKey, UplinkScheduler};
use mesh_proto::bulk::TrafficClass;
use mesh_proto::{ByteRate, NodeId, Timestamp};

/// Peer 0: one transfer. Peers 1 to 4: another member's nodes with fifty transfers each.
fn crowd() -> Vec<PeerSpec> {
    let many = PeerSpec { requests: 50, request_bytes: 256 * 1024, own_flows: true, ..PeerSpec::one(2, 10_000) };
    vec![PeerSpec::one(1, 10_000), many.clone(), many.clone(), many.clone(), many]
}

fn share_of_the_single(discipline: Discipline, limit: Option<u64>) -> World {
    let mut world = World::new(discipline, mbit(100), &crowd());
    world.scheduler.set_limit(Timestamp::ZERO, limit.map(ByteRate));
    world.run_until_ms(5_000);
    world.reset();
    world.run_until_ms(35_000);
    println!(
        "{discipline} limit {limit:?}: single {}‰, queue {:?}, gaps {:?}",
        world.share(0),
        world.queue_max,
        world.gap_max
    );
    world
}

#[test]
fn one_transfer_keeps_its_half_against_two_hundred() {
    for limit in [None, Some(mbit(50))] {
        let fair = share_of_the_single(Discipline::DeficitRoundRobin, limit);
        assert!((450..=550).contains(&fair.share(0)), "{}", fair.share(0));
        assert!(fair.gap_max.iter().all(|gap| *gap < Duration::from_secs(2)));
        let unfair = share_of_the_single(Discipline::FirstComeFirstServed, limit);
        assert!(unfair.share(0) < 450, "{}", unfair.share(0));
    }
}

#[test]
fn links_are_filled_and_queues_stay_short() {
    for (rate, rtt_us) in [(100, 1_000), (100, 100_000), (1_000, 200), (10, 30_000), (20, 600_000u64)] {
        let mut world = World::new(
            Discipline::DeficitRoundRobin,
            mbit(rate),
            &[PeerSpec { requests: 64, ..PeerSpec::one(1, rtt_us) }],
        );
        world.run_until_ms(2_000 + rtt_us / 50);
        println!("{rate} Mbit/s, {rtt_us} µs: start {}‰, queue {:?}", world.utilisation(), world.queue_max);
        // At the start a window doubles until its own queue comes back.
        let start_ms_max = 400 + rtt_us * 2 / 1_000;
        assert!(world.queue_max <= Duration::from_millis(start_ms_max), "{rate} {rtt_us}: {:?}", world.queue_max);
        world.reset();
        world.run_until_ms(60_000);
        let grants_per_s = world.grants / 58;
        println!("   steady {}‰, queue {:?}, {grants_per_s} grants/s", world.utilisation(), world.queue_max);
        if rtt_us > 500_000 {
            // A satellite: the drain costs more than a round trip every ten seconds.
            assert!(world.utilisation() >= 900 && world.queue_max <= Duration::from_millis(500));
            continue;
        }
        assert!(world.utilisation() >= 970, "{rate} {rtt_us}: {}", world.utilisation());
        // On the slower links one packet of this world alone takes several milliseconds.
        let queue_ms_max = if rate >= 100 { 60 } else { 80 };
        assert!(world.queue_max <= Duration::from_millis(queue_ms_max), "{rate} {rtt_us}: {:?}", world.queue_max);
    }
}

#[test]
fn a_slow_peer_and_a_fast_one_are_both_full() {
    let slow = PeerSpec { path_rate: Some(mbit(5)), ..PeerSpec::one(1, 20_000) };
    let fast = PeerSpec { path_rate: Some(mbit(100)), ..PeerSpec::one(1, 20_000) };
    let mut world = World::new(Discipline::DeficitRoundRobin, mbit(1_000), &[slow, fast]);
    world.run_until_ms(5_000);
    world.reset();
    world.run_until_ms(35_000);
    println!("slow {} fast {} queue {:?}", world.delivered[0], world.delivered[1], world.queue_max);
    assert!(world.delivered[0] >= mbit(5) * 30 * 97 / 100, "{}", world.delivered[0]);
    assert!(world.delivered[1] >= mbit(100) * 30 * 97 / 100, "{}", world.delivered[1]);
    // The slow peer's own path holds a little more while its window has headroom, and while the uplink is full.
    assert!(world.queue_max <= Duration::from_millis(150), "{:?}", world.queue_max);
}

#[test]
fn two_kbit_per_second_work() {
    let spec = PeerSpec { request_bytes: 16 * 1024, requests: 2, ..PeerSpec::one(1, 1_200_000) };
    let mut world = World::new(Discipline::DeficitRoundRobin, 250, &[spec]);
    world.run_until_ms(120_000);
    world.reset();
    world.run_until_ms(1_120_000);
    println!("2 kbit/s: {}‰, queue {:?}", world.utilisation(), world.queue_max);
    assert!(world.utilisation() >= 900, "{}", world.utilisation());
    assert!(world.queue_max <= Duration::from_secs(5), "{:?}", world.queue_max);
}

/// What shapes a link may let a ping through at once, and the first slice at 2 kbit/s.
#[test]
fn whoever_waits_for_a_first_slice_soon_hears_of_it_on_any_link() {
    let (now, node) = (Timestamp(1_000_000_000), NodeId([1; 32]));
    let mut scheduler = UplinkScheduler::new(now, Discipline::DeficitRoundRobin);
    let request = Request {
        key: RequestKey(1),
        member: None,
        node,
        flow: 1,
        class: TrafficClass::Public,
        priority: 0,
        bytes: 1 << 20,
    };
    scheduler.enqueue(now, request).expect("there is room");
    scheduler.set_rtt(now, node, Duration::from_micros(100));
    let grants: Vec<u64> = std::iter::from_fn(|| scheduler.poll_grant(now)).map(|grant| grant.bytes).collect();
    assert!(grants.iter().sum::<u64>() >= 128 << 10, "a fast link is filled all the same: {grants:?}");
    let seconds = grants[0] / 250;
    assert!(seconds <= 20, "{seconds} s until anything is heard at 2 kbit/s");
}

#[test]
fn a_change_of_rate_is_found_in_seconds() {
    let mut world =
        World::new(Discipline::DeficitRoundRobin, mbit(100), &[PeerSpec { requests: 64, ..PeerSpec::one(1, 20_000) }]);
    world.change_rate_at(15, mbit(20));
    world.change_rate_at(30, mbit(100));
    world.run_until_ms(19_000);
    world.reset();
    world.run_until_ms(29_000);
    println!("down: {}‰, queue {:?}", world.utilisation(), world.queue_max);
    assert!(world.utilisation() >= 970 && world.queue_max <= Duration::from_millis(60), "{:?}", world.queue_max);
    world.run_until_ms(33_000);
    world.reset();
    world.run_until_ms(43_000);
    println!("up: {}‰, queue {:?}", world.utilisation(), world.queue_max);
    assert!(world.utilisation() >= 970, "{}", world.utilisation());
}

#[test]
fn far_and_near_peers_share_equally() {
    let peers =
        [PeerSpec { requests: 64, ..PeerSpec::one(1, 1_000) }, PeerSpec { requests: 64, ..PeerSpec::one(2, 100_000) }];
    let mut world = World::new(Discipline::DeficitRoundRobin, mbit(100), &peers);
    world.run_until_ms(10_000);
    world.reset();
    world.run_until_ms(40_000);
    println!("far and near: {}‰ near, use {}‰, queue {:?}", world.share(0), world.utilisation(), world.queue_max);
    assert!((400..=600).contains(&world.share(0)), "{}", world.share(0));
    assert!(world.utilisation() >= 950, "{}", world.utilisation());
}

#[test]
fn classes_share_by_weight_and_none_starves() {
    let class = |class| PeerSpec { class, ..PeerSpec::one(1, 5_000) };
    let peers = [class(TrafficClass::Interactive), class(TrafficClass::Public), class(TrafficClass::Bulk)];
    let mut world = World::new(Discipline::DeficitRoundRobin, mbit(50), &peers);
    world.run_until_ms(5_000);
    world.reset();
    world.run_until_ms(35_000);
    let shares = [world.share(0), world.share(1), world.share(2)];
    println!("classes {shares:?} gaps {:?}", world.gap_max);
    assert!(shares[0].abs_diff(615) < 100 && shares[1].abs_diff(308) < 80 && shares[2].abs_diff(77) < 80, "{shares:?}");
    assert!(world.gap_max.iter().all(|gap| *gap < Duration::from_secs(2)));
}

/// The queue in the uplink is everybody's: none has to pay for it with its own window, whatever its round trip.
#[test]
fn peers_near_and_far_get_equal_shares() {
    for rate in [mbit(5), mbit(50), mbit(1_000)] {
        let specs: Vec<PeerSpec> = (0..10).map(|peer| PeerSpec::one(peer, 2_000 + 3_000 * u64::from(peer))).collect();
        let mut world = World::new(Discipline::DeficitRoundRobin, rate, &specs);
        world.run_until_ms(3_000);
        world.reset();
        for second in 4..40 {
            world.run_until_ms(second * 1_000);
            (0..10).for_each(|peer| world.scheduler.set_rtt(world.now, link_sim::node(peer), specs[peer].rtt));
        }
        let shares: Vec<u64> = (0..10).map(|peer| world.share(peer)).collect();
        println!("{rate} bytes/s: {shares:?}");
        assert!(shares.iter().all(|share| (80..=120).contains(share)), "{rate} bytes/s: {shares:?}");
    }
}

/// What was sent to who is gone is never receipted, and the connection is known to be dead only minutes later.
#[test]
fn peers_that_vanish_do_not_keep_the_others_out() {
    for (rate, gone) in [(mbit(1), 5), (mbit(50), 5), (mbit(50), 9), (mbit(1_000), 8)] {
        let specs: Vec<PeerSpec> = (0..10).map(|peer| PeerSpec::one(peer, 2_000 + 3_000 * u64::from(peer))).collect();
        let mut world = World::new(Discipline::DeficitRoundRobin, rate, &specs);
        world.run_until_ms(3_000);
        world.reset();
        world.run_until_ms(24_000);
        let before = world.utilisation();
        (0..gone).for_each(|peer| world.vanish(peer));
        world.run_until_ms(26_000);
        world.reset();
        world.run_until_ms(47_000);
        println!("{rate} bytes/s, {gone} gone: {} of 1000 used, before {before}", world.utilisation());
        assert!(world.utilisation() * 100 >= before * 95, "{rate} bytes/s, {gone} gone: {}", world.utilisation());
    }
}

/// What waits in slow peers' own paths is in the uplink's window too, and must not be taken for all that the uplink can
/// carry.
#[test]
fn slow_peers_do_not_keep_an_uplink_slow() {
    for (slow, peers) in [(20, 1), (40, 1), (70, 1), (10, 4), (20, 4), (3, 20)] {
        let slow = PeerSpec { path_rate: Some(mbit(slow)), ..PeerSpec::one(1, 1_000) };
        let mut specs = vec![slow; peers];
        specs.push(PeerSpec::one(2, 1_000));
        let mut world = World::new(Discipline::DeficitRoundRobin, mbit(100), &specs);
        world.change_rate_at(5, mbit(25));
        world.change_rate_at(10, mbit(100));
        world.run_until_ms(14_000);
        world.reset();
        world.run_until_ms(60_000);
        println!("{peers} slow: {}‰, queue {:?}", world.utilisation(), world.queue_max);
        assert!(world.utilisation() >= 900, "{peers} slow: {}", world.utilisation());
        assert!(world.queue_max <= Duration::from_millis(200), "{:?}", world.queue_max);
    }
}

/// Where each connection has a queue of its own, only a window that holds the uplink back lets the discipline decide.
#[test]
fn many_connections_get_no_more_where_each_has_its_own_queue() {
    for rate in [mbit(20), mbit(100)] {
        let mut world = World::new(Discipline::DeficitRoundRobin, rate, &crowd());
        world.serve_in_turn();
        world.run_until_ms(5_000);
        for from_s in (5..65).step_by(10) {
            world.reset();
            world.run_until_ms((from_s + 10) * 1_000);
            println!(
                "{rate} from {from_s} s: single {}‰, used {}‰, queue {:?}",
                world.share(0),
                world.utilisation(),
                world.queue_max
            );
            assert!((450..=550).contains(&world.share(0)) && world.utilisation() >= 950, "{}", world.share(0));
        }
    }
}

/// A path becomes slow just before all are emptied for a moment: what stands in it does not arrive within that, and must
/// not be taken for a longer path, nor the rate that it had for the rate that it has because the others fill the uplink.
#[test]
fn a_path_that_becomes_slow_does_not_keep_an_uplink_slow() {
    for (before_ms, slow) in [(50, 10), (200, 10), (400, 10), (800, 10), (200, 3), (800, 3)] {
        let peer = PeerSpec { path_rate: Some(mbit(45)), ..PeerSpec::one(1, 1_000) };
        let mut world = World::new(Discipline::DeficitRoundRobin, mbit(100), &[peer, PeerSpec::one(2, 1_000)]);
        world.change_path_rate_at(10_000 - before_ms, 0, mbit(slow));
        world.run_until_ms(11_000);
        world.reset();
        world.run_until_ms(19_000);
        let rtt = world.scheduler.peer_window(&link_sim::node(0)).and_then(|peer| peer.rtt()).expect("it was measured");
        println!("{slow} Mbit/s {before_ms} ms before: {}‰, round trip {rtt:?}", world.utilisation());
        assert!(world.utilisation() >= 700, "{}", world.utilisation());
        assert!(rtt <= Duration::from_millis(40), "{rtt:?}");
    }
}
