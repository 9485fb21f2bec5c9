//! A factor that is being set up shows that it works, or does not.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tidegate_delivery::Template;
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::REPEATED_FOR;
use tidegate_domain::factor::{FactorKind, RecoveryCode};
use tidegate_domain::session::{Amr, AmrSet};
use tidegate_domain::{Secret, Timestamp, limit};
use tidegate_kernel::KernelTables;
use tidegate_kernel::counted_factor::FactorUse;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::noted::{self, CredentialFault};
use tidegate_kernel::one_time::OneTime;

use crate::IdentityTables;
use crate::credentials::factors::guess::{FactorGuess, ReservedGuess};
use crate::work::Acting;

/// Why a factor was not confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfirmFactorError {
    /// The code is wrong; the try was counted.
    #[error("the code is wrong")]
    WrongCode,
    /// Nothing is being set up, or too much time has passed.
    #[error("no second factor is being set up; begin again")]
    NotPending,
    /// Too many wrong codes in a row.
    #[error("too many wrong codes; wait a moment")]
    TooManyAttempts(limit::Exceeded),
}

/// What a repeat of a confirmation is answered: kept sealed.
#[derive(Serialize, Deserialize)]
struct KeptConfirmation {
    made_at: Timestamp,
    codes: Vec<String>,
}

impl Acting<'_> {
    /// Counts a wrong code of a factor that is being set up, and refuses.
    pub(crate) async fn refuse_code<T>(
        mut self,
        guess: FactorGuess,
        kind: FactorKind,
    ) -> Outcome<T, ConfirmFactorError> {
        // Of a code that was sent; of an app more is known.
        noted::refused_otherwise(CredentialFault::OneTimeCode("wrong"));
        self.wrong_guess(guess).await?;
        let metadata = json!({ "reason": "invalid_code", "method": kind.as_str() });
        self.audit(Action::FactorRefused, self.grant.subject(), metadata).await?;
        self.commit().await?;
        refuse(ConfirmFactorError::WrongCode)
    }

    /// What a repeat of a confirmation is known by.
    pub(crate) fn confirmation(&self, kind: FactorKind, code: &Secret, name: Option<&str>) -> OneTime {
        let proof = json!([self.grant.session().id.0, kind.as_str(), code.expose(), name]);
        self.app.kernel.one_time(self.call, "confirm second factor", &proof)
    }

    /// Keeps the backup codes of a confirmed factor for a repeat of the request.
    pub(crate) async fn keep_confirmed(
        &mut self,
        action: &OneTime,
        codes: &[RecoveryCode],
    ) -> Result<(), Fault> {
        let codes = codes.iter().map(|code| code.expose().to_owned()).collect();
        let kept = KeptConfirmation { made_at: self.now, codes };
        self.kernel().keep_answer(action, &kept).await
    }

    /// Answers a factor that was confirmed just now as the first time. Anything but the code that was right counts as a wrong one: the
    /// backup codes that are kept must not be had by guessing.
    pub(crate) async fn confirmed_again(
        mut self,
        kind: FactorKind,
        action: &OneTime,
        reserved: ReservedGuess,
    ) -> Outcome<Vec<RecoveryCode>, ConfirmFactorError> {
        let (account, since) = (self.grant.account(), self.now.minus(REPEATED_FOR));
        let recent = self.unit.factors().verified_since(account, since).await?;
        if !recent.iter().any(|factor| factor.kind == kind) {
            return refuse(ConfirmFactorError::NotPending);
        }
        let guess = match self.begin_guess(account, FactorUse::SetUp, None, reserved).await? {
            Ok(guess) => guess,
            Err(exceeded) => return refuse(ConfirmFactorError::TooManyAttempts(exceeded)),
        };
        let kept = self.app.kernel.answered::<KeptConfirmation>(&mut self.unit, action).await?;
        let Some(kept) = kept else {
            self.wrong_guess(guess).await?;
            self.commit().await?;
            return refuse(ConfirmFactorError::NotPending);
        };
        self.right_guess(guess).await?;
        let made_at = self.unit.recovery_codes().count(account).await?.made_at;
        self.commit().await?;
        let codes: Result<Vec<_>, _> = kept.codes.iter().map(|code| RecoveryCode::parse(code)).collect();
        match codes {
            // Others took their place meanwhile.
            _ if made_at != Some(kept.made_at) => refuse(ConfirmFactorError::NotPending),
            Ok(codes) => Ok(codes),
            Err(_) => Err(Fault::Internal("kept backup codes cannot be read".to_owned()).into()),
        }
    }

    /// Whoever set up a factor has shown it in this session; when they proved who they are stays as it was.
    async fn note_shown(&mut self) -> Result<(), Fault> {
        let session = self.grant.session();
        let (id, since) = (session.id, session.auth_time);
        let amr = session.amr.union(AmrSet::of(Amr::MultiFactor).with(Amr::OneTimeCode));
        if self.unit.sessions().authenticated_again(id, amr, since).await? {
            Ok(())
        } else {
            Err(Fault::SessionEnded)
        }
    }

    /// Records a new factor, and mails its owner.
    pub(crate) async fn note_added(&mut self, kind: FactorKind, name: &str) -> Result<(), Fault> {
        let metadata = json!({ "method": kind.as_str(), "device_name": name });
        self.audit(Action::FactorAdded, self.grant.subject(), metadata).await?;
        self.note_shown().await?;
        let account = self.grant.account();
        self.factor_notice(account, Template::FactorAdded, &[(kind, name)], json!({})).await
    }
}
