//! The proof that a message was counted by who causes it.

use tidegate_domain::limit::Exceeded;

use crate::fault::Fault;
use crate::node::counting::ProvisionalCount;

/// A message that was counted by who causes it. It is taken back unless the unit is committed that puts it in the outbox.
pub struct CountedMessage {
    /// What is counted, or by how much that is too many: the request is refused when it would be sent.
    pub(crate) by_causer: Result<ProvisionalCount, Exceeded>,
    /// Whether it was counted by its recipient with it.
    pub(crate) by_recipient: bool,
}

impl CountedMessage {
    /// Refuses at once what is too many: for work that costs much before its message is sent.
    ///
    /// # Errors
    /// [`Fault::RateLimited`].
    pub fn within_limits(self) -> Result<Self, Fault> {
        let Self { by_causer, by_recipient } = self;
        Ok(Self { by_causer: Ok(by_causer?), by_recipient })
    }

    /// That there is one.
    ///
    /// # Errors
    /// A defect where there is none.
    pub fn required(message: Option<Self>) -> Result<Self, Fault> {
        message.ok_or_else(|| Fault::Internal("a message that is not counted is not sent".to_owned()))
    }
}
