//! What an application gets.

use tidegate_domain::{Scopes, Secret};

/// Tokens (RFC 6749 section 5.1).
#[derive(Clone, Debug)]
pub struct Issued {
    /// A JWT (RFC 9068); opaque to applications.
    pub access_token: Secret,
    /// Seconds it lives.
    pub expires_in: i64,
    /// Continues the session once. An application that acts in its own name has none.
    pub refresh_token: Option<Secret>,
    /// What the access token may do at most.
    pub scopes: Scopes,
    /// Who signed in (OpenID Connect Core section 2), where the scope `openid` was granted.
    pub id_token: Option<Secret>,
    /// Whether the access token is bound to a key (RFC 9449 section 5).
    pub is_key_bound: bool,
}
