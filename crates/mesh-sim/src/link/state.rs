//! One direction of a link as it runs: answers what becomes of a frame, and carries nothing itself.
//!
//! Invariant: each answer takes a fixed number of numbers from the stream it is given (one, or none), and states in
//! time come from the link's own stream by counter. So a probe, or another quality, shifts nothing.

use mesh_proto::Timestamp;

use super::loss::LossProcess;
use super::quality::LinkQuality;
use crate::Stream;

/// One direction of a link in a run.
#[derive(Debug, Clone)]
pub struct LinkState {
    quality: LinkQuality,
    losses: LossProcess,
    mean_loss_ppm: u32,
    is_slow: bool,
}

impl LinkState {
    /// A link of this quality, whose good and bad times come from a stream of its own. With the same stream it has the
    /// same times again, as after a fault that changed its quality for a while.
    #[must_use]
    pub fn new(quality: LinkQuality, states: Stream) -> Self {
        let losses = LossProcess::new(&quality.loss, states);
        let (mean_loss_ppm, is_slow) = (quality.loss.mean_ppm(), quality.loss.is_slow());
        Self { quality, losses, mean_loss_ppm, is_slow }
    }

    /// What it is like.
    #[must_use]
    pub fn quality(&self) -> &LinkQuality {
        &self.quality
    }

    /// Whether its schedule has it on.
    #[must_use]
    pub fn up(&self, now: Timestamp) -> bool {
        self.quality.schedule.as_ref().is_none_or(|schedule| schedule.is_on(now))
    }

    /// The next moment after `now` at which [`up`](Self::up) or [`loss_ppm`](Self::loss_ppm) may answer otherwise.
    #[must_use]
    pub fn next_change(&mut self, now: Timestamp) -> Option<Timestamp> {
        let turn = self.quality.schedule.as_ref().and_then(|schedule| schedule.next_change(now));
        let loss = if self.is_slow { self.losses.at(now).1 } else { None };
        [turn, loss].into_iter().flatten().min()
    }

    /// How long a frame that leaves now takes, in nanoseconds. Frames keep their order on most links: whoever carries
    /// them lets none overtake, except past those that are [reordered](Self::reordered_by_ns). Takes one number.
    pub fn delay_ns(&self, stream: &mut Stream) -> u64 {
        self.quality.latency.draw(stream)
    }

    /// How much later than its turn a frame arrives, if it is one of those that others overtake. Takes one number.
    pub fn reordered_by_ns(&self, stream: &mut Stream) -> Option<u64> {
        happens(self.quality.reordering_ppm, stream).then_some(self.quality.reordering_delay_ns)
    }

    /// Whether a frame that leaves now is lost. Takes one number.
    pub fn is_lost(&mut self, now: Timestamp, stream: &mut Stream) -> bool {
        happens(self.losses.at(now).0, stream)
    }

    /// Whether a frame arrives twice. Takes one number.
    pub fn is_duplicated(&self, stream: &mut Stream) -> bool {
        happens(self.quality.duplication_ppm, stream)
    }

    /// The share lost that a flow sees from now until [`next_change`](Self::next_change), in parts per million: the
    /// present state's where states last a second or more on average, the long mean where they are shorter.
    #[must_use]
    pub fn loss_ppm(&mut self, now: Timestamp) -> u32 {
        if self.is_slow { self.losses.at(now).0 } else { self.mean_loss_ppm }
    }
}

/// True so many times out of a million. The same number decides for every share, so that a higher share hits the same
/// frames and more.
fn happens(ppm: u32, stream: &mut Stream) -> bool {
    stream.unit() * 1e6 < f64::from(ppm)
}
