//! Peppers that stored passwords need and the configuration does not have.

use std::collections::BTreeMap;

use crate::config::Config;

/// What to do where one is missing.
pub(crate) const ADD_IT: &str =
    "add its id and key to previous_peppers; where the key is lost, these passwords have to be reset";

/// Which are missing, and for how many passwords; none where all passwords can be verified. `schemes` counts passwords by kind of account
/// and by how they are hashed.
pub(crate) fn missing(config: &Config, schemes: &[(String, String, i64)]) -> Option<String> {
    // What is wrong with those that are configured is told otherwise.
    let hasher = config.password_hasher().ok()?;
    let mut missing: BTreeMap<&str, i64> = BTreeMap::new();
    for (_, scheme, passwords) in schemes {
        if let Some(id) = hasher.missing_pepper(scheme) {
            *missing.entry(id).or_default() += passwords;
        }
    }
    let each: Vec<String> = missing
        .iter()
        .map(|(id, passwords)| {
            format!(
                "{passwords} password(s) are hashed with the pepper {id:?}, which is not configured: their owners cannot sign in"
            )
        })
        .collect();
    (!each.is_empty()).then(|| each.join("\n"))
}

/// Warns at a start of those that are missing.
pub(crate) fn warn_of_missing(config: &Config, schemes: &[(String, String, i64)]) {
    if let Some(missing) = missing(config, schemes) {
        tracing::warn!("{}; {ADD_IT}", missing.replace('\n', "; "));
    }
}
