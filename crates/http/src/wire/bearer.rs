//! Bearer tokens (RFC 6750 section 2.1), and those that are bound to a key (RFC 9449).

use std::marker::PhantomData;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tidegate_domain::Permission;
use tidegate_kernel::dpop::ReadProof;
use tidegate_kernel::noted::{CredentialFault, refused};
use tidegate_kernel::{Actor, AuthError, Call};

use crate::wire::client::{call, read_meter};
use crate::wire::contract::ContractMarker;
use crate::wire::possession::{note, presented, require_possession};
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// A request with a right token, whose owner the contract admits. What they may do, the use case decides.
pub(crate) struct Bearer<C> {
    pub(crate) actor: Actor,
    pub(crate) call: Call,
    contract: PhantomData<C>,
}

impl<C: ContractMarker> Bearer<C> {
    /// Refuses a caller without `permission` before the body is judged: that a role does not suffice comes before mistakes
    /// in the body. It only orders answers; the use case authorizes for itself.
    pub(crate) fn permitted(self, permission: Permission) -> Result<(Actor, Call), C::Error> {
        self.actor.authorize(permission).map_err(Rejection::from)?;
        Ok((self.actor, self.call))
    }
}

impl<C: ContractMarker> FromRequestParts<App> for Bearer<C> {
    type Rejection = C::Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, C::Error> {
        let call = call::<C>(parts, app);
        match authenticate(parts, app).await {
            Ok((actor, proof)) => {
                if let Some(status) = app.kernel().meter_authenticated(&call, &actor) {
                    read_meter(&parts.extensions, app, status)?;
                }
                actor.admitted_to(&call.profile).map_err(Rejection::from)?;
                note(app, proof).await?;
                let call = call.caused_by((&actor).into());
                Ok(Self { actor, call, contract: PhantomData })
            }
            Err(rejection) => {
                // Guessing tokens counts as what it is: a request without one.
                if let Some(status) = app.kernel().meter_anonymous(&call) {
                    read_meter(&parts.extensions, app, status)?;
                }
                Err(rejection.into())
            }
        }
    }
}

async fn authenticate(parts: &Parts, app: &App) -> Result<(Actor, Option<ReadProof>), Rejection> {
    let presented = presented(&parts.headers).map_err(|why| {
        refused(CredentialFault::Authorization(why));
        Rejection::NoToken
    })?;
    let actor =
        app.kernel().authenticate(presented.1).await.map_err(|error: AuthError| Rejection::from(error))?;
    let proof = require_possession(app, parts, &actor, presented)?;
    Ok((actor, proof))
}
