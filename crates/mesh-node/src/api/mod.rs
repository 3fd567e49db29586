//! The control API of a running node: HTTP/1.1 on the loopback interface, for the command line and other programs.
//!
//! | to find | look in |
//! |---|---|
//! | which operations there are, and what they take | [`routes`], the one table |
//! | how a call becomes a command, and a reply an answer | [`call`] |
//! | who may call | [`guard`] |
//! | which connections are served when many want to be | `places`, `patient` |
//! | what is said of calls that were refused | `refusals` |
//! | what errors mean as statuses and exit codes | [`outcome`] |
//! | the document other programs read | [`openapi`] |
//! | the counters as OpenMetrics | [`metrics`] |
//! | the server and its client | [`server`], [`client`] |
//!
//! Invariant: no route, not even a missing one, answers before the guard has seen the request, and no handler reaches the
//! node without the guard's proof that it has.

pub mod call;
pub mod client;
mod connection;
pub mod guard;
mod handlers;
pub mod metrics;
pub mod openapi;
pub mod outcome;
mod patient;
mod places;
mod refusals;
pub mod routes;
mod samples;
pub mod server;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;

use mesh_proto::port::{Event, UserCommand, UserReply};
use tokio::sync::broadcast;

pub use client::{Client, ClientError, EventReader};
pub use server::{Server, ServerError};

/// A reply that is on its way.
pub type PendingReply<'a> = Pin<Box<dyn Future<Output = UserReply> + Send + 'a>>;

/// What the API stands in front of: a node, or a stub in tests.
pub trait Backend: Send + Sync + 'static {
    /// Asks for something.
    fn request(&self, command: UserCommand) -> PendingReply<'_>;

    /// Hears what happens from now on.
    fn events(&self) -> broadcast::Receiver<Event>;
}

impl Backend for crate::Node {
    fn request(&self, command: UserCommand) -> PendingReply<'_> {
        Box::pin(crate::Node::request(self, command))
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        crate::Node::events(self)
    }
}
