//! Types by their numbers in PostgreSQL's own catalog (`pg_type.dat`).

use arrow_schema::DataType;

macro_rules! types {
    ($($name:ident = $oid:literal, $array:literal, $size:literal, $text:literal, $shown:literal;)+) => {
        /// A type, with the type of its arrays, the bytes of a value (-1 where they differ), its name in the catalog, and in SQL.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum PgType {
            $($name,)+
        }

        impl PgType {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name),+];

            pub(crate) const fn oid(self) -> u32 {
                match self { $(Self::$name => $oid),+ }
            }

            pub(crate) const fn array(self) -> u32 {
                match self { $(Self::$name => $array),+ }
            }

            pub(crate) const fn size(self) -> i16 {
                match self { $(Self::$name => $size),+ }
            }

            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }

            pub(crate) const fn shown(self) -> &'static str {
                match self { $(Self::$name => $shown),+ }
            }
        }
    };
}

types! {
    Bool = 16, 1000, 1, "bool", "boolean";
    Bytea = 17, 1001, -1, "bytea", "bytea";
    Char = 18, 1002, 1, "char", "\"char\"";
    Name = 19, 1003, 64, "name", "name";
    Int8 = 20, 1016, 8, "int8", "bigint";
    Int2 = 21, 1005, 2, "int2", "smallint";
    Int4 = 23, 1007, 4, "int4", "integer";
    Text = 25, 1009, -1, "text", "text";
    Oid = 26, 1028, 4, "oid", "oid";
    Json = 114, 199, -1, "json", "json";
    Float4 = 700, 1021, 4, "float4", "real";
    Float8 = 701, 1022, 8, "float8", "double precision";
    Unknown = 705, 0, -2, "unknown", "unknown";
    Bpchar = 1042, 1014, -1, "bpchar", "character";
    Varchar = 1043, 1015, -1, "varchar", "character varying";
    Date = 1082, 1182, 4, "date", "date";
    Time = 1083, 1183, 8, "time", "time without time zone";
    Timestamp = 1114, 1115, 8, "timestamp", "timestamp without time zone";
    Timestamptz = 1184, 1185, 8, "timestamptz", "timestamp with time zone";
    Interval = 1186, 1187, 16, "interval", "interval";
    Numeric = 1700, 1231, -1, "numeric", "numeric";
    Regclass = 2205, 2210, 4, "regclass", "regclass";
    Uuid = 2950, 2951, 16, "uuid", "uuid";
    Jsonb = 3802, 3807, -1, "jsonb", "jsonb";
}

impl PgType {
    /// The type of that number.
    pub(crate) fn of_oid(oid: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.oid() == oid)
    }

    /// The type of that name, as it is written in SQL or in the catalog.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        Self::ALL.iter().copied().find(|kind| kind.name() == name || kind.shown() == name)
    }

    /// What a value of an Arrow type is sent as. What PostgreSQL has no type for is text, and what has parts is JSON.
    pub(crate) fn of(kind: &DataType) -> Self {
        match kind {
            DataType::Boolean => Self::Bool,
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => Self::Int2,
            DataType::Int32 | DataType::UInt16 => Self::Int4,
            DataType::Int64 | DataType::UInt32 => Self::Int8,
            DataType::UInt64
            | DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..) => Self::Numeric,
            DataType::Float16 | DataType::Float32 => Self::Float4,
            DataType::Float64 => Self::Float8,
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => Self::Bytea,
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Time32(_) | DataType::Time64(_) => Self::Time,
            DataType::Timestamp(_, None) => Self::Timestamp,
            DataType::Timestamp(_, Some(_)) => Self::Timestamptz,
            DataType::Interval(_) | DataType::Duration(_) => Self::Interval,
            DataType::Dictionary(_, values) => Self::of(values),
            kind if kind.is_nested() => Self::Json,
            _ => Self::Text,
        }
    }

    /// What a column of a data source is shown as, by its type in words of SQL.
    pub(crate) fn of_words(words: &str) -> Self {
        let words = words.to_lowercase();
        let first = words.split(['(', ' ']).next().unwrap_or_default();
        match first {
            "boolean" | "bool" => Self::Bool,
            "smallint" | "int2" | "tinyint" => Self::Int2,
            "integer" | "int" | "int4" | "mediumint" | "serial" => Self::Int4,
            "bigint" | "int8" | "bigserial" => Self::Int8,
            "real" | "float4" => Self::Float4,
            "double" | "float" | "float8" => Self::Float8,
            "numeric" | "decimal" | "number" | "money" => Self::Numeric,
            "date" => Self::Date,
            "time" => Self::Time,
            "timestamp" | "datetime" | "datetime2" if words.contains("with time zone") => Self::Timestamptz,
            "timestamp" | "datetime" | "datetime2" => Self::Timestamp,
            "timestamptz" => Self::Timestamptz,
            "interval" => Self::Interval,
            "bytea" | "blob" | "binary" | "varbinary" => Self::Bytea,
            "uuid" => Self::Uuid,
            "json" => Self::Json,
            "jsonb" => Self::Jsonb,
            _ => Self::Text,
        }
    }

    /// Whether it is the type in which decimals of any scale are read: that of its column says none.
    pub(crate) const fn is_open(kind: &DataType) -> bool {
        matches!(kind, DataType::Decimal256(76, 38))
    }

    /// The modifier of a type that says its digits; -1 for all others.
    pub(crate) fn modifier(kind: &DataType) -> i32 {
        match kind {
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale)
            | DataType::Decimal256(precision, scale)
                if *scale >= 0 && !Self::is_open(kind) =>
            {
                ((i32::from(*precision) << 16) | i32::from(*scale)) + 4
            }
            DataType::Dictionary(_, values) => Self::modifier(values),
            _ => -1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_found_by_number_and_by_name() {
        for kind in PgType::ALL {
            assert_eq!(PgType::of_oid(kind.oid()), Some(*kind));
            assert_eq!(PgType::of_name(kind.name()), Some(*kind));
        }
        assert_eq!(PgType::of_words("timestamp with time zone"), PgType::Timestamptz);
        assert_eq!(PgType::of_words("DECIMAL(10,2)"), PgType::Numeric);
        assert_eq!(PgType::modifier(&DataType::Decimal128(10, 2)), 655_366);
        assert_eq!(PgType::modifier(&DataType::Decimal256(76, 38)), -1);
    }
}
