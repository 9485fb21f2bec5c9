//! Work that is not left half-way.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// Does `work` to its end: should its caller go away, what is left of it is done in a task of its own.
///
/// A statement that begins or ends a transaction needs this. Cut off, it may have been run or not, and the next user of
/// the connection would not know which.
pub(super) fn to_the_end<T>(work: impl Future<Output = T> + Send + 'static) -> ToTheEnd<T>
where
    T: Send + 'static,
{
    ToTheEnd(Some(Box::pin(work)))
}

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The future of [`to_the_end`].
pub(super) struct ToTheEnd<T: Send + 'static>(Option<Work<T>>);

impl<T: Send + 'static> Future for ToTheEnd<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Taken out meanwhile, so that work that panics is not taken up again.
        let Some(mut work) = self.0.take() else {
            return Poll::Pending;
        };
        let answer = work.as_mut().poll(context);
        if answer.is_pending() {
            self.0 = Some(work);
        }
        answer
    }
}

impl<T: Send + 'static> Drop for ToTheEnd<T> {
    fn drop(&mut self) {
        // Without a runtime the process is ending, and its connections with it.
        if let (Some(rest), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn work_whose_caller_goes_away_is_done_all_the_same() {
        let done = Arc::new(AtomicBool::new(false));
        let (go, gone) = oneshot::channel::<()>();
        let (finished, waiting) = oneshot::channel();
        let work = {
            let done = Arc::clone(&done);
            async move {
                gone.await.unwrap();
                done.store(true, Ordering::SeqCst);
                finished.send(()).unwrap();
            }
        };
        tokio::select! {
            biased;
            () = to_the_end(work) => panic!("not continued"),
            () = std::future::ready(()) => {}
        }
        assert!(!done.load(Ordering::SeqCst));
        go.send(()).unwrap();
        waiting.await.unwrap();
        assert!(done.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn work_that_is_waited_for_answers() {
        assert_eq!(to_the_end(async { 7 }).await, 7);
    }
}
