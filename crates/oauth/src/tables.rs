//! The feature's tables.

use tidegate_database::{Migration, Unit};

use crate::applications::repository::Applications;
use crate::authorize::codes_repository::Codes;
use crate::authorize::consents_repository::Consents;

/// The feature's part of the schema. Only ever appended to.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 16,
    name: "authorizations",
    text: include_str!("../migrations/0016_authorizations.sql"),
}];

/// The feature's repositories of a unit of work.
pub trait OauthTables {
    /// Applications.
    fn applications(&mut self) -> Applications<'_>;

    /// Authorization codes.
    fn codes(&mut self) -> Codes<'_>;

    /// What people have allowed applications.
    fn consents(&mut self) -> Consents<'_>;
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
}
