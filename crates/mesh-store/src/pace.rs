//! When a checkpoint is due: two seconds after the first byte that waits, at once when many wait, never when none does.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Received bytes are synced at the latest after this long …
pub const INTERVAL: Duration = Duration::from_secs(2);
/// … or when so many wait.
pub const BYTES_MAX: u64 = 16 << 20;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    #[default]
    Never,
    Soon,
    Now,
}

/// Where the thread that makes checkpoints waits.
#[derive(Debug, Default)]
pub struct Pace {
    due: Mutex<Due>,
    changed: Condvar,
}

impl Pace {
    /// So many bytes wait to be synced.
    pub fn note(&self, waiting_bytes: u64) {
        let wanted = if waiting_bytes >= BYTES_MAX { Due::Now } else { Due::Soon };
        let mut due = self.due.lock();
        if *due < wanted {
            *due = wanted;
            self.changed.notify_all();
        }
    }

    /// Makes a checkpoint due.
    pub fn hurry(&self) {
        self.note(BYTES_MAX);
    }

    /// Returns when a checkpoint is due. Waits without waking while there is nothing to sync.
    pub fn wait(&self) {
        let mut due = self.due.lock();
        while *due == Due::Never {
            self.changed.wait(&mut due);
        }
        if *due == Due::Soon {
            let _ = self.changed.wait_while_for(&mut due, |due| *due != Due::Now, INTERVAL);
        }
        *due = Due::Never;
    }
}
