//! What policies say about one relation and one person.

use std::collections::BTreeMap;

use crate::{Attribute, ColumnType, Expr, Limits, Mask, TimeWindow};

/// A policy as it was when it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyRef {
    /// Its number.
    pub id: i64,
    /// Raised by each change of it.
    pub version: i64,
}

/// The answer. Order of application: decision, then the filter on raw values, then hidden columns and masks; limits hold for the query.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// Whether the relation may be read at all. If not, everything else is empty.
    pub decision: Decision,
    /// Rows for which this is true are visible; all if absent.
    pub filter: Option<Expr>,
    /// Masked columns by their exact names.
    pub masks: BTreeMap<String, MaskedBy>,
    /// Columns that do not exist for the person, by their exact names, and the policy that says so (none where no policy
    /// allows them). A filter may read them all the same.
    pub hidden: BTreeMap<String, Option<PolicyRef>>,
    /// Limits of the query.
    pub limits: Limits,
    /// Each rule that had a part in it, in order of evaluation.
    pub policies: Vec<Applied>,
    /// Attributes that were used, by their names without `current_user_`.
    pub attributes: BTreeMap<String, Attribute>,
}

impl Resolved {
    /// Nothing is limited.
    pub fn open() -> Self {
        Self {
            decision: Decision::Allowed,
            filter: None,
            masks: BTreeMap::new(),
            hidden: BTreeMap::new(),
            limits: Limits::default(),
            policies: Vec::new(),
            attributes: BTreeMap::new(),
        }
    }

    /// Whether the same rows, columns and masks are shown, whichever policies say so. Limits do not count.
    pub fn shows_as(&self, other: &Self) -> bool {
        let mut masks = self.masks.iter().zip(&other.masks);
        self.decision == other.decision
            && self.filter == other.filter
            && self.hidden.keys().eq(other.hidden.keys())
            && self.masks.len() == other.masks.len()
            && masks.all(|((column, mask), (name, by))| {
                column == name && mask.mask == by.mask && mask.kind == by.kind
            })
    }

    /// Whether the person sees all of the relation as it is. Limits do not count.
    pub fn is_whole(&self) -> bool {
        self.decision == Decision::Allowed
            && self.filter.is_none()
            && self.masks.is_empty()
            && self.hidden.is_empty()
    }
}

/// Whether a relation may be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allowed,
    /// No.
    Denied(Denial),
}

/// Why a relation may not be read. For records and administrators; the person learns only that it is so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The policy that says so; none where access needs a policy and there is none.
    pub policy: Option<PolicyRef>,
    /// Its rule.
    pub rule: Option<i64>,
    /// Why.
    pub reason: Reason,
}

/// Why a policy denies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A rule denies it.
    DenyRule,
    /// Rules allow it, and none of them now: when they do.
    NotAllowedNow(Vec<TimeWindow>),
    /// Rules allow a table that is written in other letters than this one.
    OtherLetters(String),
    /// Nobody may read unless a policy allows it, and none does.
    NoPolicyAllows,
    /// The person does not have this attribute.
    MissingAttribute(String),
    /// The person's attribute does not fit the type of the column it is compared with.
    UnfitAttribute(String, ColumnType),
    /// The condition does not fit the relation any more.
    Condition(String),
}

impl Reason {
    /// Its name in decision records.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::DenyRule => "deny_rule",
            Self::NotAllowedNow(_) | Self::OtherLetters(_) => "not_allowed_now",
            Self::NoPolicyAllows => "no_policy_allows",
            Self::MissingAttribute(_) => "missing_attribute",
            Self::UnfitAttribute(..) => "unfit_attribute",
            Self::Condition(_) => "condition_does_not_fit",
        }
    }

    /// What it is about: an attribute, what is wrong with a condition, or when it is allowed, with what the clocks show at a point in time,
    /// in milliseconds since 1970-01-01. For administrators.
    pub fn detail(&self, now_millis: i64) -> Option<String> {
        match self {
            Self::DenyRule | Self::NoPolicyAllows => None,
            Self::NotAllowedNow(windows) => {
                let told: Vec<String> = windows.iter().map(|window| window.told(now_millis)).collect();
                Some(format!("allowed {}", told.join(", or ")))
            }
            Self::OtherLetters(table) => Some(format!("allow_access writes {table} in other letters")),
            Self::MissingAttribute(about) | Self::UnfitAttribute(about, _) | Self::Condition(about) => {
                Some(about.clone())
            }
        }
    }
}

/// The mask of a column.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskedBy {
    /// How it is masked, in a way that keeps its type: [`Mask::Null`] where the rule's own way does not.
    pub mask: Mask,
    /// The type of the column, before and after.
    pub kind: ColumnType,
    /// Which policy says so.
    pub policy: PolicyRef,
    /// Its rule.
    pub rule: i64,
}

/// A rule that had a part in the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The policy.
    pub policy: PolicyRef,
    /// Its rule.
    pub rule: i64,
    /// What it did.
    pub effect: Effect,
}

/// What a rule did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It allows.
    Allowed,
    /// It denies the relation.
    Denied,
    /// It takes these columns away.
    Hid(Vec<String>),
    /// It is a part of the filter.
    Filtered,
    /// It masks this column.
    Masked(String),
    /// It limits the query.
    Limited,
}
