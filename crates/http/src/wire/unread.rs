//! Unread request bodies: an early answer must not close the connection without notice.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderValue, Version, header};
use axum::response::Response;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;

/// The largest rest that is read to keep a connection. Reading more costs more than a new one.
const WORTH_READING: u64 = 64 * 1024;
/// How long a client may take to send it: it is on its way.
const PATIENCE: Duration = Duration::from_secs(1);

/// Reads what is left of a small body, or says that the connection ends with the answer (RFC 9112 section 9.6). Clients
/// that send head and body apart would otherwise find it closed at their next request.
pub(crate) async fn drained<F: Future<Output = Response>>(
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    if request.version() > Version::HTTP_11 || request.body().is_end_stream() {
        return next(request).await;
    }
    let (parts, body) = request.into_parts();
    let lent = Lent(Arc::new(Mutex::new(Inner { body, ended: false })));
    let body = Body::new(Lent(Arc::clone(&lent.0)));
    let mut response = next(Request::from_parts(parts, body)).await;
    if !lent.drain().await {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A body that is lent to its handler.
struct Lent(Arc<Mutex<Inner>>);

struct Inner {
    body: Body,
    ended: bool,
}

impl Lent {
    /// Whether nothing of the body is left.
    async fn drain(&self) -> bool {
        let rest = {
            let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if inner.ended || inner.body.is_end_stream() {
                return true;
            }
            std::mem::take(&mut inner.body)
        };
        let is_small = HttpBody::size_hint(&rest).exact().is_some_and(|rest| rest <= WORTH_READING);
        is_small && tokio::time::timeout(PATIENCE, read_away(rest)).await.unwrap_or(false)
    }
}

/// Reads a body to its end and keeps nothing of it; whether it came to its end.
async fn read_away(mut body: Body) -> bool {
    while let Some(frame) = body.frame().await {
        if frame.is_err() {
            return false;
        }
    }
    true
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let frame = Pin::new(&mut inner.body).poll_frame(context);
        inner.ended |= matches!(frame, Poll::Ready(None));
        frame
    }

    fn is_end_stream(&self) -> bool {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.ended || inner.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        HttpBody::size_hint(&self.0.lock().unwrap_or_else(PoisonError::into_inner).body)
    }
}
