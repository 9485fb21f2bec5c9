//! Files in the store of rows.

use std::iter;

use tidegate_database::{
    Result, StoreError, Unit, execute, fetch_all, fetch_one, fetch_optional, fetch_rows, prune, rows,
};
use tidegate_domain::Timestamp;
use tidegate_domain::id::{AccountId, OrganizationId};
use uuid::Uuid;

use crate::files::file::{FileCategory, TrackedFile};

/// Keys that one statement looks for at most; a power of two.
const MOST_NAMES: usize = 1_024;

/// Files of a unit of work.
pub struct Files<'u>(pub(crate) &'u mut Unit);

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    number: i64,
    organization_id: Uuid,
    account_id: Uuid,
    object_name: String,
    file_name: String,
    unique_name: String,
    category: String,
    content_type: String,
    size_bytes: i64,
    etag: String,
    created_at: i64,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select id, number, organization_id, account_id, object_name, file_name, unique_name, category, content_type,
                size_bytes, etag, created_at
             from storage_files ",
            $rest
        )
    };
}

impl Row {
    fn read(self) -> Result<TrackedFile> {
        Ok(TrackedFile {
            id: self.id,
            number: self.number,
            organization: self.organization_id.into(),
            account: self.account_id.into(),
            object_name: self.object_name,
            file_name: self.file_name,
            unique_name: self.unique_name,
            category: FileCategory::from_name(&self.category)
                .ok_or(StoreError::Unreadable("storage_files.category"))?,
            content_type: self.content_type,
            size: u64::try_from(self.size_bytes)
                .map_err(|_| StoreError::Unreadable("storage_files.size_bytes"))?,
            etag: self.etag,
            created_at: Timestamp::from_micros(self.created_at),
        })
    }
}

/// A file to be tracked.
pub(crate) struct NewRow<'a> {
    pub(crate) id: Uuid,
    pub(crate) organization: OrganizationId,
    pub(crate) account: AccountId,
    pub(crate) object_name: &'a str,
    pub(crate) file_name: &'a str,
    pub(crate) category: FileCategory,
    pub(crate) content_type: &'a str,
    pub(crate) size: i64,
    pub(crate) etag: &'a str,
    pub(crate) state: &'static str,
    pub(crate) created_at: Timestamp,
    pub(crate) now: Timestamp,
    pub(crate) reserved_until: Timestamp,
}

/// Whose files, and which of them.
#[derive(Clone, Copy)]
pub(crate) struct Owned<'a> {
    pub(crate) account: AccountId,
    pub(crate) organization: OrganizationId,
    /// Empty: of all categories.
    pub(crate) category: &'a str,
}

impl Files<'_> {
    /// Adds one; none when the store has one under that key. Answers its number.
    pub(crate) async fn insert(&mut self, new: &NewRow<'_>) -> Result<Option<i64>> {
        let (folder, unique_name) = new.object_name.rsplit_once('/').unwrap_or(("", new.object_name));
        let added = fetch_optional!(
            self.0,
            (i64,),
            "insert into storage_files (id, organization_id, account_id, object_name, folder, file_name, unique_name, category,
                content_type, size_bytes, etag, state, created_at, changed_at, reserved_until)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
             on conflict (object_name) do nothing returning number",
            new.id,
            new.organization.0,
            new.account.0,
            new.object_name,
            folder,
            new.file_name,
            unique_name,
            new.category.as_str(),
            new.content_type,
            new.size,
            new.etag,
            new.state,
            new.created_at.micros(),
            new.now.micros(),
            new.reserved_until.micros(),
        )?;
        Ok(added.map(|(number,)| number))
    }

    /// The stored one under a key.
    pub(crate) async fn stored(&mut self, object_name: &str) -> Result<Option<TrackedFile>> {
        let row = fetch_optional!(
            self.0,
            Row,
            select!("where object_name = $1 and state = 'stored'"),
            object_name,
        )?;
        row.map(Row::read).transpose()
    }

    /// The newest of one person's that came after another one of the organization and was called as that when it was uploaded.
    pub(crate) async fn newer(
        &mut self,
        account: AccountId,
        than: &TrackedFile,
    ) -> Result<Option<TrackedFile>> {
        let row = fetch_optional!(
            self.0,
            Row,
            select!(
                "where account_id = $1 and organization_id = $2 and number > $3 and state = 'stored' and file_name = $4
                 order by number desc limit 1"
            ),
            account.0,
            than.organization.0,
            than.number,
            than.file_name.as_str(),
        )?;
        row.map(Row::read).transpose()
    }

    /// The one under a key that the store has lost.
    pub(crate) async fn missing(&mut self, object_name: &str) -> Result<Option<TrackedFile>> {
        let row = fetch_optional!(
            self.0,
            Row,
            select!("where object_name = $1 and state = 'missing'"),
            object_name,
        )?;
        row.map(Row::read).transpose()
    }

    /// Those of some keys that are stored.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn stored_among(&mut self, object_names: &[&str]) -> Result<Vec<TrackedFile>> {
        let mut found = Vec::new();
        for names in object_names.chunks(MOST_NAMES) {
            // As many as a power of two, the last one several times: there are few texts, and all of them stay prepared.
            let padded = names.len().next_power_of_two();
            let last = names.last().copied().unwrap_or_default();
            let some = fetch_rows!(
                self.0,
                Row,
                rows(select!("where state = 'stored' and object_name in ("), 0, 1, padded, ")"),
                [],
                names.iter().copied().chain(iter::repeat(last)).take(padded),
                name => [name],
            )?;
            for row in some {
                found.push(row.read()?);
            }
        }
        Ok(found)
    }

    /// The state of the one under a key.
    pub(crate) async fn state(&mut self, object_name: &str) -> Result<Option<String>> {
        let row = fetch_optional!(
            self.0,
            (String,),
            "select state from storage_files where object_name = $1",
            object_name,
        )?;
        Ok(row.map(|(state,)| state))
    }

    /// How many are stored.
    pub(crate) async fn count(&mut self, owned: Owned<'_>) -> Result<i64> {
        let (count,) = fetch_one!(
            self.0,
            (i64,),
            "select count(*) from storage_files
             where account_id = $1 and organization_id = $2 and state = 'stored' and (category = $3 or $3 = '')",
            owned.account.0,
            owned.organization.0,
            owned.category,
        )?;
        Ok(count)
    }

    /// A page of those that are stored, the newest first.
    pub(crate) async fn page(&mut self, owned: Owned<'_>, skip: i64, limit: i64) -> Result<Vec<TrackedFile>> {
        let rows = fetch_all!(
            self.0,
            Row,
            select!(
                "where account_id = $1 and organization_id = $2 and state = 'stored' and (category = $3 or $3 = '')
                 order by number desc limit $5 offset $4"
            ),
            owned.account.0,
            owned.organization.0,
            owned.category,
            skip,
            limit,
        )?;
        rows.into_iter().map(Row::read).collect()
    }

    /// Those of one person whose keys begin so, in the order in which they came, from beyond a number. `folder` is the one that they are
    /// directly in; empty for all.
    pub(crate) async fn below(
        &mut self,
        owned: Owned<'_>,
        (prefix, folder): (&str, &str),
        after: i64,
        limit: i64,
    ) -> Result<Vec<TrackedFile>> {
        let rows = fetch_all!(
            self.0,
            Row,
            select!(
                "where account_id = $1 and organization_id = $2 and state = 'stored' and number > $5
                   and substr(object_name, 1, length($3)) = $3 and (folder = $4 or $4 = '')
                 order by number limit $6"
            ),
            owned.account.0,
            owned.organization.0,
            prefix,
            folder,
            after,
            limit,
        )?;
        rows.into_iter().map(Row::read).collect()
    }

    /// Says that an upload is stored. False when its time was over, or it was taken back.
    pub(crate) async fn settle(&mut self, id: Uuid, now: Timestamp) -> Result<bool> {
        let changed = execute!(
            self.0,
            "update storage_files set state = 'stored', changed_at = $2 where id = $1 and state = 'uploading'",
            id,
            now.micros(),
        )?;
        Ok(changed == 1)
    }

    /// Takes hold of a removal that was cut off, or of an upload whose time is over. False when it is something else meanwhile: an
    /// upload that was slow, and has been acknowledged since it was listed, stays.
    pub(crate) async fn begin_settling(&mut self, id: Uuid, now: Timestamp) -> Result<bool> {
        let changed = execute!(
            self.0,
            "update storage_files set state = 'removing', changed_at = $2
             where id = $1 and (state = 'removing' or (state = 'uploading' and reserved_until <= $2))",
            id,
            now.micros(),
        )?;
        Ok(changed == 1)
    }

    /// Takes an upload back that was not stored. False when it is something else meanwhile.
    pub(crate) async fn take_back(&mut self, id: Uuid, now: Timestamp) -> Result<bool> {
        let changed = execute!(
            self.0,
            "update storage_files set state = 'removing', changed_at = $2 where id = $1 and state = 'uploading'",
            id,
            now.micros(),
        )?;
        Ok(changed == 1)
    }

    /// Says that all files of an account are being removed, and those of others in organizations that end with it, which it owns;
    /// answers how many.
    pub(crate) async fn begin_removing_of(&mut self, account: AccountId, now: Timestamp) -> Result<u64> {
        // What the store has lost already is not counted any more.
        execute!(
            self.0,
            "update storage_files set state = 'removed', changed_at = $2, file_name = ''
             where state = 'missing' and (account_id = $1 or organization_id in
                (select organization_id from memberships where account_id = $1 and role = 'owner'))",
            account.0,
            now.micros(),
        )?;
        execute!(
            self.0,
            "update storage_files set state = 'removing', changed_at = $2
             where state in ('stored', 'uploading') and (account_id = $1 or organization_id in
                (select organization_id from memberships where account_id = $1 and role = 'owner'))",
            account.0,
            now.micros(),
        )
    }

    /// Says that some files are being removed whose owners are members of their organization no more; answers how many.
    pub(crate) async fn begin_removing_of_former(&mut self, now: Timestamp, limit: i64) -> Result<u64> {
        // What the store has lost already is not counted any more.
        execute!(
            self.0,
            "update storage_files set state = 'removed', changed_at = $1, file_name = ''
             where state = 'missing' and not exists (select 1 from memberships m
                where m.account_id = storage_files.account_id and m.organization_id = storage_files.organization_id)",
            now.micros(),
        )?;
        execute!(
            self.0,
            "update storage_files set state = 'removing', changed_at = $1
             where state = 'stored' and id in (select f.id from storage_files f
                where f.state = 'stored' and not exists (select 1 from memberships m
                    where m.account_id = f.account_id and m.organization_id = f.organization_id)
                order by f.number limit $2)",
            now.micros(),
            limit,
        )
    }

    /// Says that a file is removed, and forgets what it was called. False when it was so before: then its bytes are given back already.
    pub(crate) async fn removed(&mut self, id: Uuid, now: Timestamp) -> Result<bool> {
        let changed = execute!(
            self.0,
            "update storage_files set state = 'removed', changed_at = $2, file_name = ''
             where id = $1 and state = 'removing'",
            id,
            now.micros(),
        )?;
        Ok(changed == 1)
    }

    /// Changes a state, if it is the one that is expected.
    pub(crate) async fn change_state(
        &mut self,
        id: Uuid,
        (from, to): (&str, &str),
        now: Timestamp,
    ) -> Result<bool> {
        let changed = execute!(
            self.0,
            "update storage_files set state = $3, changed_at = $4 where id = $1 and state = $2",
            id,
            from,
            to,
            now.micros(),
        )?;
        Ok(changed == 1)
    }

    /// Some of those that are being removed, and of uploads whose time is over.
    pub(crate) async fn unsettled(&mut self, now: Timestamp, limit: i64) -> Result<Vec<TrackedFile>> {
        let rows = fetch_all!(
            self.0,
            Row,
            select!(
                "where state = 'removing' or (state = 'uploading' and reserved_until <= $1)
                 order by changed_at limit $2"
            ),
            now.micros(),
            limit,
        )?;
        rows.into_iter().map(Row::read).collect()
    }

    /// Those of a state with numbers beyond `after`.
    pub(crate) async fn in_state(&mut self, state: &str, after: i64, limit: i64) -> Result<Vec<TrackedFile>> {
        let rows = fetch_all!(
            self.0,
            Row,
            select!("where state = $1 and number > $2 order by number limit $3"),
            state,
            after,
            limit,
        )?;
        rows.into_iter().map(Row::read).collect()
    }

    /// The keys and sizes of those that are to be in the store, or that it has lost: up to so many of the oldest, and of the newest. Each is
    /// there once.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn tracked(&mut self, of_each_end: i64) -> Result<Vec<(String, i64)>> {
        fetch_all!(
            self.0,
            (String, i64),
            "select object_name, size_bytes from (select object_name, size_bytes from storage_files
                 where state in ('stored', 'missing') order by number limit $1) as oldest
             union
             select object_name, size_bytes from (select object_name, size_bytes from storage_files
                 where state in ('stored', 'missing') order by number desc limit $1) as newest",
            of_each_end,
        )
    }

    /// How many are stored, and how many bytes they have together.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn stored_in_all(&mut self) -> Result<(i64, i64)> {
        fetch_one!(
            self.0,
            (i64, i64),
            "select count(*), cast(coalesce(sum(size_bytes), 0) as bigint) from storage_files where state = 'stored'",
        )
    }

    /// All of an account that are stored, up to a number of them.
    pub(crate) async fn of_account(&mut self, account: AccountId, limit: i64) -> Result<Vec<TrackedFile>> {
        let rows = fetch_all!(
            self.0,
            Row,
            select!("where account_id = $1 and state = 'stored' order by number limit $2"),
            account.0,
            limit,
        )?;
        rows.into_iter().map(Row::read).collect()
    }

    /// The member of an organization, both by their numbers.
    pub(crate) async fn member(
        &mut self,
        organization: i64,
        account: i64,
    ) -> Result<Option<(OrganizationId, AccountId)>> {
        let row = fetch_optional!(
            self.0,
            (Uuid, Uuid),
            "select o.id, a.id from memberships m join organizations o on o.id = m.organization_id
                join accounts a on a.id = m.account_id where o.number = $1 and a.number = $2",
            organization,
            account,
        )?;
        Ok(row.map(|(organization, account)| (organization.into(), account.into())))
    }

    /// Removes rows of files that were removed before then; answers how many.
    pub(crate) async fn prune(&mut self, before: Timestamp, limit: i64) -> Result<u64> {
        prune!(
            self.0,
            "storage_files",
            "id",
            "where state = 'removed' and changed_at < $1 order by changed_at limit $2",
            before.micros(),
            limit,
        )
    }
}
