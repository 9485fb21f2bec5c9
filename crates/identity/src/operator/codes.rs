//! What became of a code that was sent: an operator who reads it to somebody should know whether it still works.

use tidegate_crypto::PlainToken;
use tidegate_domain::Timestamp;
use tidegate_domain::challenge::ChallengeStatus;
use tidegate_kernel::Fault;
use tidegate_kernel::deliver::OutboxEntry;
use uuid::Uuid;

use super::Operator;
use crate::{Identity, IdentityTables};

/// What became of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeState {
    /// It is accepted until then.
    Usable(Timestamp),
    /// It was used then.
    Used(Timestamp),
    /// It was accepted until then.
    Expired(Timestamp),
    /// Too many wrong codes were tried in its place.
    Blocked,
    /// Another one took its place, or it expired long ago.
    Withdrawn,
}

impl Identity {
    /// What became of the code in a message.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn code_state(&self, operator: &Operator, entry: &OutboxEntry) -> Result<CodeState, Fault> {
        let mut work = self.begin_for(operator).await?;
        // What caused the message is a part of its key.
        let cause =
            entry.message.idempotency_key.rsplit_once('.').and_then(|(_, id)| Uuid::try_parse(id).ok());
        let found = match cause {
            Some(cause) => work.unit.challenges().find_any(cause.into()).await?,
            None => None,
        };
        let Some(challenge) = found else { return Ok(CodeState::Withdrawn) };
        // A code that was taken back leaves its challenge where a link of the same mail still works. Of some mails the code is the
        // link's own token: then the challenge knows it as that.
        let is_known = challenge.code_mac.is_some()
            || match entry.code() {
                Some(code) => {
                    let hash = PlainToken::from_presented(code).hash();
                    let of_link =
                        work.unit.challenges().find_by_link(challenge.purpose, hash.as_bytes()).await?;
                    of_link.is_some_and(|of_link| of_link.id == challenge.id)
                }
                None => false,
            };
        if !is_known {
            return Ok(CodeState::Withdrawn);
        }
        Ok(match (challenge.consumed_at, challenge.status(work.now)) {
            (Some(at), _) => CodeState::Used(at),
            (None, ChallengeStatus::Blocked) => CodeState::Blocked,
            (None, ChallengeStatus::Expired) => CodeState::Expired(challenge.expires_at),
            (None, ChallengeStatus::Open | ChallengeStatus::Consumed) => {
                CodeState::Usable(challenge.expires_at)
            }
        })
    }
}
