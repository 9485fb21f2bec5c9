//! Reads a brokerage account.

use serde_json::{Map, Value};
use tidegate_broker::BrokerError;
use tidegate_domain::Permission;
use tidegate_kernel::Actor;
use tidegate_kernel::fault::{Outcome, refuse};

use crate::Brokerage;
use crate::failure::BrokerFailure;

/// Why the profile was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerageProfileError {
    /// There is none.
    #[error("there is no brokerage account yet")]
    NoAccount,
    /// The broker did not answer.
    #[error(transparent)]
    Broker(#[from] BrokerFailure),
}

/// What of the money side is shown beside the account.
const MONEY: [&str; 3] = ["cash", "buying_power", "equity"];

impl Brokerage {
    /// The actor's brokerage account as the broker reports it, with its balance; no tax number. The stored
    /// status is updated.
    ///
    /// Source: Riven "account/profile".
    ///
    /// # Errors
    /// [`BrokerageProfileError`].
    pub async fn brokerage_profile(
        &self,
        actor: &Actor,
    ) -> Outcome<Map<String, Value>, BrokerageProfileError> {
        let grant = actor.authorize(Permission::ReadBrokerageAccount)?;
        let Some((record, broker_account)) = self.linked(grant.account()).await? else {
            return refuse(BrokerageProfileError::NoAccount);
        };
        let seen = match self.broker.account(broker_account).await {
            Ok(seen) => seen,
            Err(error) => return refuse(BrokerFailure::of("reading an account", error).into()),
        };
        self.record_status_if_changed(&record, &seen.status).await?;
        let money = match self.broker.trading(broker_account).await {
            Ok(money) => money.details,
            // Only accounts that may trade have one everywhere.
            Err(BrokerError::NotFound | BrokerError::Invalid(_)) => Map::new(),
            Err(error) => return refuse(BrokerFailure::of("reading a balance", error).into()),
        };
        let mut profile = seen.into_profile();
        for key in MONEY {
            profile.insert(key.to_owned(), money.get(key).cloned().unwrap_or_default());
        }
        Ok(profile)
    }
}
