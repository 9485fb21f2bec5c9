//! Fields the contract does not name, passed on to the broker as they are.

use serde_json::{Map, Value};
use tidegate_brokerage::failure::is_tax_number;
use tidegate_brokerage::operator_fields::OPERATOR_FIELDS;

/// Other people an application may be about. They have tax numbers of their own.
const PEOPLE: &[&str] = &[
    "authorized_individuals",
    "beneficiaries",
    "entity_contact",
    "entity_identity",
    "minor_identity",
    "ultimate_beneficial_owners",
];
/// What is passed on of an application beside what the contract looks at: its section 2, and section 3, top level. Nothing else,
/// except for what the operator lists of [`OPERATOR_FIELDS`]: in those a firm vouches for an applicant, and an applicant is no firm.
const PASSED_ON: &[&str] =
    &["cash_interest", "entity_contact", "entity_identity", "minor_identity", "ultimate_beneficial_owners"];
/// Most bytes of JSON in one part of an application, files apart: a hundred times a long one.
const MAX_PART: usize = 64 * 1024;
/// Longest name of a field, in bytes.
const MAX_NAME: usize = 64;

/// Whether a value says nothing: `null`, blank text, an array of nothing else.
pub(super) fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(entries) => entries.iter().all(is_nothing),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

/// What of `fields` is passed on: what says something, under names that can be none of the contract's.
///
/// The broker may read names without regard to case, as many JSON libraries do, some of them in all of Unicode:
/// `Tax_ID` would then stand in for the field that was looked at. Its own names are plain lower case, so nothing
/// else passes. An applicant has one tax number, in the field for it.
pub(super) fn forwarded(fields: Map<String, Value>) -> Map<String, Value> {
    let plain = fields.into_iter().filter(|(name, _)| is_plain(name) && !is_tax_number(name));
    plain
        .filter_map(|(name, value)| {
            let value = said(value, PEOPLE.contains(&name.as_str()))?;
            Some((name, value))
        })
        .collect()
}

/// What of an application's other fields is passed on.
pub(super) fn passed_on(mut fields: Map<String, Value>, by_operator: &[String]) -> Map<String, Value> {
    let is_listed =
        |name: &str| OPERATOR_FIELDS.contains(&name) && by_operator.iter().any(|listed| listed == name);
    fields.retain(|name, _| PASSED_ON.contains(&name.as_str()) || is_listed(name));
    fields
}

/// The parts of an application that are larger than any has reason to be.
pub(super) fn oversized(body: &Map<String, Value>) -> Vec<&'static str> {
    let parts = ["contact", "identity", "disclosures", "agreements", "trusted_contact", "beneficiaries"];
    let named = parts.iter().chain(PASSED_ON).chain(&OPERATOR_FIELDS).copied();
    named.filter(|name| body.get(*name).is_some_and(is_oversized)).collect()
}

/// Whether a value takes more than its part of the room.
pub(super) fn is_oversized(value: &Value) -> bool {
    /// Counts, and gives up when it is enough.
    struct Count(usize);

    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            if self.0 > MAX_PART { Err(std::io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes.len()) }
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    serde_json::to_writer(Count(0), value).is_err()
}

/// The value without what says nothing, however deep; and, unless it is about other people, without tax numbers.
pub(super) fn said(value: Value, of_others: bool) -> Option<Value> {
    match value {
        Value::Array(entries) => {
            let entries: Vec<Value> =
                entries.into_iter().filter_map(|entry| said(entry, of_others)).collect();
            (!entries.is_empty()).then_some(Value::Array(entries))
        }
        Value::Object(fields) => {
            let fields = fields.into_iter().filter(|(name, _)| of_others || !is_tax_number(name));
            let fields: Map<String, Value> =
                fields.filter_map(|(name, value)| Some((name, said(value, of_others)?))).collect();
            (!fields.is_empty()).then_some(Value::Object(fields))
        }
        value if is_nothing(&value) => None,
        value => Some(value),
    }
}

fn is_plain(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: Value) -> Value {
        let Value::Object(fields) = value else { panic!("no object") };
        Value::Object(forwarded(fields))
    }

    #[test]
    fn what_says_nothing_is_left_out_however_deep() {
        let sent = json!({
            "instant": null, "auto_approve": false, "sub_correspondent": " ", "cash_interest": {"a": null, "b": ["", {}]},
            "trading_configurations": {"dtbp_check": "both", "x": ""}, "enabled": ["", 1, null],
        });
        assert_eq!(
            of(sent),
            json!({"auto_approve": false, "trading_configurations": {"dtbp_check": "both"}, "enabled": [1]})
        );
    }

    #[test]
    fn no_other_spelling_of_a_name_passes() {
        let sent = json!({
            "Contact": 1, "TAX_ID": "1", "tax_id": "1", "foreign_tax_id": "1", "di\u{17f}closures": 1, "a.b": 1, "": 1,
            "a b": 1, "extra": {"Tax_Id": "1", "kept": [{"tax_id_ssn": "1", "x": 1}]},
        });
        assert_eq!(of(sent), json!({"extra": {"kept": [{"x": 1}]}}));
        assert_eq!(of(json!({ "a".repeat(MAX_NAME + 1): 1 })), json!({}));
    }

    #[test]
    fn other_people_have_tax_numbers_of_their_own() {
        let sent = json!({"minor_identity": {"tax_id": "1", "given_name": ""}});
        assert_eq!(of(sent), json!({"minor_identity": {"tax_id": "1"}}));
    }
}
