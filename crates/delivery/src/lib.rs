//! Mail: what it says, how it is sent, and when it is tried again.
//!
//! Nothing here touches the store or a clock. A worker takes a row of the outbox, renders it with [`Templates`],
//! hands it to a [`MailProvider`] and asks the [`RetryPolicy`] what a failure means.

pub mod message;
pub mod provider;
mod redact;
pub mod retry;
pub mod smtp;
pub mod template;

pub use message::OutgoingMail;
pub use provider::MailProvider;
pub use retry::RetryPolicy;
pub use smtp::{ConfigError, MailPassword, SendError, Smtp, SmtpConfig, TlsMode};
pub use template::{Rendered, Template, TemplateError, Templates};
