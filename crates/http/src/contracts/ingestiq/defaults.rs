//! The contract's numbers, as an operator who configures nothing gets them.

use std::time::Duration;

use tidegate_domain::contract::{AccessToken, CodeLifetimes, Limits, SecondFactor, Unverified};
use tidegate_domain::limit::Limit;
use tidegate_domain::refresh::RefreshPolicy;
use tidegate_domain::session::SessionPolicy;
use tidegate_domain::{ContractId, ContractProfile, PasswordRule, PermissionSet};

/// IngestIQ's numbers: section 1 of its contract.
pub(crate) fn profile() -> ContractProfile {
    ContractProfile {
        contract: ContractId::INGESTIQ,
        password: PasswordRule {
            min_length: 8,
            max_length: 128,
            upper: false,
            lower: false,
            digit: false,
            symbol: false,
        },
        program_password: None,
        access_token: AccessToken::Signed,
        access_token_lifetime: Duration::from_secs(900),
        session: SessionPolicy {
            lifetime: Duration::from_secs(7 * 24 * 3_600),
            remembered_lifetime: Duration::from_secs(7 * 24 * 3_600),
            sliding_up_to: Some(Duration::from_secs(30 * 24 * 3_600)),
        },
        refresh: RefreshPolicy {
            lifetime: Duration::from_secs(7 * 24 * 3_600),
            grace: Duration::from_secs(30),
            renewed_within: None,
        },
        codes: CodeLifetimes {
            verify_email: Duration::from_secs(600),
            change_email: Duration::from_secs(600),
            reset_password: Duration::from_secs(3_600),
            restore_email: Duration::from_secs(24 * 3_600),
        },
        unverified: Unverified::Admitted,
        second_factor: SecondFactor::Refuse,
        recent_sign_in: None,
        permissions: PermissionSet::ANY_CONTRACT,
        limits: Limits {
            failed_sign_in: Some(Limit::new(10, 900)),
            anonymous_requests: Some(Limit::new(100, 60)),
            authenticated_requests: Some(Limit::new(1_000, 60)),
            ..Limits::default()
        },
    }
}
