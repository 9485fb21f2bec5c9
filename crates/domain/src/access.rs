//! Access tokens: what they say.

use serde::{Deserialize, Serialize};

use crate::flexible_id::FlexibleId;
use crate::id::{AccountId, DatabaseId, OrganizationId, SessionId};
use crate::session::AmrSet;
use crate::{ContractId, Role, Scopes};

/// Claims of an access token (RFC 9068 section 2.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Issuer: the installation's public URL.
    pub iss: String,
    /// Subject: the account.
    pub sub: AccountId,
    /// Audience: the installation's public URL.
    pub aud: String,
    /// Expiry, in seconds since the epoch.
    pub exp: i64,
    /// Issue, in seconds since the epoch.
    pub iat: i64,
    /// The token's own name.
    pub jti: String,
    /// The session it belongs to and dies with.
    pub sid: SessionId,
    /// The organization signed in to.
    pub org: OrganizationId,
    /// The role there.
    pub role: Role,
    /// What it may do at most (RFC 8693 section 4.2). A session signed in to by its owner has `full`.
    pub scope: Scopes,
    /// How its owner proved who they are (RFC 8176). Refreshing keeps it. Empty in tokens of versions before it.
    #[serde(default, skip_serializing_if = "AmrSet::is_empty")]
    pub amr: AmrSet,
    /// When they did, in seconds since the epoch. Refreshing keeps it. 0 in tokens of versions before it: long ago.
    #[serde(default)]
    pub auth_time: i64,
    /// The contract through which it was issued. The claim keeps the name that tokens in circulation have.
    #[serde(rename = "dialect")]
    pub contract: ContractId,
    /// The database the token is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub db: Option<DatabaseId>,
    /// The end user it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuid: Option<FlexibleId>,
    /// The end user's anonymous session it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fsid: Option<FlexibleId>,
}
