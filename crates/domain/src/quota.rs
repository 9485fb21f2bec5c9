//! Quotas: how much of each kind an organization may keep, or an account.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

/// Most an organization may keep, or an account. 0 means no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields)]
pub struct Quotas {
    /// People who belong to it, its owner included.
    #[default(10_000)]
    pub members: u64,
    /// Programs (service accounts).
    #[default(1_000)]
    pub programs: u64,
    /// Keys of all its programs together, expired ones included.
    #[default(5_000)]
    pub keys: u64,
    /// Databases.
    #[default(1_000)]
    pub databases: u64,
    /// Applications that sign people in with OAuth.
    #[default(100)]
    pub applications: u64,
    /// Saved questions of all its members together. Deleted ones do not count.
    #[default(100_000)]
    pub prompts: u64,
    /// Templates of questions of all its members together. Deleted ones do not count.
    #[default(1_000)]
    pub prompt_templates: u64,
    /// Data sources. Deleted ones do not count.
    #[default(100)]
    pub data_sources: u64,
    /// Policies. Deleted ones do not count.
    #[default(1_000)]
    pub policies: u64,
    /// Anonymous sessions resolved to a user, in all databases together. Those of a deleted database count until they
    /// are removed, an hour later.
    #[default(1_000_000)]
    pub resolved_sessions: u64,
    /// Bytes of all free documents (metadata) together: its own and those of members, programs, keys and databases.
    #[default(16 * 1024 * 1024)]
    pub metadata_bytes: u64,
    /// Tokens that its members made for it. Expired ones do not count.
    #[default(1_000)]
    pub organization_tokens: u64,
    /// Personal access tokens of one account, those for organizations included. Expired ones do not count.
    #[default(50)]
    pub account_tokens: u64,
}

/// A kind of thing an organization keeps, or an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// See [`Quotas::members`].
    Members,
    /// See [`Quotas::programs`].
    Programs,
    /// See [`Quotas::keys`].
    Keys,
    /// See [`Quotas::databases`].
    Databases,
    /// See [`Quotas::applications`].
    Applications,
    /// See [`Quotas::prompts`].
    Prompts,
    /// See [`Quotas::prompt_templates`].
    PromptTemplates,
    /// See [`Quotas::data_sources`].
    DataSources,
    /// See [`Quotas::policies`].
    Policies,
    /// See [`Quotas::resolved_sessions`].
    ResolvedSessions,
    /// See [`Quotas::metadata_bytes`].
    MetadataBytes,
    /// See [`Quotas::organization_tokens`].
    OrganizationTokens,
    /// See [`Quotas::account_tokens`].
    AccountTokens,
}

/// The organization, or the account, keeps as much as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {} may keep at most {limit} {quota}; delete some first", .quota.keeper())]
pub struct QuotaExceeded {
    /// Of what.
    pub quota: Quota,
    /// How much.
    pub limit: u64,
}

impl Quotas {
    const fn limit(&self, quota: Quota) -> u64 {
        match quota {
            Quota::Members => self.members,
            Quota::Programs => self.programs,
            Quota::Keys => self.keys,
            Quota::Databases => self.databases,
            Quota::Applications => self.applications,
            Quota::Prompts => self.prompts,
            Quota::PromptTemplates => self.prompt_templates,
            Quota::DataSources => self.data_sources,
            Quota::Policies => self.policies,
            Quota::ResolvedSessions => self.resolved_sessions,
            Quota::MetadataBytes => self.metadata_bytes,
            Quota::OrganizationTokens => self.organization_tokens,
            Quota::AccountTokens => self.account_tokens,
        }
    }

    /// Judges an organization, or an account, that keeps `used`, the newest included.
    ///
    /// # Errors
    /// [`QuotaExceeded`] when that is more than it may.
    pub fn judge(&self, quota: Quota, used: i64) -> Result<(), QuotaExceeded> {
        let limit = self.limit(quota);
        let is_exceeded = limit > 0 && u64::try_from(used).is_ok_and(|used| used > limit);
        if is_exceeded { Err(QuotaExceeded { quota, limit }) } else { Ok(()) }
    }
}

impl Quota {
    const fn keeper(self) -> &'static str {
        match self {
            Self::AccountTokens => "account",
            _ => "organization",
        }
    }
}

/// As messages call it.
impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Members => "individual accounts",
            Self::Programs => "service accounts",
            Self::Keys => "keys of service accounts",
            Self::Databases => "databases",
            Self::Applications => "applications",
            Self::Prompts => "saved prompts",
            Self::PromptTemplates => "prompt templates",
            Self::DataSources => "data sources",
            Self::Policies => "policies",
            Self::ResolvedSessions => "resolved sessions",
            Self::MetadataBytes => "bytes of metadata",
            Self::OrganizationTokens | Self::AccountTokens => "access tokens",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_that_fits_is_taken_and_zero_lifts_the_limit() {
        let quotas = Quotas { databases: 2, programs: 0, ..Quotas::default() };
        assert_eq!(quotas.judge(Quota::Databases, 2), Ok(()));
        let exceeded = quotas.judge(Quota::Databases, 3).unwrap_err();
        assert_eq!(exceeded.to_string(), "the organization may keep at most 2 databases; delete some first");
        assert_eq!(quotas.judge(Quota::Programs, i64::MAX), Ok(()));
        let exceeded = Quotas { account_tokens: 1, ..quotas }.judge(Quota::AccountTokens, 2).unwrap_err();
        assert_eq!(exceeded.to_string(), "the account may keep at most 1 access tokens; delete some first");
    }
}
