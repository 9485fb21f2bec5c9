mod documents;
mod properties;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tidegate_brokerage::failure::{Document, DocumentContent};
use tidegate_brokerage::operator_fields::OPERATOR_FIELDS;

use super::*;

const PHONE: &str = "+254712345678";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n....";

/// The contract's sample in its shape: single objects in place of lists, nulls, empty strings, the text "null".
fn sample() -> Value {
    json!({
        "account_type": "",
        "contact": {
            "email_address": " Amina.Odhiambo@Example.com",
            "phone_number": "0712 345 678",
            "street_address": "12 Moi Avenue",
            "unit": "null",
            "city": "Nairobi",
            "state": "",
            "postal_code": "00100",
        },
        "identity": {
            "given_name": "Amina",
            "middle_name": "null",
            "family_name": "Odhiambo",
            "date_of_birth": "1980-01-01",
            "tax_id": "A001234567Z",
            "tax_id_type": "NATIONAL_ID",
            "country_of_citizenship": "KEN",
            "country_of_birth": "ken",
            "country_of_tax_residence": "KEN",
            "funding_source": "employment_income",
            "is_force_finra_institutional": null,
            "investment_experience_with_stocks": null,
            "investment_experience_with_options": null,
            "investment_time_horizon": null,
            "annual_income_min": "10000.00",
            "annual_income_max": 20000,
        },
        "disclosures": {
            "is_control_person": false,
            "is_affiliated_exchange_or_finra": false,
            "is_affiliated_exchange_or_iiroc": false,
            "is_politically_exposed": false,
            "immediate_family_exposed": false,
            "is_discretionary": null,
            "employment_status": "EMPLOYED",
        },
        "agreements": {
            "agreement": "customer_agreement",
            "signed_at": "2020-09-11T18:09:33Z",
            "ip_address": "185.13.21.99",
            "revision": "19.2022.02",
        },
        "documents": {
            "document_type": "identity_verification",
            "document_sub_type": "passport",
            "content": STANDARD.encode(PNG),
            "content_data": null,
            "mime_type": "image/png",
        },
        "trusted_contact": {"given_name": "Jane", "family_name": "Doe", "email_address": "jane@example.com"},
        "additional_information": "",
        "minor_identity": null,
        "entity_id": null,
        "account_sub_type": null,
        "auto_approve": null,
        "beneficiaries": null,
        "trading_configurations": null,
        "currency": null,
        "enabled_assets": null,
        "instant": null,
        "entity_identity": null,
        "entity_contact": null,
        "authorized_individuals": null,
        "ultimate_beneficial_owners": null,
        "sub_correspondent": null,
    })
}

/// A W-8BEN as a filled-in form.
fn form() -> Value {
    json!({
        "document_type": "w8ben",
        "document_sub_type": "Form W-8BEN",
        "content": "",
        "content_data": {
            "country_citizen": "Kenya",
            "date": "2024-01-01",
            "date_of_birth": "1980-01-01",
            "foreign_tax_id": "A001234567Z",
            "tax_id_ssn": null,
            "full_name": "Amina Odhiambo",
            "ip_address": "185.13.21.99",
            "permanent_address_city_state": "Nairobi",
            "permanent_address_country": "Kenya",
            "permanent_address_street": "12 Moi Avenue",
            "revision": "10-2021",
            "signer_full_name": "Amina Odhiambo",
            "timestamp": "2024-01-01T12:00:00.5+03:00",
            "reference_number": "7",
        },
        "mime_type": "application/json",
    })
}

fn read(body: Value) -> Result<Application, Violations> {
    read_with(body, &[])
}

/// Reads an application where the operator lets applicants fill in these of their fields.
fn read_with(body: Value, operator_fields: &[String]) -> Result<Application, Violations> {
    let Value::Object(body) = body else { panic!("not an object") };
    let phone = PhoneNumber::from_stored(PHONE.to_owned());
    let now = Timestamp::from_seconds(1_704_110_400);
    let phone_rule = PhoneRule::default();
    application(body, &Caller { phone: Some(&phone), phone_rule: &phone_rule, now, operator_fields })
}

/// The sample with the value at `path` (dotted) replaced, or added.
fn with(path: &str, value: Value) -> Value {
    let mut body = sample();
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    let pointer = if parent.is_empty() { String::new() } else { format!("/{}", parent.replace('.', "/")) };
    body.pointer_mut(&pointer).unwrap()[name] = value;
    body
}

/// The sample with several documents.
fn with_documents(documents: Value) -> Value {
    with("documents", documents)
}

fn said(body: Value) -> Vec<String> {
    let violations = read(body).expect_err("accepted");
    violations.iter().map(|one| format!("{} {}", one.field, one.message)).collect()
}

/// What is said when the value at `path` is replaced.
fn complaints(path: &str, value: Value) -> Vec<String> {
    said(with(path, value))
}

#[test]
fn the_contracts_sample_is_read_into_the_brokers_shape() {
    let read = read(sample()).unwrap();
    let contact = &read.contact;
    assert_eq!(contact.email_address, "amina.odhiambo@example.com");
    assert_eq!(contact.phone_number, PHONE);
    assert_eq!(contact.street_address, ["12 Moi Avenue"]);
    assert_eq!((contact.unit.as_deref(), contact.state.as_deref()), (None, None));
    assert_eq!((contact.city.as_str(), contact.postal_code.as_deref()), ("Nairobi", Some("00100")));
    assert_eq!(contact.country.as_deref(), Some("KEN"));

    let identity = &read.identity;
    assert_eq!((identity.given_name.as_str(), identity.family_name.as_str()), ("Amina", "Odhiambo"));
    assert_eq!(identity.middle_name, None);
    assert_eq!(identity.date_of_birth, "1980-01-01");
    assert_eq!(identity.tax_id.as_ref().unwrap().expose(), "A001234567Z");
    assert_eq!(identity.tax_id_type.as_deref(), Some("NATIONAL_ID"));
    assert_eq!(identity.country_of_tax_residence, "KEN");
    assert_eq!(identity.funding_source, ["employment_income"]);
    assert_eq!(
        Value::Object(identity.others.clone()),
        json!({
            "country_of_citizenship": "KEN", "country_of_birth": "KEN",
            "annual_income_min": "10000.00", "annual_income_max": 20000,
        })
    );

    assert!(!read.disclosures.is_control_person);
    assert_eq!(Value::Object(read.disclosures.others.clone()), json!({"employment_status": "employed"}));
    let [agreement] = read.agreements.as_slice() else { panic!("one agreement") };
    assert_eq!(agreement.agreement, "customer_agreement");
    assert_eq!(agreement.signed_at, "2020-09-11T18:09:33Z");
    assert_eq!(agreement.ip_address, "185.13.21.99");
    assert_eq!(agreement.revision.as_deref(), Some("19.2022.02"));
    let png = Document {
        document_type: "identity_verification".to_owned(),
        document_sub_type: Some("passport".to_owned()),
        content: DocumentContent::File(tidegate_domain::Secret::new(STANDARD.encode(PNG))),
        mime_type: "image/png".to_owned(),
    };
    assert_eq!(read.documents, [png]);
    assert_eq!(
        read.trusted_contact.map(Value::Object),
        Some(json!({"given_name": "Jane", "family_name": "Doe", "email_address": "jane@example.com"}))
    );
    assert_eq!(read.additional_information, None);
    assert_eq!(read.others, Object::new());
}

#[test]
fn lists_may_be_lists() {
    let mut body = with_documents(json!([null, sample()["documents"], form()]));
    body["contact"]["street_address"] = json!(["12 Moi Avenue", "", null, "3rd floor "]);
    body["identity"]["funding_source"] = json!(["savings", "family"]);
    body["agreements"] = json!([sample()["agreements"], null]);
    let read = read(body).unwrap();
    assert_eq!(read.contact.street_address, ["12 Moi Avenue", "3rd floor"]);
    assert_eq!(read.identity.funding_source, ["savings", "family"]);
    assert_eq!(read.agreements.len(), 1);
    let [_, form_read] = read.documents.as_slice() else { panic!("two documents") };
    let mut wanted = form()["content_data"].clone();
    wanted.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let DocumentContent::Form(fields) = &form_read.content else { panic!("no form") };
    assert_eq!(Value::Object(fields.clone()), wanted);
    assert_eq!(form_read.mime_type, "application/json");
}

#[test]
fn an_empty_body_is_told_what_is_missing() {
    assert_eq!(
        said(json!({})),
        ["contact is required", "identity is required", "disclosures is required", "agreements is required"]
    );
    let mut body = sample();
    for part in ["contact", "identity", "disclosures", "agreements"] {
        body[part] = json!({});
    }
    assert_eq!(
        said(body),
        [
            "contact.email_address",
            "contact.phone_number",
            "contact.street_address",
            "contact.city",
            "identity.given_name",
            "identity.family_name",
            "identity.date_of_birth",
            "identity.country_of_tax_residence",
            "identity.funding_source",
            "disclosures.is_control_person",
            "disclosures.is_affiliated_exchange_or_finra",
            "disclosures.is_politically_exposed",
            "disclosures.immediate_family_exposed",
            "agreements.0.agreement",
            "agreements.0.signed_at",
            "agreements.0.ip_address",
        ]
        .map(|field| format!("{field} is required"))
    );
}

#[test]
fn nothing_in_a_required_field_is_missing() {
    for nothing in [json!(null), json!(""), json!(" \t"), json!([]), json!([null, ""])] {
        for field in [
            "contact",
            "contact.email_address",
            "contact.phone_number",
            "contact.street_address",
            "contact.city",
            "identity.given_name",
            "identity.date_of_birth",
            "identity.funding_source",
            "disclosures.is_control_person",
            "agreements",
            "agreements.agreement",
            "agreements.signed_at",
            "agreements.ip_address",
            "documents.document_type",
            "documents.mime_type",
            "trusted_contact.family_name",
        ] {
            let path = field.replace("agreements.", "agreements.0.").replace("documents.", "documents.0.");
            assert_eq!(complaints(field, nothing.clone()), [format!("{path} is required")], "{nothing}");
        }
    }
}

#[test]
fn wrong_types_are_said_so() {
    let wrong = [json!(7), json!(true), json!({"a": 1}), json!([1])];
    for field in ["contact.email_address", "contact.city", "identity.given_name", "agreements.signed_at"] {
        for value in &wrong {
            let path = field.replace("agreements", "agreements.0");
            assert_eq!(complaints(field, value.clone()), [format!("{path} must be a string")]);
        }
    }
    for (field, value, said) in [
        ("contact", json!("x"), "contact must be an object"),
        ("identity", json!([{}]), "identity must be an object"),
        ("trusted_contact", json!(1), "trusted_contact must be an object"),
        ("agreements", json!("x"), "agreements.0 must be an object"),
        ("documents", json!([{}, 1]), "documents.1 must be an object"),
        ("contact.street_address", json!(1), "contact.street_address.0 must be a string"),
        ("contact.unit", json!(1), "contact.unit must be a string"),
        (
            "disclosures.is_control_person",
            json!("true"),
            "disclosures.is_control_person must be true or false",
        ),
        ("disclosures.is_discretionary", json!(0), "disclosures.is_discretionary must be true or false"),
        ("identity.permanent_resident", json!("no"), "identity.permanent_resident must be true or false"),
        ("identity.tax_id", json!(123), "identity.tax_id must be a string"),
        ("documents.content_data", json!("x"), "documents.0.content_data must be an object"),
        ("documents.content", json!(1), "documents.0.content must be a string"),
        ("additional_information", json!({}), "additional_information must be a string"),
    ] {
        assert!(complaints(field, value).contains(&said.to_owned()), "{said}");
    }
}

#[test]
fn lists_and_texts_have_their_limits() {
    assert_eq!(complaints("agreements", json!(vec![1; 21])), ["agreements must have at most 20 entries"]);
    assert_eq!(
        complaints("contact.city", json!("x".repeat(501))),
        ["contact.city must be at most 500 characters"]
    );
    assert_eq!(
        complaints("identity.given_name", json!("x".repeat(151))),
        ["identity.given_name must be at most 150 characters"]
    );
    assert_eq!(
        complaints("identity.family_name", json!("a\0b")),
        ["identity.family_name must not contain control characters"]
    );
    assert_eq!(
        complaints("additional_information", json!("x".repeat(4_097))),
        ["additional_information must be at most 4096 characters"]
    );
    assert_eq!(
        complaints("beneficiaries", json!(vec![json!({"given_name": "A"}); 7])),
        ["beneficiaries must be at most 6"]
    );
}

#[test]
fn the_phone_number_is_the_callers_own() {
    for spelling in [PHONE, "254712345678", "0712-345-678"] {
        let read = read(with("contact.phone_number", json!(spelling))).unwrap();
        assert_eq!(read.contact.phone_number, PHONE);
    }
    assert_eq!(
        complaints("contact.phone_number", json!("0712345679")),
        ["contact.phone_number must be the phone number you signed in with"]
    );
    for text in ["+14155552671", "x", "0712345678 and more"] {
        assert_eq!(
            complaints("contact.phone_number", json!(text)),
            ["contact.phone_number must be a valid mobile phone number"]
        );
    }
    let Value::Object(body) = sample() else { panic!() };
    let nobody = Caller {
        phone: None,
        phone_rule: &PhoneRule::default(),
        now: Timestamp::default(),
        operator_fields: &[],
    };
    let refused = application(body, &nobody).unwrap_err();
    assert!(refused.summary().contains("contact.phone_number must be the phone number you signed in with"));
}

#[test]
fn addresses_are_checked_where_they_can_be() {
    assert_eq!(
        complaints("contact.email_address", json!("amina")),
        ["contact.email_address must be a valid e-mail address of at most 254 characters"]
    );
    assert_eq!(
        complaints("agreements.ip_address", json!("185.13.21")),
        ["agreements.0.ip_address must be an IP address"]
    );
    let read = read(with("agreements.ip_address", json!("2001:DB8::0:1"))).unwrap();
    assert_eq!(read.agreements[0].ip_address, "2001:db8::1");
    let countries = ["contact.country", "identity.country_of_tax_residence", "identity.country_of_birth"];
    for field in countries {
        for value in ["KE", "Kenya", "K3N"] {
            let said = format!("{field} must be a country code of three letters, as in ISO 3166-1");
            assert_eq!(complaints(field, json!(value)), [said]);
        }
    }
}

#[test]
fn a_country_of_its_own_wins_over_tax_residence() {
    let read = read(with("contact.country", json!(" uga "))).unwrap();
    assert_eq!(read.contact.country.as_deref(), Some("UGA"));
}

#[test]
fn the_usa_have_states() {
    for field in ["contact.country", "identity.country_of_tax_residence"] {
        assert_eq!(complaints(field, json!("usa")), ["contact.state is required"]);
    }
    let mut body = with("contact.country", json!("USA"));
    body["contact"]["state"] = json!("CA");
    assert_eq!(read(body).unwrap().contact.state.as_deref(), Some("CA"));
}

#[test]
fn a_tax_number_has_a_kind_and_a_kind_a_number() {
    assert_eq!(
        complaints("identity.tax_id_type", json!("")),
        ["identity.tax_id_type is required with tax_id"]
    );
    assert_eq!(complaints("identity.tax_id", json!(null)), ["identity.tax_id is required with tax_id_type"]);
    assert_eq!(
        complaints("identity.tax_id_type", json!("KRA_PIN")),
        ["identity.tax_id_type is not one of the values in the broker's list"]
    );
    let mut body = with("identity.tax_id", json!(""));
    body["identity"]["tax_id_type"] = json!(null);
    let identity = read(body).unwrap().identity;
    assert_eq!((identity.tax_id, identity.tax_id_type), (None, None));
}

#[test]
fn a_birth_is_a_day_that_was() {
    for (date, said) in [
        ("1980-02-30", "must be a date, YYYY-MM-DD"),
        ("01/01/1980", "must be a date, YYYY-MM-DD"),
        ("1980-01-01T00:00:00Z", "must be a date, YYYY-MM-DD"),
        ("2024-01-02", "must not be in the future"),
        ("1899-12-31", "must not be before 1900"),
    ] {
        let said = format!("identity.date_of_birth {said}");
        assert_eq!(complaints("identity.date_of_birth", json!(date)), [said]);
    }
    assert!(read(with("identity.date_of_birth", json!("2024-01-01"))).is_ok());
}

#[test]
fn visas_come_with_their_dates() {
    assert_eq!(complaints("identity.visa_type", json!("H1B")), ["identity.visa_expiration_date is required"]);
    assert_eq!(
        complaints("identity.visa_type", json!("B2")),
        ["identity.visa_expiration_date is required", "identity.date_of_departure_from_usa is required"]
    );
    assert_eq!(
        complaints("identity.visa_expiration_date", json!("soon")),
        ["identity.visa_expiration_date must be a date, YYYY-MM-DD"]
    );
    assert!(
        complaints("identity.visa_type", json!("B3"))[0]
            .starts_with("identity.visa_type must be one of B1, B2,")
    );
    for visa in ["Other", "OTHER"] {
        let mut body = with("identity.visa_type", json!(visa));
        body["identity"]["visa_expiration_date"] = json!("2030-01-01");
        body["identity"]["permanent_resident"] = json!(false);
        let others = read(body).unwrap().identity.others;
        assert_eq!(others["visa_type"], visa);
        assert_eq!(others["visa_expiration_date"], "2030-01-01");
        assert_eq!(others["permanent_resident"], false);
    }
}

#[test]
fn amounts_are_numbers_or_decimals_in_text() {
    for value in [json!(0), json!(1.5), json!("0"), json!("12.50"), json!("-3")] {
        let read = read(with("identity.total_net_worth_max", value.clone())).unwrap();
        assert_eq!(read.identity.others["total_net_worth_max"], value);
    }
    for value in [
        json!("1,000"),
        json!("1e3"),
        json!("."),
        json!("1."),
        json!(true),
        json!("$5"),
        json!("9".repeat(21)),
    ] {
        assert_eq!(
            complaints("identity.liquid_net_worth_min", value),
            ["identity.liquid_net_worth_min must be a decimal number"]
        );
    }
}

#[test]
fn words_are_those_of_the_vocabulary() {
    for (field, path) in [
        ("identity.funding_source", "identity.funding_source.0"),
        ("disclosures.employment_status", "disclosures.employment_status"),
        ("agreements.agreement", "agreements.0.agreement"),
        ("documents.document_type", "documents.0.document_type"),
        ("account_type", "account_type"),
        ("account_sub_type", "account_sub_type"),
        ("currency", "currency"),
        ("enabled_assets", "enabled_assets.0"),
    ] {
        let said = complaints(field, json!("lottery"));
        assert!(said.len() == 1 && said[0].starts_with(&format!("{path} must be one of ")), "{said:?}");
    }
    assert_eq!(
        complaints("identity.funding_source", json!(["savings", 5, "lottery"])).len(),
        2,
        "each entry is told of"
    );
}

#[test]
fn ties_are_told_where_there_are_any() {
    let mut body = with("disclosures.is_affiliated_exchange_or_iiroc", json!(true));
    body["disclosures"]["is_politically_exposed"] = json!(true);
    body["disclosures"]["is_discretionary"] = json!(false);
    body["disclosures"]["employment_status"] = json!("Retired");
    body["disclosures"]["employer_name"] = json!("");
    body["disclosures"]["context"] = json!({"given_name": "A", "x": null});
    let read = read(body).unwrap().disclosures;
    assert!(read.is_politically_exposed);
    assert_eq!(
        Value::Object(read.others),
        json!({
            "is_affiliated_exchange_or_iiroc": true, "is_discretionary": false, "employment_status": "retired",
            "context": {"given_name": "A"},
        })
    );
}

#[test]
fn signatures_have_an_instant() {
    for text in ["2020-09-11", "yesterday", "2020-09-11T18:09:33"] {
        assert_eq!(
            complaints("agreements.signed_at", json!(text)),
            ["agreements.0.signed_at must be a timestamp of RFC 3339, such as 2024-01-01T12:00:00Z"]
        );
    }
}

#[test]
fn a_trusted_contact_can_be_reached() {
    let person = |extra: Value| {
        let mut person = json!({"given_name": "Jane", "family_name": "Doe"});
        person.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        with("trusted_contact", person)
    };
    assert_eq!(
        said(person(json!({"phone_number": ""}))),
        ["trusted_contact.email_address is required, or phone_number, or street_address"]
    );
    assert_eq!(
        said(person(json!({"street_address": "1 High St"}))),
        [
            "trusted_contact.city is required with street_address",
            "trusted_contact.country is required with street_address"
        ]
    );
    let read_person = |extra| Value::Object(read(person(extra)).unwrap().trusted_contact.unwrap());
    let at_home = json!({"street_address": "1 High St", "city": "Leeds", "country": "gbr", "unknown": 1});
    assert_eq!(
        read_person(at_home),
        json!({
            "given_name": "Jane", "family_name": "Doe",
            "street_address": ["1 High St"], "city": "Leeds", "country": "GBR",
        })
    );
    assert_eq!(read_person(json!({"phone_number": "0712345679"}))["phone_number"], "+254712345679");
    assert_eq!(read_person(json!({"phone_number": "+44 113 496 0000"}))["phone_number"], "+44 113 496 0000");
    let nobody = with("trusted_contact", json!({"given_name": "", "email_address": null}));
    assert_eq!(read(nobody).unwrap().trusted_contact, None);
}

#[test]
fn what_the_contract_does_not_name_is_passed_on() {
    let mut body = sample();
    body["account_type"] = json!("ira");
    body["account_sub_type"] = json!("roth");
    body["currency"] = json!("USD");
    body["enabled_assets"] = json!("us_equity");
    body["auto_approve"] = json!(true);
    body["beneficiaries"] = json!({"given_name": "Ben", "tax_id": "1", "middle_name": ""});
    body["cash_interest"] = json!({"USD": {"apr_tier_name": "tier1"}, "EUR": null});
    body["additional_information"] = json!("/fixtures/status=REJECTED/fixtures/");
    body["identity"]["extra"] = json!({"a": [1, null]});
    body["contact"]["fax"] = json!("dropped");
    body["agreements"]["fax"] = json!("dropped");
    let listed = ["auto_approve".to_owned()];
    assert_eq!(read_with(body.clone(), &listed).unwrap().others["auto_approve"], true);
    let read = read(body).unwrap();
    assert_eq!(
        Value::Object(read.others),
        json!({
            "account_type": "ira", "account_sub_type": "roth", "currency": "USD", "enabled_assets": ["us_equity"],
            "beneficiaries": [{"given_name": "Ben", "tax_id": "1"}],
            "cash_interest": {"USD": {"apr_tier_name": "tier1"}},
        })
    );
    assert_eq!(read.additional_information.as_deref(), Some("/fixtures/status=REJECTED/fixtures/"));
    assert_eq!(read.identity.others["extra"], json!({"a": [1]}));
}

#[test]
fn an_applicant_vouches_for_nothing_unless_the_operator_lists_the_field() {
    let mut body = sample();
    for name in OPERATOR_FIELDS {
        body[name] = json!({"given_name": "Mallory", "level": 2});
    }
    assert_eq!(read(body.clone()).unwrap().others, read(sample()).unwrap().others);
    let [first, ..] = OPERATOR_FIELDS;
    let others = read_with(body.clone(), &[first.to_owned()]).unwrap().others;
    let passed: Vec<_> = OPERATOR_FIELDS.into_iter().filter(|name| others.contains_key(*name)).collect();
    assert_eq!(passed, [first]);
    // A list in the configuration opens nothing else.
    body["kyc_results"] = json!({"decision": "APPROVED"});
    let others = read_with(body, &["kyc_results".to_owned()]).unwrap().others;
    assert!(!others.contains_key("kyc_results"));
}

#[test]
fn nothing_stands_in_for_a_field_that_was_looked_at() {
    let mut body = sample();
    for name in ["Contact", "TAX_ID", "tax_id", "Documents"] {
        body[name] = json!({"tax_id": "2"});
    }
    body["identity"]["Tax_Id"] = json!("2");
    body["identity"]["foreign_tax_id"] = json!("2");
    body["identity"]["extra"] = json!({"tax_id": "2"});
    body["disclosures"]["tax_id"] = json!("2");
    body["disclosures"]["IS_CONTROL_PERSON"] = json!(true);
    assert!(read(body).unwrap() == read(sample()).unwrap());
}

#[test]
fn nothing_personal_is_shown() {
    let shown = format!("{:?}", read(sample()).unwrap());
    for personal in ["Amina", "A001234567Z", PHONE, "Moi Avenue", "example.com"] {
        assert!(!shown.contains(personal), "{shown}");
    }
}
