//! What brokerage does when something happens to an account in another feature.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tidegate_domain::EmailAddress;
use tidegate_domain::id::AccountId;
use tidegate_kernel::hooks::AccountHooks;
use tidegate_kernel::{Fault, Work};

use crate::BrokerageTables;
use crate::customer::{read_brokerage_customer, read_unproven_address};

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

    fn account_exported<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        account: AccountId,
    ) -> BoxFuture<'w, Result<Option<(&'static str, Value)>, Fault>> {
        async move {
            let customer = read_brokerage_customer(work.kernel, work.unit, self.broker, account).await?;
            let Some(broker_account) = customer.broker_account else {
                return Ok(None);
            };
            let kept = json!({
                "broker": self.broker,
                "broker_account": broker_account,
                "status": customer.status.as_str(),
                "email": customer.email.as_ref().map(EmailAddress::as_str),
                "date_of_birth": customer.date_of_birth,
            });
            Ok(Some(("brokerage", kept)))
        }
        .boxed()
    }

    /// The address the broker writes to is offered again until it is shown to be the person's.
    fn unproven_address<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        account: AccountId,
    ) -> BoxFuture<'w, Result<Option<EmailAddress>, Fault>> {
        async move { read_unproven_address(work.kernel, work.unit, self.broker, account).await }.boxed()
    }
}
