//! Anonymous sessions that turn out to be a user's.

use std::collections::BTreeSet;

use tidegate_domain::database::{Database, ResolvedSession, Status};
use tidegate_domain::flexible_id::{FlexibleId, IdType, SentId};
use tidegate_domain::quota::Quota;
use tidegate_domain::{Permission, Timestamp};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::{Actor, Call, Grant, Refused};

use crate::databases::manage::DatabaseError;
use crate::work::Work;
use crate::{Identity, IdentityTables};

/// A placeholder for the identifier in the token.
const ME: &str = "~me";

/// Whose an anonymous session is.
#[derive(Clone, Debug)]
pub struct ResolveSession {
    /// The session as the URL has it, or `~me`.
    pub session: String,
    /// The user, as it was sent.
    pub user: SentId,
    /// Since when; now unless given.
    pub at: Option<Timestamp>,
}

/// Which resolved sessions are listed.
#[derive(Clone, Debug)]
pub struct ListResolved {
    /// Those of these users, as they were sent; all users unless given.
    pub users: Option<Vec<SentId>>,
    /// At most so many.
    pub limit: usize,
    /// From where the last listing ended; from the first when empty.
    pub cursor: String,
}

/// Some of a database's resolved sessions.
#[derive(Clone, Debug)]
pub struct ResolvedPage {
    /// The database, which says how identifiers are written.
    pub database: Database,
    /// In the order of their identifiers.
    pub sessions: Vec<ResolvedSession>,
    /// Where the next page begins.
    pub cursor: String,
    /// Whether there is one.
    pub has_next: bool,
}

/// Why the request was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The token's database is none, or gone.
    #[error(transparent)]
    Database(DatabaseError),
    /// It is still being prepared.
    #[error("the database is not ready")]
    NotReady,
    /// A field that is no identifier of the database's type.
    #[error("{field} {reason}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// Why.
        reason: String,
    },
    /// Another end user's.
    #[error("a frontend token reaches only its own user and session")]
    NotOwn,
}

impl Identity {
    /// Notes whose an anonymous session is; a repeat replaces what was noted. An end user's token speaks of itself alone.
    ///
    /// Source: Crossing Minds "sessions/{session_id}/resolve".
    ///
    /// # Errors
    /// [`ResolveError`].
    pub async fn resolve_session(
        &self,
        call: &Call,
        actor: &Actor,
        claim: ResolveSession,
    ) -> Outcome<(), ResolveError> {
        let grant = actor.authorize(Permission::ResolveOwnSession)?;
        let database = self.ready_database(grant).await?;
        let session = own_or(grant, "session_id", database.session_id_type, &claim.session);
        let session = session.map_err(Refused::Rule)?;
        let user = typed("user_id", database.user_id_type, &claim.user).map_err(Refused::Rule)?;
        let is_own = grant.end_user_session() == Some(&session) && grant.end_user() == Some(&user);
        if !is_own && !grant.allows(Permission::ResolveSessions) {
            return refuse(ResolveError::NotOwn);
        }
        let mut work = self.begin_as(call, actor, Permission::ResolveOwnSession).await?;
        let resolved = ResolvedSession { session, user, at: claim.at.unwrap_or(work.now) };
        work.resolve(&database, &resolved).await?;
        Ok(work.commit().await?)
    }

    /// Lists resolved sessions of the database the actor's token is bound to.
    ///
    /// Source: Crossing Minds "resolved-sessions".
    ///
    /// # Errors
    /// [`ResolveError`].
    pub async fn list_resolved_sessions(
        &self,
        actor: &Actor,
        claim: ListResolved,
    ) -> Outcome<ResolvedPage, ResolveError> {
        let database = self.ready_database(actor.authorize(Permission::ResolveSessions)?).await?;
        let typed = |user: &SentId| typed("users_id", database.user_id_type, user).map_err(Refused::Rule);
        let users = match &claim.users {
            Some(users) => Some(users.iter().map(typed).collect::<Outcome<BTreeSet<_>, _>>()?),
            None => None,
        };
        let mut unit = self.kernel.store.read().await?;
        let most = claim.limit.saturating_add(1);
        let mut sessions =
            unit.databases().resolved_sessions(database.id, users.as_ref(), &claim.cursor, most).await?;
        let has_next = sessions.len() > claim.limit;
        sessions.truncate(claim.limit);
        let cursor = sessions.last().map_or(claim.cursor, |last| last.session.as_str().to_owned());
        Ok(ResolvedPage { database, sessions, cursor, has_next })
    }

    /// The database the token is bound to, if it can be used.
    async fn ready_database(&self, grant: &Grant) -> Outcome<Database, ResolveError> {
        let database = self.bound_database(grant).await.map_err(|refused| match refused {
            Refused::Rule(error) => Refused::Rule(ResolveError::Database(error)),
            Refused::Fault(fault) => Refused::Fault(fault),
        })?;
        match database.status(self.kernel.now()) {
            Status::Ready => Ok(database),
            Status::Pending => refuse(ResolveError::NotReady),
        }
    }
}

impl<G> Work<'_, G> {
    /// Notes whose an anonymous session is, within the organization's quota.
    pub(crate) async fn resolve(
        &mut self,
        database: &Database,
        resolved: &ResolvedSession,
    ) -> Result<(), Fault> {
        if self.unit.databases().resolve_session(database.id, resolved).await? {
            let used = self.unit.quotas().add_resolved_session(database.organization).await?;
            self.app.kernel.settings.quotas.judge(Quota::ResolvedSessions, used)?;
        }
        Ok(())
    }
}

fn own_or(grant: &Grant, field: &'static str, kind: IdType, text: &str) -> Result<FlexibleId, ResolveError> {
    if text == ME {
        let own = grant.end_user_session().cloned();
        return own.ok_or_else(|| ResolveError::Invalid {
            field,
            reason: "is ~me, and the token is bound to no session".to_owned(),
        });
    }
    kind.parse_text(text).map_err(|error| ResolveError::Invalid { field, reason: error.to_string() })
}

fn typed(field: &'static str, kind: IdType, value: &SentId) -> Result<FlexibleId, ResolveError> {
    kind.parse_json(value).map_err(|error| ResolveError::Invalid { field, reason: error.to_string() })
}
