//! How many connections strangers may hold open here.
//!
//! A stranger's connection is one that a node opened of which nobody here knows anything: it is not of our member, not of
//! a community of ours, no static peer, and nothing is fetched from it. A member's key costs nothing to make, so a
//! certificate alone makes nobody known. Beyond [`CONNECTIONS_FROM_STRANGERS_MAX`] some are closed: a key costs nothing,
//! an address somewhat more, so those go first that come from an address from which most came before them, and of these
//! the newest. A few newcomers get the time to show a certificate first.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_analytics::EventKind;
use mesh_proto::limits::{CONNECTIONS_FROM_STRANGERS_MAX, CONNECTIONS_GREETING_MAX};
use mesh_proto::port::NetCommand;
use mesh_proto::{ConnectionId, NodeId, Timestamp, WakeReason, address};

use crate::Context;

/// A newcomer beyond the limit has so long to show that it is none.
const GREETING: Duration = Duration::from_secs(5);

/// Connections of one address that count as much as the first of another: one for each direction of payload.
const CONNECTIONS_PER_TURN: usize = 2;

/// A connection that its peer opened.
#[derive(Debug, Clone)]
struct Inbound {
    node: NodeId,
    /// From where.
    host: String,
    since: Timestamp,
}

/// The connections opened by others. See the module.
#[derive(Debug, Default)]
pub struct Strangers {
    /// By age: ids grow.
    inbound: BTreeMap<ConnectionId, Inbound>,
    /// Whether who is a stranger may have changed.
    recheck: bool,
    /// When the next greeting is over.
    next: Option<Timestamp>,
}

impl Strangers {
    /// A peer connected to us from this address.
    pub fn on_connected(&mut self, ctx: &Context, connection: ConnectionId, node: NodeId, address: &str) {
        let host = address::host(address).to_owned();
        self.inbound.insert(connection, Inbound { node, host, since: ctx.now });
        self.recheck = true;
    }

    /// A connection ended.
    pub fn on_disconnected(&mut self, connection: ConnectionId) {
        self.recheck |= self.inbound.remove(&connection).is_some();
    }

    /// Certificates changed: who was a stranger may be known now, or the other way round.
    pub fn recheck(&mut self) {
        self.recheck = true;
    }

    /// Closes what is beyond the limit.
    pub fn run(&mut self, ctx: &mut Context, is_stranger: impl Fn(&Context, NodeId) -> bool) {
        if !self.recheck && self.next.is_none_or(|at| at > ctx.now) {
            return;
        }
        (self.recheck, self.next) = (false, None);
        if self.inbound.len() <= CONNECTIONS_FROM_STRANGERS_MAX {
            return;
        }
        let mut from: BTreeMap<&str, usize> = BTreeMap::new();
        let mut strangers: Vec<(usize, ConnectionId, Timestamp)> = Vec::new();
        for (connection, inbound) in self.inbound.iter().filter(|(_, inbound)| is_stranger(ctx, inbound.node)) {
            let before = from.entry(&inbound.host).or_default();
            strangers.push((*before / CONNECTIONS_PER_TURN, *connection, inbound.since.after(GREETING)));
            *before += 1;
        }
        strangers.sort_unstable();
        let beyond = strangers.into_iter().skip(CONNECTIONS_FROM_STRANGERS_MAX);
        let mut greeting = 0;
        for (_, connection, until) in beyond {
            if until > ctx.now && greeting < CONNECTIONS_GREETING_MAX {
                greeting += 1;
                self.next = Some(self.next.map_or(until, |next| next.min(until)));
                continue;
            }
            self.inbound.remove(&connection);
            ctx.count(EventKind::LimitConnections);
            let why = format!(
                "{CONNECTIONS_FROM_STRANGERS_MAX} nodes that nobody here knows are connected already; try again later"
            );
            ctx.net(NetCommand::Close { connection, why });
        }
    }

    /// When a greeting is over.
    #[must_use]
    pub fn deadline(&self) -> Option<(Timestamp, WakeReason)> {
        self.next.map(|at| (at, "end a greeting"))
    }
}

#[cfg(test)]
mod tests {
    use mesh_proto::port::Output;

    use super::*;

    fn closed(ctx: &mut Context) -> Vec<u64> {
        std::iter::from_fn(|| ctx.pop())
            .map(|output| match output {
                Output::Net(NetCommand::Close { connection, .. }) => connection.0,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    /// Somewhere nobody else is.
    fn alone(number: u64) -> String {
        format!("/ip4/10.0.0.{number}/tcp/4340")
    }

    fn node(number: u64) -> NodeId {
        NodeId([u8::try_from(number).expect("few"); 32])
    }

    #[test]
    fn the_newest_strangers_beyond_the_limit_are_closed() {
        let mut ctx = Context::new([0; 32]);
        let mut strangers = Strangers::default();
        let limit = CONNECTIONS_FROM_STRANGERS_MAX as u64;
        let room = CONNECTIONS_GREETING_MAX as u64;
        for number in 0..limit + room + 3 {
            strangers.on_connected(&ctx, ConnectionId(number), node(number), &alone(number));
            strangers.run(&mut ctx, |_, _| true);
        }
        let too_many: Vec<u64> = (limit + room..limit + room + 3).collect();
        assert_eq!(closed(&mut ctx), too_many, "there is no room to greet them");
        ctx.now = strangers.deadline().expect("greetings end").0;
        strangers.run(&mut ctx, |_, _| true);
        assert_eq!(closed(&mut ctx), (limit..limit + room).collect::<Vec<u64>>());
        assert!(ctx.take_counts().eq([(EventKind::LimitConnections, room + 3)]));
        assert_eq!(strangers.deadline(), None);
        strangers.run(&mut ctx, |_, _| true);
        assert!(ctx.is_drained());
    }

    #[test]
    fn who_is_known_by_the_end_of_the_greeting_stays() {
        let mut ctx = Context::new([0; 32]);
        let mut strangers = Strangers::default();
        let limit = CONNECTIONS_FROM_STRANGERS_MAX as u64;
        for number in 0..limit + 2 {
            strangers.on_connected(&ctx, ConnectionId(number), node(number), &alone(number));
        }
        strangers.run(&mut ctx, |_, _| true);
        ctx.now = strangers.deadline().expect("greetings end").0;
        strangers.run(&mut ctx, |_, one| one != node(limit));
        assert_eq!(closed(&mut ctx), vec![limit + 1]);
        // Known ones take no stranger's place, wherever they stand in the line.
        strangers.on_connected(&ctx, ConnectionId(limit + 9), node(limit + 9), &alone(limit + 9));
        strangers.run(&mut ctx, |_, one| one != node(limit) && one != node(3));
        assert!(ctx.is_drained() && strangers.deadline().is_none());
    }

    #[test]
    fn a_crowd_from_one_address_makes_room_for_who_comes_from_another() {
        let mut ctx = Context::new([0; 32]);
        let mut strangers = Strangers::default();
        let limit = CONNECTIONS_FROM_STRANGERS_MAX as u64;
        for number in 0..limit {
            strangers.on_connected(&ctx, ConnectionId(number), node(number), "/ip4/10.0.0.200/tcp/1");
        }
        ctx.now = ctx.now.after(GREETING);
        strangers.run(&mut ctx, |_, _| true);
        assert!(ctx.is_drained());
        for number in limit..limit + 3 {
            strangers.on_connected(&ctx, ConnectionId(number), node(number), &alone(number));
            strangers.run(&mut ctx, |_, _| true);
        }
        assert_eq!(closed(&mut ctx), vec![limit - 1, limit - 2, limit - 3]);
        // One for each direction of payload is what anybody needs.
        strangers.on_connected(&ctx, ConnectionId(limit + 3), node(limit), &alone(limit));
        strangers.run(&mut ctx, |_, _| true);
        assert_eq!(closed(&mut ctx), vec![limit - 4]);
    }
}
