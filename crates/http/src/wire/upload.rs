//! Large bodies: slow ones are waited for, and all of them together take no more memory than there is for them.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use http_body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::wire::boundary::Deadline;
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// The slowest upload that is waited for, in bytes a second: an old phone at the edge of its network.
const SLOWEST: u64 = 8 * 1024;
/// Memory is counted in pieces of so many bytes.
const PIECE: usize = 4 * 1024;
/// How long whoever finds no room is asked to stay away, in seconds.
const LATER: u64 = 5;

/// What all uploads together may hold in memory.
#[derive(Clone)]
pub(crate) struct Room(Arc<Semaphore>);

impl Room {
    /// Room for so many bytes.
    pub(crate) fn of(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / PIECE)))
    }
}

/// The room an upload takes, from its first byte until this is dropped: when nothing of it is in memory any more.
#[derive(Clone)]
pub(crate) struct Place(Arc<Taken>);

struct Taken {
    room: Room,
    permits: Mutex<Option<OwnedSemaphorePermit>>,
    is_short: AtomicBool,
}

impl Place {
    /// What came of reading the body; where it ended for want of room, that.
    pub(crate) fn judge<T>(&self, read: Result<T, Rejection>) -> Result<T, Rejection> {
        if self.0.is_short.load(Ordering::Relaxed) {
            let reason = "Too many uploads are under way; try again later.";
            return Err(Rejection::Unavailable { retry_after: LATER, reason });
        }
        read
    }

    /// Takes room for `bytes` more in all, unless there is none.
    fn take(&self, bytes: u64) -> bool {
        let pieces = usize::try_from(bytes).unwrap_or(usize::MAX).div_ceil(PIECE);
        let mut permits = self.0.permits.lock().unwrap_or_else(PoisonError::into_inner);
        let held = permits.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let Some(wanted) = pieces.checked_sub(held).filter(|wanted| *wanted > 0) else {
            return true;
        };
        let Ok(more) =
            Arc::clone(&self.0.room.0).try_acquire_many_owned(u32::try_from(wanted).unwrap_or(u32::MAX))
        else {
            self.0.is_short.store(true, Ordering::Relaxed);
            tracing::warn!(bytes, "an upload found no room; see http.uploads");
            return false;
        };
        match permits.as_mut() {
            Some(held) => held.merge(more),
            None => *permits = Some(more),
        }
        true
    }
}

/// The request, whose body from now on puts off its own deadline as it comes, and takes room.
pub(crate) fn received(app: &App, request: Request) -> (Request, Place) {
    let room = app.room().clone();
    let place = Place(Arc::new(Taken { room, permits: Mutex::new(None), is_short: AtomicBool::new(false) }));
    let deadline = request.extensions().get::<Deadline>().cloned();
    let (patience, counted) = (app.http().deadline, place.clone());
    let request = request.map(|inner| {
        Body::new(Upload { inner, place: counted, deadline, patience, begun: Instant::now(), bytes: 0 })
    });
    (request, place)
}

/// No room is left.
#[derive(Debug, thiserror::Error)]
#[error("no room for this upload")]
struct NoRoom;

struct Upload {
    inner: Body,
    place: Place,
    deadline: Option<Deadline>,
    patience: Duration,
    begun: Instant,
    bytes: u64,
}

impl Upload {
    /// Whether there is room for what has come.
    fn took(&mut self, bytes: &Bytes) -> bool {
        self.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if let Some(deadline) = &self.deadline {
            let earned = Duration::from_secs(self.bytes / SLOWEST);
            deadline.put_off(self.begun + earned + self.patience);
        }
        self.place.take(self.bytes)
    }

    /// From now on the clock runs for the handler.
    fn ended(&self) {
        if let Some(deadline) = &self.deadline {
            deadline.put_off(Instant::now() + self.patience);
        }
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.inner).poll_frame(context);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(bytes) = frame.data_ref()
                    && !this.took(bytes)
                {
                    return Poll::Ready(Some(Err(axum::Error::new(NoRoom))));
                }
            }
            Poll::Ready(None) => this.ended(),
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
    use super::*;

    fn place(room: &Room) -> Place {
        let taken = Taken { room: room.clone(), permits: Mutex::new(None), is_short: AtomicBool::new(false) };
        Place(Arc::new(taken))
    }

    #[test]
    fn uploads_share_the_room_and_give_it_back() {
        let room = Room::of(10 * PIECE);
        let (one, two) = (place(&room), place(&room));
        assert!(one.take(1) && one.take(6 * PIECE as u64) && one.take(6 * PIECE as u64));
        assert!(two.take(4 * PIECE as u64));
        assert!(!two.take(4 * PIECE as u64 + 1));
        assert!(matches!(two.judge(Ok(())), Err(Rejection::Unavailable { retry_after: LATER, .. })));
        assert!(one.judge(Ok(())).is_ok());
        drop(one);
        assert!(place(&room).take(6 * PIECE as u64));
    }
}
