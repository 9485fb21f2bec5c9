//! The broker's account in the contract's shape: its keys stay present, with `null` where the broker says nothing.

use serde_json::{Map, Value};

/// What the contract lists below `contact`.
const CONTACT: &[&str] = &[
    "email_address",
    "phone_number",
    "street_address",
    "local_street_address",
    "unit",
    "city",
    "state",
    "postal_code",
];
/// And below `identity`.
const IDENTITY: &[&str] = &[
    "given_name",
    "family_name",
    "middle_name",
    "date_of_birth",
    "tax_id_type",
    "country_of_citizenship",
    "country_of_birth",
    "country_of_tax_residence",
    "funding_source",
    "visa_type",
    "visa_expiration_date",
    "date_of_departure_from_usa",
    "permanent_resident",
];
/// And at the top.
const TOP: &[&str] =
    &["id", "account_number", "status", "crypto_status", "currency", "last_equity", "created_at"];
/// Lists of codes in `kyc_results`: the broker writes objects keyed by code.
const CODES: &[&str] = &["reject", "accept", "indeterminate"];

/// An account as the broker reports it, with every key the contract lists. Other keys pass through.
pub(super) fn shape(mut account: Map<String, Value>) -> Map<String, Value> {
    fill(&mut account, TOP);
    within(&mut account, "contact", |contact| fill(contact, CONTACT));
    within(&mut account, "identity", |identity| fill(identity, IDENTITY));
    within(&mut account, "kyc_results", |results| {
        for list in CODES {
            let codes = match results.get(*list) {
                Some(Value::Array(codes)) => Value::from(codes.clone()),
                Some(Value::Object(codes)) => codes.keys().cloned().collect(),
                _ => Value::Array(Vec::new()),
            };
            results.insert((*list).to_owned(), codes);
        }
        fill(results, &["summary"]);
    });
    account
}

fn fill(object: &mut Map<String, Value>, keys: &[&str]) {
    for key in keys {
        object.entry(*key).or_insert(Value::Null);
    }
}

/// Changes the object at `key`; an empty one takes the place of anything else.
fn within(object: &mut Map<String, Value>, key: &str, change: impl FnOnce(&mut Map<String, Value>)) {
    let mut inner = match object.remove(key) {
        Some(Value::Object(inner)) => inner,
        _ => Map::new(),
    };
    change(&mut inner);
    object.insert(key.to_owned(), Value::Object(inner));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(account: Value) -> Value {
        let Value::Object(account) = account else { panic!("no object") };
        Value::Object(shape(account))
    }

    #[test]
    fn the_contracts_keys_stay_present_and_others_pass_through() {
        let shaped = of(json!({"id": "a", "contact": {"unit": "7"}, "trading_configurations": {"x": 1}}));
        assert_eq!(shaped["contact"]["unit"], "7");
        assert_eq!(shaped["trading_configurations"], json!({"x": 1}));
        for path in
            ["/contact/local_street_address", "/identity/middle_name", "/last_equity", "/kyc_results/summary"]
        {
            assert_eq!(shaped.pointer(path), Some(&Value::Null), "{path}");
        }
    }

    #[test]
    fn codes_are_lists_however_the_broker_writes_them() {
        let shaped = of(
            json!({"kyc_results": {"reject": {"W8BEN_CORRECTION": {}}, "accept": ["PEP"], "summary": "fail"}}),
        );
        let codes = json!({"reject": ["W8BEN_CORRECTION"], "accept": ["PEP"], "indeterminate": [], "summary": "fail"});
        assert_eq!(shaped["kyc_results"], codes);
    }
}
