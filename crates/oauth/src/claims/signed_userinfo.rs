//! What the userinfo endpoint says, signed.

use serde::Serialize;
use tidegate_database::Unit;
use tidegate_domain::Secret;
use tidegate_domain::id::ApplicationId;
use tidegate_kernel::Fault;

use super::person::UserInfo;
use crate::{Oauth, OauthTables};

/// What is told of a person, to whom and by whom (OpenID Connect Core section 5.3.2).
#[derive(Serialize)]
struct SignedUserInfo<'a> {
    iss: &'a str,
    aud: ApplicationId,
    #[serde(flatten)]
    told: &'a UserInfo,
}

impl Oauth {
    /// The same as a JWT, for an application that is registered for that; none for any other.
    ///
    /// Source: OpenID Connect Core section 5.3.2.
    pub(super) async fn sign_userinfo(
        &self,
        unit: &mut Unit,
        client: Option<ApplicationId>,
        told: &UserInfo,
    ) -> Result<Option<Secret>, Fault> {
        let Some(id) = client else { return Ok(None) };
        let application = unit.applications().find(id).await?;
        if !application.is_some_and(|application| application.rules.userinfo_signed) {
            return Ok(None);
        }
        self.kernel.sign_id_token(&SignedUserInfo { iss: self.issuer(), aud: id, told }).map(Some)
    }
}
