//! The form W-8BEN, by which people taxed outside the USA say so.

use serde_json::Value;

use super::identity::with;
use super::reader::{Object, Reader};

/// Reads `content_data`. Its countries are words as on the form, not codes.
pub(super) fn w8ben(mut form: Reader<'_>) -> Object {
    let has_number = form.has("foreign_tax_id") || form.has("tax_id_ssn");
    let numbers = ["foreign_tax_id", "tax_id_ssn"].map(|name| (name, form.line(name).map(Value::from)));
    let not_required = form.flag("ftin_not_required");
    if !has_number && not_required != Some(true) {
        form.note("foreign_tax_id", "is required, or tax_id_ssn, or ftin_not_required");
    }
    let lines = [
        "country_citizen",
        "full_name",
        "permanent_address_city_state",
        "permanent_address_country",
        "permanent_address_street",
        "revision",
        "signer_full_name",
    ]
    .map(|name| (name, form.required(name, Reader::line)));
    let dates = ["date", "date_of_birth"]
        .map(|name| (name, form.required(name, Reader::date).map(|date| date.to_string())));
    let ip_address = ("ip_address", form.required("ip_address", Reader::ip_address));
    let timestamp = ("timestamp", form.required("timestamp", Reader::instant));
    let texts = lines.into_iter().chain(dates).chain([ip_address, timestamp]);
    let texts = texts.map(|(name, text)| (name, text.map(Value::from)));
    let flag = [("ftin_not_required", not_required.map(Value::from))];
    with(form.rest(), texts.chain(numbers).chain(flag).collect())
}
