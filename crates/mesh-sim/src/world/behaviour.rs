//! What a misbehaving node does around an honest brain: hears, says and grants something else than it should.
//!
//! Invariant: the brain itself is untouched; a behaviour only drops, changes and adds inputs and outputs.

use std::collections::VecDeque;

use mesh_proto::bulk::RefuseReason;
use mesh_proto::extensions::Extensions;
use mesh_proto::message::{Find, HaveRequest, Holding, Message};
use mesh_proto::port::{Input, KeyRole, KeysCommand, KeysInput, NetCommand, NetInput, Output};
use mesh_proto::record::{Record, RecordKind, Signed};
use mesh_proto::{CommandId, ContentId, NodeId, Timestamp};

use crate::fault::What;
use crate::random::Stream;

/// Commands of a behaviour's own have numbers that no brain reaches.
const OWN_COMMAND: CommandId = CommandId(u64::MAX);
/// A flooding node sends in bursts, so often per second.
const BURSTS_PER_S: u64 = 10;

/// What one node does. See the module.
#[derive(Debug)]
pub struct Behaviour {
    /// Which of the run's misbehaviours this is.
    pub id: u64,
    what: What,
    luck: Stream,
    own: VecDeque<Output>,
    peers: Vec<NodeId>,
    next_burst: Option<Timestamp>,
    /// The other truth of an equivocating node.
    other_truth: Option<Signed>,
}

impl Behaviour {
    /// One of the Byzantine faults, drawing from this stream, of a node connected to these peers.
    #[must_use]
    pub fn new(id: u64, what: What, luck: Stream, peers: Vec<NodeId>) -> Self {
        Self { id, what, luck, own: VecDeque::new(), peers, next_burst: None, other_truth: None }
    }

    /// An input comes. `None` if the brain is not to see it.
    pub fn hear(&mut self, now: Timestamp, input: Input) -> Option<Input> {
        match &input {
            Input::Net(NetInput::Connected { node, .. }) if !self.peers.contains(node) => self.peers.push(*node),
            Input::Net(NetInput::Disconnected { node, .. }) => self.peers.retain(|peer| peer != node),
            Input::Keys(KeysInput::Signed { command: OWN_COMMAND, result }) => {
                self.other_truth = result.clone().ok();
                return None;
            }
            Input::Net(NetInput::SpanRequested { serve, .. }) if matches!(self.what, What::FreeRide {}) => {
                let refusal = NetCommand::Refuse { serve: *serve, reason: RefuseReason::Busy };
                self.own.push_back(Output::Net(refusal));
                return None;
            }
            _ => {}
        }
        if let What::Flood { messages_per_s } = self.what {
            self.flood(now, messages_per_s);
        }
        Some(input)
    }

    fn flood(&mut self, now: Timestamp, messages_per_s: u32) {
        let due = *self.next_burst.get_or_insert(now);
        if due > now {
            return;
        }
        self.next_burst = Some(Timestamp(now.0 + 1_000_000_000 / BURSTS_PER_S));
        for node in &self.peers {
            for _ in 0..u64::from(messages_per_s).div_ceil(BURSTS_PER_S) {
                let mut key = [0; 32];
                key[..8].copy_from_slice(&self.luck.next_u64().to_le_bytes());
                let extensions = Extensions::default();
                let message = match key[0] & 1 {
                    0 => Message::Find(Find { key, extensions }),
                    _ => Message::HaveRequest(HaveRequest { content: ContentId(key), extensions }),
                };
                self.own.push_back(Output::Net(NetCommand::Send { node: *node, message }));
            }
        }
    }

    /// When it wants to be woken for itself.
    #[must_use]
    pub fn wakes_at(&self) -> Option<Timestamp> {
        match self.what {
            What::Flood { .. } if !self.peers.is_empty() => Some(self.next_burst.unwrap_or(Timestamp::ZERO)),
            _ => None,
        }
    }

    /// The next output of its own.
    pub fn poll_own(&mut self) -> Option<Output> {
        self.own.pop_front()
    }

    /// An output of the brain. `None` if it is not to be carried out.
    pub fn say(&mut self, output: Output) -> Option<Output> {
        match (&self.what, output) {
            (What::LieAboutHoldings {}, Output::Net(NetCommand::Send { node, message: Message::Have(mut have) })) => {
                have.holding = Holding::Complete;
                Some(Output::Net(NetCommand::Send { node, message: Message::Have(have) }))
            }
            (What::DropSelectively { messages, drop_ppm }, Output::Net(NetCommand::Send { node, message })) => {
                let concerned = messages.is_empty() || messages.iter().any(|name| name == message.name());
                let dropped = concerned && self.luck.one_in_a_million(*drop_ppm);
                (!dropped).then_some(Output::Net(NetCommand::Send { node, message }))
            }
            (What::Equivocate {}, Output::Keys(KeysCommand::Sign { command, role, kind, body })) => {
                self.sign_other_truth(role, kind, &body);
                Some(Output::Keys(KeysCommand::Sign { command, role, kind, body }))
            }
            (What::Equivocate {}, Output::Net(NetCommand::Send { node, message })) if node.0[0] & 1 == 1 => {
                Some(Output::Net(NetCommand::Send { node, message: self.twisted(message) }))
            }
            (_, output) => Some(output),
        }
    }

    fn sign_other_truth(&mut self, role: KeyRole, kind: RecordKind, body: &[u8]) {
        let unsigned = Signed { kind, signer: [0; 32], body: body.to_vec(), signature: [[0; 32]; 2] };
        if let Ok(Record::Node(mut record)) = unsigned.record() {
            record.name = "somebody else".to_owned();
            let body = Record::Node(record).encode_body();
            self.own.push_back(Output::Keys(KeysCommand::Sign { command: OWN_COMMAND, role, kind, body }));
        }
    }

    fn twisted(&self, message: Message) -> Message {
        match (message, &self.other_truth) {
            (Message::Records(mut records), Some(other)) => {
                let own = records.records.iter_mut().filter(|one| one.kind == other.kind && one.signer == other.signer);
                own.for_each(|one| *one = other.clone().into());
                Message::Records(records)
            }
            (message, _) => message,
        }
    }

    /// Where in a slice of so many bytes a wrong one stands, if one does.
    pub fn wrong_byte(&mut self, bytes: u64) -> Option<u64> {
        match self.what {
            What::CorruptPayload { share_ppm } if self.luck.one_in_a_million(share_ppm) => Some(self.luck.below(bytes)),
            _ => None,
        }
    }
}
