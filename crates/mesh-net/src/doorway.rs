//! Connections that others opened and that are still being set up: few at once, and no place can take them all.
//!
//! Whoever connects and says nothing costs him nothing, and would otherwise have a place until the set-up is given up. So
//! at the limit nobody is refused: of the address that has most of them, the one that takes longest already is cut off. A
//! set-up that goes well takes some round trips, and is over long before its turn would come.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::future::{AbortHandle, Abortable};
use libp2p::core::transport::{DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::{Multiaddr, Transport};

use tokio::time::Instant;

use crate::address::ip_of;
use crate::routes::lock;

/// How often one address may knock within [`KNOCKS_PERIOD`]; many nodes may share one.
const KNOCKS_PER_HOST_MAX: u32 = 64;
/// Addresses told apart within that time; more share one count.
const HOSTS_KNOCKING_MAX: usize = 1024;
/// After this, all is forgotten.
const KNOCKS_PERIOD: Duration = Duration::from_secs(1);

/// Lets few connections at once be set up from outside.
pub(crate) struct Doorway<T> {
    inner: T,
    knocks: Knocks,
    waiting: Arc<Mutex<Waiting>>,
}

impl<T> Doorway<T> {
    /// At most so many at once.
    pub(crate) fn new(inner: T, at_once_max: usize) -> Self {
        let waiting = Waiting { at_once_max, last: 0, by_age: BTreeMap::new() };
        Self { inner, knocks: Knocks::default(), waiting: Arc::new(Mutex::new(waiting)) }
    }
}

/// How often whom knocked lately.
#[derive(Default)]
struct Knocks {
    since: Option<Instant>,
    by_host: HashMap<Option<IpAddr>, u32>,
}

impl Knocks {
    /// Counts one, and says whether it is one too many.
    fn is_too_many(&mut self, now: Instant, host: Option<IpAddr>) -> bool {
        if self.since.is_none_or(|since| now.duration_since(since) >= KNOCKS_PERIOD) {
            self.by_host.clear();
            self.since = Some(now);
        }
        let told_apart = self.by_host.len() < HOSTS_KNOCKING_MAX || self.by_host.contains_key(&host);
        let count = self.by_host.entry(host.filter(|_| told_apart)).or_default();
        *count += 1;
        *count > KNOCKS_PER_HOST_MAX
    }
}

/// Those being set up.
struct Waiting {
    at_once_max: usize,
    last: u64,
    /// Numbers grow.
    by_age: BTreeMap<u64, (Option<IpAddr>, AbortHandle)>,
}

impl Waiting {
    fn add(&mut self, place: Option<IpAddr>, handle: AbortHandle) -> u64 {
        self.last += 1;
        self.by_age.insert(self.last, (place, handle));
        if self.by_age.len() > self.at_once_max
            && let Some((_, handle)) = self.one_too_many().and_then(|number| self.by_age.remove(&number))
        {
            handle.abort();
        }
        self.last
    }

    /// The oldest of the place that has most; of several such places, of the one whose oldest is older.
    fn one_too_many(&self) -> Option<u64> {
        let mut places: HashMap<Option<IpAddr>, (usize, u64)> = HashMap::new();
        for (number, (place, _)) in &self.by_age {
            places.entry(*place).or_insert((0, *number)).0 += 1;
        }
        let most = places.into_values().max_by_key(|(count, oldest)| (*count, std::cmp::Reverse(*oldest)));
        most.map(|(_, oldest)| oldest)
    }
}

/// One connection being set up. When it is over, well or not, its place is free.
pub(crate) struct SetUp<F> {
    number: u64,
    waiting: Arc<Mutex<Waiting>>,
    upgrade: Abortable<F>,
}

impl<F> Drop for SetUp<F> {
    fn drop(&mut self) {
        lock(&self.waiting).by_age.remove(&self.number);
    }
}

impl<F, O> Future for SetUp<F>
where
    F: Future<Output = io::Result<O>> + Unpin,
{
    type Output = io::Result<O>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let done = ready!(Pin::new(&mut self.upgrade).poll(cx));
        Poll::Ready(done.unwrap_or_else(|_| Err(io::Error::other("others came who were set up sooner"))))
    }
}

impl<T> Transport for Doorway<T>
where
    T: Transport<Error = io::Error> + Unpin,
    T::ListenerUpgrade: Unpin,
{
    type Output = T::Output;
    type Error = io::Error;
    type ListenerUpgrade = SetUp<T::ListenerUpgrade>;
    type Dial = T::Dial;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        self.inner.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(&mut self, address: Multiaddr, options: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        self.inner.dial(address, options)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        loop {
            let event = ready!(Pin::new(&mut self.inner).poll(cx));
            let place = match &event {
                TransportEvent::Incoming { send_back_addr, .. } => {
                    let place = ip_of(send_back_addr);
                    if self.knocks.is_too_many(Instant::now(), place) {
                        continue;
                    }
                    place
                }
                _ => None,
            };
            return Poll::Ready(event.map_upgrade(|upgrade| self.set_up(place, upgrade)));
        }
    }
}

impl<T: Transport> Doorway<T> {
    fn set_up(&self, place: Option<IpAddr>, upgrade: T::ListenerUpgrade) -> SetUp<T::ListenerUpgrade> {
        let (handle, registration) = AbortHandle::new_pair();
        let number = lock(&self.waiting).add(place, handle);
        SetUp { number, waiting: Arc::clone(&self.waiting), upgrade: Abortable::new(upgrade, registration) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(at_once_max: usize) -> Waiting {
        Waiting { at_once_max, last: 0, by_age: BTreeMap::new() }
    }

    fn add(waiting: &mut Waiting, place: u8) -> AbortHandle {
        let (handle, _) = AbortHandle::new_pair();
        waiting.add(Some(IpAddr::from([10, 0, 0, place])), handle.clone());
        handle
    }

    #[test]
    fn whoever_has_most_loses_the_oldest_of_his() {
        let mut waiting = waiting(3);
        let modest = add(&mut waiting, 1);
        let greedy: Vec<AbortHandle> = (0..20).map(|_| add(&mut waiting, 2)).collect();
        let another = add(&mut waiting, 3);
        assert!(!modest.is_aborted() && !another.is_aborted());
        assert!(greedy[..19].iter().all(AbortHandle::is_aborted) && !greedy[19].is_aborted());
        assert_eq!(waiting.by_age.len(), 3);
    }

    #[test]
    fn where_all_have_as_many_the_oldest_goes() {
        let mut waiting = waiting(3);
        let all: Vec<AbortHandle> = (0..5).map(|place| add(&mut waiting, place)).collect();
        let aborted: Vec<bool> = all.iter().map(AbortHandle::is_aborted).collect();
        assert_eq!(aborted, [true, true, false, false, false]);
    }

    #[test]
    fn whoever_knocks_on_and_on_is_turned_away_and_nobody_else() {
        let host = |number: u16| Some(IpAddr::from([10, 0, (number >> 8) as u8, number as u8]));
        let (mut knocks, now) = (Knocks::default(), Instant::now());
        let let_in = (0..1000).filter(|_| !knocks.is_too_many(now, host(1))).count();
        assert_eq!(let_in, KNOCKS_PER_HOST_MAX as usize);
        assert!(!knocks.is_too_many(now, host(2)));
        assert!(!knocks.is_too_many(now + KNOCKS_PERIOD, host(1)), "it is forgotten");
        for number in 0..5000 {
            let _ = knocks.is_too_many(now + KNOCKS_PERIOD, host(number));
        }
        assert!(knocks.by_host.len() <= HOSTS_KNOCKING_MAX + 1, "{}", knocks.by_host.len());
    }

    #[tokio::test]
    async fn a_set_up_that_is_over_makes_room() {
        let waiting = Arc::new(Mutex::new(waiting(3)));
        let (handle, registration) = AbortHandle::new_pair();
        let number = lock(&waiting).add(None, handle.clone());
        let upgrade = Abortable::new(futures::future::ready(Ok::<_, io::Error>(7)), registration);
        let done = SetUp { number, waiting: Arc::clone(&waiting), upgrade }.await;
        assert_eq!(done.expect("it went well"), 7);
        assert!(lock(&waiting).by_age.is_empty() && !handle.is_aborted());
    }
}
