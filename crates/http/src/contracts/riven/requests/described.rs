//! What bodies look like that are read without a type of their own: for the API's description alone.
#![expect(dead_code, reason = "described, never made")]

use serde::Deserialize;
use serde_json::Value;
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::{KnownFormat, RefOr};
use utoipa::{PartialSchema, ToSchema};

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

/// One line of text, or a list.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(in super::super) enum Lines {
    /// One.
    One(Line),
    /// Several.
    Several(Vec<Line>),
}

/// A line of text.
#[derive(Deserialize, ToSchema)]
#[schema(format = "single-line", max_length = 500)]
pub(in super::super) struct Line(String);

/// One source of money, or a list.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(in super::super) enum FundingSources {
    /// One.
    One(FundingSource),
    /// Several.
    Several(Vec<FundingSource>),
}

/// Where money comes from.
#[derive(Deserialize, ToSchema)]
#[schema(format = "funding-source")]
pub(in super::super) struct FundingSource(String);

/// What can be traded: one kind, or a list.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(in super::super) enum Assets {
    /// One.
    One(Asset),
    /// Several.
    Several(Vec<Asset>),
}

/// A kind of what can be traded.
#[derive(Deserialize, ToSchema)]
#[schema(format = "asset")]
pub(in super::super) struct Asset(String);

/// An address of the Internet Protocol, version 4 or 6.
pub(in super::super) struct IpAddress;

impl ToSchema for IpAddress {}

impl PartialSchema for IpAddress {
    fn schema() -> RefOr<Schema> {
        let versions = [KnownFormat::Ipv4, KnownFormat::Ipv6].map(|version| {
            ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(version)))
        });
        versions.into_iter().fold(AnyOfBuilder::new(), AnyOfBuilder::item).into()
    }
}

/// A decimal number, as a JSON number or as text.
pub(in super::super) struct Decimal;

impl ToSchema for Decimal {}

impl PartialSchema for Decimal {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new().schema_type(Type::Number);
        let text =
            ObjectBuilder::new().schema_type(Type::String).pattern(Some(r"^-?[0-9]{1,20}(\.[0-9]{1,20})?$"));
        AnyOfBuilder::new().item(number).item(text).into()
    }
}

/// An application for a brokerage account. Nulls and empty strings are nothing. Below `identity` and `disclosures` fields that
/// are not named here are passed on to the broker; at the top those it has for other kinds of accounts, such as
/// `entity_identity` and `trading_configurations`. Numbers of more digits than a double keeps are refused: send them as strings.
#[derive(ToSchema)]
pub(in super::super) struct ApplicationBody {
    contact: ContactBody,
    identity: IdentityBody,
    disclosures: DisclosuresBody,
    agreements: Agreements,
    documents: Option<Documents>,
    trusted_contact: Option<TrustedContactBody>,
    #[schema(format = "account-type")]
    account_type: Option<String>,
    /// Of a retirement account.
    #[schema(format = "account-sub-type")]
    account_sub_type: Option<String>,
    /// What the account is kept in.
    #[schema(format = "currency")]
    currency: Option<String>,
    enabled_assets: Option<Assets>,
    /// Heirs of a retirement account.
    #[schema(value_type = Option<Vec<Object>>, max_items = 6)]
    beneficiaries: Option<Vec<Value>>,
    /// Free text. The sandbox reads `/fixtures/status=REJECTED/fixtures/` in it.
    #[schema(max_length = 4096)]
    additional_information: Option<String>,
}

/// How to reach the applicant.
#[derive(ToSchema)]
pub(in super::super) struct ContactBody {
    #[schema(format = "email")]
    email_address: String,
    /// The phone signed in with.
    #[schema(format = "phone")]
    phone_number: String,
    street_address: Lines,
    #[schema(format = "single-line", max_length = 500)]
    unit: Option<String>,
    #[schema(format = "single-line", max_length = 500)]
    city: String,
    /// Required in the USA.
    #[schema(format = "single-line", max_length = 500)]
    state: Option<String>,
    #[schema(format = "single-line", max_length = 500)]
    postal_code: Option<String>,
    /// Three letters; by default the country of tax residence.
    #[schema(format = "country")]
    country: Option<String>,
}

/// Somebody to ask when the applicant cannot be reached: by e-mail, by phone, or at an address with city and country.
#[derive(ToSchema)]
pub(in super::super) struct TrustedContactBody {
    #[schema(format = "single-line", max_length = 500)]
    given_name: String,
    #[schema(format = "single-line", max_length = 500)]
    family_name: String,
    #[schema(format = "email")]
    email_address: Option<String>,
    /// In any country.
    #[schema(format = "single-line", max_length = 64)]
    phone_number: Option<String>,
    street_address: Option<Lines>,
    #[schema(format = "single-line", max_length = 500)]
    city: Option<String>,
    #[schema(format = "single-line", max_length = 500)]
    state: Option<String>,
    #[schema(format = "single-line", max_length = 500)]
    postal_code: Option<String>,
    #[schema(format = "country")]
    country: Option<String>,
}

/// Who the applicant is.
#[derive(ToSchema)]
pub(in super::super) struct IdentityBody {
    #[schema(format = "single-line", max_length = 150)]
    given_name: String,
    #[schema(format = "single-line", max_length = 150)]
    middle_name: Option<String>,
    #[schema(format = "single-line", max_length = 150)]
    family_name: String,
    /// From 1900 to today.
    #[schema(format = "date-of-birth")]
    date_of_birth: String,
    /// Passed on to the broker, never kept, never answered.
    #[schema(format = "single-line", max_length = 64)]
    tax_id: Option<String>,
    /// Goes with `tax_id`.
    #[schema(format = "tax-id-type")]
    tax_id_type: Option<String>,
    #[schema(format = "country")]
    country_of_citizenship: Option<String>,
    #[schema(format = "country")]
    country_of_birth: Option<String>,
    #[schema(format = "country")]
    country_of_tax_residence: String,
    funding_source: FundingSources,
    /// Of people who live in the USA.
    #[schema(format = "visa-type")]
    visa_type: Option<String>,
    /// Goes with `visa_type`.
    #[schema(format = Date)]
    visa_expiration_date: Option<String>,
    /// Goes with a visitor's visa.
    #[schema(format = Date)]
    date_of_departure_from_usa: Option<String>,
    permanent_resident: Option<bool>,
    /// In US dollars, as are the other amounts.
    annual_income_min: Option<Decimal>,
    annual_income_max: Option<Decimal>,
    liquid_net_worth_min: Option<Decimal>,
    liquid_net_worth_max: Option<Decimal>,
    total_net_worth_min: Option<Decimal>,
    total_net_worth_max: Option<Decimal>,
}

/// Ties that regulators ask about.
#[derive(ToSchema)]
pub(in super::super) struct DisclosuresBody {
    is_control_person: bool,
    is_affiliated_exchange_or_finra: bool,
    is_politically_exposed: bool,
    immediate_family_exposed: bool,
    is_affiliated_exchange_or_iiroc: Option<bool>,
    is_discretionary: Option<bool>,
    #[schema(format = "employment-status")]
    employment_status: Option<String>,
    #[schema(format = "single-line", max_length = 500)]
    employer_name: Option<String>,
    #[schema(format = "single-line", max_length = 500)]
    employer_address: Option<String>,
    #[schema(format = "single-line", max_length = 500)]
    employment_position: Option<String>,
}

/// An agreement and the proof that it was made.
#[derive(Deserialize, ToSchema)]
pub(in super::super) struct AgreementBody {
    #[schema(format = "agreement")]
    agreement: String,
    #[schema(format = "instant")]
    signed_at: String,
    #[schema(value_type = IpAddress)]
    ip_address: String,
    #[schema(format = "single-line", max_length = 500)]
    revision: Option<String>,
}

/// A document: a file or a filled-in form.
#[derive(Deserialize, ToSchema)]
pub(in super::super) struct DocumentBody {
    #[schema(format = "document-type")]
    document_type: String,
    #[schema(format = "single-line", max_length = 500)]
    document_sub_type: Option<String>,
    /// A file of the `mime_type`, in base64, of at most 10 MB.
    content: Option<String>,
    /// The form of a `w8ben`.
    #[schema(value_type = Option<W8BenBody>)]
    content_data: Option<Value>,
    /// `application/json` for a form.
    #[schema(format = "document-mime-type")]
    mime_type: String,
}

/// The form W-8BEN. It has `foreign_tax_id` or `tax_id_ssn`, or says `ftin_not_required`. Countries are words, as on the form.
#[derive(ToSchema)]
pub(in super::super) struct W8BenBody {
    #[schema(format = "single-line", max_length = 500)]
    country_citizen: String,
    #[schema(format = "single-line", max_length = 500)]
    full_name: String,
    #[schema(format = "single-line", max_length = 500)]
    permanent_address_city_state: String,
    #[schema(format = "single-line", max_length = 500)]
    permanent_address_country: String,
    #[schema(format = "single-line", max_length = 500)]
    permanent_address_street: String,
    #[schema(format = "single-line", max_length = 500)]
    revision: String,
    #[schema(format = "single-line", max_length = 500)]
    signer_full_name: String,
    #[schema(format = Date)]
    date: String,
    #[schema(format = Date)]
    date_of_birth: String,
    #[schema(value_type = IpAddress)]
    ip_address: String,
    #[schema(format = "instant")]
    timestamp: String,
    #[schema(format = "single-line", max_length = 500)]
    foreign_tax_id: Option<String>,
    #[schema(format = "single-line", max_length = 500)]
    tax_id_ssn: Option<String>,
    ftin_not_required: Option<bool>,
}

/// One document; several as `documents[0][document_type]`, `documents[0][document]`, …
#[derive(ToSchema)]
pub(in super::super) struct KycForm {
    #[schema(format = "document-type")]
    document_type: String,
    #[schema(format = "single-line", max_length = 50)]
    document_sub_type: Option<String>,
    /// PDF, PNG or JPEG, of at most 10 MB.
    #[schema(value_type = String, format = Binary)]
    document: Vec<u8>,
}
