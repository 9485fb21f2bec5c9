//! Where mail goes.

use crate::{OutgoingMail, SendError, Smtp};

/// The one way mail leaves this installation.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a process holds one")]
pub enum MailProvider {
    /// Nothing is sent: messages stay readable in the outbox. For development.
    Outbox,
    /// Messages go to a mail server.
    Smtp(Smtp),
}

impl MailProvider {
    /// Delivers `mail`; at the [outbox](Self::Outbox) it is where it belongs already.
    ///
    /// # Errors
    /// Those of [`Smtp::send`].
    pub async fn deliver(&self, mail: &OutgoingMail) -> Result<(), SendError> {
        match self {
            Self::Outbox => Ok(()),
            Self::Smtp(smtp) => smtp.send(mail).await,
        }
    }

    /// Whether mail could be delivered now, without sending any.
    ///
    /// # Errors
    /// Those of [`Smtp::check`].
    pub async fn check(&self) -> Result<(), SendError> {
        match self {
            Self::Outbox => Ok(()),
            Self::Smtp(smtp) => smtp.check().await,
        }
    }
}
