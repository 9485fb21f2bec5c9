//! Data sources in the store.

use tidegate_database::{Result, Unit, execute, fetch_all, fetch_one, fetch_optional};
use tidegate_domain::Timestamp;
use tidegate_domain::id::{AccountId, DataSourceId, OrganizationId, WorkspaceId};
use tidegate_kernel::changes;
use uuid::Uuid;

use super::access::Viewer;
use super::find::{Listing, Order};
use super::row::{Row, seen, select};
use super::source::{DataSource, NewDataSource};
use super::status::SourceStatus;

/// Data sources of a unit of work.
pub struct Sources<'u>(pub(crate) &'u mut Unit);

/// A data source to be added.
pub(super) struct NewRow<'a> {
    pub(super) id: DataSourceId,
    pub(super) organization: OrganizationId,
    pub(super) workspace: WorkspaceId,
    pub(super) slug: &'a str,
    pub(super) new: &'a NewDataSource,
    pub(super) connection_string: Option<Vec<u8>>,
    pub(super) connection_string_shown: Option<String>,
    pub(super) credentials: Option<Vec<u8>>,
    pub(super) created_by: i64,
    pub(super) next_check_at: Timestamp,
    pub(super) now: Timestamp,
}

fn tags(tags: &[String]) -> String {
    serde_json::Value::from(tags).to_string()
}

/// What is searched.
fn search_text(name: &str, description: Option<&str>) -> String {
    format!("{name}\n{}", description.unwrap_or_default()).to_lowercase()
}

/// A pattern of LIKE that finds `text` anywhere; `\` is its escape.
fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// A page of what a caller sees, in one of two directions.
macro_rules! page {
    ($unit:expr, $viewer:expr, $listing:expr, $direction:literal) => {
        fetch_all!(
            $unit,
            Row,
            concat!(
                select!("where "),
                seen!(),
                filtered!(),
                "order by
                    case $8 when 'name' then lower(s.name) when 'type' then s.kind when 'status' then s.status
                        when 'host' then s.host when 'description' then s.description
                        when 'database_name' then s.database_name when 'schema_name' then s.schema_name
                        when 'file_path' then s.file_path when 'ssh_host' then s.ssh_host when 'tags' then s.tags
                        when 'slug' then s.slug end ",
                $direction,
                " nulls last,
                    case $8 when 'created_at' then s.created_at when 'updated_at' then s.updated_at
                        when 'last_tested_at' then s.last_tested_at
                        when 'last_successful_connection_at' then s.last_success_at
                        when 'schema_discovered_at' then s.schema_discovered_at when 'workspace_id' then w.number
                        when 'port' then s.port when 'ssh_port' then s.ssh_port
                        when 'use_ssh_tunnel' then case when s.use_ssh_tunnel then 1 else 0 end
                        when 'schema_auto_refresh' then case when s.schema_auto_refresh then 1 else 0 end end ",
                $direction,
                " nulls last, s.number ",
                $direction,
                " limit $9 offset $10"
            ),
            $viewer.organization.0,
            $viewer.sees_all,
            $viewer.account.0,
            $listing.workspace,
            $listing.kind.map(|kind| kind.as_str()),
            $listing.status.map(SourceStatus::as_str),
            $listing.search.as_deref().map(containing),
            $listing.sorting.as_str(),
            $listing.page_size,
            $listing.skipped(),
        )
    };
}

/// What a list is narrowed to: `$4` to `$7` are workspace, type, status and pattern, null for any.
macro_rules! filtered {
    () => {
        " and ($4 is null or w.number = $4) and ($5 is null or s.kind = $5) and ($6 is null or s.status = $6)
            and ($7 is null or s.search_text like $7 escape '\\') "
    };
}

impl Sources<'_> {
    /// Keeps other changes of the organization's sources waiting until the unit ends.
    pub(super) async fn lock(&mut self, organization: OrganizationId) -> Result<()> {
        execute!(self.0, "update organizations set updated_at = updated_at where id = $1", organization.0)?;
        Ok(())
    }

    /// Has every node read the organization's data sources again once the unit is committed.
    pub(super) fn touch(&mut self, organization: OrganizationId) {
        self.0.note(changes::data_sources(organization));
    }

    /// The workspace of that number that the caller may put things in, or the one they land in.
    pub(super) async fn workspace(
        &mut self,
        viewer: Viewer,
        number: Option<i64>,
    ) -> Result<Option<WorkspaceId>> {
        let row = fetch_optional!(
            self.0,
            (Uuid,),
            "select w.id from workspaces w left join
                (select mw.workspace_id from membership_workspaces mw join memberships m on m.id = mw.membership_id
                 where m.account_id = $3 and m.organization_id = $1) own on own.workspace_id = w.id
             where w.organization_id = $1 and ($2 or own.workspace_id is not null) and ($4 is null or w.number = $4)
             order by case when own.workspace_id is null then 1 else 0 end, w.is_default desc, w.number limit 1",
            viewer.organization.0,
            viewer.sees_all,
            viewer.account.0,
            number,
        )?;
        Ok(row.map(|(id,)| id.into()))
    }

    /// The slugs of a workspace that begin with a text.
    pub(super) async fn slugs(&mut self, workspace: WorkspaceId, slug: &str) -> Result<Vec<String>> {
        let rows = fetch_all!(
            self.0,
            (String,),
            "select slug from data_sources
             where workspace_id = $1 and deleted_at is null and slug like $2 escape '\\'",
            workspace.0,
            format!("{}%", slug.replace('_', "\\_")),
        )?;
        Ok(rows.into_iter().map(|(slug,)| slug).collect())
    }

    /// Adds one; answers its number.
    pub(super) async fn insert(&mut self, row: NewRow<'_>) -> Result<i64> {
        let (new, connection) = (row.new, &row.new.connection);
        let (number,) = fetch_one!(
            self.0,
            (i64,),
            "insert into data_sources (id, organization_id, workspace_id, name, slug, kind, description, host, port,
                database_name, schema_name, connection_string, connection_string_shown, file_path, use_ssh_tunnel,
                ssh_host, ssh_port, ssh_username, ssh_local_port, pool_size, connection_timeout, query_timeout,
                max_retries, schema_auto_refresh, schema_refresh_interval, metadata, tags, search_text, credentials,
                credentials_updated_at, version, status, failure_count, next_check_at, queries_succeeded,
                queries_failed, query_micros, created_by, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
                $23, $24, $25, $26, $27, $28, $29, $30, 1, 'testing', 0, $31, 0, 0, 0, $32, $33, $33)
             returning number",
            row.id.0,
            row.organization.0,
            row.workspace.0,
            new.name.as_str(),
            row.slug,
            new.kind.as_str(),
            new.description.as_deref(),
            connection.host.as_deref(),
            connection.port.map(i64::from),
            connection.database_name.as_deref(),
            connection.schema_name.as_deref(),
            row.connection_string,
            row.connection_string_shown,
            connection.file_path.as_deref(),
            connection.use_ssh_tunnel,
            connection.ssh_host.as_deref(),
            connection.ssh_port.map(i64::from),
            connection.ssh_username.as_deref(),
            connection.ssh_local_port.map(i64::from),
            i64::from(connection.pool_size),
            i64::from(connection.connection_timeout),
            i64::from(connection.query_timeout),
            i64::from(connection.max_retries),
            new.schema_auto_refresh,
            i64::from(new.schema_refresh_interval),
            new.metadata.as_str(),
            tags(&new.tags),
            search_text(&new.name, new.description.as_deref()),
            row.credentials.as_deref(),
            row.credentials.as_ref().map(|_| row.now.micros()),
            row.next_check_at.micros(),
            row.created_by,
            row.now.micros(),
        )?;
        self.touch(row.organization);
        Ok(number)
    }

    /// The one of that number that the caller sees.
    pub(crate) async fn seen(&mut self, viewer: Viewer, number: i64) -> Result<Option<DataSource>> {
        let row = fetch_optional!(
            self.0,
            Row,
            concat!(select!("where "), seen!(), "and s.number = $4"),
            viewer.organization.0,
            viewer.sees_all,
            viewer.account.0,
            number,
        )?;
        row.map(Row::read).transpose()
    }

    /// All that the caller sees; of an organization no more than its quota allows.
    pub(crate) async fn all_seen(&mut self, viewer: Viewer) -> Result<Vec<DataSource>> {
        let rows = fetch_all!(
            self.0,
            Row,
            concat!(select!("where "), seen!(), "order by s.number limit 1000"),
            viewer.organization.0,
            viewer.sees_all,
            viewer.account.0,
        )?;
        rows.into_iter().map(Row::read).collect()
    }

    /// A page of those that the caller sees.
    pub(super) async fn page(&mut self, viewer: Viewer, listing: &Listing) -> Result<Vec<DataSource>> {
        let rows = match listing.order {
            Order::Ascending => page!(self.0, viewer, listing, "asc"),
            Order::Descending => page!(self.0, viewer, listing, "desc"),
        }?;
        rows.into_iter().map(Row::read).collect()
    }

    /// How many there are in all pages.
    pub(super) async fn count_seen(&mut self, viewer: Viewer, listing: &Listing) -> Result<i64> {
        let (count,) = fetch_one!(
            self.0,
            (i64,),
            concat!(
                "select count(*) from data_sources s join workspaces w on w.id = s.workspace_id where ",
                seen!(),
                filtered!()
            ),
            viewer.organization.0,
            viewer.sees_all,
            viewer.account.0,
            listing.workspace,
            listing.kind.map(|kind| kind.as_str()),
            listing.status.map(SourceStatus::as_str),
            listing.search.as_deref().map(containing),
        )?;
        Ok(count)
    }

    /// The one of that key that is not deleted.
    pub(crate) async fn find(&mut self, id: DataSourceId) -> Result<Option<DataSource>> {
        let row = fetch_optional!(self.0, Row, select!("where s.id = $1 and s.deleted_at is null"), id.0)?;
        row.map(Row::read).transpose()
    }

    /// The one of that number that is not deleted, whosoever it is: for the operator.
    pub(super) async fn numbered(&mut self, number: i64) -> Result<Option<DataSource>> {
        let row =
            fetch_optional!(self.0, Row, select!("where s.number = $1 and s.deleted_at is null"), number)?;
        row.map(Row::read).transpose()
    }

    /// Up to `limit` that are called so, in SQL or by people, whosesoever they are: for the operator.
    pub(super) async fn named(&mut self, name: &str, limit: i64) -> Result<Vec<DataSource>> {
        let rows = fetch_all!(
            self.0,
            Row,
            select!(
                "where (s.slug = $1 or s.name = $1) and s.deleted_at is null
                 order by s.number limit $2"
            ),
            name,
            limit,
        )?;
        rows.into_iter().map(Row::read).collect()
    }

    /// Those of the installation, or of one organization, with numbers beyond `after`: for the operator.
    pub(super) async fn all(
        &mut self,
        organization: Option<OrganizationId>,
        after: i64,
        limit: i64,
    ) -> Result<Vec<DataSource>> {
        let rows = fetch_all!(
            self.0,
            Row,
            select!(
                "where s.number > $1 and s.deleted_at is null and ($3 is null or s.organization_id = $3)
                 order by s.number limit $2"
            ),
            after,
            limit,
            organization.map(Uuid::from),
        )?;
        rows.into_iter().map(Row::read).collect()
    }

    /// Those that an account made in organizations that it belongs to: what the others have is theirs.
    pub(crate) async fn made_by(&mut self, account: AccountId) -> Result<Vec<DataSource>> {
        let rows = fetch_all!(
            self.0,
            Row,
            select!(
                "where s.created_by = (select number from accounts where id = $1) and s.deleted_at is null
                    and s.organization_id in (select organization_id from memberships where account_id = $1)
                 order by s.number limit 1000"
            ),
            account.0,
        )?;
        rows.into_iter().map(Row::read).collect()
    }

    /// The files of the organization that data sources are made of, each with the number of the first one that is.
    pub(crate) async fn made_of_files(&mut self, organization: OrganizationId) -> Result<Vec<(String, i64)>> {
        fetch_all!(
            self.0,
            (String, i64),
            "select file_path, min(number) from data_sources
             where organization_id = $1 and deleted_at is null and file_path is not null group by file_path",
            organization.0,
        )
    }

    /// Says of the organization's sources that are made of a file that they do not answer, and has them tested: it is removed. What is said
    /// of each has its number in it. Answers their numbers.
    pub(crate) async fn lose_file(
        &mut self,
        organization: OrganizationId,
        path: &str,
        (before_number, behind_it): (String, &str),
        now: Timestamp,
    ) -> Result<Vec<i64>> {
        let numbers = fetch_all!(
            self.0,
            (i64,),
            "select number from data_sources
             where organization_id = $1 and file_path = $2 and deleted_at is null order by number",
            organization.0,
            path,
        )?;
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        execute!(
            self.0,
            "update data_sources set status = case when status in ('maintenance', 'inactive') then status else 'failed' end,
                last_failure_at = $3, failure_reason = $4 || cast(number as text) || $5, next_check_at = $3
             where organization_id = $1 and file_path = $2 and deleted_at is null",
            organization.0,
            path,
            now.micros(),
            before_number,
            behind_it,
        )?;
        self.touch(organization);
        Ok(numbers.into_iter().map(|(number,)| number).collect())
    }

    /// How many the organization has.
    pub(super) async fn count(&mut self, organization: OrganizationId) -> Result<i64> {
        let (count,) = fetch_one!(
            self.0,
            (i64,),
            "select count(*) from data_sources where organization_id = $1 and deleted_at is null",
            organization.0,
        )?;
        Ok(count)
    }

    /// Writes what can be changed of one. With `reconnects` it is one of a new version, to be tested.
    pub(super) async fn change(
        &mut self,
        source: &DataSource,
        account: i64,
        reconnects: bool,
        now: Timestamp,
    ) -> Result<()> {
        let connection = &source.connection;
        execute!(
            self.0,
            "update data_sources set name = $2, slug = $3, description = $4, host = $5, port = $6, database_name = $7,
                schema_name = $8, connection_string = $9, connection_string_shown = $10, file_path = $11,
                use_ssh_tunnel = $12, ssh_host = $13, ssh_port = $14, ssh_username = $15, ssh_local_port = $16,
                pool_size = $17, connection_timeout = $18, query_timeout = $19, max_retries = $20,
                schema_auto_refresh = $21, schema_refresh_interval = $22, metadata = $23, tags = $24, search_text = $25,
                status = $26, failure_count = $27, failure_reason = $28, schema_discovered_at = $29,
                next_discovery_at = case when $21 and $29 is not null then $29 + $22 * 1000000 else null end,
                version = version + $30, updated_by = $31, updated_at = $32, ssh_host_key = $33
             where id = $1",
            source.id.0,
            source.name.as_str(),
            source.slug.as_str(),
            source.description.as_deref(),
            connection.host.as_deref(),
            connection.port.map(i64::from),
            connection.database_name.as_deref(),
            connection.schema_name.as_deref(),
            source.sealed.connection_string.as_deref(),
            source.connection_string.as_deref(),
            connection.file_path.as_deref(),
            connection.use_ssh_tunnel,
            connection.ssh_host.as_deref(),
            connection.ssh_port.map(i64::from),
            connection.ssh_username.as_deref(),
            connection.ssh_local_port.map(i64::from),
            i64::from(connection.pool_size),
            i64::from(connection.connection_timeout),
            i64::from(connection.query_timeout),
            i64::from(connection.max_retries),
            source.schema_auto_refresh,
            i64::from(source.schema_refresh_interval),
            source.metadata.as_str(),
            tags(&source.tags),
            search_text(&source.name, source.description.as_deref()),
            source.status.as_str(),
            source.failure_count,
            source.failure_reason.as_deref(),
            source.schema_discovered_at.map(Timestamp::micros),
            i64::from(reconnects),
            account,
            now.micros(),
            source.ssh_host_key.as_deref(),
        )?;
        self.touch(source.organization);
        Ok(())
    }

    /// Replaces the sealed secrets of one, which is of a new version then.
    pub(super) async fn replace_secrets(
        &mut self,
        source: &DataSource,
        account: i64,
        now: Timestamp,
    ) -> Result<()> {
        execute!(
            self.0,
            "update data_sources set connection_string = $2, credentials = $3, credentials_updated_at = $4, status = $5,
                failure_count = 0, failure_reason = null, version = version + 1, updated_by = $6, updated_at = $4
             where id = $1",
            source.id.0,
            source.sealed.connection_string.as_deref(),
            source.sealed.credentials.as_deref(),
            now.micros(),
            source.status.as_str(),
            account,
        )?;
        self.touch(source.organization);
        Ok(())
    }

    /// The version of a source that is not deleted.
    pub(crate) async fn version(&mut self, id: DataSourceId) -> Result<Option<i64>> {
        let row = fetch_optional!(
            self.0,
            (i64,),
            "select version from data_sources where id = $1 and deleted_at is null",
            id.0,
        )?;
        Ok(row.map(|(version,)| version))
    }

    /// Pauses one, or lets it be tested again.
    pub(super) async fn set_status(
        &mut self,
        source: &DataSource,
        status: SourceStatus,
        now: Timestamp,
    ) -> Result<()> {
        execute!(
            self.0,
            "update data_sources set status = $2, updated_at = $3 where id = $1",
            source.id.0,
            status.as_str(),
            now.micros(),
        )?;
        self.touch(source.organization);
        Ok(())
    }
}
