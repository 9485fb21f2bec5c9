//! A `multipart/form-data` body (RFC 7578), read part by part while it arrives.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use axum::body::{BodyDataStream, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use futures_util::Stream;
use multer::{Constraints, Field, Multipart, SizeLimit};

use crate::wire::rejection::{BodyType, Rejection};

/// What a form has, and how large it may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FormLimits {
    /// The field with the file.
    pub(crate) file: &'static str,
    /// Largest body, in bytes.
    pub(crate) body: usize,
    /// Largest part, in bytes.
    pub(crate) part: usize,
    /// Most parts.
    pub(crate) parts: usize,
}

/// Most bytes read in search of a part's content: the bytes before the first boundary, or a part's headers.
/// They are searched from their beginning whenever more arrive.
const MAX_HEAD: u64 = 16 * 1024;
/// Most bytes handed to the parser at once.
const CHUNK: usize = 16 * 1024;
/// Longest boundary, in characters (RFC 2046 section 5.1.1).
const MAX_BOUNDARY: usize = 70;

/// A form whose parts come one after the other.
pub(crate) struct Form {
    parts: Multipart<'static>,
    /// How many bytes the parser has been given.
    given: Arc<AtomicU64>,
    seen: usize,
    limits: FormLimits,
}

/// One part of it, to be read or skipped before the next one comes.
pub(crate) struct Part {
    field: Field<'static>,
    limits: FormLimits,
}

impl Form {
    /// The form in the body of `request`, of which nothing is read yet.
    ///
    /// # Errors
    /// [`Rejection::UnsupportedMediaType`] for another content type, [`Rejection::MalformedBody`] without a
    /// usable boundary, [`Rejection::PayloadTooLarge`] when the declared length already is.
    pub(crate) fn of(request: Request, limits: FormLimits) -> Result<Self, Rejection> {
        let boundary = boundary(request.headers(), limits.file)?;
        let body = request.into_body();
        if HttpBody::size_hint(&body).lower() > bytes(limits.body) {
            return Err(Rejection::PayloadTooLarge { limit: limits.body });
        }
        let given = Arc::new(AtomicU64::new(0));
        let chunks = Chunks {
            frames: body.into_data_stream(),
            rest: Bytes::new(),
            pauses: false,
            given: Arc::clone(&given),
        };
        let sizes = SizeLimit::new().whole_stream(bytes(limits.body)).per_field(bytes(limits.part));
        let constraints = Constraints::new().size_limit(sizes);
        let parts = Multipart::with_constraints(chunks, boundary, constraints);
        Ok(Self { parts, given, seen: 0, limits })
    }

    /// The next part.
    ///
    /// # Errors
    /// [`Rejection::PayloadTooLarge`] as soon as the body is; [`Rejection::MalformedBody`].
    pub(crate) async fn next(&mut self) -> Result<Option<Part>, Rejection> {
        let before = self.given.load(Ordering::Relaxed);
        let limits = self.limits;
        let field = poll_fn(|context| match self.parts.poll_next_field(context) {
            Poll::Ready(field) => Poll::Ready(field.map_err(|error| refused(error, limits))),
            Poll::Pending if self.given.load(Ordering::Relaxed) > before + MAX_HEAD => {
                Poll::Ready(Err(malformed("the headers of a part are too long")))
            }
            Poll::Pending => Poll::Pending,
        });
        let Some(field) = field.await? else {
            return Ok(None);
        };
        self.seen += 1;
        if self.seen > limits.parts {
            return Err(malformed("the form has too many parts"));
        }
        Ok(Some(Part { field, limits }))
    }
}

impl Part {
    /// Which field of the form it is; empty when it does not say.
    pub(crate) fn name(&self) -> &str {
        self.field.name().unwrap_or_default()
    }

    /// What its sender says it is, without parameters.
    pub(crate) fn declared_type(&self) -> Option<&str> {
        self.field.content_type().map(|mime| mime.essence_str())
    }

    /// What its sender calls the file that it is; none where it is no file.
    pub(crate) fn file_name(&self) -> Option<&str> {
        self.field.file_name()
    }

    /// All of it as text, if it has at most `most` bytes.
    ///
    /// # Errors
    /// [`Rejection::PayloadTooLarge`]; [`Rejection::MalformedBody`] for what is no text.
    pub(crate) async fn read_text(mut self, most: usize) -> Result<String, Rejection> {
        let mut read = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if read.len() + chunk.len() > most {
                return Err(Rejection::PayloadTooLarge { limit: most });
            }
            read.extend_from_slice(&chunk);
        }
        String::from_utf8(read).map_err(|_| malformed("a field of the form must be UTF-8 text"))
    }

    /// All of it.
    ///
    /// # Errors
    /// [`Rejection::PayloadTooLarge`] as soon as the part or the body is; [`Rejection::MalformedBody`].
    pub(crate) async fn read(mut self) -> Result<Vec<u8>, Rejection> {
        let mut read = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            read.extend_from_slice(&chunk);
        }
        Ok(read)
    }

    /// Reads past it.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) async fn skip(mut self) -> Result<(), Rejection> {
        while self.chunk().await?.is_some() {}
        Ok(())
    }

    /// Its next bytes.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Rejection> {
        let limits = self.limits;
        self.field.chunk().await.map_err(|error| refused(error, limits))
    }
}

/// The body in small pieces, with a pause after each.
///
/// The parser takes whatever is there before it looks at any of it. The pauses make it look at every piece, so that
/// its limits hold while the body arrives and it never holds more than it needs.
struct Chunks {
    frames: BodyDataStream,
    rest: Bytes,
    pauses: bool,
    given: Arc<AtomicU64>,
}

impl Stream for Chunks {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.pauses) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        while self.rest.is_empty() {
            match Pin::new(&mut self.frames).poll_next(context) {
                Poll::Ready(Some(Ok(frame))) => self.rest = frame,
                other => return other,
            }
        }
        let length = self.rest.len().min(CHUNK);
        let chunk = self.rest.split_to(length);
        self.given.fetch_add(bytes(length), Ordering::Relaxed);
        self.pauses = true;
        Poll::Ready(Some(Ok(chunk)))
    }
}

/// What separates the parts.
fn boundary(headers: &HeaderMap, field: &'static str) -> Result<String, Rejection> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_form = |content_type: &&str| {
        let essence = content_type.split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case("multipart/form-data")
    };
    let refusal = Rejection::UnsupportedMediaType(BodyType::FileForm { field });
    let content_type = content_type.filter(is_form).ok_or(refusal)?;
    match multer::parse_boundary(content_type) {
        Ok(boundary) if (1..=MAX_BOUNDARY).contains(&boundary.len()) => Ok(boundary),
        _ => Err(malformed(
            "the content type must name the form's boundary: leave that header to the client, which writes both (curl -F, FormData)",
        )),
    }
}

/// Without the parser's own words: they quote what was sent.
fn refused(error: multer::Error, limits: FormLimits) -> Rejection {
    match error {
        multer::Error::StreamSizeExceeded { .. } => Rejection::PayloadTooLarge { limit: limits.body },
        multer::Error::FieldSizeExceeded { .. } => Rejection::PayloadTooLarge { limit: limits.part },
        multer::Error::StreamReadFailed(_) => malformed("the body ended early"),
        _ => malformed("the body must be a well-formed multipart form"),
    }
}

fn malformed(text: &str) -> Rejection {
    Rejection::MalformedBody(text.to_owned())
}

fn bytes(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
