//! Databases and the sessions resolved in them.

use std::collections::BTreeSet;

use sqlx::types::Json;
use tidegate_database::{Result, StoreError, Unit, execute, fetch_all, fetch_optional};
use tidegate_domain::database::{Database, ResolvedSession};
use tidegate_domain::flexible_id::FlexibleId;
use tidegate_domain::id::{DatabaseId, OrganizationId};
use tidegate_domain::{Document, Timestamp};
use uuid::Uuid;

/// Databases of a unit of work.
pub struct Databases<'u>(pub(crate) &'u mut Unit);

#[derive(sqlx::FromRow)]
struct DatabaseRow {
    id: Uuid,
    organization_id: Uuid,
    name: String,
    description: String,
    item_id_type: String,
    user_id_type: String,
    session_id_type: String,
    created_at: i64,
    ready_at: i64,
}

/// The columns of [`DatabaseRow`].
macro_rules! select_databases {
    ($rest:literal) => {
        concat!(
            "select id, organization_id, name, description, item_id_type, user_id_type, session_id_type, created_at,
                ready_at
             from databases where organization_id = $1 and deleted_at is null ",
            $rest
        )
    };
}

/// Identifiers are kept as bytes: as text, PostgreSQL's collations would order and page them otherwise than SQLite.
#[derive(sqlx::FromRow)]
struct ResolvedRow {
    session_ident: Vec<u8>,
    user_ident: Vec<u8>,
    at: i64,
}

impl TryFrom<ResolvedRow> for ResolvedSession {
    type Error = StoreError;

    fn try_from(row: ResolvedRow) -> Result<Self> {
        let ident = |bytes| {
            String::from_utf8(bytes)
                .map(FlexibleId::from_stored)
                .map_err(|_| StoreError::Unreadable("resolved_sessions.*_ident"))
        };
        Ok(Self {
            session: ident(row.session_ident)?,
            user: ident(row.user_ident)?,
            at: Timestamp::from_micros(row.at),
        })
    }
}

impl TryFrom<DatabaseRow> for Database {
    type Error = StoreError;

    fn try_from(row: DatabaseRow) -> Result<Self> {
        let kind = |name: &str| name.parse().map_err(|_| StoreError::Unreadable("databases.*_id_type"));
        Ok(Self {
            id: row.id.into(),
            organization: row.organization_id.into(),
            name: row.name,
            description: row.description,
            item_id_type: kind(&row.item_id_type)?,
            user_id_type: kind(&row.user_id_type)?,
            session_id_type: kind(&row.session_id_type)?,
            created_at: Timestamp::from_micros(row.created_at),
            ready_at: Timestamp::from_micros(row.ready_at),
        })
    }
}

impl Databases<'_> {
    /// Adds a database. False when its organization has one of that name.
    ///
    /// # Errors
    /// Those of the database engine.
    pub async fn insert(&mut self, new: &Database, metadata: &Document) -> Result<bool> {
        let added = execute!(
            self.0,
            "insert into databases (id, organization_id, name, description, item_id_type, user_id_type,
                session_id_type, metadata, metadata_bytes, created_at, ready_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict (organization_id, name)
                where deleted_at is null do nothing",
            new.id.0,
            new.organization.0,
            new.name.as_str(),
            new.description.as_str(),
            new.item_id_type.to_string(),
            new.user_id_type.to_string(),
            new.session_id_type.to_string(),
            Json(metadata),
            crate::organizations::quotas_repository::bytes(metadata),
            new.created_at.micros(),
            new.ready_at.micros(),
        )?;
        Ok(added == 1)
    }

    /// The organization's database of that key. Another organization's looks like none.
    ///
    /// # Errors
    /// Those of the database engine.
    pub async fn find(&mut self, organization: OrganizationId, id: DatabaseId) -> Result<Option<Database>> {
        let row =
            fetch_optional!(self.0, DatabaseRow, select_databases!("and id = $2"), organization.0, id.0)?;
        row.map(Database::try_from).transpose()
    }

    /// The organization's database of that name.
    ///
    /// # Errors
    /// Those of the database engine.
    pub async fn find_named(&mut self, organization: OrganizationId, name: &str) -> Result<Option<Database>> {
        let row =
            fetch_optional!(self.0, DatabaseRow, select_databases!("and name = $2"), organization.0, name)?;
        row.map(Database::try_from).transpose()
    }

    /// A page of the organization's databases, oldest first.
    ///
    /// # Errors
    /// Those of the database engine.
    pub async fn page(
        &mut self,
        organization: OrganizationId,
        limit: i64,
        offset: i64,
    ) -> Result<Vec<Database>> {
        let rows = fetch_all!(
            self.0,
            DatabaseRow,
            select_databases!("order by number limit $2 offset $3"),
            organization.0,
            limit,
            offset,
        )?;
        rows.into_iter().map(Database::try_from).collect()
    }

    /// The free document of the organization's database of that key.
    ///
    /// # Errors
    /// Those of the database engine.
    pub async fn metadata(
        &mut self,
        organization: OrganizationId,
        id: DatabaseId,
    ) -> Result<Option<Document>> {
        let row = fetch_optional!(
            self.0,
            (Json<Document>,),
            "select metadata from databases where organization_id = $1 and id = $2 and deleted_at is null",
            organization.0,
            id.0,
        )?;
        Ok(row.map(|(metadata,)| metadata.0))
    }

    /// Changes what may be changed of a database. False when it is gone.
    ///
    /// # Errors
    /// Those of the database engine.
    pub async fn update(&mut self, database: &Database, metadata: &Document) -> Result<bool> {
        let changed = execute!(
            self.0,
            "update databases set description = $3, metadata = $4, metadata_bytes = $5
             where organization_id = $1 and id = $2 and deleted_at is null",
            database.organization.0,
            database.id.0,
            database.description.as_str(),
            Json(metadata),
            crate::organizations::quotas_repository::bytes(metadata),
        )?;
        Ok(changed == 1)
    }

    /// Locks a database's row for the rest of the unit, so that two changes of it follow one another.
    ///
    /// # Errors
    /// Those of the database engine.
    pub async fn lock(&mut self, id: DatabaseId) -> Result<()> {
        execute!(self.0, "update databases set ready_at = ready_at where id = $1", id.0)?;
        Ok(())
    }

    /// Deletes a database: from now on it looks like none. False when it did already.
    ///
    /// # Errors
    /// Those of the database engine.
    pub async fn remove(
        &mut self,
        organization: OrganizationId,
        id: DatabaseId,
        now: Timestamp,
    ) -> Result<bool> {
        let removed = execute!(
            self.0,
            "update databases set deleted_at = $3 where organization_id = $1 and id = $2 and deleted_at is null",
            organization.0,
            id.0,
            now.micros(),
        )?;
        Ok(removed == 1)
    }

    /// Removes what is left of databases deleted before `before`; answers how many rows.
    ///
    /// # Errors
    /// Those of the database engine.
    pub async fn purge(&mut self, before: Timestamp, at_most: i64) -> Result<u64> {
        let oldest = fetch_optional!(
            self.0,
            (Uuid,),
            "select id from databases where deleted_at < $1 order by deleted_at, id limit 1",
            before.micros(),
        )?;
        let Some((oldest,)) = oldest else {
            return Ok(0);
        };
        // Other nodes wait here, and find it smaller or gone: two at once would lock rows in a circle.
        execute!(self.0, "update databases set deleted_at = deleted_at where id = $1", oldest)?;
        let resolved = execute!(
            self.0,
            "delete from resolved_sessions where database_id = $1 and session_ident in
                (select session_ident from resolved_sessions where database_id = $1 order by session_ident limit $2)",
            oldest,
            at_most,
        )?;
        if resolved > 0 {
            execute!(
                self.0,
                "update organization_usage set resolved_sessions = resolved_sessions - $2
                 where organization_id = (select organization_id from databases where id = $1)",
                oldest,
                i64::try_from(resolved).unwrap_or(i64::MAX),
            )?;
            return Ok(resolved);
        }
        execute!(self.0, "delete from databases where id = $1", oldest)
    }

    /// Notes whose an anonymous session is; a repeat replaces what was noted. Answers whether the session is a new one,
    /// which then counts in [`crate::organizations::quotas_repository::Quotas::add_resolved_session`].
    ///
    /// # Errors
    /// Those of the database engine.
    pub async fn resolve_session(
        &mut self,
        database: DatabaseId,
        resolved: &ResolvedSession,
    ) -> Result<bool> {
        let added = execute!(
            self.0,
            "insert into resolved_sessions (database_id, session_ident, user_ident, at) values ($1, $2, $3, $4)
             on conflict (database_id, session_ident) do nothing",
            database.0,
            resolved.session.as_str().as_bytes(),
            resolved.user.as_str().as_bytes(),
            resolved.at.micros(),
        )?;
        if added == 0 {
            execute!(
                self.0,
                "update resolved_sessions set user_ident = $3, at = $4 where database_id = $1 and session_ident = $2",
                database.0,
                resolved.session.as_str().as_bytes(),
                resolved.user.as_str().as_bytes(),
                resolved.at.micros(),
            )?;
        }
        Ok(added == 1)
    }

    /// Up to `limit` resolved sessions of a database that come after the session `after`, in the order of their
    /// identifiers; only those of `users` where they are named.
    ///
    /// # Errors
    /// Those of the database engine.
    pub async fn resolved_sessions(
        &mut self,
        database: DatabaseId,
        users: Option<&BTreeSet<FlexibleId>>,
        after: &str,
        limit: usize,
    ) -> Result<Vec<ResolvedSession>> {
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = Vec::new();
        if users.is_none() {
            rows = fetch_all!(
                self.0,
                ResolvedRow,
                "select session_ident, user_ident, at from resolved_sessions
                 where database_id = $1 and session_ident > $2 order by session_ident limit $3",
                database.0,
                after.as_bytes(),
                most,
            )?;
        }
        for user in users.into_iter().flatten() {
            let of_user = fetch_all!(
                self.0,
                ResolvedRow,
                "select session_ident, user_ident, at from resolved_sessions
                 where database_id = $1 and user_ident = $2 and session_ident > $3 order by session_ident limit $4",
                database.0,
                user.as_str().as_bytes(),
                after.as_bytes(),
                most,
            )?;
            rows.extend(of_user);
        }
        rows.sort_by(|one, other| one.session_ident.cmp(&other.session_ident));
        rows.truncate(limit);
        rows.into_iter().map(ResolvedSession::try_from).collect()
    }
}
