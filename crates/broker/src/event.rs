//! What the broker says when an account changes.

use std::fmt;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::account::{KycResults, drop_tax_numbers};
use crate::status::AccountStatus;

/// One change of an account. The same one may come twice: tell them apart by `ulid`.
///
/// Source: contract "Riven", section 3, events. `Debug` shows ids and statuses alone.
#[derive(Clone, PartialEq)]
pub struct AccountEvent {
    /// Its place in the stream, to go on from after a break. Sorts by time.
    pub ulid: Option<String>,
    /// Its number, where the broker still gives one.
    pub number: Option<i64>,
    /// The account that changed.
    pub account_id: Uuid,
    /// When, RFC 3339 as the broker writes it.
    pub at: Option<String>,
    /// The status before.
    pub from: Option<AccountStatus>,
    /// The status now; `None` when something else changed.
    pub to: Option<AccountStatus>,
    /// What the identity check found.
    pub kyc_results: Option<KycResults>,
    /// Why, in the broker's words.
    pub reason: Option<String>,
    /// The whole message in the broker's form. No tax number.
    pub details: Map<String, Value>,
}

impl AccountEvent {
    /// Reads one message; `None` for what is none, because it names no account.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let Value::Object(mut details) = serde_json::from_slice(bytes).ok()? else { return None };
        drop_tax_numbers(&mut details);
        let text = |name: &str| details.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let owned = |name: &str| text(name).map(str::to_owned);
        Some(Self {
            ulid: owned("event_ulid"),
            number: details.get("event_id").and_then(Value::as_i64),
            account_id: Uuid::parse_str(text("account_id")?).ok()?,
            at: owned("at"),
            from: text("status_from").map(AccountStatus::from),
            to: text("status_to").map(AccountStatus::from),
            kyc_results: details.get("kyc_results").and_then(KycResults::read),
            reason: owned("reason"),
            details,
        })
    }
}

impl fmt::Debug for AccountEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountEvent")
            .field("ulid", &self.ulid)
            .field("account_id", &self.account_id)
            .field("from", &self.from)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_event_tells_which_account_went_where() {
        let event = AccountEvent::read(
            br#"{"account_id":"b9b19618-22dd-4e80-8432-fc9e1ba0b27d","account_number":"1","at":"2021-06-14T09:59:15Z",
                "event_ulid":"01F84ESF2FWQ","event_id":12,"status_from":"","status_to":"SUBMITTED","reason":"",
                "kyc_results":{"reject":{"TAX_IDENTIFICATION":{}},"summary":"fail"},"tax_id":"666554321"}"#,
        )
        .unwrap();
        assert_eq!(event.ulid.as_deref(), Some("01F84ESF2FWQ"));
        assert_eq!((event.from.clone(), event.to.clone()), (None, Some(AccountStatus::Submitted)));
        assert_eq!(event.kyc_results.as_ref().unwrap().reject, ["TAX_IDENTIFICATION"]);
        assert_eq!((event.number, event.reason.as_deref()), (Some(12), None));
        assert!(!event.details.contains_key("tax_id"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_event_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            AccountEvent::read(&bytes);
        }

        #[test]
        fn any_values_are_an_event_or_none(
            ulid in "\"?[a-z0-9]{0,4}\"?", id in any::<i64>(), status in "(null|\"[A-Z]{0,3}\"|[0-9]{1,2})",
        ) {
            AccountEvent::read(format!(
                r#"{{"account_id":"b9b19618-22dd-4e80-8432-fc9e1ba0b27d","event_ulid":{ulid},"event_id":{id},
                    "status_from":{status},"status_to":{status},"kyc_results":{status}}}"#
            ).as_bytes());
        }
    }
}
