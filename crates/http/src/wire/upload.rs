//! Request bodies under way: all of them together take no more memory than there is for them, and slow uploads are
//! waited for as long as they make progress.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use http_body::{Frame, SizeHint};
use tidegate_kernel::noted::{CredentialFault, refused};
use tokio::time::Instant;

use crate::wire::boundary::Deadline;
use crate::wire::client::client_ip;
use crate::wire::rejection::Rejection;
use crate::wire::shares::Shares;
use crate::wire::state::App;

/// The slowest upload that is waited for, in bytes a second: an old phone at the edge of its network.
const SLOWEST: u64 = 8 * 1024;
/// Memory is counted in pieces of so many bytes.
const PIECE: usize = 4 * 1024;
/// Bodies up to this size may use the whole budget. Larger ones leave a part of it, so that uploads never keep
/// sign-ins out.
const SMALL_BODY: usize = 16 * 1024;
/// The largest body of any contract. Budgets and shares are never cut below it, or it would always be refused.
const LARGEST_BODY: usize = 16 * 1024 * 1024;
/// `Retry-After` when the upload budget is used up, in seconds.
const RETRY_AFTER: u64 = 5;

/// The memory that all request bodies under way may take together.
#[derive(Clone)]
pub(crate) struct UploadBudget(Arc<Mutex<Pieces>>);

struct Pieces {
    /// For all bodies.
    total: usize,
    /// Of these, for bodies larger than [`SMALL_BODY`].
    for_large: usize,
    /// Of these, for the clients of one network.
    share: usize,
    /// The same for bodies up to [`SMALL_BODY`]: a network that uploads much can still sign in.
    share_of_small: usize,
    taken: usize,
    by_network: Shares,
}

impl UploadBudget {
    /// A budget of so many bytes.
    pub(crate) fn of(bytes: usize) -> Self {
        let part = |part: usize| part.max(LARGEST_BODY).min(bytes) / PIECE;
        let share = part(bytes / 4);
        Self(Arc::new(Mutex::new(Pieces {
            total: bytes / PIECE,
            for_large: part(bytes / 4 * 3),
            share,
            share_of_small: share + share / 4,
            taken: 0,
            by_network: Shares::default(),
        })))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Pieces) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes `more` pieces for a body of the client at `ip` that has `held` already.
    fn take(&self, ip: IpAddr, held: usize, more: usize) -> bool {
        self.with(|pieces| {
            let is_small = held + more <= SMALL_BODY / PIECE;
            let (limit, share) = match is_small {
                true => (pieces.total, pieces.share_of_small),
                false => (pieces.for_large, pieces.share),
            };
            let fits = pieces.taken + more <= limit && pieces.by_network.take(ip, more, share);
            if fits {
                pieces.taken += more;
            }
            fits
        })
    }

    fn give_back(&self, ip: IpAddr, amount: usize) {
        self.with(|pieces| {
            pieces.taken = pieces.taken.saturating_sub(amount);
            pieces.by_network.give_back(ip, amount);
        });
    }
}

/// What one body takes from the budget, from its first byte until its request is answered.
#[derive(Clone)]
pub(crate) struct Reservation(Arc<Reserved>);

struct Reserved {
    budget: UploadBudget,
    client: IpAddr,
    pieces: AtomicUsize,
    /// The budget did not suffice.
    is_refused: AtomicBool,
    /// The handler waits for the client to send more.
    is_awaited: AtomicBool,
    /// The deadline is put off while this body comes.
    may_be_slow: AtomicBool,
    /// Most that is held of it at a time, in bytes: more than any body has, unless its handler passes it on.
    window: AtomicUsize,
    /// How large its sender says it is, in bytes.
    declared: Option<u64>,
    /// How much of it has come, in bytes.
    came: AtomicU64,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.budget.give_back(self.client, *self.pieces.get_mut());
    }
}

impl Reservation {
    fn new(budget: &UploadBudget, client: IpAddr, declared: Option<u64>) -> Self {
        Self(Arc::new(Reserved {
            budget: budget.clone(),
            client,
            pieces: AtomicUsize::new(0),
            is_refused: AtomicBool::new(false),
            is_awaited: AtomicBool::new(false),
            may_be_slow: AtomicBool::new(false),
            window: AtomicUsize::new(usize::MAX),
            declared,
            came: AtomicU64::new(0),
        }))
    }

    /// Why the body was not read to its end, where the budget is the reason.
    pub(crate) fn refusal(&self) -> Option<Rejection> {
        let reason = "Too many uploads are under way; try again later.";
        let is_refused = self.0.is_refused.load(Ordering::Relaxed);
        is_refused.then_some(Rejection::Unavailable { retry_after: RETRY_AFTER, reason })
    }

    /// Whether the request is not answered because the client has yet to send some of its body.
    pub(crate) fn waits_for_client(&self) -> bool {
        self.0.is_awaited.load(Ordering::Relaxed)
    }

    /// Notes for the log that the client did not send the rest in time.
    pub(crate) fn note_too_late(&self) {
        self.note_missing("stopped", "the rest was not there by the deadline");
    }

    fn note_missing(&self, how: &str, why: &str) {
        let came = self.0.came.load(Ordering::Relaxed);
        let part = match self.0.declared {
            Some(whole) => format!("{came} of {whole} bytes"),
            None => format!("{came} bytes"),
        };
        refused(CredentialFault::Body(format!("{how} after {part}: {why}")));
    }

    /// Takes what a body of `bytes` needs, unless the budget is used up.
    fn grow_to(&self, bytes: u64) -> bool {
        let window = self.0.window.load(Ordering::Relaxed);
        let wanted = usize::try_from(bytes).unwrap_or(usize::MAX).min(window).div_ceil(PIECE);
        let held = self.0.pieces.load(Ordering::Relaxed);
        let more = wanted.saturating_sub(held);
        if more == 0 {
            return true;
        }
        if !self.0.budget.take(self.0.client, held, more) {
            self.0.is_refused.store(true, Ordering::Relaxed);
            metrics::counter!("tidegate_upload_budget_refusals_total").increment(1);
            tracing::debug!(bytes, "the upload budget is used up; see http.uploads");
            return false;
        }
        self.0.pieces.store(wanted, Ordering::Relaxed);
        true
    }
}

/// The request, whose body from now on takes from the upload budget, and what it takes; nothing where it has no body.
pub(crate) fn metered(app: &App, request: Request, deadline: &Deadline) -> (Request, Option<Reservation>) {
    if request.body().is_end_stream() {
        return (request, None);
    }
    let client = client_ip(request.headers(), request.extensions(), app.http());
    let declared = HttpBody::size_hint(request.body()).exact();
    let reservation = Reservation::new(app.upload_budget(), client, declared);
    let (patience, reserved, deadline) = (app.http().deadline, reservation.clone(), deadline.clone());
    let mut request = request.map(|inner| {
        Body::new(MeteredBody { inner, reserved, deadline, patience, begun: Instant::now(), bytes: 0 })
    });
    request.extensions_mut().insert(reservation.clone());
    (request, Some(reservation))
}

/// From now on the request's body puts off its own deadline as it comes: for uploads that may be large.
pub(crate) fn allow_slow_upload(request: &Request) {
    if let Some(reservation) = request.extensions().get::<Reservation>() {
        reservation.0.may_be_slow.store(true, Ordering::Relaxed);
    }
}

/// From now on the request's body takes at most so many bytes of the budget, however large it is: for handlers that pass on what
/// comes, and hold no more.
pub(crate) fn pass_on_upload(request: &Request, window: usize) {
    if let Some(reservation) = request.extensions().get::<Reservation>() {
        reservation.0.window.store(window, Ordering::Relaxed);
    }
}

/// The upload budget is used up.
#[derive(Debug, thiserror::Error)]
#[error("the upload budget is used up")]
struct BudgetExceeded;

struct MeteredBody {
    inner: Body,
    reserved: Reservation,
    deadline: Deadline,
    patience: Duration,
    begun: Instant,
    bytes: u64,
}

impl MeteredBody {
    /// Whether the budget suffices for what has come.
    fn took(&mut self, bytes: &Bytes) -> bool {
        self.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.reserved.0.came.store(self.bytes, Ordering::Relaxed);
        let earned = Duration::from_secs(self.bytes / SLOWEST);
        self.put_off(self.begun + earned + self.patience);
        self.reserved.grow_to(self.bytes)
    }

    fn put_off(&self, instant: Instant) {
        if self.reserved.0.may_be_slow.load(Ordering::Relaxed) {
            self.deadline.put_off(instant);
        }
    }
}

impl Drop for MeteredBody {
    fn drop(&mut self) {
        self.reserved.0.is_awaited.store(false, Ordering::Relaxed);
    }
}

impl HttpBody for MeteredBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.inner).poll_frame(context);
        this.reserved.0.is_awaited.store(frame.is_pending(), Ordering::Relaxed);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(bytes) = frame.data_ref()
                    && !this.took(bytes)
                {
                    return Poll::Ready(Some(Err(axum::Error::new(BudgetExceeded))));
                }
            }
            Poll::Ready(Some(Err(_))) => {
                this.reserved.note_missing("ended", "the client or a proxy closed the connection");
            }
            // From now on the clock runs for the handler.
            Poll::Ready(None) => this.put_off(Instant::now() + this.patience),
            _ => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        HttpBody::size_hint(&self.inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tidegate_kernel::noted::noting;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn body(budget: &UploadBudget, ip: &str) -> Reservation {
        Reservation::new(budget, ip.parse().unwrap(), None)
    }

    #[test]
    fn the_log_has_how_much_came_of_how_much() {
        let budget = UploadBudget::of(10 * PIECE);
        let client = "192.0.2.1".parse().unwrap();
        for (declared, said) in [
            (Some(900), "body: stopped after 100 of 900 bytes: the rest was not there by the deadline"),
            (None, "body: stopped after 100 bytes: the rest was not there by the deadline"),
        ] {
            let body = Reservation::new(&budget, client, declared);
            body.0.came.store(100, Ordering::Relaxed);
            let ((), noted) = noting(async { body.note_too_late() }).now_or_never().unwrap();
            assert_eq!(noted.refused.unwrap().to_string(), said);
        }
    }

    #[test]
    fn what_is_passed_on_takes_its_window_however_large_it_is() {
        let budget = UploadBudget::of(10 * PIECE);
        let one = body(&budget, "192.0.2.1");
        one.0.window.store(2 * PIECE, Ordering::Relaxed);
        assert!(one.grow_to(100 * MIB));
        assert_eq!(one.0.pieces.load(Ordering::Relaxed), 2);
        drop(one);
        assert!(body(&budget, "192.0.2.1").grow_to(10 * PIECE as u64), "it is given back");
    }

    #[test]
    fn bodies_share_the_budget_and_give_it_back() {
        let budget = UploadBudget::of(10 * PIECE);
        let (one, two) = (body(&budget, "192.0.2.1"), body(&budget, "192.0.2.2"));
        let piece = PIECE as u64;
        assert!(one.grow_to(1) && one.grow_to(6 * piece) && one.grow_to(6 * piece));
        assert!(two.grow_to(4 * piece));
        assert!(!two.grow_to(4 * piece + 1));
        assert!(matches!(two.refusal(), Some(Rejection::Unavailable { retry_after: RETRY_AFTER, .. })));
        assert!(one.refusal().is_none());
        drop(one);
        assert!(body(&budget, "192.0.2.3").grow_to(6 * piece));
    }

    #[test]
    fn one_network_has_a_share_of_the_budget() {
        let budget = UploadBudget::of(80 << 20);
        let large = body(&budget, "192.0.2.1");
        assert!(large.grow_to(20 * MIB));
        assert!(!body(&budget, "192.0.2.1").grow_to(MIB));
        assert!(body(&budget, "192.0.2.2").grow_to(20 * MIB));
        // A quarter more is for small ones.
        let small: Vec<_> = (0..320).map(|_| body(&budget, "192.0.2.1")).collect();
        assert!(small.iter().all(|body| body.grow_to(SMALL_BODY as u64)));
        assert!(!body(&budget, "192.0.2.1").grow_to(1));
    }

    #[test]
    fn large_bodies_leave_room_for_small_ones() {
        let budget = UploadBudget::of(80 << 20);
        let clients = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
        let large = clients.map(|ip| body(&budget, ip));
        assert!(large.iter().all(|body| body.grow_to(20 * MIB)));
        assert!(!body(&budget, "192.0.2.4").grow_to(MIB));
        assert!(body(&budget, "192.0.2.4").grow_to(SMALL_BODY as u64));
    }
}
