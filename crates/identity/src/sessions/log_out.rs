//! Signs out of a browser, and of the applications that were allowed in it.

use serde_json::json;
use tidegate_domain::Permission;
use tidegate_domain::audit::Action;
use tidegate_domain::id::SessionId;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::{Actor, Call, KernelTables};

use crate::Identity;
use crate::sessions::sign_out::SignOutError;

impl Identity {
    /// Ends the session of the actor's browser and the sessions of applications that it gave access, but for those that may go on without
    /// the person; also that of `application`, whichever session of the same account gave it.
    ///
    /// Source: the hosted pages; OpenID Connect RP-Initiated Logout 1.0, section 2.
    ///
    /// # Errors
    /// [`SignOutError`].
    pub async fn log_out(
        &self,
        call: &Call,
        actor: &Actor,
        application: Option<SessionId>,
    ) -> Outcome<(), SignOutError> {
        let mut work = match self.begin_as(call, actor, Permission::EndOwnSessions).await {
            Err(Fault::SessionEnded) => return refuse(SignOutError::AlreadyEnded),
            begun => begun?,
        };
        let (session, account, now) = (work.grant.session().id, work.grant.account(), work.now);
        if !work.unit.sessions().log_out(session, now).await? {
            return refuse(SignOutError::AlreadyEnded);
        }
        if let Some(named) = application {
            work.unit.sessions().log_out_of_application(account, named, now).await?;
        }
        let metadata = application.map_or_else(|| json!({}), |named| json!({ "application_session": named }));
        work.audit(Action::SignedOut, work.grant.subject(), metadata).await?;
        Ok(work.commit().await?)
    }
}
