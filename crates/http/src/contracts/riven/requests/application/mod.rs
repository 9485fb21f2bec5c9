//! The application for a brokerage account: section 2, `POST /account/create`.
//!
//! The body is read tolerantly where the contract's samples and the broker differ, and into nothing but what the
//! broker takes. Errors are reported field by field, never with what was sent: nearly all of it is personal.

mod contact;
mod documents;
mod identity;
mod others;
mod reader;
#[cfg(test)]
mod tests;
mod w8ben;

use serde_json::Value;
use tidegate_brokerage::failure::Application;
use tidegate_domain::{PhoneNumber, PhoneRule, Timestamp};

use self::contact::{contact, trusted_contact};
use self::documents::{agreement, document};
use self::identity::{disclosures, identity, with};
use self::others::{oversized, passed_on, said};
pub(super) use self::reader::MAX_ENTRIES;
use self::reader::{Object, Reader, country_code};
use super::vocabulary::{ACCOUNT_SUB_TYPES, ACCOUNT_TYPES, ASSETS, CURRENCIES};
use crate::wire::fields::{Check, Violations};

pub(super) const USA: &str = "USA";
/// Longest free text, in characters.
const MAX_INFORMATION: usize = 4_096;
/// Most heirs of a retirement account: section 3, top level.
const MAX_BENEFICIARIES: usize = 6;

/// Who applies, and when: what the body is compared with.
#[derive(Debug)]
pub(crate) struct Caller<'a> {
    /// The phone number they have verified. Without one, no application is theirs.
    pub(crate) phone: Option<&'a PhoneNumber>,
    /// How numbers are read.
    pub(crate) phone_rule: &'a PhoneRule,
    /// The present.
    pub(crate) now: Timestamp,
    /// Fields of the operator's that applicants may fill in.
    pub(crate) operator_fields: &'a [String],
}

/// Reads the body of an application.
///
/// # Errors
/// Everything that is wrong with it, under paths such as `documents.0.content`.
pub(crate) fn application(body: Object, caller: &Caller<'_>) -> Result<Application, Violations> {
    let mut check = Check::new();
    for part in oversized(&body) {
        check.violated::<()>(part, "is too large");
    }
    let read = whole(Reader::new(&mut check, String::new(), body), caller);
    check.finish(read)
}

fn whole(mut body: Reader<'_>, caller: &Caller<'_>) -> Option<Application> {
    let parts = ["contact", "identity", "disclosures"];
    let [of_contact, of_identity, of_disclosures] = parts.map(|name| body.required(name, Reader::object));
    let tax_residence = of_identity.as_ref().and_then(tax_residence);
    let contact = of_contact
        .and_then(|fields| contact(body.inner("contact", fields), caller, tax_residence.as_deref()));
    let identity = of_identity.and_then(|fields| identity(body.inner("identity", fields), caller));
    let disclosures = of_disclosures.and_then(|fields| disclosures(body.inner("disclosures", fields)));
    let agreements = body.required("agreements", |body, name| body.objects(name, agreement));
    let documents = body.objects("documents", document).unwrap_or_default();
    let trusted_contact = body
        .filled_object("trusted_contact")
        .and_then(|person| trusted_contact(body.inner("trusted_contact", person), caller.phone_rule));
    let additional_information = additional_information(&mut body);
    let others = others(&mut body, caller.operator_fields);
    Some(Application {
        contact: contact?,
        identity: identity?,
        disclosures: disclosures?,
        agreements: agreements?,
        documents,
        trusted_contact,
        additional_information,
        others,
    })
}

/// Looked at before `identity` is read: it is also where the applicant lives, unless `contact` says otherwise.
fn tax_residence(identity: &Object) -> Option<String> {
    identity.get("country_of_tax_residence")?.as_str().and_then(country_code)
}

fn additional_information(body: &mut Reader<'_>) -> Option<String> {
    const NAME: &str = "additional_information";
    match body.text(NAME)? {
        text if text.chars().count() > MAX_INFORMATION => {
            body.violated(NAME, format!("must be at most {MAX_INFORMATION} characters"))
        }
        text => Some(text),
    }
}

/// What is passed on: the fields the contract looks at, and those it names.
fn others(body: &mut Reader<'_>, operator_fields: &[String]) -> Object {
    let known = vec![
        ("account_type", body.word("account_type", ACCOUNT_TYPES).map(Value::from)),
        ("account_sub_type", body.word("account_sub_type", ACCOUNT_SUB_TYPES).map(Value::from)),
        ("currency", body.word("currency", CURRENCIES).map(Value::from)),
        ("enabled_assets", body.words("enabled_assets", ASSETS).map(Value::from)),
        ("beneficiaries", beneficiaries(body)),
    ];
    with(passed_on(body.rest(), operator_fields), known)
}

fn beneficiaries(body: &mut Reader<'_>) -> Option<Value> {
    const NAME: &str = "beneficiaries";
    let people = body.objects(NAME, |person| Some(Value::Object(person.all())))?;
    if people.len() > MAX_BENEFICIARIES {
        return body.violated(NAME, format!("must be at most {MAX_BENEFICIARIES}"));
    }
    said(people.into(), true)
}
