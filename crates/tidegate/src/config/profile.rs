//! What `0` lifts: limits, the extension of sessions, and step-up.

use std::time::Duration;

use tidegate_domain::ContractProfile;
use tidegate_domain::contract::Limits;
use tidegate_domain::limit::Limit;

use super::Config;
use super::check::web_origin;

/// How many times higher limits are in development.
const DEV_FACTOR: u32 = 100;

impl Config {
    /// The configuration as the rest of the program means it: a limit of no attempts is no limit.
    pub(super) fn settled(mut self) -> Self {
        for profile in self.contracts.iter_mut() {
            lift(profile);
        }
        let of_contract = self.phone.limits_mut().into_iter().chain(self.riven.limits_mut());
        for (_, limit) in of_contract.chain(self.messages.limits_mut()) {
            *limit = effective(*limit);
        }
        for origin in &mut self.http.cors_origins {
            if let Ok(canonical) = web_origin(origin) {
                *origin = canonical;
            }
        }
        let attempts = &mut self.audit.attempts_by_network;
        *attempts = effective(*attempts);
        self
    }

    /// Raises the limits by address, by login and by recipient that nobody has set, as `is_default` says of their keys: a
    /// developer signs up and in all day long. Wrong passwords and codes of one account are limited as ever.
    pub(super) fn raise_limits(&mut self, is_default: impl Fn(&str) -> bool) {
        let raise = |key: String, limit: &mut Limit| {
            if is_default(&key) {
                *limit = limit.times(DEV_FACTOR);
            }
        };
        let raise_all = |table: &str, limits: &mut [(&'static str, &mut Option<Limit>)]| {
            for (key, limit) in limits {
                if let Some(limit) = limit.as_mut() {
                    raise(format!("{table}.{key}"), limit);
                }
            }
        };
        for profile in self.contracts.iter_mut() {
            let table = format!("{}.limits", profile.contract);
            raise_all(&table, &mut limits_mut(&mut profile.limits));
        }
        raise_all("riven.limits", &mut self.riven.limits_mut());
        raise_all("phone.limits", &mut self.phone.limits_mut());
        raise_all("messages", &mut self.messages.limits_mut());
        for (key, limit) in [
            ("passwords_set_by_account", &mut self.passwords_set_by_account),
            ("passwords_set_by_organization", &mut self.passwords_set_by_organization),
            ("passwords_set_by_network", &mut self.passwords_set_by_network),
            ("failed_codes_by_network", &mut self.failed_codes_by_network),
        ] {
            raise(key.to_owned(), limit);
        }
    }

    /// The limit on wrong passwords for one account, unless it is lifted.
    pub(crate) fn failed_passwords(&self) -> Option<Limit> {
        effective(Some(self.failed_passwords_by_account))
    }

    /// The limits on passwords set, each by its key, unless it is lifted: by one account, by one organization, and from one
    /// network.
    pub(crate) fn passwords_set(&self) -> [(&'static str, Option<Limit>); 3] {
        [
            ("passwords_set_by_account", self.passwords_set_by_account),
            ("passwords_set_by_organization", self.passwords_set_by_organization),
            ("passwords_set_by_network", self.passwords_set_by_network),
        ]
        .map(|(key, limit)| (key, effective(Some(limit))))
    }

    /// The limit on wrong codes for one account, unless it is lifted.
    pub(crate) fn failed_codes(&self) -> Option<Limit> {
        effective(Some(self.failed_codes_by_account))
    }

    /// The limit on wrong codes from one network, unless it is lifted.
    pub(crate) fn failed_codes_by_network(&self) -> Option<Limit> {
        effective(Some(self.failed_codes_by_network))
    }
}

fn lift(profile: &mut ContractProfile) {
    let sliding = &mut profile.session.sliding_up_to;
    *sliding = sliding.filter(|up_to| *up_to > Duration::ZERO);
    let recent = &mut profile.recent_sign_in;
    *recent = recent.filter(|recent| *recent > Duration::ZERO);
    for (_, limit) in limits_mut(&mut profile.limits) {
        *limit = effective(*limit);
    }
}

fn effective(limit: Option<Limit>) -> Option<Limit> {
    limit.filter(|limit| limit.attempts > 0)
}

/// Every limit of a contract by its key.
pub(super) fn limits_mut(limits: &mut Limits) -> [(&'static str, &mut Option<Limit>); 14] {
    let Limits {
        sign_up_by_ip,
        sign_in_by_ip,
        sign_in_by_email,
        failed_sign_in,
        forgot_password_by_ip,
        forgot_password_by_email,
        resend_by_account,
        wrong_second_factor,
        second_factor_codes,
        passkey_challenges_by_ip,
        mails_by_email,
        anonymous_requests,
        authenticated_requests,
        requests_by_organization,
    } = limits;
    [
        ("sign_up_by_ip", sign_up_by_ip),
        ("sign_in_by_ip", sign_in_by_ip),
        ("sign_in_by_email", sign_in_by_email),
        ("failed_sign_in", failed_sign_in),
        ("forgot_password_by_ip", forgot_password_by_ip),
        ("forgot_password_by_email", forgot_password_by_email),
        ("resend_by_account", resend_by_account),
        ("wrong_second_factor", wrong_second_factor),
        ("second_factor_codes", second_factor_codes),
        ("passkey_challenges_by_ip", passkey_challenges_by_ip),
        ("mails_by_email", mails_by_email),
        ("anonymous_requests", anonymous_requests),
        ("authenticated_requests", authenticated_requests),
        ("requests_by_organization", requests_by_organization),
    ]
}
