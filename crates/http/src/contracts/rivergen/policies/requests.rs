//! Request bodies, and how they are read.

use serde::Deserialize;
use tidegate_policies::records::assign::NewAssignment;
use tidegate_policies::records::change::PolicyChange;
use tidegate_policies::records::create::expanded;
use tidegate_policies::records::policy::MAX_ASSIGNMENTS;
use tidegate_policies::records::{NewPolicy, Targets};
use utoipa::ToSchema;

use super::super::data_sources::{description, metadata};
use super::fields::{changed, group, named, new_metadata, numbers, policy_type, rank};
use super::responses::PolicyData;
use super::rules::{RuleBody, rules};
use crate::wire::fields::{Check, Field, ObjectText, Violations};
use crate::wire::unknown::{Exact, Object, fields_of};

/// A name among the `groups` of people.
#[derive(ToSchema)]
#[schema(value_type = String, format = "single-line", max_length = 255, example = "finance")]
struct GroupName(#[allow(dead_code, reason = "it is described, and read as text")] String);

/// POST /api/v1/policies.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreatePolicyBody {
    /// The number of its workspace. Without assignments the policy holds there.
    #[schema(value_type = Option<i64>)]
    #[serde(default)]
    workspace_id: Field<i64>,
    /// For people.
    #[schema(required = true, value_type = String, format = "single-line", max_length = 255)]
    #[serde(default)]
    name: Field<String>,
    /// For people.
    #[schema(value_type = Option<String>, format = "text-without-nul", max_length = 2000)]
    #[serde(default)]
    description: Field<String>,
    /// What its rules are about.
    #[schema(required = true, value_type = String, format = "policy-type", example = "row_level_security")]
    #[serde(default, rename = "type")]
    kind: Field<String>,
    /// `true` when left out.
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    is_active: Field<bool>,
    /// Higher first; 0 when left out.
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 1000000000)]
    #[serde(default)]
    priority: Field<i64>,
    /// Up to 100.
    #[schema(value_type = Option<Vec<RuleBody>>, max_items = 100)]
    #[serde(default)]
    rules: Field<Vec<Object<RuleBody>>>,
    /// What else the client wants to keep: an object of up to 16 KiB.
    #[schema(value_type = Option<Object>)]
    #[serde(default)]
    metadata: Field<ObjectText>,
    /// One assignment for each.
    #[schema(value_type = Option<Vec<i64>>)]
    #[serde(default)]
    data_source_ids: Field<Vec<i64>>,
    /// One assignment for each: 1 owner, 2 admin, 3 developer, 4 viewer, 5 frontend.
    #[schema(value_type = Option<Vec<i64>>)]
    #[serde(default)]
    role_ids: Field<Vec<i64>>,
    /// One assignment for each.
    #[schema(value_type = Option<Vec<i64>>)]
    #[serde(default)]
    user_ids: Field<Vec<i64>>,
    /// One assignment for each.
    #[schema(value_type = Option<Vec<i64>>)]
    #[serde(default)]
    dataset_ids: Field<Vec<i64>>,
    /// One assignment for each.
    #[schema(value_type = Option<Vec<i64>>)]
    #[serde(default)]
    query_ids: Field<Vec<i64>>,
    /// One assignment for each.
    #[schema(value_type = Option<Vec<i64>>)]
    #[serde(default)]
    workspace_ids: Field<Vec<i64>>,
    /// One assignment for each: names among the `groups` of people.
    #[schema(value_type = Option<Vec<GroupName>>)]
    #[serde(default)]
    groups: Field<Vec<String>>,
}

impl Exact for CreatePolicyBody {}

/// What is left out, or `null`, is the default where something is made.
fn defaulted<T>(field: Field<T>) -> Field<T> {
    match field {
        Field::Null => Field::Missing,
        field => field,
    }
}

impl CreatePolicyBody {
    pub(super) fn read(mut self) -> Result<NewPolicy, Violations> {
        let mut check = Check::new();
        let targets = self.targets(&mut check);
        let workspace = check.optional("workspace_id", self.workspace_id);
        let name = check.required("name", self.name).and_then(|name| named(&mut check, "name", &name));
        let description = description(&mut check, defaulted(self.description)).flatten();
        let kind = check.required("type", self.kind).and_then(|name| policy_type(&mut check, &name));
        let is_active = check.optional("is_active", self.is_active).unwrap_or(true);
        let priority = check.optional("priority", self.priority).unwrap_or(0);
        let priority = rank(&mut check, "priority", priority);
        let sent = check.optional("rules", self.rules).unwrap_or_default();
        let rules = rules(&mut check, sent);
        let metadata = new_metadata(&mut check, self.metadata).unwrap_or_default();
        let read = name.zip(kind).zip(priority).zip(rules);
        check.finish(read.map(|(((name, kind), priority), rules)| NewPolicy {
            workspace,
            name,
            description,
            kind,
            is_active,
            priority,
            rules,
            metadata,
            targets,
        }))
    }

    fn targets(&mut self, check: &mut Check) -> Vec<Targets> {
        use std::mem::take;
        let mut of = |name, field: &mut Field<Vec<i64>>| numbers(check, name, take(field));
        let sources = of("data_source_ids", &mut self.data_source_ids);
        let roles = of("role_ids", &mut self.role_ids);
        let users = of("user_ids", &mut self.user_ids);
        let datasets = of("dataset_ids", &mut self.dataset_ids);
        let queries = of("query_ids", &mut self.query_ids);
        let workspaces = of("workspace_ids", &mut self.workspace_ids);
        let mut targets = expanded(&sources, |targets, number| targets.data_source = Some(number));
        targets.extend(expanded(&roles, |targets, number| targets.role = Some(number)));
        targets.extend(expanded(&users, |targets, number| targets.user = Some(number)));
        targets.extend(expanded(&datasets, |targets, number| targets.dataset = Some(number)));
        targets.extend(expanded(&queries, |targets, number| targets.query = Some(number)));
        targets.extend(expanded(&workspaces, |targets, number| targets.workspace = Some(number)));
        let groups = check.optional("groups", take(&mut self.groups)).unwrap_or_default();
        for (place, text) in groups.iter().enumerate() {
            let name = group(check, &format!("groups.{place}"), text);
            targets.extend(name.map(|name| Targets { group: Some(name), ..Targets::default() }));
        }
        if targets.len() > MAX_ASSIGNMENTS {
            check.violated::<()>("user_ids", format!("all together must be at most {MAX_ASSIGNMENTS}"));
        }
        targets
    }
}

/// PATCH /api/v1/policies/{policy_id}. What is left out stays; `null` clears the description.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangePolicyBody {
    /// For people.
    #[schema(value_type = String, format = "single-line", max_length = 255)]
    #[serde(default)]
    name: Field<String>,
    /// For people.
    #[schema(value_type = Option<String>, format = "text-without-nul", max_length = 2000)]
    #[serde(default)]
    description: Field<String>,
    /// Whether it holds.
    #[schema(value_type = bool)]
    #[serde(default)]
    is_active: Field<bool>,
    /// Higher first.
    #[schema(value_type = i64, minimum = 0, maximum = 1000000000)]
    #[serde(default)]
    priority: Field<i64>,
    /// What else the client wants to keep: an object of up to 16 KiB.
    #[schema(value_type = Object)]
    #[serde(default)]
    metadata: Field<ObjectText>,
    /// They take the place of all its rules.
    #[schema(value_type = Vec<RuleBody>, max_items = 100)]
    #[serde(default)]
    rules: Field<Vec<Object<RuleBody>>>,
}

impl Exact for ChangePolicyBody {
    fn sent_back() -> Vec<String> {
        fields_of::<PolicyData>()
    }

    fn place_of(name: &str) -> Option<String> {
        let target = name.strip_suffix('s').unwrap_or(name);
        let may_be_target = target == "group" || target.ends_with("_id");
        let is_target = may_be_target && fields_of::<AssignPolicyBody>().iter().any(|field| field == target);
        is_target.then(|| {
            format!(
                "POST /api/v1/policies/{{policy_id}}/assignments assigns a policy that is made, with {target}"
            )
        })
    }
}

impl ChangePolicyBody {
    pub(super) fn read(self) -> Result<PolicyChange, Violations> {
        let mut check = Check::new();
        let name = changed(&mut check, "name", self.name);
        let name = name.and_then(|name| named(&mut check, "name", &name));
        let description = description(&mut check, self.description);
        let is_active = changed(&mut check, "is_active", self.is_active);
        let priority = changed(&mut check, "priority", self.priority);
        let priority = priority.and_then(|sent| rank(&mut check, "priority", sent));
        let metadata = metadata(&mut check, self.metadata);
        let sent = changed(&mut check, "rules", self.rules);
        let rules = sent.and_then(|sent| rules(&mut check, sent));
        check.finish(Some(PolicyChange { name, description, is_active, priority, metadata, rules }))
    }
}

/// POST /api/v1/policies/{policy_id}/assignments. All targets that are named must match.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AssignPolicyBody {
    /// A data source.
    #[schema(value_type = Option<i64>)]
    #[serde(default)]
    data_source_id: Field<i64>,
    /// A data set.
    #[schema(value_type = Option<i64>)]
    #[serde(default)]
    dataset_id: Field<i64>,
    /// A saved query.
    #[schema(value_type = Option<i64>)]
    #[serde(default)]
    query_id: Field<i64>,
    /// 1 owner, 2 admin, 3 developer, 4 viewer, 5 frontend.
    #[schema(value_type = Option<i64>)]
    #[serde(default)]
    role_id: Field<i64>,
    /// A member.
    #[schema(value_type = Option<i64>)]
    #[serde(default)]
    user_id: Field<i64>,
    /// A workspace.
    #[schema(value_type = Option<i64>)]
    #[serde(default)]
    workspace_id: Field<i64>,
    /// A name among the `groups` of people.
    #[schema(value_type = Option<String>, format = "single-line", max_length = 255)]
    #[serde(default)]
    group: Field<String>,
    /// `true` when left out.
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    is_active: Field<bool>,
    /// What else the client wants to keep: an object of up to 16 KiB.
    #[schema(value_type = Option<Object>)]
    #[serde(default)]
    metadata: Field<ObjectText>,
}

impl Exact for AssignPolicyBody {}

impl AssignPolicyBody {
    pub(super) fn read(self) -> Result<NewAssignment, Violations> {
        let mut check = Check::new();
        let named = check.optional("group", self.group);
        let targets = Targets {
            data_source: check.optional("data_source_id", self.data_source_id),
            dataset: check.optional("dataset_id", self.dataset_id),
            query: check.optional("query_id", self.query_id),
            role: check.optional("role_id", self.role_id),
            user: check.optional("user_id", self.user_id),
            workspace: check.optional("workspace_id", self.workspace_id),
            group: named.and_then(|name| group(&mut check, "group", &name)),
        };
        let is_active = check.optional("is_active", self.is_active).unwrap_or(true);
        let metadata = new_metadata(&mut check, self.metadata).unwrap_or_default();
        check.finish(Some(NewAssignment { targets, is_active, metadata }))
    }
}
