//! What the userinfo endpoint says, signed.

use serde::Serialize;
use tidegate_domain::Secret;
use tidegate_kernel::Fault;

use super::person::UserInfo;
use crate::Oauth;
use crate::applications::Application;

/// What is told of a person, to whom and by whom (OpenID Connect Core section 5.3.2).
#[derive(Serialize)]
struct SignedUserInfo<'a> {
    iss: &'a str,
    aud: &'a str,
    #[serde(flatten)]
    told: &'a UserInfo,
}

impl Oauth {
    /// The same as a JWT, for an application that is registered for that; none for any other.
    ///
    /// Source: OpenID Connect Core section 5.3.2.
    pub(super) async fn sign_userinfo(
        &self,
        application: Option<&Application>,
        told: &UserInfo,
    ) -> Result<Option<Secret>, Fault> {
        let Some(application) = application.filter(|application| application.gets_userinfo_signed()) else {
            return Ok(None);
        };
        let aud = &application.client_id();
        let claims = SignedUserInfo { iss: self.issuer(), aud, told };
        let algorithm = application.metadata.userinfo_signed_response_alg;
        self.kernel.sign_id_token_for(algorithm, &claims).await.map(Some)
    }
}
