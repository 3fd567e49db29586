//! What received contents may take on disk: refusing what can never fit, and removing what is loose, oldest first.
//!
//! Invariant: what is shared in place neither counts nor is removed; a pinned content counts and is not removed.

use mesh_analytics::EventKind;
use mesh_proto::port::store::StoreCommand;
use mesh_proto::port::view::GcView;
use mesh_proto::port::{Event, UserRequestId};
use mesh_proto::{ByteCount, ContentId, UnixMs};

use crate::node::{Node, Pending};
use crate::transfer::Room;

impl Node {
    /// Sets the quota and meets it; answered with what was removed.
    pub(crate) fn set_quota(&mut self, request: UserRequestId, bytes: u64) {
        let rows = self.settings.set_quota(bytes);
        let view = self.collect_over_quota(None);
        let command = self.ctx.command_id();
        self.pending.insert(command, Pending::Quota { request, view });
        self.ctx.store(StoreCommand::Write { command, put: rows, delete: Vec::new() });
    }

    /// Meets the quota and lets the store look for strays.
    pub(crate) fn collect(&mut self) -> GcView {
        let view = self.collect_over_quota(None);
        let command = self.ctx.command_id();
        self.pending.insert(command, Pending::Quiet);
        self.ctx.store(StoreCommand::Sweep { command });
        view
    }

    /// Meets the quota after a content came, which itself stays, and tells people what had to go.
    pub(crate) fn make_room_for(&mut self, content: ContentId) {
        let view = self.collect_over_quota(Some(content));
        if view.removed > 0 {
            let (count, freed) = (view.removed, ByteCount(view.freed_bytes));
            let quota = ByteCount(self.settings.quota_bytes);
            let message = format!(
                "the quota of {quota} was exceeded: {count} of the oldest contents received ({freed}) were removed; \
                 `mesh-node pin` keeps one, `mesh-node quota` changes it"
            );
            self.ctx.report(Event::Warning { message });
        }
    }

    /// What may be received at most; `None` = no limit.
    pub(crate) fn room(&self) -> Option<Room> {
        let quota_bytes = self.settings.quota_bytes;
        let received = self.contents.all().filter(|content| !content.stored.in_place);
        let pinned = received.filter(|content| content.treatment.pinned);
        let pinned_bytes = pinned.map(|content| content.stored.total_bytes).sum();
        (quota_bytes > 0).then_some(Room { quota_bytes, pinned_bytes })
    }

    /// Removes received, unpinned contents, oldest first, until the quota is met; never `keep`.
    fn collect_over_quota(&mut self, keep: Option<ContentId>) -> GcView {
        let mut view = GcView { removed: 0, freed_bytes: 0, over_bytes: 0 };
        if self.settings.quota_bytes == 0 {
            return view;
        }
        let received = self.contents.all().filter(|content| !content.stored.in_place);
        let mut total: u64 = received.map(|content| content.stored.total_bytes).sum();
        let mut loose: Vec<(UnixMs, ContentId, u64)> = self
            .contents
            .all()
            .filter(|content| !content.stored.in_place && !content.treatment.pinned)
            .map(|content| (content.treatment.added, content.stored.content, content.stored.total_bytes))
            .filter(|(_, content, _)| Some(*content) != keep)
            .collect();
        loose.sort_unstable();
        for (_, content, bytes) in loose {
            if total <= self.settings.quota_bytes {
                break;
            }
            if self.remove(None, content, true).is_ok() {
                self.ctx.count(EventKind::LimitQuota);
                total -= bytes;
                view.removed += 1;
                view.freed_bytes += bytes;
            }
        }
        view.over_bytes = total.saturating_sub(self.settings.quota_bytes);
        view
    }
}
