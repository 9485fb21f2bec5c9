//! Response bodies.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use tidegate_domain::Timestamp;
use tidegate_identity::access_tokens::create::MadeAccessToken;
use tidegate_identity::access_tokens::list::AccessTokenPage;
use tidegate_kernel::tables::access_tokens::AccessToken;
use utoipa::ToSchema;

use super::super::responses::envelope;

/// A token that was made.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct TokenMadeData {
    id: i64,
    name: String,
    /// The token itself: `pat_`, 40 letters and digits, and a checksum of 6. It is shown this once.
    token: String,
    scopes: Vec<String>,
    /// `null` for a token of its owner's alone.
    organization_id: Option<i64>,
    /// `null` for one that does not expire.
    expires_at: Option<String>,
    created_at: String,
    message: String,
}

impl TokenMadeData {
    pub(super) fn respond(made: &MadeAccessToken) -> Response {
        const MESSAGE: &str = "Token created. Keep it now: it is not shown again.";
        let token = &made.token;
        let data = Self {
            id: token.number,
            name: token.name.clone(),
            token: made.text.expose().to_owned(),
            scopes: scopes(token),
            organization_id: token.organization_number,
            expires_at: token.expires_at.map(Timestamp::iso_seconds),
            created_at: token.created_at.iso_seconds(),
            message: MESSAGE.to_owned(),
        };
        envelope(StatusCode::CREATED, data, MESSAGE)
    }
}

/// A token, without its text.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct TokenData {
    id: i64,
    /// Who made it.
    user_id: i64,
    name: String,
    scopes: Vec<String>,
    /// `null` for a token of its owner's alone.
    organization_id: Option<i64>,
    /// `null` for one that does not expire.
    expires_at: Option<String>,
    created_at: String,
    /// Known to a minute or so; `null` before its first use.
    last_used_at: Option<String>,
}

impl From<&AccessToken> for TokenData {
    fn from(token: &AccessToken) -> Self {
        Self {
            id: token.number,
            user_id: token.account_number,
            name: token.name.clone(),
            scopes: scopes(token),
            organization_id: token.organization_number,
            expires_at: token.expires_at.map(Timestamp::iso_seconds),
            created_at: token.created_at.iso_seconds(),
            last_used_at: token.last_used_at.map(Timestamp::iso_seconds),
        }
    }
}

fn scopes(token: &AccessToken) -> Vec<String> {
    token.scopes.names().map(str::to_owned).collect()
}

/// A page of tokens.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct TokensData {
    /// The newest first.
    tokens: Vec<TokenData>,
    /// How many there are in all.
    total: i64,
}

impl From<&AccessTokenPage> for TokensData {
    fn from(page: &AccessTokenPage) -> Self {
        Self { tokens: page.tokens.iter().map(TokenData::from).collect(), total: page.total }
    }
}
