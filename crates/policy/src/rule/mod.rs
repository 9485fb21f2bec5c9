//! Rules of policies: read from the contract's `rule_config`, and checked.

mod config;
mod masking;

use serde_json::{Map, Value as Json};

use crate::relation::{Names, Naming};
use crate::{Condition, Relation, RuleError, TimeWindow};
use config::{Config, LONGEST_NAME, field, require, require_of};

pub use masking::MaskRule;

/// The contract's `PolicyTypeEnum`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicyType {
    /// Rows.
    RowLevelSecurity,
    /// Values.
    DataMasking,
    /// How much.
    QueryLimit,
    /// Whether at all.
    AccessControl,
}

impl PolicyType {
    /// All of them, in the order of the dashboard.
    pub const ALL: [Self; 4] =
        [Self::RowLevelSecurity, Self::DataMasking, Self::QueryLimit, Self::AccessControl];

    /// As the contract writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RowLevelSecurity => "row_level_security",
            Self::DataMasking => "data_masking",
            Self::QueryLimit => "query_limit",
            Self::AccessControl => "access_control",
        }
    }

    /// The type of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether policies of this type have such rules.
    pub const fn has(self, rule: RuleType) -> bool {
        matches!(
            (self, rule),
            (Self::RowLevelSecurity, RuleType::FilterRows)
                | (Self::DataMasking, RuleType::MaskColumn)
                | (Self::QueryLimit, RuleType::LimitQuery)
                | (Self::AccessControl, RuleType::AllowAccess | RuleType::DenyAccess)
        )
    }
}

/// The contract's `rule_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleType {
    /// Only rows for which a condition is true.
    FilterRows,
    /// Something else instead of a column's values.
    MaskColumn,
    /// Not more than so much.
    LimitQuery,
    /// These may.
    AllowAccess,
    /// These may not.
    DenyAccess,
}

impl RuleType {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::FilterRows, Self::MaskColumn, Self::LimitQuery, Self::AllowAccess, Self::DenyAccess];

    /// As the contract writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FilterRows => "filter_rows",
            Self::MaskColumn => "mask_column",
            Self::LimitQuery => "limit_query",
            Self::AllowAccess => "allow_access",
            Self::DenyAccess => "deny_access",
        }
    }

    /// The type of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The fields of its configurations.
    const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::FilterRows => &["table", "schema", "column", "operator", "condition"],
            Self::MaskColumn => &[
                "table",
                "schema",
                "column",
                "masking_type",
                "mask_char",
                "visible_prefix",
                "visible_suffix",
                "replacement",
                "value",
                "unit",
                "round_to",
                "pattern",
            ],
            Self::LimitQuery => {
                &["max_rows", "max_execution_time_seconds", "max_queries_per_hour", "max_queries_per_day"]
            }
            Self::AllowAccess | Self::DenyAccess => {
                &["table", "schema", "columns", "operations", "time_window"]
            }
        }
    }

    /// What it does, to be read behind "this rule" and before "nothing".
    pub const fn does(self) -> &'static str {
        match self {
            Self::FilterRows | Self::MaskColumn => "hides",
            Self::LimitQuery => "limits",
            Self::AllowAccess => "allows",
            Self::DenyAccess => "denies",
        }
    }
}

/// A rule that is active.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its number.
    pub id: i64,
    /// Lower first.
    pub order: i64,
    /// What it says.
    pub kind: RuleKind,
}

/// What a rule says.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleKind {
    /// Only rows for which a condition is true.
    Filter(FilterRule),
    /// Something else instead of a column's values.
    Mask(MaskRule),
    /// Not more than so much.
    Limit(LimitRule),
    /// These may.
    Allow(AccessRule),
    /// These may not.
    Deny(AccessRule),
    /// A rule that was stored and is not understood, and why: it denies what its policy is assigned to.
    Unreadable(String),
}

/// A row filter.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterRule {
    /// `table`, `schema.table`, or `*`.
    pub table: String,
    /// Its schema, if it is named apart.
    pub schema: Option<String>,
    /// Rows for which it is true are visible.
    pub condition: Condition,
    /// The column that the rule is about, if it names one.
    pub column: Option<String>,
}

/// Limits of queries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitRule {
    /// Rows of a result.
    pub max_rows: Option<u64>,
    /// Seconds of a query.
    pub max_execution_time_seconds: Option<u64>,
    /// Queries within an hour.
    pub max_queries_per_hour: Option<u64>,
    /// Queries within 24 hours.
    pub max_queries_per_day: Option<u64>,
}

/// Who may read what, when.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AccessRule {
    /// `table` or `schema.table`; all if absent.
    pub table: Option<String>,
    /// Its schema; all if absent.
    pub schema: Option<String>,
    /// These columns; all if empty.
    pub columns: Vec<String>,
    /// Whether it is about reading: it names `select`, or nothing.
    pub concerns_reading: bool,
    /// When; always if absent.
    pub window: Option<TimeWindow>,
}

/// Most columns of an access rule.
const MOST_COLUMNS: usize = 1_000;
const OPERATORS: [&str; 11] = [
    "equals",
    "not_equals",
    "in",
    "not_in",
    "greater_than",
    "less_than",
    "greater_or_equal",
    "less_or_equal",
    "like",
    "is_null",
    "is_not_null",
];

impl RuleKind {
    /// Reads a rule's configuration.
    ///
    /// # Errors
    /// Names the field.
    pub fn parse(kind: RuleType, config: &Map<String, Json>) -> Result<Self, RuleError> {
        // Not of what was stored: a rule that was taken with a field that means nothing goes on as it was.
        Config(config).only(kind.fields())?;
        let read = Self::stored(kind, config)?;
        match &read {
            Self::Mask(rule) => rule.check_pattern()?,
            Self::Filter(_) | Self::Limit(_) | Self::Allow(_) | Self::Deny(_) | Self::Unreadable(_) => {}
        }
        Ok(read)
    }

    /// Reads a configuration that was refused or taken before. A regular expression is not made until it is used.
    ///
    /// # Errors
    /// Names the field.
    pub fn stored(kind: RuleType, config: &Map<String, Json>) -> Result<Self, RuleError> {
        let config = Config(config);
        match kind {
            RuleType::FilterRows => FilterRule::parse(config).map(Self::Filter),
            RuleType::MaskColumn => MaskRule::parse(config).map(Self::Mask),
            RuleType::LimitQuery => LimitRule::parse(config).map(Self::Limit),
            RuleType::AllowAccess => AccessRule::parse(config).map(Self::Allow),
            RuleType::DenyAccess => AccessRule::parse(config).map(Self::Deny),
        }
    }

    /// Names of the attributes that it reads, without `current_user_`, each once.
    pub fn attributes(&self) -> Vec<&str> {
        match self {
            Self::Filter(rule) => rule.condition.attributes(),
            Self::Mask(_) | Self::Limit(_) | Self::Allow(_) | Self::Deny(_) | Self::Unreadable(_) => {
                Vec::new()
            }
        }
    }

    /// Texts in it that are written as attributes are, in quotes, each once.
    pub fn quoted_attributes(&self) -> Vec<&str> {
        match self {
            Self::Filter(rule) => rule.condition.quoted_attributes(),
            Self::Mask(_) | Self::Limit(_) | Self::Allow(_) | Self::Deny(_) | Self::Unreadable(_) => {
                Vec::new()
            }
        }
    }

    /// Schema and table that the rule is about; none of a table means all.
    pub fn place(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::Filter(rule) => (rule.schema.as_deref(), Some(&rule.table)),
            Self::Mask(rule) => (rule.schema.as_deref(), Some(&rule.table)),
            Self::Allow(rule) | Self::Deny(rule) => (rule.schema.as_deref(), rule.table.as_deref()),
            Self::Limit(_) | Self::Unreadable(_) => (None, None),
        }
    }

    /// Whether it is about this relation.
    pub fn concerns(&self, relation: &Relation) -> bool {
        let (schema, table) = self.place();
        // A table that is named with other capitals is not allowed by that, and not open because of it either.
        let naming = if matches!(self, Self::Allow(_)) { Naming::Alike } else { Naming::Broad };
        relation.is_at(schema, table, naming)
    }

    /// Checks it against a relation that it is about. What is right but does less than it says is told.
    ///
    /// # Errors
    /// Names the field, the column and the nearest column.
    pub fn check(&self, relation: &Relation) -> Result<Option<String>, RuleError> {
        match self {
            Self::Filter(rule) => rule.check(relation).map(|()| None),
            Self::Mask(rule) => rule.check(relation),
            Self::Allow(rule) => rule.check_exactly(relation).map(|()| None),
            Self::Deny(rule) => rule.check_columns(relation, false).map(|()| None),
            Self::Limit(_) | Self::Unreadable(_) => Ok(None),
        }
    }
}

impl FilterRule {
    fn parse(config: Config<'_>) -> Result<Self, RuleError> {
        let table = config.required_table()?;
        let column = config.name("column")?;
        let operator = config.text("operator", LONGEST_NAME)?;
        if let Some(operator) = &operator
            && !OPERATORS.contains(&operator.as_str())
        {
            return Err(RuleError::new(
                field("operator"),
                format!("must be one of {}", OPERATORS.join(", ")),
            ));
        }
        let text = config.text("condition", usize::MAX)?;
        let wrong = |error: crate::ConditionError| RuleError::new(field("condition"), error.to_string());
        // A condition is a whole one. A value alone is what the column is compared with.
        let condition = match (&text, &column, &operator) {
            (Some(text), None, _) | (Some(text), _, None) => Condition::parse(text).map_err(wrong)?,
            (Some(text), Some(column), Some(operator)) => match Condition::parse(text) {
                Ok(whole) if !whole.is_value() && whole.agrees(operator) => whole,
                Ok(whole) if !whole.is_value() => {
                    let message = "says something else than condition, which has an operator of its own";
                    return Err(RuleError::new(field("operator"), message));
                }
                whole => Condition::parse_comparison(column, operator, Some(text))
                    .map_err(|as_value| wrong(whole.err().unwrap_or(as_value)))?,
            },
            (None, Some(column), Some(operator)) => {
                Condition::parse_comparison(column, operator, None).map_err(wrong)?
            }
            (None, ..) => return Err(RuleError::new(field("condition"), "is required")),
        };
        Ok(Self { table, schema: config.name("schema")?, condition, column })
    }

    fn check(&self, relation: &Relation) -> Result<(), RuleError> {
        if let Some(column) = &self.column {
            require(relation, column, "rule_config.column")?;
        }
        self.condition.check(relation).map_err(|error| RuleError::new(field("condition"), error.to_string()))
    }
}

impl LimitRule {
    fn parse(config: Config<'_>) -> Result<Self, RuleError> {
        let rule = Self {
            max_rows: config.limit("max_rows", 1_000_000_000_000)?,
            max_execution_time_seconds: config.limit("max_execution_time_seconds", 86_400)?,
            max_queries_per_hour: config.limit("max_queries_per_hour", 1_000_000_000)?,
            max_queries_per_day: config.limit("max_queries_per_day", 1_000_000_000)?,
        };
        if rule == Self::default() {
            return Err(RuleError::new(
                "rule_config",
                "needs max_rows, max_execution_time_seconds, max_queries_per_hour or max_queries_per_day",
            ));
        }
        Ok(rule)
    }
}

impl AccessRule {
    fn parse(config: Config<'_>) -> Result<Self, RuleError> {
        config.only(RuleType::AllowAccess.fields())?;
        config.not_blank("table")?;
        config.not_blank("schema")?;
        let window = config.0.get("time_window").filter(|window| !window.is_null());
        let table = config.table()?;
        let columns = config.names("columns", MOST_COLUMNS)?;
        if !columns.is_empty() && table.as_deref().is_none_or(|table| table == "*") {
            return Err(RuleError::new(field("table"), "is required where columns are named"));
        }
        Ok(Self {
            table,
            schema: config.name("schema")?,
            columns,
            concerns_reading: config.concerns_reading()?,
            window: window.map(TimeWindow::parse).transpose()?,
        })
    }

    /// Whether it names a relation, capitals and all.
    pub(crate) fn names(&self, relation: &Relation) -> bool {
        relation.is_at(self.schema.as_deref(), self.table.as_deref(), Naming::Exact)
    }

    /// Whether everything that it allows is there, as it is named.
    fn check_exactly(&self, relation: &Relation) -> Result<(), RuleError> {
        if !self.names(relation) {
            let message =
                format!("must be written as {} is: what allows names exactly what it allows", relation.table);
            return Err(RuleError::new(field("table"), message));
        }
        self.check_columns(relation, true)
    }

    /// Whether the columns that it names are there.
    fn check_columns(&self, relation: &Relation, exactly: bool) -> Result<(), RuleError> {
        if self.columns.is_empty() {
            return Ok(());
        }
        let names = Names::of(relation);
        for named in &self.columns {
            let column = require_of(relation, &names, named, "rule_config.columns")?;
            if exactly && column.name != *named {
                let message = format!("{named} must be written as {} is", column.name);
                return Err(RuleError::new(field("columns"), message));
            }
        }
        Ok(())
    }

    /// Whether it is in force now.
    pub fn holds(&self, now_millis: i64) -> bool {
        self.concerns_reading && self.window.as_ref().is_none_or(|window| window.is_open(now_millis))
    }
}
