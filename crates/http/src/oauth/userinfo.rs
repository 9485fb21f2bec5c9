//! `/oauth/userinfo` (OpenID Connect Core section 5.3).

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;

use super::{Answer, Bearer};
use crate::wire::state::App;

/// What the scopes of the token tell of its person.
pub(super) async fn userinfo(bearer: Bearer, State(app): State<App>) -> Answer {
    Ok(Json(app.oauth().userinfo(&bearer.actor).await?).into_response())
}
