//! Types in people's words: a closed list.

use datafusion::arrow::datatypes::DataType;

/// What a value of a type is, as `x is …` says it.
pub(super) fn noun(kind: &DataType) -> &'static str {
    named(&kind.to_string()).unwrap_or("something else")
}

/// The same without its article, as forms of functions have it.
pub(super) fn word(kind: &DataType) -> &'static str {
    let noun = noun(kind);
    noun.strip_prefix("a ").or_else(|| noun.strip_prefix("an ")).unwrap_or(noun)
}

/// The same by how the engine writes a type. None where the list has it not.
pub(super) fn named(written: &str) -> Option<&'static str> {
    const NAMES: &[(&str, &str)] = &[
        ("Utf8", "text"),
        ("LargeUtf8", "text"),
        ("Int", "a whole number"),
        ("UInt", "a whole number"),
        ("Float", "a number"),
        ("Decimal", "a number"),
        ("Boolean", "a boolean"),
        ("Date", "a date"),
        ("Timestamp", "a timestamp"),
        ("Time", "a time of day"),
        ("Duration", "an interval"),
        ("List", "a list"),
        ("LargeList", "a list"),
        ("FixedSizeList", "a list"),
        ("Struct", "a structure"),
        ("Map", "a map"),
        ("Binary", "bytes"),
        ("LargeBinary", "bytes"),
        ("FixedSizeBinary", "bytes"),
        ("Null", "NULL"),
    ];
    // Before `Int`, with which it begins.
    if written.starts_with("Interval") {
        return Some("an interval");
    }
    // `Dictionary(Int32, Utf8)` is its values.
    if let Some(inner) = written.strip_prefix("Dictionary(") {
        return named(inner.split_once(", ")?.1);
    }
    NAMES.iter().find(|(name, _)| written.starts_with(name)).map(|(_, noun)| *noun)
}

/// What a text is not that cannot be made a value of a type.
pub(super) fn wanted(kind: &DataType) -> Option<&'static str> {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => None,
        kind if kind.is_integer() => Some("a whole number"),
        kind if kind.is_numeric() => Some("a number"),
        kind => named(&kind.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{IntervalUnit, TimeUnit};

    use super::*;

    #[test]
    fn types_have_words() {
        for (kind, told) in [
            (DataType::Utf8View, "text"),
            (DataType::Int32, "a whole number"),
            (DataType::UInt8, "a whole number"),
            (DataType::Interval(IntervalUnit::DayTime), "an interval"),
            (DataType::Decimal128(10, 2), "a number"),
            (DataType::Timestamp(TimeUnit::Nanosecond, None), "a timestamp"),
            (DataType::Time64(TimeUnit::Nanosecond), "a time of day"),
            (DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)), "text"),
        ] {
            assert_eq!(noun(&kind), told, "{kind}");
        }
        assert_eq!((word(&DataType::Int64), word(&DataType::Utf8)), ("whole number", "text"));
        assert_eq!(word(&DataType::Interval(IntervalUnit::DayTime)), "interval");
        assert_eq!(named("SECRET"), None);
    }
}
