//! What is counted of applications.

use tidegate_domain::id::{AccountId, ApplicationId};

/// What is counted of applications.
#[derive(Clone, Copy, Debug)]
pub enum CountedClient {
    /// Requests with a wrong client or secret, by network.
    FailedByNetwork,
    /// Requests with a wrong secret of one application, by network.
    FailedSecret(ApplicationId),
    /// Authorization codes, by the account that approves.
    Codes(AccountId),
}

impl CountedClient {
    /// Whether each client network is counted on its own.
    pub(crate) const fn is_by_network(self) -> bool {
        matches!(self, Self::FailedByNetwork | Self::FailedSecret(_))
    }

    /// The bucket's name; by network, without the network.
    pub(crate) fn name(self) -> String {
        match self {
            Self::FailedByNetwork => "failed client ip".to_owned(),
            Self::FailedSecret(application) => format!("failed client secret {application}"),
            Self::Codes(account) => format!("authorization codes {account}"),
        }
    }

    /// The configuration key of the limit.
    pub(crate) const fn limit_key(self) -> &'static str {
        match self {
            Self::FailedByNetwork => "oauth.failed_clients_by_network",
            Self::FailedSecret(_) => "oauth.failed_secrets_by_client",
            Self::Codes(_) => "oauth.codes_by_account",
        }
    }
}
