//! A person approves, or refuses.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_domain::Permission;
use tidegate_domain::audit::Action;
use tidegate_kernel::counted_client::CountedClient;
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::hooks::AllowedApplication;
use tidegate_kernel::throttle::Counted;
use tidegate_kernel::{Actor, Call, Fault};

use super::answer::Answer;
use super::codes_repository::NewCode;
use super::consents_repository::MEMBERSHIP;
use super::decide::{Approval, Because};
use super::error::{AuthorizationError, ShownError};
use super::request::AuthorizationRequest;
use crate::applications::Application;
use crate::work::Acting;
use crate::{Oauth, OauthTables};

/// Prefix of authorization codes, so that a leaked one is recognised for what it is.
pub const CODE_PREFIX: &str = "tgc_";

impl Oauth {
    /// Makes the code by which the application gets what it asks of the actor, and remembers that they allowed it.
    ///
    /// Source: RFC 6749 section 4.1.2; RFC 9207.
    ///
    /// # Errors
    /// [`ShownError`] when the application changed meanwhile so that nobody may be sent there; [`Fault::Forbidden`] for a token that is
    /// itself limited; [`Fault::StepUpRequired`] for a session that gives nobody access; those of the store.
    pub async fn approve(
        &self,
        call: &Call,
        actor: &Actor,
        request: &AuthorizationRequest,
        approval: Approval,
    ) -> Outcome<Answer, ShownError> {
        let mut work = self.begin_as(call, actor, Permission::AuthorizeApplications).await?;
        let (account, now) = (work.grant.account(), work.now);
        work.authorize_recent().await?;
        if !work.answer_once(request).await? {
            return refuse(ShownError::InvalidRequestUri);
        }
        let code = PlainToken::generate(CODE_PREFIX, self.kernel.entropy.as_ref());
        let ip = call.ip_text();
        let new = NewCode {
            id: self.kernel.entropy.uuid(now),
            hash: code.hash(),
            application: &request.application,
            account,
            session: work.grant.session().id,
            request,
            ip: &ip,
            created_at: now,
            expires_at: now.plus(self.rules().code_lifetime),
        };
        if !work.unit.codes().insert(&new).await? {
            let current = work.unit.applications().find(request.application.id).await?;
            if let Some(refused) = self.judge_changed(current, request)? {
                return Ok(refused);
            }
        }
        // Last: others of the account wait for that row.
        work.count_answer().await?;
        work.remember(request, approval.because).await?;
        work.commit().await?;
        let fields = [
            ("code", Some(code.expose().to_owned())),
            ("state", request.state.clone()),
            ("iss", Some(self.issuer().to_owned())),
        ];
        Ok(Answer::new(request.redirect_uri.clone(), request.response_mode, fields))
    }

    /// Judges a request whose application is not as it was when the request was validated; the answer where it is refused.
    fn judge_changed(
        &self,
        current: Option<Application>,
        request: &AuthorizationRequest,
    ) -> Outcome<Option<Answer>, ShownError> {
        let Some(application) = current.filter(Application::is_active) else {
            return refuse(ShownError::InvalidClient);
        };
        if !application.redirects_to(&request.redirect_uri) {
            let unregistered = self.unregistered_redirect(&application, Some(&request.redirect_uri));
            return refuse(ShownError::InvalidRedirectUri(unregistered));
        }
        let refused = || request.refused(AuthorizationError::UnauthorizedClient).answer(self.issuer());
        Ok((!is_unchanged(&application, &request.application)).then(refused))
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
        // A second no changes nothing.
        work.answer_once(request).await?;
        let subject = work.grant.subject();
        let metadata = work.audited(&request.application).await?;
        work.count_answer().await?;
        work.audit(Action::AccessDenied, subject, metadata).await?;
        work.commit().await?;
        let answer = request.refused(AuthorizationError::AccessDenied).answer(self.issuer());
        // They have seen whom they answer.
        Ok(Answer { needs_person: false, ..answer })
    }

    /// The issuer of tokens (RFC 8414 section 2).
    pub fn issuer(&self) -> &str {
        &self.kernel.settings.public_url
    }
}

impl Acting<'_> {
    /// Counts an answer to an application, whichever it is: each is a row, and a code besides where it is a yes.
    pub(crate) async fn count_answer(&mut self) -> Result<(), Fault> {
        let counted = Counted::Client(CountedClient::Codes(self.grant.account()));
        let limit = self.app.rules().codes_by_account;
        match self.kernel().count(counted, limit).await? {
            Some(exceeded) => Err(exceeded.into()),
            None => Ok(()),
        }
    }

    /// Notes that a request which is kept here is answered. False where it was, or has expired.
    async fn answer_once(&mut self, request: &AuthorizationRequest) -> Result<bool, Fault> {
        match &request.pushed {
            Some(pushed) => Ok(self.unit.pushed_requests().use_up(pushed, self.now).await?),
            None => Ok(true),
        }
    }

    /// Remembers that the application has access. The owner hears of what is new.
    async fn remember(&mut self, request: &AuthorizationRequest, because: Because) -> Result<(), Fault> {
        let (account, now, scopes) = (self.grant.account(), self.now, &request.allowed);
        let application = &request.application;
        let contract = self.grant.session().contract;
        let given_through = match because {
            Because::Remembered => return Ok(()),
            Because::Asked => contract.as_str(),
            Because::Member => MEMBERSHIP,
        };
        if !self.unit.consents().allow(account, application.id, given_through, scopes, now).await? {
            return Ok(());
        }
        let mut metadata = self.audited(application).await?;
        if let Some(fields) = metadata.as_object_mut() {
            fields.insert("scope".to_owned(), json!(scopes.to_string()));
            fields.insert("through".to_owned(), json!(given_through));
        }
        let subject = self.grant.subject();
        self.audit(Action::AccessGranted, subject, metadata).await?;
        let made_by = &application.made_by().for_mail();
        let allowed = AllowedApplication { name: &application.name, made_by, scopes };
        self.kernel().application_allowed(account, allowed).await
    }
}

/// Whether what the request was validated against still holds.
fn is_unchanged(now: &Application, then: &Application) -> bool {
    now.epoch == then.epoch && now.scopes == then.scopes && now.grant_types == then.grant_types
}
