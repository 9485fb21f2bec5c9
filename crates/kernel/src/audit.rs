//! Writes audit events: in the unit of work of what they record.

use serde_json::Value;
use tidegate_domain::Timestamp;
use tidegate_domain::audit::Action;
use tidegate_domain::id::{AccountId, AuditEventId};
use tidegate_domain::limit::Limit;
use uuid::Uuid;

use crate::fault::Fault;
use crate::tables::audit::{NewEvent, Subject};
use crate::{Call, Kernel, KernelTables, Work};

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
            id: self.event_id(action, subject.account),
            at: self.now,
            action,
            account: subject.account,
            organization: subject.organization,
            session: subject.session,
            origin: *self.call.origin(),
            ip: self.call.ip_text(),
            user_agent: self.call.user_agent.clone(),
            metadata,
        };
        Ok(self.unit.audit().insert(event).await?)
    }

    /// The key of an event. Attempts of one network, kind and account share one once there were many: callers who have not
    /// signed in must not fill the log. Whether the account exists makes no difference. Each node counts in memory and
    /// exchanges its counts, as for traffic limits: this is about the size of the log, not about guesses.
    ///
    /// On PostgreSQL a unit that adds to a row locks it until the commit, so units at the same time have a row each.
    fn event_id(&mut self, action: Action, account: Option<AccountId>) -> AuditEventId {
        let shared = match self.kernel.settings.audit.attempts_by_network {
            Some(limit) if self.call.causer.is_none() && action.is_attempt() => {
                self.kernel.exceeded_audit(self.call, limit)
            }
            _ => None,
        };
        let Some(resets_at) = shared else {
            return self.kernel.entropy.uuid(self.now).into();
        };
        let network = self.call.networks().pop().map(|network| network.name);
        let row = format!(
            "{} {} {} {} {}",
            network.unwrap_or_default(),
            action.as_str(),
            self.call.profile.contract.as_str(),
            account.map(|account| account.to_string()).unwrap_or_default(),
            resets_at.micros(),
        );
        let named = |row: &str| self.kernel.vault.mac("audited attempts", row.as_bytes());
        let mut mac = named(&row);
        if self.unit.is_postgres() {
            let place = self.kernel.memory.shared_attempts.take(mac);
            if place.number() > 0 {
                mac = named(&format!("{row} {}", place.number()));
            }
            self.unit.on_commit(Box::new(place));
        }
        AuditEventId(Uuid::from_bytes(first_half(mac)))
    }
}

impl Kernel {
    /// Counts an attempt that is about to be recorded. Until when attempts of its network share their rows, if there were too many.
    fn exceeded_audit(&self, call: &Call, limit: Limit) -> Option<Timestamp> {
        let statuses: Vec<_> = call
            .networks()
            .into_iter()
            .map(|network| {
                let caller = format!("audited attempts ip {}", network.name);
                self.meter.count(caller, limit.times(network.times), self.now())
            })
            .collect();
        statuses.into_iter().find(|status| status.exceeded).map(|status| status.resets_at)
    }
}

fn first_half([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..]: [u8; 32]) -> [u8; 16] {
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}
