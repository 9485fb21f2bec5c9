//! The protocol endpoints of OAuth 2 and OpenID Connect, at the root of the host.
//!
//! Their errors are flat (RFC 6749 section 5.2), and nothing is stored on the way. Scripts of admitted origins may call all of them but
//! the authorization endpoint, which browsers are sent to (RFC 9700 section 2.1), and introspection, which is for servers.

mod authorize;
mod browser;
mod client;
mod discovery;
mod error;
mod form;
mod form_post;
mod introspect;
mod revoke;
mod token;
mod userinfo;

use std::net::IpAddr;

use axum::Router;
use axum::http::Method;
use axum::middleware;
use axum::routing::{get, post};
use tidegate_domain::ContractId;
use tidegate_kernel::{Call, Settings};

use crate::wire::boundary::{Pending, guard};
use crate::wire::contract::ContractMarker;
use crate::wire::cors::with_cors;
use crate::wire::rejection::Rejection;
use crate::wire::state::App;
use error::Error;

/// The endpoints as a type. They are no contract: what they do has an origin of its own.
pub(crate) struct OAuth;

impl ContractMarker for OAuth {
    const ID: ContractId = ContractId::OAUTH;
    type Error = Error;

    fn call(settings: &Settings, ip: IpAddr, user_agent: String) -> Call {
        Call::to_oauth(settings, ip, user_agent)
    }
}

pub(crate) use authorize::answered;

type Caller = crate::wire::client::Caller<OAuth>;
type Bearer = crate::wire::bearer::Bearer<OAuth>;
type Answer = Result<axum::response::Response, Error>;

/// Where each endpoint is, below the issuer: as discovery says.
mod path {
    pub(super) const AUTHORIZE: &str = "/oauth/authorize";
    pub(super) const TOKEN: &str = "/oauth/token";
    pub(super) const REVOKE: &str = "/oauth/token/revoke";
    pub(super) const INTROSPECT: &str = "/oauth/introspect";
    pub(super) const USERINFO: &str = "/oauth/userinfo";
    pub(super) const JWKS: &str = "/.well-known/jwks.json";
}

/// Routes of the endpoints.
pub(crate) fn router(app: &App) -> Router<App> {
    let for_scripts = Router::new()
        .route(path::TOKEN, post(token::token))
        .route(path::REVOKE, post(revoke::revoke))
        .route(path::USERINFO, get(userinfo::userinfo).post(userinfo::userinfo))
        .route("/.well-known/openid-configuration", get(discovery::provider))
        .route("/.well-known/oauth-authorization-server", get(discovery::provider))
        .route("/.well-known/oauth-protected-resource", get(discovery::resource))
        .method_not_allowed_fallback(method_not_allowed);
    let others = Router::new()
        .route(path::AUTHORIZE, get(authorize::authorize).post(authorize::answer))
        .route(form_post::SCRIPT, get(form_post::script))
        .route(path::INTROSPECT, post(introspect::introspect))
        .method_not_allowed_fallback(method_not_allowed);
    let guarded =
        |routes: Router<App>| routes.layer(middleware::from_fn_with_state(app.clone(), guard::<OAuth>));
    with_cors(guarded(for_scripts), app).merge(guarded(others))
}

async fn method_not_allowed(_caller: Caller, method: Method) -> Pending<OAuth> {
    Pending(Rejection::MethodNotAllowed { method }.into())
}
