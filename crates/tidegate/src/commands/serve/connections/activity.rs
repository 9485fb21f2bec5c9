//! What goes on on one connection, and since when nothing does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderValue, Version, header};
use axum::response::Response;
use tokio::time::{Instant, sleep_until};

use super::answer::Answer;
use super::beginning::Foreign;
use crate::commands::serve::places::Idle;

/// After its last answer an HTTP/2 connection is idle only when so much time has passed: the end of the answer may wait, out of sight, for the
/// client to open its window.
const LAST_FRAMES: Duration = Duration::from_secs(1);

/// Shared by a connection's requests, its stream and the one who closes it.
pub(super) struct Activity(Mutex<State>);

struct State {
    /// Requests whose answer is yet to begin.
    under_way: usize,
    /// Answers that have begun and are yet to end.
    answering: usize,
    /// Whether bytes wait for the client to take some.
    is_writing: bool,
    /// When the last request ended; before the first, when the connection began.
    last_request: Instant,
    /// When the last answer ended.
    last_answer: Instant,
    /// When the client last took some of an answer over HTTP/1.
    last_write: Instant,
    is_http2: bool,
    is_closing: bool,
    /// What it began with, where that was no HTTP.
    foreign: Option<Foreign>,
}

/// One request, until its answer begins or nothing will come of it.
pub(super) struct UnderWay(Arc<Activity>);

/// One answer, until it ends or nothing more will come of it.
pub(super) struct Answering(Arc<Activity>);

impl Activity {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self(Mutex::new(State {
            under_way: 0,
            answering: 0,
            is_writing: false,
            last_request: now,
            last_answer: now,
            last_write: now,
            is_http2: false,
            is_closing: false,
            foreign: None,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a request begins.
    pub(super) fn begin(self: &Arc<Self>, version: Version) -> UnderWay {
        let mut state = self.state();
        state.under_way += 1;
        state.is_http2 = version > Version::HTTP_11;
        UnderWay(Arc::clone(self))
    }

    /// Notes the first bytes that were read.
    pub(super) fn begins_with(&self, bytes: &[u8]) {
        self.state().foreign = Foreign::of(bytes);
    }

    /// What the connection began with, where that was no HTTP.
    pub(super) fn foreign(&self) -> Option<Foreign> {
        self.state().foreign
    }

    /// Notes that bytes wait for the client to take some.
    pub(super) fn waits_to_write(&self) {
        self.state().is_writing = true;
    }

    /// Notes that the client took some of an answer. Over HTTP/2 that is no sign of use: there, pings are answered for ever without
    /// anything being asked.
    pub(super) fn wrote(&self) {
        let mut state = self.state();
        state.is_writing = false;
        if !state.is_http2 {
            state.last_write = Instant::now();
        }
    }

    pub(super) fn is_http2(&self) -> bool {
        self.state().is_http2
    }

    /// From now on HTTP/1.1 answers say that the connection ends with them.
    pub(super) fn close_with_next_answer(&self) {
        self.state().is_closing = true;
    }

    /// Waits until nothing has been asked or answered for so long.
    pub(super) async fn quiet_for(&self, silence: Duration) {
        self.wait_until(|state, now| state.quiet_since(now) + silence).await;
    }

    /// Waits until no request is under way, and has not been for so long after `since`.
    pub(super) async fn finished_for(&self, patience: Duration, since: Instant) {
        self.wait_until(|state, now| state.finished_since(now).max(since) + patience).await;
    }

    /// Waits for an instant that may be put off meanwhile.
    async fn wait_until(&self, instant: impl Fn(&State, Instant) -> Instant) {
        loop {
            let now = Instant::now();
            let until = instant(&self.state(), now);
            if until <= now {
                return;
            }
            sleep_until(until).await;
        }
    }
}

impl Idle for Activity {
    /// A head that is half read is none: nothing is done before it is whole.
    fn idle_since(&self) -> Option<Instant> {
        self.state().idle_since(Instant::now())
    }
}

impl State {
    /// Since when no request is under way and no answer is on its way; none where one is.
    fn idle_since(&self, now: Instant) -> Option<Instant> {
        if self.under_way > 0 || self.answering > 0 || self.is_writing {
            return None;
        }
        if self.is_http2 && self.last_answer + LAST_FRAMES > now {
            return None;
        }
        Some(self.last_request.max(self.last_answer).max(self.last_write))
    }

    /// Since when no request is under way: one that is ends now at the earliest.
    fn finished_since(&self, now: Instant) -> Instant {
        if self.under_way > 0 { now } else { self.last_request }
    }

    /// Since when the client neither asks nor takes anything.
    fn quiet_since(&self, now: Instant) -> Instant {
        self.finished_since(now).max(self.last_write)
    }
}

impl UnderWay {
    /// Notes that the answer begins.
    pub(super) fn end(self, mut answer: Response) -> hyper::Response<Answer> {
        let mut state = self.0.state();
        if state.is_closing && !state.is_http2 {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        state.answering += 1;
        drop(state);
        let answering = Answering(Arc::clone(&self.0));
        answer.map(|body| Answer::new(body, answering))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.answering = state.answering.saturating_sub(1);
        state.last_answer = Instant::now();
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.under_way = state.under_way.saturating_sub(1);
        state.last_request = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_connection_is_not_quiet_while_a_request_is_under_way() {
        let activity = Arc::new(Activity::new());
        let begun = activity.state().last_request;
        assert_eq!(activity.state().quiet_since(begun + MINUTE), begun);
        let request = activity.begin(Version::HTTP_11);
        assert_eq!(activity.state().quiet_since(begun + MINUTE), begun + MINUTE);
        drop(request);
        assert!(activity.state().quiet_since(begun + MINUTE) < begun + MINUTE);
    }

    #[test]
    fn an_answer_that_is_taken_slowly_is_no_silence_except_over_http_2() {
        for (version, counts) in [(Version::HTTP_11, true), (Version::HTTP_2, false)] {
            let activity = Arc::new(Activity::new());
            drop(activity.begin(version));
            let before = activity.state().last_write;
            while Instant::now() == before {}
            activity.wrote();
            let state = activity.state();
            assert_eq!(state.last_write > before, counts, "{version:?}");
            assert!(state.quiet_since(before + MINUTE) >= state.last_write);
        }
    }

    #[test]
    fn a_connection_is_idle_between_an_answers_end_and_the_next_request() {
        for (version, rest) in [(Version::HTTP_11, Duration::ZERO), (Version::HTTP_2, LAST_FRAMES)] {
            let activity = Arc::new(Activity::new());
            let is_idle = |later: Duration| activity.state().idle_since(Instant::now() + later).is_some();
            assert!(is_idle(Duration::ZERO), "nothing was asked yet");
            let request = activity.begin(version);
            assert!(!is_idle(MINUTE), "{version:?}");
            let answer = request.end(Response::default());
            assert!(!is_idle(MINUTE), "the answer is not out: {version:?}");
            activity.waits_to_write();
            drop(answer);
            assert!(!is_idle(MINUTE), "the client takes nothing: {version:?}");
            activity.wrote();
            assert!(is_idle(rest), "{version:?}");
            assert_eq!(is_idle(Duration::ZERO), rest.is_zero(), "{version:?}");
            // One that comes to nothing.
            drop(activity.begin(version));
            assert!(is_idle(MINUTE), "{version:?}");
        }
    }

    #[test]
    fn the_last_answer_of_an_old_connection_says_so_over_http_1() {
        for (version, says) in [(Version::HTTP_11, true), (Version::HTTP_2, false)] {
            let activity = Arc::new(Activity::new());
            let first = activity.begin(version).end(Response::default());
            assert!(!first.headers().contains_key(header::CONNECTION));
            activity.close_with_next_answer();
            let last = activity.begin(version).end(Response::default());
            assert_eq!(last.headers().contains_key(header::CONNECTION), says, "{version:?}");
        }
    }
}
