//! What the operator writes about SMS providers, and the mistakes in it.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use reqwest::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tidegate_domain::Secret;
use tidegate_domain::secret::hidden;

/// Minimum length of a secret that attackers on the internet can try to guess.
const MIN_SECRET: usize = 16;

/// A key, token or password of an SMS provider, as configuration gives it.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
pub struct SmsSecret(#[schemars(with = "String")] pub Secret);

impl Serialize for SmsSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        hidden(self, serializer)
    }
}

impl<'de> Deserialize<'de> for SmsSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Secret::deserialize(deserializer).map(Self)
    }
}

/// The kinds of providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SmsProviderKind {
    /// Africa's Talking.
    AfricasTalking,
    /// Twilio.
    Twilio,
    /// A gateway of the operator's.
    Webhook,
    /// None: what is sent stays here. Not for configuration files; `--dev` chooses it.
    #[serde(skip)]
    Outbox,
}

impl SmsProviderKind {
    /// The name in configuration, logs and the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AfricasTalking => "africas_talking",
            Self::Twilio => "twilio",
            Self::Webhook => "webhook",
            Self::Outbox => "outbox",
        }
    }
}

/// The providers of text messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SmsConfig {
    /// Providers in order, such as ["twilio", "africas_talking"]. A message goes to the first, and to the next one
    /// when the first fails. A provider that is not listed is not used. Empty: all providers configured below, in the
    /// order africas_talking, twilio, webhook.
    pub order: Vec<SmsProviderKind>,
    /// An application at Africa's Talking.
    pub africas_talking: Option<AfricasTalkingConfig>,
    /// An account at Twilio. It authenticates with its auth token or with an API key.
    pub twilio: Option<TwilioConfig>,
    /// Your own gateway. It receives each message as signed JSON: see "Text messages" in docs/operations.md.
    pub webhook: Option<WebhookConfig>,
}

/// An account at Africa's Talking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AfricasTalkingConfig {
    /// The application's username. "sandbox" uses their simulator, which sends no messages.
    #[schemars(example = &"riven")]
    pub username: String,
    /// Its API key.
    #[schemars(example = &"better set as TIDEGATE_SMS__AFRICAS_TALKING__API_KEY")]
    pub api_key: SmsSecret,
    /// Sender id or short code. Without it, messages come from a shared sender id. Operators in Kenya require a
    /// registered sender id of the type "transactional". See "Delivery in Kenya" in docs/operations.md.
    #[serde(default)]
    #[schemars(example = &"RIVEN")]
    pub from: Option<String>,
    /// Whether the provider answers before an operator has accepted the message. Faster, but fail-over is not possible
    /// then.
    #[serde(default)]
    #[schemars(example = false)]
    pub enqueue: bool,
    /// Authenticates delivery receipts. Without it none is accepted. At least 16 letters, digits, - and _. In their
    /// dashboard, set the callback to <public_url>/sms/receipts/africas-talking/<this secret>. Or leave the secret out
    /// of the URL and use it as the password of HTTP Basic authentication.
    #[serde(default)]
    #[schemars(example = &"better set as TIDEGATE_SMS__AFRICAS_TALKING__RECEIPT_SECRET")]
    pub receipt_secret: Option<SmsSecret>,
    /// Base URL of the API. Must be https, unless it is on this machine.
    #[serde(default)]
    #[schemars(example = &"https://api.africastalking.com")]
    pub base_url: Option<String>,
    /// Seconds a request may take.
    #[serde(default = "default_timeout")]
    #[schemars(example = 10)]
    pub timeout_seconds: u64,
}

/// An account at Twilio.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TwilioConfig {
    /// The account: `AC` and 32 hexadecimal digits.
    #[schemars(example = &"AC00000000000000000000000000000000")]
    pub account_sid: String,
    /// The account's auth token. Signs in unless there is an API key, and checks delivery receipts.
    #[serde(default)]
    #[schemars(example = &"better set as TIDEGATE_SMS__TWILIO__AUTH_TOKEN")]
    pub auth_token: Option<SmsSecret>,
    /// An API key to sign in with in its place: `SK` and 32 hexadecimal digits.
    #[serde(default)]
    #[schemars(example = &"SK00000000000000000000000000000000")]
    pub api_key_sid: Option<String>,
    /// Its secret.
    #[serde(default)]
    #[schemars(example = &"better set as TIDEGATE_SMS__TWILIO__API_KEY_SECRET")]
    pub api_key_secret: Option<SmsSecret>,
    /// The sender, a number or sender id. Either this or messaging_service_sid.
    #[serde(default)]
    #[schemars(example = &"+15005550006")]
    pub from: Option<String>,
    /// The messaging service that chooses the sender.
    #[serde(default)]
    #[schemars(example = &"MG00000000000000000000000000000000")]
    pub messaging_service_sid: Option<String>,
    /// URL for Twilio's delivery receipts: <public_url>/sms/receipts/twilio, exactly as Twilio calls it, because the
    /// URL is signed. Needs auth_token for the signature, also beside an API key. Without it there are no receipts.
    #[serde(default)]
    #[schemars(example = &"https://id.example.com/sms/receipts/twilio")]
    pub status_callback: Option<String>,
    /// Base URL of the API. Must be https, unless it is on this machine.
    #[serde(default)]
    #[schemars(example = &"https://api.twilio.com")]
    pub base_url: Option<String>,
    /// Seconds a request may take.
    #[serde(default = "default_timeout")]
    #[schemars(example = 10)]
    pub timeout_seconds: u64,
}

/// A gateway of the operator's, which gets messages as signed JSON.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where messages are posted to.
    #[schemars(example = &"https://sms.example.com/send")]
    pub url: String,
    /// The key that signs messages, shared with the gateway. At least 16 characters.
    #[schemars(example = &"better set as TIDEGATE_SMS__WEBHOOK__SECRET")]
    pub secret: SmsSecret,
    /// Seconds a request may take.
    #[serde(default = "default_timeout")]
    #[schemars(example = 10)]
    pub timeout_seconds: u64,
    /// PEM file of the authorities to trust in place of the public ones.
    #[serde(default)]
    #[schemars(example = &"/etc/tidegate/sms-ca.pem")]
    pub ca_file: Option<PathBuf>,
}

impl fmt::Debug for WebhookConfig {
    /// Without the address, whose path may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url: Option<Url> = self.url.parse().ok();
        let host = url.as_ref().and_then(Url::host_str);
        f.debug_struct("WebhookConfig").field("host", &host).finish_non_exhaustive()
    }
}

const fn default_timeout() -> u64 {
    10
}

/// A mistake in an [`SmsConfig`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {reason}")]
pub struct SmsConfigError {
    /// The setting, below `sms`: `twilio.from`.
    pub setting: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

/// Says that `setting` is wrong.
pub(super) fn mistake(setting: &'static str, reason: impl Into<String>) -> SmsConfigError {
    SmsConfigError { setting, reason: reason.into() }
}

impl SmsConfig {
    /// The providers to use, the first first.
    pub(super) fn order(&self) -> Result<Vec<SmsProviderKind>, SmsConfigError> {
        let known = [
            (SmsProviderKind::AfricasTalking, self.africas_talking.is_some()),
            (SmsProviderKind::Twilio, self.twilio.is_some()),
            (SmsProviderKind::Webhook, self.webhook.is_some()),
        ];
        let present: Vec<_> = known.into_iter().filter(|(_, is_set)| *is_set).map(|(kind, _)| kind).collect();
        if self.order.is_empty() {
            return Ok(present);
        }
        for (at, kind) in self.order.iter().enumerate() {
            if !present.contains(kind) {
                let name = kind.as_str();
                return Err(mistake("order", format!("names {name}, but there is no table [sms.{name}]")));
            }
            if self.order.iter().skip(at + 1).any(|other| other == kind) {
                return Err(mistake("order", format!("names {} twice", kind.as_str())));
            }
        }
        Ok(self.order.clone())
    }
}

/// `path` on the host of `base`. Encrypted, unless it stays on this machine: credentials go there.
pub(super) fn endpoint(setting: &'static str, base: &str, path: &str) -> Result<Url, SmsConfigError> {
    let url = web_address(setting, &format!("{}{path}", base.trim_end_matches('/')))?;
    if url.scheme() == "https" || is_loopback(&url) {
        Ok(url)
    } else {
        Err(mistake(setting, "must begin with https://"))
    }
}

/// A web address without an account in it.
pub(super) fn web_address(setting: &'static str, text: &str) -> Result<Url, SmsConfigError> {
    let refused = || mistake(setting, "must be a web address such as https://sms.example.com/send");
    let url: Url = text.parse().map_err(|_| refused())?;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if matches!(url.scheme(), "http" | "https") && is_plain { Ok(url) } else { Err(refused()) }
}

pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let literal: Result<IpAddr, _> = host.trim_matches(['[', ']']).parse();
    host == "localhost" || literal.is_ok_and(|address| address.is_loopback())
}

/// An identifier of the provider's: it becomes part of a path or a header.
pub(super) fn identifier(setting: &'static str, text: &str, prefix: &str) -> Result<String, SmsConfigError> {
    let is_one = text.starts_with(prefix) && text.len() > prefix.len() && text.bytes().all(is_plain);
    let kind =
        if prefix.is_empty() { "must be a name".to_owned() } else { format!("must begin with {prefix}") };
    if is_one {
        Ok(text.to_owned())
    } else {
        Err(mistake(setting, format!("{kind}, without spaces or special characters")))
    }
}

/// A sender id, short code or number.
pub(super) fn sender(setting: &'static str, text: Option<&String>) -> Result<Option<String>, SmsConfigError> {
    match text {
        Some(text) if text.trim().is_empty() || text.chars().any(char::is_control) => {
            Err(mistake(setting, "must be a sender id, short code or number"))
        }
        text => Ok(text.cloned()),
    }
}

/// A secret that cannot be guessed.
pub(super) fn strong(setting: &'static str, secret: &SmsSecret) -> Result<Secret, SmsConfigError> {
    if secret.0.expose().len() < MIN_SECRET {
        return Err(mistake(setting, format!("must have at least {MIN_SECRET} characters")));
    }
    Ok(secret.0.clone())
}

/// A [`strong`] secret that needs no escaping in a path.
pub(super) fn path_secret(setting: &'static str, secret: &SmsSecret) -> Result<Secret, SmsConfigError> {
    if !secret.0.expose().bytes().all(is_plain) {
        return Err(mistake(setting, "may only contain letters, digits, - and _"));
    }
    strong(setting, secret)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sms::{Receipts, SmsProviders};

    const ALL: &str = r#"{
        "africas_talking": {"username": "riven", "api_key": "hunter2-africa",
                            "receipt_secret": "hunter2-receipts"},
        "twilio": {"account_sid": "AC01", "auth_token": "hunter2-twilio", "from": "+15005550006",
                   "api_key_sid": "SK01", "api_key_secret": "hunter2-key",
                   "status_callback": "https://id.example.com/t"},
        "webhook": {"url": "https://sms.example.com/send", "secret": "hunter2-webhook-secret"}
    }"#;

    fn config(json: &str) -> SmsConfig {
        serde_json::from_str(json).unwrap()
    }

    /// The error for `ALL` when `table` is changed by `change`.
    fn complaint(table: &str, change: &str) -> String {
        let mut all: serde_json::Value = serde_json::from_str(ALL).unwrap();
        let change = serde_json::from_str(change).unwrap();
        tidegate_domain::text::merge(&mut all[table], &change);
        let config: SmsConfig = serde_json::from_value(all).unwrap();
        SmsProviders::from_config(&config)
            .map(drop)
            .and_then(|()| Receipts::new(&config).map(drop))
            .unwrap_err()
            .to_string()
    }

    fn kinds(config: &SmsConfig) -> Vec<SmsProviderKind> {
        SmsProviders::from_config(config).unwrap().kinds().collect()
    }

    #[test]
    fn providers_are_tried_in_the_operators_order() {
        use SmsProviderKind::{AfricasTalking, Twilio, Webhook};
        let all = config(ALL);
        assert_eq!(kinds(&all), [AfricasTalking, Twilio, Webhook]);
        assert_eq!(
            kinds(&SmsConfig { order: vec![Webhook, AfricasTalking], ..all }),
            [Webhook, AfricasTalking]
        );
        assert!(SmsProviders::from_config(&SmsConfig::default()).unwrap().is_empty());
    }

    #[test]
    fn an_order_of_what_is_not_there_is_a_mistake() {
        let refused = |json: &str| SmsProviders::from_config(&config(json)).unwrap_err().to_string();
        assert_eq!(
            refused(r#"{"order": ["twilio"]}"#),
            "order: names twilio, but there is no table [sms.twilio]"
        );
        let webhook = r#""webhook": {"url": "https://a.example", "secret": "0123456789abcdef"}"#;
        assert_eq!(
            refused(&format!(r#"{{"order": ["webhook", "webhook"], {webhook}}}"#)),
            "order: names webhook twice"
        );
        assert!(serde_json::from_str::<SmsConfig>(r#"{"order": ["outbox"]}"#).is_err());
    }

    #[test]
    fn a_mistyped_setting_is_an_error() {
        for json in [
            r#"{"twillio": {}}"#,
            r#"{"africas_talking": {"username": "a", "api_key": "b", "sender": "c"}}"#,
            r#"{"twilio": {"account_sid": "AC1", "token": "x"}}"#,
            r#"{"webhook": {"url": "https://a.example", "secret": "x", "header": "y"}}"#,
        ] {
            assert!(serde_json::from_str::<SmsConfig>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn mistakes_are_found_before_the_first_message_and_named() {
        for (table, change, found) in [
            ("africas_talking", r#"{"username": ""}"#, "africas_talking.username: must be a name"),
            ("africas_talking", r#"{"api_key": "a\nb"}"#, "africas_talking.api_key: "),
            ("africas_talking", r#"{"api_key": ""}"#, "africas_talking.api_key: "),
            ("africas_talking", r#"{"from": " "}"#, "africas_talking.from: "),
            ("africas_talking", r#"{"timeout_seconds": 0}"#, "africas_talking.timeout_seconds: "),
            (
                "africas_talking",
                r#"{"base_url": "http://a.example"}"#,
                "africas_talking.base_url: must begin with https",
            ),
            (
                "africas_talking",
                r#"{"base_url": "a.example"}"#,
                "africas_talking.base_url: must be a web address",
            ),
            (
                "africas_talking",
                r#"{"receipt_secret": "short"}"#,
                "africas_talking.receipt_secret: must have at least",
            ),
            (
                "africas_talking",
                r#"{"receipt_secret": "0123456789/abcdef"}"#,
                "africas_talking.receipt_secret: may only",
            ),
            ("twilio", r#"{"account_sid": "SK01"}"#, "twilio.account_sid: must begin with AC"),
            ("twilio", r#"{"account_sid": "AC01/../x"}"#, "twilio.account_sid: must begin with AC"),
            ("twilio", r#"{"api_key_secret": null}"#, "twilio.api_key_secret: "),
            ("twilio", r#"{"api_key_sid": null}"#, "twilio.api_key_sid: "),
            ("twilio", r#"{"auth_token": null}"#, "twilio.auth_token: "),
            ("twilio", r#"{"auth_token": ""}"#, "twilio.auth_token: is empty"),
            ("twilio", r#"{"api_key_secret": ""}"#, "twilio.api_key_secret: is empty"),
            ("twilio", r#"{"from": null}"#, "twilio.from: "),
            ("twilio", r#"{"messaging_service_sid": "MG01"}"#, "twilio.from: "),
            ("twilio", r#"{"status_callback": "id.example.com/t"}"#, "twilio.status_callback: "),
            ("twilio", r#"{"status_callback": "https://a:b@id.example.com/t"}"#, "twilio.status_callback: "),
            ("webhook", r#"{"url": "ftp://a.example"}"#, "webhook.url: "),
            ("webhook", r#"{"secret": "too short"}"#, "webhook.secret: must have at least 16 characters"),
            ("webhook", r#"{"ca_file": "/nowhere/ca.pem"}"#, "webhook.ca_file: "),
            ("webhook", r#"{"ca_file": "/dev/null"}"#, "webhook.ca_file: "),
        ] {
            let said = complaint(table, change);
            assert!(said.starts_with(found), "{change}: {said}");
        }
    }

    #[test]
    fn an_auth_token_alone_signs_in() {
        let json =
            r#"{"twilio": {"account_sid": "AC01", "auth_token": "x", "messaging_service_sid": "MG01"}}"#;
        assert_eq!(kinds(&config(json)), [SmsProviderKind::Twilio]);
    }

    #[test]
    fn secrets_are_neither_shown_nor_written() {
        let config = config(ALL);
        let providers = SmsProviders::from_config(&config).unwrap();
        let receipts = Receipts::new(&config).unwrap();
        let shown =
            format!("{config:?} {providers:?} {receipts:?} {}", serde_json::to_string(&config).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
