//! Where a call comes from.

use crate::ContractId;

/// What caused a unit of work. The audit log stores it, so it is never a stand-in for something else: a page is not the
/// contract whose link it serves, and a worker is not the contract whose accounts it looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A request to an endpoint of a contract.
    Contract(ContractId),
    /// A request to the OAuth endpoints.
    OAuth,
    /// A request from the administration console.
    Console,
    /// A connection to the listener that speaks PostgreSQL's protocol.
    Postgres,
    /// A request to a hosted page, such as the one a link in a mail leads to.
    Page,
    /// A command of the command line, given by the operator.
    Cli,
    /// A background worker.
    Worker,
}

impl Origin {
    /// The stored value. For a contract the contract's name is stored beside it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Contract(_) => "contract",
            Self::OAuth => "oauth",
            Self::Console => "console",
            Self::Postgres => "postgres",
            Self::Page => "page",
            Self::Cli => "cli",
            Self::Worker => "worker",
        }
    }

    /// The contract that was called; none for every other origin.
    pub const fn contract(&self) -> Option<&ContractId> {
        match self {
            Self::Contract(contract) => Some(contract),
            Self::OAuth | Self::Console | Self::Postgres | Self::Page | Self::Cli | Self::Worker => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_contract_is_stored_as_one() {
        let contract = Origin::Contract(ContractId::RIVEN);
        assert_eq!((contract.as_str(), contract.contract()), ("contract", Some(&ContractId::RIVEN)));
        let others =
            [Origin::OAuth, Origin::Console, Origin::Postgres, Origin::Page, Origin::Cli, Origin::Worker];
        for origin in others {
            assert_eq!(origin.contract(), None);
            assert_ne!(origin.as_str(), "contract");
        }
    }
}
