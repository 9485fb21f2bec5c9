//! An application for a brokerage account.
//!
//! Nearly all of it is personal: `Debug` of these types shows no value, and none of them serialises. The
//! broker's wire form is made in one place of this crate, where it is sent.

use std::fmt;

use serde_json::{Map, Value, json};
use tidegate_domain::Secret;

/// An application for a brokerage account.
///
/// Values are passed on as they are: the broker judges them and says what is wrong
/// ([`crate::BrokerError::Invalid`]). Source: contract "Riven", section 3, request.
#[derive(Clone, PartialEq)]
pub struct Application {
    /// How to reach the applicant.
    pub contact: Contact,
    /// Who the applicant is.
    pub identity: Identity,
    /// Ties that regulators ask about.
    pub disclosures: Disclosures,
    /// What the applicant has agreed to.
    pub agreements: Vec<Agreement>,
    /// Proof, where it is at hand.
    pub documents: Vec<Document>,
    /// A person to turn to, as the broker spells it.
    pub trusted_contact: Option<Map<String, Value>>,
    /// Free text. The sandboxes read `/fixtures/status=REJECTED/fixtures/` in it.
    pub additional_information: Option<String>,
    /// Top-level fields passed on as they are: `account_type`, `currency`, `enabled_assets`, `beneficiaries`,
    /// ...
    pub others: Map<String, Value>,
}

/// How to reach the applicant.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Contact {
    /// E-mail address: one account each.
    pub email_address: String,
    /// Phone number with `+` and country code.
    pub phone_number: String,
    /// Lines of the address.
    pub street_address: Vec<String>,
    /// Flat or unit.
    pub unit: Option<String>,
    /// City.
    pub city: String,
    /// State; the broker wants it in the USA.
    pub state: Option<String>,
    /// Postal code.
    pub postal_code: Option<String>,
    /// Country, three letters.
    pub country: Option<String>,
}

/// Who the applicant is.
#[derive(Clone, Default, PartialEq)]
pub struct Identity {
    /// First name.
    pub given_name: String,
    /// Middle name.
    pub middle_name: Option<String>,
    /// Last name.
    pub family_name: String,
    /// `YYYY-MM-DD`.
    pub date_of_birth: String,
    /// Tax number. Goes to the broker and nowhere else.
    pub tax_id: Option<Secret>,
    /// What kind of number that is.
    pub tax_id_type: Option<String>,
    /// Country that taxes the applicant, three letters.
    pub country_of_tax_residence: String,
    /// Where the money comes from.
    pub funding_source: Vec<String>,
    /// The rest, passed on as it is: citizenship, visa, income, ...
    pub others: Map<String, Value>,
}

/// Ties that regulators ask about. Any of them makes the broker ask back.
#[derive(Clone, Default, PartialEq)]
pub struct Disclosures {
    /// Controls a listed company.
    pub is_control_person: bool,
    /// Works for an exchange or for FINRA.
    pub is_affiliated_exchange_or_finra: bool,
    /// Holds or held high public office.
    pub is_politically_exposed: bool,
    /// Has a close relative of whom one of these holds.
    pub immediate_family_exposed: bool,
    /// The rest, passed on as it is: employment, ...
    pub others: Map<String, Value>,
}

/// One agreement and the proof that it was made.
#[derive(Clone, PartialEq, Eq)]
pub struct Agreement {
    /// `customer_agreement`, `margin_agreement`, ...
    pub agreement: String,
    /// When, RFC 3339.
    pub signed_at: String,
    /// From which address.
    pub ip_address: String,
    /// Which edition of the text.
    pub revision: Option<String>,
}

/// One document.
#[derive(Clone, PartialEq)]
pub struct Document {
    /// `identity_verification`, `w8ben`, ...
    pub document_type: String,
    /// `passport`, `government_id_front`, ...
    pub document_sub_type: Option<String>,
    /// What it holds.
    pub content: DocumentContent,
    /// `application/pdf`, `image/png`, `image/jpeg`; `application/json` for a filled-in form.
    pub mime_type: String,
}

/// What a document holds: exactly one of two things.
#[derive(Clone, PartialEq)]
pub enum DocumentContent {
    /// A file in base64, at most 10 MB.
    File(Secret),
    /// A filled-in form such as the W-8BEN, as the broker spells its fields.
    Form(Map<String, Value>),
}

impl Disclosures {
    /// Whether the broker will ask back.
    pub(crate) fn any(&self) -> bool {
        self.is_control_person
            || self.is_affiliated_exchange_or_finra
            || self.is_politically_exposed
            || self.immediate_family_exposed
    }
}

impl Application {
    /// The body that opens the account: the tax number included, nulls and empty fields left out.
    pub(crate) fn wire(&self) -> Value {
        let mut identity = self.identity.wire();
        if let (Value::Object(identity), Some(tax_id)) = (&mut identity, &self.identity.tax_id) {
            identity.insert("tax_id".to_owned(), tax_id.expose().into());
        }
        let named = json!({
            "contact": self.contact.wire(),
            "identity": identity,
            "disclosures": self.disclosures.wire(),
            "agreements": self.agreements.iter().map(Agreement::wire).collect::<Vec<_>>(),
            "documents": self.documents.iter().map(Document::wire).collect::<Vec<_>>(),
            "trusted_contact": self.trusted_contact,
            "additional_information": self.additional_information,
        });
        merged(&self.others, named)
    }

    /// What must not come back in a broker's words: the broker may quote it in a complaint.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let mut secrets: Vec<Secret> = self.identity.tax_id.iter().cloned().collect();
        secrets.extend(Document::secrets(&self.documents));
        // Beneficiaries, guardians and owners have numbers too.
        for others in [&self.others, &self.identity.others, &self.disclosures.others] {
            tax_numbers(others, &mut secrets);
        }
        self.trusted_contact.iter().for_each(|contact| tax_numbers(contact, &mut secrets));
        secrets
    }
}

impl Contact {
    pub(crate) fn wire(&self) -> Value {
        merged(
            &Map::new(),
            json!({
                "email_address": self.email_address,
                "phone_number": self.phone_number,
                "street_address": self.street_address,
                "unit": self.unit,
                "city": self.city,
                "state": self.state,
                "postal_code": self.postal_code,
                "country": self.country,
            }),
        )
    }
}

impl Identity {
    /// All but the tax number.
    pub(crate) fn wire(&self) -> Value {
        merged(
            &self.others,
            json!({
                "given_name": self.given_name,
                "middle_name": self.middle_name,
                "family_name": self.family_name,
                "date_of_birth": self.date_of_birth,
                "tax_id_type": self.tax_id_type,
                "country_of_tax_residence": self.country_of_tax_residence,
                "funding_source": self.funding_source,
            }),
        )
    }
}

impl Disclosures {
    pub(crate) fn wire(&self) -> Value {
        merged(
            &self.others,
            json!({
                "is_control_person": self.is_control_person,
                "is_affiliated_exchange_or_finra": self.is_affiliated_exchange_or_finra,
                "is_politically_exposed": self.is_politically_exposed,
                "immediate_family_exposed": self.immediate_family_exposed,
            }),
        )
    }
}

impl Agreement {
    pub(crate) fn wire(&self) -> Value {
        merged(
            &Map::new(),
            json!({
                "agreement": self.agreement,
                "signed_at": self.signed_at,
                "ip_address": self.ip_address,
                "revision": self.revision,
            }),
        )
    }
}

impl Document {
    pub(crate) fn wire(&self) -> Value {
        let (content, content_data) = match &self.content {
            DocumentContent::File(base64) => (Some(base64.expose()), None),
            DocumentContent::Form(fields) => (None, Some(fields)),
        };
        merged(
            &Map::new(),
            json!({
                "document_type": self.document_type,
                "document_sub_type": self.document_sub_type,
                "content": content,
                "content_data": content_data,
                "mime_type": self.mime_type,
            }),
        )
    }

    /// Tax numbers inside forms. Files are too long to be quoted.
    pub(crate) fn secrets(documents: &[Self]) -> Vec<Secret> {
        let forms = documents.iter().filter_map(|document| match &document.content {
            DocumentContent::Form(fields) => Some(fields),
            DocumentContent::File(_) => None,
        });
        let mut secrets = Vec::new();
        forms.for_each(|fields| tax_numbers(fields, &mut secrets));
        secrets
    }
}

/// The tax numbers anywhere in `fields`. Depth is bounded by the JSON reader, which refuses more than 128 levels.
fn tax_numbers(fields: &Map<String, Value>, found: &mut Vec<Secret>) {
    for (name, value) in fields {
        match value {
            Value::String(number) if is_tax_number(name) => found.push(Secret::new(number.as_str())),
            Value::Number(number) if is_tax_number(name) => found.push(Secret::new(number.to_string())),
            _ => tax_numbers_within(value, found),
        }
    }
}

fn tax_numbers_within(value: &Value, found: &mut Vec<Secret>) {
    match value {
        Value::Object(fields) => tax_numbers(fields, found),
        Value::Array(values) => values.iter().for_each(|value| tax_numbers_within(value, found)),
        _ => {}
    }
}

/// Whether a field of this name holds a tax number.
pub fn is_tax_number(name: &str) -> bool {
    ["tax_id", "tax_id_ssn", "foreign_tax_id"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// `named` without its nulls, and what of `others` it does not name.
fn merged(others: &Map<String, Value>, named: Value) -> Value {
    let mut whole = others.clone();
    if let Value::Object(named) = named {
        whole.extend(named);
    }
    whole.retain(|_, value| !value.is_null());
    Value::Object(whole)
}

/// Debug output that names the type and shows nothing of the person.
macro_rules! hidden_debug {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}

hidden_debug!(Application Contact Identity Disclosures Agreement Document DocumentContent);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_exactly_one_kind_of_content() {
        let mut document = Document {
            document_type: "identity_verification".to_owned(),
            document_sub_type: None,
            content: DocumentContent::File(Secret::new("aGk=")),
            mime_type: "image/png".to_owned(),
        };
        assert_eq!(
            document.wire(),
            json!({"document_type": "identity_verification", "content": "aGk=", "mime_type": "image/png"})
        );
        document.content = DocumentContent::Form(Map::new());
        assert!(document.wire().get("content").is_none());
        assert!(document.wire().get("content_data").is_some());
    }

    #[test]
    fn what_is_named_wins_over_what_is_passed_on_and_nulls_are_left_out() {
        let others = json!({"city": "from others", "extra": 1, "empty": null});
        let others = others.as_object().unwrap();
        assert_eq!(
            merged(others, json!({"city": "named", "unit": null})),
            json!({"city": "named", "extra": 1})
        );
    }
}
