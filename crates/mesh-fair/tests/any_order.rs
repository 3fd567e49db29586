//! Whatever is called in whatever order: no byte is lost, none granted twice, no window overrun.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_fair::{Discipline, Request, RequestKey, UplinkScheduler};
use mesh_proto::bulk::TrafficClass;
use mesh_proto::{ByteRate, MemberId, NodeId, Timestamp};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Enqueue { key: u64, node: u8, class: u8, bytes: u64 },
    Grant(u8),
    Receipt { key: u64, bytes: u64 },
    Unsent { key: u64, bytes: u64 },
    Finish { key: u64, unsent: u64 },
    Cancel(u64),
    Disconnect(u8),
    Limit(Option<u64>),
    Ping(u8, u64),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u64..24, 0u8..5, 0u8..3, 0u64..300_000).prop_map(|(key, node, class, bytes)| Step::Enqueue { key, node, class, bytes }),
        6 => (1u8..20).prop_map(Step::Grant),
        6 => (0u64..24, 0u64..200_000).prop_map(|(key, bytes)| Step::Receipt { key, bytes }),
        1 => (0u64..24, 0u64..50_000).prop_map(|(key, bytes)| Step::Unsent { key, bytes }),
        1 => (0u64..24, 0u64..50_000).prop_map(|(key, unsent)| Step::Finish { key, unsent }),
        1 => (0u64..24).prop_map(Step::Cancel),
        1 => (0u8..5).prop_map(Step::Disconnect),
        1 => proptest::option::of(0u64..10_000_000).prop_map(Step::Limit),
        1 => (0u8..5, 0u64..2_000_000).prop_map(|(node, rtt_us)| Step::Ping(node, rtt_us)),
        4 => (0u64..2_000_000_000).prop_map(Step::Wait),
    ]
}

fn node(number: u8) -> NodeId {
    NodeId([number; 32])
}

/// What a request must look like from outside.
#[derive(Debug, Clone, Copy)]
struct Model {
    node: u8,
    remaining: u64,
    open: u64,
    finished: bool,
}

struct Checker {
    scheduler: UplinkScheduler,
    model: BTreeMap<u64, Model>,
    now: Timestamp,
}

impl Checker {
    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Enqueue { key, node: number, class, bytes } => self.enqueue(key, number, class, bytes),
            Step::Grant(count) => (0..count).for_each(|_| self.grant()),
            Step::Receipt { key, bytes } => {
                let number = self.model.get(&key).map_or(0, |model| model.node);
                let taken = self.scheduler.on_receipt(self.now, node(number), RequestKey(key), bytes);
                let model = self.model.get_mut(&key);
                assert_eq!(taken, model.as_ref().map_or(0, |model| model.open.min(bytes)));
                model.into_iter().for_each(|model| model.open -= taken);
            }
            Step::Unsent { key, bytes } => {
                self.scheduler.on_sent(RequestKey(key), bytes, 0);
                if let Some(model) = self.model.get_mut(&key) {
                    let back = bytes.min(model.open);
                    model.open -= back;
                    model.remaining += if model.finished { 0 } else { back };
                }
            }
            Step::Finish { key, unsent } => {
                self.scheduler.on_finished(RequestKey(key), unsent);
                if let Some(model) = self.model.get_mut(&key) {
                    *model =
                        Model { open: model.open - unsent.min(model.open), remaining: 0, finished: true, ..*model };
                }
            }
            Step::Cancel(key) => {
                assert_eq!(self.scheduler.cancel(RequestKey(key)), self.model.contains_key(&key));
                self.model.get_mut(&key).into_iter().for_each(|model| (model.remaining, model.finished) = (0, true));
            }
            Step::Disconnect(number) => {
                self.scheduler.on_disconnected(node(number));
                self.model.retain(|_, model| model.node != number);
            }
            Step::Limit(rate) => self.scheduler.set_limit(self.now, rate.map(ByteRate)),
            Step::Ping(number, rtt_us) => self.scheduler.set_rtt(self.now, node(number), Duration::from_micros(rtt_us)),
            Step::Wait(nanos) => self.now = self.now.after(Duration::from_nanos(nanos)),
        }
        self.model.retain(|_, model| model.remaining > 0 || model.open > 0);
        self.check();
    }

    fn enqueue(&mut self, key: u64, number: u8, class: u8, bytes: u64) {
        let request = Request {
            key: RequestKey(key),
            member: (number > 1).then_some(MemberId([number / 2; 32])),
            node: node(number),
            flow: key % 3,
            class: [TrafficClass::Interactive, TrafficClass::Public, TrafficClass::Bulk][usize::from(class)],
            priority: (key % 2) as u8,
            bytes,
        };
        let taken = self.scheduler.enqueue(self.now, request).is_ok();
        assert_eq!(taken, bytes > 0 && !self.model.contains_key(&key));
        if taken {
            self.model.insert(key, Model { node: number, remaining: bytes, open: 0, finished: false });
        }
    }

    fn grant(&mut self) {
        let Some(grant) = self.scheduler.poll_grant(self.now) else { return };
        let model = self.model.get_mut(&grant.request.0).expect("only waiting requests get grants");
        assert!(grant.bytes > 0 && grant.bytes <= model.remaining && grant.node == node(model.node));
        model.remaining -= grant.bytes;
        model.open += grant.bytes;
        assert!(self.scheduler.uplink_bytes() <= self.scheduler.window_bytes());
        let peer = self.scheduler.peer_window(&grant.node).expect("a granted peer is known");
        assert!(peer.outstanding_bytes() <= peer.window_bytes());
    }

    fn check(&self) {
        let open: u64 = self.model.values().map(|model| model.open).sum();
        assert_eq!(self.scheduler.outstanding_bytes(), open);
        assert!(self.scheduler.uplink_bytes() <= open);
        for (key, model) in &self.model {
            assert_eq!(self.scheduler.remaining_bytes(RequestKey(*key)), Some(model.remaining));
        }
        let view = self.scheduler.view();
        assert_eq!(view.requests_waiting, self.model.values().filter(|model| model.remaining > 0).count());
    }

    /// Receipts for everything: in the end all that still waits must have been granted.
    fn drain(&mut self) {
        self.scheduler.set_limit(self.now, None);
        for _ in 0..200_000 {
            let Some((key, model)) = self.model.iter().next().map(|(key, model)| (*key, *model)) else { return };
            self.grant();
            let open = self.model.iter().find(|(_, model)| model.open > 0).map(|(key, model)| (*key, model.open));
            match open {
                Some((key, bytes)) => self.apply(&Step::Receipt { key, bytes }),
                None => assert!(model.remaining > 0, "request {key} is stuck"),
            }
            self.apply(&Step::Wait(10_000_000));
        }
        panic!("requests starve: {:?}", self.model);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn no_byte_is_lost_or_granted_twice(steps in proptest::collection::vec(step(), 1..150), fair in any::<bool>()) {
        let discipline = if fair { Discipline::DeficitRoundRobin } else { Discipline::FirstComeFirstServed };
        let scheduler = UplinkScheduler::new(Timestamp::ZERO, discipline);
        let mut checker = Checker { scheduler, model: BTreeMap::new(), now: Timestamp::ZERO };
        steps.iter().for_each(|step| checker.apply(step));
        checker.drain();
    }
}
