//! Messages through Africa's Talking. Source: Riven contract, section 5.

use std::fmt;

use reqwest::Url;
use reqwest::header::{ACCEPT, HeaderValue};
use serde::Deserialize;
use tidegate_domain::Secret;

use super::config::{AfricasTalkingConfig, SmsConfigError, endpoint, identifier, mistake, sender};
use super::gateway::{Answer, Gateway, Settings, quoted};
use super::{OutgoingSms, SmsError, message_id};

const NAME: &str = "Africa's Talking";
const PRODUCTION: &str = "https://api.africastalking.com";
const SANDBOX: &str = "https://api.sandbox.africastalking.com";
const PATH: &str = "/version1/messaging";

/// Processed, sent, queued.
const TAKEN: [u16; 3] = [100, 101, 102];

/// Makes an error of a text.
type Kind = fn(String) -> SmsError;

/// What their other codes mean. Those missing here may be this provider's alone, so another one is asked.
const REFUSALS: [(u16, &str, Kind); 12] = [
    (401, "RiskHold", SmsError::Unreachable),
    (402, "InvalidSenderId", SmsError::Configuration),
    (403, "InvalidPhoneNumber", SmsError::Permanent),
    (404, "UnsupportedNumberType", SmsError::Unreachable),
    (405, "InsufficientBalance", SmsError::Configuration),
    (406, "UserInBlacklist", SmsError::Permanent),
    (407, "CouldNotRoute", SmsError::Unreachable),
    (409, "DoNotDisturbRejection", SmsError::Permanent),
    (500, "InternalServerError", SmsError::Temporary),
    (501, "GatewayError", SmsError::Temporary),
    (502, "RejectedByGateway", SmsError::Unreachable),
    // Not in their list of codes, but what an empty list of recipients is explained with.
    (0, "InsufficientCredit", SmsError::Configuration),
];

/// An application's account at Africa's Talking.
pub struct AfricasTalking {
    gateway: Gateway,
    url: Url,
    username: String,
    api_key: Secret,
    key_header: HeaderValue,
    from: Option<String>,
    enqueue: bool,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(rename = "SMSMessageData")]
    data: Data,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Data {
    #[serde(default)]
    message: String,
    #[serde(default)]
    recipients: Vec<Recipient>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recipient {
    status_code: u16,
    #[serde(default)]
    message_id: String,
}

impl AfricasTalking {
    /// Prepares sending as `config` says; connects to nothing yet.
    ///
    /// # Errors
    /// Names the setting that is wrong.
    pub fn new(config: &AfricasTalkingConfig) -> Result<Self, SmsConfigError> {
        let settings = Settings {
            timeout: "africas_talking.timeout_seconds",
            ca_file: "africas_talking",
            certificate: None,
        };
        let usual = if config.username == "sandbox" { SANDBOX } else { PRODUCTION };
        let api_key = config.api_key.0.clone();
        let mut key_header = HeaderValue::from_str(api_key.expose())
            .ok()
            .filter(|header| !header.is_empty())
            .ok_or_else(|| mistake("africas_talking.api_key", "is empty or not valid in a header"))?;
        key_header.set_sensitive(true);
        Ok(Self {
            gateway: Gateway::new(NAME, &settings, config.timeout_seconds, None)?,
            url: endpoint("africas_talking.base_url", config.base_url.as_deref().unwrap_or(usual), PATH)?,
            username: identifier("africas_talking.username", &config.username, "")?,
            api_key,
            key_header,
            from: sender("africas_talking.from", config.from.as_ref())?,
            enqueue: config.enqueue,
        })
    }

    /// Sends `sms`; answers the id receipts will call it by.
    pub(super) async fn send(&self, sms: &OutgoingSms) -> Result<Option<String>, SmsError> {
        let mut form = vec![
            ("username", self.username.as_str()),
            ("to", sms.to.expose()),
            ("message", sms.text.expose()),
            ("bulkSMSMode", "1"),
        ];
        form.extend(self.from.as_deref().map(|from| ("from", from)));
        form.extend(self.enqueue.then_some(("enqueue", "1")));
        let request = self
            .gateway
            .post(&self.url)
            .header("apiKey", self.key_header.clone())
            .header(ACCEPT, "application/json")
            .form(&form);
        let answer = self.gateway.ask(request).await?;
        self.read(&answer, sms)
    }

    /// A status of 2xx alone says nothing: the recipient has a status of its own.
    fn read(&self, answer: &Answer, sms: &OutgoingSms) -> Result<Option<String>, SmsError> {
        if !answer.status.is_success() {
            let credentials = "africas_talking.username and africas_talking.api_key";
            return Err(self.gateway.refusal(answer.status, credentials));
        }
        let Ok(Wire { data }) = serde_json::from_slice(&answer.body) else {
            return Err(self.gateway.unreadable(answer.status));
        };
        match data.recipients.first() {
            Some(recipient) if TAKEN.contains(&recipient.status_code) => {
                Ok(message_id(&recipient.message_id))
            }
            Some(recipient) => Err(refusal(recipient.status_code)),
            None => Err(self.unexplained(&data.message, sms)),
        }
    }

    /// No recipient is left; the message may say why.
    fn unexplained(&self, message: &str, sms: &OutgoingSms) -> SmsError {
        let plain: String = message.chars().filter(char::is_ascii_alphanumeric).collect();
        let plain = plain.to_lowercase();
        match REFUSALS.iter().find(|(_, name, _)| plain.contains(&name.to_lowercase())) {
            Some((_, name, kind)) => kind(format!("{NAME} refuses the message ({name})")),
            None => {
                let reason = quoted(message, sms, &[self.api_key.expose()]);
                SmsError::Unreachable(format!("{NAME} sent the message to no recipient ({reason})"))
            }
        }
    }
}

fn refusal(code: u16) -> SmsError {
    match REFUSALS.iter().find(|(known, ..)| *known == code) {
        Some((_, name, kind)) => kind(format!("{NAME} refuses the message ({code} {name})")),
        None => SmsError::Unreachable(format!("{NAME} refuses the message ({code})")),
    }
}

impl fmt::Debug for AfricasTalking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AfricasTalking").field("username", &self.username).finish_non_exhaustive()
    }
}
