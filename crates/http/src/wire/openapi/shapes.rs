//! What text in requests looks like: in a description, the format of a field names its shape, and here stand the bounds,
//! the pattern or the words of it. They are those of the code that reads the field; tests compare both.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use tidegate_domain::challenge::CODE_DIGITS;
use tidegate_domain::factor::FactorKind;
use tidegate_domain::{ContractProfile, PasswordRule};
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::{AdditionalProperties, ArrayItems, Object, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{KnownFormat, OpenApi, RefOr, Schema};

use super::answers::operations_mut;

/// The shape of a text.
#[derive(Clone, Default)]
pub(crate) struct Shape {
    /// The format that stands for it in the attributes of a field.
    pub(crate) format: &'static str,
    /// The format in the description, where it is another.
    pub(crate) shown_as: Option<KnownFormat>,
    pub(crate) min_length: Option<usize>,
    pub(crate) max_length: Option<usize>,
    pub(crate) pattern: Option<String>,
    /// All it can be.
    pub(crate) words: Vec<&'static str>,
}

/// What a contract says of its requests beyond the attributes of their fields.
#[derive(Default)]
pub(crate) struct Shapes {
    /// Of its own texts.
    pub(crate) texts: Vec<Shape>,
    /// By the name of a schema: what its fields ask of one another, in the words of JSON Schema.
    pub(crate) rules: Vec<(&'static str, Value)>,
}

/// An integer that every client can send: beyond, a double does not tell one from the next (RFC 7493 section 2.2).
const MAX_INTEGER: i64 = 9_007_199_254_740_991;

/// Characters a single line must not hold: controls, line and paragraph separators, and what turns the direction of text.
macro_rules! refused {
    () => {
        r"\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069"
    };
}
/// Characters that cannot be seen: blanks and fillers.
macro_rules! unseen {
    () => {
        r"\s\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u202f\u205f-\u2065\u206a-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    };
}

/// As [`line`](tidegate_domain::text::line) takes it: something can be seen, and nothing is refused.
pub(crate) const LINE: &str =
    concat!("^[^", refused!(), "]*[^", refused!(), unseen!(), "][^", refused!(), "]*$");
/// The same, or nothing.
const LINE_OR_NOTHING: &str =
    concat!("^([^", refused!(), "]*[^", refused!(), unseen!(), "][^", refused!(), "]*)?$");
/// Text PostgreSQL can store.
const WITHOUT_NUL: &str = r"^[^\u0000]*$";
/// A `dot-atom` of RFC 5322 and a domain of at least two labels that is no address.
const EMAIL: &str = concat!(
    r"^(?=[^@]{1,64}@)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*",
    r"@((?!..--)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+",
    r"(?!..--)[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$",
);
/// Longest address, in characters.
const MAX_EMAIL: usize = 254;
/// As a backup code is shown, with or without its dash.
const BACKUP_CODE: &str = "^[2-9A-HJ-NP-Z]{4}-?[2-9A-HJ-NP-Z]{4}$";

/// For rules: each of the fields is there and not `null`.
pub(crate) fn is_sent(fields: &[&str]) -> Value {
    let of_any_value = fields.iter().map(|field| ((*field).to_owned(), json!({ "not": { "type": "null" } })));
    json!({ "required": fields, "properties": of_any_value.collect::<Map<String, Value>>() })
}

/// For rules: each of the fields is left out or `null`.
pub(crate) fn is_not_sent(fields: &[&str]) -> Value {
    let of_no_value = fields.iter().map(|field| ((*field).to_owned(), json!({ "type": "null" })));
    json!({ "properties": of_no_value.collect::<Map<String, Value>>() })
}

/// The shapes that every contract has.
pub(crate) fn common(profile: &ContractProfile) -> Vec<Shape> {
    let text =
        |format, pattern: &str| Shape { format, pattern: Some(pattern.to_owned()), ..Shape::default() };
    let program_rule = profile.program_password.as_ref().unwrap_or(&profile.password);
    let kinds = FactorKind::ALL.map(FactorKind::as_str);
    vec![
        Shape { max_length: Some(MAX_EMAIL), ..text("email", EMAIL) },
        Shape { min_length: Some(1), ..text("single-line", LINE) },
        text("single-line-or-empty", LINE_OR_NOTHING),
        text("text-without-nul", WITHOUT_NUL),
        Shape { format: "opaque-token", min_length: Some(1), ..Shape::default() },
        text("one-time-code", &format!("^[0-9]{{{CODE_DIGITS}}}$")),
        text("backup-code", BACKUP_CODE),
        Shape { format: "factor", words: kinds.to_vec(), ..Shape::default() },
        Shape {
            format: "factor-with-messages",
            words: kinds.into_iter().filter(|kind| *kind != FactorKind::Totp.as_str()).collect(),
            ..Shape::default()
        },
        new_password("new-password", &profile.password),
        new_password("new-program-password", program_rule),
    ]
}

/// A password that satisfies a rule. Its length is counted without line breaks and unseen characters at its ends.
fn new_password(format: &'static str, rule: &PasswordRule) -> Shape {
    let kinds = [
        (rule.upper, "[A-Z]"),
        (rule.lower, "[a-z]"),
        (rule.digit, "[0-9]"),
        (rule.symbol, r"[ !-/:-@\[-`{-~]"),
    ];
    let asked = kinds.into_iter().filter(|(is_asked, _)| *is_asked);
    let pattern: String = asked.map(|(_, kind)| format!(r"(?=[\s\S]*{kind})")).collect();
    Shape {
        format,
        shown_as: Some(KnownFormat::Password),
        min_length: Some(rule.min_length),
        max_length: Some(rule.max_length),
        pattern: (!pattern.is_empty()).then(|| format!("^{pattern}")),
        words: Vec::new(),
    }
}

/// Completes all that requests of the document are made of.
pub(crate) fn describe_requests(document: &mut OpenApi, profile: &ContractProfile, own: Shapes) {
    let texts: Vec<Shape> = common(profile).into_iter().chain(own.texts).collect();
    let sent = sent_schemas(document);
    for (_, operation) in document.paths.paths.values_mut().flat_map(operations_mut) {
        for parameter in operation.parameters.iter_mut().flatten() {
            if let RefOr::T(parameter) = parameter
                && let Some(schema) = &mut parameter.schema
            {
                complete(schema, &texts);
            }
        }
    }
    let schemas = &mut document.components.get_or_insert_default().schemas;
    for (_, schema) in schemas.iter_mut().filter(|(name, _)| sent.contains(*name)) {
        complete(schema, &texts);
    }
    for (name, rule) in own.rules {
        let keywords = match rule {
            Value::Object(keywords) => Some(keywords.into_iter().collect::<Extensions>()),
            _ => None,
        };
        match schemas.get_mut(name) {
            Some(RefOr::T(Schema::Object(object))) => object.extensions = keywords,
            Some(RefOr::T(Schema::OneOf(of))) => of.extensions = keywords,
            _ => {}
        }
    }
}

/// The names of the schemas that bodies of requests are made of.
fn sent_schemas(document: &mut OpenApi) -> BTreeSet<String> {
    let operations = document.paths.paths.values_mut().flat_map(operations_mut);
    let bodies =
        operations.map(|(_, operation)| serde_json::to_value(&operation.request_body).unwrap_or_default());
    let mut open: Vec<Value> = bodies.collect();
    let mut names = BTreeSet::new();
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => {
                let name =
                    fields.get("$ref").and_then(Value::as_str).and_then(|text| text.rsplit('/').next());
                if let Some(name) = name
                    && names.insert(name.to_owned())
                {
                    let components = document.components.as_ref();
                    let schema = components.and_then(|components| components.schemas.get(name));
                    open.push(serde_json::to_value(schema).unwrap_or_default());
                }
                open.extend(fields.into_iter().map(|(_, value)| value));
            }
            Value::Array(items) => open.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    names
}

fn complete(schema: &mut RefOr<Schema>, texts: &[Shape]) {
    let RefOr::T(schema) = schema else { return };
    match schema {
        Schema::Object(object) => complete_object(object, texts),
        Schema::Array(array) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                complete(items, texts);
            }
        }
        Schema::OneOf(of) => of.items.iter_mut().for_each(|item| complete(item, texts)),
        Schema::AllOf(of) => of.items.iter_mut().for_each(|item| complete(item, texts)),
        Schema::AnyOf(of) => of.items.iter_mut().for_each(|item| complete(item, texts)),
        _ => {}
    }
}

fn complete_object(object: &mut Object, texts: &[Shape]) {
    for property in object.properties.values_mut() {
        complete(property, texts);
    }
    if let Some(values) = &mut object.additional_properties
        && let AdditionalProperties::RefOr(values) = values.as_mut()
    {
        complete(values, texts);
    }
    let (is_optional, is_integer) = match &object.schema_type {
        SchemaType::Type(kind) => (false, *kind == Type::Integer),
        SchemaType::Array(kinds) => (kinds.contains(&Type::Null), kinds.contains(&Type::Integer)),
        SchemaType::AnyValue => (false, false),
    };
    if is_integer {
        object.minimum.get_or_insert((-MAX_INTEGER).into());
        object.maximum.get_or_insert(MAX_INTEGER.into());
    }
    let format = match &object.format {
        Some(SchemaFormat::Custom(name)) => name.as_str(),
        _ => return,
    };
    let Some(shape) = texts.iter().find(|shape| shape.format == format) else { return };
    shape.complete(object, is_optional);
}

impl Shape {
    /// What an attribute of the field says itself, stays.
    fn complete(&self, object: &mut Object, is_optional: bool) {
        if let Some(format) = &self.shown_as {
            object.format = Some(SchemaFormat::KnownFormat(format.clone()));
        }
        object.min_length = object.min_length.or(self.min_length);
        object.max_length = object.max_length.or(self.max_length);
        if object.pattern.is_none() {
            object.pattern.clone_from(&self.pattern);
        }
        if !self.words.is_empty() {
            let nothing = is_optional.then_some(Value::Null);
            object.format = None;
            object.enum_values =
                Some(self.words.iter().map(|word| Value::from(*word)).chain(nothing).collect());
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use proptest::string::string_regex;
    use tidegate_domain::factor::RecoveryCode;
    use tidegate_domain::text::{is_invisible, line};

    use super::*;

    /// Texts of a pattern without look-ahead.
    pub(crate) fn texts_of(pattern: &str) -> impl Strategy<Value = String> + use<> {
        string_regex(pattern.trim_start_matches('^').trim_end_matches('$')).unwrap()
    }

    /// Invisible characters beyond the basic plane have no spelling that all engines of patterns read.
    fn hides_beyond(text: &str) -> bool {
        text.chars().any(|c| c > '\u{ffff}' && is_invisible(c))
    }

    proptest! {
        #[test]
        fn a_text_of_the_pattern_of_a_line_is_one(text in texts_of(LINE)) {
            prop_assume!(!hides_beyond(&text));
            prop_assert!(line(&text, usize::MAX).is_ok(), "{:?}", text);
        }

        #[test]
        fn a_text_of_the_pattern_of_a_backup_code_is_one(text in texts_of(BACKUP_CODE)) {
            prop_assert!(RecoveryCode::parse(&text).is_ok(), "{}", text);
        }
    }

    #[test]
    fn a_rule_for_passwords_is_their_bounds_and_a_pattern() {
        let rule = PasswordRule {
            min_length: 8,
            max_length: 20,
            upper: true,
            lower: false,
            digit: true,
            symbol: false,
        };
        let shape = new_password("new-password", &rule);
        assert_eq!((shape.min_length, shape.max_length), (Some(8), Some(20)));
        assert_eq!(shape.pattern.as_deref(), Some(r"^(?=[\s\S]*[A-Z])(?=[\s\S]*[0-9])"));
        let rule = PasswordRule { upper: false, digit: false, ..rule };
        assert_eq!(new_password("new-password", &rule).pattern, None);
    }
}
