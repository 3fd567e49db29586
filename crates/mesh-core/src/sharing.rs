//! What a person shares: how it is to be treated, and what becomes of what was shared from there before.

use mesh_proto::limits::{NAME_BYTES_MAX, TAG_BYTES_MAX, TAGS_MAX};
use mesh_proto::port::store::{StoreCommand, StoredContent};
use mesh_proto::port::user::{ErrorKind, UserError, UserReply};
use mesh_proto::port::view::ShareView;
use mesh_proto::port::{Failure, UserRequestId};
use mesh_proto::record::Access;
use mesh_proto::{CommandId, ContentId, UnixMs};

use crate::contents::{Treatment, last_part};
use crate::node::{Node, Pending};
use crate::transfer::state::hex;
use crate::user::check_path;

/// How a person wants a content to be treated. What they do not say stays as it is, if they share it again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wishes {
    pub(crate) name: Option<String>,
    pub(crate) listed: Option<bool>,
    pub(crate) tags: Option<Vec<String>>,
    pub(crate) access: Option<Access>,
}

impl Wishes {
    fn check(&self) -> Result<(), UserError> {
        let wrong = |message: String| Err(UserError::new(ErrorKind::Invalid, message, ""));
        if self.name.as_ref().is_some_and(|name| name.is_empty() || name.len() > NAME_BYTES_MAX) {
            return wrong(format!("a name has 1 to {NAME_BYTES_MAX} bytes"));
        }
        let tags = self.tags.as_deref().unwrap_or_default();
        if tags.len() > TAGS_MAX || tags.iter().any(|tag| tag.is_empty() || tag.len() > TAG_BYTES_MAX) {
            return wrong(format!("there can be {TAGS_MAX} tags of at most {TAG_BYTES_MAX} bytes"));
        }
        Ok(())
    }

    /// How a content shared from `path` is treated from now on.
    fn over(self, before: Option<&Treatment>, path: &str, now: UnixMs) -> Treatment {
        let before = before.cloned().unwrap_or_else(|| Treatment {
            name: last_part(path).to_owned(),
            access: Access::Ticket,
            listed: false,
            tags: Vec::new(),
            pinned: true,
            added: now,
            seed_until: UnixMs(0),
            ticket: String::new(),
        });
        Treatment {
            name: self.name.unwrap_or(before.name),
            access: self.access.unwrap_or(before.access),
            listed: self.listed.unwrap_or(before.listed),
            tags: self.tags.unwrap_or(before.tags),
            pinned: true,
            // Who shares a thing wants it to be given.
            seed_until: UnixMs(0),
            ..before
        }
    }
}

impl Node {
    pub(crate) fn share(&mut self, request: UserRequestId, path: String, wishes: Wishes) -> Result<(), UserError> {
        wishes.check()?;
        check_path(&path)?;
        self.check_contents()?;
        let command = self.ctx.command_id();
        self.pending.insert(command, Pending::Share { request, path: path.clone(), wishes });
        self.ctx.store(StoreCommand::Share { command, path });
        Ok(())
    }

    pub(crate) fn on_shared(&mut self, command: CommandId, result: Result<StoredContent, Failure>) {
        let Some(Pending::Share { request, path, wishes }) = self.pending.remove(&command) else { return };
        match result {
            Err(failure) => self.reply_failure(request, &failure),
            Ok(stored) => {
                let content = stored.content;
                self.replace_at(&path, content);
                let before = self.contents.find(content).map(|known| &known.treatment);
                let treatment = wishes.over(before, &stored.path, self.ctx.unix());
                let row = treatment.row(content);
                self.contents.add(stored, treatment);
                let command = self.ctx.command_id();
                self.pending.insert(command, Pending::ShareRow { request, content });
                self.ctx.store(StoreCommand::Write { command, put: vec![row], delete: Vec::new() });
            }
        }
    }

    /// What was shared from a path before can't be there any more: it was just read, and is something else.
    fn replace_at(&mut self, path: &str, content: ContentId) {
        let before: Vec<ContentId> = self
            .contents
            .at_path(path)
            .filter(|known| known.stored.in_place)
            .map(|known| known.stored.content)
            .filter(|known| *known != content)
            .collect();
        for content in before {
            // Nothing of it is deleted, and what is not forgotten is found changed when somebody asks.
            let _ = self.remove(None, content, false);
        }
    }

    pub(crate) fn reply_shared(&mut self, request: UserRequestId, content: ContentId) {
        let Some(known) = self.contents.find(content) else { return };
        let (stored, treatment) = (&known.stored, &known.treatment);
        let view = ShareView {
            ticket: self.ticket(content, &treatment.name, stored.total_bytes),
            content_id: content,
            kind: stored.kind,
            name: treatment.name.clone(),
            size_bytes: stored.total_bytes,
            chunks: stored.chunk_count,
            blake3: hex(&stored.whole_hash),
            listed: treatment.listed,
        };
        match treatment.listed {
            true => {
                let entry = known.entry();
                self.records.publish(&mut self.ctx, entry);
            }
            false => self.records.withdraw(&mut self.ctx, content),
        }
        self.records.set_holding(&mut self.ctx, content, true);
        self.interests.changed(&self.ctx, content, true);
        self.ctx.reply(request, UserReply::Shared(view));
    }
}
