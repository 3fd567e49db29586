//! Whom a node greets: who is new, and who comes back before it was missed, as after a power cut.

use std::time::Duration;

use mesh_core::{BrainConfig, Node};
use mesh_proto::extensions::Extensions;
use mesh_proto::message::{Hello, Message};
use mesh_proto::port::net::LinkClass;
use mesh_proto::port::store::StoreInput;
use mesh_proto::port::{Input, KeysInput, NetCommand, NetInput, Output};
use mesh_proto::{ConnectionId, Machine as _, NodeId, Timestamp, UnixMs};

const PEER: NodeId = NodeId([3; 32]);
const CLOCK: UnixMs = UnixMs(1_700_000_000_000);

struct Host {
    node: Node,
    now: Timestamp,
}

impl Host {
    fn open() -> Self {
        let mut host = Self { node: Node::new(BrainConfig::default(), [1; 32]), now: Timestamp(1_000_000) };
        host.hellos(Input::Keys(KeysInput::Loaded { node: [9; 32], member: None, communities: Vec::new() }));
        host.hellos(Input::Clock { unix: CLOCK, trusted: true });
        let opened = StoreInput::Opened { rows: Vec::new(), contents: Vec::new(), repairs: Vec::new() };
        host.hellos(Input::Store(opened));
        host
    }

    /// How often the peer is greeted because of this.
    fn hellos(&mut self, input: Input) -> usize {
        self.now = self.now.after(Duration::from_millis(10));
        self.node.handle(self.now, input);
        let outputs = std::iter::from_fn(|| self.node.poll_output());
        let greets =
            |output: &Output| matches!(output, Output::Net(NetCommand::Send { message: Message::Hello(_), .. }));
        outputs.filter(greets).count()
    }

    fn connected(&mut self, number: u64) -> usize {
        let (connection, address) = (ConnectionId(number), "/ip4/10.0.0.3/tcp/4001".to_owned());
        let class = LinkClass::SameSegment;
        self.hellos(Input::Net(NetInput::Connected { connection, node: PEER, address, dialled: false, class }))
    }

    fn greeted(&mut self, number: u64) -> usize {
        let hello = Hello {
            agent: "mesh".to_owned(),
            name: "peer".to_owned(),
            credentials: Vec::new(),
            clock: CLOCK,
            extensions: Extensions::default(),
        };
        let (connection, message) = (ConnectionId(number), Message::Hello(hello));
        self.hellos(Input::Net(NetInput::Received { connection, node: PEER, message }))
    }
}

#[test]
fn who_comes_back_before_it_was_missed_is_greeted_again_and_once() {
    let mut host = Host::open();
    assert_eq!((host.connected(1), host.greeted(1)), (1, 0));
    assert_eq!(host.greeted(1), 0, "it only says it twice");
    assert_eq!(host.connected(2), 0, "perhaps both dialled at once");
    assert_eq!(host.greeted(2), 1, "it began anew, and waits for a hello");
    assert_eq!(host.greeted(2), 0, "else two nodes could greet each other for ever");
}

#[test]
fn who_dials_while_it_is_dialled_is_greeted_once() {
    let mut host = Host::open();
    assert_eq!((host.connected(1), host.connected(2)), (1, 0));
    assert_eq!(host.greeted(2), 0);
}
