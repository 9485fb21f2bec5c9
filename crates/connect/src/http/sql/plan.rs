//! The columns of a relation of a database that is asked over HTTP: how each is selected as text, what type it has here, and which
//! comparisons the database decides as the engine would.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::values::decode;
use crate::error::{SourceError, quoted};
use crate::filter::{Filter, Literal, Operator};
use crate::rows::{Batch, Unfit};

/// How the text of a value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    Int,
    /// Whole numbers of so many bits.
    Signed(u8),
    Unsigned(u8),
    Float,
    /// Of 32 bits.
    Real,
    /// Up to 38 digits become Decimal128, up to 76 Decimal256.
    Decimal {
        precision: u8,
        scale: i8,
    },
    Text,
    /// Bytes as hexadecimal digits.
    Hex,
    /// Bytes in base64.
    Base64,
    /// `2024-01-31`
    Date,
    /// `12:30:00.123456`
    Time,
    /// `2024-01-31 12:30:00.123456`, with a blank or a `T`.
    Timestamp,
    /// The same in UTC, of a column with a zone.
    Instant,
    /// Microseconds since 1970-01-01 in UTC.
    Microseconds,
    /// No value of this type can be read. The column is refused by name.
    Unreadable,
}

impl Kind {
    fn data_type(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Signed(8) => DataType::Int8,
            Self::Signed(16) => DataType::Int16,
            Self::Signed(32) => DataType::Int32,
            Self::Int | Self::Signed(_) => DataType::Int64,
            Self::Unsigned(8) => DataType::UInt8,
            Self::Unsigned(16) => DataType::UInt16,
            Self::Unsigned(32) => DataType::UInt32,
            Self::Unsigned(_) => DataType::UInt64,
            Self::Float => DataType::Float64,
            Self::Real => DataType::Float32,
            Self::Decimal { precision, scale } if precision <= 38 => DataType::Decimal128(precision, scale),
            Self::Decimal { precision, scale } => DataType::Decimal256(precision, scale),
            Self::Text | Self::Unreadable => DataType::Utf8,
            Self::Hex | Self::Base64 => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Instant | Self::Microseconds => {
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
            }
        }
    }

    /// Whether every value that the database has of it has its place here.
    fn fits_always(self) -> bool {
        matches!(self, Self::Int | Self::Signed(_) | Self::Unsigned(_) | Self::Text | Self::Boolean)
    }
}

/// Which comparisons the database decides with the same outcome as the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    Nothing,
    NullOnly,
    /// Equality and order of values of the column's kind.
    All,
    /// The same with dates and moments from one day to another, in multiples of so many microseconds: others are no values of the
    /// column's type, and the database would round them.
    Within {
        first: i32,
        last: i32,
        unit: i64,
    },
}

impl Compare {
    /// Whether a column of a kind is compared with all of these values, for order or for equality alone. Of no value, it is asked for NULL.
    fn takes(self, kind: Kind, ordered: bool, values: &[&Literal]) -> bool {
        let taken = |value: &&Literal| takes(kind, ordered, value);
        match self {
            Self::Nothing => false,
            Self::NullOnly => values.is_empty(),
            Self::All => values.iter().all(taken),
            Self::Within { first, last, unit } => {
                values.iter().all(|value| taken(value) && is_within(value, first..=last, unit))
            }
        }
    }
}

/// A column as the database's catalog has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) schema: String,
    pub(crate) table: String,
    pub(crate) is_view: bool,
    pub(crate) rows: Option<i64>,
    pub(crate) table_comment: Option<String>,
    pub(crate) name: String,
    /// The type's name, such as `NUMBER` or `ARRAY<INT64>`.
    pub(crate) native: String,
    pub(crate) precision: Option<i64>,
    pub(crate) scale: Option<i64>,
    pub(crate) nullable: bool,
    pub(crate) comment: Option<String>,
    pub(crate) collation: Option<String>,
    pub(crate) is_key: bool,
}

impl Found {
    /// From a row of [`super::Warehouse::catalogs`], whose columns have this order.
    pub(super) fn of(cells: &[Option<String>]) -> Option<Self> {
        let text = |at: usize| cells.get(at).and_then(Option::as_deref).filter(|text| !text.is_empty());
        let number = |at: usize| text(at).and_then(|text| text.parse().ok());
        let owned = |at: usize| text(at).map(str::to_owned);
        Some(Self {
            schema: owned(0)?,
            table: owned(1)?,
            is_view: text(2) == Some("V"),
            rows: number(3).filter(|rows| *rows >= 0),
            table_comment: owned(4),
            name: owned(5)?,
            native: owned(6)?,
            precision: number(7),
            scale: number(8),
            nullable: !text(9).is_some_and(|answer| answer.starts_with(['N', 'n'])),
            comment: owned(10),
            collation: owned(11),
            is_key: text(12).is_some(),
        })
    }

    /// The type as discovery shows it.
    pub(super) fn type_name(&self) -> String {
        match (self.native.contains(['(', '<']), self.precision, self.scale) {
            (false, Some(precision), Some(scale)) if scale != 0 => {
                format!("{}({precision},{scale})", self.native)
            }
            (false, Some(precision), _) if precision != 0 => format!("{}({precision})", self.native),
            _ => self.native.clone(),
        }
    }
}

/// How a column is read.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    /// Its name in a query, quoted.
    pub(crate) identifier: String,
    /// The query's expression that gives its text.
    pub(crate) expression: String,
    pub(crate) kind: Kind,
    pub(crate) compare: Compare,
    /// Whether rows can be ordered by it.
    pub(crate) sortable: bool,
}

/// A relation whose columns are known.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) schema: SchemaRef,
    pub(crate) is_view: bool,
    pub(crate) columns: HashMap<String, Planned>,
    /// The identifiers of the columns that rows can be ordered by, in the relation's order.
    pub(crate) sortable: Vec<String>,
}

impl Plan {
    pub(super) fn of(found: &[Found], planned: impl Fn(&Found) -> Planned, unfit: Unfit) -> Option<Self> {
        let first = found.first()?;
        let mut fields = Vec::new();
        let mut columns = HashMap::new();
        let mut sortable = Vec::new();
        for column in found {
            let mut plan = planned(column);
            // A value that is read as NULL here is none there: what the database selects by it is something else.
            if unfit == Unfit::Null && !plan.kind.fits_always() {
                plan.compare = Compare::Nothing;
            }
            let metadata = HashMap::from([("native".to_owned(), column.type_name())]);
            let nullable = column.nullable || unfit == Unfit::Null;
            fields.push(Field::new(&column.name, plan.kind.data_type(), nullable).with_metadata(metadata));
            if plan.sortable {
                sortable.push(plan.identifier.clone());
            }
            columns.insert(column.name.clone(), plan);
        }
        Some(Self { schema: Arc::new(Schema::new(fields)), is_view: first.is_view, columns, sortable })
    }

    /// The columns of a projection, in its order.
    pub(super) fn project(&self, names: Option<&[String]>) -> Result<Projected, SourceError> {
        let indices = crate::files::project(&self.schema, names)?;
        let schema = self
            .schema
            .project(&indices)
            .map_err(|error| SourceError::changed("No such columns.").with_detail(error))?;
        let mut columns = Vec::with_capacity(indices.len());
        for field in schema.fields() {
            let planned = self.columns.get(field.name()).filter(|planned| planned.kind != Kind::Unreadable);
            let planned = planned.ok_or_else(|| {
                SourceError::query(format!(
                    "The column {} has a type that cannot be read; leave it out.",
                    quoted(field.name())
                ))
            })?;
            columns.push((field.name().clone(), planned.clone()));
        }
        Ok(Projected { schema: Arc::new(schema), columns })
    }

    /// A filter for a database whose lists say of NULL what SQL does not: columns that may be NULL are compared with each value.
    pub(super) fn with_lists<'f>(&self, filter: &'f Filter, know_null: bool) -> Cow<'f, Filter> {
        if know_null { Cow::Borrowed(filter) } else { Cow::Owned(self.without_lists(filter)) }
    }

    fn without_lists(&self, filter: &Filter) -> Filter {
        let each = |all: &[Filter]| all.iter().map(|filter| self.without_lists(filter)).collect();
        match filter {
            Filter::In { column, values, negated } if !values.is_empty() && self.may_be_null(column) => {
                let operator = if *negated { Operator::NotEq } else { Operator::Eq };
                let compared = values.iter().map(|value| Filter::Compare {
                    column: column.clone(),
                    operator,
                    value: value.clone(),
                });
                if *negated { Filter::And(compared.collect()) } else { Filter::Or(compared.collect()) }
            }
            Filter::And(all) => Filter::And(each(all)),
            Filter::Or(all) => Filter::Or(each(all)),
            Filter::Not(inner) => Filter::Not(Box::new(self.without_lists(inner))),
            other => other.clone(),
        }
    }

    fn may_be_null(&self, column: &str) -> bool {
        self.schema.field_with_name(column).is_ok_and(Field::is_nullable)
    }

    /// Whether the database decides a filter as it would be decided here.
    pub(super) fn evaluates(&self, filter: &Filter) -> bool {
        let mut exact = true;
        filter.leaves(&mut |name, ordered, values| {
            let column = self.columns.get(name);
            exact &= column.is_some_and(|column| column.compare.takes(column.kind, ordered, values));
        });
        exact
    }
}

/// Whether a column of a kind is compared with such a value.
fn takes(kind: Kind, ordered: bool, literal: &Literal) -> bool {
    match (kind, literal) {
        (Kind::Boolean, Literal::Boolean(_)) => !ordered,
        (Kind::Int | Kind::Signed(_), Literal::Int(_)) | (Kind::Unsigned(_), Literal::UInt(_)) => true,
        (Kind::Text, Literal::Utf8(_)) | (Kind::Hex | Kind::Base64, Literal::Binary(_)) => true,
        (Kind::Decimal { precision, scale }, Literal::Decimal { unscaled, scale: other }) => {
            // Shorter than the type's own by so many digits after the point, which are zeros.
            let zeros = usize::try_from(scale.max(0).saturating_sub(*other));
            let digits = unscaled.unsigned_abs().to_string().len();
            *other >= 0 && zeros.is_ok_and(|zeros| digits + zeros <= usize::from(precision))
        }
        (Kind::Date, Literal::Date(_))
        | (Kind::Timestamp | Kind::Instant | Kind::Microseconds, Literal::Timestamp(_)) => {
            is_within(literal, DATES, 1)
        }
        _ => false,
    }
}

/// Whether a date or a moment is of one of these days, and a multiple of so many microseconds. Other values are.
fn is_within(literal: &Literal, days: RangeInclusive<i32>, unit: i64) -> bool {
    match literal {
        Literal::Date(day) => days.contains(day),
        Literal::Timestamp(moment) => {
            moment.checked_rem(unit) == Some(0)
                && i32::try_from(moment.div_euclid(86_400_000_000)).is_ok_and(|day| days.contains(&day))
        }
        _ => true,
    }
}

/// Days from 0001-01-01 and to 9999-12-31, which every database knows.
pub(crate) const DATES: RangeInclusive<i32> = -719_162..=2_932_896;

/// Columns that are read.
#[derive(Clone, Debug)]
pub(super) struct Projected {
    pub(super) schema: SchemaRef,
    pub(super) columns: Vec<(String, Planned)>,
}

impl Projected {
    /// Appends a row of texts; true when the batch should be taken.
    pub(super) fn append(
        &self,
        batch: &mut Batch,
        cells: &[Option<String>],
        unfit: Unfit,
    ) -> Result<bool, SourceError> {
        if cells.len() < self.columns.len() {
            return Err(SourceError::query("The answer has fewer columns than were asked for."));
        }
        for (index, ((name, column), cell)) in self.columns.iter().zip(cells).enumerate() {
            decode(column.kind, name, cell.as_deref(), unfit, |cell| batch.append(index, cell))?;
        }
        Ok(batch.end_row())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_none_of_the_type_is_not_compared_there() {
        let days = Compare::Within { first: 0, last: 65_535, unit: 1 };
        let date = |day: i32| days.takes(Kind::Date, true, &[&Literal::Date(day)]);
        assert_eq!([-1, 0, 65_535, 65_536].map(date), [false, true, true, false]);
        let seconds = Compare::Within { first: 0, last: 49_709, unit: 1_000_000 };
        let moment = |at: i64| seconds.takes(Kind::Instant, true, &[&Literal::Timestamp(at)]);
        assert_eq!(
            [-1_000_000, 0, 1_500_000, 2_000_000, 49_710 * 86_400_000_000].map(moment),
            [false, true, false, true, false]
        );
        let null_is_asked_for = [days, Compare::All, Compare::NullOnly, Compare::Nothing]
            .map(|compare| compare.takes(Kind::Date, false, &[]));
        assert_eq!(null_is_asked_for, [true, true, true, false]);
        assert!(!days.takes(Kind::Date, false, &[&Literal::Int(1)]), "of another kind");
    }

    #[test]
    fn numbers_are_compared_with_numbers_that_their_type_holds() {
        let taken = |kind: Kind, literal: Literal| Compare::All.takes(kind, true, &[&literal]);
        assert!(
            taken(Kind::Signed(8), Literal::Int(300)) && taken(Kind::Unsigned(64), Literal::UInt(u64::MAX))
        );
        assert!(!taken(Kind::Unsigned(64), Literal::Int(1)) && !taken(Kind::Real, Literal::Int(1)));
        let kind = Kind::Decimal { precision: 5, scale: 2 };
        let decimal = |unscaled: i128, scale: i8| taken(kind, Literal::Decimal { unscaled, scale });
        assert!(decimal(99_999, 2) && decimal(-999, 0) && decimal(0, 2));
        assert!(!decimal(100_000, 2), "it has more digits");
        assert!(!decimal(1_000, 0), "with its zeros, it has more digits");
        assert!(!decimal(1, 3) && !decimal(1, -1));
    }
}
