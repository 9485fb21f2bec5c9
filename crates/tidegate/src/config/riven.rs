//! What the Riven contract adds: phones, a broker, and numbers of its own.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidegate_broker::AlpacaConfig;
use tidegate_broker::sandbox::SandboxConfig;
use tidegate_domain::limit::Limit;
use tidegate_domain::phone::{Country, TextLimits};
use tidegate_domain::time::seconds;
use tidegate_domain::{ContractId, ContractProfile, PhoneRule};

/// Whose phones are texted, and how often.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Phone {
    /// Countries whose mobile numbers are accepted. Numbers without a country code are those of the first.
    pub(crate) countries: Vec<Country>,
    /// How often codes are texted.
    pub(crate) limits: TextLimits,
}

/// Where brokerage accounts are opened.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Broker {
    /// Fields in which a firm vouches for an applicant, and that applicants may fill in all the same.
    #[serde(default)]
    pub(crate) forwarded_fields: Vec<String>,
    /// The embedded one, used unless another is set up.
    pub(crate) sandbox: SandboxConfig,
    /// Alpaca's Broker API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) alpaca: Option<AlpacaConfig>,
}

/// What differs in the Riven contract. Not a whole profile: the contract has no passwords and no refresh tokens.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Riven {
    /// Lifetime of a token, and of its session.
    #[serde(with = "seconds")]
    pub(crate) token_lifetime: Duration,
    /// How long a texted code is accepted.
    #[serde(with = "seconds")]
    pub(crate) code_lifetime: Duration,
    /// How long the link is accepted that is mailed to an address given in an application.
    #[serde(with = "seconds")]
    pub(crate) email_link_lifetime: Duration,
    /// Rate limits beside those of `phone.limits`.
    pub(crate) limits: RivenLimits,
}

/// Rate limits of the Riven contract.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RivenLimits {
    /// All requests without a valid token, by client address.
    pub(crate) anonymous_requests: Option<Limit>,
    /// All requests with one, by account.
    pub(crate) authenticated_requests: Option<Limit>,
    /// Those that have the broker work, by account.
    pub(crate) brokerage_requests: Option<Limit>,
    /// Mails to one address that other callers can cause.
    pub(crate) mails_by_email: Option<Limit>,
}

fn contract_profile() -> ContractProfile {
    tidegate_http::contract_profiles().of(ContractId::RIVEN).as_ref().clone()
}

impl Default for Phone {
    fn default() -> Self {
        Self { countries: PhoneRule::default().countries, limits: TextLimits::default() }
    }
}

impl Default for Riven {
    fn default() -> Self {
        let contract = contract_profile();
        Self {
            token_lifetime: contract.access_token_lifetime,
            code_lifetime: contract.codes.verify_email,
            email_link_lifetime: contract.codes.change_email,
            limits: RivenLimits {
                anonymous_requests: contract.limits.anonymous_requests,
                authenticated_requests: contract.limits.authenticated_requests,
                brokerage_requests: Some(Limit::new(30, 60)),
                mails_by_email: contract.limits.mails_by_email,
            },
        }
    }
}

impl Phone {
    /// Every limit by its key.
    pub(super) fn limits_mut(&mut self) -> [(&'static str, &mut Option<Limit>); 4] {
        let TextLimits { by_phone_at_once, by_phone, by_ip, by_prefix } = &mut self.limits;
        [
            ("by_phone_at_once", by_phone_at_once),
            ("by_phone", by_phone),
            ("by_ip", by_ip),
            ("by_prefix", by_prefix),
        ]
    }
}

impl Riven {
    /// The contract's profile with these numbers.
    pub(crate) fn profile(&self) -> ContractProfile {
        let mut profile = contract_profile();
        profile.access_token_lifetime = self.token_lifetime;
        profile.session.lifetime = self.token_lifetime;
        profile.session.remembered_lifetime = self.token_lifetime;
        profile.codes.verify_email = self.code_lifetime;
        profile.codes.change_email = self.email_link_lifetime;
        profile.limits.anonymous_requests = self.limits.anonymous_requests;
        profile.limits.authenticated_requests = self.limits.authenticated_requests;
        profile.limits.mails_by_email = self.limits.mails_by_email;
        profile
    }

    /// Every limit by its key.
    pub(super) fn limits_mut(&mut self) -> [(&'static str, &mut Option<Limit>); 4] {
        let RivenLimits { anonymous_requests, authenticated_requests, brokerage_requests, mails_by_email } =
            &mut self.limits;
        [
            ("anonymous_requests", anonymous_requests),
            ("authenticated_requests", authenticated_requests),
            ("brokerage_requests", brokerage_requests),
            ("mails_by_email", mails_by_email),
        ]
    }
}
