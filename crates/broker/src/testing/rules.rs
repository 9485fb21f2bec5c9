//! What the stub answers: the documented rules of each call.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::server::StubRequest;
use super::{Endpoint, State};

/// An answer.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Reply {
    pub(super) fn ok(body: Value) -> Self {
        Self { status: 200, body }
    }

    pub(super) fn error(status: u16, code: u32, message: &str) -> Self {
        Self { status, body: json!({"code": code, "message": message}) }
    }

    /// Has no code, unlike the others.
    pub(super) fn unauthorized() -> Self {
        Self { status: 401, body: json!({"message": "unauthorized"}) }
    }

    fn not_found() -> Self {
        Self::error(404, 40_410_000, "account not found")
    }

    fn invalid(message: &str) -> Self {
        Self::error(422, 42_210_000, message)
    }
}

pub(super) fn decide(state: &mut State, request: &StubRequest) -> Reply {
    match (request.endpoint, request.id) {
        (Endpoint::Open, _) => open(state, request.body.as_ref()),
        (Endpoint::Find, _) => Reply::ok(find(state, &request.query)),
        (Endpoint::Account, Some(id)) => match state.account_mut(id).cloned() {
            Some(account) => Reply::ok(shown(state, account)),
            None => Reply::not_found(),
        },
        (Endpoint::Upload, Some(id)) => upload(state, id, request.body.as_ref()),
        (Endpoint::Trading, Some(id)) => trading(state, id),
        (Endpoint::Account | Endpoint::Upload | Endpoint::Trading, None) => {
            Reply::error(400, 40_010_000, "account_id is not a valid uuid")
        }
        (Endpoint::Events, _) => Reply::not_found(),
    }
}

fn shown(state: &State, account: Map<String, Value>) -> Value {
    if state.wraps { json!({"account": account}) } else { Value::Object(account) }
}

fn open(state: &mut State, body: Option<&Value>) -> Reply {
    let Some(Value::Object(body)) = body else {
        return Reply::error(400, 40_010_001, "request body format is invalid");
    };
    if let Err(message) = check(body) {
        return Reply::invalid(&message);
    }
    let email = |account: &Map<String, Value>| {
        let contact = account.get("contact")?;
        contact.get("email_address")?.as_str().map(str::to_lowercase)
    };
    if state.accounts.iter().any(|other| email(other) == email(body)) {
        return Reply::error(409, 40_910_000, "email address is already in use");
    }
    let number = state.draw();
    let id = Uuid::from_u128(0xa1ba_ca00_0000_4000_8000_0000_0000_0000 | u128::from(number));
    let mut account = body.clone();
    if let Some(Value::Object(identity)) = account.get_mut("identity") {
        identity.remove("tax_id");
    }
    if let Some(Value::Array(documents)) = account.get_mut("documents") {
        for document in documents.iter_mut().filter_map(Value::as_object_mut) {
            document.remove("content");
            document.remove("content_data");
        }
    }
    let told = json!({
        "id": id, "account_number": (900_000_000 + number).to_string(), "status": "SUBMITTED",
        "crypto_status": "INACTIVE", "currency": "USD", "last_equity": "0", "kyc_results": null,
        "created_at": "2999-01-01T03:04:05.678901Z", "account_type": "trading",
    });
    if let Value::Object(told) = told {
        account.extend(told);
    }
    state.accounts.push(account.clone());
    state.set_status(id, "SUBMITTED");
    Reply::ok(shown(state, account))
}

/// Required fields and their shapes: contract "Riven", section 3, request.
fn check(body: &Map<String, Value>) -> Result<(), String> {
    const TEXTS: &[(&str, &str)] = &[
        ("contact", "email_address"),
        ("contact", "phone_number"),
        ("contact", "city"),
        ("identity", "given_name"),
        ("identity", "family_name"),
        ("identity", "date_of_birth"),
        ("identity", "country_of_tax_residence"),
    ];
    const LISTS: &[(&str, &str)] = &[("contact", "street_address"), ("identity", "funding_source")];
    const FLAGS: &[&str] = &[
        "is_control_person",
        "is_affiliated_exchange_or_finra",
        "is_politically_exposed",
        "immediate_family_exposed",
    ];
    let at = |section: &str, name: &str| body.get(section).and_then(|section| section.get(name));
    for (section, name) in TEXTS {
        if at(section, name).and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(format!("{section}.{name} is required"));
        }
    }
    for (section, name) in LISTS {
        if at(section, name).and_then(Value::as_array).is_none_or(Vec::is_empty) {
            return Err(format!("{section}.{name} must be an array"));
        }
    }
    for name in FLAGS {
        if at("disclosures", name).and_then(Value::as_bool).is_none() {
            return Err(format!("disclosures.{name} is required"));
        }
    }
    if at("identity", "tax_id").is_some() && at("identity", "tax_id_type").is_none() {
        return Err("identity.tax_id_type is required".to_owned());
    }
    let agreements = body.get("agreements").and_then(Value::as_array).filter(|list| !list.is_empty());
    let agreements = agreements.ok_or("agreements must be an array")?;
    for name in ["agreement", "signed_at", "ip_address"] {
        if !agreements.iter().all(|agreement| agreement.get(name).is_some_and(Value::is_string)) {
            return Err(format!("agreements[0].{name} is required"));
        }
    }
    match body.get("documents") {
        None => Ok(()),
        Some(Value::Array(documents)) => check_documents(documents),
        Some(_) => Err("documents must be an array".to_owned()),
    }
}

fn check_documents(documents: &[Value]) -> Result<(), String> {
    for (index, document) in documents.iter().enumerate() {
        let has = |name: &str| document.get(name).is_some_and(|value| !value.is_null());
        if !has("document_type") || !has("mime_type") {
            return Err(format!("documents[{index}].document_type and mime_type are required"));
        }
        if has("content") == has("content_data") {
            return Err(format!("documents[{index}].content or content_data must be given, and not both"));
        }
    }
    Ok(())
}

/// Finds what resembles the query, as the broker does: part of an address or name is enough. Contact and
/// identity are sent only when they are requested.
fn find(state: &State, query: &[(String, String)]) -> Value {
    let given = |name: &str| query.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
    let words: Vec<String> =
        given("query").unwrap_or_default().split_whitespace().map(str::to_lowercase).collect();
    let entities: Vec<&str> = given("entities").unwrap_or_default().split(',').collect();
    let resembles = |account: &&Map<String, Value>| {
        let part = |section: &str, name: &str| {
            account.get(section).and_then(|section| section.get(name)).and_then(Value::as_str)
        };
        let texts = [
            part("contact", "email_address"),
            part("identity", "given_name"),
            part("identity", "family_name"),
            account.get("account_number").and_then(Value::as_str),
        ];
        words.iter().all(|word| texts.iter().flatten().any(|text| text.to_lowercase().contains(word)))
    };
    let without_unasked = |account: &Map<String, Value>| {
        let mut account = account.clone();
        for entity in ["contact", "identity", "disclosures", "agreements", "documents", "trusted_contact"] {
            if !entities.contains(&entity) {
                account.remove(entity);
            }
        }
        Value::Object(account)
    };
    state.accounts.iter().filter(resembles).map(without_unasked).collect()
}

fn upload(state: &mut State, id: Uuid, body: Option<&Value>) -> Reply {
    if state.account_mut(id).is_none() {
        return Reply::not_found();
    }
    let Some(Value::Array(documents)) =
        body.filter(|body| body.as_array().is_some_and(|list| !list.is_empty()))
    else {
        return Reply::error(400, 40_010_001, "request body must be an array of documents");
    };
    if let Err(message) = check_documents(documents) {
        return Reply::error(400, 40_010_000, &message);
    }
    state.uploads.push((id, Value::Array(documents.clone())));
    Reply { status: 204, body: Value::Null }
}

fn trading(state: &mut State, id: Uuid) -> Reply {
    let Some(account) = state.account_mut(id) else { return Reply::not_found() };
    Reply::ok(json!({
        "id": id, "account_number": account.get("account_number"), "status": account.get("status"),
        "currency": "USD", "cash": "150.25", "buying_power": "300.5", "equity": "150.25",
    }))
}
