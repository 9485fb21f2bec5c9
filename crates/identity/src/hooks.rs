//! What identity does when something happens in another feature.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tidegate_domain::id::AccountId;
use tidegate_kernel::hooks::{AccountHooks, ContactDetails};
use tidegate_kernel::{Fault, Work};

use crate::IdentityTables;
use crate::accounts::add_email::offer_email;

pub(crate) struct IdentityHooks;

impl AccountHooks for IdentityHooks {
    /// The account is called what its person is called, and may get their address once they show that it is theirs.
    fn contact_learned<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        account: AccountId,
        details: ContactDetails<'w>,
    ) -> BoxFuture<'w, Result<(), Fault>> {
        async move {
            if let (Some(first), Some(last)) = (details.first_name, details.last_name) {
                work.unit.accounts().name(account, first, last, work.now).await?;
            }
            offer_email(work, account, details.email).await
        }
        .boxed()
    }
}
