//! Fields of `rule_config`.

use serde_json::{Map, Value as Json};

use crate::relation::{Names, like};
use crate::{Column, Relation, RuleError, number};

/// Longest name of a table or column.
pub(super) const LONGEST_NAME: usize = 512;
/// Longest part that is told of a name that there is not, in characters.
const LONGEST_TOLD: usize = 64;
/// Longest replacement and constant.
pub(super) const LONGEST_TEXT: usize = 1_000;
/// Largest program of a regular expression, in bytes.
const LARGEST_PROGRAM: usize = 256 * 1024;
const OPERATIONS: [&str; 4] = ["select", "insert", "update", "delete"];

/// What a field is called in errors.
pub(super) fn field(name: &str) -> String {
    format!("rule_config.{name}")
}

/// What is said of a value that is no number as it must be.
fn not_the_number(name: &str, value: &Json, must: &str) -> RuleError {
    let quotes = if value.is_string() { "; numbers have no quotes" } else { "" };
    RuleError::new(field(name), format!("{must}{quotes}"))
}

/// The column of that name, or the one that may be meant.
pub(super) fn require<'r>(
    relation: &'r Relation,
    column: &str,
    field: &str,
) -> Result<&'r Column, RuleError> {
    relation.column(column).ok_or_else(|| lacking(relation, column, field))
}

/// The same where many columns are looked for.
pub(super) fn require_of<'r>(
    relation: &'r Relation,
    names: &Names<'r>,
    column: &str,
    field: &str,
) -> Result<&'r Column, RuleError> {
    names.column(column).ok_or_else(|| lacking(relation, column, field))
}

fn lacking(relation: &Relation, column: &str, field: &str) -> RuleError {
    let hint = relation.nearest(column).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    RuleError::new(field, format!("{} has no column {column}{hint}", relation.table))
}

/// A field that there is not. Its name is the client's: of a long one the beginning is told.
fn unknown(name: &str, known: &[&str]) -> RuleError {
    let hint = like(name, known.iter().copied()).map(|near| format!("; did you mean {near}? Known"));
    let told: String = name.chars().filter(|c| !c.is_control()).take(LONGEST_TOLD).collect();
    let listed = known.join(", ");
    RuleError::new(
        field(&told),
        format!("is not known here{}: {listed}", hint.as_deref().unwrap_or("; known")),
    )
}

/// A configuration being read.
#[derive(Clone, Copy)]
pub(super) struct Config<'c>(pub(super) &'c Map<String, Json>);

impl Config<'_> {
    /// A text that is not empty; none where there is none.
    pub(super) fn text(self, name: &str, longest: usize) -> Result<Option<String>, RuleError> {
        match self.0.get(name) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::String(text)) if text.trim().is_empty() => Ok(None),
            Some(Json::String(text)) if text.contains('\0') => {
                Err(RuleError::new(field(name), "must not contain NUL"))
            }
            Some(Json::String(text)) if longest != usize::MAX && text.chars().count() > longest => {
                Err(RuleError::new(field(name), format!("has at most {longest} characters")))
            }
            Some(Json::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(RuleError::new(field(name), "must be a text")),
        }
    }

    pub(super) fn name(self, name: &str) -> Result<Option<String>, RuleError> {
        Ok(self.text(name, LONGEST_NAME)?.map(|text| text.trim().to_owned()))
    }

    /// Refuses what a rule does not have: a slip of the pen, or a restriction of a later version, must not widen what it allows.
    pub(super) fn only(self, known: &[&str]) -> Result<(), RuleError> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(unknown(name, known)),
            None => Ok(()),
        }
    }

    /// A table, `schema.table`, or `*`; none where there is none.
    pub(super) fn table(self) -> Result<Option<String>, RuleError> {
        let table = self.name("table")?;
        if table.as_deref().is_some_and(|table| table.ends_with(".*")) {
            let message = "must be a table, schema.table or *; all tables of a schema are * with schema";
            return Err(RuleError::new(field("table"), message));
        }
        Ok(table)
    }

    pub(super) fn required_table(self) -> Result<String, RuleError> {
        self.table()?.ok_or_else(|| RuleError::new(field("table"), "is required"))
    }

    /// Refuses a text that is there and says nothing, where nothing means everything.
    pub(super) fn not_blank(self, name: &str) -> Result<(), RuleError> {
        match self.0.get(name) {
            Some(Json::String(text)) if text.trim().is_empty() => {
                Err(RuleError::new(field(name), "must not be blank"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn required_name(self, name: &str) -> Result<String, RuleError> {
        self.name(name)?.ok_or_else(|| RuleError::new(field(name), "is required"))
    }

    pub(super) fn names(self, name: &str, most: usize) -> Result<Vec<String>, RuleError> {
        let wrong = || {
            let is_text = self.0.get(name).is_some_and(Json::is_string);
            let how = if is_text { r#": ["one", "another"]"# } else { "" };
            RuleError::new(field(name), format!("must be a list of 1 to {most} names{how}"))
        };
        let listed = match self.0.get(name) {
            None | Some(Json::Null) => return Ok(Vec::new()),
            Some(listed) => {
                listed.as_array().filter(|all| !all.is_empty() && all.len() <= most).ok_or_else(wrong)?
            }
        };
        let named = |item: &Json| {
            let text = item.as_str()?.trim();
            (!text.is_empty() && text.chars().count() <= LONGEST_NAME).then(|| text.to_owned())
        };
        listed.iter().map(named).collect::<Option<_>>().ok_or_else(wrong)
    }

    pub(super) fn concerns_reading(self) -> Result<bool, RuleError> {
        let operations = self.names("operations", OPERATIONS.len())?;
        let small: Vec<String> = operations.iter().map(|operation| operation.to_lowercase()).collect();
        if small.iter().any(|operation| !OPERATIONS.contains(&operation.as_str())) {
            return Err(RuleError::new(field("operations"), format!("must be of {}", OPERATIONS.join(", "))));
        }
        Ok(small.is_empty() || small.iter().any(|operation| operation == "select"))
    }

    pub(super) fn mask_char(self) -> Result<char, RuleError> {
        let text = self.text("mask_char", LONGEST_NAME)?.unwrap_or_else(|| "*".to_owned());
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some(only), None) if !only.is_control() => Ok(only),
            _ => Err(RuleError::new(field("mask_char"), "must be one character")),
        }
    }

    pub(super) fn shown(self, name: &str) -> Result<u32, RuleError> {
        match self.0.get(name) {
            None | Some(Json::Null) => Ok(0),
            Some(value) => value
                .as_u64()
                .and_then(|number| u32::try_from(number).ok())
                .filter(|number| *number <= 1_000)
                .ok_or_else(|| not_the_number(name, value, "must be 0 to 1000")),
        }
    }

    pub(super) fn limit(self, name: &str, most: u64) -> Result<Option<u64>, RuleError> {
        match self.0.get(name) {
            None | Some(Json::Null) => Ok(None),
            Some(value) => value
                .as_u64()
                .filter(|number| (1..=most).contains(number))
                .map(Some)
                .ok_or_else(|| not_the_number(name, value, &format!("must be 1 to {most}"))),
        }
    }

    pub(super) fn step(self) -> Result<String, RuleError> {
        let value = self.0.get("round_to").unwrap_or(&Json::Null);
        let number = value.as_number().map(ToString::to_string);
        number
            .filter(|text| number::decimal(text).is_some_and(|step| step.unscaled > 0))
            .ok_or_else(|| not_the_number("round_to", value, "must be a number above zero"))
    }

    pub(super) fn constant(self) -> Result<Json, RuleError> {
        match self.0.get("value").or_else(|| self.0.get("replacement")) {
            Some(Json::String(text)) if text.chars().count() > LONGEST_TEXT => {
                Err(RuleError::new(field("value"), format!("has at most {LONGEST_TEXT} characters")))
            }
            Some(value @ (Json::String(_) | Json::Number(_) | Json::Bool(_))) => Ok(value.clone()),
            _ => Err(RuleError::new(field("value"), "must be a text, a number, true or false")),
        }
    }

    pub(super) fn pattern(self) -> Result<String, RuleError> {
        self.text("pattern", LONGEST_TEXT)?.ok_or_else(|| RuleError::new(field("pattern"), "is required"))
    }
}

/// The program of a regular expression. It is large beside its text, so that none is kept for rules that nobody reads by.
pub(super) fn compiled(pattern: &str) -> Result<regex::Regex, RuleError> {
    regex::RegexBuilder::new(pattern)
        .size_limit(LARGEST_PROGRAM)
        .dfa_size_limit(LARGEST_PROGRAM)
        .build()
        .map_err(|_| {
            RuleError::new(field("pattern"), "is not a regular expression, or one that is too large")
        })
}
