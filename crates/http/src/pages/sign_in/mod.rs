//! The hosted sign-in: password, second factor, mailed code, passkey, other providers; how a browser is signed out; and how people make an
//! account, where the operator lets them.
//!
//! Each page translates a form into the use case that the contracts call for the same, and its answer into the next page. Nothing but
//! these use cases opens a session. Unknown accounts are answered as known ones.

pub(super) mod account;
mod code;
mod device;
mod factor;
pub(super) mod flow;
mod forgot;
pub(super) mod page;
mod passkey;
mod password;
pub(super) mod sign_out;
mod sign_up;
mod sign_up_code;
mod social;

use axum::Router;
use axum::routing::{get, post};

use crate::wire::safe::acting_get;
use crate::wire::state::App;

/// The pages of the sign-in.
pub(super) fn router(app: &App) -> Router<App> {
    let pages = Router::new()
        .route("/sign-in", get(password::ask).post(password::sign_in))
        .route("/sign-in/factor", get(factor::ask).post(factor::show))
        .route("/sign-in/factor/send", post(factor::send))
        .route("/sign-in/code", get(code::ask).post(code::confirm))
        .route("/sign-in/code/again", post(code::send_again))
        .route("/sign-in/passkey", post(passkey::sign_in))
        .route("/sign-in/passkey/options", post(passkey::options))
        .route("/sign-in/passkey.js", get(passkey::script))
        // A provider sends people back by GET, and they are sent to it by a link: a form may lead nowhere else.
        .route("/sign-in/with/{provider}", acting_get(social::begin))
        .route("/sign-in/with/{provider}/callback", acting_get(social::come_back).post(social::posted))
        .route("/forgot-password", get(forgot::ask).post(forgot::send))
        .route("/device", get(device::ask).post(device::answered))
        .route("/account", get(account::page))
        .route("/account/applications/withdraw", post(account::withdraw))
        .route("/sign-out", get(sign_out::ask).post(sign_out::sign_out))
        .route("/signed-out", get(sign_out::done));
    if app.kernel().settings().sign_up_page { pages.merge(sign_up_router()) } else { pages }
}

/// The pages on which people make an account. Where there are none, they are unknown like any other address.
fn sign_up_router() -> Router<App> {
    Router::new()
        .route("/sign-up", get(sign_up::ask).post(sign_up::sign_up))
        .route("/sign-up/code", get(sign_up_code::ask).post(sign_up_code::confirm))
        .route("/sign-up/code/again", post(sign_up_code::send_again))
}
