//! A person approves, or refuses.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_domain::Permission;
use tidegate_domain::audit::Action;
use tidegate_kernel::throttle::Counted;
use tidegate_kernel::{Actor, Call, Fault};

use super::answer::Answer;
use super::codes_repository::NewCode;
use super::error::AuthorizationError;
use super::request::AuthorizationRequest;
use crate::applications::Application;
use crate::{Oauth, OauthTables};

/// Prefix of authorization codes, so that a leaked one is recognised for what it is.
pub const CODE_PREFIX: &str = "tgc_";

impl Oauth {
    /// Makes the code by which the application gets what it asks of the actor, and remembers that they allowed it. Whether they did,
    /// [`Oauth::decide`] has said, or they have just been asked.
    ///
    /// Source: RFC 6749 section 4.1.2; RFC 9207.
    ///
    /// # Errors
    /// [`Fault::Forbidden`] for a token that is itself limited; those of the store.
    pub async fn approve(
        &self,
        call: &Call,
        actor: &Actor,
        request: &AuthorizationRequest,
    ) -> Result<Answer, Fault> {
        let mut work = self.begin_as(call, actor, Permission::AuthorizeApplications).await?;
        let account = work.grant.account();
        let limit = self.rules().codes_by_account;
        if let Some(exceeded) = work.kernel().count(Counted::AuthorizationCodes(account), limit).await? {
            return Err(exceeded.into());
        }
        let current = work.unit.applications().find(request.application.id).await?;
        let Some(application) = current.filter(|now| is_unchanged(now, &request.application)) else {
            return Ok(request.refused(AuthorizationError::UnauthorizedClient).answer(self.issuer()));
        };
        let code = PlainToken::generate(CODE_PREFIX, self.kernel.entropy.as_ref());
        let (now, ip) = (work.now, call.ip_text());
        let new = NewCode {
            id: self.kernel.entropy.uuid(now),
            hash: code.hash(),
            application: &application,
            account,
            session: work.grant.session().id,
            request,
            ip: &ip,
            created_at: now,
            expires_at: now.plus(self.rules().code_lifetime),
        };
        work.unit.codes().insert(&new).await?;
        if work.unit.consents().allow(account, application.id, &request.scopes, now).await? {
            let metadata = json!({ "client_id": application.id, "name": application.name, "scope": request.scopes.to_string() });
            let subject = work.grant.subject();
            work.audit(Action::AccessGranted, subject, metadata).await?;
        }
        work.commit().await?;
        let fields = [
            ("code", Some(code.expose().to_owned())),
            ("state", request.state.clone()),
            ("iss", Some(self.issuer().to_owned())),
        ];
        Ok(Answer::new(request.redirect_uri.clone(), request.response_mode, fields))
    }

    /// Tells the application that the actor refused.
    ///
    /// Source: RFC 6749 section 4.1.2.1.
    ///
    /// # Errors
    /// As [`Oauth::approve`].
    pub async fn deny(
        &self,
        call: &Call,
        actor: &Actor,
        request: &AuthorizationRequest,
    ) -> Result<Answer, Fault> {
        let mut work = self.begin_as(call, actor, Permission::AuthorizeApplications).await?;
        let subject = work.grant.subject();
        work.audit(Action::AccessDenied, subject, json!({ "client_id": request.application.id })).await?;
        work.commit().await?;
        Ok(request.refused(AuthorizationError::AccessDenied).answer(self.issuer()))
    }

    /// The issuer of tokens (RFC 8414 section 2).
    pub fn issuer(&self) -> &str {
        &self.kernel.settings.public_url
    }
}

/// Whether what the request was validated against still holds.
fn is_unchanged(now: &Application, then: &Application) -> bool {
    now.is_active()
        && now.epoch == then.epoch
        && now.redirect_uris == then.redirect_uris
        && now.scopes == then.scopes
        && now.grant_types == then.grant_types
}
