//! What sources call their types.

use tidegate_policy::{Column, ColumnType, Relation, TimeUnit};

use crate::hooks::{KnownRelation, OPEN_DECIMAL};

/// A discovered relation with the types that its columns will have when they are read, as far as their names tell.
pub(crate) fn declared(known: &KnownRelation) -> Relation {
    relation(known, |native| if known.is_typed { kind(native) } else { ColumnType::Unknown })
}

/// The same where every column needs a type: what is not known is taken for what it is called, or for text.
pub(crate) fn supposed(known: &KnownRelation) -> Relation {
    relation(known, |native| match kind(native) {
        ColumnType::Unknown => ColumnType::Text,
        known => known,
    })
}

fn relation(known: &KnownRelation, kind: impl Fn(&str) -> ColumnType) -> Relation {
    Relation {
        source: known.source,
        schema: known.schema.clone(),
        table: known.table.clone(),
        columns: known.columns.iter().map(|(name, native)| Column::new(name, kind(native))).collect(),
    }
}

const MICROSECONDS: TimeUnit = TimeUnit::Microsecond;

/// The type of that name in SQL or in Arrow; unknown where the name says nothing for sure. What is unknown is checked when it is read.
fn kind(native: &str) -> ColumnType {
    let native = native.trim();
    // ClickHouse's, which is a moment; MySQL's `datetime` and BigQuery's `DATETIME` are none.
    if native.starts_with("DateTime") {
        return zoned(true);
    }
    let small = native.to_lowercase();
    let (base, arguments) = match small.split_once('(') {
        Some((base, rest)) => (base.trim(), rest.split(')').next().unwrap_or_default()),
        None => (small.as_str(), ""),
    };
    if native == OPEN_DECIMAL {
        return ColumnType::Other;
    }
    // PostgreSQL's arrays come as text.
    if small.ends_with("[]") {
        return ColumnType::Unknown;
    }
    if small.starts_with("array") || small.starts_with("list") {
        return ColumnType::List;
    }
    if small.ends_with("unsigned") || small.contains(" unsigned ") {
        return unsigned(base.split_whitespace().next().unwrap_or_default());
    }
    match base {
        "boolean" | "bool" => ColumnType::Boolean,
        "tinyint" | "int8_t" => ColumnType::Int { bits: 8 },
        "smallint" | "int2" | "smallserial" | "int16" => ColumnType::Int { bits: 16 },
        "int4" | "serial" | "mediumint" | "int32" => ColumnType::Int { bits: 32 },
        // Wide enough for all that are called so; the exact width is known when they are read.
        "integer" | "int" | "bigint" | "bigserial" | "int64" => ColumnType::Int { bits: 64 },
        "uint8" => ColumnType::UInt { bits: 8 },
        "uint16" => ColumnType::UInt { bits: 16 },
        "uint32" => ColumnType::UInt { bits: 32 },
        "uint64" => ColumnType::UInt { bits: 64 },
        "double" | "double precision" | "float8" | "float64" | "real" | "float" => {
            ColumnType::Float { bits: 64 }
        }
        "float4" | "float32" => ColumnType::Float { bits: 32 },
        "numeric" | "decimal" | "decimal128" | "decimal256" => decimal(arguments),
        "text" | "character varying" | "varchar" | "char" | "character" | "nvarchar" | "nchar" | "string"
        | "utf8" | "largeutf8" | "utf8view" | "longtext" | "mediumtext" | "tinytext" | "uuid" | "citext" => {
            ColumnType::Text
        }
        "date" | "date32" => ColumnType::Date,
        "bytea" | "blob" | "binary" | "varbinary" | "longblob" | "largebinary" => ColumnType::Binary,
        _ if small.starts_with("struct") || small.starts_with("row(") => ColumnType::Struct,
        _ if small.starts_with("timestamp") && small.ends_with("with time zone") => zoned(true),
        _ if small.starts_with("timestamp") && small.ends_with("without time zone") => zoned(false),
        "timestamptz" => zoned(true),
        "datetime" => zoned(false),
        "time without time zone" => ColumnType::Time,
        _ => ColumnType::Unknown,
    }
}

const fn zoned(zoned: bool) -> ColumnType {
    ColumnType::Timestamp { unit: MICROSECONDS, zoned }
}

fn unsigned(base: &str) -> ColumnType {
    match base {
        "tinyint" => ColumnType::UInt { bits: 8 },
        "smallint" => ColumnType::UInt { bits: 16 },
        "int" | "integer" | "mediumint" => ColumnType::UInt { bits: 32 },
        "bigint" => ColumnType::UInt { bits: 64 },
        _ => ColumnType::Unknown,
    }
}

/// Without digits it is of any scale, which is not known before it is read.
fn decimal(arguments: &str) -> ColumnType {
    let mut numbers = arguments.split(',').map(|number| number.trim().parse::<i8>());
    match (numbers.next(), numbers.next()) {
        (Some(Ok(precision)), scale) if (1..=76).contains(&precision) => match scale {
            Some(Ok(scale)) => ColumnType::Decimal { precision: precision.unsigned_abs(), scale },
            None => ColumnType::Decimal { precision: precision.unsigned_abs(), scale: 0 },
            Some(Err(_)) => ColumnType::Unknown,
        },
        _ => ColumnType::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_known_by_what_sources_call_them() {
        for (native, expected) in [
            ("character varying(255)", ColumnType::Text),
            ("integer", ColumnType::Int { bits: 64 }),
            ("date", ColumnType::Date),
            ("BIGINT", ColumnType::Int { bits: 64 }),
            ("int unsigned", ColumnType::UInt { bits: 32 }),
            ("bigint(20) unsigned", ColumnType::UInt { bits: 64 }),
            ("numeric(10,2)", ColumnType::Decimal { precision: 10, scale: 2 }),
            ("numeric(10)", ColumnType::Decimal { precision: 10, scale: 0 }),
            ("numeric", ColumnType::Unknown),
            (OPEN_DECIMAL, ColumnType::Other),
            ("timestamp(6) with time zone", zoned(true)),
            ("timestamp without time zone", zoned(false)),
            ("text[]", ColumnType::Unknown),
            ("Utf8", ColumnType::Text),
            ("Int64", ColumnType::Int { bits: 64 }),
            ("DateTime64(3, 'Europe/Berlin')", zoned(true)),
            ("DateTime", zoned(true)),
            ("DATETIME", zoned(false)),
            // A file's, a column's without a type in SQLite, and whatever comes later.
            ("", ColumnType::Unknown),
            ("timestamp", ColumnType::Unknown),
            ("geometry", ColumnType::Unknown),
        ] {
            assert_eq!(kind(native), expected, "{native}");
        }
    }
}
