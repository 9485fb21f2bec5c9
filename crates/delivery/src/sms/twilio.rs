//! Messages through Twilio. Source: Riven contract, section 5.

use std::fmt;

use reqwest::{StatusCode, Url};
use serde::Deserialize;
use tidegate_domain::Secret;

use super::config::{SmsConfigError, TwilioConfig, endpoint, identifier, mistake, sender, web_address};
use super::gateway::{Answer, Gateway, Settings};
use super::{OutgoingSms, SmsError, message_id};

const NAME: &str = "Twilio";
const API: &str = "https://api.twilio.com";

/// An account at Twilio.
pub struct Twilio {
    gateway: Gateway,
    url: Url,
    /// The account's or an API key's name.
    user: String,
    password: Secret,
    from: From,
    status_callback: Option<String>,
}

/// Who a message comes from.
enum From {
    Number(String),
    Service(String),
}

#[derive(Deserialize)]
struct Created {
    sid: String,
    #[serde(default)]
    error_code: Option<u32>,
}

#[derive(Deserialize)]
struct Refused {
    code: u32,
}

impl Twilio {
    /// Prepares sending as `config` says; connects to nothing yet.
    ///
    /// # Errors
    /// Names the setting that is wrong.
    pub fn new(config: &TwilioConfig) -> Result<Self, SmsConfigError> {
        let settings = Settings { timeout: "twilio.timeout_seconds", ca_file: "twilio", certificate: None };
        let account = identifier("twilio.account_sid", &config.account_sid, "AC")?;
        let (user, password) = credentials(&account, config)?;
        let path = format!("/2010-04-01/Accounts/{account}/Messages.json");
        Ok(Self {
            gateway: Gateway::new(NAME, &settings, config.timeout_seconds, None)?,
            url: endpoint("twilio.base_url", config.base_url.as_deref().unwrap_or(API), &path)?,
            user,
            password,
            from: from(config)?,
            status_callback: callback(config)?,
        })
    }

    /// Sends `sms`; answers the id receipts will call it by.
    pub(super) async fn send(&self, sms: &OutgoingSms) -> Result<Option<String>, SmsError> {
        let mut form = vec![("To", sms.to.expose()), ("Body", sms.text.expose())];
        form.push(match &self.from {
            From::Number(number) => ("From", number.as_str()),
            From::Service(service) => ("MessagingServiceSid", service.as_str()),
        });
        form.extend(self.status_callback.as_deref().map(|url| ("StatusCallback", url)));
        let request =
            self.gateway.post(&self.url).basic_auth(&self.user, Some(self.password.expose())).form(&form);
        let answer = self.gateway.ask(request).await?;
        self.read(&answer)
    }

    fn read(&self, answer: &Answer) -> Result<Option<String>, SmsError> {
        let status = answer.status;
        if !status.is_success() {
            return Err(match serde_json::from_slice(&answer.body) {
                Ok(Refused { code }) => self.refusal(code, status),
                Err(_) => self.gateway.refusal(status, CREDENTIALS),
            });
        }
        match serde_json::from_slice(&answer.body) {
            Ok(Created { error_code: Some(code), .. }) => Err(self.refusal(code, status)),
            Ok(Created { sid, .. }) => Ok(message_id(&sid)),
            Err(_) => Err(self.gateway.unreadable(status)),
        }
    }

    /// What their error codes mean. Their texts quote the number, so a link explains in their place.
    fn refusal(&self, code: u32, status: StatusCode) -> SmsError {
        let kind = match code {
            // Not a mobile number, none at all, or one whose owner has replied STOP.
            21211 | 21610 | 21614 | 30006 => SmsError::Permanent,
            // This sender does not reach this number.
            21612 => SmsError::Unreachable,
            // Credentials; a region that is not enabled; a sender that sends no messages; a trial account.
            20003 | 21408 | 21606 | 21608 => SmsError::Configuration,
            20429 | 30003 => SmsError::Temporary,
            _ => match self.gateway.refusal(status, CREDENTIALS) {
                SmsError::Temporary(_) => SmsError::Temporary,
                _ => SmsError::Configuration,
            },
        };
        kind(format!(
            "{NAME} refuses the message: error {code}, see https://www.twilio.com/docs/api/errors/{code}"
        ))
    }
}

const CREDENTIALS: &str =
    "twilio.account_sid and twilio.auth_token, or twilio.api_key_sid and twilio.api_key_secret";

fn credentials(account: &str, config: &TwilioConfig) -> Result<(String, Secret), SmsConfigError> {
    for (setting, secret) in [
        // With an empty token, an attacker could sign receipts.
        ("twilio.auth_token", &config.auth_token),
        ("twilio.api_key_secret", &config.api_key_secret),
    ] {
        if secret.as_ref().is_some_and(|secret| secret.0.expose().is_empty()) {
            return Err(mistake(setting, "is empty"));
        }
    }
    let missing = |setting, other| Err(mistake(setting, format!("must be given together with {other}")));
    match (&config.api_key_sid, &config.api_key_secret, &config.auth_token) {
        (Some(sid), Some(secret), _) => Ok((identifier("twilio.api_key_sid", sid, "SK")?, secret.0.clone())),
        (Some(_), None, _) => missing("twilio.api_key_secret", "api_key_sid"),
        (None, Some(_), _) => missing("twilio.api_key_sid", "api_key_secret"),
        (None, None, Some(token)) => Ok((account.to_owned(), token.0.clone())),
        (None, None, None) => Err(mistake("twilio.auth_token", "is missing, and so is an API key")),
    }
}

fn from(config: &TwilioConfig) -> Result<From, SmsConfigError> {
    let number = sender("twilio.from", config.from.as_ref())?;
    match (number, &config.messaging_service_sid) {
        (Some(number), None) => Ok(From::Number(number)),
        (None, Some(service)) => {
            Ok(From::Service(identifier("twilio.messaging_service_sid", service, "MG")?))
        }
        _ => Err(mistake("twilio.from", "either this or messaging_service_sid must be given, and not both")),
    }
}

/// As it is written: the receipts' signatures are over its every character.
fn callback(config: &TwilioConfig) -> Result<Option<String>, SmsConfigError> {
    let Some(url) = &config.status_callback else {
        return Ok(None);
    };
    web_address("twilio.status_callback", url)?;
    if config.auth_token.is_none() {
        return Err(mistake(
            "twilio.auth_token",
            "is missing: without it no delivery receipt can be checked",
        ));
    }
    Ok(Some(url.clone()))
}

impl fmt::Debug for Twilio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Twilio").field("user", &self.user).finish_non_exhaustive()
    }
}
