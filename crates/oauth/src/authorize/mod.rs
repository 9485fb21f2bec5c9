//! A person gives an application access: the request, the decision, the code, and what is remembered.
//!
//! A request passes through these in order, whoever asks: [`Oauth::authorization_request`](crate::Oauth::authorization_request)
//! validates it, the caller authenticates the person, [`Oauth::decide`](crate::Oauth::decide) says what is still missing, and
//! [`Oauth::approve`](crate::Oauth::approve) makes the code.

pub mod answer;
pub mod approve;
mod audited;
pub(crate) mod codes_repository;
pub mod consents;
pub(crate) mod consents_repository;
pub mod decide;
pub mod error;
pub mod introduce;
pub mod parameters;
pub mod pushed;
pub(crate) mod pushed_repository;
pub mod request;
mod requested_by;
mod resolved;
pub mod scopes;
mod signed;

pub use answer::{Answer, ResponseMode};
pub use decide::{Approval, Decision, Presence, Question};
pub use error::{AuthorizationError, RequestRefused, ShownError};
pub use parameters::Parameters;
pub use pushed::{PushError, Pushed};
pub use request::{AuthorizationRequest, Prompt};
pub use scopes::ScopeRefused;
