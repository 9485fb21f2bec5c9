//! Masks in rules.

use serde_json::Value as Json;

use super::config::{Config, LONGEST_NAME, LONGEST_TEXT, compiled, field, require};
use crate::condition::{Raw, literal};
use crate::mask::opaque;
use crate::{Column, ColumnType, DateUnit, Mask, Relation, RuleError, Value};

const REDACTED: &str = "[REDACTED]";

/// A mask of a column.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskRule {
    /// `table`, `schema.table`, or `*`.
    pub table: String,
    /// Its schema, if it is named apart.
    pub schema: Option<String>,
    /// The column.
    pub column: String,
    /// How.
    pub strategy: Strategy,
}

/// How a column is masked, before its type is known.
#[derive(Clone, Debug, PartialEq)]
pub enum Strategy {
    /// A mask that does not depend on the type.
    Fixed(Mask),
    /// A text that tells nothing.
    Opaque(String),
    /// A value, as JSON wrote it.
    Constant(Json),
    /// A step, as JSON wrote it.
    Rounding(String),
    /// A regular expression, and what replaces each match.
    Pattern {
        /// The expression.
        pattern: String,
        /// The replacement.
        replacement: String,
    },
}

impl MaskRule {
    pub(super) fn parse(config: Config<'_>) -> Result<Self, RuleError> {
        let column = config.required_name("column")?;
        if column == "*" {
            return Err(RuleError::new(field("column"), "must be one column"));
        }
        Ok(Self {
            table: config.required_table()?,
            schema: config.name("schema")?,
            column,
            strategy: Strategy::parse(config)?,
        })
    }

    pub(super) fn check(&self, relation: &Relation) -> Result<Option<String>, RuleError> {
        let column = require(relation, &self.column, "rule_config.column")?;
        let wanted_null = matches!(self.strategy, Strategy::Fixed(Mask::Null));
        let becomes_null = column.kind != ColumnType::Unknown && self.mask(column) == Mask::Null;
        Ok((becomes_null && !wanted_null).then(|| {
            format!(
                "this mask does not keep the type of column {} ({}), so that it shows NULL instead",
                column.name, column.kind
            )
        }))
    }

    /// Refuses an expression that cannot be run.
    pub(super) fn check_pattern(&self) -> Result<(), RuleError> {
        match &self.strategy {
            Strategy::Pattern { pattern, .. } => compiled(pattern).map(drop),
            _ => Ok(()),
        }
    }

    /// How strict its mask of a column is, as [`Mask::leniency`] has it, without making an expression's program.
    pub(crate) fn leniency(&self, column: &Column) -> u8 {
        match (&self.strategy, column.kind) {
            (Strategy::Pattern { .. }, ColumnType::Text) => Mask::REGEX_LENIENCY,
            _ => self.mask(column).leniency(),
        }
    }

    /// Whether it needs the organization's key.
    pub fn hashes(&self) -> bool {
        self.strategy == Strategy::Fixed(Mask::Hash)
    }

    /// The mask as it is for a column: [`Mask::Null`] where it would not keep the column's type.
    pub fn mask(&self, column: &Column) -> Mask {
        self.strategy.fit(column.kind)
    }
}

impl Strategy {
    fn parse(config: Config<'_>) -> Result<Self, RuleError> {
        let name = config.text("masking_type", LONGEST_NAME)?.unwrap_or_default();
        let mask_char = config.mask_char()?;
        Ok(match name.as_str() {
            "null" => Self::Fixed(Mask::Null),
            "full" => Self::Opaque(opaque(mask_char)),
            "redact" => {
                Self::Opaque(config.text("replacement", LONGEST_TEXT)?.unwrap_or_else(|| REDACTED.to_owned()))
            }
            "hash" => Self::Fixed(Mask::Hash),
            "partial" => Self::Fixed(Mask::Partial {
                mask_char,
                visible_prefix: config.shown("visible_prefix")?,
                visible_suffix: config.shown("visible_suffix")?,
            }),
            "email" => Self::Fixed(Mask::Email { mask_char }),
            "date_truncation" => {
                let unit = config.text("unit", LONGEST_NAME)?.unwrap_or_else(|| "year".to_owned());
                let known = DateUnit::from_name(&unit).ok_or_else(|| {
                    RuleError::new(
                        field("unit"),
                        "must be one of year, quarter, month, week, day, hour, minute",
                    )
                })?;
                Self::Fixed(Mask::DateTruncation(known))
            }
            "rounding" => Self::Rounding(config.step()?),
            "constant" => Self::Constant(config.constant()?),
            "regex" => Self::Pattern {
                pattern: config.pattern()?,
                replacement: config
                    .text("replacement", LONGEST_TEXT)?
                    .unwrap_or_else(|| mask_char.to_string()),
            },
            _ => {
                return Err(RuleError::new(
                    field("masking_type"),
                    "must be one of full, partial, hash, redact, null, email, date_truncation, rounding, constant, regex",
                ));
            }
        })
    }

    fn fit(&self, kind: ColumnType) -> Mask {
        let mask = match (self, kind) {
            (Self::Opaque(text), ColumnType::Text) => Some(Mask::Constant(Value::Text(text.clone()))),
            (Self::Constant(value), _) => constant(value, kind).map(Mask::Constant),
            (
                Self::Rounding(step),
                ColumnType::Int { .. }
                | ColumnType::UInt { .. }
                | ColumnType::Float { .. }
                | ColumnType::Decimal { .. },
            ) => literal(Raw::Number(step), kind, false).map(|step| Mask::Rounding { step }),
            (Self::Fixed(Mask::Hash), ColumnType::Text | ColumnType::Binary) => Some(Mask::Hash),
            (Self::Fixed(mask @ (Mask::Partial { .. } | Mask::Email { .. })), ColumnType::Text) => {
                Some(mask.clone())
            }
            (Self::Pattern { pattern, replacement }, ColumnType::Text) => compiled(pattern)
                .ok()
                .map(|pattern| Mask::Regex { pattern, replacement: replacement.clone() }),
            (Self::Fixed(mask @ Mask::DateTruncation(unit)), ColumnType::Date) if unit.cuts_days() => {
                Some(mask.clone())
            }
            (Self::Fixed(mask @ Mask::DateTruncation(_)), ColumnType::Timestamp { .. }) => Some(mask.clone()),
            _ => None,
        };
        mask.unwrap_or(Mask::Null)
    }
}

fn constant(value: &Json, kind: ColumnType) -> Option<Value> {
    match value {
        Json::String(text) => literal(Raw::Text(text), kind, false),
        Json::Number(number) => literal(Raw::Number(&number.to_string()), kind, false),
        Json::Bool(truth) => literal(Raw::Boolean(*truth), kind, false),
        _ => None,
    }
}
