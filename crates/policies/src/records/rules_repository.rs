//! Rules of policies in the store.

use tidegate_database::{Result, Unit, execute, fetch_all, fetch_one};
use tidegate_domain::Timestamp;
use tidegate_domain::id::OrganizationId;
use uuid::Uuid;

use super::policy::{NewRule, RuleRecord};

/// Rules of a unit of work.
pub struct Rules<'u>(pub(crate) &'u mut Unit);

type Row = (i64, i64, String, String, String, i64, bool, i64, i64);

fn read(row: Row) -> RuleRecord {
    let (number, policy, name, kind, config, order, is_active, created_at, updated_at) = row;
    RuleRecord {
        number,
        policy,
        name,
        kind,
        config,
        order,
        is_active,
        created_at: Timestamp::from_micros(created_at),
        updated_at: Timestamp::from_micros(updated_at),
    }
}

impl Rules<'_> {
    /// Adds rules of a policy.
    pub(crate) async fn insert(&mut self, policy: Uuid, rules: &[NewRule], now: Timestamp) -> Result<()> {
        for rule in rules {
            execute!(
                self.0,
                "insert into policy_rules (policy_id, name, kind, config, rule_order, is_active, created_at, updated_at)
                 values ($1, $2, $3, $4, $5, $6, $7, $7)",
                policy,
                rule.name.as_str(),
                rule.kind.as_str(),
                rule.config.as_str(),
                rule.order,
                rule.is_active,
                now.micros(),
            )?;
        }
        Ok(())
    }

    /// Has these take the place of a policy's rules.
    pub(crate) async fn replace(&mut self, policy: Uuid, rules: &[NewRule], now: Timestamp) -> Result<()> {
        execute!(self.0, "delete from policy_rules where policy_id = $1", policy)?;
        self.insert(policy, rules, now).await
    }

    /// The rules of a policy, in order.
    pub(crate) async fn of(&mut self, policy: Uuid) -> Result<Vec<RuleRecord>> {
        let rows = fetch_all!(
            self.0,
            Row,
            "select r.number, p.number, r.name, r.kind, r.config, r.rule_order, r.is_active, r.created_at, r.updated_at
             from policy_rules r join policies p on p.id = r.policy_id
             where r.policy_id = $1 order by r.rule_order, r.number",
            policy,
        )?;
        Ok(rows.into_iter().map(read).collect())
    }

    /// How many rules the policies of an organization have, and how many characters of configuration. Deleted ones do not count.
    pub(crate) async fn totals(&mut self, organization: OrganizationId) -> Result<(i64, i64)> {
        fetch_one!(
            self.0,
            (i64, i64),
            "select count(*), coalesce(sum(length(r.config)), 0) from policy_rules r join policies p on p.id = r.policy_id
             where p.organization_id = $1 and p.deleted_at is null",
            organization.0,
        )
    }

    /// The active rules of all active policies of an organization.
    pub(crate) async fn active(&mut self, organization: OrganizationId) -> Result<Vec<RuleRecord>> {
        let rows = fetch_all!(
            self.0,
            Row,
            "select r.number, p.number, r.name, r.kind, r.config, r.rule_order, r.is_active, r.created_at, r.updated_at
             from policy_rules r join policies p on p.id = r.policy_id
             where p.organization_id = $1 and p.deleted_at is null and p.is_active = $2 and r.is_active = $2
             order by r.rule_order, r.number",
            organization.0,
            true,
        )?;
        Ok(rows.into_iter().map(read).collect())
    }
}
