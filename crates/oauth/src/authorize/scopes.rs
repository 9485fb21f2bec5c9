//! Which scopes an application may ask for, and which one is at fault where it may not.

use tidegate_domain::Scopes;
use tidegate_domain::scope::ScopeError;

use crate::applications::Application;

/// Why scopes are refused. The text is for the application's developer, and repeats no more of what they sent than the name of a scope that has the
/// form of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeRefused {
    /// Not of the form of RFC 6749 section 3.3.
    #[error(transparent)]
    Malformed(ScopeError),
    /// Not in the vocabulary.
    #[error("the scope {name} is unknown; the nearest one is {nearest}")]
    Unknown {
        /// Its name.
        name: String,
        /// The one that is the most like it.
        nearest: &'static str,
    },
    /// Not the application's to ask for.
    #[error("the application is not registered for the scope {0}")]
    NotRegistered(String),
    /// More than the token, the session or the person gave.
    #[error("the scope {0} exceeds what was granted")]
    NotGranted(String),
    /// It is about a person.
    #[error("the scope {0} is about a person: in its own name an application does not have it")]
    OfPerson(String),
    /// None at all.
    #[error("no scope is left that the token could have")]
    NothingLeft,
}

/// What an application asks for, if it may: all that it is registered for, where it does not say (RFC 6749 section 3.3).
pub(crate) fn requested_scopes(
    application: &Application,
    scope: Option<&str>,
) -> Result<Scopes, ScopeRefused> {
    match scope {
        None => Ok(application.scopes.clone()),
        Some(text) => within(parsed(text)?, &application.scopes, ScopeRefused::NotRegistered),
    }
}

/// The scopes that a text names.
pub(crate) fn parsed(text: &str) -> Result<Scopes, ScopeRefused> {
    Scopes::parse(text).map_err(|why| match why {
        ScopeError::Unknown { name, nearest } => ScopeRefused::Unknown { name, nearest },
        ScopeError::Empty
        | ScopeError::Malformed
        | ScopeError::TooLong
        | ScopeError::Joined
        | ScopeError::OfOpenId => ScopeRefused::Malformed(why),
    })
}

/// Those that are asked for, if all are among those that are allowed.
pub(crate) fn within(
    asked: Scopes,
    allowed: &Scopes,
    refused: impl FnOnce(String) -> ScopeRefused,
) -> Result<Scopes, ScopeRefused> {
    if allowed.contains_all(&asked) {
        return Ok(asked);
    }
    let beyond = asked.names().find(|name| !allowed.contains(name)).unwrap_or_default();
    Err(refused(beyond.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_that_is_at_fault_is_named() {
        let allowed = Scopes::from_stored("openid email read");
        let told = |text: &str| {
            let asked = parsed(text).and_then(|asked| within(asked, &allowed, ScopeRefused::NotRegistered));
            asked.map(|scopes| scopes.to_string()).map_err(|why| why.to_string())
        };
        assert_eq!(told("read openid"), Ok("read openid".to_owned()));
        for (text, said) in [
            ("openid fly", "the scope fly is unknown; the nearest one is email"),
            ("openid emial fly", "the scope emial is unknown; the nearest one is email"),
            ("openid admin write", "the application is not registered for the scope admin"),
            ("openid,email", "several scopes in one name: a text has one space between them"),
            ("", "at least one scope is required"),
        ] {
            let why = told(text).unwrap_err();
            let until = said.find("; the nearest").unwrap_or(said.len());
            assert!(why.starts_with(&said[..until]), "{text}: {why}");
        }
        // What has not the form of a scope is not repeated.
        for text in ["openid  email", "op\"enid", "a".repeat(200).as_str()] {
            assert!(!told(text).unwrap_err().contains(text), "{text}");
        }
    }
}
