//! Whatever is sent.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Stands in every text that is sent, and so must stand in nothing that is said.
const MARK: &str = "qzx";

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(|number| json!({ "n": number })["n"].clone()),
        any::<f64>().prop_map(Value::from),
        Just(json!("")),
        "\\PC{0,12}".prop_map(|text| format!("{MARK}{text}{MARK}").into()),
        Just(json!("1980-01-01")),
        Just(json!("USA")),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(name(), inner, 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    let known = [
        "contact",
        "identity",
        "disclosures",
        "agreements",
        "documents",
        "trusted_contact",
        "beneficiaries",
        "email_address",
        "phone_number",
        "street_address",
        "given_name",
        "date_of_birth",
        "tax_id",
        "country_of_tax_residence",
        "funding_source",
        "visa_type",
        "content",
        "content_data",
        "mime_type",
        "document_type",
        "signed_at",
    ];
    prop_oneof![prop::sample::select(known.to_vec()).prop_map(str::to_owned), "qzx\\PC{0,6}"]
}

/// Every path of the sample.
fn paths() -> Vec<String> {
    fn walk(value: &Value, at: &str, paths: &mut Vec<String>) {
        for (name, value) in value.as_object().into_iter().flatten() {
            let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
            walk(value, &path, paths);
            paths.push(path);
        }
    }
    let mut paths = Vec::new();
    walk(&with_documents(form()), "", &mut paths);
    paths.retain(|path| !path.starts_with("documents.content_data."));
    paths
}

fn nothing_is_echoed(body: Value) -> Result<(), TestCaseError> {
    if let Err(violations) = read(body) {
        prop_assert!(violations.iter().next().is_some());
        let shown = format!("{violations:?}");
        prop_assert!(!shown.contains(MARK), "{}", shown);
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_object_is_read_or_refused_and_never_echoed(
        fields in prop::collection::btree_map(name(), json_value(), 0..12),
    ) {
        nothing_is_echoed(Value::Object(fields.into_iter().collect()))?;
    }

    #[test]
    fn any_value_in_any_place_is_read_or_refused_and_never_echoed(
        path in prop::sample::select(paths()),
        value in json_value(),
    ) {
        nothing_is_echoed(with(&path, value))?;
    }

    #[test]
    fn any_form_is_read_or_refused_and_never_echoed(data in json_value(), mime in any::<bool>()) {
        let mut form = form();
        form["content_data"] = data;
        form["mime_type"] = json!(if mime { "application/json" } else { "image/png" });
        nothing_is_echoed(with_documents(form))?;
    }

    #[test]
    fn no_tax_number_but_the_named_one_is_passed_on(extra in json_value(), name in "[a-z_]{1,8}") {
        fn has_tax_number(value: &Value) -> bool {
            match value {
                Value::Object(fields) => fields
                    .iter()
                    .any(|(name, value)| name.eq_ignore_ascii_case("tax_id") || has_tax_number(value)),
                Value::Array(entries) => entries.iter().any(has_tax_number),
                _ => false,
            }
        }
        let mut body = with(&format!("identity.x_{name}"), extra.clone());
        body["disclosures"][format!("x_{name}")] = extra.clone();
        body[format!("x_{name}")] = extra;
        let read = read(body).unwrap();
        for others in [read.identity.others, read.disclosures.others, read.others] {
            prop_assert!(!has_tax_number(&Value::Object(others)));
        }
    }
}
