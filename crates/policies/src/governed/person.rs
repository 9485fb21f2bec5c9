//! What rules read of a person.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use sqlx::types::Json;
use tidegate_database::{Unit, fetch_all, fetch_optional};
use tidegate_domain::custom_claim::ClaimSource;
use tidegate_domain::id::{AccountId, OrganizationId};
use tidegate_domain::{Role, Timestamp};
use tidegate_kernel::Fault;
use tidegate_kernel::cache::MAX_AGE;
use tidegate_policy::{Attribute, Attributes};

use crate::Policies;

/// Members that are read in one.
const PAGE: u16 = 100;
/// Most such readings.
const MOST_PAGES: usize = 50;
/// Most names of attributes that are remembered beside those that are looked for.
const MOST_NAMES: usize = 1_000;

/// Where attributes come from that not every member has: told to administrators and operators where one is missing.
pub const WHERE_ATTRIBUTES_COME_FROM: &str = "Attributes are metadata of members, which a manager writes (PATCH /v1/accounts/individual/ \
     with email and metadata), and claims that the operator defines ([oauth] claims).";

/// A member of an organization, as policies see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The number of the account.
    pub number: i64,
    /// The role in the organization.
    pub role: Role,
    /// What rules read, but for the workspace.
    pub attributes: Attributes,
}

/// Whether a workspace is somebody's, as it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct OwnWorkspace {
    account: AccountId,
    organization: OrganizationId,
    /// Whether the person's role sees all workspaces of the organization.
    sees_all: bool,
    number: i64,
}

/// What is stored of a member.
#[derive(sqlx::FromRow)]
struct Row {
    number: i64,
    role: String,
    is_home: bool,
    user_metadata: Json<Value>,
    created_at: i64,
    organization_name: String,
    email: Option<String>,
}

impl Policies {
    /// A member of an organization; none where the account is disabled, or no member.
    pub(crate) async fn person(
        &self,
        account: AccountId,
        organization: OrganizationId,
    ) -> Result<Option<Arc<Person>>, Fault> {
        let key = (account, organization);
        let (stamp, now) = (self.kernel.stamp(&[account.0, organization.0]), self.kernel.now());
        if let Some(known) = self.people.get(&key, stamp, now, MAX_AGE) {
            return Ok(known);
        }
        let mut unit = self.kernel.store.read().await?;
        let row = member(&mut unit, account, organization).await?;
        let person = row.and_then(|row| self.read_person(organization, row)).map(Arc::new);
        self.people.put(key, person.clone(), stamp, now);
        Ok(person)
    }

    fn read_person(&self, organization: OrganizationId, row: Row) -> Option<Person> {
        let role = Role::from_name(&row.role)?;
        let mut attributes = Attributes::new();
        let nothing = Map::new();
        // Metadata is what the managers of the person's home organization wrote. They are strangers to any other organization.
        let metadata = row.user_metadata.0.as_object().filter(|_| row.is_home).unwrap_or(&nothing);
        attributes.extend(metadata);
        let claims = self.claims(organization, role, &row, metadata);
        attributes.extend(&claims);
        let groups = claims.get("groups").or_else(|| metadata.get("groups"));
        attributes.set_or_remove(
            "groups",
            Some(groups.and_then(Attribute::from_json).unwrap_or(Attribute::List(Vec::new()))),
        );
        attributes.set("id", Attribute::Number(row.number.to_string()));
        attributes.set("role", Attribute::Text(role.as_str().to_owned()));
        attributes.set_or_remove("email", row.email.map(Attribute::Text));
        attributes.set_or_remove("workspace_id", None);
        Some(Person { number: row.number, role, attributes })
    }

    /// Names of attributes that members of an organization have: those that are wanted, if anybody has them, and others that are like
    /// them perhaps. None where there are too many members to look at.
    pub(crate) async fn attributes_held(
        &self,
        unit: &mut Unit,
        organization: OrganizationId,
        wanted: &BTreeSet<String>,
    ) -> Result<Option<BTreeSet<String>>, Fault> {
        let (mut held, mut after) = (BTreeSet::new(), i64::MIN);
        for _ in 0..MOST_PAGES {
            let rows = members(unit, organization, after).await?;
            let is_last = rows.len() < usize::from(PAGE);
            after = rows.last().map_or(after, |row| row.number);
            for person in rows.into_iter().filter_map(|row| self.read_person(organization, row)) {
                for (name, _) in person.attributes.iter() {
                    if held.len() < MOST_NAMES || wanted.contains(name) {
                        held.insert(name.to_owned());
                    }
                }
            }
            if is_last || wanted.is_subset(&held) {
                return Ok(Some(held));
            }
        }
        Ok(None)
    }

    /// Those of some groups that no member of an organization is in. None where there are too many members to look at.
    pub(crate) async fn groups_of_nobody(
        &self,
        unit: &mut Unit,
        organization: OrganizationId,
        groups: BTreeSet<String>,
    ) -> Result<Option<BTreeSet<String>>, Fault> {
        let (mut empty, mut after) = (groups, i64::MIN);
        for _ in 0..MOST_PAGES {
            let rows = members(unit, organization, after).await?;
            let is_last = rows.len() < usize::from(PAGE);
            after = rows.last().map_or(after, |row| row.number);
            for person in rows.into_iter().filter_map(|row| self.read_person(organization, row)) {
                empty.retain(|group| !person.attributes.has_group(group));
            }
            if is_last || empty.is_empty() {
                return Ok(Some(empty));
            }
        }
        Ok(None)
    }

    /// The claims that the operator defined, whatever scopes tell them.
    fn claims(
        &self,
        organization: OrganizationId,
        role: Role,
        row: &Row,
        metadata: &Map<String, Value>,
    ) -> Map<String, Value> {
        let value = |from: &ClaimSource| match from {
            ClaimSource::AccountNumber => json!(row.number),
            ClaimSource::CreatedAt => json!(Timestamp::from_micros(row.created_at).seconds()),
            ClaimSource::Role => json!(role.as_str()),
            ClaimSource::OrganizationId => json!(organization),
            ClaimSource::OrganizationName => json!(row.organization_name),
            ClaimSource::Metadata(key) => metadata.get(key).cloned().unwrap_or(Value::Null),
        };
        let claims = &self.kernel.settings.oauth.rules.claims;
        claims.iter().map(|claim| (claim.name.clone(), value(&claim.from))).collect()
    }

    /// The number of a workspace, if it is one of the person's. Remembered as the person is: whatever changes a membership notes a change of
    /// its account.
    pub(crate) async fn own_workspace(
        &self,
        account: AccountId,
        organization: OrganizationId,
        role: Role,
        number: i64,
    ) -> Result<Option<i64>, Fault> {
        let key = OwnWorkspace { account, organization, sees_all: role.is_admin(), number };
        let (stamp, now) = (self.kernel.stamp(&[account.0, organization.0]), self.kernel.now());
        if let Some(known) = self.workspaces.get(&key, stamp, now, MAX_AGE) {
            return Ok(known);
        }
        let mut unit = self.kernel.store.read().await?;
        let row = fetch_optional!(
            unit,
            (i64,),
            "select w.number from workspaces w where w.organization_id = $1 and w.number = $2 and ($3 or exists
                (select 1 from membership_workspaces mw join memberships m on m.id = mw.membership_id
                 where mw.workspace_id = w.id and m.account_id = $4))",
            organization.0,
            number,
            key.sees_all,
            account.0,
        )?;
        drop(unit);
        let own = row.map(|(number,)| number);
        self.workspaces.put(key, own, stamp, now);
        Ok(own)
    }
}

/// Members of an organization, by their numbers, behind this one.
async fn members(
    unit: &mut Unit,
    organization: OrganizationId,
    after: i64,
) -> tidegate_database::Result<Vec<Row>> {
    fetch_all!(
        unit,
        Row,
        "select a.number, m.role, m.is_home, a.user_metadata, a.created_at, o.name as organization_name, i.value as email
         from accounts a join memberships m on m.account_id = a.id join organizations o on o.id = m.organization_id
            left join identifiers i on i.account_id = a.id and i.kind = 'email' and i.is_primary = $3
                and i.verified_at is not null
         where m.organization_id = $1 and a.number > $2 and a.disabled_at is null order by a.number limit $4",
        organization.0,
        after,
        true,
        i64::from(PAGE),
    )
}

async fn member(
    unit: &mut Unit,
    account: AccountId,
    organization: OrganizationId,
) -> tidegate_database::Result<Option<Row>> {
    // An address that nobody has shown to be theirs is nobody's.
    fetch_optional!(
        unit,
        Row,
        "select a.number, m.role, m.is_home, a.user_metadata, a.created_at, o.name as organization_name, i.value as email
         from accounts a join memberships m on m.account_id = a.id join organizations o on o.id = m.organization_id
            left join identifiers i on i.account_id = a.id and i.kind = 'email' and i.is_primary = $3
                and i.verified_at is not null
         where a.id = $1 and m.organization_id = $2 and a.disabled_at is null",
        account.0,
        organization.0,
        true,
    )
}
