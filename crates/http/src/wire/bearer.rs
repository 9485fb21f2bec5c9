//! Bearer tokens (RFC 6750 section 2.1).

use std::marker::PhantomData;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use tidegate_domain::Role;
use tidegate_domain::account::AccountKind;
use tidegate_domain::contract::Unverified;
use tidegate_kernel::{Actor, AuthError, Call};

use crate::wire::client::{call, read_meter};
use crate::wire::contract::ContractMarker;
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// A request with a right token. Who may go on, the handler says first: only [`Bearer::require`] gives the actor away.
pub(crate) struct Bearer<C> {
    actor: Actor,
    call: Call,
    contract: PhantomData<C>,
}

impl<C: ContractMarker> Bearer<C> {
    /// Lets in an actor of at least `role` with an unrestricted token.
    pub(crate) fn require(self, role: Role) -> Result<(Actor, Call), C::Error> {
        self.actor.require(role).map_err(Rejection::from)?;
        Ok((self.actor, self.call))
    }

    /// The same, and besides the frontend role, whose reach the use case bounds to its own end user.
    pub(crate) fn require_or_frontend(self, role: Role) -> Result<(Actor, Call), C::Error> {
        let least = if self.actor.role() == Role::Frontend { Role::Frontend } else { role };
        self.require(least)
    }
}

impl<C: ContractMarker> FromRequestParts<App> for Bearer<C> {
    type Rejection = C::Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, C::Error> {
        let call = call::<C>(parts, app);
        match authenticate(parts, app).await {
            Ok(actor) => {
                if let Some(standing) = app.kernel().meter_authenticated(&call, &actor) {
                    read_meter(&parts.extensions, app, standing)?;
                }
                let is_person = actor.session.kind == AccountKind::Individual;
                if !is_person && call.profile.program_password.is_none() {
                    return Err(Rejection::Forbidden.into());
                }
                let admits_all = call.profile.unverified == Unverified::Admitted;
                if is_person && !admits_all && !actor.session.email_verified {
                    return Err(Rejection::EmailNotVerified.into());
                }
                let call = call.caused_by((&actor).into());
                Ok(Self { actor, call, contract: PhantomData })
            }
            Err(rejection) => {
                // Guessing tokens counts as what it is: a request without one.
                if let Some(standing) = app.kernel().meter_anonymous(&call) {
                    read_meter(&parts.extensions, app, standing)?;
                }
                Err(rejection.into())
            }
        }
    }
}

async fn authenticate(parts: &Parts, app: &App) -> Result<Actor, Rejection> {
    let token = token(&parts.headers).ok_or(Rejection::NoToken)?;
    app.kernel().authenticate(token).await.map_err(|error: AuthError| error.into())
}

/// The token of the one `Authorization` header; none for another scheme, an empty token, or two headers.
fn token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Option<String> {
        let headers: HeaderMap =
            values.iter().map(|value| (header::AUTHORIZATION, value.parse().unwrap())).collect();
        token(&headers).map(str::to_owned)
    }

    #[test]
    fn one_bearer_header_is_a_token_and_nothing_else_is() {
        assert_eq!(of(&["Bearer abc"]), Some("abc".into()));
        assert_eq!(of(&["bearer  abc "]), Some("abc".into()));
        for values in
            [&[][..], &["Bearer"], &["Bearer "], &["Basic abc"], &["abc"], &["Bearer a", "Bearer b"]]
        {
            assert_eq!(of(values), None, "{values:?}");
        }
    }
}
