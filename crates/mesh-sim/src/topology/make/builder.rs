//! Puts a topology together, link by link.
//!
//! Invariant: each link takes one number of its stream, in the order of links.

use std::collections::BTreeMap;

use super::super::error::TopologyError;
use super::super::graph::{Link, NODES_MAX, Node, Position, RadioChannel, Role, Topology, check_size};
use crate::Stream;
use crate::link::{LinkChoice, Preset};

/// A topology in the making.
pub(super) struct Builder {
    topology: Topology,
    choices: Vec<LinkChoice>,
    luck: Stream,
    /// The topology's channel of each channel number of a choice.
    channels: BTreeMap<u64, u32>,
}

impl Builder {
    /// So many peers, at least `min`, for links of these kinds; of the preset, if there are none.
    pub fn with_peers(
        seed: u64,
        links: &[LinkChoice],
        default: Preset,
        (nodes, min): (u32, u32),
    ) -> Result<Self, TopologyError> {
        if nodes < min {
            return Err(TopologyError::out_of_range("nodes", nodes, "at least what the shape needs, to 100000"));
        }
        check_size("nodes", u64::from(nodes), NODES_MAX)?;
        let choices = if links.is_empty() { vec![LinkChoice::preset(default)] } else { links.to_vec() };
        let luck = Stream::new(seed, "topology links", 0);
        let mut builder = Self { topology: Topology::default(), choices, luck, channels: BTreeMap::new() };
        for number in 0..nodes {
            builder.node(format!("peer-{number}"), Role::Peer, None);
        }
        Ok(builder)
    }

    /// Adds a node; its number.
    pub fn node(&mut self, name: String, role: Role, position: Option<Position>) -> u32 {
        self.topology.nodes.push(Node { name, label: None, role, position });
        self.topology.nodes.len() as u32 - 1
    }

    /// A node, to change.
    pub fn node_mut(&mut self, node: u32) -> &mut Node {
        &mut self.topology.nodes[node as usize]
    }

    /// Draws one of the kinds of link.
    pub fn draw(&mut self) -> LinkChoice {
        LinkChoice::draw(&self.choices, &mut self.luck).expect("the list is never empty, nor are weights 0").clone()
    }

    /// Adds a link of a drawn kind.
    pub fn link(&mut self, a: u32, b: u32) {
        let choice = self.draw();
        self.link_of(a, b, choice);
    }

    /// Adds a link of this kind.
    pub fn link_of(&mut self, a: u32, b: u32, choice: LinkChoice) {
        let channels = choice.channel.map(|channel| self.channel(u64::from(channel), &format!("channel-{channel}")));
        let channels = channels.into_iter().collect();
        self.topology.links.push(Link { a, b, quality: choice.quality, back: choice.back, channels });
    }

    /// The radio channel of a key, made when it is first asked for.
    pub fn channel(&mut self, key: u64, name: &str) -> u32 {
        *self.channels.entry(key).or_insert_with(|| {
            self.topology.channels.push(RadioChannel { name: name.to_owned(), rate_bytes_per_s: 1 });
            self.topology.channels.len() as u32 - 1
        })
    }

    /// Puts the last link on a radio channel too.
    pub fn share_air(&mut self, channel: u32) {
        let link = self.topology.links.last_mut();
        if let Some(channels) = link.map(|link| &mut link.channels).filter(|channels| !channels.contains(&channel)) {
            channels.push(channel);
        }
    }

    /// The topology.
    pub fn finish(mut self) -> Result<Topology, TopologyError> {
        let Topology { links, channels, .. } = &mut self.topology;
        for link in links.iter() {
            let back = link.back.as_ref().map_or(0, |back| back.rate_bytes_per_s);
            for channel in &link.channels {
                let rate = &mut channels[*channel as usize].rate_bytes_per_s;
                *rate = (*rate).max(link.quality.rate_bytes_per_s).max(back);
            }
        }
        self.topology.check()?;
        Ok(self.topology)
    }
}
