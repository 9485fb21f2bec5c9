//! An account as the broker reports it.
//!
//! Reading is tolerant: the account may stand at the top level or inside `account`, statuses may be new,
//! numbers may be strings or numbers, and anything but the id may be missing. Tax numbers are dropped before
//! any other code sees them.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::application::is_tax_number;
use crate::status::AccountStatus;

/// A brokerage account. `Debug` shows its id and status alone.
///
/// Source: contract "Riven", section 3, response account.
#[derive(Clone, PartialEq)]
pub struct Account {
    /// The broker's id of it.
    pub id: Uuid,
    /// Its state.
    pub status: AccountStatus,
    /// The status of its crypto side.
    pub crypto_status: Option<AccountStatus>,
    /// The number people quote.
    pub account_number: Option<String>,
    /// Currency of the amounts, `USD` by default.
    pub currency: Option<String>,
    /// Equity at the last close of the market.
    pub last_equity: Option<Amount>,
    /// When it was opened, RFC 3339 as the broker writes it.
    pub created_at: Option<String>,
    /// What the identity check found.
    pub kyc_results: Option<KycResults>,
    profile: Map<String, Value>,
}

impl Account {
    /// Reads one account; `None` for what is none, because it has no id or no status.
    pub(crate) fn read(value: Value) -> Option<Self> {
        let Value::Object(mut profile) = value else { return None };
        if !profile.contains_key("id")
            && let Some(Value::Object(inner)) = profile.remove("account")
        {
            profile = inner;
        }
        clean(&mut profile);
        let text = |name: &str| profile.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            id: Uuid::parse_str(profile.get("id")?.as_str()?).ok()?,
            status: profile.get("status")?.as_str()?.into(),
            crypto_status: text("crypto_status").as_deref().map(AccountStatus::from),
            account_number: text("account_number"),
            currency: text("currency"),
            last_equity: profile.get("last_equity").and_then(Amount::read),
            created_at: text("created_at"),
            kyc_results: profile.get("kyc_results").and_then(KycResults::read),
            profile,
        })
    }

    /// The whole account in the broker's form: contact, identity, documents, ... No tax
    /// number.
    pub fn profile(&self) -> &Map<String, Value> {
        &self.profile
    }

    /// The same, for the one who passes it on.
    pub fn into_profile(self) -> Map<String, Value> {
        self.profile
    }

    /// Whether the account was opened with this e-mail address, whatever its case.
    pub fn has_email(&self, email: &str) -> bool {
        let contact = self.profile.get("contact").and_then(|contact| contact.get("email_address"));
        contact.and_then(Value::as_str).is_some_and(|own| same_email(own, email))
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("id", &self.id).field("status", &self.status).finish_non_exhaustive()
    }
}

/// The form in which two spellings of one e-mail address are compared.
pub(crate) fn email_key(email: &str) -> String {
    email.trim().to_lowercase()
}

fn same_email(left: &str, right: &str) -> bool {
    email_key(left) == email_key(right)
}

/// Takes out tax numbers wherever they stand, and the word `null` where the broker wrote it in place of
/// nothing.
fn clean(profile: &mut Map<String, Value>) {
    for (parent, field) in [("contact", "unit"), ("identity", "middle_name")] {
        let value = profile.get_mut(parent).and_then(|parent| parent.get_mut(field));
        if let Some(value) = value.filter(|value| *value == "null") {
            *value = Value::Null;
        }
    }
    drop_tax_numbers(profile);
}

/// Depth is bounded by the JSON reader, which refuses more than 128 levels.
pub(crate) fn drop_tax_numbers(object: &mut Map<String, Value>) {
    object.retain(|name, _| !is_tax_number(name));
    object.values_mut().for_each(drop_within);
}

fn drop_within(value: &mut Value) {
    match value {
        Value::Object(object) => drop_tax_numbers(object),
        Value::Array(values) => values.iter_mut().for_each(drop_within),
        _ => {}
    }
}

/// A decimal number, kept as the text the broker wrote: money is not binary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Amount(String);

impl Amount {
    /// Reads a JSON string or number; `None` for what is no decimal number.
    pub(crate) fn read(value: &Value) -> Option<Self> {
        let text = match value {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let is_decimal = text.len() <= 64
            && text.bytes().any(|b| b.is_ascii_digit())
            && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'))
            && text.parse::<f64>().is_ok();
        is_decimal.then_some(Self(text))
    }

    /// The number as text, `"13058.62"`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the identity check found: codes such as `IDENTITY_VERIFICATION` or `W8BEN_CORRECTION`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KycResults {
    /// What passed.
    pub accept: Vec<String>,
    /// What could not be decided.
    pub indeterminate: Vec<String>,
    /// What failed.
    pub reject: Vec<String>,
    /// `pass` or `fail`.
    pub summary: Option<String>,
}

impl KycResults {
    pub(crate) fn read(value: &Value) -> Option<Self> {
        let results = value.as_object()?;
        // Objects keyed by code in the reference, arrays in our contract's sample.
        let codes = |name: &str| match results.get(name) {
            Some(Value::Object(codes)) => codes.keys().cloned().collect(),
            Some(Value::Array(codes)) => codes.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        Some(Self {
            accept: codes("accept"),
            indeterminate: codes("indeterminate"),
            reject: codes("reject"),
            summary: results.get("summary").and_then(Value::as_str).map(str::to_owned),
        })
    }
}

/// The money side of an account. `Debug` shows nothing of it.
///
/// Source: contract "Riven", section 3, `GET /v1/trading/accounts/{id}/account`.
#[derive(Clone, Default, PartialEq)]
pub struct TradingAccount {
    /// Cash at hand.
    pub cash: Option<Amount>,
    /// What may be bought for.
    pub buying_power: Option<Amount>,
    /// Cash and holdings together.
    pub equity: Option<Amount>,
    /// Everything, in the broker's form.
    pub details: Map<String, Value>,
}

impl TradingAccount {
    pub(crate) fn read(value: Value) -> Option<Self> {
        let Value::Object(mut details) = value else { return None };
        drop_tax_numbers(&mut details);
        let amount = |name: &str| details.get(name).and_then(Amount::read);
        let (cash, buying_power, equity) = (amount("cash"), amount("buying_power"), amount("equity"));
        // An object with none of them is an answer to something else.
        if cash.is_none() && buying_power.is_none() && equity.is_none() {
            return None;
        }
        Some(Self { cash, buying_power, equity, details })
    }
}

impl fmt::Debug for TradingAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TradingAccount").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const ID: &str = "b9b19618-22dd-4e80-8432-fc9e1ba0b27d";

    fn sample() -> Value {
        json!({
            "id": ID, "account_number": "927721227", "status": "ACTIVE", "crypto_status": "INACTIVE",
            "currency": "USD", "last_equity": "0.00", "created_at": "2022-10-31T16:48:44.263188Z",
            "kyc_results": {"reject": {}, "accept": {"IDENTITY_VERIFICATION": {}}, "indeterminate": null,
                            "summary": "pass"},
            "contact": {"email_address": "Ada@Example.com", "unit": "null"},
            "identity": {"given_name": "Ada", "middle_name": "null", "tax_id": "666-55-4321",
                         "tax_id_type": "USA_SSN"},
            "documents": [{"document_type": "w8ben", "content_data": {"foreign_tax_id": "A1234567"}}],
        })
    }

    #[test]
    fn an_account_is_found_at_the_top_and_inside_its_wrapper() {
        let top = Account::read(sample()).unwrap();
        let wrapped = Account::read(json!({"account": sample()})).unwrap();
        assert_eq!(top, wrapped);
        assert_eq!(top.id.to_string(), ID);
        assert_eq!(top.status, AccountStatus::Active);
        assert_eq!(top.crypto_status, Some(AccountStatus::Inactive));
        let results = top.kyc_results.as_ref().unwrap();
        assert_eq!(results.accept, ["IDENTITY_VERIFICATION"]);
        assert_eq!(results.summary.as_deref(), Some("pass"));
        assert!(top.has_email("ada@example.COM"));
        assert!(!top.has_email("a@example.com"));
    }

    #[test]
    fn tax_numbers_are_gone_and_nothing_is_shown() {
        let account = Account::read(sample()).unwrap();
        let text = Value::Object(account.profile().clone()).to_string();
        assert!(!text.contains("666-55-4321") && !text.contains("A1234567"), "{text}");
        assert!(text.contains("tax_id_type"), "the kind of number is no secret");
        assert_eq!(account.profile()["contact"]["unit"], Value::Null);
        assert_eq!(account.profile()["identity"]["middle_name"], Value::Null);
        assert_eq!(format!("{account:?}"), format!("Account {{ id: {ID}, status: Active, .. }}"),);
    }

    #[test]
    fn amounts_come_as_strings_and_as_numbers() {
        let read = |value: Value| Amount::read(&value).map(|amount| amount.as_str().to_owned());
        assert_eq!(read(json!("13058.62")).as_deref(), Some("13058.62"));
        assert_eq!(read(json!(-2.5)).as_deref(), Some("-2.5"));
        assert_eq!(read(json!(7)).as_deref(), Some("7"));
        for nonsense in [json!("inf"), json!("NaN"), json!(""), json!("1.2.3"), json!(null), json!("e")] {
            assert_eq!(read(nonsense), None);
        }
        let trading =
            TradingAccount::read(json!({"cash": 1, "buying_power": "2.00", "other": true})).unwrap();
        assert_eq!(trading.cash.unwrap().as_str(), "1");
        assert_eq!(trading.equity, None);
        assert!(TradingAccount::read(json!({"message": "hello"})).is_none());
    }

    #[test]
    fn what_has_no_id_or_no_status_is_no_account() {
        for value in
            [json!([]), json!("x"), json!({}), json!({"id": ID}), json!({"id": 7, "status": "ACTIVE"})]
        {
            assert!(Account::read(value).is_none());
        }
    }

    /// Any JSON, of the names accounts have.
    fn any_json() -> impl Strategy<Value = Value> {
        let name = prop::sample::select(vec![
            "id",
            "status",
            "account",
            "contact",
            "identity",
            "unit",
            "tax_id",
            "TAX_ID",
            "kyc_results",
            "accept",
            "last_equity",
            "email_address",
            "documents",
            "other",
        ]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
            Just(Value::from(ID)),
            Just(Value::from("ACTIVE")),
        ];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(name.clone().prop_map(str::to_owned), inner, 0..6)
                    .prop_map(|object| Value::Object(object.into_iter().collect())),
            ]
        })
    }

    fn has_tax_number(value: &Value) -> bool {
        match value {
            Value::Object(object) => {
                object.iter().any(|(name, inner)| is_tax_number(name) || has_tax_number(inner))
            }
            Value::Array(values) => values.iter().any(has_tax_number),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn any_json_is_an_account_without_tax_numbers_or_none(value in any_json()) {
            TradingAccount::read(value.clone());
            KycResults::read(&value);
            Amount::read(&value);
            if let Some(account) = Account::read(value) {
                prop_assert!(!has_tax_number(&Value::Object(account.into_profile())));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(value) = serde_json::from_slice::<Value>(&bytes) {
                Account::read(value);
            }
        }
    }
}
