//! Sessions of browsers: what signs in at the hosted pages, and how long that lasts.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

use crate::contract::{AccessToken, CodeLifetimes, SecondFactor, Unverified};
use crate::limit::Limit;
use crate::refresh::RefreshPolicy;
use crate::session::SessionPolicy;
use crate::time::seconds;
use crate::{ContractId, ContractProfile, Permission, PermissionSet};

/// The hosted sign-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields)]
pub struct BrowserSettings {
    /// A browser that was not used for so long is signed out.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(8 * 3_600))]
    pub idle_timeout: Duration,
    /// A browser is signed out so long after it signed in, however much it is used.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(7 * 24 * 3_600))]
    pub lifetime: Duration,
    /// How long a mailed code is accepted, and how long a sign-in waits for it or for a second factor.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(600))]
    pub code_lifetime: Duration,
    /// How long a mailed link to set a new password is accepted.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(3_600))]
    pub reset_lifetime: Duration,
    /// Whether people can make an account at /sign-up, once a mailed code has shown that the address is theirs. It needs a mail provider.
    /// Discovery announces `prompt=create` then.
    pub sign_up: bool,
    /// Rate limits of the pages.
    pub limits: BrowserLimits,
}

/// Rate limits of the hosted sign-in: those of the contracts, counted apart; none counts sign-ins of one name from all networks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields)]
pub struct BrowserLimits {
    /// Sign-ins by client address.
    #[default(Some(Limit::new(30, 900)))]
    pub sign_in_by_ip: Option<Limit>,
    /// Failed sign-ins by e-mail address or phone number, and client address together.
    #[default(Some(Limit::new(5, 900)))]
    pub failed_sign_in: Option<Limit>,
    /// Password-reset mails by client address.
    #[default(Some(Limit::new(10, 3_600)))]
    pub forgot_password_by_ip: Option<Limit>,
    /// Password-reset mails to one address. Beyond this limit the answer stays the same, and no mail is sent.
    #[default(Some(Limit::new(5, 3_600)))]
    pub forgot_password_by_email: Option<Limit>,
    /// Codes sent again, by account.
    #[default(Some(Limit::new(3, 300)))]
    pub resend_by_account: Option<Limit>,
    /// Wrong codes of second factors in a row; then further ones are refused for the window.
    #[default(Some(Limit::new(3, 60)))]
    pub wrong_second_factor: Option<Limit>,
    /// Codes of second factors that are sent, by account.
    #[default(Some(Limit::new(3, 300)))]
    pub second_factor_codes: Option<Limit>,
    /// Sign-ins with a passkey that are begun, by client address. The sign-in page begins one when it is opened.
    #[default(Some(Limit::new(100, 300)))]
    pub passkey_challenges_by_ip: Option<Limit>,
    /// Mails to one address that other callers can cause: codes. At /sign-up, the answer stays the same beyond this limit, and no mail is
    /// sent.
    #[default(Some(Limit::new(10, 3_600)))]
    pub mails_by_email: Option<Limit>,
    /// Sign-ins by another identity provider that are begun, by client address.
    #[default(Some(Limit::new(60, 300)))]
    pub social_requests_by_ip: Option<Limit>,
    /// Sign-ins that come back from another identity provider, by client address.
    #[default(Some(Limit::new(30, 300)))]
    pub social_sign_in_by_ip: Option<Limit>,
    /// Sign-ups at /sign-up and codes that are sent again for them, and accounts that are made for people who come back from another
    /// identity provider, by client address.
    #[default(Some(Limit::new(3, 300)))]
    pub sign_up_by_ip: Option<Limit>,
}

impl BrowserSettings {
    /// The rules under which browsers sign in. Passwords have to satisfy the rules of `installation`: an account signs in through
    /// every contract.
    pub fn profile(&self, installation: &ContractProfile) -> ContractProfile {
        let limits = &self.limits;
        ContractProfile {
            contract: ContractId::BROWSER,
            access_token: AccessToken::Cookie,
            access_token_lifetime: Duration::ZERO,
            session: SessionPolicy {
                lifetime: self.idle_timeout,
                remembered_lifetime: self.idle_timeout,
                sliding_up_to: Some(self.lifetime),
            },
            refresh: RefreshPolicy { lifetime: Duration::ZERO, grace: Duration::ZERO, renewed_within: None },
            codes: CodeLifetimes {
                verify_email: self.code_lifetime,
                change_email: self.code_lifetime,
                reset_password: self.reset_lifetime,
                restore_email: installation.codes.restore_email,
            },
            unverified: Unverified::SentCode,
            second_factor: SecondFactor::Ask,
            // The cookie is no bearer token: these are what the pages do, and no endpoint of a contract.
            permissions: PermissionSet::ANY_CONTRACT
                .union(PermissionSet::of(&[Permission::ManageOwnFactors, Permission::AuthorizeApplications])),
            limits: crate::contract::Limits {
                sign_in_by_ip: limits.sign_in_by_ip,
                // With it, whoever knows an address keeps its owner out: guessing is bounded by network and by account.
                sign_in_by_email: None,
                failed_sign_in: limits.failed_sign_in,
                forgot_password_by_ip: limits.forgot_password_by_ip,
                forgot_password_by_email: limits.forgot_password_by_email,
                resend_by_account: limits.resend_by_account,
                wrong_second_factor: limits.wrong_second_factor,
                second_factor_codes: limits.second_factor_codes,
                passkey_challenges_by_ip: limits.passkey_challenges_by_ip,
                mails_by_email: limits.mails_by_email,
                social_requests_by_ip: limits.social_requests_by_ip,
                social_sign_in_by_ip: limits.social_sign_in_by_ip,
                sign_up_by_ip: limits.sign_up_by_ip,
                ..crate::contract::Limits::default()
            },
            ..installation.clone()
        }
    }
}
