//! The contract's numbers, as an operator who configures nothing gets them.

use std::time::Duration;

use tidegate_domain::contract::{AccessToken, CodeLifetimes, Limits, SecondFactor, Unverified};
use tidegate_domain::limit::Limit;
use tidegate_domain::refresh::RefreshPolicy;
use tidegate_domain::session::SessionPolicy;
use tidegate_domain::{ContractId, ContractProfile, PasswordRule, Permission, PermissionSet};

/// What its own endpoints do.
const PERMISSIONS: PermissionSet = PermissionSet::ANY_CONTRACT.union(PermissionSet::of(&[
    Permission::DeleteOwnAccount,
    Permission::SetOwnPassword,
    Permission::ReadMembers,
    Permission::ManageMembers,
    Permission::ManagePrograms,
    Permission::ManageProgramKeys,
    Permission::ReadOrganization,
    Permission::ManageOrganization,
    Permission::ReadDatabases,
    Permission::ManageDatabases,
    Permission::UseBoundDatabase,
    Permission::ChangeBoundDatabase,
    Permission::ResolveOwnSession,
    Permission::ResolveSessions,
]));

/// Crossing Minds' numbers: sections 5, 6 and 7 of its contract.
pub(crate) fn profile() -> ContractProfile {
    let password = PasswordRule {
        min_length: 10,
        max_length: 1024,
        upper: true,
        lower: true,
        digit: true,
        symbol: true,
    };
    ContractProfile {
        contract: ContractId::CROSSING_MINDS,
        program_password: Some(PasswordRule { min_length: 12, symbol: false, ..password.clone() }),
        password,
        access_token: AccessToken::Signed,
        access_token_lifetime: Duration::from_secs(3_600),
        session: SessionPolicy {
            lifetime: Duration::from_secs(60 * 24 * 3_600),
            remembered_lifetime: Duration::from_secs(60 * 24 * 3_600),
            sliding_up_to: Some(Duration::from_secs(365 * 24 * 3_600)),
        },
        refresh: RefreshPolicy {
            lifetime: Duration::from_secs(60 * 24 * 3_600),
            grace: Duration::ZERO,
            renewed_within: Some(Duration::from_secs(7 * 24 * 3_600)),
        },
        codes: CodeLifetimes {
            verify_email: Duration::from_secs(24 * 3_600),
            change_email: Duration::from_secs(24 * 3_600),
            reset_password: Duration::from_secs(24 * 3_600),
            restore_email: Duration::from_secs(24 * 3_600),
        },
        unverified: Unverified::Refused,
        second_factor: SecondFactor::Refuse,
        recent_sign_in: None,
        permissions: PERMISSIONS,
        limits: Limits {
            sign_in_by_ip: Some(Limit::new(30, 60)),
            failed_sign_in: Some(Limit::new(10, 300)),
            forgot_password_by_email: Some(Limit::new(5, 3_600)),
            resend_by_account: Some(Limit::new(1, 60)),
            mails_by_email: Some(Limit::new(5, 3_600)),
            anonymous_requests: Some(Limit::new(300, 60)),
            requests_by_organization: Some(Limit::new(600, 60)),
            ..Limits::default()
        },
    }
}
