//! The machine the kernel drives: the product's brain, unchanged, and what a misbehaving node does around it.
//!
//! Invariant: without a behaviour, inputs and outputs pass as they are.

use mesh_core::Node;
use mesh_proto::port::{Input, Output};
use mesh_proto::{Machine, Timestamp, WakeReason};

use super::behaviour::Behaviour;
use super::node::NodeOptions;

/// One node's brain. See the module.
#[derive(Debug)]
pub struct Actor {
    brain: Box<Node>,
    behaviours: Vec<Behaviour>,
}

impl Actor {
    /// A brain for a new process of a node.
    #[must_use]
    pub fn new(options: &NodeOptions, seed: [u8; 32]) -> Self {
        let brain = Node::new(options.config.clone(), seed);
        #[cfg(feature = "planted")]
        let brain = brain.with_defect(options.planted);
        Self { brain: Box::new(brain), behaviours: Vec::new() }
    }

    /// The brain, to look at.
    #[must_use]
    pub fn brain(&self) -> &Node {
        &self.brain
    }

    /// From now on it misbehaves so, too.
    pub fn add_behaviour(&mut self, behaviour: Behaviour) {
        self.behaviours.push(behaviour);
    }

    /// It no longer misbehaves so.
    pub fn remove_behaviour(&mut self, id: u64) {
        self.behaviours.retain(|behaviour| behaviour.id != id);
    }

    /// Where in a slice of so many bytes a wrong one stands, if one does.
    pub fn wrong_byte(&mut self, bytes: u64) -> Option<u64> {
        self.behaviours.iter_mut().find_map(|behaviour| behaviour.wrong_byte(bytes))
    }
}

impl Machine for Actor {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Timestamp, input: Input) {
        let hear = |input: Option<Input>, behaviour: &mut Behaviour| input.and_then(|input| behaviour.hear(now, input));
        if let Some(input) = self.behaviours.iter_mut().fold(Some(input), hear) {
            self.brain.handle(now, input);
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        while let Some(output) = self.brain.poll_output() {
            let say =
                |output: Option<Output>, behaviour: &mut Behaviour| output.and_then(|output| behaviour.say(output));
            let said = self.behaviours.iter_mut().fold(Some(output), say);
            if said.is_some() {
                return said;
            }
        }
        self.behaviours.iter_mut().find_map(Behaviour::poll_own)
    }

    fn poll_timeout(&self) -> Option<(Timestamp, WakeReason)> {
        let own = self.behaviours.iter().filter_map(Behaviour::wakes_at).min().map(|at| (at, "misbehave"));
        [self.brain.poll_timeout(), own].into_iter().flatten().min()
    }
}
