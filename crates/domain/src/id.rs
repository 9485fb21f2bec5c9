//! Typed row keys: an account's key cannot be passed where a session's is meant.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! row_keys {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl From<Uuid> for $name {
            fn from(key: Uuid) -> Self {
                Self(key)
            }
        }

        impl From<$name> for Uuid {
            fn from(key: $name) -> Self {
                key.0
            }
        }

        impl $name {
            /// The key as contracts show it that want opaque text: 22 characters of base64url.
            pub fn opaque(self) -> String {
                URL_SAFE_NO_PAD.encode(self.0.as_bytes())
            }

            /// The key that is shown as `text`; none for what no key is shown as.
            pub fn from_opaque(text: &str) -> Option<Self> {
                let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
                Uuid::from_slice(&bytes).ok().map(Self)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

row_keys! {
    /// Key of a personal access token.
    AccessTokenId,
    /// Key of an account.
    AccountId,
    /// Key of an application; it is shown as its `client_id`.
    ApplicationId,
    /// Key of an audit event.
    AuditEventId,
    /// Key of a challenge.
    ChallengeId,
    /// Key of a data source.
    DataSourceId,
    /// Key of a database.
    DatabaseId,
    /// Key of a second factor.
    FactorId,
    /// Key of an identifier.
    IdentifierId,
    /// Key of a membership.
    MembershipId,
    /// Key of an organization.
    OrganizationId,
    /// Key of an outbox message.
    OutboxMessageId,
    /// Key of a passkey.
    PasskeyId,
    /// Key of a refresh token.
    RefreshTokenId,
    /// Key of a program's key.
    ServiceKeyId,
    /// Key of a session.
    SessionId,
    /// Key of an account at another identity provider.
    SocialAccountId,
    /// Key of a trusted device.
    TrustedDeviceId,
    /// Key of a workspace.
    WorkspaceId,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_opaque_key_is_read_back_and_has_one_spelling(key: u128) {
            let key = AccountId(Uuid::from_u128(key));
            let text = key.opaque();
            prop_assert_eq!(text.len(), 22);
            prop_assert_eq!(AccountId::from_opaque(&text), Some(key));
            prop_assert_eq!(AccountId::from_opaque(&format!("{text}=")), None);
        }

        #[test]
        fn any_text_is_a_key_or_none(text in "\\PC{0,64}") {
            if let Some(key) = DatabaseId::from_opaque(&text) {
                prop_assert_eq!(key.opaque(), text);
            }
        }
    }
}
