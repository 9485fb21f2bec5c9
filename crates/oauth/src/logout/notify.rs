//! An application hears that a session has ended (OpenID Connect Back-Channel Logout 1.0).

use std::time::Duration;

use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidegate_crypto::PlainToken;
use tidegate_domain::id::{AccountId, ApplicationId, SessionId};
use tidegate_kernel::Fault;
use tidegate_kernel::jobs::{Job, JobError, JobRun};
use tidegate_kernel::tables::ended_sessions::{EndedSession, LOGOUT_JOB};

use crate::applications::Application;
use crate::{Oauth, OauthTables};

/// What the request is called in logs and in the list of jobs.
const WHAT: &str = "logout token";
/// How long a logout token is valid (section 2.4 recommends two minutes at most).
const TOKEN_LIFETIME: Duration = Duration::from_secs(120);
/// The one event that a logout token is about.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// Tried again as its policy says, and then given up: `tidegate jobs` lists it.
pub(crate) const JOB: Job<Oauth> = Job {
    limit: Some(Duration::from_secs(30)),
    at_once: 8,
    ..Job::new(LOGOUT_JOB, |oauth, run| async move { oauth.notify_of_end(&run).await }.boxed())
};

/// Claims of a logout token. It has no nonce: it must not pass for an ID token.
#[derive(Serialize)]
struct LogoutClaims<'a> {
    iss: &'a str,
    sub: AccountId,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: &'a str,
    events: Value,
    sid: SessionId,
}

impl Oauth {
    /// Sends one logout token.
    async fn notify_of_end(&self, run: &JobRun) -> Result<(), JobError> {
        let ended = EndedSession::deserialize(&run.payload)
            .map_err(|error| JobError::Never(format!("its payload: {error}")))?;
        // Who is gone or out of use meanwhile hears of nothing.
        let Some(application) = self.listener(ended.application).await? else { return Ok(()) };
        let Some(uri) = &application.logout.backchannel_uri else { return Ok(()) };
        let now = self.kernel.now();
        if self.callers.is_paused(application.id, now) {
            return Err(JobError::Again("the application did not answer lately".to_owned()));
        }
        let token = self.logout_token(&application, ended).await?;
        let form = [("logout_token", token.expose())];
        match self
            .callers
            .notifier(application.is_self_registered())?
            .post_form(WHAT, uri.as_str(), &form)
            .await
        {
            // Section 2.8: 200; some frameworks answer 204.
            Ok(200 | 204) => Ok(()),
            Ok(status) => Err(JobError::Again(format!("the application answers {status}"))),
            Err(error) => {
                self.callers.pause(application.id, self.kernel.now());
                Err(JobError::Again(error.to_string()))
            }
        }
    }

    async fn listener(&self, id: ApplicationId) -> Result<Option<Application>, Fault> {
        let found = self.kernel.store.read().await?.applications().find(id).await?;
        Ok(found.filter(Application::is_active))
    }

    /// Made when it is sent: it is valid for two minutes, and retries go on for longer.
    async fn logout_token(
        &self,
        application: &Application,
        ended: EndedSession,
    ) -> Result<tidegate_domain::Secret, Fault> {
        let now = self.kernel.now();
        let jti = PlainToken::generate("", self.kernel.entropy.as_ref());
        let claims = LogoutClaims {
            iss: self.issuer(),
            sub: ended.subject,
            aud: &application.client_id(),
            iat: now.seconds(),
            exp: now.plus(TOKEN_LIFETIME).seconds(),
            jti: jti.expose(),
            events: json!({ EVENT: {} }),
            sid: ended.session,
        };
        self.kernel.sign_logout_token_for(application.id_token_algorithm(), &claims).await
    }
}
