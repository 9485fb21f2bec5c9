//! `/oauth/userinfo` (OpenID Connect Core section 5.3).

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;

use tidegate_oauth::claims::userinfo::ToldUserInfo;

use super::{Answer, Bearer};
use crate::wire::state::App;

/// What the scopes of the token tell of its person.
pub(super) async fn userinfo(bearer: Bearer, State(app): State<App>) -> Answer {
    match app.oauth().userinfo(&bearer.actor).await? {
        ToldUserInfo::Signed(signed) => {
            let kind = HeaderValue::from_static("application/jwt");
            Ok(([(header::CONTENT_TYPE, kind)], signed.expose().to_owned()).into_response())
        }
        ToldUserInfo::Plain(told) => Ok(Json(told).into_response()),
    }
}
