//! What bodies look like that are read without a type of their own: for the API's description alone.
#![expect(dead_code, reason = "described, never made")]

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

/// One agreement, or a list.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(in super::super) enum Agreements {
    /// One.
    One(AgreementBody),
    /// Several.
    Several(Vec<AgreementBody>),
}

/// One document, or a list.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(in super::super) enum Documents {
    /// One.
    One(DocumentBody),
    /// Several.
    Several(Vec<DocumentBody>),
}

/// One text, or a list.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(in super::super) enum Texts {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// An application for a brokerage account. Nulls and empty strings are nothing. Below `identity` and `disclosures` fields that
/// are not named here are passed on to the broker; at the top those it has for other kinds of accounts, such as
/// `beneficiaries` and `trading_configurations`.
#[derive(ToSchema)]
pub(in super::super) struct ApplicationBody {
    contact: ContactBody,
    identity: IdentityBody,
    disclosures: DisclosuresBody,
    agreements: Agreements,
    documents: Option<Documents>,
    /// First and last name, and an address, phone number or e-mail address.
    #[schema(value_type = Option<Object>)]
    trusted_contact: Option<Value>,
    /// `trading`, `custodial`, `donor_advised`, `ira` or `hsa`.
    account_type: Option<String>,
    /// Free text. The sandbox reads `/fixtures/status=REJECTED/fixtures/` in it.
    additional_information: Option<String>,
}

/// How to reach the applicant.
#[derive(ToSchema)]
pub(in super::super) struct ContactBody {
    email_address: String,
    /// The phone signed in with.
    phone_number: String,
    /// One line, or a list of lines.
    street_address: Texts,
    unit: Option<String>,
    city: String,
    /// Required in the USA.
    state: Option<String>,
    postal_code: Option<String>,
    /// Three letters; by default the country of tax residence.
    country: Option<String>,
}

/// Who the applicant is.
#[derive(ToSchema)]
pub(in super::super) struct IdentityBody {
    given_name: String,
    middle_name: Option<String>,
    family_name: String,
    #[schema(format = "date")]
    date_of_birth: String,
    /// Passed on to the broker, never kept, never answered.
    tax_id: Option<String>,
    /// Goes with `tax_id`: `NATIONAL_ID`, `USA_SSN`, …
    tax_id_type: Option<String>,
    country_of_citizenship: Option<String>,
    country_of_birth: Option<String>,
    country_of_tax_residence: String,
    /// One, or a list, of `employment_income`, `investments`, `inheritance`, `business_income`, `savings`, `family`.
    funding_source: Texts,
}

/// Ties that regulators ask about.
#[derive(ToSchema)]
pub(in super::super) struct DisclosuresBody {
    is_control_person: bool,
    is_affiliated_exchange_or_finra: bool,
    is_politically_exposed: bool,
    immediate_family_exposed: bool,
    employment_status: Option<String>,
}

/// An agreement and the proof that it was made.
#[derive(Deserialize, ToSchema)]
pub(in super::super) struct AgreementBody {
    /// `customer_agreement`, `account_agreement`, `margin_agreement`, …
    agreement: String,
    #[schema(format = "date-time")]
    signed_at: String,
    ip_address: String,
    revision: Option<String>,
}

/// A document: a file or a filled-in form.
#[derive(Deserialize, ToSchema)]
pub(in super::super) struct DocumentBody {
    /// `identity_verification`, `address_verification`, `w8ben`, …
    document_type: String,
    document_sub_type: Option<String>,
    /// A file in base64, of at most 10 MB.
    content: Option<String>,
    /// A form, such as the W-8BEN.
    #[schema(value_type = Option<Object>)]
    content_data: Option<Value>,
    /// `application/pdf`, `image/png`, `image/jpeg`; `application/json` for a form.
    mime_type: String,
}

/// One document; several as `documents[0][document_type]`, `documents[0][document]`, …
#[derive(ToSchema)]
pub(in super::super) struct KycForm {
    /// `identity_verification`, `address_verification`, …
    document_type: String,
    document_sub_type: Option<String>,
    /// PDF, PNG or JPEG, of at most 10 MB.
    #[schema(value_type = String, format = Binary)]
    document: Vec<u8>,
}
