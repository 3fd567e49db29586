//! A node that hears of nothing but payload: what else falls due is done all the same, in time.

use std::time::Duration;

use mesh_core::{BrainConfig, Node};
use mesh_proto::port::store::StoreInput;
use mesh_proto::port::{Failure, Input, KeysInput, NetCommand, NetInput, Output};
use mesh_proto::{CommandId, ConnectionId, Machine as _, NodeId, Timestamp, UnixMs};

const STEP: Duration = Duration::from_millis(10);

/// The dials that follow from an input.
fn dials(node: &mut Node, now: Timestamp, input: Input) -> Vec<CommandId> {
    node.handle(now, input);
    let outputs: Vec<Output> = std::iter::from_fn(|| node.poll_output()).collect();
    let dial = |output: &Output| match output {
        Output::Net(NetCommand::Dial { command, .. }) => Some(*command),
        _ => None,
    };
    outputs.iter().filter_map(dial).collect()
}

#[test]
fn a_seed_is_dialled_in_time_while_others_fetch_without_a_pause() {
    let seeds = vec!["/ip4/10.0.0.9/tcp/4001".to_owned()];
    let mut node = Node::new(BrainConfig { seeds, ..BrainConfig::default() }, [1; 32]);
    let mut now = Timestamp(1_000_000);
    dials(&mut node, now, Input::Keys(KeysInput::Loaded { node: [9; 32], member: None, communities: Vec::new() }));
    dials(&mut node, now, Input::Clock { unix: UnixMs(1_700_000_000_000), trusted: true });
    let opened = StoreInput::Opened { rows: Vec::new(), contents: Vec::new(), repairs: Vec::new() };
    let [command] = dials(&mut node, now, Input::Store(opened))[..] else { panic!("it has one seed") };
    let result = Err(Failure::passing("nobody answers"));
    assert_eq!(dials(&mut node, now, Input::Net(NetInput::Dialled { command, result })), []);
    let (due, why) = node.poll_timeout().expect("it will try again");
    assert_eq!(why, "dial a peer");
    loop {
        now = now.after(STEP);
        let heard = NetInput::Rtt { connection: ConnectionId(1), node: NodeId([3; 32]), rtt_us: 900 };
        let dialled = !dials(&mut node, now, Input::Net(heard)).is_empty();
        assert_eq!(dialled, now >= due, "it is due at {due:?}, and it is {now:?}");
        if dialled {
            break;
        }
    }
}
