//! The second factors of an account, for sign-in.

use tidegate_domain::factor::FactorKind;
use tidegate_domain::id::AccountId;
use tidegate_kernel::fault::Fault;

use crate::IdentityTables;
use crate::credentials::factors::repository::Factor;
use crate::work::Work;

impl<G> Work<'_, G> {
    /// The kinds of factor that the account can show now, each once. Codes cannot be sent to a phone that is gone.
    pub(crate) async fn usable_kinds(
        &mut self,
        account: AccountId,
        factors: &[Factor],
    ) -> Result<Vec<FactorKind>, Fault> {
        let has_phone = self.unit.accounts().phone(account).await?.is_some();
        let is_held = |kind: &FactorKind| factors.iter().any(|factor| factor.kind == *kind);
        let usable = |kind: &FactorKind| *kind != FactorKind::SmsOtp || has_phone;
        Ok(FactorKind::ALL.into_iter().filter(is_held).filter(usable).collect())
    }
}
