//! Databases of an organization: made, listed, changed and deleted.

use serde_json::json;
use tidegate_domain::audit::Action;
use tidegate_domain::database::Database;
use tidegate_domain::flexible_id::IdType;
use tidegate_domain::id::DatabaseId;
use tidegate_domain::quota::Quota;
use tidegate_domain::{Document, Permission};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::{Actor, Call, Grant, Refused};

use crate::accounts::metadata::{Patch, TooLarge};
use crate::{Identity, IdentityTables};

/// A database to be made.
#[derive(Clone, Debug)]
pub struct CreateDatabase {
    /// Its name, unique in the organization.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Type of its items' identifiers.
    pub item_id_type: IdType,
    /// Type of its users' identifiers.
    pub user_id_type: IdType,
    /// Type of its anonymous sessions' identifiers.
    pub session_id_type: IdType,
    /// Free document.
    pub metadata: Document,
}

/// What to change; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct DatabaseChange {
    /// Another description.
    pub description: Option<String>,
    /// A change of the free document.
    pub metadata: Option<Patch>,
}

/// Some of an organization's databases.
#[derive(Clone, Debug)]
pub struct DatabasePage {
    /// Oldest first.
    pub databases: Vec<Database>,
    /// Whether there are more.
    pub has_next: bool,
}

/// Why the request was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// The organization has one of that name.
    #[error("the database {0} is duplicated")]
    NameTaken(String),
    /// The token is bound to none.
    #[error("the token is not bound to a database")]
    NoneSelected,
    /// It was deleted since the token was bound to it.
    #[error("the database {0} does not exist")]
    NotFound(String),
    /// The merged document would be too large.
    #[error(transparent)]
    TooLarge(TooLarge),
}

impl Identity {
    /// Makes a database.
    ///
    /// Source: Crossing Minds "databases", `POST`.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn create_database(
        &self,
        call: &Call,
        actor: &Actor,
        claim: CreateDatabase,
    ) -> Outcome<DatabaseId, DatabaseError> {
        let mut work = self.begin_as(call, actor, Permission::ManageDatabases).await?;
        let database = Database {
            id: DatabaseId(self.kernel.entropy.uuid(work.now)),
            organization: work.grant.organization(),
            name: claim.name,
            description: claim.description,
            item_id_type: claim.item_id_type,
            user_id_type: claim.user_id_type,
            session_id_type: claim.session_id_type,
            created_at: work.now,
            ready_at: work.now.plus(self.kernel.settings.database_preparation),
        };
        if !work.unit.databases().insert(&database, &claim.metadata).await? {
            return refuse(DatabaseError::NameTaken(database.name));
        }
        let metadata = json!({ "database": database.id.to_string(), "name": database.name });
        work.audit(Action::DatabaseCreated, work.grant.subject(), metadata).await?;
        work.require_room(database.organization, &[Quota::Databases, Quota::MetadataBytes]).await?;
        work.commit().await?;
        Ok(database.id)
    }

    /// A page of the organization's databases; pages are counted from 1.
    ///
    /// Source: Crossing Minds "databases", `GET`.
    ///
    /// # Errors
    /// Only faults.
    pub async fn list_databases(
        &self,
        actor: &Actor,
        per_page: u32,
        page: u32,
    ) -> Result<DatabasePage, Fault> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadDatabases).await?;
        let offset = i64::from(page.saturating_sub(1)) * i64::from(per_page);
        let most = usize::try_from(per_page).unwrap_or(usize::MAX);
        // One more than is shown, to see whether there are more.
        let organization = grant.organization();
        let mut databases = unit.databases().page(organization, i64::from(per_page) + 1, offset).await?;
        let has_next = databases.len() > most;
        databases.truncate(most);
        Ok(DatabasePage { databases, has_next })
    }

    /// The database the actor's token is bound to, and its free document.
    ///
    /// Source: Crossing Minds "databases/current", `GET`.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn describe_database(&self, actor: &Actor) -> Outcome<(Database, Document), DatabaseError> {
        let database = self.current_database(actor).await?;
        let (organization, id) = (database.organization, database.id);
        match self.kernel.store.read().await?.databases().metadata(organization, id).await? {
            Some(metadata) => Ok((database, metadata)),
            None => refuse(DatabaseError::NotFound(id.opaque())),
        }
    }

    /// The database the actor's token is bound to.
    ///
    /// Source: Crossing Minds "databases/current/status".
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn current_database(&self, actor: &Actor) -> Outcome<Database, DatabaseError> {
        self.bound_database(actor.authorize(Permission::UseBoundDatabase)?).await
    }

    /// The database that a grant's token is bound to.
    pub(crate) async fn bound_database(&self, grant: &Grant) -> Outcome<Database, DatabaseError> {
        self.kernel.ensure_session_current(grant).await?;
        let Some(id) = grant.database() else {
            return refuse(DatabaseError::NoneSelected);
        };
        let found = self.kernel.store.read().await?.databases().find(grant.organization(), id).await?;
        found.ok_or_else(|| Refused::Rule(DatabaseError::NotFound(id.opaque())))
    }

    /// Changes the database the actor's token is bound to.
    ///
    /// Source: Crossing Minds "databases/current", `PATCH`.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn change_database(
        &self,
        call: &Call,
        actor: &Actor,
        change: DatabaseChange,
    ) -> Outcome<(), DatabaseError> {
        let id = self.bound_database(actor.authorize(Permission::ChangeBoundDatabase)?).await?.id;
        let mut work = self.begin_as(call, actor, Permission::ChangeBoundDatabase).await?;
        let organization = work.grant.organization();
        // Two changes at once must both be merged, not one lost.
        work.unit.databases().lock(id).await?;
        let found = work.unit.databases().find(organization, id).await?;
        let before = work.unit.databases().metadata(organization, id).await?;
        let Some((mut database, before)) = found.zip(before) else {
            return refuse(DatabaseError::NotFound(id.opaque()));
        };
        if let Some(description) = change.description {
            database.description = description;
        }
        let metadata = match change.metadata {
            Some(patch) => patch.apply(&before).map_err(|refused| match refused {
                Refused::Rule(too_large) => Refused::Rule(DatabaseError::TooLarge(too_large)),
                Refused::Fault(fault) => Refused::Fault(fault),
            })?,
            None => before.clone(),
        };
        work.unit.databases().update(&database, &metadata).await?;
        work.audit(Action::DatabaseUpdated, work.grant.subject(), json!({ "database": id.to_string() }))
            .await?;
        work.require_room_for(organization, &before, &metadata).await?;
        Ok(work.commit().await?)
    }

    /// Deletes the database the actor's token is bound to, with everything in it.
    ///
    /// Source: Crossing Minds "databases/current", `DELETE`.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn delete_database(&self, call: &Call, actor: &Actor) -> Outcome<(), DatabaseError> {
        let id = self.bound_database(actor.authorize(Permission::ManageDatabases)?).await?.id;
        let mut work = self.begin_as(call, actor, Permission::ManageDatabases).await?;
        let organization = work.grant.organization();
        if !work.unit.databases().remove(organization, id, work.now).await? {
            return refuse(DatabaseError::NotFound(id.opaque()));
        }
        work.audit(Action::DatabaseDeleted, work.grant.subject(), json!({ "database": id.to_string() }))
            .await?;
        Ok(work.commit().await?)
    }
}
