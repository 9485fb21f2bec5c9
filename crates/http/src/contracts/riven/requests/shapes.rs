//! What this contract's requests look like, where the attributes of their fields cannot say it.

use serde_json::{Value, json};
use utoipa::openapi::KnownFormat;

use super::application::{MAX_ENTRIES, USA};
use super::phone::CODE_DIGITS;
use super::vocabulary::{
    ACCOUNT_SUB_TYPES, ACCOUNT_TYPES, AGREEMENTS, ASSETS, CURRENCIES, DOCUMENT_TYPES, EMPLOYMENT_STATUSES,
    FUNDING_SOURCES, TAX_ID_TYPES, VISA_TYPES, VISITORS_VISAS, W8BEN,
};
use crate::wire::openapi::shapes::{Shape, Shapes, is_not_sent, is_sent};

/// A mobile number of the country that is served unless an operator says otherwise. Other spellings are understood, too.
const PHONE: &str = r"^(\+254|0)[17][0-9]{8}$";
/// ISO 3166-1 alpha-3.
const COUNTRY: &str = "^[A-Z]{3}$";
const DATE_OF_BIRTH: &str = "^(19|20)[0-9]{2}-";
/// RFC 3339 with capital letters.
const INSTANT: &str = r"^[0-9-]{10}T[0-9:]{8}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$";
/// The kinds of files, with the beginning of each in base64 (RFC 4648 section 4).
const FILES: [(&str, &str); 3] = [
    ("application/pdf", "JVBERi[0-3][A-Za-z0-9+/]"),
    ("image/png", "iVBORw0KGg[o-r][A-Za-z0-9+/]"),
    ("image/jpeg", "/9j/"),
];
const FORM: &str = "application/json";

pub(in super::super) fn shapes() -> Shapes {
    Shapes { texts: texts(), rules: rules() }
}

fn texts() -> Vec<Shape> {
    let text =
        |format, pattern: &str| Shape { format, pattern: Some(pattern.to_owned()), ..Shape::default() };
    let dated = |format, pattern, shown| Shape { shown_as: Some(shown), ..text(format, pattern) };
    let (least, most) = (CODE_DIGITS.start(), CODE_DIGITS.end());
    let mime_types = FILES.iter().map(|(mime_type, _)| *mime_type).chain([FORM]).collect();
    let vocabularies = [
        ("document-type", DOCUMENT_TYPES),
        ("agreement", AGREEMENTS),
        ("funding-source", FUNDING_SOURCES),
        ("tax-id-type", TAX_ID_TYPES),
        ("visa-type", VISA_TYPES),
        ("employment-status", EMPLOYMENT_STATUSES),
        ("account-type", ACCOUNT_TYPES),
        ("account-sub-type", ACCOUNT_SUB_TYPES),
        ("asset", ASSETS),
        ("currency", CURRENCIES),
    ];
    let of_words = vocabularies.into_iter().map(|(format, words)| Shape {
        format,
        words: once_in_any_case(words),
        ..Shape::default()
    });
    let others = [
        text("phone", PHONE),
        text("texted-code", &format!("^[0-9]{{{least},{most}}}$")),
        text("country", COUNTRY),
        dated("date-of-birth", DATE_OF_BIRTH, KnownFormat::Date),
        dated("instant", INSTANT, KnownFormat::DateTime),
        Shape { format: "document-mime-type", words: mime_types, ..Shape::default() },
    ];
    of_words.chain(others).collect()
}

/// The words without further spellings of one, which generated clients could not tell apart.
fn once_in_any_case(words: &[&'static str]) -> Vec<&'static str> {
    let is_first =
        |at: usize, word: &str| !words.iter().take(at).any(|other| other.eq_ignore_ascii_case(word));
    words.iter().enumerate().filter(|(at, word)| is_first(*at, word)).map(|(_, word)| *word).collect()
}

fn rules() -> Vec<(&'static str, Value)> {
    let one_to_many = || json!({ "minItems": 1, "maxItems": MAX_ENTRIES });
    let lives_in_usa = json!({ "anyOf": [
        { "properties": { "contact": { "required": ["country"], "properties": { "country": { "const": USA } } } } },
        { "properties": { "identity": { "properties": { "country_of_tax_residence": { "const": USA } } } } },
    ] });
    let has_state = json!({ "properties": { "contact": is_sent(&["state"]) } });
    let is_reachable = json!({ "anyOf": [is_sent(&["email_address"]), is_sent(&["phone_number"])] });
    let has_address = is_sent(&["street_address", "city", "country"]);
    let has_number = json!({ "anyOf": [
        is_sent(&["foreign_tax_id"]),
        is_sent(&["tax_id_ssn"]),
        { "required": ["ftin_not_required"], "properties": { "ftin_not_required": { "const": true } } },
    ] });
    vec![
        ("ApplicationBody", json!({ "if": lives_in_usa, "then": has_state })),
        ("TrustedContactBody", json!({ "if": { "not": is_reachable }, "then": has_address })),
        ("IdentityBody", json!({ "allOf": [tax_number(), visa(), visit()] })),
        ("DocumentBody", content()),
        ("W8BenBody", has_number),
        ("Agreements", one_to_many()),
        ("Documents", one_to_many()),
        ("Lines", one_to_many()),
        ("FundingSources", one_to_many()),
        ("Assets", one_to_many()),
    ]
}

/// Number and kind go together.
fn tax_number() -> Value {
    json!({ "if": is_sent(&["tax_id"]), "then": is_sent(&["tax_id_type"]), "else": is_not_sent(&["tax_id_type"]) })
}

fn visa() -> Value {
    json!({ "if": is_sent(&["visa_type"]), "then": is_sent(&["visa_expiration_date"]) })
}

fn visit() -> Value {
    json!({
        "if": { "required": ["visa_type"], "properties": { "visa_type": { "enum": VISITORS_VISAS } } },
        "then": is_sent(&["date_of_departure_from_usa"]),
    })
}

/// A file of its type, or the one form.
fn content() -> Value {
    let form = json!({
        "properties": {
            "document_type": { "const": W8BEN },
            "content": { "type": "null" },
            "content_data": { "not": { "type": "null" } },
        },
        "required": ["content_data"],
    });
    FILES.iter().rfold(form, |otherwise, (mime_type, beginning)| {
        json!({
            "if": { "properties": { "mime_type": { "const": mime_type } } },
            "then": {
                "properties": {
                    "content": { "type": "string", "pattern": format!("^{beginning}([A-Za-z0-9+/]{{4}})*$") },
                    "content_data": { "type": "null" },
                },
                "required": ["content"],
            },
            "else": otherwise,
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegate_domain::PhoneRule;

    use super::*;
    use crate::wire::openapi::shapes::tests::texts_of;

    proptest! {
        #[test]
        fn a_text_of_the_pattern_of_phones_is_one(text in texts_of(PHONE)) {
            prop_assert!(PhoneRule::default().parse(&text).is_ok(), "{}", text);
        }
    }

    #[test]
    fn a_word_in_two_spellings_is_described_once() {
        assert_eq!(once_in_any_case(&["Other", "B1", "OTHER"]), ["Other", "B1"]);
    }
}
