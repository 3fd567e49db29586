//! A wireless neighbourhood: peers at random places hear those within their radio's range (Gilbert 1961).
//!
//! Invariant: whether two peers hear each other is decided in whole centimetres.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::components::Components;
use super::super::error::TopologyError;
use super::super::graph::{LINKS_MAX, Position, Topology, check_size};
use super::builder::Builder;
use crate::Stream;
use crate::link::{LinkChoice, LinkQuality, Loss, PPM, Preset};

/// Peers that are linked, the lower number first.
type Pairs = Vec<(u32, u32)>;

/// Most peers: joining what is apart compares each with each.
pub const GEOMETRIC_NODES_MAX: u32 = 10_000;
/// Places are drawn so often at most.
pub const REDRAWS_MAX: u32 = 100;
/// Longest side of the square.
const SIDE_M_MAX: u32 = 1_000_000;

/// Peers at places drawn evenly from a square; those within range of each other are linked.
///
/// With n peers, side s and range r the mean number of neighbours is (n − 1)(πq² − 8q³/3 + q⁴/2), q = r ÷ s ≤ 1: near
/// (n − 1)πq², less what lies beyond the square's border.
///
/// A link is at its best up to a quarter of the range. From there to the range's end the rate falls as the logarithm of
/// one plus the signal over the noise, with the cube of the distance (Shannon's bound; a sixth is left at the end, as
/// of a radio that steps from 54 down to 9 Mbit/s), and loss grows with the distance's fourth power by up to
/// `edge_loss_ppm`. Loss in bursts or from a trace stays as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Geometric {
    /// Peers, 1 to 10,000.
    pub nodes: u32,
    /// Side of the square in metres, 1 to 1,000,000.
    pub side_m: u32,
    /// How far a radio is heard, in metres, 1 to 1,000,000.
    pub range_m: u32,
    /// What is done where not all peers reach each other. Default: `shortest_links`.
    #[serde(default)]
    pub connect: Connect,
    /// Who shares airtime. Default: `neighbours`.
    #[serde(default)]
    pub air: Air,
    /// Loss added at the end of the range, in parts per million. Default 50,000.
    #[serde(default = "five_percent")]
    pub edge_loss_ppm: u32,
    /// Kinds of link, at their best. Default: `mesh_radio`, with independent loss of 1,000 ppm in place of its fades.
    #[serde(default)]
    pub links: Vec<LinkChoice>,
}

fn five_percent() -> u32 {
    50_000
}

/// What is done where not all peers reach each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Connect {
    /// The shortest links that are missing are added, of the quality at the end of the range: somebody put up a
    /// directed antenna.
    #[default]
    ShortestLinks,
    /// All places are drawn again, at most 100 times: then the topology is refused.
    Redraw,
}

/// Who shares airtime.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Air {
    /// The square is cut into cells with sides as long as the range; a link takes the air of the cells its ends stand
    /// in. (A radio senses others from about twice as far as it understands them, so those in a cell wait for each
    /// other.)
    #[default]
    Neighbours,
    /// All links take the same air.
    All,
    /// Every link has air of its own.
    None,
}

impl Geometric {
    /// Makes it.
    ///
    /// # Errors
    /// If a parameter is outside its range, or places drawn again and again are never connected.
    pub fn make(&self, seed: u64) -> Result<Topology, TopologyError> {
        self.check()?;
        let defaults = default_links();
        let links = if self.links.is_empty() { &defaults } else { &self.links };
        let mut builder = Builder::with_peers(seed, links, Preset::MeshRadio, (self.nodes, 1))?;
        let (places, pairs) = self.places_and_pairs(seed)?;
        for (peer, place) in (0u32..).zip(&places) {
            builder.node_mut(peer).position = Some(*place);
        }
        for (a, b) in pairs {
            let (from, to) = (places[a as usize], places[b as usize]);
            let share = (libm::sqrt(from.square_to(to) as f64) / (f64::from(self.range_m) * 100.0)).min(1.0);
            let mut choice = builder.draw();
            choice.quality = self.at_distance(choice.quality, share);
            choice.back = choice.back.map(|back| self.at_distance(back, share));
            builder.link_of(a, b, choice);
            for place in [from, to] {
                self.share_air(&mut builder, place);
            }
        }
        builder.finish()
    }

    fn check(&self) -> Result<(), TopologyError> {
        check_size("nodes", u64::from(self.nodes), GEOMETRIC_NODES_MAX)?;
        for (key, metres) in [("side_m", self.side_m), ("range_m", self.range_m)] {
            if !(1..=SIDE_M_MAX).contains(&metres) {
                return Err(TopologyError::out_of_range(key, metres, "1 to 1000000"));
            }
        }
        match self.edge_loss_ppm <= PPM {
            true => Ok(()),
            false => Err(TopologyError::out_of_range("edge_loss_ppm", self.edge_loss_ppm, "0 to 1000000")),
        }
    }

    /// Where peers stand, and which are linked.
    fn places_and_pairs(&self, seed: u64) -> Result<(Vec<Position>, Pairs), TopologyError> {
        let tries = if self.connect == Connect::Redraw { REDRAWS_MAX } else { 1 };
        for draw in 0..tries {
            let places = self.draw_places(&mut Stream::new(seed, "topology shape", u64::from(draw)));
            let mut pairs = self.pairs_in_range(&places)?;
            let mut components = Components::new(places.len());
            pairs.iter().for_each(|(a, b)| _ = components.join(*a, *b));
            if components.count() > 1 && self.connect == Connect::Redraw {
                continue;
            }
            if components.count() > 1 {
                pairs.extend(shortest_missing(&places, &mut components));
            }
            return Ok((places, pairs));
        }
        Err(TopologyError::NeverConnected { tries })
    }

    fn draw_places(&self, shape: &mut Stream) -> Vec<Position> {
        let side_cm = u64::from(self.side_m) * 100;
        let mut draw = || shape.below(side_cm + 1) as i32;
        (0..self.nodes).map(|_| Position { x_cm: draw(), y_cm: draw() }).collect()
    }

    /// The cell a place lies in; cells are as long as the range.
    fn cell(&self, place: Position) -> (i64, i64) {
        let side_cm = i64::from(self.range_m) * 100;
        (i64::from(place.x_cm).div_euclid(side_cm), i64::from(place.y_cm).div_euclid(side_cm))
    }

    /// All pairs within range, the lower number first, in order.
    fn pairs_in_range(&self, places: &[Position]) -> Result<Pairs, TopologyError> {
        let square_max = (u64::from(self.range_m) * 100).pow(2);
        let mut cells: BTreeMap<(i64, i64), Vec<u32>> = BTreeMap::new();
        let mut pairs = Vec::new();
        for (peer, place) in (0u32..).zip(places) {
            let (x, y) = self.cell(*place);
            let before = pairs.len();
            for cell in (x - 1..=x + 1).flat_map(|x| (y - 1..=y + 1).map(move |y| (x, y))) {
                let others = cells.get(&cell).map(Vec::as_slice).unwrap_or_default();
                let near = others.iter().filter(|other| places[**other as usize].square_to(*place) <= square_max);
                pairs.extend(near.map(|other| (*other, peer)));
            }
            pairs[before..].sort_unstable();
            check_size("links", pairs.len() as u64, LINKS_MAX)?;
            cells.entry((x, y)).or_default().push(peer);
        }
        Ok(pairs)
    }

    /// What a link is like at a share of the range.
    fn at_distance(&self, mut quality: LinkQuality, share: f64) -> LinkQuality {
        let signal = |share: f64| libm::log2(1.0 + 1.0 / (share * share * share));
        let left = (signal(share.max(0.25)) / signal(0.25)).min(1.0);
        quality.rate_bytes_per_s = (libm::floor(quality.rate_bytes_per_s as f64 * left) as u64).max(1);
        let at_best = match quality.loss {
            Loss::None => 0,
            Loss::Independent { ppm } => ppm,
            Loss::GilbertElliott { .. } | Loss::Trace(_) => return quality,
        };
        let added = libm::round(f64::from(self.edge_loss_ppm) * share * share * share * share) as u32;
        quality.loss = Loss::Independent { ppm: (at_best + added).min(PPM) };
        quality
    }

    fn share_air(&self, builder: &mut Builder, place: Position) {
        /// Beyond the numbers that files may give to channels.
        const FIRST_KEY: u64 = 1 << 20;
        let (x, y) = match self.air {
            Air::None => return,
            Air::All => (0, 0),
            Air::Neighbours => self.cell(place),
        };
        let cells_in_row = u64::from(self.side_m) / u64::from(self.range_m) + 1;
        let key = FIRST_KEY + y as u64 * cells_in_row + x as u64;
        let channel = builder.channel(key, &format!("air-{x}-{y}"));
        builder.share_air(channel);
    }
}

fn default_links() -> Vec<LinkChoice> {
    let quality = LinkQuality { loss: Loss::Independent { ppm: 1000 }, ..Preset::MeshRadio.quality() };
    vec![LinkChoice::symmetric(quality)]
}

/// The shortest links that join what is apart, added one after the other from peer 0's part on (Prim 1957). Of equal
/// lengths the one with the lower peers comes first.
fn shortest_missing(places: &[Position], components: &mut Components) -> Pairs {
    let part: Vec<u32> = (0..places.len() as u32).map(|peer| components.lowest(peer)).collect();
    let mut members: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (peer, lowest) in (0u32..).zip(&part) {
        members.entry(*lowest).or_default().push(peer);
    }
    // For each peer that is not joined yet: how near the nearest that is joined stands, and which it is.
    let mut nearest = vec![(u64::MAX, 0u32); places.len()];
    let mut added = Vec::new();
    let mut joining = members.remove(&0).unwrap_or_default();
    while !members.is_empty() {
        for peer in members.values().flatten() {
            let found = joining.iter().map(|other| (places[*peer as usize].square_to(places[*other as usize]), *other));
            let best = &mut nearest[*peer as usize];
            *best = found.min().map_or(*best, |found| found.min(*best));
        }
        let apart = members.values().flatten();
        let next = apart.min_by_key(|peer| (nearest[**peer as usize], **peer)).copied();
        let Some(peer) = next else { break };
        let other = nearest[peer as usize].1;
        added.push((peer.min(other), peer.max(other)));
        joining = members.remove(&part[peer as usize]).unwrap_or_default();
    }
    added
}
