//! How identifiers are shown to operators, and to those whose data is exported: as their owner writes them.

use tidegate_domain::EmailAddress;

use super::repository::{AccountSummary, Identifier};

impl AccountSummary {
    /// [`login`](Self::login) as its owner writes it.
    pub fn shown_login(&self) -> Option<String> {
        self.login.clone().map(shown)
    }
}

impl Identifier {
    /// [`value`](Self::value) as its owner writes it.
    pub fn shown(&self) -> String {
        shown(self.value.clone())
    }
}

/// A stored identifier as its owner writes it: the domain of an address in its own script.
pub(super) fn shown(stored: String) -> String {
    if stored.contains('@') { EmailAddress::from_stored(stored).to_string() } else { stored }
}
