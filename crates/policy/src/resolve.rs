//! From policies to an answer.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use crate::condition::{BindError, Binding, all};
use crate::relation::Names;
use crate::rule::{AccessRule, FilterRule, LimitRule, MaskRule, Rule, RuleKind};
use crate::{
    Applied, Attribute, Attributes, Decision, Denial, Effect, Expr, Limited, Limits, MaskedBy, Policy,
    PolicyRef, Reason, Relation, Resolved, Subject, TimeWindow, Value,
};

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// Who asks, and where.
    pub subject: &'r Subject,
    /// What is to be read, with all its columns.
    pub relation: &'r Relation,
    /// Milliseconds since 1970-01-01.
    pub now_millis: i64,
    /// Whether nobody may read unless a policy allows it.
    pub deny_by_default: bool,
}

/// What active policies say. The order in which they are given does not matter: they are evaluated by priority, highest first, then by
/// number; their rules by order, then by number.
///
/// Denials come first, then the row filters of all policies together (AND), then for each column the mask of the highest priority
/// (of equal ones the strictest, then that of the lowest policy). Whatever cannot be decided denies.
pub fn resolve(request: &Request<'_>, policies: &[Policy]) -> Resolved {
    let mut ordered: Vec<&Policy> =
        policies.iter().filter(|policy| policy.applies(request.subject, request.relation)).collect();
    ordered.sort_by_key(|policy| (Reverse(policy.priority), policy.id));
    let names = Names::of(request.relation);
    let mut answer = Answer::new(request, &names);
    for policy in ordered {
        let mut rules: Vec<&Rule> =
            policy.rules.iter().filter(|rule| rule.kind.concerns(request.relation)).collect();
        rules.sort_by_key(|rule| (rule.order, rule.id));
        for rule in rules {
            answer.take(
                At { policy: policy.reference(), priority: policy.priority, rule: rule.id },
                &rule.kind,
            );
        }
    }
    answer.finish()
}

/// Which mask of a column is taken, the smallest: a higher priority, then the stricter, then the lower policy, then the lower rule.
type Precedence = (Reverse<i64>, u8, i64, i64);

/// How large filters are. Engines go down into them: thousands of conjunctions end the stack of one.
#[derive(Clone, Copy, Default)]
struct Size {
    parts: usize,
    values: usize,
}

impl Size {
    /// Some three of each comparison.
    const MOST_PARTS: usize = 3_000;
    const MOST_VALUES: usize = 20_000;

    fn add(&mut self, expr: &Expr) {
        expr.visit(&mut |part| {
            self.parts += 1;
            if let Expr::In { list, .. } = part {
                self.values += list.len();
            }
        });
    }

    const fn is_too_much(self) -> bool {
        self.parts > Self::MOST_PARTS || self.values > Self::MOST_VALUES
    }
}

/// A rule and its policy.
#[derive(Clone, Copy)]
struct At {
    policy: PolicyRef,
    priority: i64,
    rule: i64,
}

impl At {
    fn denial(self, reason: Reason) -> Denial {
        Denial { policy: Some(self.policy), rule: Some(self.rule), reason }
    }

    const fn limited(self, value: u64) -> Limited {
        Limited { value, policy: self.policy, rule: self.rule }
    }
}

struct Answer<'r> {
    request: &'r Request<'r>,
    /// Columns by their names.
    names: &'r Names<'r>,
    denial: Option<Denial>,
    filters: Vec<Expr>,
    /// How large they are together.
    filtered: Size,
    /// Masks with what decides between them.
    masks: BTreeMap<String, (Precedence, MaskedBy)>,
    hidden: BTreeMap<String, Option<PolicyRef>>,
    limits: Limits,
    applied: Vec<Applied>,
    attributes: BTreeMap<String, Attribute>,
    allows: Allows<'r>,
}

/// What rules allow, if any does.
#[derive(Default)]
struct Allows<'r> {
    /// The first rule that allows something of the relation, in force or not.
    first: Option<(PolicyRef, i64)>,
    /// Whether one in force allows all columns.
    everything: bool,
    /// Columns that rules in force allow.
    columns: HashSet<String>,
    /// Whether any rule is in force.
    any: bool,
    /// When rules are in force that are not: some of many.
    closed: Vec<&'r TimeWindow>,
}

impl Allows<'_> {
    /// Times of rules that are told at most.
    const MOST_CLOSED: usize = 3;
}

impl<'r> Answer<'r> {
    fn new(request: &'r Request<'r>, names: &'r Names<'r>) -> Self {
        Self {
            request,
            names,
            denial: None,
            filters: Vec::new(),
            filtered: Size::default(),
            masks: BTreeMap::new(),
            hidden: BTreeMap::new(),
            limits: Limits::default(),
            applied: Vec::new(),
            attributes: BTreeMap::new(),
            allows: Allows::default(),
        }
    }

    fn relation(&self) -> &'r Relation {
        self.request.relation
    }

    fn take(&mut self, at: At, kind: &'r RuleKind) {
        match kind {
            RuleKind::Filter(rule) => self.filter(at, rule),
            RuleKind::Mask(rule) => self.mask(at, rule),
            RuleKind::Limit(rule) => self.limit(at, *rule),
            RuleKind::Allow(rule) => self.allow(at, rule),
            RuleKind::Deny(rule) => self.deny(at, rule),
            RuleKind::Unreadable(why) => self.denied(at, Reason::Condition(why.clone())),
        }
    }

    /// The first denial is the one that is told.
    fn denied(&mut self, at: At, reason: Reason) {
        self.applied(at, Effect::Denied);
        self.denial.get_or_insert(at.denial(reason));
    }

    fn applied(&mut self, at: At, effect: Effect) {
        self.applied.push(Applied { policy: at.policy, rule: at.rule, effect });
    }

    fn filter(&mut self, at: At, rule: &FilterRule) {
        let attributes: &Attributes = &self.request.subject.attributes;
        let mut binding = Binding::of(self.relation(), self.names, attributes);
        let bound = binding.bind(rule.condition.node());
        self.attributes.append(&mut binding.used);
        match bound {
            // Everything is visible, as to whom an alternative of the condition lets in.
            Ok(Expr::Literal(Value::Boolean(true))) => self.applied(at, Effect::Allowed),
            Ok(expr) => {
                self.filtered.add(&expr);
                if self.filtered.is_too_much() {
                    let message = "the row filters of all policies together are too large for one table";
                    return self.denied(at, Reason::Condition(message.to_owned()));
                }
                self.filters.push(expr);
                self.applied(at, Effect::Filtered);
            }
            Err(BindError::Missing(name)) => self.denied(at, Reason::MissingAttribute(name)),
            Err(BindError::Unfit(name, kind)) => self.denied(at, Reason::UnfitAttribute(name, kind)),
            Err(BindError::Condition(error)) => self.denied(at, Reason::Condition(error.to_string())),
        }
    }

    /// A restriction of a column that is not there denies its table: it may be there under another name. One of all tables is of those
    /// that have it.
    fn require_column(&mut self, at: At, table: Option<&str>, column: &str) {
        let relation = self.relation();
        let is_of_all = table.is_none_or(|table| table == "*");
        if !is_of_all && self.names.called(column).next().is_none() {
            let message = format!("{} has no column {column}", relation.table);
            self.denied(at, Reason::Condition(message));
        }
    }

    fn mask(&mut self, at: At, rule: &MaskRule) {
        self.require_column(at, Some(&rule.table), &rule.column);
        for column in self.names.called(&rule.column) {
            let own = (Reverse(at.priority), rule.leniency(column), at.policy.id, at.rule);
            if self.masks.get(&column.name).is_some_and(|(earlier, _)| *earlier <= own) {
                continue;
            }
            let mask = rule.mask(column);
            let masked = MaskedBy { mask, kind: column.kind, policy: at.policy, rule: at.rule };
            self.masks.insert(column.name.clone(), (own, masked));
        }
    }

    fn limit(&mut self, at: At, rule: LimitRule) {
        let limited = |value: Option<u64>| value.map(|value| at.limited(value));
        self.limits = self.limits.smallest(Limits {
            max_rows: limited(rule.max_rows),
            max_execution_time_seconds: limited(rule.max_execution_time_seconds),
            max_queries_per_hour: limited(rule.max_queries_per_hour),
            max_queries_per_day: limited(rule.max_queries_per_day),
        });
        self.applied(at, Effect::Limited);
    }

    fn allow(&mut self, at: At, rule: &'r AccessRule) {
        if !rule.concerns_reading {
            return;
        }
        self.allows.first.get_or_insert((at.policy, at.rule));
        let (now, is_named) = (self.request.now_millis, rule.names(self.relation()));
        if !rule.holds(now) || !is_named {
            let window = rule.window.as_ref().filter(|_| is_named);
            if let Some(window) = window
                && self.allows.closed.len() < Allows::MOST_CLOSED
            {
                self.allows.closed.push(window);
            }
            return;
        }
        self.allows.any = true;
        if rule.columns.is_empty() {
            self.allows.everything = true;
        }
        let exact = rule.columns.iter().filter(|named| self.names.exactly(named).is_some());
        self.allows.columns.extend(exact.cloned());
        self.applied(at, Effect::Allowed);
    }

    fn deny(&mut self, at: At, rule: &AccessRule) {
        if !rule.holds(self.request.now_millis) {
            return;
        }
        if rule.columns.is_empty() {
            return self.denied(at, Reason::DenyRule);
        }
        let mut names = Vec::new();
        for named in &rule.columns {
            self.require_column(at, rule.table.as_deref(), named);
            names.extend(self.names.called(named).map(|column| column.name.clone()));
        }
        for name in &names {
            self.hidden.entry(name.clone()).or_insert(Some(at.policy));
        }
        if !names.is_empty() {
            self.applied(at, Effect::Hid(names));
        }
    }

    /// Why none of the rules that allow something of the relation does now.
    fn not_allowed(&self) -> Reason {
        match self.allows.closed.as_slice() {
            [] => Reason::OtherLetters(self.relation().table.clone()),
            closed => Reason::NotAllowedNow(closed.iter().copied().cloned().collect()),
        }
    }

    /// What allow rules leave out.
    fn leave_out(&mut self) {
        let Some((policy, rule)) = self.allows.first else {
            if self.request.deny_by_default && self.denial.is_none() {
                self.denial = Some(Denial { policy: None, rule: None, reason: Reason::NoPolicyAllows });
            }
            return;
        };
        if !self.allows.any {
            if self.denial.is_none() {
                let reason = self.not_allowed();
                self.denial = Some(Denial { policy: Some(policy), rule: Some(rule), reason });
                self.applied.push(Applied { policy, rule, effect: Effect::Denied });
            }
        } else if !self.allows.everything {
            for column in &self.relation().columns {
                if !self.allows.columns.contains(&column.name) {
                    self.hidden.entry(column.name.clone()).or_insert(None);
                }
            }
        }
    }

    fn finish(mut self) -> Resolved {
        self.leave_out();
        if let Some(denial) = self.denial {
            return Resolved {
                decision: Decision::Denied(denial),
                policies: self.applied,
                attributes: self.attributes,
                ..Resolved::open()
            };
        }
        // Deny beats mask: a column that is not there has no mask.
        self.masks.retain(|name, _| !self.hidden.contains_key(name));
        let mut policies = self.applied;
        for (name, (_, masked)) in &self.masks {
            policies.push(Applied {
                policy: masked.policy,
                rule: masked.rule,
                effect: Effect::Masked(name.clone()),
            });
        }
        let filter = Some(all(self.filters)).filter(|filter| *filter != Expr::Literal(Value::Boolean(true)));
        Resolved {
            decision: Decision::Allowed,
            filter,
            masks: self.masks.into_iter().map(|(name, (_, masked))| (name, masked)).collect(),
            hidden: self.hidden,
            limits: self.limits,
            policies,
            attributes: self.attributes,
        }
    }
}
