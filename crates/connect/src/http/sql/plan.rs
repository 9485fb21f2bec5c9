//! The columns of a relation of a database that is asked over HTTP: how each is selected as text, what type it has here, and which
//! comparisons the database decides as the engine would.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::values::decode;
use crate::error::{SourceError, quoted};
use crate::filter::{Filter, Literal};
use crate::rows::{Batch, Unfit};

/// How the text of a value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    Int,
    Float,
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
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
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
}

/// Which comparisons the database decides with the same outcome as the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    Nothing,
    NullOnly,
    /// Equality and order of values of the column's kind.
    All,
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
            if unfit == Unfit::Null && !matches!(plan.kind, Kind::Int | Kind::Text | Kind::Boolean) {
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
            .map_err(|error| SourceError::query("No such columns.").with_detail(error))?;
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

    /// Whether the database decides a filter as it would be decided here.
    pub(super) fn evaluates(&self, filter: &Filter) -> bool {
        let mut exact = true;
        filter.leaves(&mut |name, ordered, values| {
            exact &= self.columns.get(name).is_some_and(|column| match column.compare {
                Compare::Nothing => false,
                Compare::NullOnly => values.is_empty(),
                Compare::All => values.iter().all(|value| takes(column.kind, ordered, value)),
            });
        });
        exact
    }
}

/// Whether a column of a kind is compared with such a value.
fn takes(kind: Kind, ordered: bool, literal: &Literal) -> bool {
    match (kind, literal) {
        (Kind::Boolean, Literal::Boolean(_)) => !ordered,
        (Kind::Int, Literal::Int(_)) | (Kind::Text, Literal::Utf8(_)) => true,
        (Kind::Hex | Kind::Base64, Literal::Binary(_)) => true,
        (Kind::Decimal { scale, .. }, Literal::Decimal { scale: other, .. }) => {
            *other >= 0 && *other <= scale.max(0)
        }
        (Kind::Date, Literal::Date(days)) => DATES.contains(days),
        (Kind::Timestamp | Kind::Instant | Kind::Microseconds, Literal::Timestamp(moment)) => {
            i32::try_from(moment.div_euclid(86_400_000_000)).is_ok_and(|days| DATES.contains(&days))
        }
        _ => false,
    }
}

/// Days from 0001-01-01 and to 9999-12-31, which every database knows.
const DATES: std::ops::RangeInclusive<i32> = -719_162..=2_932_896;

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
