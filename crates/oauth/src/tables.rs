//! The feature's tables.

use tidegate_database::{Migration, Unit};

use crate::applications::repository::Applications;
use crate::authorize::codes_repository::Codes;
use crate::authorize::consents_repository::Consents;
use crate::authorize::pushed_repository::PushedRequests;
use crate::device::device_codes_repository::DeviceCodes;
use crate::registration::tokens_repository::RegistrationTokens;
use crate::token::assertions_repository::UsedAssertions;

/// The feature's part of the schema. Only ever appended to.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 16,
        name: "authorizations",
        text: include_str!("../migrations/0016_authorizations.sql"),
    },
    Migration { version: 17, name: "clients", text: include_str!("../migrations/0017_clients.sql") },
    Migration {
        version: 23,
        name: "what clients choose",
        text: include_str!("../migrations/0023_what_clients_choose.sql"),
    },
];

/// The feature's repositories of a unit of work.
pub trait OauthTables {
    /// Applications.
    fn applications(&mut self) -> Applications<'_>;

    /// Authorization codes.
    fn codes(&mut self) -> Codes<'_>;

    /// What people have allowed applications.
    fn consents(&mut self) -> Consents<'_>;

    /// Devices that wait for a person.
    fn device_codes(&mut self) -> DeviceCodes<'_>;

    /// Assertions that were accepted.
    fn used_assertions(&mut self) -> UsedAssertions<'_>;

    /// Authorization requests that were pushed.
    fn pushed_requests(&mut self) -> PushedRequests<'_>;

    /// Initial access tokens.
    fn registration_tokens(&mut self) -> RegistrationTokens<'_>;
}

impl OauthTables for Unit {
    fn applications(&mut self) -> Applications<'_> {
        Applications(self)
    }

    fn codes(&mut self) -> Codes<'_> {
        Codes(self)
    }

    fn consents(&mut self) -> Consents<'_> {
        Consents(self)
    }

    fn device_codes(&mut self) -> DeviceCodes<'_> {
        DeviceCodes(self)
    }

    fn used_assertions(&mut self) -> UsedAssertions<'_> {
        UsedAssertions(self)
    }

    fn pushed_requests(&mut self) -> PushedRequests<'_> {
        PushedRequests(self)
    }

    fn registration_tokens(&mut self) -> RegistrationTokens<'_> {
        RegistrationTokens(self)
    }
}
