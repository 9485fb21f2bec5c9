//! How people leave applications: where they are sent after they signed out, and how an application hears that a session has ended.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::RedirectUri;

/// Most addresses of one application for people who signed out.
pub const MAX_POST_LOGOUT_REDIRECT_URIS: usize = 50;

/// Where an application is told that a session has ended (OpenID Connect Back-Channel Logout 1.0, section 2.2): registered, and called by
/// this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackchannelUri(String);

/// A text is no such address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be an https address without a fragment, a user name or *, or an http address of this machine (127.0.0.1, [::1], localhost)"
)]
pub struct BackchannelUriError;

impl BackchannelUri {
    /// Reads one to be registered.
    ///
    /// # Errors
    /// [`BackchannelUriError`].
    pub fn parse(text: &str) -> Result<Self, BackchannelUriError> {
        match RedirectUri::parse(text) {
            Ok(uri) if !uri.has_own_scheme() => Ok(Self(text.to_owned())),
            Ok(_) | Err(_) => Err(BackchannelUriError),
        }
    }

    /// One that was registered.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BackchannelUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How people leave an application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogoutSettings {
    /// Where they may be sent after they signed out (OpenID Connect RP-Initiated Logout 1.0, section 3.1).
    pub post_logout_redirect_uris: Vec<RedirectUri>,
    /// Where the application is told that a session has ended. None: it is not.
    pub backchannel_uri: Option<BackchannelUri>,
    /// Whether it needs the session's name (`sid`) to be told. It is always there.
    pub session_required: bool,
}

impl LogoutSettings {
    /// Whether people may be sent there: character by character, also of loopback addresses.
    pub fn returns_to(&self, uri: &str) -> bool {
        self.post_logout_redirect_uris.iter().any(|registered| registered.as_str() == uri)
    }
}

/// What is to be changed of them; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogoutChange {
    /// Where people may be sent after they signed out.
    pub post_logout_redirect_uris: Option<Vec<RedirectUri>>,
    /// Where the application is told that a session has ended; none within: nowhere any more.
    pub backchannel_uri: Option<Option<BackchannelUri>>,
    /// Whether it needs the session's name to be told.
    pub session_required: Option<bool>,
}

impl LogoutChange {
    /// The settings with the change.
    pub fn of(self, before: LogoutSettings) -> LogoutSettings {
        LogoutSettings {
            post_logout_redirect_uris: self
                .post_logout_redirect_uris
                .unwrap_or(before.post_logout_redirect_uris),
            backchannel_uri: self.backchannel_uri.unwrap_or(before.backchannel_uri),
            session_required: self.session_required.unwrap_or(before.session_required),
        }
    }
}

/// Where applications may be that this server calls: their organizations choose the addresses, and must not have it call machines that only
/// it can reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackchannelReach {
    /// At public addresses, over https.
    #[default]
    Internet,
    /// On the operator's own network, too, over https.
    PrivateNetwork,
    /// On this machine, too, also over http.
    ThisMachine,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_is_told_over_https_or_on_this_machine() {
        for fine in
            ["https://shop.example.com/logout", "https://shop.example.com/?a=b", "http://127.0.0.1:4000/x"]
        {
            assert_eq!(BackchannelUri::parse(fine).map(|uri| uri.to_string()), Ok(fine.to_owned()));
        }
        for wrong in [
            "",
            "/logout",
            "http://shop.example.com/logout",
            "https://shop.example.com/logout#x",
            "https://user@shop.example.com/logout",
            "com.example.shop:/logout",
            "ftp://shop.example.com",
        ] {
            assert_eq!(BackchannelUri::parse(wrong), Err(BackchannelUriError), "{wrong}");
        }
    }

    #[test]
    fn people_are_sent_to_exactly_the_registered_address() {
        let uris = ["https://shop.example.com/bye", "http://127.0.0.1/bye"];
        let post_logout_redirect_uris = uris.map(|uri| RedirectUri::parse(uri).unwrap()).to_vec();
        let settings = LogoutSettings { post_logout_redirect_uris, ..LogoutSettings::default() };
        assert!(uris.iter().all(|uri| settings.returns_to(uri)));
        for other in [
            "",
            "https://shop.example.com/bye?x=1",
            "https://shop.example.com/bye/",
            "http://127.0.0.1:80/bye",
        ] {
            assert!(!settings.returns_to(other), "{other}");
        }
    }

    #[test]
    fn only_what_is_named_is_changed() {
        let uri = BackchannelUri::parse("https://shop.example.com/logout").unwrap();
        let before = LogoutSettings {
            backchannel_uri: Some(uri),
            session_required: true,
            ..LogoutSettings::default()
        };
        assert_eq!(LogoutChange::default().of(before.clone()), before);
        let none = LogoutChange { backchannel_uri: Some(None), ..LogoutChange::default() };
        assert_eq!(none.of(before.clone()), LogoutSettings { backchannel_uri: None, ..before });
    }
}
