//! ID tokens.

use serde::Serialize;
use serde_json::{Map, Value};
use tidegate_crypto::oauth::at_hash;
use tidegate_domain::id::{AccountId, SessionId};
use tidegate_domain::session::{Amr, AmrSet};
use tidegate_domain::{Scopes, Secret, Timestamp};
use tidegate_kernel::Fault;

use crate::Oauth;
use crate::applications::Application;

/// What an ID token is about.
pub(crate) struct IdTokenFor<'a> {
    pub(crate) application: &'a Application,
    /// What the application knows the account by.
    pub(crate) subject: AccountId,
    pub(crate) session: SessionId,
    pub(crate) scopes: &'a Scopes,
    pub(crate) nonce: Option<&'a str>,
    pub(crate) amr: AmrSet,
    pub(crate) auth_time: Timestamp,
    pub(crate) access_token: &'a str,
    /// What else it was asked to say of the person.
    pub(crate) requested: Map<String, Value>,
}

/// Its claims (OpenID Connect Core section 2).
#[derive(Serialize)]
struct IdClaims<'a> {
    iss: &'a str,
    sub: AccountId,
    aud: &'a str,
    azp: &'a str,
    exp: i64,
    iat: i64,
    auth_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    #[serde(skip_serializing_if = "AmrSet::is_empty")]
    amr: AmrSet,
    acr: &'static str,
    at_hash: String,
    sid: SessionId,
    #[serde(flatten)]
    requested: Map<String, Value>,
}

impl IdTokenFor<'_> {
    /// The names of the claims that an ID token may have.
    pub(crate) const CLAIMS: [&'static str; 12] =
        ["iss", "sub", "aud", "azp", "exp", "iat", "auth_time", "nonce", "amr", "acr", "at_hash", "sid"];
}

/// What the claim `acr` says: with one factor, or with more (Core section 2).
pub const CONTEXTS: [&str; 2] = ["1fa", "mfa"];

/// What the claim `acr` says of a sign-in.
pub(crate) fn acr(amr: AmrSet) -> &'static str {
    let [one, more] = CONTEXTS;
    if amr.contains(Amr::MultiFactor) { more } else { one }
}

impl Oauth {
    /// The ID token, where the scope `openid` was granted.
    pub(crate) async fn id_token(&self, about: IdTokenFor<'_>) -> Result<Option<Secret>, Fault> {
        if !about.scopes.contains("openid") {
            return Ok(None);
        }
        let now = self.kernel.now();
        let client_id = about.application.client_id();
        let algorithm = about.application.id_token_algorithm();
        let claims = IdClaims {
            iss: self.issuer(),
            sub: about.subject,
            aud: &client_id,
            azp: &client_id,
            exp: now.plus(self.rules().id_token_lifetime).seconds(),
            iat: now.seconds(),
            auth_time: about.auth_time.seconds(),
            nonce: about.nonce,
            amr: about.amr,
            acr: acr(about.amr),
            at_hash: at_hash(about.access_token, algorithm.unwrap_or(self.kernel.signing_algorithm())),
            sid: about.session,
            requested: about.requested,
        };
        self.kernel.sign_id_token_for(algorithm, &claims).await.map(Some)
    }
}
