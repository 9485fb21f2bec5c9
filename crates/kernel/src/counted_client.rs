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
    /// Codes that devices ask for, by network.
    DeviceRequests,
    /// Codes of devices that people type, by account.
    UserCodesByAccount(AccountId),
    /// Codes of devices that people type, by network.
    UserCodesByNetwork,
    /// Codes of devices that people type, of all together.
    UserCodes,
    /// Applications that register themselves, by network.
    Registrations,
}

impl CountedClient {
    /// Whether each client network is counted on its own.
    pub(crate) const fn is_by_network(self) -> bool {
        matches!(
            self,
            Self::FailedByNetwork
                | Self::FailedSecret(_)
                | Self::DeviceRequests
                | Self::UserCodesByNetwork
                | Self::Registrations
        )
    }

    /// The bucket's name; by network, without the network.
    pub(crate) fn name(self) -> String {
        match self {
            Self::FailedByNetwork => "failed client ip".to_owned(),
            Self::FailedSecret(application) => format!("failed client secret {application}"),
            Self::Codes(account) => format!("authorization codes {account}"),
            Self::DeviceRequests => "device requests ip".to_owned(),
            Self::UserCodesByAccount(account) => format!("user codes {account}"),
            Self::UserCodesByNetwork => "user codes ip".to_owned(),
            Self::UserCodes => "user codes".to_owned(),
            Self::Registrations => "registered clients ip".to_owned(),
        }
    }

    /// The configuration key of the limit.
    pub(crate) const fn limit_key(self) -> &'static str {
        match self {
            Self::FailedByNetwork => "oauth.failed_clients_by_network",
            Self::FailedSecret(_) => "oauth.failed_secrets_by_client",
            Self::Codes(_) => "oauth.codes_by_account",
            Self::DeviceRequests => "oauth.device_requests_by_network",
            Self::UserCodesByAccount(_) => "oauth.user_codes_by_account",
            Self::UserCodesByNetwork => "oauth.user_codes_by_network",
            Self::UserCodes => "oauth.user_codes",
            Self::Registrations => "oauth.registration.by_network",
        }
    }
}
