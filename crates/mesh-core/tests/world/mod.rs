//! A small world for tests of the brain: nodes in virtual time, links with a rate and a delay, a store in memory.
//!
//! It carries out commands as the real drivers do, only exactly: what a test sees follows from its numbers.

pub mod people;
pub mod person;
mod signing;
mod store;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use mesh_core::{BrainConfig, Node};
use mesh_proto::bulk::SpanRequest;
use mesh_proto::extensions::Extensions;
use mesh_proto::limits::CONTROL_OUTBOX_FRAMES_MAX;
use mesh_proto::message::Message;
use mesh_proto::payload::SinkError;
use mesh_proto::port::net::{DiscoveredBy, FetchOutcome, LinkClass, ServeId, ServeState};
use mesh_proto::port::user::{UserCommand, UserReply};
use mesh_proto::port::{Event, Input, KeysInput, NetCommand, NetInput, Output, UserRequestId};
use mesh_proto::record::{Access, CatalogueEntry, ContentKind, Record, Signed, Subject};
use mesh_proto::{CommandId, ConnectionId, ContentId, Machine, NodeId, Timestamp, UnixMs};

#[allow(unused_imports, reason = "not every test signs records")]
pub use signing::signed;
pub use store::Store;

/// More messages at once would soon fill the queue of a real connection, which closes it.
const FRAMES_AT_ONCE_MAX: usize = CONTROL_OUTBOX_FRAMES_MAX / 4;

/// Something that will happen to a node.
enum Happening {
    Input(usize, Box<Input>),
    Wake(usize),
}

/// A fetch under way, as both ends see it.
struct Flow {
    getter: usize,
    source: usize,
    fetch: CommandId,
    request: SpanRequest,
    received: u64,
    verified: u32,
}

/// One node of the world.
pub struct Host {
    pub brain: Node,
    pub id: NodeId,
    pub store: Store,
    pub events: Vec<Event>,
    pub replies: BTreeMap<UserRequestId, UserReply>,
    /// Bytes per second it can send.
    pub up_bytes_per_s: u64,
    /// Whether every span it sends has a wrong byte in its second chunk.
    pub corrupts: bool,
    /// Whether it takes requests for spans and never sends any.
    pub silent: bool,
    pub alive: bool,
    /// Whether it answered to being asked to stop.
    pub stopped: bool,
    member: Option<[u8; 32]>,
    uplink_free: u64,
    woken_for: Option<Timestamp>,
}

/// The world. Time is nanoseconds.
pub struct World {
    pub now: u64,
    pub hosts: Vec<Host>,
    pub delay: Duration,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    sequence: u64,
    connections: BTreeMap<(usize, usize), ConnectionId>,
    flows: BTreeMap<ServeId, Flow>,
    next_id: u64,
    pub wakes: u64,
    /// Whether hosts added from now on use the wider lookup.
    pub kademlia: bool,
    /// The wider lookup: who announced which keys.
    pub announced: BTreeMap<usize, Vec<[u8; 32]>>,
    /// When which host asked the wider lookup for which key.
    pub lookups: Vec<(u64, usize, [u8; 32])>,
    /// Connections, and who opened them.
    opened_by: BTreeMap<ConnectionId, usize>,
    /// Messages sent.
    pub frames: u64,
    /// Records in them, by who they were sent to.
    pub records_to: BTreeMap<usize, usize>,
    /// Hosts below this number reach those from it on only from first to first.
    pub border: Option<usize>,
    /// Why connections were closed by whom.
    pub closed: Vec<(usize, String)>,
}

pub fn address(host: usize) -> String {
    format!("/ip4/10.0.0.{}/tcp/4340", host + 1)
}

impl World {
    pub fn new() -> Self {
        Self {
            now: 1_000_000_000,
            hosts: Vec::new(),
            delay: Duration::from_micros(500),
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            sequence: 0,
            connections: BTreeMap::new(),
            flows: BTreeMap::new(),
            next_id: 1,
            wakes: 0,
            kademlia: false,
            announced: BTreeMap::new(),
            lookups: Vec::new(),
            opened_by: BTreeMap::new(),
            frames: 0,
            records_to: BTreeMap::new(),
            border: None,
            closed: Vec::new(),
        }
    }

    /// How many contents a host is being sent spans of.
    pub fn contents_in_flight(&self, getter: usize) -> usize {
        let flows = self.flows.values().filter(|flow| flow.getter == getter);
        flows.map(|flow| flow.request.content).collect::<std::collections::BTreeSet<_>>().len()
    }

    /// Adds a node that knows the addresses of `seeds`, and starts it.
    pub fn add(&mut self, up_bytes_per_s: u64, seeds: &[usize]) -> usize {
        self.add_with(up_bytes_per_s, seeds, &[])
    }

    /// Adds a node whose store holds records from an earlier run.
    pub fn add_with(&mut self, up_bytes_per_s: u64, seeds: &[usize], records: &[Signed]) -> usize {
        let index = self.hosts.len();
        let config = self.config(seeds);
        let id = NodeId([u8::try_from(index + 1).expect("few hosts"); 32]);
        let mut store = Store::default();
        store.keep_records(records);
        self.hosts.push(Host {
            brain: Node::new(config, id.0),
            id,
            store,
            events: Vec::new(),
            replies: BTreeMap::new(),
            up_bytes_per_s,
            corrupts: false,
            silent: false,
            alive: true,
            stopped: false,
            member: None,
            uplink_free: 0,
            woken_for: None,
        });
        self.boot(index);
        index
    }

    fn config(&self, seeds: &[usize]) -> BrainConfig {
        let seeds = seeds.iter().map(|seed| address(*seed)).collect();
        BrainConfig { seeds, kademlia: self.kademlia, ..Default::default() }
    }

    fn boot(&mut self, index: usize) {
        let id = self.hosts[index].id;
        let opened = self.hosts[index].store.opened();
        self.soon(index, Input::Keys(KeysInput::Loaded { node: id.0, member: None, communities: Vec::new() }));
        self.soon(index, Input::Clock { unix: UnixMs(1_700_000_000_000), trusted: true });
        self.soon(index, Input::Store(opened));
        self.soon(index, Input::Net(NetInput::Listening { address: address(index) }));
    }

    /// Sets a node's civil clock.
    pub fn set_clock(&mut self, index: usize, unix: UnixMs, trusted: bool) {
        self.soon(index, Input::Clock { unix, trusted });
    }

    /// Ends a node's process at once, and its connections.
    pub fn kill(&mut self, index: usize) {
        self.hosts[index].alive = false;
        let broken: Vec<(usize, usize)> =
            self.connections.keys().copied().filter(|(a, b)| *a == index || *b == index).collect();
        for pair in broken {
            self.disconnect(pair);
        }
    }

    /// Tells a brain that its node shall end.
    pub fn ask_to_stop(&mut self, index: usize) {
        self.soon(index, Input::Stop);
    }

    /// Ends a node's process as its program does: first the network, then the brain.
    pub fn stop(&mut self, index: usize) {
        let pairs: Vec<(usize, usize)> =
            self.connections.keys().copied().filter(|(a, b)| *a == index || *b == index).collect();
        pairs.into_iter().for_each(|pair| self.disconnect(pair));
        self.ask_to_stop(index);
        assert!(self.run_until(Duration::from_secs(5), |world| world.hosts[index].stopped), "no answer to a stop");
        self.kill(index);
    }

    /// Starts a killed node again with what its store kept.
    pub fn restart(&mut self, index: usize, seeds: &[usize]) {
        let config = self.config(seeds);
        let host = &mut self.hosts[index];
        host.brain = Node::new(config, [8; 32]);
        (host.alive, host.stopped, host.woken_for) = (true, false, None);
        host.store.crash();
        self.boot(index);
    }

    /// Breaks the given one of the connections that stand.
    pub fn cut(&mut self, number: usize) {
        if let Some(pair) = self.connections.keys().nth(number % self.connections.len().max(1)).copied() {
            self.disconnect(pair);
        }
    }

    fn disconnect(&mut self, (a, b): (usize, usize)) {
        let Some(connection) = self.connections.remove(&(a, b)) else { return };
        let broken: Vec<ServeId> = self
            .flows
            .iter()
            .filter(|(_, flow)| [(a, b), (b, a)].contains(&(flow.getter, flow.source)))
            .map(|(serve, _)| *serve)
            .collect();
        for serve in broken {
            self.end_flow(serve, FetchOutcome::Disconnected, true);
        }
        for (here, there) in [(a, b), (b, a)] {
            let node = self.hosts[there].id;
            let why = "the world ended it".to_owned();
            self.soon(here, Input::Net(NetInput::Disconnected { connection, node, why }));
        }
    }

    fn end_flow(&mut self, serve: ServeId, outcome: FetchOutcome, withdraw: bool) {
        let Some(flow) = self.flows.remove(&serve) else { return };
        let input = NetInput::Fetched {
            command: flow.fetch,
            outcome,
            received_bytes: flow.received,
            chunks_verified: flow.verified,
            aside_bytes: 0,
        };
        self.soon(flow.getter, Input::Net(input));
        if withdraw {
            self.soon(flow.source, Input::Net(NetInput::SpanWithdrawn { serve }));
        }
    }

    fn soon(&mut self, host: usize, input: Input) {
        self.at(self.now, Happening::Input(host, Box::new(input)));
    }

    fn later(&mut self, host: usize, at: u64, input: Input) {
        self.at(at, Happening::Input(host, Box::new(input)));
    }

    fn at(&mut self, at: u64, happening: Happening) {
        self.sequence += 1;
        self.queue.push(Reverse((at.max(self.now), self.sequence)));
        self.happenings.insert(self.sequence, happening);
    }

    /// Asks a node for something.
    pub fn ask(&mut self, host: usize, command: UserCommand) -> UserRequestId {
        self.next_id += 1;
        let request = UserRequestId(self.next_id);
        self.soon(host, Input::User { request, command });
        request
    }

    /// Asks and runs until it is answered.
    pub fn reply(&mut self, host: usize, command: UserCommand) -> UserReply {
        let request = self.ask(host, command);
        self.run_until(Duration::from_secs(60), |world| world.hosts[host].replies.contains_key(&request));
        self.hosts[host].replies.remove(&request).expect("an answer within a minute")
    }

    /// Runs until `done` or for `time`; says whether it was done.
    pub fn run_until(&mut self, time: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + u64::try_from(time.as_nanos()).expect("short");
        while !done(self) {
            let Some(Reverse((at, sequence))) = self.queue.pop() else { return false };
            if at > end {
                self.queue.push(Reverse((at, sequence)));
                self.now = end;
                return false;
            }
            self.now = at;
            let happening = self.happenings.remove(&sequence).expect("each entry has its happening");
            self.happen(happening);
        }
        true
    }

    /// Lets time pass.
    pub fn settle(&mut self, seconds: u64) {
        self.run_until(Duration::from_secs(seconds), |_| false);
    }

    fn happen(&mut self, happening: Happening) {
        let (host, input) = match happening {
            Happening::Input(host, input) => (host, *input),
            // It was to be woken earlier or later meanwhile.
            Happening::Wake(host) if self.hosts[host].woken_for != Some(Timestamp(self.now)) => return,
            Happening::Wake(host) => {
                self.hosts[host].woken_for = None;
                self.wakes += 1;
                (host, Input::Tick)
            }
        };
        if !self.hosts[host].alive {
            return;
        }
        self.hosts[host].brain.handle(Timestamp(self.now), input);
        let mut sent: BTreeMap<NodeId, usize> = BTreeMap::new();
        while let Some(output) = self.hosts[host].brain.poll_output() {
            if let Output::Net(NetCommand::Send { node, .. }) = &output {
                let frames = sent.entry(*node).or_default();
                *frames += 1;
                self.frames += 1;
                assert!(*frames <= FRAMES_AT_ONCE_MAX, "{frames} messages to one peer at once");
            }
            self.carry_out(host, output);
        }
        let wanted = self.hosts[host].brain.poll_timeout();
        let wanted = wanted.map(|(at, _)| at.max(Timestamp(self.now + 1000)));
        if wanted != self.hosts[host].woken_for {
            self.hosts[host].woken_for = wanted;
            if let Some(at) = wanted {
                self.at(at.0, Happening::Wake(host));
            }
        }
    }

    fn carry_out(&mut self, host: usize, output: Output) {
        match output {
            Output::Net(command) => self.net(host, command),
            Output::Store(command) => {
                for input in self.hosts[host].store.carry_out(command) {
                    self.soon(host, Input::Store(input));
                }
            }
            Output::Keys(command) => {
                let input = signing::keys(&mut self.hosts[host], command);
                self.soon(host, Input::Keys(input));
            }
            Output::Reply { request, reply } => {
                self.hosts[host].replies.insert(request, reply);
            }
            Output::Report(event) => self.hosts[host].events.push(event),
            Output::Stopped => self.hosts[host].stopped = true,
        }
    }

    fn delay_ns(&self) -> u64 {
        u64::try_from(self.delay.as_nanos()).expect("short")
    }

    fn net(&mut self, host: usize, command: NetCommand) {
        let arrives = self.now + self.delay_ns();
        match command {
            NetCommand::Dial { command, addresses, .. } => self.dial(host, command, &addresses),
            NetCommand::Send { node, message } => {
                let Some(peer) = self.index_of(node) else { return };
                let Some(connection) = self.connection(host, peer) else { return };
                if let Message::Records(records) = &message {
                    *self.records_to.entry(peer).or_default() += records.records.len();
                }
                let node = self.hosts[host].id;
                self.later(peer, arrives, Input::Net(NetInput::Received { connection, node, message }));
            }
            NetCommand::Fetch { command, node, request, stall_ms_max } => {
                self.fetch(host, command, node, request);
                self.stall(host, command, node, stall_ms_max);
            }
            NetCommand::CancelFetch { fetch } => {
                let serve = self.flows.iter().find(|(_, flow)| flow.fetch == fetch && flow.getter == host);
                if let Some(serve) = serve.map(|(serve, _)| *serve) {
                    self.end_flow(serve, FetchOutcome::Cancelled, true);
                }
            }
            NetCommand::Grant { command, serve, bytes } => self.grant(host, command, serve, bytes),
            NetCommand::Refuse { serve, reason } => self.end_flow(serve, FetchOutcome::Refused(reason), false),
            NetCommand::Close { connection, why } => {
                let pair =
                    self.connections.iter().find(|(_, standing)| **standing == connection).map(|(pair, _)| *pair);
                if let Some(pair) = pair {
                    self.closed.push((host, why));
                    self.disconnect(pair);
                }
            }
            NetCommand::Provide { keys } => {
                self.announced.insert(host, keys);
            }
            NetCommand::FindProviders { command, key } => self.find_providers(host, command, key),
            _ => {}
        }
    }

    /// Names every living host that announced the key, where it is, and one that is not.
    fn find_providers(&mut self, host: usize, command: CommandId, key: [u8; 32]) {
        self.lookups.push((self.now, host, key));
        let at = self.now + 4 * self.delay_ns();
        let holds = |(peer, keys): &(&usize, &Vec<[u8; 32]>)| keys.contains(&key) && self.hosts[**peer].alive;
        let found: Vec<usize> = self.announced.iter().filter(holds).map(|(peer, _)| *peer).collect();
        let mut nodes = vec![NodeId([0xee; 32])];
        for peer in found {
            let node = self.hosts[peer].id;
            let addresses = vec![address(peer)];
            let by = DiscoveredBy::Kademlia;
            self.later(host, at, Input::Net(NetInput::Discovered { node, addresses, by }));
            nodes.push(node);
        }
        self.later(host, at, Input::Net(NetInput::ProvidersFound { command, nodes }));
    }

    fn index_of(&self, node: NodeId) -> Option<usize> {
        self.hosts.iter().position(|host| host.id == node)
    }

    fn connection(&self, a: usize, b: usize) -> Option<ConnectionId> {
        self.connections.get(&(a.min(b), a.max(b))).copied()
    }

    fn is_reachable(&self, a: usize, b: usize) -> bool {
        self.border.is_none_or(|border| (a < border) == (b < border) || (a.min(b), a.max(b)) == (0, border))
    }

    fn dial(&mut self, host: usize, command: CommandId, addresses: &[String]) {
        let peer = (0..self.hosts.len()).find(|peer| {
            let alive = self.hosts[*peer].alive && *peer != host && self.is_reachable(host, *peer);
            alive && addresses.iter().any(|text| mesh_proto::address::bare(text) == address(*peer))
        });
        let at = self.now + 2 * self.delay_ns();
        let Some(peer) = peer else {
            let result = Err(mesh_proto::port::Failure::passing("nobody answers"));
            return self.later(host, at, Input::Net(NetInput::Dialled { command, result }));
        };
        let known = self.connection(host, peer);
        let pair = (host.min(peer), host.max(peer));
        if known.is_none() {
            self.next_id += 1;
            let connection = ConnectionId(self.next_id);
            self.connections.insert(pair, connection);
            self.opened_by.insert(connection, host);
            for (here, there, dialled) in [(host, peer, true), (peer, host, false)] {
                let node = self.hosts[there].id;
                let class = LinkClass::SameSegment;
                let input = NetInput::Connected { connection, node, address: address(there), dialled, class };
                self.later(here, at, Input::Net(input));
            }
        }
        let result = Ok(self.hosts[peer].id);
        self.later(host, at, Input::Net(NetInput::Dialled { command, result }));
    }

    /// What comes of a fetch from a source that sends nothing.
    fn stall(&mut self, getter: usize, command: CommandId, node: NodeId, stall_ms_max: u64) {
        if self.index_of(node).is_some_and(|source| self.hosts[source].silent) {
            let (outcome, at) = (FetchOutcome::Stalled, self.now + stall_ms_max * 1_000_000);
            let input = NetInput::Fetched { command, outcome, received_bytes: 0, chunks_verified: 0, aside_bytes: 0 };
            self.later(getter, at, Input::Net(input));
        }
    }

    fn fetch(&mut self, getter: usize, fetch: CommandId, node: NodeId, request: SpanRequest) {
        let source = self.index_of(node).filter(|peer| self.connection(getter, *peer).is_some());
        self.next_id += 1;
        let serve = ServeId(self.next_id);
        let Some(source) = source else {
            let flow = Flow { getter, source: getter, fetch, request, received: 0, verified: 0 };
            self.flows.insert(serve, flow);
            return self.end_flow(serve, FetchOutcome::Disconnected, false);
        };
        let connection = self.connection(getter, source).expect("just looked up");
        let input =
            NetInput::SpanRequested { serve, connection, node: self.hosts[getter].id, request: request.clone() };
        self.flows.insert(serve, Flow { getter, source, fetch, request, received: 0, verified: 0 });
        let at = self.now + self.delay_ns();
        if !self.hosts[source].silent {
            self.later(source, at, Input::Net(input));
        }
    }

    fn grant(&mut self, source: usize, command: CommandId, serve: ServeId, bytes: u64) {
        let Some(flow) = self.flows.get_mut(&serve) else {
            let input = NetInput::Granted { command, serve, sent_bytes: 0, state: ServeState::Gone };
            return self.soon(source, Input::Net(input));
        };
        let bytes = bytes.min(flow.request.payload_bytes - flow.received);
        flow.received += bytes;
        let (fetch, getter, received) = (flow.fetch, flow.getter, flow.received);
        let ended = received == flow.request.payload_bytes;
        let chunks = flow.request.chunks;
        let content = flow.request.content;
        let sender = &mut self.hosts[source];
        let time = u128::from(bytes) * 1_000_000_000 / u128::from(sender.up_bytes_per_s);
        sender.uplink_free = sender.uplink_free.max(self.now) + u64::try_from(time).expect("short");
        let (sent_at, corrupts) = (sender.uplink_free, sender.corrupts);
        let arrives = sent_at + self.delay_ns();
        let receipt = arrives + self.delay_ns();
        let state = if ended { ServeState::Ended } else { ServeState::More };
        self.soon(source, Input::Net(NetInput::Granted { command, serve, sent_bytes: bytes, state }));
        let progress = NetInput::FetchProgress { command: fetch, received_bytes: received, chunks_verified: 0 };
        self.later(getter, arrives, Input::Net(progress));
        self.later(source, receipt, Input::Net(NetInput::Receipt { serve, drained_bytes: received }));
        if ended {
            let good = if corrupts { chunks.count.min(1) - u32::from(chunks.count == 1) } else { chunks.count };
            self.hosts[getter].store.received(content, mesh_proto::ChunkRange { start: chunks.start, count: good });
            let outcome = match corrupts {
                true => FetchOutcome::Sink(SinkError::Mismatch { chunk: chunks.start + good }),
                false => FetchOutcome::Complete,
            };
            let flow = self.flows.remove(&serve).expect("looked up above");
            let input = NetInput::Fetched {
                command: flow.fetch,
                outcome,
                received_bytes: received,
                chunks_verified: good,
                aside_bytes: 0,
            };
            self.later(getter, arrives, Input::Net(input));
            for input in self.hosts[getter].store.listing_news(content) {
                self.later(getter, arrives, Input::Store(input));
            }
        }
    }

    /// Lets a message arrive at a host as if a peer had sent it.
    pub fn inject(&mut self, host: usize, from: usize, message: Message) {
        let connection = self.connection(host, from).expect("they are connected");
        let node = self.hosts[from].id;
        self.soon(host, Input::Net(NetInput::Received { connection, node, message }));
    }

    /// Whether two hosts are connected.
    pub fn is_connected(&self, a: usize, b: usize) -> bool {
        self.connection(a, b).is_some()
    }

    /// Whose connections to a host stand that the others opened.
    pub fn opened_to(&self, host: usize) -> Vec<usize> {
        let at = |(pair, connection): (&(usize, usize), &ConnectionId)| {
            let opener = self.opened_by[connection];
            (opener != host && [pair.0, pair.1].contains(&host)).then_some(opener)
        };
        self.connections.iter().filter_map(at).collect()
    }

    /// Events of a host that `pick` knows.
    pub fn seen<T>(&self, host: usize, pick: impl Fn(&Event) -> Option<T>) -> Vec<T> {
        self.hosts[host].events.iter().filter_map(pick).collect()
    }
}

/// A catalogue entry that says little.
pub fn entry(content: ContentId, version: u64, withdrawn: bool, name: &str) -> Record {
    Record::Catalogue(CatalogueEntry {
        subject: Subject::Content(content),
        version,
        withdrawn,
        name: name.to_owned(),
        size_bytes: 1,
        kind: ContentKind::File,
        tags: Vec::new(),
        access: Access::Public,
        priority: 0,
        replicas_wanted: 0,
        expires: UnixMs(0),
        extensions: Extensions::default(),
    })
}
