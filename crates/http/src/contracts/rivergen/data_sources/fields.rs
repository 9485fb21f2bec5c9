//! How fields of data sources are read.

use std::fmt::Display;

use tidegate_catalog::sources::find::Sorting;
use tidegate_catalog::sources::source::{
    MAX_DESCRIPTION, MAX_METADATA, MAX_SECRET, MAX_TAG, MAX_TAGS, type_names,
};
use tidegate_domain::text::line;
use tidegate_domain::{Document, Secret};

use crate::wire::fields::{Check, Expected, Field, ObjectText};
use crate::wire::openapi::shapes::{LINE, Shape};

/// Longest connection string, in characters.
const MAX_STRING: usize = 8_192;

/// Shapes of texts of this part of the contract.
pub(in super::super) fn texts() -> Vec<Shape> {
    let word = |format, words| Shape { format, words, ..Shape::default() };
    vec![
        word("data-source-type", type_names()),
        word("sort-field", Sorting::names()),
        Shape {
            format: "tag",
            pattern: Some(LINE.to_owned()),
            max_length: Some(MAX_TAG),
            ..Shape::default()
        },
        Shape {
            format: "source-secret",
            pattern: Some("^[^\\u0000]*$".to_owned()),
            max_length: Some(MAX_SECRET),
            ..Shape::default()
        },
        Shape {
            format: "connection-string",
            pattern: Some("^[^\\u0000-\\u001f\\u007f-\\u009f]*$".to_owned()),
            max_length: Some(MAX_STRING),
            ..Shape::default()
        },
        word("source-status", vec!["active", "inactive", "testing", "failed", "maintenance"]),
        word("sort-order", vec!["asc", "desc"]),
    ]
}

/// A field of a change: nothing when it is left out, an inner nothing when it is `null`.
pub(in super::super) type Nullable<T> = Option<Option<T>>;

/// A field that may be `null`, which clears it.
pub(in super::super) fn nullable<T: Expected>(
    check: &mut Check,
    name: &'static str,
    field: Field<T>,
) -> Nullable<T> {
    match field {
        Field::Null => Some(None),
        field => check.optional(name, field).map(Some),
    }
}

/// A field that may be left out, but is not `null`.
pub(in super::super) fn present<T: Expected>(
    check: &mut Check,
    name: &'static str,
    field: Field<T>,
) -> Option<T> {
    match field {
        Field::Null => check.violated(name, "must not be null"),
        field => check.optional(name, field),
    }
}

/// A single line of text; a blank one clears the field as `null` does.
pub(in super::super) fn text(
    check: &mut Check,
    name: &'static str,
    field: Field<String>,
    max: usize,
) -> Nullable<String> {
    match nullable(check, name, field)? {
        Some(text) if !text.trim().is_empty() => check.parsed(name, line(&text, max)).map(Some),
        _ => Some(None),
    }
}

/// Text of several lines.
pub(in super::super) fn description(check: &mut Check, field: Field<String>) -> Nullable<String> {
    let name = "description";
    match nullable(check, name, field)? {
        Some(text) if text.contains('\0') => check.violated(name, "must not contain NUL characters"),
        Some(text) if text.chars().count() > MAX_DESCRIPTION => {
            check.violated(name, format!("must be at most {MAX_DESCRIPTION} characters"))
        }
        Some(text) if !text.trim().is_empty() => Some(Some(text)),
        _ => Some(None),
    }
}

/// A connection string.
pub(super) fn connection_string(check: &mut Check, field: Field<String>) -> Nullable<Secret> {
    let name = "connection_string";
    match nullable(check, name, field)? {
        Some(text) if text.chars().count() > MAX_STRING => {
            check.violated(name, format!("must be at most {MAX_STRING} characters"))
        }
        Some(text) if text.chars().any(char::is_control) => {
            check.violated(name, "must not contain control characters")
        }
        Some(text) if !text.trim().is_empty() => Some(Some(Secret::new(text.trim()))),
        _ => Some(None),
    }
}

/// A secret; an empty one is none.
pub(super) fn secret(check: &mut Check, name: &'static str, field: Field<String>) -> Nullable<Secret> {
    match nullable(check, name, field)? {
        Some(text) if text.chars().count() > MAX_SECRET => {
            check.violated(name, format!("must be at most {MAX_SECRET} characters"))
        }
        Some(text) if text.contains('\0') => check.violated(name, "must not contain NUL characters"),
        Some(text) => Some(Some(Secret::new(text)).filter(|secret| !secret.expose().is_empty())),
        None => Some(None),
    }
}

/// A whole number within bounds.
pub(in super::super) fn whole<T>(
    check: &mut Check,
    name: &'static str,
    sent: i64,
    min: T,
    max: T,
) -> Option<T>
where
    T: TryFrom<i64> + PartialOrd + Copy + Display,
{
    match T::try_from(sent) {
        Ok(number) if number >= min && number <= max => Some(number),
        _ => check.violated(name, format!("must be an integer from {min} to {max}")),
    }
}

/// A port, which may be `null`.
pub(super) fn port(check: &mut Check, name: &'static str, field: Field<i64>) -> Nullable<u16> {
    match nullable(check, name, field)? {
        Some(sent) => whole(check, name, sent, 1, u16::MAX).map(Some),
        None => Some(None),
    }
}

/// A number that may not be `null`.
pub(super) fn count(
    check: &mut Check,
    name: &'static str,
    field: Field<i64>,
    min: u32,
    max: u32,
) -> Option<u32> {
    let sent = present(check, name, field)?;
    whole(check, name, sent, min, max)
}

/// Tags, each once.
pub(in super::super) fn tags(check: &mut Check, field: Field<Vec<String>>) -> Option<Vec<String>> {
    let sent = present(check, "tags", field)?;
    if sent.len() > MAX_TAGS {
        return check.violated("tags", format!("must have at most {MAX_TAGS} values"));
    }
    let mut tags: Vec<String> = Vec::new();
    for (at, text) in sent.iter().enumerate() {
        let tag = check.parsed(format!("tags.{at}"), line(text, MAX_TAG))?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Some(tags)
}

/// A free document.
pub(in super::super) fn metadata(check: &mut Check, field: Field<ObjectText>) -> Option<Document> {
    let sent = present(check, "metadata", field)?;
    let document = check.parsed("metadata", Document::parse(sent.as_str()))?;
    if document.stored_bytes() > MAX_METADATA {
        return check.violated("metadata", format!("must be at most {} KiB", MAX_METADATA / 1024));
    }
    Some(document)
}
