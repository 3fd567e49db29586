//! A network as data: nodes, the links between them, and the radio channels that links share.
//!
//! Invariant: what a maker or a reader hands out passes [`Topology::check`].

use mesh_proto::port::net::LinkClass;
use serde::{Deserialize, Serialize};

use super::components::Components;
use super::error::TopologyError;
use crate::link::LinkQuality;

/// Most nodes.
pub const NODES_MAX: u32 = 100_000;
/// Most links.
pub const LINKS_MAX: u32 = 200_000;
/// Most radio channels.
pub const CHANNELS_MAX: u32 = 100_000;
/// Most radio channels of one link.
pub const CHANNELS_PER_LINK_MAX: usize = 8;
/// Longest name or label of a node, in bytes.
pub const NAME_BYTES_MAX: usize = 255;

/// A network.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Topology {
    /// Nodes, by number. Those that run the program come first.
    pub nodes: Vec<Node>,
    /// Links, by number.
    pub links: Vec<Link>,
    /// Radio channels, by number.
    pub channels: Vec<RadioChannel>,
}

/// A place where links meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name; no two are equal.
    pub name: String,
    /// What people call it, if that is something else.
    pub label: Option<String>,
    /// What it is there for.
    pub role: Role,
    /// Where it stands, if that is known.
    pub position: Option<Position>,
}

/// What a node is there for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs the program, and passes on what goes by.
    #[default]
    Peer,
    /// Runs the program, and has a path to the internet.
    Gateway,
    /// Only passes on, from segment to segment.
    Router,
    /// Only passes on within its segment: its neighbours hear each other's multicast.
    Switch,
}

impl Role {
    /// Its name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Gateway => "gateway",
            Self::Router => "router",
            Self::Switch => "switch",
        }
    }

    /// The role of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Peer, Self::Gateway, Self::Router, Self::Switch].into_iter().find(|role| role.name() == name)
    }

    /// Whether a node of this role runs the program.
    #[must_use]
    pub fn runs_the_program(self) -> bool {
        matches!(self, Self::Peer | Self::Gateway)
    }
}

/// A place on a plane, in whole centimetres, so that it survives any file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// To the east.
    pub x_cm: i32,
    /// To the north.
    pub y_cm: i32,
}

impl Position {
    /// The place at so many metres, if it lies within 20,000 km.
    #[must_use]
    pub fn from_metres(x_m: f64, y_m: f64) -> Option<Self> {
        let centimetres = |metres: f64| {
            let is_near = (-2e7..=2e7).contains(&metres);
            is_near.then(|| libm::round(metres * 100.0) as i32)
        };
        Some(Self { x_cm: centimetres(x_m)?, y_cm: centimetres(y_m)? })
    }

    /// To the east, in metres.
    #[must_use]
    pub fn x_m(self) -> f64 {
        f64::from(self.x_cm) / 100.0
    }

    /// To the north, in metres.
    #[must_use]
    pub fn y_m(self) -> f64 {
        f64::from(self.y_cm) / 100.0
    }

    /// The square of the distance in centimetres: exact, and in the order of distances.
    #[must_use]
    pub fn square_to(self, other: Self) -> u64 {
        let along = |a: i32, b: i32| u64::from(a.abs_diff(b)).pow(2);
        along(self.x_cm, other.x_cm) + along(self.y_cm, other.y_cm)
    }
}

/// Two nodes that hear each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// The first end.
    pub a: u32,
    /// The second: towards switch, hub, root or gateway, where there is one.
    pub b: u32,
    /// From the first end to the second.
    pub quality: LinkQuality,
    /// From the second to the first, where that differs.
    pub back: Option<LinkQuality>,
    /// The radio channels whose airtime both directions take, by number, at most [`CHANNELS_PER_LINK_MAX`].
    pub channels: Vec<u32>,
}

/// A piece of air that links share: at any time one of them sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RadioChannel {
    /// Its name.
    pub name: String,
    /// The rate of its fastest link: what a second of airtime carries at best.
    pub rate_bytes_per_s: u64,
}

impl RadioChannel {
    /// The airtime that bytes on a link of this rate take, in thousandths of what they take on the fastest link.
    #[must_use]
    pub fn airtime_permille(&self, link_rate_bytes_per_s: u64) -> u32 {
        let fastest = u128::from(self.rate_bytes_per_s) * 1000;
        u32::try_from(fastest.div_ceil(u128::from(link_rate_bytes_per_s.max(1)))).unwrap_or(u32::MAX)
    }
}

/// One direction of a link: twice the link's number, and one more from its second end to its first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DirectedLink(pub u32);

impl DirectedLink {
    /// Both directions of a link.
    #[must_use]
    pub fn both(link: u32) -> [Self; 2] {
        [Self(link * 2), Self(link * 2 + 1)]
    }

    /// The link it is a direction of.
    #[must_use]
    pub fn link(self) -> u32 {
        self.0 / 2
    }

    /// Whether it leads from the link's second end to its first.
    #[must_use]
    pub fn is_back(self) -> bool {
        self.0 % 2 == 1
    }

    /// The other direction.
    #[must_use]
    pub fn reverse(self) -> Self {
        Self(self.0 ^ 1)
    }
}

impl Topology {
    /// The link of a direction.
    ///
    /// # Panics
    /// If there is none of this number.
    #[must_use]
    pub fn link(&self, directed: DirectedLink) -> &Link {
        &self.links[directed.link() as usize]
    }

    /// The ends of a direction: from, to.
    ///
    /// # Panics
    /// If there is none of this number.
    #[must_use]
    pub fn ends(&self, directed: DirectedLink) -> (u32, u32) {
        let link = self.link(directed);
        if directed.is_back() { (link.b, link.a) } else { (link.a, link.b) }
    }

    /// What a direction is like.
    ///
    /// # Panics
    /// If there is none of this number.
    #[must_use]
    pub fn quality(&self, directed: DirectedLink) -> &LinkQuality {
        let link = self.link(directed);
        link.back.as_ref().filter(|_| directed.is_back()).unwrap_or(&link.quality)
    }

    /// Every direction of every link.
    pub fn directed_links(&self) -> impl Iterator<Item = DirectedLink> + use<> {
        (0..self.links.len() as u32).flat_map(DirectedLink::both)
    }

    /// How many nodes run the program.
    #[must_use]
    pub fn programs(&self) -> usize {
        self.nodes.iter().filter(|node| node.role.runs_the_program()).count()
    }

    /// The number of each node's links.
    #[must_use]
    pub fn degrees(&self) -> Vec<u32> {
        let mut degrees = vec![0; self.nodes.len()];
        for end in self.links.iter().flat_map(|link| [link.a, link.b]) {
            degrees[end as usize] += 1;
        }
        degrees
    }

    /// Whether links lead from every node to every other, if all are up.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        let mut components = Components::new(self.nodes.len());
        for link in &self.links {
            components.join(link.a, link.b);
        }
        components.count() <= 1
    }

    /// What a path of links looks like from its ends.
    ///
    /// # Panics
    /// If a link is not of this topology.
    #[must_use]
    pub fn path(&self, links: &[DirectedLink]) -> Path {
        let mut path = Path::default();
        let mut delivered = 1.0;
        for (index, directed) in links.iter().enumerate() {
            let quality = self.quality(*directed);
            path.latency_ns = path.latency_ns.saturating_add(quality.latency.mean_ns());
            path.rate_bytes_per_s = path.rate_bytes_per_s.min(quality.rate_bytes_per_s);
            path.is_metered |= quality.is_metered;
            path.cost_per_mib = path.cost_per_mib.saturating_add(quality.cost_per_mib);
            delivered *= 1.0 - f64::from(quality.loss.mean_ppm()) / 1e6;
            let passes_on = index > 0 && self.nodes[self.ends(*directed).0 as usize].role != Role::Switch;
            let class = if passes_on { quality.class.max(LinkClass::Farther) } else { quality.class };
            path.class = path.class.max(class);
        }
        if path.is_metered {
            path.class = LinkClass::Metered;
        }
        path.loss_ppm = libm::round((1.0 - delivered) * 1e6) as u32;
        path
    }

    /// Whether numbers fit together, names differ, and everything is within its limit.
    ///
    /// # Errors
    /// What is not.
    pub fn check(&self) -> Result<(), TopologyError> {
        check_size("nodes", self.nodes.len() as u64, NODES_MAX)?;
        check_size("links", self.links.len() as u64, LINKS_MAX)?;
        check_size("channels", self.channels.len() as u64, CHANNELS_MAX)?;
        let mut names: Vec<&str> = self.nodes.iter().map(|node| node.name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(TopologyError::NameTwice { name: pair[0].to_owned() });
        }
        for (number, link) in self.links.iter().enumerate() {
            let known = |end: u32| (end as usize) < self.nodes.len();
            if !known(link.a) || !known(link.b) || link.a == link.b {
                return Err(TopologyError::BadLink { link: number as u32, problem: "it does not join two nodes" });
            }
            let known = |channel: &u32| (*channel as usize) < self.channels.len();
            if link.channels.len() > CHANNELS_PER_LINK_MAX || !link.channels.iter().all(known) {
                let problem = "it has a channel that is not there, or more than 8";
                return Err(TopologyError::BadLink { link: number as u32, problem });
            }
            for quality in [Some(&link.quality), link.back.as_ref()].into_iter().flatten() {
                quality.check()?;
            }
        }
        Ok(())
    }
}

/// Whether there are not too many of something.
pub(super) fn check_size(what: &'static str, found: u64, max: u32) -> Result<(), TopologyError> {
    match found <= u64::from(max) {
        true => Ok(()),
        false => Err(TopologyError::TooMany { what, found, max }),
    }
}

/// What a path looks like from its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path {
    /// How far it goes: same segment if all its links are and only switches pass it on; metered if any link is.
    pub class: LinkClass,
    /// Mean time of a small frame.
    pub latency_ns: u64,
    /// The slowest link's rate; the largest number for a path without links.
    pub rate_bytes_per_s: u64,
    /// Mean loss of all links together, in parts per million.
    pub loss_ppm: u32,
    /// Whether somebody pays by the byte.
    pub is_metered: bool,
    /// What a MiB costs over all of it, in units of money.
    pub cost_per_mib: u32,
}

impl Default for Path {
    /// From a node to itself.
    fn default() -> Self {
        Self {
            class: LinkClass::Loopback,
            latency_ns: 0,
            rate_bytes_per_s: u64::MAX,
            loss_ppm: 0,
            is_metered: false,
            cost_per_mib: 0,
        }
    }
}
