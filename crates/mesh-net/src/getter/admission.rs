//! What may still arrive on a getter's stream: the bytes that were asked for, and no more.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use crate::routes::lock;

/// Ended requests whose slices may still be under way; beyond this the oldest is forgotten.
const DISCARDED_MAX: usize = 256;

/// What to do with a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Read it for its sink.
    Take,
    /// Read it and throw it away; so many bytes of the request have now been drained.
    Discard {
        /// Cumulative, for the receipt.
        drained_bytes: u64,
    },
    /// It belongs to nothing we asked for.
    Unrequested,
    /// It goes beyond what was asked for.
    TooMuch,
}

#[derive(Debug)]
struct Allowance {
    left: u64,
    /// The source said that no more comes; what came may still wait for the core.
    ended: bool,
    /// Bytes drained so far, once the request is no longer wanted.
    discarding: Option<u64>,
}

/// The allowances of one stream, locked for single steps only. The core opens and closes them: a slice the reader took is
/// accounted for until the core has seen it, also when the source has ended the request meanwhile.
#[derive(Debug, Default)]
pub(super) struct Admission {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    requests: HashMap<u64, Allowance>,
    discarded: VecDeque<u64>,
}

impl Admission {
    /// Lets a request's bytes in.
    pub(super) fn open(&self, request: u64, payload_bytes: u64) {
        lock(&self.inner).requests.insert(request, Allowance { left: payload_bytes, ended: false, discarding: None });
    }

    /// From now on the request's slices are thrown away; `drained_bytes` were drained before.
    pub(super) fn discard(&self, request: u64, drained_bytes: u64) {
        let mut inner = lock(&self.inner);
        let Some(allowance) = inner.requests.get_mut(&request) else {
            return;
        };
        allowance.discarding = Some(drained_bytes);
        inner.discarded.push_back(request);
        if inner.discarded.len() > DISCARDED_MAX
            && let Some(oldest) = inner.discarded.pop_front()
        {
            inner.requests.remove(&oldest);
        }
    }

    /// Notes that a slice taken before was thrown away after all; says how much of the request is drained now.
    pub(super) fn drain(&self, request: u64, content_bytes: u64) -> Option<u64> {
        let mut inner = lock(&self.inner);
        let drained_bytes = inner.requests.get_mut(&request)?.discarding.as_mut()?;
        *drained_bytes += content_bytes;
        Some(*drained_bytes)
    }

    /// Lets nothing more of a request in because the source ended it; `false` if there was none or it was ended before.
    pub(super) fn end(&self, request: u64) -> bool {
        match lock(&self.inner).requests.get_mut(&request) {
            Some(allowance) => !std::mem::replace(&mut allowance.ended, true),
            None => false,
        }
    }

    /// Forgets a request of which nothing is under way any more.
    pub(super) fn close(&self, request: u64) {
        let mut inner = lock(&self.inner);
        inner.discarded.retain(|discarded| *discarded != request);
        inner.requests.remove(&request);
    }

    /// Judges a slice and, if it may come, counts it.
    pub(super) fn judge(&self, request: u64, content_bytes: u32) -> Verdict {
        let mut inner = lock(&self.inner);
        let Some(allowance) = inner.requests.get_mut(&request).filter(|allowance| !allowance.ended) else {
            return Verdict::Unrequested;
        };
        let Some(left) = allowance.left.checked_sub(u64::from(content_bytes)) else {
            return Verdict::TooMuch;
        };
        allowance.left = left;
        match &mut allowance.discarding {
            None => Verdict::Take,
            Some(drained_bytes) => {
                *drained_bytes += u64::from(content_bytes);
                Verdict::Discard { drained_bytes: *drained_bytes }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_comes_in() {
        let admission = Admission::default();
        assert_eq!(admission.judge(1, 1), Verdict::Unrequested);
        admission.open(1, 10);
        assert_eq!(admission.judge(1, 6), Verdict::Take);
        assert_eq!(admission.judge(1, 5), Verdict::TooMuch);
        admission.discard(1, 6);
        assert_eq!(admission.judge(1, 4), Verdict::Discard { drained_bytes: 10 });
        assert!(admission.end(1));
        assert!(!admission.end(1));
        assert_eq!(admission.judge(1, 0), Verdict::Unrequested);
        admission.close(1);
        assert!(!admission.end(1));
    }

    #[test]
    fn what_waits_for_the_core_is_drained_after_the_source_ended() {
        let admission = Admission::default();
        admission.open(1, 10);
        assert_eq!(admission.judge(1, 6), Verdict::Take);
        assert_eq!(admission.judge(1, 4), Verdict::Take);
        assert!(admission.end(1));
        admission.discard(1, 6);
        assert_eq!(admission.drain(1, 4), Some(10));
        admission.close(1);
        assert_eq!(admission.drain(1, 4), None);
    }

    #[test]
    fn forgotten_requests_are_bounded() {
        let admission = Admission::default();
        for request in 0..1000 {
            admission.open(request, 1);
            admission.discard(request, 0);
        }
        assert_eq!(lock(&admission.inner).requests.len(), DISCARDED_MAX);
    }
}
