//! A session is continued with a refresh token that is kept.

use tidegate_crypto::{PlainToken, TokenHash};
use tidegate_domain::database::{Binding, Database};
use tidegate_domain::id::OrganizationId;
use tidegate_domain::refresh::KeepVerdict;
use tidegate_domain::{Role, Timestamp};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::issue::{Bearer, TokenSet};
use tidegate_kernel::noted::{self, CredentialFault};
use tidegate_kernel::tables::refresh_tokens::{NewRefreshToken, PresentedToken};
use tidegate_kernel::throttle::Counted;
use tidegate_kernel::{Call, KernelTables};

use crate::sign_in::bind::{BindError, DatabaseChoice};
use crate::work::Work;
use crate::{Identity, IdentityTables};

/// A session, continued.
#[derive(Clone, Debug)]
pub struct Continued {
    /// A new access token, and the refresh token to go on with.
    pub tokens: TokenSet,
    /// The organization signed in to.
    pub organization: OrganizationId,
    /// The role there now.
    pub role: Role,
    /// The database the tokens are bound to.
    pub database: Option<Database>,
}

/// Why no token was issued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContinueError {
    /// Unknown, of another contract, or of a session that has ended.
    #[error("the refresh token is incorrect or invalidated")]
    Invalid,
    /// Past its lifetime or its session's.
    #[error("the refresh token has expired; sign in again")]
    Expired,
    /// Its account was deleted: this one.
    #[error("the account {0} does not exist")]
    AccountDeleted(String),
    /// The database does not exist.
    #[error(transparent)]
    Binding(BindError),
    /// The session is an end user's, who is of one database.
    #[error("a session of the frontend role cannot change its database")]
    BoundToUser,
}

impl Identity {
    /// Answers a new access token, for the session's database or another one.
    ///
    /// The refresh token is the same until it nears its expiry; then a child of it is answered, the same one to every request
    /// with it, and both are valid. So parallel tabs and repeated requests do not sign out.
    ///
    /// Source: Crossing Minds "login/refresh-token" and section 5.
    ///
    /// # Errors
    /// [`ContinueError`].
    pub async fn continue_session(
        &self,
        call: &Call,
        token: &PlainToken,
        choice: &DatabaseChoice,
    ) -> Outcome<Continued, ContinueError> {
        self.kernel.throttle(call, &[(Counted::SignInByIp, call.profile.limits.sign_in_by_ip)]).await?;
        let hash = token.hash();
        let mut unit = self.kernel.store.read().await?;
        let found = unit.refresh_tokens().find(hash.as_bytes()).await?;
        let found = found.filter(|found| found.contract == call.profile.contract);
        let Some(found) = found else {
            return match unit.refresh_tokens().tombstone(hash.as_bytes()).await? {
                Some(name) => refuse(ContinueError::AccountDeleted(name)),
                None => refuse(invalid("unknown, removed, or of another contract")),
            };
        };
        drop(unit);
        let renew = match call.profile.refresh.judge_kept(found.presented, self.kernel.now()) {
            KeepVerdict::Keep => false,
            KeepVerdict::Renew => true,
            KeepVerdict::Expired => return refuse(self.expired(&found)),
            KeepVerdict::Revoked => return refuse(invalid(ENDED)),
        };

        let mut work = self.begin(call).await?;
        let session_expires_at = call.profile.session.extended(work.now, found.times);
        if !work.unit.sessions().refreshed(found.session, work.now, session_expires_at).await? {
            return refuse(invalid(ENDED));
        }
        let (database, binding) = match work.rebind(&found, choice).await? {
            Ok(Some((database, binding))) => (Some(database), Some(binding)),
            Ok(None) => (None, None),
            Err(error) => return refuse(error),
        };
        let expires_at = work.now.plus(call.profile.refresh.lifetime).min(session_expires_at);
        // Where the session ends with the token, so would the child.
        let answered = if renew && expires_at > found.presented.expires_at {
            work.renew(token, &found, expires_at).await?
        } else {
            token.clone()
        };
        let bearer = Bearer {
            subject: found.account.into(),
            organization: found.organization,
            role: found.role,
            session: found.session,
            session_expires_at,
            amr: found.amr,
            auth_time: found.auth_time,
            binding,
            scopes: found.scopes,
            client_id: None,
            key: None,
            audience: None,
        };
        let tokens = self.kernel.token_set(&call.profile, bearer, answered, work.now)?;
        work.commit().await?;
        Ok(Continued { tokens, organization: found.organization, role: found.role, database })
    }

    fn expired(&self, found: &PresentedToken) -> ContinueError {
        let at = found.presented.expires_at;
        noted::refused(CredentialFault::expired("refresh token", at, self.kernel.now()));
        ContinueError::Expired
    }
}

/// What the log says of a refresh token whose session is over.
const ENDED: &str = "its session has ended: signed out, revoked or replaced";

/// A refresh token that does not count: the client learns no more than that, the operator why.
fn invalid(why: &'static str) -> ContinueError {
    noted::refused(CredentialFault::Refresh(why));
    ContinueError::Invalid
}

type Rebound = Option<(Database, Binding)>;

impl Work<'_> {
    /// The session's database and binding, changed to the one that is asked for.
    async fn rebind(
        &mut self,
        found: &PresentedToken,
        choice: &DatabaseChoice,
    ) -> Result<Result<Rebound, ContinueError>, Fault> {
        let bound = self.unit.sessions().binding(found.session).await?;
        if choice.is_none() {
            let Some(binding) = bound else {
                return Ok(Ok(None));
            };
            let database = self.unit.databases().find(found.organization, binding.database).await?;
            return Ok(match database {
                Some(database) => Ok(Some((database, binding))),
                None => Err(ContinueError::Binding(BindError::DatabaseNotFound(binding.database.opaque()))),
            });
        }
        let database = match self.choose_database(found.organization, choice).await? {
            Ok(Some(database)) => database,
            Ok(None) => return Ok(Ok(None)),
            Err(error) => return Ok(Err(ContinueError::Binding(error))),
        };
        let binding = match bound {
            Some(binding) if binding.database == database.id => binding,
            // Such tokens are in the hands of end users, who are of one database.
            Some(_) if found.role == Role::Frontend => return Ok(Err(ContinueError::BoundToUser)),
            Some(Binding { user, session, .. }) if user.is_some() || session.is_some() => {
                return Ok(Err(ContinueError::BoundToUser));
            }
            _ => {
                self.unit.sessions().bind(found.session, database.id).await?;
                Binding { database: database.id, user: None, session: None }
            }
        };
        Ok(Ok(Some((database, binding))))
    }

    /// The token's child: the one it has, or the first.
    async fn renew(
        &mut self,
        token: &PlainToken,
        found: &PresentedToken,
        expires_at: Timestamp,
    ) -> Result<PlainToken, Fault> {
        let known = found.child_hash.as_deref().and_then(|hash| TokenHash::try_from(hash).ok());
        if let Some(child) = known.and_then(|hash| self.app.kernel.vault.issued_refresh_child(token, &hash)) {
            return Ok(child);
        }
        let child = self.app.kernel.vault.refresh_child(token);
        let added = self
            .unit
            .refresh_tokens()
            .insert_child(NewRefreshToken {
                id: self.app.kernel.entropy.uuid(self.now).into(),
                session: found.session,
                hash: child.hash().as_bytes(),
                parent: Some(found.id),
                issued_at: self.now,
                expires_at,
            })
            .await?;
        if added {
            return Ok(child);
        }
        // A concurrent request was first. A child derived under a removed key cannot be derived again; then the token,
        // which is good for some days more, is answered instead.
        let again = self.unit.refresh_tokens().find(token.hash().as_bytes()).await?;
        let known =
            again.and_then(|again| again.child_hash).and_then(|hash| TokenHash::try_from(&*hash).ok());
        let issued = known.and_then(|hash| self.app.kernel.vault.issued_refresh_child(token, &hash));
        Ok(issued.unwrap_or_else(|| token.clone()))
    }
}
