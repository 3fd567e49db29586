//! Carries out what the brain asks of the keys.
//!
//! Signing and checking a few signatures take tens of microseconds each and are done at once; many signatures, and
//! new keys (which are synced to disk), are done on another thread, so that the loop goes on meanwhile.

use std::path::PathBuf;

use mesh_proto::CommandId;
use mesh_proto::port::{Failure, KeysCommand, KeysInput};
use tokio::sync::mpsc;

use crate::keys::{self, KeyRing, KeysError, NewKey};

/// Signatures checked within the loop: about a quarter of a millisecond.
const VERIFY_INLINE_MAX: usize = 4;

/// What another thread found.
pub(super) enum Finished {
    Answer(KeysInput),
    Created { command: CommandId, community: bool, result: Result<NewKey, KeysError> },
}

/// The keys and their work under way. The queue's length is that of the brain's commands under way.
pub(super) struct Keys {
    ring: KeyRing,
    folder: PathBuf,
    sender: mpsc::UnboundedSender<Finished>,
    finished: mpsc::UnboundedReceiver<Finished>,
    /// Whether the member's key is being made: a second must not replace it.
    making_member: bool,
}

impl Keys {
    pub(super) fn new(ring: KeyRing, folder: PathBuf) -> Self {
        let (sender, finished) = mpsc::unbounded_channel();
        Self { ring, folder, sender, finished, making_member: false }
    }

    pub(super) fn loaded(&self) -> KeysInput {
        self.ring.loaded()
    }

    /// Carries out a command; `Some` if the answer is there at once.
    pub(super) fn command(&mut self, command: KeysCommand) -> Option<KeysInput> {
        match command {
            KeysCommand::Sign { command, role, kind, body } => {
                Some(KeysInput::Signed { command, result: self.ring.sign(role, kind, body) })
            }
            KeysCommand::Verify { command, records } if records.len() <= VERIFY_INLINE_MAX => {
                Some(KeysInput::Verified {
                    command,
                    valid: records.iter().map(|record| keys::verify(record)).collect(),
                })
            }
            KeysCommand::Verify { command, records } => {
                let sender = self.sender.clone();
                tokio::task::spawn_blocking(move || {
                    let valid = records.iter().map(|record| keys::verify(record)).collect();
                    // Fails only when the loop has ended and nobody asks any more.
                    let _ = sender.send(Finished::Answer(KeysInput::Verified { command, valid }));
                });
                None
            }
            KeysCommand::Create { command, community } => self.create(command, community),
        }
    }

    fn create(&mut self, command: CommandId, community: bool) -> Option<KeysInput> {
        let answer = |result| Some(KeysInput::Created { command, result });
        if let (false, Some(member)) = (community, self.ring.member()) {
            return answer(Ok(member));
        }
        if !community && self.making_member {
            return answer(Err(Failure::passing("the member's key is being made")));
        }
        if community && !self.ring.has_room() {
            return answer(Err(Failure::lasting(KeysError::TooMany.to_string())));
        }
        self.making_member |= !community;
        let (folder, sender) = (self.folder.clone(), self.sender.clone());
        tokio::task::spawn_blocking(move || {
            let result = keys::create(&folder, community);
            let _ = sender.send(Finished::Created { command, community, result });
        });
        None
    }

    /// Waits for what another thread found.
    pub(super) async fn recv(&mut self) -> Option<KeysInput> {
        let finished = self.finished.recv().await?;
        Some(self.take(finished))
    }

    /// What another thread found meanwhile.
    pub(super) fn try_recv(&mut self) -> Option<KeysInput> {
        let finished = self.finished.try_recv().ok()?;
        Some(self.take(finished))
    }

    fn take(&mut self, finished: Finished) -> KeysInput {
        let (command, community, result) = match finished {
            Finished::Answer(input) => return input,
            Finished::Created { command, community, result } => (command, community, result),
        };
        self.making_member &= community;
        let result = result.map_err(|error| Failure::passing(with_causes(&error))).map(|key| {
            let public = key.public();
            self.ring.add(key);
            public
        });
        KeysInput::Created { command, result }
    }
}

fn with_causes(error: &KeysError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::port::KeyRole;
    use mesh_proto::record::RecordKind;

    fn keys(folder: &std::path::Path) -> Keys {
        Keys::new(KeyRing::open(folder).unwrap(), folder.to_owned())
    }

    #[tokio::test]
    async fn many_signatures_are_checked_elsewhere_and_answered_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut keys = keys(folder.path());
        let sign =
            KeysCommand::Sign { command: CommandId(1), role: KeyRole::Node, kind: RecordKind::Node, body: vec![7] };
        let Some(KeysInput::Signed { result: Ok(good), .. }) = keys.command(sign) else { panic!("not signed") };
        let mut bad = good.clone();
        bad.signature[1][0] ^= 1;
        let records = [good.clone(), bad, good.clone(), good.clone(), good].map(Into::into).to_vec();
        assert!(keys.command(KeysCommand::Verify { command: CommandId(2), records }).is_none());
        let valid = vec![true, false, true, true, true];
        assert_eq!(keys.recv().await, Some(KeysInput::Verified { command: CommandId(2), valid }));
        assert_eq!(keys.try_recv(), None);
    }

    #[tokio::test]
    async fn the_member_key_is_made_once_and_communities_as_often_as_asked() {
        let folder = tempfile::tempdir().unwrap();
        let mut keys = keys(folder.path());
        assert!(keys.command(KeysCommand::Create { command: CommandId(1), community: false }).is_none());
        let second = keys.command(KeysCommand::Create { command: CommandId(2), community: false });
        assert!(matches!(second, Some(KeysInput::Created { result: Err(_), .. })), "one is being made");
        let Some(KeysInput::Created { result: Ok(member), .. }) = keys.recv().await else { panic!("not made") };
        let third = keys.command(KeysCommand::Create { command: CommandId(3), community: false });
        assert_eq!(third, Some(KeysInput::Created { command: CommandId(3), result: Ok(member) }));
        assert!(keys.command(KeysCommand::Create { command: CommandId(4), community: true }).is_none());
        let Some(KeysInput::Created { result: Ok(community), .. }) = keys.recv().await else { panic!("not made") };
        assert_ne!(community, member);
        assert!(matches!(keys.loaded(), KeysInput::Loaded { communities, .. } if communities == [community]));
    }
}
