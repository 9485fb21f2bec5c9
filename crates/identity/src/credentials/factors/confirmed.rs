//! A factor that is being set up shows that it works, or does not.

use serde_json::json;
use tidegate_delivery::Template;
use tidegate_domain::audit::Action;
use tidegate_domain::factor::FactorKind;
use tidegate_domain::limit;
use tidegate_kernel::fault::{Fault, Outcome, refuse};

use crate::credentials::factors::guess::FactorGuess;
use crate::credentials::factors::status::described;
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

impl Acting<'_> {
    /// Counts a wrong code of a factor that is being set up, and refuses.
    pub(crate) async fn refuse_code<T>(
        mut self,
        guess: FactorGuess,
        kind: FactorKind,
    ) -> Outcome<T, ConfirmFactorError> {
        self.wrong_guess(guess).await?;
        let metadata = json!({ "reason": "invalid_code", "method": kind.as_str() });
        self.audit(Action::FactorRefused, self.grant.subject(), metadata).await?;
        self.commit().await?;
        refuse(ConfirmFactorError::WrongCode)
    }

    /// Records a new factor, and mails its owner.
    pub(crate) async fn note_added(&mut self, kind: FactorKind, name: &str) -> Result<(), Fault> {
        let metadata = json!({ "method": kind.as_str(), "device_name": name });
        self.audit(Action::FactorAdded, self.grant.subject(), metadata).await?;
        let account = self.grant.account();
        self.security_notice(account, Template::FactorAdded, json!({ "factor": described(kind, name) })).await
    }
}
