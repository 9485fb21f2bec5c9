//! The second factors of an account, for sign-in.

use tidegate_domain::factor::FactorKind;
use tidegate_domain::id::AccountId;
use tidegate_kernel::fault::Fault;

use crate::credentials::factors::remove::kinds_of;
use crate::credentials::factors::repository::Factor;
use crate::work::Work;

impl<G> Work<'_, G> {
    /// The kinds of factor that the account can show now, each once. Codes cannot be sent to a phone or an address that is gone.
    pub(crate) async fn usable_kinds(
        &mut self,
        account: AccountId,
        factors: &[Factor],
    ) -> Result<Vec<FactorKind>, Fault> {
        let mut usable = Vec::new();
        for kind in kinds_of(factors) {
            let is_sent = match kind {
                FactorKind::Totp => false,
                FactorKind::EmailOtp | FactorKind::SmsOtp => true,
            };
            if !is_sent || self.recipient(account, kind).await?.is_some() {
                usable.push(kind);
            }
        }
        Ok(usable)
    }
}
