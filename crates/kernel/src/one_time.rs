//! A request that is sent again right after it worked: its answer was lost on the way, or a button was pressed twice.
//!
//! What is good once would be refused the second time, and the caller would have to ask for another code or link. So the same
//! caller is answered as the first time, for a minute, and nothing is done again. The same caller is one from the same network,
//! with the same program, who sends the same secret.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tidegate_database::Unit;
use tidegate_domain::challenge::REPEATED_FOR;
use tidegate_domain::id::SessionId;

use crate::fault::Fault;
use crate::tables::idempotency::Record;
use crate::{Call, Kernel, KernelTables, Work};

/// What kept answers are sealed for.
const RESPONSE: &str = "one-time response";

/// A one-time action, and who asks for it.
#[derive(Clone, Copy, Debug)]
pub struct OneTime {
    key_mac: [u8; 32],
    fingerprint: [u8; 32],
}

impl Kernel {
    /// The action `name` with what proves that the caller may do it.
    pub fn one_time(&self, call: &Call, name: &str, proof: &Value) -> OneTime {
        let whole = json!([call.profile.contract.as_str(), name, call.network(), call.user_agent, proof]);
        let whole = whole.to_string();
        OneTime {
            key_mac: self.vault.mac("one-time action", whole.as_bytes()),
            fingerprint: self.vault.mac("one-time fingerprint", whole.as_bytes()),
        }
    }

    /// The answer that was kept for an action. None when it was not done, or too long ago.
    ///
    /// # Errors
    /// Those of the store and the vault.
    pub async fn answered<T: DeserializeOwned>(
        &self,
        unit: &mut Unit,
        action: &OneTime,
    ) -> Result<Option<T>, Fault> {
        let kept = unit.idempotency().find(&action.key_mac, self.now()).await?;
        let Some(kept) = kept.filter(|kept| kept.fingerprint == action.fingerprint) else {
            return Ok(None);
        };
        let plain = self.vault.open(RESPONSE, &kept.response)?;
        Ok(Some(serde_json::from_slice(&plain)?))
    }

    /// Whether a session is still good: an answer that was kept must not outlive it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn is_alive(&self, unit: &mut Unit, session: SessionId) -> Result<bool, Fault> {
        let record = unit.sessions().record(session).await?;
        Ok(record.is_some_and(|record| !record.ended && record.expires_at > self.now()))
    }
}

impl Work<'_> {
    /// Keeps the answer of an action for a minute, sealed, in the unit of work that does it.
    ///
    /// # Errors
    /// Those of the store and the vault.
    pub async fn keep_answer<T: Serialize>(&mut self, action: &OneTime, answer: &T) -> Result<(), Fault> {
        let plain = serde_json::to_vec(answer)?;
        let record = Record {
            fingerprint: action.fingerprint.to_vec(),
            response: self.kernel.vault.seal(RESPONSE, &plain, self.kernel.entropy.as_ref())?,
        };
        let expires_at = self.now.plus(REPEATED_FOR);
        self.unit.idempotency().insert(&action.key_mac, &record, self.now, expires_at).await?;
        Ok(())
    }
}
