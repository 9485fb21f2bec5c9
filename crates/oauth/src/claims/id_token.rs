//! ID tokens.

use serde::Serialize;
use tidegate_crypto::oauth::at_hash;
use tidegate_domain::id::{AccountId, ApplicationId, SessionId};
use tidegate_domain::session::AmrSet;
use tidegate_domain::{Scopes, Secret, Timestamp};
use tidegate_kernel::Fault;

use crate::Oauth;

/// What an ID token is about.
pub(crate) struct IdTokenFor<'a> {
    pub(crate) application: ApplicationId,
    pub(crate) account: AccountId,
    pub(crate) session: SessionId,
    pub(crate) scopes: &'a Scopes,
    pub(crate) nonce: Option<&'a str>,
    pub(crate) amr: AmrSet,
    pub(crate) auth_time: Timestamp,
    pub(crate) access_token: &'a str,
}

/// Its claims (OpenID Connect Core section 2).
#[derive(Serialize)]
struct IdClaims<'a> {
    iss: &'a str,
    sub: AccountId,
    aud: ApplicationId,
    azp: ApplicationId,
    exp: i64,
    iat: i64,
    auth_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    #[serde(skip_serializing_if = "AmrSet::is_empty")]
    amr: AmrSet,
    at_hash: String,
    sid: SessionId,
}

impl IdTokenFor<'_> {
    /// The names of the claims that an ID token may have.
    pub(crate) const CLAIMS: [&'static str; 11] =
        ["iss", "sub", "aud", "azp", "exp", "iat", "auth_time", "nonce", "amr", "at_hash", "sid"];
}

impl Oauth {
    /// The ID token, where the scope `openid` was granted.
    pub(crate) fn id_token(&self, about: IdTokenFor<'_>) -> Result<Option<Secret>, Fault> {
        if !about.scopes.contains("openid") {
            return Ok(None);
        }
        let now = self.kernel.now();
        let claims = IdClaims {
            iss: self.issuer(),
            sub: about.account,
            aud: about.application,
            azp: about.application,
            exp: now.plus(self.rules().id_token_lifetime).seconds(),
            iat: now.seconds(),
            auth_time: about.auth_time.seconds(),
            nonce: about.nonce,
            amr: about.amr,
            at_hash: at_hash(about.access_token, self.kernel.signing_algorithm()),
            sid: about.session,
        };
        self.kernel.sign_id_token(&claims).map(Some)
    }
}
