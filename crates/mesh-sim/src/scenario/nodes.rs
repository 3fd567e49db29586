//! How the nodes of a scenario are: their settings, their clocks, and when they start.

use serde::{Deserialize, Serialize};

use super::ScenarioError;
use crate::draw::{Distribution, Refused, SECONDS_MAX, check};
use crate::random::Stream;
use crate::select::Selector;
use crate::world::node::NodeOptions;

/// The furthest that a clock may be off at the start, in seconds: a century.
const OFF_S_MAX: f64 = 3_155_760_000.0;
/// The most that a clock may gain or lose, in millionths.
const DRIFT_PPM_MAX: f64 = 500_000.0;

/// How nodes are. What is not said is as a fresh node's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodePlan {
    /// When nodes start.
    pub start: Start,
    /// Nodes that start later, as newcomers.
    pub newcomers: Option<Newcomers>,
    /// Whether nodes look for others by multicast.
    pub mdns: bool,
    /// Whether nodes use the wider lookup.
    pub kademlia: bool,
    /// How many static peers each node has, chosen by lot among nodes with a lower number. Without multicast at least one
    /// is needed.
    pub seeds: u32,
    /// How the uplink is shared: `deficit-round-robin` or `first-come`.
    pub discipline: String,
    /// How often records are compared with a random peer, in milliseconds; 0 = never.
    pub gossip_interval_ms: u64,
    /// How often connections are probed, in milliseconds; 0 = never.
    pub ping_interval_ms: u64,
    /// Limit on sending payload, in bytes per second; 0 = none.
    pub limit_up_bytes_per_s: u64,
    /// Limit on receiving payload, in bytes per second; 0 = none.
    pub limit_down_bytes_per_s: u64,
    /// What received contents may take on disk, in bytes; 0 = no limit.
    pub quota_bytes: u64,
    /// How clocks are.
    pub clock: ClockPlan,
}

/// Within which time nodes start.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Start {
    /// Each node starts at a random moment of the first so many seconds.
    pub within_s: f64,
}

/// Nodes that start later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Newcomers {
    /// Which.
    pub who: Selector,
    /// When, in seconds.
    pub at_s: f64,
}

/// How clocks are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClockPlan {
    /// By how many seconds civil time is off at the start; drawn for each node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub off_s: Option<Distribution>,
    /// Whether it may be off to either side, by a coin for each node.
    pub either_side: bool,
    /// How many millionths the monotonic clock gains; drawn for each node, to either side by a coin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift_ppm: Option<Distribution>,
    /// Whether nodes are told that civil time is not to be trusted.
    pub untrusted: bool,
}

impl Default for Start {
    fn default() -> Self {
        Self { within_s: 5.0 }
    }
}

impl Default for NodePlan {
    fn default() -> Self {
        let fresh = NodeOptions::default().config;
        Self {
            start: Start::default(),
            newcomers: None,
            mdns: fresh.mdns,
            kademlia: fresh.kademlia,
            seeds: 0,
            discipline: fresh.discipline,
            gossip_interval_ms: fresh.gossip_interval_ms,
            ping_interval_ms: fresh.ping_interval_ms,
            limit_up_bytes_per_s: 0,
            limit_down_bytes_per_s: 0,
            quota_bytes: 0,
            clock: ClockPlan::default(),
        }
    }
}

impl NodePlan {
    /// Refuses values out of range.
    ///
    /// # Errors
    /// [`ScenarioError`] with the field.
    pub fn validate(&self) -> Result<(), ScenarioError> {
        let inside = |refused: Refused| ScenarioError::Text(refused.inside("node").to_string());
        check("start.within_s", self.start.within_s, 0.0..=SECONDS_MAX).map_err(inside)?;
        if let Some(newcomers) = &self.newcomers {
            check("newcomers.at_s", newcomers.at_s, 0.0..=SECONDS_MAX).map_err(inside)?;
            newcomers.who.validate().map_err(|refused| inside(refused.inside("newcomers.who")))?;
        }
        check("seeds", self.seeds, 0..=16).map_err(inside)?;
        if !["deficit-round-robin", "first-come"].contains(&self.discipline.as_str()) {
            let allowed = "deficit-round-robin or first-come";
            return Err(inside(Refused::new("discipline", &self.discipline, allowed)));
        }
        if let Some(off_s) = &self.clock.off_s {
            off_s.validate().map_err(|refused| inside(refused.inside("clock.off_s")))?;
            check("clock.off_s.mean", off_s.mean(), 0.0..=OFF_S_MAX).map_err(inside)?;
        }
        if let Some(drift_ppm) = &self.clock.drift_ppm {
            drift_ppm.validate().map_err(|refused| inside(refused.inside("clock.drift_ppm")))?;
            check("clock.drift_ppm.mean", drift_ppm.mean(), 0.0..=DRIFT_PPM_MAX).map_err(inside)?;
        }
        Ok(())
    }

    /// How one node is in the run of a seed. `addresses` gives where a node listens.
    #[must_use]
    pub fn options(&self, seed: u64, node: u32, name: &str, address: impl Fn(u32) -> String) -> NodeOptions {
        let mut options = NodeOptions::default();
        let config = &mut options.config;
        config.node_name = name.to_owned();
        (config.mdns, config.kademlia) = (self.mdns, self.kademlia);
        config.discipline.clone_from(&self.discipline);
        config.gossip_interval_ms = self.gossip_interval_ms;
        config.ping_interval_ms = self.ping_interval_ms;
        config.limit_up_bytes_per_s = self.limit_up_bytes_per_s;
        config.limit_down_bytes_per_s = self.limit_down_bytes_per_s;
        config.quota_bytes = self.quota_bytes;
        let mut luck = Stream::new(seed, "static peers", u64::from(node));
        for _ in 0..self.seeds.min(node) {
            config.seeds.push(address(luck.below(u64::from(node)) as u32));
        }
        config.seeds.sort_unstable();
        config.seeds.dedup();
        self.clock.apply(seed, node, &mut options);
        options
    }
}

impl ClockPlan {
    fn apply(&self, seed: u64, node: u32, options: &mut NodeOptions) {
        options.clock_trusted = !self.untrusted;
        if let Some(off_s) = &self.off_s {
            let mut luck = Stream::new(seed, "clock off", u64::from(node));
            let off_ms = (off_s.draw(&mut luck).min(OFF_S_MAX) * 1e3) as i64;
            options.clock_off_ms = if self.either_side && luck.below(2) == 1 { -off_ms } else { off_ms };
        }
        if let Some(drift_ppm) = &self.drift_ppm {
            let mut luck = Stream::new(seed, "clock drift", u64::from(node));
            let drift_ppb = (drift_ppm.draw(&mut luck).min(DRIFT_PPM_MAX) * 1e3) as i32;
            options.drift_ppb = if luck.below(2) == 1 { -drift_ppb } else { drift_ppb };
        }
    }
}
