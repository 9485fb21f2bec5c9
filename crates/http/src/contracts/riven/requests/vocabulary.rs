//! The broker's words: section 3, enums.

/// What a document proves.
pub(super) const DOCUMENT_TYPES: &[&str] = &[
    "identity_verification",
    "address_verification",
    "date_of_birth_verification",
    "tax_id_verification",
    "account_approval_letter",
    "limited_trading_authorization",
    W8BEN,
    "social_security_number_verification",
    "cip_result",
    "other",
];
/// The one document that may come as a filled-in form instead of a file.
pub(super) const W8BEN: &str = "w8ben";

/// What can be agreed to.
pub(super) const AGREEMENTS: &[&str] = &[
    "customer_agreement",
    "account_agreement",
    "margin_agreement",
    "crypto_agreement",
    "options_agreement",
    "custodial_customer_agreement",
];

/// Where money comes from.
pub(super) const FUNDING_SOURCES: &[&str] =
    &["employment_income", "investments", "inheritance", "business_income", "savings", "family"];

/// Kinds of tax numbers.
pub(super) const TAX_ID_TYPES: &[&str] = &[
    "USA_SSN",
    "USA_ITIN",
    "ARG_AR_CUIT",
    "AUS_TFN",
    "AUS_ABN",
    "BOL_NIT",
    "BRA_CPF",
    "CHL_RUT",
    "COL_NIT",
    "CRI_NITE",
    "DEU_TAX_ID",
    "DOM_RNC",
    "ECU_RUC",
    "FRA_SPI",
    "GBR_UTR",
    "GBR_NINO",
    "GTM_NIT",
    "HND_RTN",
    "HUN_TIN",
    "IDN_KTP",
    "IND_PAN",
    "ISR_TAX_ID",
    "ITA_TAX_ID",
    "JPN_TAX_ID",
    "MEX_RFC",
    "NIC_RUC",
    "NLD_TIN",
    "PAN_RUC",
    "PER_RUC",
    "PRY_RUC",
    "SGP_NRIC",
    "SGP_FIN",
    "SGP_ASGD",
    "SGP_ITR",
    "SLV_NIT",
    "SWE_TAX_ID",
    "URY_RUT",
    "VEN_RIF",
    "NATIONAL_ID",
    "PASSPORT",
    "PERMANENT_RESIDENT",
    "DRIVER_LICENSE",
    "OTHER_GOV_ID",
    "NOT_SPECIFIED",
];

/// Visas of people who live in the USA. The broker's pages write `Other`, its library `OTHER`.
pub(super) const VISA_TYPES: &[&str] =
    &["B1", "B2", "DACA", "E1", "E2", "E3", "F1", "G4", "H1B", "J1", "L1", "O1", "TN1", "Other", "OTHER"];
/// Those of visitors, who leave again.
pub(super) const VISITORS_VISAS: &[&str] = &["B1", "B2"];

/// What people do for a living.
pub(super) const EMPLOYMENT_STATUSES: &[&str] = &["unemployed", "employed", "student", "retired"];

/// Kinds of accounts.
pub(super) const ACCOUNT_TYPES: &[&str] = &["trading", "custodial", "donor_advised", "ira", "hsa"];
/// Kinds of retirement accounts.
pub(super) const ACCOUNT_SUB_TYPES: &[&str] = &["traditional", "roth"];

/// What an account may trade.
pub(super) const ASSETS: &[&str] = &["us_equity", "us_option", "crypto"];

/// What an account may be kept in.
pub(super) const CURRENCIES: &[&str] = &[
    "USD", "GBP", "CHF", "EUR", "CAD", "JPY", "TRY", "AUD", "CZK", "SEK", "DKK", "SGD", "HKD", "HUF", "NZD",
    "NOK", "PLN",
];

/// `word` in the vocabulary's own text.
pub(super) fn known(word: &str, vocabulary: &'static [&'static str]) -> Option<&'static str> {
    vocabulary.iter().copied().find(|known| *known == word)
}

/// What to say about a word that is not in the vocabulary: all of it, where that can be read.
pub(super) fn unknown(vocabulary: &[&str]) -> String {
    const READABLE: usize = 20;
    if vocabulary.len() > READABLE {
        return "is not one of the values in the broker's list".to_owned();
    }
    format!("must be one of {}", vocabulary.join(", "))
}
