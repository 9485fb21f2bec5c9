//! What the Riven contract adds: phones, a broker, and numbers of its own.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_broker::AlpacaConfig;
use tidegate_broker::sandbox::SandboxConfig;
use tidegate_domain::limit::Limit;
use tidegate_domain::phone::{Country, TextLimits};
use tidegate_domain::time::seconds;
use tidegate_domain::{ContractId, ContractProfile, PhoneRule};

/// Whose phones are texted, and how often.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Phone {
    /// Countries whose mobile numbers are accepted (ISO 3166, two letters). A number without a country code belongs to
    /// the first one. Each country adds to what an attacker can cost you in messages.
    pub(crate) countries: Vec<Country>,
    /// How many codes are sent in text messages.
    pub(crate) limits: TextLimits,
}

/// Where brokerage accounts are opened.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Broker {
    /// Fields of an application that applicants may send to the broker besides the contract's ordinary ones. With each
    /// of them a firm vouches for what it has checked: "authorized_individuals", "auto_approve", "entity_id",
    /// "instant", "sub_correspondent" and "trading_configurations". Without it, an applicant's is dropped.
    #[serde(default)]
    pub(crate) forwarded_fields: Vec<String>,
    /// The embedded sandbox.
    pub(crate) sandbox: SandboxConfig,
    /// Alpaca's Broker API. Sandbox and production have different keys. Only production opens real accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) alpaca: Option<AlpacaConfig>,
}

/// What differs in the Riven contract. Not a whole profile: the contract has no passwords and no refresh tokens.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Riven {
    /// Lifetime of a token and of its session. Signing out ends both.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    pub(crate) token_lifetime: Duration,
    /// Lifetime of a code in a text message.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    pub(crate) code_lifetime: Duration,
    /// Lifetime of the link that is mailed to the address in an application. Following it adds the address to the
    /// account.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    pub(crate) email_link_lifetime: Duration,
    /// Rate limits. Those on text messages are in [phone.limits].
    pub(crate) limits: RivenLimits,
}

/// Rate limits of the Riven contract.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RivenLimits {
    /// All requests without a valid token, by client address.
    pub(crate) anonymous_requests: Option<Limit>,
    /// All requests with one, by account.
    pub(crate) authenticated_requests: Option<Limit>,
    /// Requests that call the broker, by account. The broker limits the calls of the whole installation.
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
}
