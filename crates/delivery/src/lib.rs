//! Mail and text messages: what they say, how they are sent, and when they are tried again.
//!
//! Nothing here touches the store or a clock. A worker takes a row of the outbox, renders it with [`Templates`],
//! hands it to a [`MailProvider`] or to the [`SmsProviders`], and asks the [`RetryPolicy`] what a failure means.

mod lifetime;
pub mod message;
pub mod provider;
mod redact;
pub mod retry;
pub mod sms;
pub mod smtp;
pub mod template;

pub use lifetime::minutes;
pub use message::OutgoingMail;
pub use provider::MailProvider;
pub use retry::RetryPolicy;
pub use sms::{OutgoingSms, SmsConfig, SmsError, SmsProvider, SmsProviders};
pub use smtp::{ConfigError, MailPassword, SendError, Smtp, SmtpConfig, TlsMode};
pub use template::{Rendered, SmsTemplate, Template, TemplateError, Templates};
