//! Why the broker did not do what was asked.

use std::fmt;
use std::time::Duration;

use serde_json::Value;
use tidegate_domain::Secret;

/// Why a call failed. Neither `Debug` nor the text shows a secret or anything about the applicant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// The broker finds fault with the input (400, 422). For the applicant to mend.
    #[error("the broker refuses the input")]
    Invalid(Refusal),
    /// Another account of this broker has the e-mail address (409). It may be one that an earlier,
    /// interrupted opening has left behind: look it up before telling the applicant.
    #[error("the broker has an account with this e-mail address already")]
    EmailTaken,
    /// The broker knows no such account.
    #[error("the broker knows no such account")]
    NotFound,
    /// The broker does not accept our credentials (401, 403). For the operator to mend.
    ///
    /// The vendor's library notes that a lookup of an unknown account may answer 401 as well.
    #[error("the broker does not accept the configured credentials")]
    Unauthorized,
    /// No usable answer now; later there may be one.
    #[error("the broker is unavailable: {trouble}")]
    Unavailable {
        /// What went wrong.
        trouble: Trouble,
        /// Whether the request may have taken effect all the same.
        took_effect: TookEffect,
        /// How long the broker asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// The broker answered what its documentation does not describe. For the operator to look at.
    #[error("the broker's answer makes no sense")]
    Unreadable {
        /// Whether the request may have taken effect all the same.
        took_effect: TookEffect,
    },
}

impl BrokerError {
    /// Whether the request may have taken effect although it failed. An opening of which this is true must
    /// not be repeated before [`find_by_email`](crate::Broker::find_by_email) says that there is no account.
    pub fn may_have_taken_effect(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { took_effect: TookEffect::Maybe, .. }
                | Self::Unreadable { took_effect: TookEffect::Maybe }
        )
    }
}

/// Whether a request that failed took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TookEffect {
    /// Certainly not, or it had no effect to begin with.
    No,
    /// Unknown.
    Maybe,
}

/// Why the broker did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// No connection.
    #[error("no connection")]
    Connect,
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// The connection broke before the answer was complete.
    #[error("the connection broke")]
    Broken,
    /// Too many requests (429).
    #[error("too many requests")]
    RateLimited,
    /// A status from 500 up.
    #[error("status {0}")]
    Status(u16),
    /// Events were lost because they were not read fast enough: go on from the last one.
    #[error("events were lost")]
    EventsLost,
    /// The sandbox's own records are out of reach.
    #[error("the sandbox's records are out of reach")]
    Storage,
}

/// What the broker says about the input. For the applicant's eyes alone: it may quote what they entered, so
/// only [`message`](Self::message) gives it out. Tax numbers are taken out even there.
#[derive(Clone, PartialEq, Eq)]
pub struct Refusal {
    code: Option<i64>,
    field: Option<String>,
    message: String,
}

/// Characters of a message that are kept.
const MAX_MESSAGE: usize = 300;
/// Characters of it that are looked at.
const MAX_READ: usize = 4 * MAX_MESSAGE;
/// A secret shorter than this is no tax number, and hiding it would tear words apart.
const MIN_SECRET: usize = 4;
const WITHOUT_WORDS: &str = "The broker refused the request without saying why.";

impl Refusal {
    /// A refusal in these words, on one bounded line and without `secrets`.
    pub(crate) fn new(code: Option<i64>, message: &str, secrets: &[Secret]) -> Self {
        // Cut before it is searched for each of many secrets, and with room for what hiding them takes away.
        let message: String = message.chars().take(MAX_READ).collect();
        let mut message = message.split_whitespace().collect::<Vec<_>>().join(" ");
        for secret in secrets {
            let digits: String = secret.expose().chars().filter(char::is_ascii_alphanumeric).collect();
            for form in [secret.expose(), &digits] {
                if form.len() >= MIN_SECRET {
                    message = message.replace(form, "[hidden]");
                }
            }
        }
        let mut message: String = message.chars().filter(|c| !c.is_control()).take(MAX_MESSAGE).collect();
        let field = field_in(&message);
        if message.is_empty() {
            message = WITHOUT_WORDS.to_owned();
        }
        Self { code, field, message }
    }

    /// Reads the body of a refusal, whichever form it has: an object with `code` and `message`, a bare JSON
    /// string. Anything else says nothing an applicant could use.
    pub(crate) fn read(body: &[u8], secrets: &[Secret]) -> Self {
        match serde_json::from_slice(body) {
            Ok(Value::String(text)) => Self::new(None, &text, secrets),
            Ok(Value::Object(object)) => {
                let code = object.get("code").and_then(|code| match code {
                    Value::Number(number) => number.as_i64(),
                    Value::String(text) => text.trim().parse().ok(),
                    _ => None,
                });
                let message = object.get("message").and_then(Value::as_str).unwrap_or_default();
                Self::new(code, message, secrets)
            }
            _ => Self::new(None, "", secrets),
        }
    }

    /// The broker's own number for it.
    pub fn code(&self) -> Option<i64> {
        self.code
    }

    /// The field it is about, as our contract spells it, where the words name one: `contact.email_address`.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// What to tell the applicant.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The field is one of ours, or a path of plain names: no value of the applicant's.
        f.debug_struct("Refusal").field("code", &self.code).finish_non_exhaustive()
    }
}

/// Fields by section, to tell which one a message is about.
const FIELDS: &[(&str, &[&str])] = &[
    (
        "contact",
        &[
            "email_address",
            "phone_number",
            "street_address",
            "unit",
            "city",
            "state",
            "postal_code",
            "country",
        ],
    ),
    (
        "identity",
        &[
            "given_name",
            "middle_name",
            "family_name",
            "date_of_birth",
            "tax_id",
            "tax_id_type",
            "country_of_citizenship",
            "country_of_birth",
            "country_of_tax_residence",
            "visa_type",
            "visa_expiration_date",
            "date_of_departure_from_usa",
            "permanent_resident",
            "funding_source",
            "annual_income_min",
            "annual_income_max",
            "liquid_net_worth_min",
            "liquid_net_worth_max",
            "total_net_worth_min",
            "total_net_worth_max",
        ],
    ),
    (
        "disclosures",
        &[
            "is_control_person",
            "is_affiliated_exchange_or_finra",
            "is_politically_exposed",
            "immediate_family_exposed",
            "is_discretionary",
            "employment_status",
            "employer_name",
            "employer_address",
            "employment_position",
        ],
    ),
    ("agreements", &["agreement", "signed_at", "ip_address", "revision"]),
    ("documents", &["document_type", "document_sub_type", "content", "content_data", "mime_type"]),
    ("trusted_contact", &["given_name", "family_name", "email_address", "phone_number"]),
];
/// Words that are field names and words of the language: they name a field only with its section before them.
const COMMON_WORDS: &[&str] = &["unit", "city", "state", "country", "agreement", "content", "revision"];

/// The first field a message names: `documents[0].content` as `documents.0.content`, `date_of_birth` alone as
/// `identity.date_of_birth`.
fn field_in(message: &str) -> Option<String> {
    message
        .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '[' | ']')))
        .find_map(field_named)
}

fn field_named(word: &str) -> Option<String> {
    let path = word.replace('[', ".").replace(']', "");
    let path = path.trim_matches('.');
    let (section, leaf) = match path.split_once('.') {
        Some((section, rest)) => (Some(section), rest.rsplit('.').next().unwrap_or(rest)),
        None => (None, path),
    };
    let known = FIELDS
        .iter()
        .find(|(name, leaves)| section.is_none_or(|section| section == *name) && leaves.contains(&leaf))?;
    match section {
        // Between section and field nothing but an index: anything else might be the applicant's.
        Some(_) => {
            let index = path.strip_prefix(known.0)?.strip_suffix(leaf)?.trim_matches('.');
            (index.len() <= 3 && index.bytes().all(|b| b.is_ascii_digit())).then(|| path.to_owned())
        }
        None if COMMON_WORDS.contains(&leaf) => None,
        None => Some(format!("{}.{leaf}", known.0)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(body: &Value) -> Refusal {
        Refusal::read(body.to_string().as_bytes(), &[])
    }

    #[test]
    fn every_form_of_body_is_understood() {
        let told = read(&json!({"code": 42210000, "message": "identity.date_of_birth must be a date"}));
        assert_eq!((told.code(), told.field()), (Some(42_210_000), Some("identity.date_of_birth")));
        assert_eq!(told.message(), "identity.date_of_birth must be a date");
        assert_eq!(read(&json!({"code": "40010001", "message": "x"})).code(), Some(40_010_001));
        assert_eq!(read(&json!("phone_number is invalid")).field(), Some("contact.phone_number"));
        for silent in [json!({}), json!([1]), json!(null), json!({"message": {"a": 1}}), json!("")] {
            assert_eq!(read(&silent).message(), WITHOUT_WORDS);
        }
        assert_eq!(Refusal::read(b"<html>502</html>", &[]).message(), WITHOUT_WORDS);
        assert_eq!(Refusal::read(b"{\"code\": 1, \"mess", &[]).message(), WITHOUT_WORDS);
    }

    #[test]
    fn the_field_is_named_in_our_words() {
        let field = |message: &str| read(&json!(message)).field().map(str::to_owned);
        assert_eq!(field("documents[0].content is too large").as_deref(), Some("documents.0.content"));
        assert_eq!(field("invalid \"contact.city\"").as_deref(), Some("contact.city"));
        assert_eq!(field("tax_id_type is required.").as_deref(), Some("identity.tax_id_type"));
        assert_eq!(field("trusted_contact.given_name").as_deref(), Some("trusted_contact.given_name"));
        assert_eq!(field("the content could not be read in this state"), None);
        assert_eq!(field("contact.666554321.city"), None);
        assert_eq!(field("contact.ada.city"), None);
    }

    #[test]
    fn a_broker_that_quotes_the_tax_number_does_not_leak_it() {
        let secrets = [Secret::new("666-55-4321")];
        for quoted in ["tax_id 666-55-4321 is invalid", "tax_id 666554321 is invalid"] {
            let refusal = Refusal::read(json!({"message": quoted}).to_string().as_bytes(), &secrets);
            assert_eq!(refusal.message(), "tax_id [hidden] is invalid");
        }
    }

    #[test]
    fn only_the_applicant_sees_the_words() {
        let error = BrokerError::Invalid(read(&json!({"code": 1, "message": "ada@example.com is taken"})));
        let shown = format!("{error} {error:?} {error:#?}");
        assert!(!shown.contains("ada"), "{shown}");
    }

    #[test]
    fn a_message_is_one_bounded_line() {
        let refusal = read(&json!(format!("a\r\nb\u{1b}[31m {}", "x".repeat(9_000))));
        assert!(refusal.message().starts_with("a b[31m xxx"));
        assert_eq!(refusal.message().chars().count(), MAX_MESSAGE);
    }

    proptest! {
        #[test]
        fn any_body_gives_a_message(body in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(!Refusal::read(&body, &[Secret::new("1234")]).message().is_empty());
        }

        #[test]
        fn any_words_give_a_message(words in "\\PC{0,80}", code in any::<i64>()) {
            let refusal = read(&json!({"code": code, "message": words}));
            prop_assert!(!refusal.message().is_empty());
            prop_assert_eq!(refusal.code(), Some(code));
        }

        #[test]
        fn any_path_is_taken(path in "[a-z_.\\[\\]0-9]{0,40}") {
            field_in(&path);
            field_in(&format!("contact.{path}.city"));
        }
    }
}
