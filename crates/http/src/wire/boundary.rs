//! The edge of a contract: deadline, panics, and the writing of errors in its own envelope.

use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::body::HttpBody;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tidegate_domain::limit::LimitStatus;
use tokio::time::Instant;

use tidegate_domain::ContractId;

use crate::wire::contract::{ContractError, ContractMarker};
use crate::wire::rejection::{RATE_LIMIT, Rejection, limit_status_headers};
use crate::wire::state::App;
use crate::wire::telemetry::ErrorCode;
use crate::wire::upload::{Reservation, metered};

/// An error on its way to the boundary, which alone writes bodies of errors.
pub(crate) struct Pending<C: ContractMarker>(pub(crate) C::Error);

impl<C: ContractMarker> IntoResponse for Pending<C> {
    fn into_response(self) -> Response {
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        response.extensions_mut().insert(Carried::<C>(self.0, PhantomData));
        response
    }
}

struct Carried<C: ContractMarker>(C::Error, PhantomData<C>);

impl<C: ContractMarker> Clone for Carried<C> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

/// Where an extractor stores the caller's limit status for the response's headers.
#[derive(Clone, Default)]
pub(crate) struct MeterReading(Arc<OnceLock<LimitStatus>>);

impl MeterReading {
    pub(crate) fn note(&self, status: LimitStatus) {
        // The first count of a request is the one that is shown.
        let _ = self.0.set(status);
    }
}

/// When a request is given up. An upload that makes progress puts it off.
#[derive(Clone)]
pub(crate) struct Deadline(Arc<Mutex<Instant>>);

impl Deadline {
    fn after(patience: Duration) -> Self {
        Self(Arc::new(Mutex::new(Instant::now() + patience)))
    }

    fn instant(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives up at `instant`, and not before.
    pub(crate) fn put_off(&self, instant: Instant) {
        let mut deadline = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *deadline = instant.max(*deadline);
    }
}

/// The handler's response, unless its body cannot be taken, or it panics or takes too long.
pub(crate) async fn handled(app: &App, request: Request, next: Next) -> Result<Response, Rejection> {
    if is_encoded(&request) {
        return Err(Rejection::UnsupportedEncoding);
    }
    let deadline = Deadline::after(app.http().deadline);
    let (request, body) = metered(app, request, &deadline);
    let mut handling = pin!(AssertUnwindSafe(next.run(request)).catch_unwind());
    loop {
        let until = deadline.instant();
        match tokio::time::timeout_at(until, &mut handling).await {
            Ok(Ok(response)) => {
                let refused = body.as_ref().and_then(Reservation::refusal);
                return refused.map_or(Ok(response), Err);
            }
            Ok(Err(_panic)) => {
                tracing::error!("a handler panicked; this is a defect");
                return Err(Rejection::Internal);
            }
            Err(_elapsed) if deadline.instant() > until => {}
            // The client's doing, and no error of ours.
            Err(_elapsed) if body.as_ref().is_some_and(Reservation::waits_for_client) => {
                body.iter().for_each(Reservation::note_too_late);
                return Err(Rejection::RequestTimeout);
            }
            Err(_elapsed) => {
                tracing::error!(deadline = ?app.http().deadline, "a request took too long and was given up");
                let reason = "The request took too long; try again.";
                return Err(Rejection::Unavailable { retry_after: 1, reason });
            }
        }
    }
}

/// Whether the body is sent compressed or otherwise transformed (RFC 9110 section 8.4). Nothing here decodes: a few bytes
/// could become gigabytes.
fn is_encoded(request: &Request) -> bool {
    let is_routed = request.extensions().get::<MatchedPath>().is_some();
    let codings = request.headers().get_all(header::CONTENT_ENCODING);
    let is_identity = |coding: &HeaderValue| {
        coding.to_str().is_ok_and(|list| {
            list.split(',').all(|one| ["", "identity"].contains(&one.trim().to_ascii_lowercase().as_str()))
        })
    };
    is_routed && !request.body().is_end_stream() && !codings.iter().all(is_identity)
}

/// Where clients learn whose tokens are taken here (RFC 9728 section 3).
pub(crate) const PROTECTED_RESOURCE: &str = "/.well-known/oauth-protected-resource";

/// Has the challenge for a bearer token say where clients learn whose tokens are taken (RFC 9728 section 5.1). Contracts of others have
/// challenges of their own words.
fn point_to_metadata(app: &App, response: &mut Response) {
    let issuer = &app.kernel().settings().public_url;
    let Some(challenge) =
        response.headers().get(header::WWW_AUTHENTICATE).and_then(|value| value.to_str().ok())
    else {
        return;
    };
    let separator = if challenge == "Bearer" { " " } else { ", " };
    let pointing = format!("{challenge}{separator}resource_metadata=\"{issuer}{PROTECTED_RESOURCE}\"");
    if challenge.starts_with("Bearer")
        && let Ok(pointing) = HeaderValue::from_str(&pointing)
    {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, pointing);
    }
}

/// Middleware around every route of a contract.
pub(crate) async fn guard<C: ContractMarker>(
    State(app): State<App>,
    mut request: Request,
    next: Next,
) -> Response {
    let reading = MeterReading::default();
    request.extensions_mut().insert(reading.clone());
    let handled = handled(&app, request, next).await;
    let mut response = handled.unwrap_or_else(|rejection| Pending::<C>(rejection.into()).into_response());
    if let Some(Carried::<C>(error, _)) = response.extensions_mut().remove() {
        // A handler that answers several methods says which those of this path are.
        let allowed = response.headers_mut().remove(header::ALLOW);
        response = error.render(app.kernel().now());
        response.headers_mut().extend(allowed.map(|allowed| (header::ALLOW, allowed)));
        response.extensions_mut().insert(ErrorCode(error.code().to_owned()));
    }
    if let Some(status) = reading.0.get()
        && !response.headers().contains_key(RATE_LIMIT)
    {
        limit_status_headers(status, response.headers_mut());
    }
    if response.status() == StatusCode::UNAUTHORIZED {
        // Every 401 says how to do better (RFC 9110 section 15.5.2), a refused password's included.
        let challenge = HeaderValue::from_static("Bearer");
        response.headers_mut().entry(header::WWW_AUTHENTICATE).or_insert(challenge);
        if C::ID == ContractId::OAUTH {
            point_to_metadata(&app, &mut response);
        }
    }
    // Answers hold tokens and personal data; only the client may store them (RFC 6749 section 5.1).
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
