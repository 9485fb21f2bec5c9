//! Who the applicant is, and the ties that regulators ask about.

use jiff::civil::Date;
use serde_json::Value;
use tidegate_brokerage::failure::{Applicant, Disclosures};
use tidegate_domain::Secret;

use super::super::dates::day_of;
use super::super::vocabulary::{
    EMPLOYMENT_STATUSES, FUNDING_SOURCES, TAX_ID_TYPES, VISA_TYPES, VISITORS_VISAS, known, unknown,
};
use super::Caller;
use super::reader::{Object, Reader, is_the_word_null};

/// Longest given, middle or family name, in characters.
const MAX_NAME: usize = 150;
/// Longest tax number, in characters.
const MAX_TAX_ID: usize = 64;
/// The earliest date of birth that is accepted.
const EARLIEST_BIRTH: Date = jiff::civil::date(1900, 1, 1);
/// Amounts in US dollars.
const AMOUNTS: [&str; 6] = [
    "annual_income_min",
    "annual_income_max",
    "liquid_net_worth_min",
    "liquid_net_worth_max",
    "total_net_worth_min",
    "total_net_worth_max",
];

/// Reads `identity`.
pub(super) fn identity(mut identity: Reader<'_>, caller: &Caller<'_>) -> Option<Applicant> {
    let given_name = identity.required("given_name", name);
    let middle_name = name(&mut identity, "middle_name").filter(|name| !is_the_word_null(name));
    let family_name = identity.required("family_name", name);
    let date_of_birth =
        identity.required("date_of_birth", |identity, name| date_of_birth(identity, name, caller));
    let (tax_id, tax_id_type) = tax_id(&mut identity);
    let country_of_tax_residence = identity.required("country_of_tax_residence", Reader::country);
    let funding_source =
        identity.required("funding_source", |identity, name| identity.words(name, FUNDING_SOURCES));
    let rest = particulars(&mut identity);
    Some(Applicant {
        given_name: given_name?,
        middle_name,
        family_name: family_name?,
        date_of_birth: date_of_birth?.to_string(),
        tax_id,
        tax_id_type: tax_id_type.map(str::to_owned),
        country_of_tax_residence: country_of_tax_residence?,
        funding_source: funding_source?.into_iter().map(str::to_owned).collect(),
        others: rest,
    })
}

fn name(identity: &mut Reader<'_>, name: &str) -> Option<String> {
    identity.line_of(name, MAX_NAME)
}

fn date_of_birth(identity: &mut Reader<'_>, name: &str, caller: &Caller<'_>) -> Option<Date> {
    match identity.date(name)? {
        date if date > day_of(caller.now) => identity.violated(name, "must not be in the future"),
        date if date < EARLIEST_BIRTH => identity.violated(name, "must not be before 1900"),
        date => Some(date),
    }
}

/// A tax number and its kind: both or neither.
fn tax_id(identity: &mut Reader<'_>) -> (Option<Secret>, Option<&'static str>) {
    let (has_id, has_type) = (identity.has("tax_id"), identity.has("tax_id_type"));
    if has_id != has_type {
        let (missing, given) = if has_id { ("tax_id_type", "tax_id") } else { ("tax_id", "tax_id_type") };
        identity.note(missing, format!("is required with {given}"));
    }
    let id = identity.line_of("tax_id", MAX_TAX_ID).map(Secret::new);
    (id, identity.word("tax_id_type", TAX_ID_TYPES))
}

/// What is passed on: the fields the contract names, in their normal form, and whatever else there is.
fn particulars(identity: &mut Reader<'_>) -> Object {
    let mut named: Vec<(&str, Option<Value>)> = Vec::new();
    for name in ["country_of_citizenship", "country_of_birth"] {
        named.push((name, identity.country(name).map(Value::from)));
    }
    let has_visa = identity.has("visa_type");
    let visa = identity.word("visa_type", VISA_TYPES);
    let is_visitor = visa.is_some_and(|visa| VISITORS_VISAS.contains(&visa));
    named.push(("visa_type", visa.map(Value::from)));
    for (name, needed) in [("visa_expiration_date", has_visa), ("date_of_departure_from_usa", is_visitor)] {
        let date = if needed { identity.required(name, Reader::date) } else { identity.date(name) };
        named.push((name, date.map(|date| date.to_string().into())));
    }
    named.push(("permanent_resident", identity.flag("permanent_resident").map(Value::from)));
    for name in AMOUNTS {
        named.push((name, identity.decimal(name)));
    }
    with(identity.rest(), named)
}

/// Reads `disclosures`.
pub(super) fn disclosures(mut ties: Reader<'_>) -> Option<Disclosures> {
    let is_control_person = ties.required("is_control_person", Reader::flag);
    let is_affiliated_exchange_or_finra = ties.required("is_affiliated_exchange_or_finra", Reader::flag);
    let is_politically_exposed = ties.required("is_politically_exposed", Reader::flag);
    let immediate_family_exposed = ties.required("immediate_family_exposed", Reader::flag);
    // Not in the broker's reference for the USA: said only where there is something to say.
    let iiroc = ties.flag("is_affiliated_exchange_or_iiroc").filter(|affiliated| *affiliated);
    let named = vec![
        ("is_affiliated_exchange_or_iiroc", iiroc.map(Value::from)),
        ("is_discretionary", ties.flag("is_discretionary").map(Value::from)),
        ("employment_status", employment_status(&mut ties).map(Value::from)),
        ("employer_name", ties.line("employer_name").map(Value::from)),
        ("employer_address", ties.line("employer_address").map(Value::from)),
        ("employment_position", ties.line("employment_position").map(Value::from)),
    ];
    let others = with(ties.rest(), named);
    Some(Disclosures {
        is_control_person: is_control_person?,
        is_affiliated_exchange_or_finra: is_affiliated_exchange_or_finra?,
        is_politically_exposed: is_politically_exposed?,
        immediate_family_exposed: immediate_family_exposed?,
        others,
    })
}

/// In any case: the broker's pages write small letters, its library capitals.
fn employment_status(ties: &mut Reader<'_>) -> Option<&'static str> {
    const NAME: &str = "employment_status";
    match known(&ties.line(NAME)?.to_ascii_lowercase(), EMPLOYMENT_STATUSES) {
        Some(status) => Some(status),
        None => ties.violated(NAME, unknown(EMPLOYMENT_STATUSES)),
    }
}

/// `rest`, and those of `named` that there are.
pub(super) fn with(mut rest: Object, named: Vec<(&str, Option<Value>)>) -> Object {
    rest.extend(named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    rest
}
