//! Writes audit events: in the unit of work of what they record.

use serde_json::Value;
use tidegate_domain::audit::Action;
use tidegate_domain::id::{AccountId, AuditEventId};
use uuid::Uuid;

use crate::fault::Fault;
use crate::tables::audit::{NewEvent, Subject};
use crate::throttle::Counted;
use crate::{KernelTables, Work};

impl Work<'_> {
    /// Records that something happened.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn audit(
        &mut self,
        action: Action,
        subject: impl Into<Subject>,
        metadata: Value,
    ) -> Result<(), Fault> {
        let subject = subject.into();
        let event = NewEvent {
            id: self.event_id(action, subject.account).await?,
            at: self.now,
            action,
            account: subject.account,
            organization: subject.organization,
            session: subject.session,
            origin: *self.call.origin(),
            ip: &self.call.ip_text(),
            user_agent: &self.call.user_agent,
            metadata,
        };
        Ok(self.unit.audit().insert(&event).await?)
    }

    /// The key of an event. Attempts of one network, kind and account share one once there were many: callers who have not
    /// signed in must not fill the log. Whether the account exists makes no difference.
    async fn event_id(&mut self, action: Action, account: Option<AccountId>) -> Result<AuditEventId, Fault> {
        if self.call.causer.is_none() && action.is_attempt() {
            let limit = self.kernel.settings.audit.attempts_by_network;
            if let Some(exceeded) = self.count(Counted::AuditedAttempts, limit).await? {
                let network = self.call.networks().pop().map(|network| network.name);
                let row = format!(
                    "{} {} {} {} {}",
                    network.unwrap_or_default(),
                    action.as_str(),
                    self.call.profile.contract.as_str(),
                    account.map(|account| account.to_string()).unwrap_or_default(),
                    exceeded.status.resets_at.micros(),
                );
                let mac = self.kernel.vault.mac("audited attempts", row.as_bytes());
                return Ok(AuditEventId(Uuid::from_bytes(first_half(mac))));
            }
        }
        Ok(self.kernel.entropy.uuid(self.now).into())
    }
}

fn first_half([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..]: [u8; 32]) -> [u8; 16] {
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}
