//! The contract's numbers, as an operator who configures nothing gets them.

use std::time::Duration;

use tidegate_domain::contract::{AccessToken, CodeLifetimes, Limits, SecondFactor, Unverified};
use tidegate_domain::limit::Limit;
use tidegate_domain::refresh::RefreshPolicy;
use tidegate_domain::session::SessionPolicy;
use tidegate_domain::{ContractId, ContractProfile, PasswordRule, Permission, PermissionSet};

/// What its tokens can carry.
const POWERS: PermissionSet = PermissionSet::ANY_CONTRACT.union(PermissionSet::of(&[
    Permission::ChangeOwnProfile,
    Permission::ChangeOwnEmail,
    Permission::ReadOwnSessions,
    Permission::ReadOwnFactors,
    Permission::ManageOwnFactors,
    Permission::ReadApplications,
    Permission::ManageApplications,
    Permission::AuthorizeApplications,
    Permission::ReadOwnTokens,
    Permission::ManageOwnTokens,
    Permission::ReadOrganizationTokens,
    Permission::RevokeOrganizationTokens,
    Permission::ReadOwnFiles,
    Permission::ManageOwnFiles,
    Permission::ReadDataSources,
    Permission::ManageDataSources,
    Permission::AdministerDataSources,
    Permission::ReadPolicies,
    Permission::ManagePolicies,
    Permission::QueryData,
    Permission::ReadPrompts,
    Permission::ManagePrompts,
    Permission::AdministerPrompts,
]));

/// RiverGen's numbers: sections 1.4, 1.5 and 1.10 of its contract.
pub(crate) fn profile() -> ContractProfile {
    ContractProfile {
        contract: ContractId::RIVERGEN,
        password: PasswordRule {
            min_length: 8,
            max_length: 1024,
            upper: true,
            lower: true,
            digit: true,
            symbol: false,
        },
        program_password: None,
        access_token: AccessToken::Signed,
        access_token_lifetime: Duration::from_secs(3_600),
        session: SessionPolicy {
            lifetime: Duration::from_secs(24 * 3_600),
            remembered_lifetime: Duration::from_secs(30 * 24 * 3_600),
            sliding_up_to: None,
        },
        refresh: RefreshPolicy {
            lifetime: Duration::from_secs(30 * 24 * 3_600),
            grace: Duration::from_secs(30),
            renewed_within: None,
        },
        codes: CodeLifetimes {
            verify_email: Duration::from_secs(600),
            change_email: Duration::from_secs(600),
            reset_password: Duration::from_secs(3_600),
            restore_email: Duration::from_secs(24 * 3_600),
        },
        unverified: Unverified::SentCode,
        second_factor: SecondFactor::Ask,
        recent_sign_in: None,
        permissions: POWERS,
        limits: Limits {
            sign_up_by_ip: Some(Limit::new(3, 300)),
            sign_in_by_ip: Some(Limit::new(5, 900)),
            sign_in_by_email: Some(Limit::new(5, 900)),
            forgot_password_by_ip: Some(Limit::new(3, 3_600)),
            forgot_password_by_email: Some(Limit::new(5, 3_600)),
            resend_by_account: Some(Limit::new(3, 300)),
            wrong_second_factor: Some(Limit::new(3, 60)),
            second_factor_codes: Some(Limit::new(3, 300)),
            passkey_challenges_by_ip: Some(Limit::new(100, 300)),
            social_requests_by_ip: Some(Limit::new(60, 300)),
            social_sign_in_by_ip: Some(Limit::new(30, 300)),
            ..Limits::default()
        },
    }
}
