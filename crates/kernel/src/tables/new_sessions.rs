//! Sessions are opened.

use tidegate_database::{Result, fetch_one, put_off};
use tidegate_domain::database::Binding;
use tidegate_domain::flexible_id::FlexibleId;
use tidegate_domain::id::{AccountId, ApplicationId, OrganizationId, ServiceKeyId, SessionId, WorkspaceId};
use tidegate_domain::session::{AmrSet, SessionTimes};
use tidegate_domain::{ContractId, Scopes, Timestamp};
use uuid::Uuid;

use super::sessions::Sessions;
use crate::KernelTables;

/// A new session.
#[derive(Clone, Debug)]
pub struct NewSession<'a> {
    /// Key.
    pub id: SessionId,
    /// Whose.
    pub account: AccountId,
    /// The organization signed in to.
    pub organization: OrganizationId,
    /// The workspace signed in to.
    pub workspace: Option<WorkspaceId>,
    /// The contract it was opened through.
    pub contract: ContractId,
    /// How its owner proved who they are.
    pub amr: AmrSet,
    /// When they did.
    pub auth_time: Timestamp,
    /// Whether they asked to be remembered.
    pub remember_me: bool,
    /// Address it was opened from.
    pub ip: &'a str,
    /// Program it was opened with.
    pub user_agent: &'a str,
    /// Now.
    pub created_at: Timestamp,
    /// When it ends.
    pub times: SessionTimes,
    /// What its tokens are bound to.
    pub binding: Option<&'a Binding>,
    /// The key its owner signed in with, where it was one.
    pub service_key: Option<ServiceKeyId>,
    /// SHA-256 of its token, where that is opaque.
    pub token_hash: Option<&'a [u8]>,
    /// What its tokens may do at most.
    pub scopes: &'a Scopes,
    /// The application it is opened for.
    pub application: Option<NewSessionApplication<'a>>,
}

/// The application that a session is opened for.
#[derive(Clone, Copy, Debug)]
pub struct NewSessionApplication<'a> {
    /// Key.
    pub id: ApplicationId,
    /// Its epoch: the session ends with it.
    pub epoch: Uuid,
    /// The API that its access tokens are for, if not this installation.
    pub audience: Option<&'a str>,
    /// The session that gave it access.
    pub approved_by: SessionId,
    /// The contract that had opened that.
    pub approved_contract: ContractId,
    /// Thumbprint of the key that its refresh tokens are bound to: of public clients, which have nothing else to prove.
    pub key: Option<&'a str>,
    /// What its tokens call the account; none: by its key.
    pub subject: Option<AccountId>,
}

/// Scopes as they are stored: nothing where there is no limit.
fn stored(scopes: &Scopes) -> Option<String> {
    (!scopes.is_full()).then(|| scopes.to_string())
}

/// Adds a session by the macro that is to run the statement; `$row` is the type of what that returns.
macro_rules! insert_session {
    ($run:ident, $unit:expr, $new:expr, $returning:literal $(, $row:ty)?) => {
        $run!(
            $unit,
            $($row,)?
            concat!(
                "insert into sessions (id, account_id, organization_id, workspace_id, dialect, amr, remember_me, ip,
                    user_agent, created_at, last_activity_at, expires_at, ends_at, database_id, frontend_user,
                    frontend_session, service_key_id, token_hash, auth_time, scope, application_id, application_epoch, audience,
                    approved_by, approved_contract, dpop_jkt, subject_id)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
                    $22, $23, $24, $25, $26)",
                $returning
            ),
            $new.id.0,
            $new.account.0,
            $new.organization.0,
            $new.workspace.map(Uuid::from),
            $new.contract.as_str(),
            $new.amr.to_string(),
            $new.remember_me,
            $new.ip,
            $new.user_agent,
            $new.created_at.micros(),
            $new.times.expires_at.micros(),
            $new.times.ends_at.micros(),
            $new.binding.map(|binding| binding.database.0),
            $new.binding.and_then(|binding| binding.user.as_ref()).map(FlexibleId::as_str),
            $new.binding.and_then(|binding| binding.session.as_ref()).map(FlexibleId::as_str),
            $new.service_key.map(Uuid::from),
            $new.token_hash,
            $new.auth_time.micros(),
            stored($new.scopes),
            $new.application.map(|application| application.id.0),
            $new.application.map(|application| application.epoch),
            $new.application.and_then(|application| application.audience),
            $new.application.map(|application| application.approved_by.0),
            $new.application.as_ref().map(|application| application.approved_contract.as_str()),
            $new.application.and_then(|application| application.key),
            $new.application.and_then(|application| application.subject).map(|subject| subject.0),
        )
    };
}

impl Sessions<'_> {
    /// Opens a session; answers its number.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert(&mut self, new: &NewSession<'_>) -> Result<i64> {
        let (number,) = insert_session!(fetch_one, self.0, new, " returning number", (i64,))?;
        self.0.touch_account(new.account);
        Ok(number)
    }

    /// The same where nobody needs its number: it is put off to the next statement.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert_later(&mut self, new: &NewSession<'_>) -> Result<()> {
        insert_session!(put_off, self.0, new, "")?;
        self.0.touch_account(new.account);
        Ok(())
    }
}
