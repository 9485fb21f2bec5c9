//! How fields of policies are read.

use tidegate_domain::text::line;
use tidegate_domain::{Document, Timestamp};
use tidegate_policies::records::policy::{MAX_GROUP, MAX_METADATA, MAX_NAME, MAX_PRIORITY};
use tidegate_policy::{PolicyType, RuleType};

use super::super::data_sources::present;
use super::super::platform::PlatformError;
use crate::wire::fields::{Check, Expected, Field, ObjectText};
use crate::wire::openapi::shapes::Shape;

/// Shapes of texts of this part of the contract.
pub(in super::super) fn texts() -> Vec<Shape> {
    let word = |format, words| Shape { format, words, ..Shape::default() };
    vec![
        word("policy-type", PolicyType::ALL.map(PolicyType::as_str).to_vec()),
        word("rule-type", RuleType::ALL.map(RuleType::as_str).to_vec()),
    ]
}

/// A type of policies.
pub(super) fn policy_type(check: &mut Check, name: &str) -> Option<PolicyType> {
    let words = PolicyType::ALL.map(PolicyType::as_str).join(", ");
    PolicyType::from_name(name).or_else(|| check.violated("type", format!("must be one of {words}")))
}

/// A name, of a policy or a rule.
pub(super) fn named(check: &mut Check, field: &str, text: &str) -> Option<String> {
    check.parsed(field.to_owned(), line(text, MAX_NAME))
}

/// A priority or an order.
pub(super) fn rank(check: &mut Check, name: &'static str, sent: i64) -> Option<i64> {
    if (0..=MAX_PRIORITY).contains(&sent) {
        Some(sent)
    } else {
        check.violated(name, format!("must be an integer from 0 to {MAX_PRIORITY}"))
    }
}

/// A document where something is made: `null` is none.
pub(super) fn document(check: &mut Check, name: &str, text: &str) -> Option<Document> {
    let document = check.parsed(name.to_owned(), Document::parse(text))?;
    if document.stored_bytes() > MAX_METADATA {
        return check.violated(name.to_owned(), format!("must be at most {} KiB", MAX_METADATA / 1_024));
    }
    Some(document)
}

/// Metadata where something is made.
pub(super) fn new_metadata(check: &mut Check, field: Field<ObjectText>) -> Option<Document> {
    let sent = check.optional("metadata", field)?;
    document(check, "metadata", sent.as_str())
}

/// A group's name.
pub(super) fn group(check: &mut Check, field: &str, text: &str) -> Option<String> {
    check.parsed(field.to_owned(), line(text, MAX_GROUP))
}

/// Numbers, each once; none where they are left out.
pub(super) fn numbers(check: &mut Check, name: &'static str, field: Field<Vec<i64>>) -> Vec<i64> {
    let mut numbers = check.optional(name, field).unwrap_or_default();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// A field that may be left out where something is changed, but is not `null`.
pub(super) fn changed<T: Expected>(check: &mut Check, name: &'static str, field: Field<T>) -> Option<T> {
    present(check, name, field)
}

/// A number of a query.
pub(super) fn queried(check: &mut Check, name: &'static str, sent: Option<String>) -> Option<i64> {
    sent.and_then(|text| check.parsed(name, text.parse::<i64>().map_err(|_| "must be an integer")))
}

/// An instant of a query. A `+` of an offset that was sent as it is has become a blank.
pub(super) fn instant(name: &str, sent: Option<String>) -> Result<Option<Timestamp>, PlatformError> {
    let Some(text) = sent else { return Ok(None) };
    let instant = Timestamp::from_rfc3339(&text).or_else(|| Timestamp::from_rfc3339(&text.replace(' ', "+")));
    match instant {
        Some(instant) => Ok(Some(instant)),
        None => Err(PlatformError::bad_request(format!(
            "{name} must be a date of ISO 8601 with Z or an offset, such as 2024-01-31T00:00:00Z"
        ))),
    }
}
