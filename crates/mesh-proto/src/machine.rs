//! The shape of every state machine without I/O: the product's brain, and later the teaching algorithms.

use crate::time::Timestamp;

/// Why a machine wants to be woken: names the culprit when a node spins.
pub type WakeReason = &'static str;

/// A state machine that a driver feeds with inputs and whose outputs it carries out.
///
/// The call order is: [`handle`](Self::handle) once, then [`poll_output`](Self::poll_output) until it returns `None`,
/// then wait for the next input or for [`poll_timeout`](Self::poll_timeout), whichever comes first. A due timeout is
/// itself an input (a tick), handled like any other.
pub trait Machine {
    /// What happens to it.
    type Input;
    /// What it asks for.
    type Output;

    /// Takes one input at virtual time `now`. All outputs must have been drained first.
    fn handle(&mut self, now: Timestamp, input: Self::Input);

    /// The next thing to carry out, in order.
    fn poll_output(&mut self) -> Option<Self::Output>;

    /// When to wake up, and why.
    fn poll_timeout(&self) -> Option<(Timestamp, WakeReason)>;
}
