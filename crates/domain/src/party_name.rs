//! How tokens name accounts and applications.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::id::{AccountId, ApplicationId};

/// How tokens name an account or an application, in `sub` and `client_id`. In a token it is a plain text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PartyName {
    /// By the key of its row.
    Key(Uuid),
    /// An application by the address of the document that describes it: its `client_id` (draft-ietf-oauth-client-id-metadata-document).
    Document(String),
}

/// What names neither an account nor an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither a key nor the address of a document")]
pub struct NoPartyName;

impl TryFrom<String> for PartyName {
    type Error = NoPartyName;

    fn try_from(text: String) -> Result<Self, NoPartyName> {
        match Uuid::try_parse(&text) {
            Ok(key) => Ok(Self::Key(key)),
            // http, too: the operator may allow documents on the own network.
            Err(_) if text.starts_with("https://") || text.starts_with("http://") => Ok(Self::Document(text)),
            Err(_) => Err(NoPartyName),
        }
    }
}

impl From<PartyName> for String {
    fn from(name: PartyName) -> Self {
        match name {
            PartyName::Key(key) => key.to_string(),
            PartyName::Document(address) => address,
        }
    }
}

impl From<AccountId> for PartyName {
    fn from(account: AccountId) -> Self {
        Self::Key(account.0)
    }
}

impl From<ApplicationId> for PartyName {
    fn from(application: ApplicationId) -> Self {
        Self::Key(application.0)
    }
}

impl fmt::Display for PartyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => key.fmt(f),
            Self::Document(address) => f.write_str(address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_plain_text_and_is_read_back() {
        let key = Uuid::from_u128(7);
        let document = "https://app.example.com/client.json";
        for (name, text) in [
            (PartyName::from(AccountId(key)), "00000000-0000-0000-0000-000000000007"),
            (PartyName::from(ApplicationId(key)), "00000000-0000-0000-0000-000000000007"),
            (PartyName::Document(document.to_owned()), document),
        ] {
            assert_eq!(serde_json::to_value(&name).unwrap(), serde_json::json!(text));
            assert_eq!(serde_json::from_value::<PartyName>(serde_json::json!(text)).unwrap(), name);
            assert_eq!(name.to_string(), text);
        }
    }

    #[test]
    fn what_is_neither_is_no_name() {
        for text in
            ["", "shop", "ftp://app.example.com/c", "00000000-0000-0000-0000-00000000000", " https://a.b/c"]
        {
            assert_eq!(PartyName::try_from(text.to_owned()), Err(NoPartyName), "{text}");
        }
        assert!(serde_json::from_str::<PartyName>("7").is_err());
    }
}
