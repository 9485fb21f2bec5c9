//! How to reach the applicant, and whom else.

use tidegate_brokerage::failure::Contact;
use tidegate_domain::{PhoneNumber, PhoneRule};

use super::reader::{Object, Reader, is_the_word_null};
use super::{Caller, USA};

/// Longest spelling of a phone number, in characters.
const MAX_PHONE: usize = 64;

/// Reads `contact`. Its country is `tax_residence` unless it says otherwise.
pub(super) fn contact(
    mut contact: Reader<'_>,
    caller: &Caller<'_>,
    tax_residence: Option<&str>,
) -> Option<Contact> {
    let email_address = contact.required("email_address", Reader::email);
    let phone_number = contact.required("phone_number", |contact, name| own_phone(contact, name, caller));
    let street_address = contact.required("street_address", Reader::lines);
    let unit = contact.line("unit").filter(|unit| !is_the_word_null(unit));
    let city = contact.required("city", Reader::line);
    let country = contact.country("country").or_else(|| tax_residence.map(str::to_owned));
    let in_usa = country.as_deref() == Some(USA) || tax_residence == Some(USA);
    let state = if in_usa { contact.required("state", Reader::line) } else { contact.line("state") };
    let postal_code = contact.line("postal_code");
    Some(Contact {
        email_address: email_address?,
        phone_number: phone_number?.expose().to_owned(),
        street_address: street_address?,
        unit,
        city: city?,
        state,
        postal_code,
        country,
    })
}

/// The number the caller has shown to be theirs, in whatever spelling; no other.
fn own_phone(contact: &mut Reader<'_>, name: &str, caller: &Caller<'_>) -> Option<PhoneNumber> {
    let text = contact.line_of(name, MAX_PHONE)?;
    match caller.phone_rule.parse(&text) {
        Ok(number) if caller.phone == Some(&number) => Some(number),
        Ok(_) => contact.violated(name, "must be the phone number you signed in with"),
        Err(error) => contact.violated(name, error.to_string()),
    }
}

/// Reads `trusted_contact`: a name and at least one way to reach its bearer.
pub(super) fn trusted_contact(mut person: Reader<'_>, rule: &PhoneRule) -> Option<Object> {
    let reachable = ["email_address", "phone_number", "street_address"].iter().any(|way| person.has(way));
    if !reachable {
        person.note("email_address", "is required, or phone_number, or street_address");
    }
    // A street without a city is no address.
    if !person.has("email_address") && !person.has("phone_number") && person.has("street_address") {
        for name in ["city", "country"].into_iter().filter(|name| !person.has(name)).collect::<Vec<_>>() {
            person.note(name, "is required with street_address");
        }
    }
    let given_name = person.required("given_name", Reader::line);
    let family_name = person.required("family_name", Reader::line);
    let email_address = person.email("email_address");
    let phone_number = person.line_of("phone_number", MAX_PHONE).map(|text| normal(text, rule));
    let street_address = person.lines("street_address");
    let city = person.line("city");
    let country = person.country("country");
    let state = person.line("state");
    let postal_code = person.line("postal_code");
    let texts = [
        ("given_name", Some(given_name?)),
        ("family_name", Some(family_name?)),
        ("email_address", email_address),
        ("phone_number", phone_number),
        ("city", city),
        ("state", state),
        ("postal_code", postal_code),
        ("country", country),
    ];
    let texts = texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.into())));
    let street_address = street_address.map(|lines| ("street_address".to_owned(), lines.into()));
    Some(texts.chain(street_address).collect())
}

/// The normal form of a number, where it is one of a country that is served; others may live anywhere.
fn normal(text: String, rule: &PhoneRule) -> String {
    rule.parse(&text).map_or(text, |number| number.expose().to_owned())
}
