//! The contract's numbers, as an operator who configures nothing gets them.

use std::time::Duration;

use tidegate_domain::contract::{AccessToken, CodeLifetimes, Limits, SecondFactor, Unverified};
use tidegate_domain::limit::Limit;
use tidegate_domain::refresh::RefreshPolicy;
use tidegate_domain::session::SessionPolicy;
use tidegate_domain::{ContractId, ContractProfile, PasswordRule, Permission, PermissionSet};

/// Riven's numbers: section 1 of its contract. Accounts have no password there: of what is sent out, codes alone; of
/// tokens, one that lasts as long as its session.
pub(crate) fn profile() -> ContractProfile {
    let lifetime = Duration::from_secs(30 * 24 * 3_600);
    ContractProfile {
        contract: ContractId::RIVEN,
        access_token: AccessToken::Opaque,
        access_token_lifetime: lifetime,
        session: SessionPolicy { lifetime, remembered_lifetime: lifetime, sliding_up_to: None },
        codes: CodeLifetimes {
            verify_email: Duration::from_secs(600),
            change_email: Duration::from_secs(24 * 3_600),
            reset_password: Duration::from_secs(3_600),
            restore_email: Duration::from_secs(24 * 3_600),
        },
        unverified: Unverified::Admitted,
        second_factor: SecondFactor::Refuse,
        recent_sign_in: None,
        permissions: PermissionSet::ANY_CONTRACT.union(PermissionSet::of(&[
            Permission::ReadBrokerageAccount,
            Permission::OpenBrokerageAccount,
            Permission::SubmitBrokerageDocuments,
        ])),
        password: PasswordRule {
            min_length: 8,
            max_length: 1024,
            upper: true,
            lower: true,
            digit: true,
            symbol: false,
        },
        program_password: None,
        refresh: RefreshPolicy {
            lifetime: Duration::from_secs(30 * 24 * 3_600),
            grace: Duration::from_secs(30),
            renewed_within: None,
        },
        limits: Limits {
            mails_by_email: Some(Limit::new(5, 3_600)),
            anonymous_requests: Some(Limit::new(300, 60)),
            authenticated_requests: Some(Limit::new(120, 60)),
            ..Limits::default()
        },
    }
}
