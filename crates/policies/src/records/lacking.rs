//! What is right, and holds for nobody or denies everybody: told to whoever writes it, who meant something else as a rule.

use std::collections::BTreeSet;

use tidegate_domain::text::nearest;
use tidegate_kernel::Fault;
use tidegate_policy::{RESERVED, RuleKind};

use super::policy::{FullPolicy, NewPolicy, Targets};
use crate::PolicyTables;
use crate::governed::person::WHERE_ATTRIBUTES_COME_FROM;
use crate::work::Acting;

/// Groups of a policy that are looked for among the members.
const MOST_GROUPS: usize = 20;

/// Attributes that rules read, with the places of the rules. Those that everybody has are left out.
#[derive(Default)]
pub(super) struct ReadAttributes {
    /// Place of the rule, name of the attribute in small letters, what the rule is about.
    read: Vec<(usize, String, String)>,
}

impl ReadAttributes {
    /// Adds those of a rule.
    pub(super) fn note(&mut self, place: usize, rule: &RuleKind) {
        let about = match rule.place().1 {
            None | Some("*") => "every table".to_owned(),
            Some(table) => table.to_owned(),
        };
        for name in rule.attributes() {
            let name = name.to_lowercase();
            if !RESERVED.contains(&name.as_str()) {
                self.read.push((place, name, about.clone()));
            }
        }
    }
}

impl Acting<'_> {
    /// Which of the attributes nobody in the organization has: a missing attribute denies, so that the rule denies everybody. Nothing is
    /// told of organizations with too many members to look at them all.
    pub(super) async fn lacking(&mut self, attributes: &ReadAttributes) -> Result<Vec<String>, Fault> {
        if attributes.read.is_empty() {
            return Ok(Vec::new());
        }
        let organization = self.grant.organization();
        let wanted: BTreeSet<String> = attributes.read.iter().map(|(_, name, _)| name.clone()).collect();
        let held = self.app.attributes_held(&mut self.unit, organization, &wanted).await?;
        let Some(held) = held else { return Ok(Vec::new()) };
        let told = attributes.read.iter().filter(|(_, name, _)| !held.contains(name)).map(|(place, name, about)| {
            let known = held.iter().map(String::as_str).chain(RESERVED);
            let hint = nearest(name, known).map(|near| format!("; did you mean current_user_{near}?"));
            format!(
                "rules[{place}]: nobody in the organization has the attribute {name}: {about} is denied to everyone this policy is for{} \
                 {WHERE_ATTRIBUTES_COME_FROM}",
                hint.as_deref().unwrap_or(".")
            )
        });
        Ok(told.collect())
    }

    /// Groups that a policy is made for and nobody in the organization is in, of many the first that are named. Nothing is told of
    /// organizations with too many members to look at them all.
    pub(super) async fn empty_groups(&mut self, targets: &[Targets]) -> Result<Vec<String>, Fault> {
        let named = targets.iter().filter_map(|targets| targets.group.clone());
        let groups: BTreeSet<String> = named.take(MOST_GROUPS).collect();
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        let organization = self.grant.organization();
        let empty = self.app.groups_of_nobody(&mut self.unit, organization, groups).await?;
        let told = empty.into_iter().flatten().map(|group| {
            format!(
                "nobody in the organization is in the group \"{group}\": by it this policy holds for no one. Groups are the attribute groups, a \
                 list of names. {WHERE_ATTRIBUTES_COME_FROM}"
            )
        });
        Ok(told.collect())
    }

    /// What is told of a policy that was made with assignments and a workspace, which limits none of them. A client that sends the only
    /// workspace with everything means nothing by it, and what names the workspace, or a data source of it, is there already.
    pub(super) async fn unheeded_workspace(
        &mut self,
        number: i64,
        new: &NewPolicy,
    ) -> Result<Option<String>, Fault> {
        let Some(workspace) = new.workspace.filter(|_| !new.targets.is_empty()) else { return Ok(None) };
        let organization = self.grant.organization();
        if !self.unit.policies().has_other_workspace(organization, workspace).await? {
            return Ok(None);
        }
        let sources = self.app.sources.sources(&mut self.unit, organization).await?;
        let is_there = |targets: &Targets| {
            let mut of_it = sources.iter().filter(|source| source.workspace == workspace);
            targets.workspace == Some(workspace)
                || targets.data_source.is_some_and(|source| of_it.any(|known| known.number == source))
        };
        Ok((!new.targets.iter().all(is_there)).then(|| {
            format!(
                "workspace_id limits no assignment: this policy holds for what it is assigned to whatever the workspace. Where both have to \
                 match, make it without role_ids and the like, and assign it with POST /api/v1/policies/{number}/assignments, which takes both \
                 together: {{\"role_id\": 4, \"workspace_id\": {workspace}}}."
            )
        }))
    }
}

/// What is told of a policy that was made with people and places side by side, which looks as if both had to match.
pub(super) fn of_alternatives(number: i64, targets: &[Targets]) -> Option<String> {
    let only = |is: fn(&Targets) -> bool, is_not: fn(&Targets) -> bool| {
        targets.iter().any(|targets| is(targets) && !is_not(targets))
    };
    let are_both = only(Targets::names_people, Targets::names_places)
        && only(Targets::names_places, Targets::names_people);
    are_both.then(|| {
        format!(
            "each number and group is an assignment by itself: this policy holds for the people that it names on all data, and for \
             everybody where it names data sources or workspaces. Where both have to match, make it without them and assign it with POST \
             /api/v1/policies/{number}/assignments, which takes both together: {{\"role_id\": 4, \"data_source_id\": 7}}."
        )
    })
}

/// Texts of a rule that are written as an attribute is, in quotes: a row filter compares with them as they are, and mostly hides all rows.
pub(super) fn of_quotes(place: usize, rule: &RuleKind) -> Vec<String> {
    let told = |text: &str| {
        format!(
            "rules[{place}]: '{text}' is a text, because of its quotes; the attribute of that name is written without them."
        )
    };
    rule.quoted_attributes().into_iter().map(told).collect()
}

/// Adds, before what is told of its rules, that a policy does nothing at all.
pub(super) fn with_what_it_lacks(mut full: FullPolicy) -> FullPolicy {
    let mut told = Vec::new();
    let number = full.policy.number;
    if full.assignments.is_empty() && full.policy.workspace.is_none() {
        told.push(format!(
            "this policy is assigned to nobody and has no workspace_id: it holds for no one. Send role_ids, user_ids, groups, \
             data_source_ids, workspace_ids or a workspace_id when it is made, or assign it with POST /api/v1/policies/{number}/assignments."
        ));
    } else if !full.assignments.is_empty() && full.assignments.iter().all(|assignment| !assignment.is_active)
    {
        told.push(format!(
            "all assignments of this policy are inactive: it holds for no one. Assign it with POST /api/v1/policies/{number}/assignments."
        ));
    }
    if full.rules.is_empty() {
        told.push("this policy has no rules: it changes nothing. Send rules.".to_owned());
    }
    full.warnings.splice(0..0, told);
    full
}
