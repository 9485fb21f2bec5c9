//! How people leave an application: fields of requests and responses. Extension of the contract (OpenID Connect RP-Initiated Logout 1.0,
//! Back-Channel Logout 1.0).

use tidegate_domain::RedirectUri;
use tidegate_domain::logout::{BackchannelUri, LogoutChange, MAX_POST_LOGOUT_REDIRECT_URIS};

use crate::wire::fields::{Check, Field};

/// The fields as they were sent.
pub(super) struct Leaving {
    pub(super) post_logout_redirect_uris: Field<Vec<String>>,
    pub(super) backchannel_logout_uri: Field<String>,
    pub(super) backchannel_logout_session_required: Field<bool>,
}

impl Leaving {
    /// What is to be changed. `null` takes the address away at which the application is told.
    pub(super) fn read(self, check: &mut Check) -> LogoutChange {
        let backchannel_uri = match self.backchannel_logout_uri {
            Field::Null => Some(None),
            sent => {
                let text = check.optional("backchannel_logout_uri", sent);
                let uri = text
                    .and_then(|text| check.parsed("backchannel_logout_uri", BackchannelUri::parse(&text)));
                uri.map(Some)
            }
        };
        LogoutChange {
            post_logout_redirect_uris: uris(check, self.post_logout_redirect_uris),
            backchannel_uri,
            session_required: check
                .optional("backchannel_logout_session_required", self.backchannel_logout_session_required),
        }
    }
}

fn uris(check: &mut Check, field: Field<Vec<String>>) -> Option<Vec<RedirectUri>> {
    const NAME: &str = "post_logout_redirect_uris";
    let texts = check.optional(NAME, field)?;
    if texts.len() > MAX_POST_LOGOUT_REDIRECT_URIS {
        return check.violated(NAME, format!("must have at most {MAX_POST_LOGOUT_REDIRECT_URIS} values"));
    }
    let mut uris: Vec<RedirectUri> = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        let uri = check.parsed(format!("{NAME}.{at}"), RedirectUri::parse(text))?;
        if !uris.contains(&uri) {
            uris.push(uri);
        }
    }
    Some(uris)
}
