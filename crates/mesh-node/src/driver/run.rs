//! The loop itself.
//!
//! Per wake-up: civil time if it jumped, then up to [`BATCH_MAX`] inputs of each queue, then a tick if one is due.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use mesh_net::Net;
use mesh_proto::port::user::{ErrorKind, UserError};
use mesh_proto::port::{Event, Input, NetInput, Output, StoreInput, UserReply, UserRequestId};
use mesh_proto::{Machine as _, Timestamp};
use mesh_store::Store;
use tokio::sync::{mpsc, oneshot, watch};

use super::clock::Clock;
use super::keys::Keys;
use super::queue::StoreInputs;
use super::wiring::{Parts, Published};
use super::{Counters, UserRequest};
use crate::data_folder::DataFolder;
use crate::journal::JournalWriter;

/// Inputs taken from one queue per wake-up, so that none starves another.
const BATCH_MAX: usize = 64;
/// The shortest time between two ticks: a brain that asks for the past must not spin.
const TICK_INTERVAL_MIN: Duration = Duration::from_millis(1);
/// How long the brain and the store may take to keep what only the brain knew.
const BRAIN_STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the network may take to end.
const NET_STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// One node's loop.
pub(crate) struct Driver {
    brain: mesh_core::Node,
    clock: Clock,
    keys: Keys,
    store: Store,
    /// `None` once the node stops.
    net: Option<Net>,
    inputs: Inputs,
    /// Answers that were there at once, fed when the step that asked is done.
    answers: VecDeque<Input>,
    outputs: Vec<Output>,
    replies: BTreeMap<UserRequestId, oneshot::Sender<UserReply>>,
    requests_seen: u64,
    last_tick: Timestamp,
    /// The brain has nothing more to write.
    brain_stopped: bool,
    journal: Option<JournalWriter>,
    published: Arc<Published>,
    folder: DataFolder,
}

/// Where inputs come from.
struct Inputs {
    net: mpsc::Receiver<NetInput>,
    store: StoreInputs,
    requests: mpsc::Receiver<UserRequest>,
    stop: watch::Receiver<bool>,
}

/// Why the loop goes on.
enum Wake {
    Input(Input),
    Request(UserRequest),
    Timer,
    Stop,
}

impl Driver {
    pub(crate) fn new(parts: Parts) -> Self {
        let keys = Keys::new(parts.keys, parts.folder.identity());
        Self {
            brain: parts.brain,
            clock: Clock::start(),
            keys,
            store: parts.store,
            net: Some(parts.net),
            inputs: Inputs {
                net: parts.net_inputs,
                store: parts.store_inputs,
                requests: parts.requests,
                stop: parts.stop,
            },
            answers: VecDeque::new(),
            outputs: Vec::new(),
            replies: BTreeMap::new(),
            requests_seen: 0,
            last_tick: Timestamp::ZERO,
            brain_stopped: false,
            journal: parts.journal,
            published: parts.published,
            folder: parts.folder,
        }
    }

    /// Runs until the node shall stop, or nobody holds it any more.
    pub(crate) async fn run(mut self) {
        self.begin().await;
        loop {
            let wake = self.wait().await;
            Counters::add(&self.published.counters.wakes);
            let news = self.clock.news(self.clock.now());
            self.feed_all(news);
            match wake {
                Wake::Stop => break,
                Wake::Timer => {}
                Wake::Input(input) => self.feed(input),
                Wake::Request(request) => self.request(request),
            }
            self.feed_waiting();
            self.tick_if_due();
        }
        self.end().await;
    }

    /// The first inputs: keys, clock, and what the store held.
    async fn begin(&mut self) {
        self.feed(Input::Keys(self.keys.loaded()));
        let news = self.clock.news(self.clock.now());
        self.feed_all(news);
        // Whatever the network says meanwhile waits in its queue.
        while let Some(input) = self.inputs.store.recv().await {
            let opened = matches!(input, StoreInput::Opened { .. });
            self.feed(Input::Store(input));
            if opened {
                break;
            }
        }
    }

    async fn wait(&mut self) -> Wake {
        let deadline = self.brain.poll_timeout().map(|(at, _)| {
            let earliest = self.last_tick.after(TICK_INTERVAL_MIN);
            self.clock.instant(at.max(earliest))
        });
        let timer = async move {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let Inputs { net, store, requests, stop } = &mut self.inputs;
        tokio::select! {
            _ = stop.changed() => Wake::Stop,
            Some(input) = net.recv() => Wake::Input(Input::Net(input)),
            Some(input) = store.recv() => Wake::Input(Input::Store(input)),
            Some(input) = self.keys.recv() => Wake::Input(Input::Keys(input)),
            request = requests.recv() => match request {
                Some(request) => Wake::Request(request),
                None => Wake::Stop,
            },
            () = timer => Wake::Timer,
        }
    }

    /// Feeds what waits in the queues, a batch of each.
    fn feed_waiting(&mut self) {
        for _ in 0..BATCH_MAX {
            let Ok(input) = self.inputs.net.try_recv() else { break };
            self.feed(Input::Net(input));
        }
        for _ in 0..BATCH_MAX {
            let Some(input) = self.inputs.store.try_recv() else { break };
            self.feed(Input::Store(input));
        }
        for _ in 0..BATCH_MAX {
            let Some(input) = self.keys.try_recv() else { break };
            self.feed(Input::Keys(input));
        }
        for _ in 0..BATCH_MAX {
            let Ok(request) = self.inputs.requests.try_recv() else { break };
            self.request(request);
        }
    }

    fn tick_if_due(&mut self) {
        let now = self.clock.now();
        let Some((at, reason)) = self.brain.poll_timeout() else { return };
        if at > now || now.since(self.last_tick) < TICK_INTERVAL_MIN {
            return;
        }
        self.last_tick = now;
        Counters::add(&self.published.counters.ticks);
        tracing::trace!(reason, "tick");
        self.feed(Input::Tick);
        if let Some((at, reason)) = self.brain.poll_timeout()
            && at <= now
        {
            Counters::add(&self.published.counters.ticks_early);
            tracing::debug!(reason, "wants another tick at once");
        }
    }

    fn request(&mut self, request: UserRequest) {
        self.requests_seen += 1;
        let id = UserRequestId(self.requests_seen);
        self.replies.insert(id, request.reply);
        self.feed(Input::User { request: id, command: request.command });
        // Who no longer waits needs no place; most maps are empty, and none outgrows what the brain has under way.
        self.replies.retain(|_, reply| !reply.is_closed());
    }

    fn feed_all(&mut self, inputs: impl IntoIterator<Item = Input>) {
        inputs.into_iter().for_each(|input| self.feed(input));
    }

    /// Feeds one input, and then the answers that its outputs got at once.
    fn feed(&mut self, input: Input) {
        self.step(input);
        while let Some(answer) = self.answers.pop_front() {
            self.step(answer);
        }
    }

    fn step(&mut self, input: Input) {
        let now = self.clock.now();
        Counters::add(&self.published.counters.inputs);
        tracing::trace!(?now, ?input, "input");
        if let Input::Net(input) = &input {
            self.published.note(input);
        }
        if let Some(journal) = &mut self.journal {
            journal.input(now, &input);
        }
        self.brain.handle(now, input);
        let mut outputs = std::mem::take(&mut self.outputs);
        outputs.extend(std::iter::from_fn(|| self.brain.poll_output()));
        if let Some(ended) = self.journal.as_mut().and_then(|journal| journal.outputs(&outputs)) {
            self.warn(ended);
        }
        outputs.drain(..).for_each(|output| self.carry_out(output));
        self.outputs = outputs;
    }

    fn carry_out(&mut self, output: Output) {
        Counters::add(&self.published.counters.outputs);
        tracing::trace!(?output, "output");
        match output {
            Output::Net(command) => {
                if let Some(net) = &self.net {
                    net.command(command);
                }
            }
            Output::Store(command) => self.store.command(command),
            Output::Keys(command) => self.answers.extend(self.keys.command(command).map(Input::Keys)),
            Output::Reply { request, reply } => self.reply(request, reply),
            Output::Stopped => self.brain_stopped = true,
            Output::Report(event) => {
                if matches!(event, Event::Ready { .. }) {
                    self.published.progress.send_modify(|progress| progress.ready = true);
                }
                log_event(&event);
                // Fails only when nobody listens.
                let _ = self.published.events.send(event);
            }
        }
    }

    fn reply(&mut self, request: UserRequestId, reply: UserReply) {
        let claimed = self.replies.remove(&request).is_some_and(|waiting| waiting.send(reply).is_ok());
        if !claimed {
            Counters::add(&self.published.counters.replies_unclaimed);
        }
    }

    fn warn(&self, message: String) {
        tracing::warn!(message, "a person should look at this");
        let _ = self.published.events.send(Event::Warning { message });
    }

    /// Ends in order: no new bytes, then the brain's last words kept, everything synced, the folder free for others.
    async fn end(mut self) {
        self.inputs.requests.close();
        if let Some(net) = self.net.take() {
            self.end_net(net).await;
        }
        self.feed_waiting();
        self.end_brain().await;
        for (_, reply) in std::mem::take(&mut self.replies) {
            let _ = reply.send(stopped_reply());
        }
        let Self { store, journal, folder, .. } = self;
        let synced = tokio::task::spawn_blocking(move || {
            store.close();
            if let Some(journal) = journal {
                journal.close();
            }
            drop(folder);
        });
        if synced.await.is_err() {
            tracing::error!("closing the store failed");
        }
    }

    /// Lets the brain write down what it has only in memory, and waits until the store has confirmed it.
    async fn end_brain(&mut self) {
        self.feed(Input::Stop);
        let kept = async {
            while !self.brain_stopped {
                tokio::select! {
                    Some(input) = self.inputs.store.recv() => self.feed(Input::Store(input)),
                    Some(input) = self.keys.recv() => self.feed(Input::Keys(input)),
                    else => return,
                }
            }
        };
        if tokio::time::timeout(BRAIN_STOP_TIMEOUT, kept).await.is_err() {
            tracing::warn!("what was counted last could not be kept in time");
        }
    }

    /// Ends the network; what it still says is fed, so that the brain and the store know how far each transfer came.
    async fn end_net(&mut self, net: Net) {
        let ended = tokio::time::timeout(NET_STOP_TIMEOUT, async move { net.stop().await });
        tokio::pin!(ended);
        loop {
            tokio::select! {
                ended = &mut ended => {
                    if ended.is_err() {
                        tracing::warn!("the network did not end in time");
                    }
                    return;
                }
                Some(input) = self.inputs.net.recv() => self.feed(Input::Net(input)),
                Some(input) = self.inputs.store.recv() => self.feed(Input::Store(input)),
            }
        }
    }
}

/// What somebody should look at also stands in the log; paths and names only where they were asked for.
fn log_event(event: &Event) {
    match event {
        Event::ContentChanged { content, why } => {
            tracing::warn!(content = content.short(), "a shared file was changed and is no longer given");
            tracing::debug!(content = content.short(), why, "changed");
        }
        Event::TransferFailed { content, error } => {
            tracing::warn!(content = content.short(), kind = ?error.kind, "a transfer can't go on by itself");
            tracing::debug!(content = content.short(), error = error.message, "failed");
        }
        _ => {}
    }
}

/// What is answered when the node no longer runs.
pub(crate) fn stopped_reply() -> UserReply {
    let cure = "start it again, then repeat the command";
    UserReply::Failed(UserError::new(ErrorKind::Unavailable, "the node has stopped", cure))
}
