//! Quotas: how much of each kind an organization may keep.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

/// Most an organization may keep. 0 means no limit.
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
    /// Anonymous sessions resolved to a user, in all databases together. Those of a deleted database count until they
    /// are removed, an hour later.
    #[default(1_000_000)]
    pub resolved_sessions: u64,
    /// Bytes of all free documents (metadata) together: its own and those of members, programs, keys and databases.
    #[default(16 * 1024 * 1024)]
    pub metadata_bytes: u64,
}

/// A kind of thing an organization keeps.
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
    /// See [`Quotas::resolved_sessions`].
    ResolvedSessions,
    /// See [`Quotas::metadata_bytes`].
    MetadataBytes,
}

/// The organization keeps as much as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the organization may keep at most {limit} {quota}; delete some first")]
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
            Quota::ResolvedSessions => self.resolved_sessions,
            Quota::MetadataBytes => self.metadata_bytes,
        }
    }

    /// Judges an organization that keeps `used`, the newest included.
    ///
    /// # Errors
    /// [`QuotaExceeded`] when that is more than it may.
    pub fn judge(&self, quota: Quota, used: i64) -> Result<(), QuotaExceeded> {
        let limit = self.limit(quota);
        let is_exceeded = limit > 0 && u64::try_from(used).is_ok_and(|used| used > limit);
        if is_exceeded { Err(QuotaExceeded { quota, limit }) } else { Ok(()) }
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
            Self::ResolvedSessions => "resolved sessions",
            Self::MetadataBytes => "bytes of metadata",
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
    }
}
