//! `tidegate user tokens`, `tidegate org tokens` and `tidegate org token-lifetime`

use clap::Args;

use super::user::Named;
use super::{OrganizationName, organization_name_or_id};

#[derive(Debug, Args)]
pub(crate) struct UserTokens {
    #[command(flatten)]
    pub(crate) named: Named,
    #[command(flatten)]
    pub(crate) revoking: Revoking,
}

#[derive(Debug, Args)]
pub(crate) struct OrgTokens {
    /// The organization's id or number, from `tidegate org list`
    #[arg(value_name = "ORGANIZATION", value_parser = organization_name_or_id)]
    pub(crate) organization: OrganizationName,
    #[command(flatten)]
    pub(crate) revoking: Revoking,
}

/// Which tokens are to be revoked; the list is printed when none.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Revoking {
    /// Revoke the token of this number
    #[arg(long, value_name = "NUMBER")]
    pub(crate) revoke: Option<i64>,
    /// Revoke all of them
    #[arg(long, conflicts_with = "revoke")]
    pub(crate) revoke_all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct OrgTokenLifetime {
    /// The organization's id or number, from `tidegate org list`
    #[arg(value_name = "ORGANIZATION", value_parser = organization_name_or_id)]
    pub(crate) organization: OrganizationName,
    /// Minutes for which a token lives at most; 0 for as long as its maker likes
    #[arg(value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(0..=52_560_000))]
    pub(crate) minutes: u32,
}
