//! What people ask of the world's nodes.

use mesh_proto::bulk::TrafficClass;
use mesh_proto::port::user::{UserCommand, UserReply};
use mesh_proto::port::view::ShareView;
use mesh_proto::record::Access;

use super::World;

impl World {
    /// Shares a path, unlisted.
    pub fn share(&mut self, host: usize, path: &str, access: Access) -> ShareView {
        let (path, access) = (path.to_owned(), Some(access));
        let command = UserCommand::Share { path, name: None, listed: Some(false), tags: None, access };
        match self.reply(host, command) {
            UserReply::Shared(view) => view,
            other => panic!("not shared: {other:?}"),
        }
    }

    /// Begins to fetch.
    pub fn get(&mut self, host: usize, ticket: &str) {
        let reply = self.reply(host, get_command(ticket));
        assert!(matches!(reply, UserReply::Getting(_)), "{reply:?}");
    }

    /// The value of a host's counter that has this label, if it is shown.
    pub fn counter(&mut self, host: usize, label: &str) -> Option<u64> {
        let UserReply::Status(status) = self.reply(host, UserCommand::Status) else { panic!("a status") };
        let has = |labels: &[(String, String)]| labels.iter().any(|(_, value)| value == label);
        status.counters.iter().find(|counter| has(&counter.labels)).map(|counter| counter.value)
    }

    /// The same, of a counter that must be shown.
    pub fn counted(&mut self, host: usize, label: &str) -> u64 {
        self.counter(host, label).unwrap_or_else(|| panic!("{label} is not shown"))
    }
}

/// What a person asks who wants to have something.
pub fn get_command(ticket: &str) -> UserCommand {
    UserCommand::Get {
        ticket: ticket.to_owned(),
        target: "/home/ada/file".to_owned(),
        seed_seconds: None,
        class: TrafficClass::Public,
        priority: 0,
    }
}
