//! The protocol endpoints of OAuth 2 and OpenID Connect, at the root of the host.
//!
//! Their errors are flat (RFC 6749 section 5.2), and nothing is stored on the way. Scripts of admitted origins may call all of them but
//! the authorization endpoint, which browsers are sent to (RFC 9700 section 2.1), and introspection and pushed requests, which are for
//! servers.

mod authorize;
mod browser;
mod client;
mod device;
mod discovery;
mod dpop;
mod error;
mod foreign;
mod form;
mod form_post;
mod introspect;
mod logout;
mod par;
mod register;
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

use crate::wire::boundary::{PROTECTED_RESOURCE, Pending, guard};
use crate::wire::contract::ContractMarker;
use crate::wire::cors::with_cors_around;
use crate::wire::rejection::Rejection;
use crate::wire::safe::acting_get;
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
    pub(super) use crate::wire::telemetry::INTROSPECT;

    pub(super) const AUTHORIZE: &str = "/oauth/authorize";
    pub(super) const TOKEN: &str = "/oauth/token";
    pub(super) const REVOKE: &str = "/oauth/token/revoke";
    pub(super) const PAR: &str = "/oauth/par";
    pub(super) const REGISTER: &str = "/oauth/register";
    pub(super) const USERINFO: &str = "/oauth/userinfo";
    pub(super) const LOGOUT: &str = "/oauth/logout";
    pub(super) const DEVICE_AUTHORIZATION: &str = "/oauth/device_authorization";
    /// The page where people type codes of devices: one of the hosted pages.
    pub(super) const DEVICE_PAGE: &str = "/device";
    pub(super) const JWKS: &str = "/.well-known/jwks.json";
}

/// Routes of the endpoints.
pub(crate) fn router(app: &App) -> Router<App> {
    let for_scripts = Router::new()
        .route(path::TOKEN, post(token::token))
        .route(path::REVOKE, post(revoke::revoke))
        .route(path::DEVICE_AUTHORIZATION, post(device::device_authorization))
        .route(path::USERINFO, get(userinfo::userinfo).post(userinfo::userinfo))
        .route("/.well-known/openid-configuration", get(discovery::provider))
        .route("/.well-known/oauth-authorization-server", get(discovery::provider))
        .route(PROTECTED_RESOURCE, get(discovery::resource))
        .route(path::REGISTER, post(register::register))
        .route(
            "/oauth/register/{client_id}",
            get(register::read).put(register::change).delete(register::remove),
        )
        .method_not_allowed_fallback(method_not_allowed);
    let others = Router::new()
        // A code is issued for GET: that is the protocol (RFC 6749 section 3.1).
        .route(path::AUTHORIZE, acting_get(authorize::authorize).post(authorize::answer))
        .route(form_post::SCRIPT, get(form_post::script))
        // With a proof it signs out for GET, too: the specification has it so (RP-Initiated Logout 1.0 section 2).
        .route(path::LOGOUT, acting_get(logout::logout).post(logout::answer))
        .route(path::INTROSPECT, post(introspect::introspect))
        .route(path::PAR, post(par::push))
        .method_not_allowed_fallback(method_not_allowed);
    let guarded = middleware::from_fn_with_state(app.clone(), guard::<OAuth>);
    with_cors_around(guarded.clone(), for_scripts, app).merge(others.layer(guarded))
}

async fn method_not_allowed(_caller: Caller, method: Method) -> Pending<OAuth> {
    Pending(Rejection::MethodNotAllowed { method }.into())
}
