//! What an operator does to accounts and organizations. A use case here takes an [`Operator`], which no request can make:
//! only the process of a command does.

pub mod access_tokens;
pub mod accounts;
pub mod codes;
pub mod create;
pub mod export;
pub mod identifiers;
pub mod organizations;
pub mod repository;
mod search;
mod shown;

use tidegate_domain::ContractProfile;
use tidegate_domain::account::LoginName;
use tidegate_domain::id::AccountId;
use tidegate_kernel::{Call, Fault};

use crate::Identity;
use crate::work::Work;

/// The operator at the command line.
#[derive(Clone, Debug)]
pub struct Operator {
    call: Call,
}

impl Operator {
    /// An operator's command, under the installation's rules.
    pub fn at_command_line(rules: ContractProfile) -> Self {
        Self { call: Call::from_cli(rules) }
    }
}

/// How an operator names an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountName {
    /// Its key.
    Id(AccountId),
    /// The number some contracts show.
    Number(i64),
    /// One of its identifiers, primary or not.
    Login(LoginName),
}

/// Why an operator's command about an account was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperatorError {
    /// No such account.
    #[error("there is no such account")]
    NotFound,
    /// It was deleted; what is left of it is in the audit log.
    #[error("the account was deleted")]
    Deleted,
    /// Others belong to an organization it owns.
    #[error("the account owns an organization with {0} other member(s); transfer the ownership first")]
    OwnsOthers(i64),
    /// It has no such identifier.
    #[error("the account has no such identifier")]
    NoSuchIdentifier,
    /// It could not sign in any more.
    #[error("this is the account's only identifier; delete the account instead")]
    LastIdentifier,
    /// Several identifiers could sign in in its place.
    #[error("{0} other verified identifiers could sign in in its place; say which with --primary")]
    SeveralCouldSignIn(usize),
    /// It has no such access token.
    #[error("the account has no such access token")]
    NoSuchToken,
    /// No such account at a provider was blocked.
    #[error("no account at that provider with that subject is blocked")]
    NotBlocked,
    /// It has no such active session.
    #[error("the account has no such active session")]
    NoSuchSession,
}

impl Identity {
    async fn begin_for<'a>(&'a self, operator: &'a Operator) -> Result<Work<'a>, Fault> {
        self.begin(&operator.call).await
    }
}
