//! Policies as they are looked at, and to whom they are assigned.

use crate::relation::same_name;
use crate::{Attribute, Attributes, PolicyRef, Relation, Rule};

/// A policy that is active.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Its number.
    pub id: i64,
    /// Raised by each change.
    pub version: i64,
    /// Higher first.
    pub priority: i64,
    /// The workspace in which it holds if it has no assignment.
    pub workspace: Option<i64>,
    /// All its assignments, inactive ones too: with one that is inactive it holds nowhere, and not in the whole workspace.
    pub assignments: Vec<Assignment>,
    /// Its rules.
    pub rules: Vec<Rule>,
}

/// To what a policy is assigned. All targets that are given must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// Whether it counts.
    pub is_active: bool,
    /// A data source.
    pub data_source: Option<i64>,
    /// A data set.
    pub dataset: Option<i64>,
    /// A saved query.
    pub query: Option<i64>,
    /// A role.
    pub role: Option<i64>,
    /// A person.
    pub user: Option<i64>,
    /// A workspace: that in which the query runs, or that of the data source.
    pub workspace: Option<i64>,
    /// A group, by its name among the person's `groups`.
    pub group: Option<String>,
}

/// Who asks, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The number of the account.
    pub user: Option<i64>,
    /// Numbers of the roles that the person has.
    pub roles: Vec<i64>,
    /// The workspace in which the query runs.
    pub workspace: Option<i64>,
    /// The workspace of the data source; none if it belongs to the organization.
    pub source_workspace: Option<i64>,
    /// Data sets that the query reads.
    pub datasets: Vec<i64>,
    /// The saved query that runs.
    pub query: Option<i64>,
    /// What rules read.
    pub attributes: Attributes,
}

impl Policy {
    /// Itself, as records name it.
    pub const fn reference(&self) -> PolicyRef {
        PolicyRef { id: self.id, version: self.version }
    }

    /// Whether it holds for a person and a relation.
    pub fn applies(&self, subject: &Subject, relation: &Relation) -> bool {
        if self.assignments.is_empty() {
            return self.workspace.is_some_and(|workspace| subject.is_in(workspace));
        }
        self.assignments.iter().any(|assignment| assignment.matches(subject, relation))
    }
}

impl Assignment {
    /// Whether it has a target. One without matches nothing.
    pub const fn has_target(&self) -> bool {
        self.data_source.is_some()
            || self.dataset.is_some()
            || self.query.is_some()
            || self.role.is_some()
            || self.user.is_some()
            || self.workspace.is_some()
            || self.group.is_some()
    }

    fn matches(&self, subject: &Subject, relation: &Relation) -> bool {
        self.is_active
            && self.has_target()
            && self.data_source.is_none_or(|source| source == relation.source)
            && self.dataset.is_none_or(|dataset| subject.datasets.contains(&dataset))
            && self.query.is_none_or(|query| subject.query == Some(query))
            && self.role.is_none_or(|role| subject.roles.contains(&role))
            && self.user.is_none_or(|user| subject.user == Some(user))
            && self.workspace.is_none_or(|workspace| subject.is_in(workspace))
            && self.group.as_deref().is_none_or(|group| subject.attributes.has_group(group))
    }
}

impl Subject {
    fn is_in(&self, workspace: i64) -> bool {
        self.workspace == Some(workspace) || self.source_workspace == Some(workspace)
    }
}

impl Attributes {
    /// Whether the group is among the person's `groups`; capitals do not count.
    pub fn has_group(&self, group: &str) -> bool {
        let is = |attribute: &Attribute| matches!(attribute, Attribute::Text(name) if same_name(name, group));
        match self.get("groups") {
            Some(Attribute::List(groups)) => groups.iter().any(is),
            Some(one) => is(one),
            None => false,
        }
    }
}
