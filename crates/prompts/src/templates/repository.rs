//! Templates in the store.

use serde_json::Value;
use tidegate_database::{Result, StoreError, Unit, execute, fetch_all, fetch_one, fetch_optional, prune};
use tidegate_domain::Timestamp;
use tidegate_domain::id::{AccountId, OrganizationId};

use super::find::TemplateFilter;
use super::parameter::{StoredParameter, TemplateParameter};
use super::template::{NewTemplate, Template, TemplateStatus};
use crate::executions::row::{read_json, read_numbers, stored_numbers};
use crate::records::repository::{containing, search_text};
use crate::work::Person;

/// Templates of a unit of work.
pub struct Templates<'u>(pub(crate) &'u mut Unit);

#[derive(sqlx::FromRow)]
struct Row {
    number: i64,
    organization_number: i64,
    name: String,
    description: Option<String>,
    template_text: String,
    parameters: String,
    category: String,
    tags: String,
    icon_url: Option<String>,
    status: String,
    sources: String,
    is_public: bool,
    usage_count: i64,
    created_by: i64,
    created_at: i64,
    updated_at: i64,
    is_own: bool,
}

impl Row {
    fn read(self) -> Result<Template> {
        let stored: Vec<StoredParameter> = read_json(&self.parameters, "prompt_templates.parameters")?;
        let parameters: Option<Vec<TemplateParameter>> =
            stored.into_iter().map(StoredParameter::read).collect();
        Ok(Template {
            number: self.number,
            organization_number: Some(self.organization_number),
            name: self.name,
            description: self.description,
            text: self.template_text,
            parameters: parameters.ok_or(StoreError::Unreadable("prompt_templates.parameters"))?,
            category: self.category,
            tags: read_json(&self.tags, "prompt_templates.tags")?,
            icon_url: self.icon_url,
            status: TemplateStatus::from_name(&self.status)
                .ok_or(StoreError::Unreadable("prompt_templates.status"))?,
            sources: read_numbers(&self.sources),
            is_system: false,
            is_public: self.is_public,
            usage_count: self.usage_count,
            created_by: Some(self.created_by),
            created_at: Timestamp::from_micros(self.created_at),
            updated_at: Timestamp::from_micros(self.updated_at),
            is_own: self.is_own,
        })
    }
}

fn parameters_json(parameters: &[TemplateParameter]) -> String {
    let stored: Vec<StoredParameter> = parameters.iter().map(StoredParameter::from).collect();
    serde_json::to_string(&stored).unwrap_or_else(|_| "[]".to_owned())
}

/// Selects whole rows that a person sees: `$1` is the organization, `$2` the account.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select t.number, o.number as organization_number, t.name, t.description, t.template_text, t.parameters,
                t.category, t.tags, t.icon_url, t.status, t.sources, t.is_public,
                coalesce(u.executions, 0) as usage_count, t.created_by, t.created_at, t.updated_at,
                (t.account_id = $2) as is_own
             from prompt_templates t join organizations o on o.id = t.organization_id
                left join prompt_template_usage u
                    on u.organization_id = t.organization_id and u.template_number = t.number
             where t.organization_id = $1 and t.deleted_at is null and (t.is_public or t.account_id = $2) ",
            $rest
        )
    };
}

impl Templates<'_> {
    /// Those that a person sees, the oldest first.
    pub(super) async fn seen(&mut self, person: Person, filter: &TemplateFilter) -> Result<Vec<Template>> {
        let rows = fetch_all!(
            self.0,
            Row,
            select!(
                "and ($3 is null or t.category = $3) and ($4 is null or t.is_public = $4)
                    and ($5 is null or t.search_text like $5 escape '\\')
                 order by t.number limit 1000"
            ),
            person.organization.0,
            person.account.0,
            filter.category.as_deref(),
            filter.is_public,
            filter.search.as_deref().map(containing),
        )?;
        rows.into_iter().map(Row::read).collect()
    }

    /// The one of that number that a person sees.
    pub(super) async fn one(&mut self, person: Person, number: i64) -> Result<Option<Template>> {
        let row = fetch_optional!(
            self.0,
            Row,
            select!("and t.number = $3"),
            person.organization.0,
            person.account.0,
            number,
        )?;
        row.map(Row::read).transpose()
    }

    /// How often each template was run in an organization: also those that come with the program.
    pub(super) async fn uses(&mut self, organization: OrganizationId) -> Result<Vec<(i64, i64)>> {
        fetch_all!(
            self.0,
            (i64, i64),
            "select template_number, executions from prompt_template_usage where organization_id = $1",
            organization.0,
        )
    }

    /// Counts a run.
    pub(crate) async fn count_use(&mut self, organization: OrganizationId, number: i64) -> Result<()> {
        execute!(
            self.0,
            "insert into prompt_template_usage (organization_id, template_number, executions) values ($1, $2, 1)
             on conflict (organization_id, template_number) do update
                set executions = prompt_template_usage.executions + 1",
            organization.0,
            number,
        )?;
        Ok(())
    }

    /// How many the organization has.
    pub(super) async fn count(&mut self, organization: OrganizationId) -> Result<i64> {
        let (count,) = fetch_one!(
            self.0,
            (i64,),
            "select count(*) from prompt_templates where organization_id = $1 and deleted_at is null",
            organization.0,
        )?;
        Ok(count)
    }

    /// The number of an organization.
    pub(super) async fn organization_number(&mut self, organization: OrganizationId) -> Result<i64> {
        let (number,) =
            fetch_one!(self.0, (i64,), "select number from organizations where id = $1", organization.0)?;
        Ok(number)
    }

    /// Adds one; answers its number.
    pub(super) async fn insert(
        &mut self,
        person: Person,
        account_number: i64,
        new: &NewTemplate,
        now: Timestamp,
    ) -> Result<i64> {
        let (number,) = fetch_one!(
            self.0,
            (i64,),
            "insert into prompt_templates (organization_id, account_id, created_by, name, description, template_text,
                parameters, category, tags, icon_url, status, sources, is_public, search_text, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15) returning number",
            person.organization.0,
            person.account.0,
            account_number,
            new.name.as_str(),
            new.description.as_deref(),
            new.text.as_str(),
            parameters_json(&new.parameters),
            new.category.as_str(),
            Value::from(new.tags.clone()).to_string(),
            new.icon_url.as_deref(),
            new.status.as_str(),
            stored_numbers(&new.sources),
            new.is_public,
            search_text(&new.name, new.description.as_deref().unwrap_or_default()),
            now.micros(),
        )?;
        Ok(number)
    }

    /// Writes all that can be changed of one.
    pub(super) async fn change(&mut self, number: i64, new: &NewTemplate, now: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "update prompt_templates set name = $2, description = $3, template_text = $4, parameters = $5, category = $6,
                tags = $7, icon_url = $8, status = $9, sources = $10, is_public = $11, search_text = $12, updated_at = $13
             where number = $1",
            number,
            new.name.as_str(),
            new.description.as_deref(),
            new.text.as_str(),
            parameters_json(&new.parameters),
            new.category.as_str(),
            Value::from(new.tags.clone()).to_string(),
            new.icon_url.as_deref(),
            new.status.as_str(),
            stored_numbers(&new.sources),
            new.is_public,
            search_text(&new.name, new.description.as_deref().unwrap_or_default()),
            now.micros(),
        )?;
        Ok(())
    }

    /// Deletes one, so that it can be restored until `purge_at`.
    pub(super) async fn delete(&mut self, number: i64, now: Timestamp, purge_at: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "update prompt_templates set deleted_at = $2, purge_at = $3, updated_at = $2 where number = $1",
            number,
            now.micros(),
            purge_at.micros(),
        )?;
        Ok(())
    }

    /// Removes those of an account that nobody else sees, and all of the organizations that it owns.
    pub(crate) async fn remove_of_account(&mut self, account: AccountId) -> Result<()> {
        execute!(
            self.0,
            "delete from prompt_templates where (account_id = $1 and not is_public) or organization_id in
                (select organization_id from memberships where account_id = $1 and role = 'owner')",
            account.0,
        )?;
        Ok(())
    }

    /// Removes deleted ones whose time is over.
    pub(crate) async fn prune(&mut self, now: Timestamp, at_most: i64) -> Result<u64> {
        prune!(
            self.0,
            "prompt_templates",
            "number",
            "where purge_at <= $1 order by purge_at limit $2",
            now.micros(),
            at_most,
        )
    }
}
