//! The tables of accounts and organizations.

use tidegate_database::{Migration, Unit};

use crate::accounts::claims_repository::Claims;
use crate::accounts::members_repository::Members;
use crate::accounts::repository::Accounts;
use crate::credentials::challenges_repository::Challenges;
use crate::credentials::factors::repository::Factors;
use crate::credentials::passkey::repository::Passkeys;
use crate::credentials::recovery_code::repository::RecoveryCodes;
use crate::credentials::service_keys_repository::ServiceKeys;
use crate::credentials::trusted_device::repository::TrustedDevices;
use crate::databases::repository::Databases;
use crate::operator::repository::Installation;
use crate::organizations::quotas_repository::Quotas;
use crate::organizations::repository::Organizations;
use crate::organizations::second_factor_rules_repository::SecondFactorRules;
use crate::social::accounts_repository::SocialAccounts;
use crate::social::requests_repository::SocialRequests;

/// What the schema has of this feature alone. Only ever appended to.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 4,
        name: "password schemes",
        text: include_str!("../migrations/0004_password_schemes.sql"),
    },
    Migration { version: 5, name: "quotas", text: include_str!("../migrations/0005_quotas.sql") },
    Migration { version: 6, name: "claims", text: include_str!("../migrations/0006_claims.sql") },
    Migration {
        version: 10,
        name: "second factors",
        text: include_str!("../migrations/0010_second_factors.sql"),
    },
    Migration { version: 12, name: "passkeys", text: include_str!("../migrations/0012_passkeys.sql") },
    Migration {
        version: 19,
        name: "social sign-in",
        text: include_str!("../migrations/0019_social_sign_in.sql"),
    },
];

/// The repositories of a unit of work.
pub trait IdentityTables {
    /// Accounts, their identifiers and passwords.
    fn accounts(&mut self) -> Accounts<'_>;

    /// Organizations, workspaces and memberships.
    fn organizations(&mut self) -> Organizations<'_>;

    /// How much organizations keep.
    fn quotas(&mut self) -> Quotas<'_>;

    /// Accounts as the managers of their organization see them.
    fn members(&mut self) -> Members<'_>;

    /// Who agreed to be managed, and what is unproven.
    fn claims(&mut self) -> Claims<'_>;

    /// Keys of programs.
    fn service_keys(&mut self) -> ServiceKeys<'_>;

    /// Databases.
    fn databases(&mut self) -> Databases<'_>;

    /// Challenges.
    fn challenges(&mut self) -> Challenges<'_>;

    /// Accounts and organizations of the whole installation.
    fn installation(&mut self) -> Installation<'_>;

    /// Second factors.
    fn factors(&mut self) -> Factors<'_>;

    /// Backup codes.
    fn recovery_codes(&mut self) -> RecoveryCodes<'_>;

    /// Trusted devices.
    fn trusted_devices(&mut self) -> TrustedDevices<'_>;

    /// Passkeys.
    fn passkeys(&mut self) -> Passkeys<'_>;

    /// What organizations decided about second factors.
    fn second_factor_rules(&mut self) -> SecondFactorRules<'_>;

    /// Accounts at providers.
    fn social_accounts(&mut self) -> SocialAccounts<'_>;

    /// Sign-ins that were sent to a provider.
    fn social_requests(&mut self) -> SocialRequests<'_>;
}

impl IdentityTables for Unit {
    fn accounts(&mut self) -> Accounts<'_> {
        Accounts(self)
    }

    fn organizations(&mut self) -> Organizations<'_> {
        Organizations(self)
    }

    fn quotas(&mut self) -> Quotas<'_> {
        Quotas(self)
    }

    fn members(&mut self) -> Members<'_> {
        Members(self)
    }

    fn claims(&mut self) -> Claims<'_> {
        Claims(self)
    }

    fn service_keys(&mut self) -> ServiceKeys<'_> {
        ServiceKeys(self)
    }

    fn databases(&mut self) -> Databases<'_> {
        Databases(self)
    }

    fn challenges(&mut self) -> Challenges<'_> {
        Challenges(self)
    }

    fn installation(&mut self) -> Installation<'_> {
        Installation(self)
    }

    fn factors(&mut self) -> Factors<'_> {
        Factors(self)
    }

    fn recovery_codes(&mut self) -> RecoveryCodes<'_> {
        RecoveryCodes(self)
    }

    fn trusted_devices(&mut self) -> TrustedDevices<'_> {
        TrustedDevices(self)
    }

    fn passkeys(&mut self) -> Passkeys<'_> {
        Passkeys(self)
    }

    fn second_factor_rules(&mut self) -> SecondFactorRules<'_> {
        SecondFactorRules(self)
    }

    fn social_accounts(&mut self) -> SocialAccounts<'_> {
        SocialAccounts(self)
    }

    fn social_requests(&mut self) -> SocialRequests<'_> {
        SocialRequests(self)
    }
}
