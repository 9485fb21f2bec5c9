//! What the shared machinery needs to know of a contract.

use axum::response::{IntoResponse, Response};
use tidegate_domain::{Dialect, Timestamp};

use crate::wire::rejection::Rejection;

/// A contract: its profile, and how it words what can go wrong before or around a use case.
pub(crate) trait Contract: Send + Sync + 'static {
    /// Which.
    const DIALECT: Dialect;
    /// Its error, in its own envelope.
    type Error: ContractError;
}

/// An error of a contract. Handlers answer it; the boundary writes its body.
pub(crate) trait ContractError:
    From<Rejection> + IntoResponse + Clone + Send + Sync + 'static
{
    /// Its stable code, for the log and the metrics.
    fn code(&self) -> &str;
    /// The whole response. `now` is for envelopes that tell the time.
    fn render(&self, now: Timestamp) -> Response;
}
