//! The tables of brokerage accounts.

pub mod broker_cursors;
pub mod brokerage_accounts;
pub mod sandbox_accounts;

use tidegate_database::Unit;

use broker_cursors::BrokerCursors;
use brokerage_accounts::BrokerageAccounts;
use sandbox_accounts::SandboxAccounts;

/// The repositories of a unit of work.
pub trait BrokerageTables {
    /// People's accounts at a broker.
    fn brokerage(&mut self) -> BrokerageAccounts<'_>;

    /// How far a broker's events were read.
    fn broker_cursors(&mut self) -> BrokerCursors<'_>;

    /// What the embedded sandbox of a broker keeps.
    fn sandbox_accounts(&mut self) -> SandboxAccounts<'_>;
}

impl BrokerageTables for Unit {
    fn brokerage(&mut self) -> BrokerageAccounts<'_> {
        BrokerageAccounts(self)
    }

    fn broker_cursors(&mut self) -> BrokerCursors<'_> {
        BrokerCursors(self)
    }

    fn sandbox_accounts(&mut self) -> SandboxAccounts<'_> {
        SandboxAccounts(self)
    }
}
