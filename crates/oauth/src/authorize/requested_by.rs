//! A signed-in caller brings an application's request.

use tidegate_domain::Permission;
use tidegate_kernel::fault::Outcome;
use tidegate_kernel::{Actor, Call};

use super::error::RequestRefused;
use super::parameters::Parameters;
use super::request::AuthorizationRequest;
use crate::Oauth;

impl Oauth {
    /// The request as [`Oauth::authorization_request`] reads it, for a session that has not ended meanwhile.
    ///
    /// # Errors
    /// [`RequestRefused`]; a fault where the caller may not give access.
    pub async fn authorization_request_by(
        &self,
        call: &Call,
        actor: &Actor,
        parameters: Parameters,
    ) -> Outcome<AuthorizationRequest, RequestRefused> {
        drop(self.read_as(actor, Permission::AuthorizeApplications).await?);
        self.authorization_request(call, parameters).await
    }
}
