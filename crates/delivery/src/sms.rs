//! Text messages: who sends them, and what happens when one of several providers fails.
//!
//! No error, log line or `Debug` output here holds what a message says, or more of a number than its last two
//! digits.

mod africas_talking;
mod config;
mod gateway;
pub(crate) mod gsm;
mod receipt;
mod twilio;
mod webhook;

use tidegate_domain::{PhoneNumber, Secret, Timestamp};

use crate::SendError;

pub use africas_talking::AfricasTalking;
pub use config::{
    AfricasTalkingConfig, SmsConfig, SmsConfigError, SmsProviderKind, SmsSecret, TwilioConfig, WebhookConfig,
};
pub use receipt::{DeliveryReceipt, DeliveryState, Proof, ReceiptError, Receipts};
pub use twilio::Twilio;
pub use webhook::Webhook;

/// A text message and who gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingSms {
    /// The recipient.
    pub to: PhoneNumber,
    /// What stays the same however often this message is tried.
    pub idempotency_key: String,
    /// What it says, on one line.
    pub text: Secret,
    /// When it was written.
    pub date: Timestamp,
}

/// A provider has taken responsibility for a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Which.
    pub provider: SmsProviderKind,
    /// What its [receipts](Receipts) call the message; none where it has no name for it.
    pub message_id: Option<String>,
}

/// Why a message was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SmsError {
    /// Worth another attempt: the network, or a busy provider.
    #[error("{0}")]
    Temporary(String),
    /// This provider cannot reach the number; another one may. Worth no second attempt with this one.
    #[error("{0}")]
    Unreachable(String),
    /// No provider can send this: the number is invalid, or its owner has opted out.
    #[error("{0}")]
    Permanent(String),
    /// The operator's trouble: credentials, sender, credit. Worth another attempt once that is corrected.
    #[error("{0}")]
    Configuration(String),
}

impl SmsError {
    /// Whether a later attempt may succeed.
    pub const fn is_worth_retrying(&self) -> bool {
        matches!(self, Self::Temporary(_) | Self::Configuration(_))
    }
}

impl From<SmsError> for SendError {
    fn from(error: SmsError) -> Self {
        let again = error.is_worth_retrying();
        let text = error.to_string();
        if again { Self::Transient(text) } else { Self::Permanent(text) }
    }
}

/// One way a text message leaves this installation.
#[derive(Debug)]
pub enum SmsProvider {
    /// Nothing is sent: messages stay readable in the outbox. For development.
    Outbox,
    /// Through Africa's Talking.
    AfricasTalking(AfricasTalking),
    /// Through Twilio.
    Twilio(Twilio),
    /// Handed to a gateway of the operator's.
    Webhook(Webhook),
}

impl SmsProvider {
    /// Which it is.
    pub const fn kind(&self) -> SmsProviderKind {
        match self {
            Self::Outbox => SmsProviderKind::Outbox,
            Self::AfricasTalking(_) => SmsProviderKind::AfricasTalking,
            Self::Twilio(_) => SmsProviderKind::Twilio,
            Self::Webhook(_) => SmsProviderKind::Webhook,
        }
    }

    /// Sends `sms` at the instant `now`; at the [outbox](Self::Outbox) it is where it belongs already.
    ///
    /// An attempt whose answer was lost may have been sent all the same.
    ///
    /// # Errors
    /// [`SmsError`], which says whether to try again, here or elsewhere.
    pub async fn deliver(&self, sms: &OutgoingSms, now: Timestamp) -> Result<Accepted, SmsError> {
        let message_id = match self {
            Self::Outbox => None,
            Self::AfricasTalking(provider) => provider.send(sms).await?,
            Self::Twilio(provider) => provider.send(sms).await?,
            Self::Webhook(provider) => provider.send(sms, now).await?,
        };
        Ok(Accepted { provider: self.kind(), message_id })
    }
}

/// All providers of this installation, in the order they are tried.
#[derive(Debug)]
pub struct SmsProviders(Vec<SmsProvider>);

impl SmsProviders {
    /// Those of `providers`, the first first.
    pub const fn new(providers: Vec<SmsProvider>) -> Self {
        Self(providers)
    }

    /// Those that `config` sets up, in its order; connects to nothing yet.
    ///
    /// # Errors
    /// Names the setting that is wrong.
    pub fn from_config(config: &SmsConfig) -> Result<Self, SmsConfigError> {
        let provider = |kind: SmsProviderKind| match kind {
            SmsProviderKind::Outbox => Ok(Some(SmsProvider::Outbox)),
            SmsProviderKind::AfricasTalking => config
                .africas_talking
                .as_ref()
                .map(AfricasTalking::new)
                .transpose()
                .map(|made| made.map(SmsProvider::AfricasTalking)),
            SmsProviderKind::Twilio => {
                config.twilio.as_ref().map(Twilio::new).transpose().map(|made| made.map(SmsProvider::Twilio))
            }
            SmsProviderKind::Webhook => config
                .webhook
                .as_ref()
                .map(Webhook::new)
                .transpose()
                .map(|made| made.map(SmsProvider::Webhook)),
        };
        let made: Result<Vec<_>, _> = config.order()?.into_iter().map(provider).collect();
        Ok(Self(made?.into_iter().flatten().collect()))
    }

    /// Which they are, in that order.
    pub fn kinds(&self) -> impl Iterator<Item = SmsProviderKind> {
        self.0.iter().map(SmsProvider::kind)
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sends `sms` through the first provider that takes it. One that fails is logged, and the next one
    /// asked; a number that is refused for good is not offered to another.
    ///
    /// # Errors
    /// [`SmsError`]: of several failures the one that gives most hope.
    pub async fn deliver(&self, sms: &OutgoingSms, now: Timestamp) -> Result<Accepted, SmsError> {
        let mut best: Option<SmsError> = None;
        for provider in &self.0 {
            let error = match provider.deliver(sms, now).await {
                Ok(accepted) => return Ok(accepted),
                Err(error) => error,
            };
            let (name, id) = (provider.kind().as_str(), &sms.idempotency_key);
            match &error {
                SmsError::Configuration(_) => {
                    tracing::error!(provider = name, sms = id, %error, "an SMS was not sent: check [sms]");
                }
                SmsError::Permanent(_) => return Err(error),
                SmsError::Temporary(_) | SmsError::Unreachable(_) => {
                    tracing::warn!(provider = name, sms = id, %error, "an SMS was not sent");
                }
            }
            best = match best {
                Some(best) if hope(&best) >= hope(&error) => Some(best),
                _ => Some(error),
            };
        }
        Err(best.unwrap_or_else(|| SmsError::Configuration("no SMS provider is configured".to_owned())))
    }
}

/// The more, the likelier that another attempt succeeds by itself.
const fn hope(error: &SmsError) -> u8 {
    match error {
        SmsError::Permanent(_) => 0,
        SmsError::Unreachable(_) => 1,
        SmsError::Configuration(_) => 2,
        SmsError::Temporary(_) => 3,
    }
}

/// What a provider calls a message, if it is fit to be stored and logged.
fn message_id(text: &str) -> Option<String> {
    let is_fit = (1..=100).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_fit.then(|| text.to_owned())
}
