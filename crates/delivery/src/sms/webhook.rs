//! Messages handed to the operator's own gateway, which sends them.
//!
//! The gateway gets `POST` with a JSON object:
//!
//! ```json
//! {"to": "+254712345678", "text": "493027 is your ...", "id": "0190c7a2-...", "at": "2026-01-31T09:30:00Z"}
//! ```
//!
//! `id` stays the same when a message is tried again, so that the gateway can drop repeats; `at` is when the
//! message was written. The header `Tidegate-Signature: t=<seconds>,v1=<hex>` proves who sent it, and when:
//! [`SharedKey::sign_webhook`] says how it is made and checked.
//!
//! The gateway answers 2xx once it has taken the message, 422 when the number cannot receive messages, 408, 425,
//! 429 or 5xx when it is worth trying again; anything else is taken for a mistake in the configuration. A
//! JSON object with a text `id` in a 2xx answer is the gateway's own name for the message.

use std::fmt;

use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use tidegate_crypto::SharedKey;
use tidegate_domain::Timestamp;
use tidegate_domain::certificate::CertificateOf;

use super::config::{SmsConfigError, WebhookConfig, is_loopback, strong, web_address};
use super::gateway::{Gateway, Settings};
use super::{OutgoingSms, SmsError, message_id};

const NAME: &str = "the SMS gateway";
/// Its certificate, and the settings about it.
const CERTIFICATE: CertificateOf = CertificateOf {
    file: "gateway",
    given: "give it to the gateway",
    authority: "sms.webhook.ca_file (read at the start alone: restart the server after it changed)",
    host: "the host in sms.webhook.url",
};

/// A gateway of the operator's.
pub struct Webhook {
    gateway: Gateway,
    url: Url,
    key: SharedKey,
}

#[derive(Serialize)]
struct Wire<'a> {
    to: &'a str,
    text: &'a str,
    id: &'a str,
    at: String,
}

#[derive(Deserialize)]
struct Taken {
    id: String,
}

impl Webhook {
    /// Prepares sending as `config` says; connects to nothing yet.
    ///
    /// # Errors
    /// Names the setting that is wrong.
    pub fn new(config: &WebhookConfig) -> Result<Self, SmsConfigError> {
        let settings = Settings {
            timeout: "webhook.timeout_seconds",
            ca_file: "webhook.ca_file",
            certificate: Some(CERTIFICATE),
        };
        let url = web_address("webhook.url", &config.url)?;
        if url.scheme() == "http" && !is_loopback(&url) {
            tracing::warn!(
                "text messages cross the network unencrypted: sms.webhook.url should begin with https://"
            );
        }
        Ok(Self {
            gateway: Gateway::new(NAME, &settings, config.timeout_seconds, config.ca_file.as_deref())?,
            url,
            key: SharedKey::new(strong("webhook.secret", &config.secret)?),
        })
    }

    /// Hands `sms` over at the instant `now`; answers the gateway's name for it.
    pub(super) async fn send(&self, sms: &OutgoingSms, now: Timestamp) -> Result<Option<String>, SmsError> {
        let wire = Wire {
            to: sms.to.expose(),
            text: sms.text.expose(),
            id: &sms.idempotency_key,
            at: sms.date.iso_seconds(),
        };
        let body = serde_json::to_vec(&wire)
            .map_err(|_| SmsError::Permanent("the message cannot be written as JSON".to_owned()))?;
        let request = self
            .gateway
            .post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .header("Tidegate-Signature", self.key.sign_webhook(now, &body))
            .body(body);
        let answer = self.gateway.ask(request).await?;
        match answer.status.as_u16() {
            200..300 => {
                Ok(serde_json::from_slice(&answer.body).ok().and_then(|Taken { id }| message_id(&id)))
            }
            422 => Err(SmsError::Permanent(format!("{NAME} refuses the number ({})", answer.status))),
            _ => Err(self.gateway.refusal(answer.status, "webhook.url and webhook.secret")),
        }
    }
}

impl fmt::Debug for Webhook {
    /// Without the address, whose path may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}
