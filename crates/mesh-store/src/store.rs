//! The store with its threads: short commands in order on one, reading on a few more, what changes how a content stands
//! on others (of one content in order), checkpoints on another.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use mesh_proto::payload::PayloadStore;
use mesh_proto::port::Failure;
use mesh_proto::port::store::StoreCommand;
use parking_lot::Mutex;

use crate::engine::{Engine, Inputs, OpenError, StoreConfig};
use crate::keyed::Keyed;
use crate::work;

/// Commands waiting in one lane. The brain asks for far less at once; what is over it is refused.
const WAITING_MAX: usize = 4096;
/// Row-writing commands carried out with one sync.
const GROUP_MAX: usize = 256;
/// Threads that share and verify: each reads as fast as the disk allows.
const READING_THREADS: usize = 2;
/// Threads that begin, end and remove contents.
const RECEIVING_THREADS: usize = 4;

/// A running store. See the crate.
pub struct Store {
    engine: Arc<Engine>,
    lanes: Mutex<Option<Lanes>>,
    threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
}

/// Where commands wait.
struct Lanes {
    short: SyncSender<StoreCommand>,
    reading: SyncSender<StoreCommand>,
    receiving: Arc<Keyed<StoreCommand>>,
}

impl Lanes {
    /// Puts a command where it belongs, or gives it back if there is no room.
    fn push(&self, command: StoreCommand) -> Result<(), StoreCommand> {
        let lane = match &command {
            StoreCommand::Receive { content, .. }
            | StoreCommand::Repair { content, .. }
            | StoreCommand::Finish { content, .. }
            | StoreCommand::Look { content, .. }
            | StoreCommand::Remove { content, .. } => return self.receiving.push(*content, command),
            StoreCommand::Share { .. } | StoreCommand::Verify { .. } | StoreCommand::Copy { .. } => &self.reading,
            _ => &self.short,
        };
        lane.try_send(command).map_err(|(TrySendError::Full(command) | TrySendError::Disconnected(command))| command)
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.receiving.close();
    }
}

impl Store {
    /// Opens or makes the store, and tells [`Opened`](mesh_proto::port::store::StoreInput::Opened) before anything else.
    ///
    /// # Errors
    /// [`OpenError`] if it is in use, of another version, or the disk says no.
    pub fn open(config: StoreConfig, inputs: Inputs) -> Result<Self, OpenError> {
        let engine = Engine::open(config, inputs)?;
        let mut threads = Vec::new();
        let mut lane = |count: usize| {
            let (sender, queue) = sync_channel(WAITING_MAX);
            let queue = Arc::new(Mutex::new(queue));
            for _ in 0..count {
                let (engine, queue) = (engine.clone(), queue.clone());
                threads.push(std::thread::spawn(move || work_off(&engine, &queue)));
            }
            sender
        };
        let (short, reading) = (lane(1), lane(READING_THREADS));
        let receiving = Arc::new(Keyed::new(WAITING_MAX));
        for _ in 0..RECEIVING_THREADS {
            let (engine, lane) = (engine.clone(), receiving.clone());
            threads.push(std::thread::spawn(move || {
                while let Some((content, command)) = lane.take() {
                    engine.carry_out(command);
                    lane.done(content);
                }
            }));
        }
        let keeper = engine.clone();
        threads.push(std::thread::spawn(move || keep(&keeper)));
        let lanes = Lanes { short, reading, receiving };
        Ok(Self { engine, lanes: Mutex::new(Some(lanes)), threads: Mutex::new(threads) })
    }

    /// Takes a command; the answer comes as an input. Never blocks: what can't be taken is answered with a failure.
    pub fn command(&self, command: StoreCommand) {
        if let StoreCommand::Stop { command } = command {
            self.engine.stop_long(command);
            return;
        }
        let lanes = self.lanes.lock();
        let Some(lanes) = &*lanes else { return };
        self.engine.begin(&command);
        if let Err(command) = lanes.push(command) {
            work::refuse(&self.engine, command, Failure::passing("too much is asked of the disk at once"));
        }
    }

    /// The way of payload.
    #[must_use]
    pub fn payload(&self) -> Arc<dyn PayloadStore> {
        self.engine.payload()
    }

    /// Stops long work, keeps what was received, and waits for both.
    pub fn close(&self) {
        self.engine.closing.store(true, Ordering::Relaxed);
        self.lanes.lock().take();
        self.engine.pace.hurry();
        for thread in self.threads.lock().drain(..) {
            let _ = thread.join();
        }
        self.engine.index.flush();
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

fn work_off(engine: &Arc<Engine>, queue: &Mutex<Receiver<StoreCommand>>) {
    loop {
        // The lock is held while waiting: one thread waits for the next command, the others for their turn.
        let queue = queue.lock();
        let Ok(command) = queue.recv() else { return };
        let mut rest = None;
        let group: Vec<StoreCommand> = match &command {
            // Rows that wait are written together: one sync for all of them.
            StoreCommand::Write { .. } => std::iter::once(command).chain(writes(&queue, &mut rest)).collect(),
            _ => vec![command],
        };
        drop(queue);
        match group.len() {
            1 => group.into_iter().for_each(|command| engine.carry_out(command)),
            _ => engine.write_together(group),
        }
        rest.into_iter().for_each(|command| engine.carry_out(command));
    }
}

/// The commands waiting at once that write rows, up to the first that does something else, which is put into `rest`.
fn writes(queue: &Receiver<StoreCommand>, rest: &mut Option<StoreCommand>) -> Vec<StoreCommand> {
    let mut group = Vec::new();
    while group.len() < GROUP_MAX
        && let Ok(command) = queue.try_recv()
    {
        match command {
            StoreCommand::Write { .. } => group.push(command),
            other => {
                *rest = Some(other);
                break;
            }
        }
    }
    group
}

/// Makes checkpoints when they are due, and a last one at the end.
fn keep(engine: &Engine) {
    loop {
        engine.pace.wait();
        let closing = engine.closing.load(Ordering::Relaxed);
        engine.checkpoint();
        if closing {
            return;
        }
    }
}
