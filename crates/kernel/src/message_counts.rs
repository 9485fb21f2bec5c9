//! Messages are counted by who causes them before the unit that sends them: network, account and organization.
//!
//! These counts are shared by many. Counted in the unit that sends, they would be locked until its commit, and everybody else of the
//! network would wait for it. A message is sent with the proof that it was counted ([`CountedMessage`]): there is no other way.

use tidegate_domain::PhoneNumber;
use tidegate_domain::limit::Limit;

use crate::fault::Fault;
use crate::throttle::Counted;
use crate::{Call, CountedMessage, Kernel};

impl Kernel {
    /// Counts a message by who asks for it, in a unit of its own. No unit of the caller's may be open. Where it is too many, nothing is
    /// counted, and it is refused, or not sent, when it would be sent: what is looked at before is answered as without the limit.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn count_message(&self, call: &Call) -> Result<CountedMessage, Fault> {
        let by_causer = self.count_apart(call, &self.causer_counts(call)).await?;
        Ok(CountedMessage { by_causer, by_recipient: false })
    }

    /// The same of a mail that is no reason to refuse anything; none where no mail can be sent.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn count_mail_where_sent(&self, call: &Call) -> Result<Option<CountedMessage>, Fault> {
        if self.require_mail().is_err() {
            return Ok(None);
        }
        Ok(Some(self.count_message(call).await?))
    }

    /// Counts a text message with a code that a caller asks for by all that it is counted by, its recipient too, together with
    /// `attempts`; or refuses it, and counts none of them. All of it stays counted.
    ///
    /// # Errors
    /// [`Fault::RateLimited`], and those of the store.
    pub async fn count_text(
        &self,
        call: &Call,
        phone: &PhoneNumber,
        attempts: &[(Counted<'_>, Option<Limit>)],
    ) -> Result<CountedMessage, Fault> {
        let by_recipient =
            (Counted::MessagesByRecipient(phone.expose()), self.settings.messages.by_recipient);
        let by_causer = self.causer_counts(call).into_iter().map(|(counted, limit)| (counted, Some(limit)));
        let all: Vec<_> = attempts.iter().copied().chain([by_recipient]).chain(by_causer).collect();
        self.throttle(call, &all).await?;
        Ok(CountedMessage { by_causer: Ok(self.counting.taken(Vec::new())), by_recipient: true })
    }

    /// What a message counts as by who causes it.
    fn causer_counts(&self, call: &Call) -> Vec<(Counted<'static>, Limit)> {
        let (limits, causer) = (&self.settings.messages, call.causer);
        let counts = [
            Some((Counted::MessagesByNetwork, limits.by_network)),
            causer.map(|by| (Counted::MessagesByAccount(by.account), limits.by_account)),
            causer.map(|by| (Counted::MessagesByOrganization(by.organization), limits.by_organization)),
        ];
        counts.into_iter().flatten().filter_map(|(counted, limit)| Some((counted, limit?))).collect()
    }
}
