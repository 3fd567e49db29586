//! What this node announces in the wider lookup, and when.
//!
//! Only discovery keys are announced, so that who does not know a content's id learns nothing of it; only of what
//! strangers may fetch, so that nobody comes in vain; and only while a peer is there to hear it. Saying it again from
//! time to time is the lookup's own housekeeping.

use std::cmp::Reverse;
use std::time::Duration;

use mesh_proto::limits::LOOKUP_KEYS_MAX;
use mesh_proto::port::NetCommand;
use mesh_proto::record::Access;
use mesh_proto::{Timestamp, WakeReason};

use crate::Context;
use crate::contents::{Content, Contents};

/// Changes wait so long for more, and the first announcement for the lookup's table to fill.
const SETTLE: Duration = Duration::from_secs(3);
/// What is announced changes at most so often.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(30);

/// The announcements. See the module.
#[derive(Debug, Default)]
pub struct Announcements {
    /// As they were sent, in order of the keys.
    announced: Vec<[u8; 32]>,
    /// Of the contents, when they were last looked at.
    revision: Option<u64>,
    due: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl Announcements {
    /// Announces what is due; `heard` says whether a peer is connected.
    pub fn run(&mut self, ctx: &mut Context, contents: &Contents, heard: bool) {
        if !heard {
            self.take_back(ctx);
            return;
        }
        if self.revision != Some(contents.revision()) {
            self.revision = Some(contents.revision());
            let earliest = self.last.map_or(ctx.now, |last| last.after(ANNOUNCE_EVERY));
            self.due.get_or_insert(ctx.now.after(SETTLE).max(earliest));
        }
        if self.due.is_some_and(|due| due <= ctx.now) {
            self.due = None;
            let keys = chosen(ctx, contents);
            if keys != self.announced {
                self.announced.clone_from(&keys);
                self.last = Some(ctx.now);
                ctx.net(NetCommand::Provide { keys });
            }
        }
    }

    /// Nobody is there: an announcement made now would reach nobody, and one made before may be forgotten when somebody
    /// is there again. So all of it is new then.
    fn take_back(&mut self, ctx: &mut Context) {
        (self.revision, self.due) = (None, None);
        if !self.announced.is_empty() {
            self.announced.clear();
            ctx.net(NetCommand::Provide { keys: Vec::new() });
        }
    }

    /// When something is due.
    #[must_use]
    pub fn deadline(&self) -> Option<(Timestamp, WakeReason)> {
        self.due.map(|at| (at, "announce contents"))
    }
}

/// The keys to announce: what is listed first, then what came last, in order of the keys.
fn chosen(ctx: &Context, contents: &Contents) -> Vec<[u8; 32]> {
    let for_strangers = |content: &&Content| {
        matches!(content.treatment.access, Access::Public | Access::Ticket) && content.is_served(ctx.unix())
    };
    let rank = |content: &Content| {
        let treatment = &content.treatment;
        (Reverse(treatment.listed), Reverse(treatment.added), content.stored.content)
    };
    let mut ranked: Vec<_> = contents.all().filter(for_strangers).map(rank).collect();
    ranked.sort_unstable();
    ranked.truncate(LOOKUP_KEYS_MAX);
    let mut keys: Vec<[u8; 32]> = ranked.into_iter().map(|(_, _, content)| content.discovery_key()).collect();
    keys.sort_unstable();
    keys
}
