//! What items, ramps, cuts and burdens do, one by one; then that nothing is lost whatever is asked for, in whatever
//! order.

use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::*;

const MS: u64 = 1_000_000;

fn at_ms(ms: u64) -> Timestamp {
    Timestamp(ms * MS)
}

/// A path so short that the ramp does not show.
fn quality(rtt_ns: u64) -> PathQuality {
    PathQuality { rtt_ns, loss_ppm: 0, queue_ns: 0, congestion: Congestion::Cubic }
}

const NEAR: u64 = 1_000;

fn used(resource: ResourceId) -> Use {
    Use { resource, weight_permille: 1_000 }
}

/// What leaves until a time: (token, milliseconds, rounded).
fn left(flows: &mut Flows, until: Timestamp) -> Vec<(u64, u64)> {
    let mut done = Vec::new();
    flows.advance(until, &mut done);
    done.into_iter().map(|done| (done.token, (done.at.0 + MS / 2) / MS)).collect()
}

/// One resource of a megabyte per second, and flows over it.
fn link<const COUNT: usize>(rtt_ns: u64) -> (Flows, ResourceId, [FlowId; COUNT]) {
    let mut flows = Flows::new();
    let resource = flows.add_resource(1_000_000).unwrap();
    let ids = [(); COUNT].map(|()| flows.open(Timestamp::ZERO, &[used(resource)], quality(rtt_ns)).unwrap());
    (flows, resource, ids)
}

#[test]
fn items_of_a_flow_leave_one_after_another_and_flows_share_equally() {
    let (mut flows, resource, [first, second]) = link(NEAR);
    flows.send(at_ms(0), first, 100_000, 1).unwrap();
    flows.send(at_ms(0), first, 200_000, 2).unwrap();
    flows.send(at_ms(50), second, 50_000, 3).unwrap();
    assert_eq!(flows.poll_timeout(), Some(at_ms(150)), "50 KB alone, 50 KB at half the rate");
    assert_eq!((flows.rate_bytes_per_s(first), flows.used(resource)), (500_000, 1_000_000));
    assert_eq!(flows.backlog_bytes(at_ms(100), first), 225_000);
    assert_eq!(flows.carried_bytes(at_ms(100), resource), 100_000);
    assert_eq!(left(&mut flows, at_ms(1_000)), [(1, 150), (3, 150), (2, 350)]);
    assert_eq!((flows.poll_timeout(), flows.used(resource)), (None, 0));
    assert_eq!(flows.carried_bytes(at_ms(1_000), resource), 350_000);
}

#[test]
fn times_are_rounded_up() {
    let mut flows = Flows::new();
    let resource = flows.add_resource(3_000_000_000).unwrap();
    let flow = flows.open(Timestamp::ZERO, &[used(resource)], quality(1)).unwrap();
    flows.send(Timestamp(10), flow, 10, 0).unwrap();
    assert_eq!(flows.poll_timeout(), Some(Timestamp(14)));
}

#[test]
fn a_ramp_doubles_from_ten_segments_until_the_flow_has_its_share() {
    let mut flows = Flows::new();
    let resource = flows.add_resource(1_000_000_000).unwrap();
    let flow = flows.open(Timestamp::ZERO, &[used(resource)], quality(100 * MS)).unwrap();
    flows.send(at_ms(0), flow, 70 * SEGMENT_BYTES, 1).unwrap();
    let mut wakes = Vec::new();
    let mut done = Vec::new();
    while let Some(at) = flows.poll_timeout() {
        flows.advance(at, &mut done);
        wakes.push(at.0 / MS);
    }
    assert_eq!(wakes, [100, 200, 300], "10, 20 and 40 segments");
    // It goes on where it was after a short rest, and begins anew after a long one.
    flows.send(at_ms(400), flow, 40 * SEGMENT_BYTES, 2).unwrap();
    flows.send(at_ms(1_000), flow, 10 * SEGMENT_BYTES, 3).unwrap();
    assert_eq!(left(&mut flows, at_ms(2_000)), [(2, 450), (3, 1_100)]);
}

#[test]
fn a_ramp_that_does_not_show_costs_no_event() {
    let (mut flows, _, [flow]) = link(10 * MS);
    flows.send(at_ms(0), flow, 1_000_000, 1).unwrap();
    assert_eq!(flows.poll_timeout(), Some(at_ms(1_000)));
}

#[test]
fn a_far_flow_finds_out_slowly_that_more_is_free() {
    // Bbr: half a cycle of eight round trips and one more, then whole cycles. Cubic, from 20.7 segments: by one per
    // round trip, until it is halfway to the next step.
    for (congestion, steps_ms) in [(Congestion::Bbr, [1_500, 3_900]), (Congestion::Cubic, [733, 2_470])] {
        let mut flows = Flows::new();
        let resource = flows.add_resource(100_000).unwrap();
        let far = PathQuality { congestion, ..quality(300 * MS) };
        let flow = flows.open(Timestamp::ZERO, &[used(resource)], far).unwrap();
        flows.send(at_ms(0), flow, 1_000_000_000, 1).unwrap();
        left(&mut flows, at_ms(60_000));
        flows.set_capacity(at_ms(60_000), resource, 1_000_000);
        for (step_ms, rate) in steps_ms.into_iter().zip([100_000, 125_000]) {
            let at = flows.poll_timeout().unwrap();
            assert_eq!((at.0 / MS - 60_000, flows.rate_bytes_per_s(flow)), (step_ms, rate), "{congestion:?}");
            left(&mut flows, at);
        }
    }
}

#[test]
fn a_resource_that_is_down_stops_what_crosses_it_until_it_is_up() {
    let (mut flows, resource, [flow]) = link(NEAR);
    flows.send(at_ms(0), flow, 100_000, 1).unwrap();
    flows.set_capacity(at_ms(40), resource, 0);
    assert_eq!(flows.poll_timeout(), None);
    flows.set_capacity(at_ms(500), resource, 2_000_000);
    assert_eq!(left(&mut flows, at_ms(1_000)), [(1, 530)]);
}

#[test]
fn after_a_long_outage_a_far_flow_begins_anew() {
    for congestion in [Congestion::Bbr, Congestion::Cubic] {
        let mut flows = Flows::new();
        let resource = flows.add_resource(500_000).unwrap();
        let far = PathQuality { congestion, ..quality(100 * MS) };
        let flow = flows.open(Timestamp::ZERO, &[used(resource)], far).unwrap();
        flows.send(at_ms(0), flow, 1_000_000_000, 1).unwrap();
        left(&mut flows, at_ms(10_000));
        flows.set_capacity(at_ms(10_000), resource, 0);
        assert_eq!((flows.poll_timeout(), flows.rate_bytes_per_s(flow)), (None, 0));
        flows.set_capacity(at_ms(20_000), resource, 500_000);
        assert_eq!((flows.poll_timeout(), flows.rate_bytes_per_s(flow)), (Some(at_ms(20_100)), 144_800));
        left(&mut flows, at_ms(20_400));
        assert_eq!(flows.rate_bytes_per_s(flow), 500_000, "{congestion:?}");
    }
}

#[test]
fn a_cancelled_item_is_cut_where_it_is() {
    let (mut flows, resource, [flow]) = link(NEAR);
    (1..=3).for_each(|token| flows.send(at_ms(0), flow, 100_000, token).unwrap());
    assert_eq!(flows.cancel(at_ms(30), flow, 2), Some(0));
    assert_eq!(flows.cancel(at_ms(30), flow, 1), Some(30_000));
    assert_eq!(flows.cancel(at_ms(30), flow, 1), None);
    assert_eq!(left(&mut flows, at_ms(1_000)), [(3, 130)]);
    assert_eq!(flows.carried_bytes(at_ms(1_000), resource), 130_000);
}

#[test]
fn a_closed_flow_gives_back_its_tokens_and_its_share_and_its_id_means_nothing() {
    let (mut flows, _, [first, second]) = link(NEAR);
    flows.send(at_ms(0), first, 100_000, 1).unwrap();
    flows.send(at_ms(0), first, 100_000, 2).unwrap();
    flows.send(at_ms(0), second, 100_000, 3).unwrap();
    assert_eq!(flows.close(at_ms(100), first), [1, 2]);
    assert!(flows.close(at_ms(100), first).is_empty());
    assert_eq!(flows.send(at_ms(100), first, 1, 4), Err(FlowError::NotOpen));
    let third = flows.open(at_ms(100), &[], quality(NEAR)).unwrap();
    assert_ne!(first, third);
    assert_eq!(flows.set_path(at_ms(100), first, &[], quality(NEAR)), Err(FlowError::NotOpen));
    assert_eq!(left(&mut flows, at_ms(1_000)), [(3, 150)]);
}

#[test]
fn a_moved_flow_charges_each_path_for_what_it_carried() {
    let (mut flows, resource, [flow]) = link(NEAR);
    let radio = flows.add_resource(1_000_000).unwrap();
    flows.send(at_ms(0), flow, 100_000, 1).unwrap();
    let airtime = Use { resource: radio, weight_permille: 2_000 };
    flows.set_path(at_ms(40), flow, &[airtime, airtime], quality(NEAR)).unwrap();
    assert_eq!(left(&mut flows, at_ms(1_000)), [(1, 280)], "60 KB, four times over");
    let carried = [resource, radio].map(|resource| flows.carried_bytes(at_ms(1_000), resource));
    assert_eq!(carried, [40_000, 240_000]);
}

#[test]
fn what_is_lost_takes_capacity_again() {
    let (mut flows, resource, []) = link(NEAR);
    let lossy = PathQuality { loss_ppm: 200_000 - 1, congestion: Congestion::Bbr, ..quality(NEAR) };
    let flow = flows.open(at_ms(0), &[used(resource)], lossy).unwrap();
    flows.send(at_ms(0), flow, 800_000, 1).unwrap();
    assert_eq!(left(&mut flows, at_ms(2_000)), [(1, 1_000)]);
    assert!(flows.carried_bytes(at_ms(2_000), resource).abs_diff(1_000_000) < 10);
}

#[test]
fn control_messages_delay_payload_by_their_bytes_and_only_where_it_is_in_their_way() {
    let (mut flows, resource, [flow]) = link(NEAR);
    flows.burden(at_ms(0), resource, 10_000);
    flows.send(at_ms(4), flow, 100_000, 1).unwrap();
    flows.send(at_ms(4), flow, 100_000, 2).unwrap();
    flows.burden(at_ms(50), resource, 3_000);
    flows.burden(at_ms(60), resource, 4_000);
    assert_eq!(left(&mut flows, at_ms(300)), [(1, 110), (2, 217)], "6 KB were left of the first, 7 KB came later");
    flows.burden(at_ms(300), resource, 10_000);
    flows.send(at_ms(400), flow, 100_000, 3).unwrap();
    assert_eq!(left(&mut flows, at_ms(1_000)), [(3, 500)]);
    assert_eq!(flows.carried_bytes(at_ms(1_000), resource), 300_000, "payload only");
}

#[test]
fn after_a_rest_a_burst_goes_at_once_and_control_messages_take_of_it() {
    let (mut flows, resource, [flow]) = link(NEAR);
    flows.set_burst(at_ms(0), resource, 20_000);
    flows.burden(at_ms(0), resource, 5_000);
    flows.send(at_ms(0), flow, 10_000, 1).unwrap();
    flows.send(at_ms(0), flow, 105_000, 2).unwrap();
    assert_eq!(left(&mut flows, at_ms(500)), [(1, 0), (2, 100)], "5 KB are left of the burst for the second");
    flows.send(at_ms(500), flow, 115_000, 3).unwrap();
    assert_eq!(left(&mut flows, at_ms(700)), [(3, 595)], "a rest fills the bucket, and no more");
    flows.set_capacity(at_ms(1_000), resource, 0);
    flows.send(at_ms(1_000), flow, 10_000, 4).unwrap();
    assert_eq!(left(&mut flows, at_ms(2_000)), [], "nothing goes over what is down");
}

#[test]
fn a_flow_over_nothing_is_as_fast_as_its_ramp() {
    let mut flows = Flows::new();
    let flow = flows.open(Timestamp::ZERO, &[], quality(100 * MS)).unwrap();
    flows.send(at_ms(0), flow, 10 * SEGMENT_BYTES, 1).unwrap();
    assert_eq!(left(&mut flows, at_ms(1_000)), [(1, 100)]);
    flows.send(at_ms(1_000), flow, u64::MAX, 2).unwrap();
    flows.send(at_ms(1_000), flow, u64::MAX, 3).unwrap();
    assert_eq!(left(&mut flows, at_ms(20_000)), []);
    assert!(flows.poll_timeout().is_some_and(|at| at > at_ms(10_000_000_000)), "a rate has an end");
    assert_eq!(flows.close(at_ms(20_000), flow), [2, 3]);
}

#[test]
fn limits_and_unknown_resources_are_refused() {
    let (mut flows, resource, [flow]) = link(NEAR);
    let unknown = ResourceId(9);
    assert_eq!(flows.open(at_ms(0), &[used(unknown)], quality(NEAR)), Err(FlowError::NoResource(9)));
    let long = vec![used(resource); USES_MAX + 1];
    assert!(matches!(flows.open(at_ms(0), &long, quality(NEAR)), Err(FlowError::TooMany { .. })));
    (0..ITEMS_MAX).for_each(|_| flows.send(at_ms(0), flow, 1, 0).unwrap());
    assert_eq!(flows.send(at_ms(0), flow, 1, 0), Err(FlowError::TooMany { what: "items", limit: ITEMS_MAX }));
    flows.set_capacity(at_ms(0), unknown, 1);
    flows.burden(at_ms(0), unknown, 1);
    assert_eq!((flows.used(unknown), flows.carried_bytes(at_ms(0), unknown)), (0, 0));
}

const FLOWS: usize = 6;
const RESOURCES: usize = 3;

#[derive(Debug, Clone, Copy)]
enum Ask {
    Send(usize, u64),
    Cancel(usize, u64),
    Capacity(usize, u64),
    Path(usize, u8),
    Burden(usize, u64),
    Close(usize),
}

fn rate() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0..3_000_000u64]
}

fn ask() -> impl Strategy<Value = Ask> {
    prop_oneof![
        10 => (0..FLOWS, 0..400_000u64).prop_map(|(flow, bytes)| Ask::Send(flow, bytes)),
        2 => (0..FLOWS, 0..60u64).prop_map(|(flow, token)| Ask::Cancel(flow, token)),
        2 => (0..RESOURCES, rate()).prop_map(|(resource, rate)| Ask::Capacity(resource, rate)),
        1 => (0..FLOWS, any::<u8>()).prop_map(|(flow, path)| Ask::Path(flow, path)),
        1 => (0..RESOURCES, 0..10_000u64).prop_map(|(resource, bytes)| Ask::Burden(resource, bytes)),
        1 => (0..FLOWS).prop_map(Ask::Close),
    ]
}

/// A path and its quality, by bits.
fn path(resources: &[ResourceId], bits: u8) -> (Vec<Use>, PathQuality) {
    let crossed = resources.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1 || *bit == 0);
    let congestion = if bits & 8 == 0 { Congestion::Cubic } else { Congestion::Bbr };
    let rtt_ns = [1, 15, 80, 400][usize::from(bits >> 4 & 3)] * MS;
    let loss_ppm = if bits & 64 == 0 { 0 } else { 20_000 };
    (
        crossed.map(|(_, resource)| used(*resource)).collect(),
        PathQuality { rtt_ns, loss_ppm, queue_ns: 50 * MS, congestion },
    )
}

/// Asks for everything at its time. `look` is whether to look at everything at every moment. Returns what has left,
/// what the resources have carried, and what of it was of items cut short.
fn asked(paths: &[u8], asks: &[(u64, Ask)], look: bool) -> (Vec<Done>, Vec<u64>, u64) {
    let mut flows = Flows::new();
    let resources: Vec<ResourceId> = (0..RESOURCES).map(|_| flows.add_resource(1_000_000).unwrap()).collect();
    let open = |(flows, bits): (&mut Flows, u8)| {
        let (path, quality) = path(&resources, bits);
        flows.open(Timestamp::ZERO, &path, quality).unwrap()
    };
    let ids: Vec<FlowId> = paths.iter().map(|bits| open((&mut flows, *bits))).collect();
    let (mut done, mut cut, mut now) = (Vec::new(), 0, Timestamp::ZERO);
    for (token, (wait_ns, ask)) in asks.iter().enumerate() {
        let until = Timestamp(now.0 + wait_ns);
        while let Some(at) = flows.poll_timeout().filter(|at| *at <= until) {
            flows.advance(at, &mut done);
        }
        now = until;
        flows.advance(now, &mut done);
        match *ask {
            Ask::Send(flow, bytes) => _ = flows.send(now, ids[flow], bytes, token as u64),
            Ask::Cancel(flow, token) => cut += flows.cancel(now, ids[flow], token).unwrap_or(0),
            Ask::Capacity(resource, rate) => flows.set_capacity(now, resources[resource], rate),
            Ask::Path(flow, bits) => {
                let (path, quality) = path(&resources, bits);
                _ = flows.set_path(now, ids[flow], &path, quality);
            }
            Ask::Burden(resource, bytes) => flows.burden(now, resources[resource], bytes),
            Ask::Close(flow) => _ = flows.close(now, ids[flow]),
        }
        if look {
            ids.iter().for_each(|flow| _ = (flows.rate_bytes_per_s(*flow), flows.backlog_bytes(now, *flow)));
            resources.iter().for_each(|resource| _ = (flows.used(*resource), flows.carried_bytes(now, *resource)));
        }
    }
    resources.iter().for_each(|resource| flows.set_capacity(now, *resource, 1_000_000));
    while let Some(at) = flows.poll_timeout() {
        flows.advance(at, &mut done);
        now = at;
    }
    assert!(ids.iter().all(|flow| flows.backlog_bytes(now, *flow) == 0), "all has left in the end");
    (done, resources.iter().map(|resource| flows.carried_bytes(now, *resource)).collect(), cut)
}

proptest! {
    #[test]
    fn every_byte_is_carried_once_and_in_order(
        paths in proptest::collection::vec(any::<u8>(), FLOWS),
        asks in proptest::collection::vec((0..900 * MS, ask()), 1..60),
    ) {
        // Without loss nothing is carried twice, and the first resource is on every path.
        let clean = |bits: u8| bits & !64;
        let paths: Vec<u8> = paths.into_iter().map(clean).collect();
        let asks: Vec<(u64, Ask)> = asks.into_iter().filter_map(|(wait, ask)| match ask {
            Ask::Path(flow, bits) => Some((wait, Ask::Path(flow, clean(bits)))),
            Ask::Close(_) => None,
            ask => Some((wait, ask)),
        }).collect();
        let (done, carried, cut) = asked(&paths, &asks, false);
        let bytes = |token: u64| match asks[token as usize].1 {
            Ask::Send(_, bytes) => bytes,
            _ => unreachable!("only items have tokens"),
        };
        let left: u64 = done.iter().map(|done| bytes(done.token)).sum();
        prop_assert_eq!(carried[0], left + cut);
        prop_assert!(done.is_sorted_by_key(|done| done.at));
        for flow in &done {
            prop_assert!(done.iter().filter(|other| other.flow == flow.flow).is_sorted_by_key(|other| other.token));
        }
    }

    #[test]
    fn looking_changes_nothing_whatever_happens(
        paths in proptest::collection::vec(any::<u8>(), FLOWS),
        asks in proptest::collection::vec((0..900 * MS, ask()), 1..60),
    ) {
        prop_assert_eq!(asked(&paths, &asks, true), asked(&paths, &asks, false));
    }
}
