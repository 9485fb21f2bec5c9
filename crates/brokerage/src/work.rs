//! One request's unit of work.

use tidegate_domain::id::AccountId;
use tidegate_kernel::hooks::ContactDetails;
use tidegate_kernel::{CountedMessage, Fault};

use crate::Brokerage;

tidegate_kernel::feature_work!(Brokerage: begin);

impl<G> Work<'_, G> {
    pub(crate) async fn lock(&mut self, account: AccountId) -> Result<(), Fault> {
        self.kernel().lock(account).await
    }

    pub(crate) async fn contact_learned(
        &mut self,
        account: AccountId,
        details: ContactDetails<'_>,
        message: Option<CountedMessage>,
    ) -> Result<(), Fault> {
        self.kernel().contact_learned(account, details, message).await
    }
}
