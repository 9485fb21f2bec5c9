//! What brokerage does when something happens to an account in another feature.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tidegate_domain::id::AccountId;
use tidegate_kernel::hooks::{AccountHooks, ContactDetails};
use tidegate_kernel::{Fault, Work};

use crate::BrokerageTables;
use crate::trader::read_brokerage_customer;

pub(crate) struct BrokerageHooks {
    /// The name of the broker in use.
    pub(crate) broker: &'static str,
}

impl AccountHooks for BrokerageHooks {
    fn account_deleted<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        account: AccountId,
    ) -> BoxFuture<'w, Result<(), Fault>> {
        async move { Ok(work.unit.brokerage().delete_of(account).await?) }.boxed()
    }

    /// The address the broker writes to is offered again until it is shown to be the person's.
    fn signed_in<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        account: AccountId,
    ) -> BoxFuture<'w, Result<(), Fault>> {
        async move {
            let customer = read_brokerage_customer(work.kernel, work.unit, self.broker, account).await?;
            match (&customer.email, customer.email_verified_at) {
                (Some(email), None) => {
                    let details = ContactDetails { email, first_name: None, last_name: None };
                    work.contact_learned(account, details).await
                }
                _ => Ok(()),
            }
        }
        .boxed()
    }
}
