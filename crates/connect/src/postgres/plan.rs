//! How the columns of a relation are selected, read and compared.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, IntervalUnit, Schema, SchemaRef, TimeUnit};
use futures_util::{StreamExt, TryStreamExt};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::connect::Connector;
use super::decode::Decode;
use crate::error::SourceError;
use crate::filter::{Filter, Literal, decimal_text, to_sql};
use crate::registry::SourceType;
use crate::rows::Unfit;
use crate::source::{Order, Relation};

/// Digits of a decimal whose column has no precision: half before the point, half after.
const OPEN_DECIMAL: (u8, i8) = (76, 38);

/// Days from 0001-01-01 and to 9999-12-31: dates every server has.
const DATES: std::ops::RangeInclusive<i32> = -719_162..=2_932_896;

/// A relation whose columns are known.
pub(crate) struct Plan {
    pub(crate) schema: SchemaRef,
    columns: HashMap<String, PlannedColumn>,
}

/// One column.
#[derive(Clone, Debug)]
pub(crate) struct PlannedColumn {
    pub(crate) decode: Decode,
    /// What is selected.
    expression: String,
    compare: Compare,
    /// Whether all its values are read as they are: the server's order of them is that of what is read.
    faithful: bool,
}

/// What may be compared with it at the server, with the same outcome as here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    /// Only whether it is NULL.
    NullOnly,
    /// Not even that: some of its values are read as NULL.
    Nothing,
    Boolean,
    Int,
    UInt,
    Decimal,
    Bytes,
    Date,
    Timestamp,
    TimestampZoned,
    /// For equality, and for order in bytes where the flag is set.
    Text {
        order: bool,
    },
}

const COLUMNS: &str = "SELECT a.attname::text, CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE a.atttypid END::int8, \
    CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END::int4, \
    format_type(a.atttypid, a.atttypmod)::text, a.attnotnull, \
    coalesce((to_jsonb(c) ->> 'collisdeterministic')::bool, true) AND current_setting('server_encoding') = 'UTF8' \
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class r ON r.oid = a.attrelid \
    JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
    LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation \
    WHERE n.nspname = $1 AND r.relname = $2 AND r.relkind IN ('r', 'v', 'm', 'f', 'p') AND a.attnum > 0 \
    AND NOT a.attisdropped \
    AND (has_table_privilege(r.oid, 'SELECT') OR has_column_privilege(r.oid, a.attnum, 'SELECT')) ORDER BY a.attnum";

const REDSHIFT_COLUMNS: &str = "SELECT a.attname::text, a.atttypid::int8, a.atttypmod::int4, \
    format_type(a.atttypid, a.atttypmod)::text, a.attnotnull, false \
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class r ON r.oid = a.attrelid \
    JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace \
    WHERE n.nspname = $1 AND r.relname = $2 AND r.relkind IN ('r', 'v') AND a.attnum > 0 AND NOT a.attisdropped \
    ORDER BY a.attnum";

impl Plan {
    /// Looks the columns of a relation up.
    pub(crate) async fn look_up(
        connector: &Connector,
        client: &Client,
        relation: &Relation,
        unfit: Unfit,
    ) -> Result<Self, SourceError> {
        let query = if connector.kind == SourceType::Redshift { REDSHIFT_COLUMNS } else { COLUMNS };
        let schema = relation.schema.as_deref().unwrap_or("public");
        let types = [Type::TEXT, Type::TEXT];
        let rows = client
            .query_typed_raw(query, [schema, relation.table.as_str()].into_iter().zip(types))
            .await
            .map_err(|error| connector.error(&error))?;
        let mut rows = std::pin::pin!(rows.map_err(|error| connector.error(&error)));
        let mut fields = Vec::new();
        let mut columns = HashMap::new();
        while let Some(row) = rows.next().await {
            let row = row?;
            let found = (|| {
                Ok::<_, tokio_postgres::Error>(Found {
                    name: row.try_get(0)?,
                    oid: row.try_get(1)?,
                    modifier: row.try_get(2)?,
                    type_name: row.try_get(3)?,
                    not_null: row.try_get(4)?,
                    by_bytes: row.try_get(5)?,
                })
            })()
            .map_err(|error| connector.error(&error))?;
            let (kind, column) = found.planned(connector.kind, unfit);
            let metadata = HashMap::from([("native".to_owned(), found.type_name)]);
            fields.push(
                Field::new(&found.name, kind, !found.not_null || unfit == Unfit::Null)
                    .with_metadata(metadata),
            );
            columns.insert(found.name, column);
        }
        if fields.is_empty() {
            return Err(SourceError::no_relation(&relation.table));
        }
        Ok(Self { schema: Arc::new(Schema::new(fields)), columns })
    }

    /// How the columns of a projection are read.
    pub(crate) fn columns_of(&self, schema: &Schema) -> Vec<(String, PlannedColumn)> {
        let columns = schema.fields().iter().filter_map(|field| {
            let column = self.columns.get(field.name())?;
            Some((field.name().clone(), column.clone()))
        });
        columns.collect()
    }

    /// Whether the server decides a filter as it would be decided here.
    pub(crate) fn evaluates(&self, filter: &Filter) -> bool {
        let mut exact = true;
        filter.leaves(&mut |name, order, values| {
            let compare = self.columns.get(name).map_or(Compare::Nothing, |column| column.compare);
            exact &= compare != Compare::Nothing && values.iter().all(|value| compare.takes(value, order));
        });
        exact
    }

    /// Whether the server puts rows into this order as they would be here.
    pub(crate) fn orders(&self, order: &[Order]) -> bool {
        let known = |key: &Order| self.columns.get(&key.column);
        order
            .iter()
            .all(|key| known(key).is_some_and(|column| column.faithful && column.compare.is_ordered()))
    }

    /// The query that reads columns of a relation, and its parameters, all of them text. Rows without columns are counted.
    pub(crate) fn query(
        &self,
        relation: &Relation,
        columns: &[(String, PlannedColumn)],
        filters: &[Filter],
        order: &[Order],
        limit: Option<usize>,
    ) -> (String, Vec<String>) {
        let list: Vec<&str> = columns.iter().map(|(_, column)| column.expression.as_str()).collect();
        let counted = list.is_empty();
        let list = if counted { "1".to_owned() } else { list.join(", ") };
        let schema = relation.schema.as_deref().unwrap_or("public");
        let mut query = format!("SELECT {list} FROM {}.{}", identifier(schema), identifier(&relation.table));
        let mut parameters = Vec::new();
        let parts: Vec<String> =
            filters.iter().map(|filter| self.condition(filter, &mut parameters)).collect();
        if !parts.is_empty() {
            query.push_str(" WHERE ");
            query.push_str(&parts.join(" AND "));
        }
        if !order.is_empty() {
            let keys: Vec<String> =
                order.iter().map(|key| self.ordered(key, &relation.table, filters)).collect();
            query.push_str(" ORDER BY ");
            query.push_str(&keys.join(", "));
        }
        if let Some(limit) = limit {
            query.push_str(&format!(" LIMIT {limit}"));
        }
        if counted {
            query = format!("SELECT count(*) FROM ({query}) AS \"counted\"");
        }
        (query, parameters)
    }

    fn ordered(&self, key: &Order, table: &str, filters: &[Filter]) -> String {
        let Some(column) = self.columns.get(&key.column) else { return "NULL".to_owned() };
        let name = identifier(&key.column);
        let value = match column.compare {
            Compare::Text { .. } => format!("{} COLLATE \"C\"", column.expression),
            // A name alone would be one of what is selected.
            _ if column.expression == name => format!("{}.{name}", identifier(table)),
            _ => column.expression.clone(),
        };
        let direction = if key.descending { "DESC" } else { "ASC" };
        match key.nulls(&self.schema, filters) {
            None => format!("{value} {direction}"),
            Some(true) => format!("{value} {direction} NULLS FIRST"),
            Some(false) => format!("{value} {direction} NULLS LAST"),
        }
    }

    fn condition(&self, filter: &Filter, parameters: &mut Vec<String>) -> String {
        let column = |name: &str, order: bool| {
            let Some(column) = self.columns.get(name) else { return "NULL".to_owned() };
            match column.compare {
                Compare::Text { .. } if order => format!("{} COLLATE \"C\"", column.expression),
                _ => column.expression.clone(),
            }
        };
        to_sql(filter, &column, &mut |name, literal| {
            let compare = self.columns.get(name).map_or(Compare::Nothing, |column| column.compare);
            let (text, cast) = match literal {
                Literal::Boolean(value) => (value.to_string(), "::bool"),
                Literal::Int(value) => (value.to_string(), "::int8"),
                Literal::UInt(value) => (value.to_string(), "::int8"),
                Literal::Decimal { unscaled, scale } => (decimal_text(*unscaled, *scale), "::numeric"),
                Literal::Utf8(text) => (text.clone(), ""),
                Literal::Binary(bytes) => {
                    parameters.push(hex::encode(bytes));
                    return format!("decode(${}, 'hex')", parameters.len());
                }
                Literal::Date(days) => {
                    parameters.push(days.to_string());
                    return format!("(DATE '1970-01-01' + ${}::int4)", parameters.len());
                }
                Literal::Timestamp(moment) => {
                    let moment = jiff::Timestamp::from_microsecond(*moment).unwrap_or_default();
                    let zoned = compare == Compare::TimestampZoned;
                    let form = if zoned { "%Y-%m-%d %H:%M:%S.%6f+00" } else { "%Y-%m-%d %H:%M:%S.%6f" };
                    (moment.strftime(form).to_string(), if zoned { "::timestamptz" } else { "::timestamp" })
                }
            };
            parameters.push(text);
            format!("${}{cast}", parameters.len())
        })
    }
}

impl Compare {
    fn is_ordered(self) -> bool {
        !matches!(self, Self::Nothing | Self::NullOnly | Self::Text { order: false })
    }

    fn takes(self, literal: &Literal, order: bool) -> bool {
        match (self, literal) {
            (Self::Boolean, Literal::Boolean(_))
            | (Self::Int, Literal::Int(_))
            | (Self::Bytes, Literal::Binary(_)) => true,
            (Self::UInt, Literal::UInt(value)) => i64::try_from(*value).is_ok(),
            (Self::Decimal, Literal::Decimal { .. }) => true,
            (Self::Date, Literal::Date(days)) => DATES.contains(days),
            (Self::Timestamp | Self::TimestampZoned, Literal::Timestamp(moment)) => {
                i32::try_from(moment.div_euclid(86_400_000_000)).is_ok_and(|days| DATES.contains(&days))
            }
            // No text of PostgreSQL has a NUL.
            (Self::Text { order: ordered }, Literal::Utf8(text)) => {
                (ordered || !order) && !text.contains('\0')
            }
            _ => false,
        }
    }
}

/// A column as the catalogue has it.
struct Found {
    name: String,
    oid: i64,
    modifier: i32,
    type_name: String,
    not_null: bool,
    /// Whether equal means the same bytes, and the server's text is UTF-8.
    by_bytes: bool,
}

impl Found {
    fn planned(&self, kind: SourceType, unfit: Unfit) -> (DataType, PlannedColumn) {
        let plain = identifier(&self.name);
        let oid = u32::try_from(self.oid).unwrap_or_default();
        let known = Type::from_oid(oid);
        let microsecond = TimeUnit::Microsecond;
        let text = Compare::Text { order: kind == SourceType::Postgresql };
        let (data_type, decode, compare) = match known.as_ref() {
            Some(&Type::BOOL) => (DataType::Boolean, Decode::Boolean, Compare::Boolean),
            Some(&Type::INT2) => (DataType::Int16, Decode::Int2, Compare::Int),
            Some(&Type::INT4) => (DataType::Int32, Decode::Int4, Compare::Int),
            Some(&Type::INT8) => (DataType::Int64, Decode::Int8, Compare::Int),
            Some(&Type::OID) => (DataType::UInt32, Decode::Oid, Compare::UInt),
            // NaN and negative zero compare differently here.
            Some(&Type::FLOAT4) => (DataType::Float32, Decode::Float4, Compare::NullOnly),
            Some(&Type::FLOAT8) => (DataType::Float64, Decode::Float8, Compare::NullOnly),
            Some(&Type::NUMERIC) => self.numeric(unfit),
            Some(&Type::TEXT | &Type::VARCHAR) if kind == SourceType::Redshift => {
                (DataType::Utf8, Decode::Text, Compare::NullOnly)
            }
            Some(&Type::TEXT | &Type::VARCHAR) if self.by_bytes => (DataType::Utf8, Decode::Text, text),
            Some(&Type::TEXT | &Type::VARCHAR) => (DataType::Utf8, Decode::Text, Self::unread(unfit)),
            Some(&Type::BYTEA) => (DataType::Binary, Decode::Bytes, Compare::Bytes),
            Some(&Type::DATE) => (DataType::Date32, Decode::Date, Compare::Date),
            Some(&Type::TIME) => (DataType::Time64(microsecond), Decode::Time, Compare::NullOnly),
            Some(&Type::TIMESTAMP) => {
                (DataType::Timestamp(microsecond, None), Decode::Timestamp, Compare::Timestamp)
            }
            Some(&Type::TIMESTAMPTZ) => (
                DataType::Timestamp(microsecond, Some("UTC".into())),
                Decode::Timestamp,
                Compare::TimestampZoned,
            ),
            Some(&Type::INTERVAL) => {
                (DataType::Interval(IntervalUnit::MonthDayNano), Decode::Interval, Compare::NullOnly)
            }
            // Everything else by its own text: enums, UUID, JSON, XML, arrays, ranges, addresses, geometry, fixed-width
            // characters, composite types, and those of extensions.
            _ => {
                let compare = match (self.by_bytes, kind) {
                    (true, SourceType::Postgresql) => text,
                    (true, _) => Compare::NullOnly,
                    (false, _) => Self::unread(unfit),
                };
                let (decode, expression) = (Decode::Text, format!("{plain}::text"));
                return (DataType::Utf8, PlannedColumn { decode, expression, compare, faithful: true });
            }
        };
        let drops = matches!(compare, Compare::Date | Compare::Timestamp | Compare::TimestampZoned);
        let expression = if drops && unfit == Unfit::Null {
            format!("(CASE WHEN isfinite({plain}) THEN {plain} END)")
        } else {
            plain
        };
        // Elsewhere what cannot be read as it is becomes NULL on the way, so the server cannot tell what is NULL.
        let hidden = unfit == Unfit::Null && matches!(decode, Decode::Time | Decode::Interval);
        let compare = if hidden { Compare::Nothing } else { compare };
        // So does a moment after the last one that there is here.
        let faithful = unfit == Unfit::Refuse || decode != Decode::Timestamp;
        (data_type, PlannedColumn { decode, expression, compare, faithful })
    }

    /// What may be asked of text that is compared otherwise here, or may be no UTF-8, which is read as NULL then.
    fn unread(unfit: Unfit) -> Compare {
        if unfit == Unfit::Null { Compare::Nothing } else { Compare::NullOnly }
    }

    /// A decimal of the column's own precision and scale where Arrow has it.
    fn numeric(&self, unfit: Unfit) -> (DataType, Decode, Compare) {
        let compare = if unfit == Unfit::Null { Compare::Nothing } else { Compare::Decimal };
        let modifier = self.modifier - 4;
        let precision = u8::try_from(modifier >> 16 & 0xffff);
        // Eleven bits with a sign since PostgreSQL 15.
        let scale = i8::try_from(((modifier & 0x7ff) ^ 1024) - 1024);
        match (self.modifier >= 4, precision, scale) {
            (true, Ok(precision @ 1..=38), Ok(scale))
                if scale >= 0 && scale <= i8::try_from(precision).unwrap_or(0) =>
            {
                (DataType::Decimal128(precision, scale), Decode::Numeric128(scale), compare)
            }
            (true, Ok(precision @ 39..=76), Ok(scale))
                if scale >= 0 && scale <= i8::try_from(precision).unwrap_or(0) =>
            {
                (DataType::Decimal256(precision, scale), Decode::Numeric256(scale), compare)
            }
            _ => (
                DataType::Decimal256(OPEN_DECIMAL.0, OPEN_DECIMAL.1),
                Decode::Numeric256(OPEN_DECIMAL.1),
                compare,
            ),
        }
    }
}

/// A name in a query.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
