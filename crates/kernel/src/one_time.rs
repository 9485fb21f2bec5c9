//! A request that is sent again right after it worked: its answer was lost on the way, or a button was pressed twice.
//!
//! What is good once would be refused the second time, and the caller would have to ask for another code or link. So the same
//! caller is answered as the first time, for a minute, and nothing is done again. The same caller is one from the same network,
//! with the same program, who sends the same secret. An answer with a session is given
//! again only while that session is current.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tidegate_database::Unit;
use tidegate_domain::challenge::REPEATED_FOR;

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

/// What is kept of an action.
enum Kept<T> {
    Answer(T),
    /// It was done with another proof.
    OtherProof,
    Nothing,
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

    /// The action `name` about something that the caller names, with a proof that is weaker than a code or a token: a password. Its answer
    /// is known without the proof, so that a single wrong one [withdraws](Self::withdraw_other_proof) it.
    pub fn one_time_about(&self, call: &Call, name: &str, subject: &Value, proof: &Value) -> OneTime {
        let OneTime { key_mac, .. } = self.one_time(call, name, subject);
        let OneTime { fingerprint, .. } = self.one_time(call, name, &json!([subject, proof]));
        OneTime { key_mac, fingerprint }
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
        Ok(match self.kept(unit, action).await? {
            Kept::Answer(answer) => Some(answer),
            Kept::OtherProof | Kept::Nothing => None,
        })
    }

    /// Whether an action was done by the same caller with another proof.
    ///
    /// # Errors
    /// Those of the store and the vault.
    pub async fn has_other_proof(&self, unit: &mut Unit, action: &OneTime) -> Result<bool, Fault> {
        Ok(matches!(self.kept::<Value>(unit, action).await?, Kept::OtherProof))
    }

    /// Forgets an answer that was kept for another proof: it cannot be had by guessing.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn withdraw_other_proof(&self, action: &OneTime) -> Result<(), Fault> {
        let mut unit = self.store.begin().await?;
        unit.idempotency().remove_other(&action.key_mac, &action.fingerprint).await?;
        Ok(unit.commit().await?)
    }

    async fn kept<T: DeserializeOwned>(&self, unit: &mut Unit, action: &OneTime) -> Result<Kept<T>, Fault> {
        let Some(kept) = unit.idempotency().find(&action.key_mac, self.now()).await? else {
            return Ok(Kept::Nothing);
        };
        if kept.fingerprint != action.fingerprint {
            return Ok(Kept::OtherProof);
        }
        let plain = self.vault.open(RESPONSE, &kept.response)?;
        Ok(Kept::Answer(serde_json::from_slice(&plain)?))
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
        Ok(self.unit.idempotency().keep(&action.key_mac, &record, self.now, expires_at).await?)
    }
}
