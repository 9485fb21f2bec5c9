//! Scopes in words.

use tidegate_domain::{Catalogue, Scopes};

/// Scopes in words; the name of one where there are none. APIs that tokens are for stand among them by their addresses.
pub(crate) fn in_words(words: &Catalogue, scopes: &Scopes) -> Vec<String> {
    let spoken = |scope: &str| {
        if scope.contains("://") {
            return words.fill("page.scope.api", &[("api", scope)]);
        }
        let key = format!("page.scope.{}", scope.replace(':', "_"));
        if words.has(&key) { words.text(&key).to_owned() } else { scope.to_owned() }
    };
    scopes.names().map(spoken).collect()
}
