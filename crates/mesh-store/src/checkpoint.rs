//! What is *kept*: every two seconds, or sixteen mebibytes, received bytes are synced and then noted in the log.
//!
//! The order is the promise: a chunk is noted only after its bytes are on the disk.

use mesh_proto::planted::Defect;
use mesh_proto::port::Failure;

use crate::content::Reception;
use crate::engine::Engine;

impl Engine {
    /// Syncs what was received and notes it. Also lets the index reach the disk.
    pub fn checkpoint(&self) {
        for reception in self.receptions() {
            if let Err(failure) = keep(self, &reception) {
                tracing::warn!(content = %reception.content, why = failure.why, "checkpoint failed");
                self.pace.note(0);
            }
        }
        self.index.flush();
    }
}

/// Syncs one reception and notes what is kept of it.
fn keep(store: &Engine, reception: &Reception) -> Result<(), Failure> {
    let (have, fresh) = {
        let mut progress = reception.progress.lock();
        if progress.closed || progress.sync_failed || progress.unsynced_bytes == 0 {
            return Ok(());
        }
        progress.unsynced_bytes = 0;
        (progress.have.clone(), progress.have.difference(&progress.kept))
    };
    let space = reception.space.read().clone();
    let Some(space) = space else { return Ok(()) };
    let synced = if store.planted.is(Defect::SkipSync) { Ok(()) } else { space.sync() };
    if let Err(error) = synced {
        reception.progress.lock().sync_failed = true;
        return Err(Failure::passing(format!("can't sync {}: {error}", space.path().display())));
    }
    if fresh.is_empty() {
        return Ok(());
    }
    let noted = store.note_kept(reception, &fresh);
    let mut progress = reception.progress.lock();
    match noted {
        Ok(()) => progress.kept.union_with(&have),
        // They are on the disk; the note is tried again at the next checkpoint.
        Err(_) => progress.unsynced_bytes += 1,
    }
    noted
}
