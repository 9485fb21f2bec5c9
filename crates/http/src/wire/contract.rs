//! What the shared machinery needs to know of a contract.

use std::net::IpAddr;

use axum::response::{IntoResponse, Response};
use tidegate_domain::{ContractId, Timestamp};
use tidegate_kernel::{Call, Settings};

use crate::wire::rejection::Rejection;

/// A contract as a type: what the extractors and the boundary are generic over.
pub(crate) trait ContractMarker: Send + Sync + 'static {
    /// Which contract.
    const ID: ContractId;
    /// Its error, in its own envelope.
    type Error: ContractError;

    /// A request to it.
    fn call(settings: &Settings, ip: IpAddr, user_agent: String) -> Call {
        Call::to_contract(settings.profile(Self::ID).clone(), ip, user_agent)
    }
}

/// An error of a contract. Handlers answer it; the boundary writes its body.
pub(crate) trait ContractError:
    From<Rejection> + IntoResponse + Clone + Send + Sync + 'static
{
    /// Its stable code, for the log and the metrics.
    fn code(&self) -> &str;
    /// The whole response. `now` is for envelopes with a timestamp.
    fn render(&self, now: Timestamp) -> Response;
}

/// What the errors of all contracts have in common: they are written by the boundary, and a use case that refuses or
/// fails answers one.
macro_rules! contract_error {
    ($contract:ty, $error:ty) => {
        impl axum::response::IntoResponse for $error {
            fn into_response(self) -> axum::response::Response {
                $crate::wire::boundary::Pending::<$contract>(self).into_response()
            }
        }

        impl<E: Into<$error>> From<tidegate_kernel::Refused<E>> for $error {
            fn from(refused: tidegate_kernel::Refused<E>) -> Self {
                match refused {
                    tidegate_kernel::Refused::Rule(rule) => rule.into(),
                    tidegate_kernel::Refused::Fault(fault) => {
                        $crate::wire::rejection::Rejection::from(fault).into()
                    }
                }
            }
        }
    };
}
pub(crate) use contract_error;
