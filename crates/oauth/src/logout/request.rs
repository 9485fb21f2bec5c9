//! An application sends a person here to be signed out (OpenID Connect RP-Initiated Logout 1.0).

use serde_json::Value;
use tidegate_crypto::HintError;
use tidegate_domain::id::{AccountId, ApplicationId, SessionId};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::{Call, KernelTables};
use url::Url;
use uuid::Uuid;

use crate::applications::{Application, Unregistered};
use crate::{Oauth, OauthTables};

/// Longest value, in characters. An ID token has about 700.
const MAX_VALUE: usize = 4_096;

/// The parameters of a logout request that are known here. Others are ignored, and so is one without a value.
#[derive(Clone, Debug, Default)]
pub struct LogoutParameters {
    /// An ID token that the application got for the person; it may have expired.
    pub id_token_hint: Option<String>,
    /// Who the person probably is. Not looked at: who is signed in here is known.
    pub logout_hint: Option<String>,
    /// Which application asks.
    pub client_id: Option<String>,
    /// Where the person is sent afterwards.
    pub post_logout_redirect_uri: Option<String>,
    /// Handed back there.
    pub state: Option<String>,
    /// Languages, by preference.
    pub ui_locales: Option<String>,
}

/// Why a logout request is refused. It is shown: nobody is sent to an address because of a request that cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogoutRefused {
    /// An attacker may have made it ambiguous (RFC 6749 section 3.1).
    #[error("the parameter {0} is sent more than once, is too long, or contains control characters")]
    Unreadable(&'static str),
    /// The hint is none of this installation's ID tokens.
    #[error("id_token_hint is not an ID token of this server")]
    Hint,
    /// Two parameters name two applications.
    #[error("client_id is not the application that id_token_hint was issued to")]
    OtherClient,
    /// Unknown, revoked or suspended: which of them is not told.
    #[error("the client_id is unknown, or the application is revoked or suspended")]
    UnknownClient,
    /// There is an address, and no application that it belongs to.
    #[error("post_logout_redirect_uri needs an id_token_hint or a client_id")]
    NoClient,
    /// Not registered.
    #[error(
        "post_logout_redirect_uri must be one of the addresses that the application is registered with, character by character"
    )]
    RedirectUri(Unregistered),
}

impl LogoutRefused {
    /// Its code, for the log of this server.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownClient => "invalid_client",
            Self::Unreadable(_) | Self::Hint | Self::OtherClient | Self::NoClient | Self::RedirectUri(_) => {
                "invalid_request"
            }
        }
    }
}

/// A logout request that may be answered.
#[derive(Clone, Debug)]
pub struct LogoutRequest {
    /// The application that asks, where it says so.
    pub application: Option<Application>,
    /// Where the person is sent afterwards, with the state.
    pub redirect: Option<String>,
    /// Languages, by preference.
    pub ui_locales: Option<String>,
    /// Whose session the hint is of, where that is known.
    hinted: Option<AccountId>,
    /// The session that the hint names.
    session: Option<SessionId>,
}

impl LogoutRequest {
    /// Whether the request shows that the application has signed this person in: then they are not asked. Anything else may come from
    /// anywhere (section 6).
    pub fn is_proof_of(&self, account: AccountId) -> bool {
        self.hinted == Some(account)
    }

    /// The session that the application wants ended, of a hint that is a proof.
    pub fn session_of(&self, account: AccountId) -> Option<SessionId> {
        self.session.filter(|_| self.is_proof_of(account))
    }

    /// Whether the request has an ID token of an application, whoever is signed in.
    pub const fn has_hint(&self) -> bool {
        self.hinted.is_some()
    }

    /// Whether nobody has looked at the application that asks: its addresses are anybody's, and the person of its ID token may be the one
    /// who registered it.
    pub fn is_strangers(&self) -> bool {
        self.application.as_ref().is_some_and(Application::is_self_registered)
    }
}

impl LogoutParameters {
    /// Reads them from pairs of name and value.
    ///
    /// # Errors
    /// [`LogoutRefused::Unreadable`].
    pub fn read(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, LogoutRefused> {
        let mut read = Self::default();
        for (name, value) in pairs {
            let (name, place) = match name.as_str() {
                "id_token_hint" => ("id_token_hint", &mut read.id_token_hint),
                "logout_hint" => ("logout_hint", &mut read.logout_hint),
                "client_id" => ("client_id", &mut read.client_id),
                "post_logout_redirect_uri" => {
                    ("post_logout_redirect_uri", &mut read.post_logout_redirect_uri)
                }
                "state" => ("state", &mut read.state),
                "ui_locales" => ("ui_locales", &mut read.ui_locales),
                _ => continue,
            };
            let is_readable = value.chars().count() <= MAX_VALUE && !value.chars().any(char::is_control);
            if place.replace(value).is_some() || !is_readable {
                return Err(LogoutRefused::Unreadable(name));
            }
        }
        for place in [
            &mut read.id_token_hint,
            &mut read.logout_hint,
            &mut read.client_id,
            &mut read.post_logout_redirect_uri,
            &mut read.state,
            &mut read.ui_locales,
        ] {
            if place.as_deref() == Some("") {
                *place = None;
            }
        }
        Ok(read)
    }
}

/// What a hint says.
struct Hint {
    client: String,
    account: Option<AccountId>,
    session: Option<SessionId>,
}

impl Oauth {
    /// Validates a logout request. Nothing is ended yet.
    ///
    /// Source: OpenID Connect RP-Initiated Logout 1.0, sections 2 and 3.
    ///
    /// # Errors
    /// [`LogoutRefused`].
    pub async fn logout_request(
        &self,
        call: &Call,
        parameters: LogoutParameters,
    ) -> Outcome<LogoutRequest, LogoutRefused> {
        let hint = match &parameters.id_token_hint {
            Some(token) => match self.read_hint(token).await? {
                Ok(hint) => hint,
                Err(refused) => return refuse(refused),
            },
            None => None,
        };
        let named = parameters.client_id.as_deref();
        let hinted = hint.as_ref().map(|hint| hint.client.as_str());
        if named.is_some() && hinted.is_some() && named != hinted {
            return refuse(LogoutRefused::OtherClient);
        }
        let client = hinted.or(named);
        let application = self.active_application(call, client).await?;
        if client.is_some() && application.is_none() {
            return refuse(LogoutRefused::UnknownClient);
        }
        let redirect = match (&parameters.post_logout_redirect_uri, &application) {
            (None, _) => None,
            (Some(_), None) => return refuse(LogoutRefused::NoClient),
            (Some(uri), Some(application)) if application.logout.returns_to(uri) => {
                Some(with_state(uri, parameters.state.as_deref()))
            }
            (Some(uri), Some(application)) => {
                let registered = &application.logout.post_logout_redirect_uris;
                let told = Unregistered::new(Some(uri.as_str()), registered);
                self.note_unregistered(application, "post_logout_redirect_uri", &told);
                return refuse(LogoutRefused::RedirectUri(told));
            }
        };
        Ok(LogoutRequest {
            application,
            redirect,
            ui_locales: parameters.ui_locales,
            hinted: hint.as_ref().and_then(|hint| hint.account),
            session: hint.and_then(|hint| hint.session),
        })
    }

    /// What the hint says. None of a key that is not in use any more: such a hint is as good as none, and no attempt.
    async fn read_hint(&self, token: &str) -> Result<Result<Option<Hint>, LogoutRefused>, Fault> {
        let claims = match self.kernel.read_id_token_hint(token) {
            Ok(claims) => claims,
            Err(HintError::UnknownKey) => return Ok(Ok(None)),
            Err(HintError::Invalid) => return Ok(Err(LogoutRefused::Hint)),
        };
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let key = |name: &str| text(name).and_then(|text| Uuid::try_parse(text).ok());
        // All ID tokens say the session: a signed userinfo answer, which looks like one, does not.
        let (Some(client), Some(session)) = (text("aud"), key("sid").map(SessionId)) else {
            return Ok(Err(LogoutRefused::Hint));
        };
        // By the session first: a subject may be one that only this application knows.
        let owner = self.kernel.store.read().await?.sessions().owner(session).await?;
        let account = match owner {
            Some((account, Some(application))) if self.is_called(application, client).await? => Some(account),
            Some(_) => return Ok(Err(LogoutRefused::Hint)),
            None => key("sub").map(AccountId),
        };
        Ok(Ok(Some(Hint { client: client.to_owned(), account, session: Some(session) })))
    }

    /// Whether that is what the application is called in tokens.
    async fn is_called(&self, application: ApplicationId, client: &str) -> Result<bool, Fault> {
        let found = self.kernel.store.read().await?.applications().find(application).await?;
        Ok(found.is_some_and(|found| found.client_id() == client))
    }
}

/// The address with the state. It was registered, and is kept as it is written.
fn with_state(uri: &str, state: Option<&str>) -> String {
    let Some(state) = state else { return uri.to_owned() };
    match Url::parse(uri) {
        Ok(mut url) => {
            url.query_pairs_mut().append_pair("state", state);
            url.into()
        }
        Err(_) => uri.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<LogoutParameters, LogoutRefused> {
        LogoutParameters::read(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn each_parameter_is_read_once_and_others_are_ignored() {
        let once = read(&[("client_id", "a"), ("state", ""), ("foo", "1"), ("foo", "2")]).unwrap();
        assert_eq!((once.client_id.as_deref(), once.state), (Some("a"), None));
        for twice in [[("state", "a"), ("state", "b")], [("state", ""), ("state", "b")]] {
            assert_eq!(read(&twice).unwrap_err(), LogoutRefused::Unreadable("state"));
        }
        assert_eq!(read(&[("ui_locales", "a\nb")]).unwrap_err(), LogoutRefused::Unreadable("ui_locales"));
        let long = "x".repeat(MAX_VALUE + 1);
        assert_eq!(
            read(&[("id_token_hint", &long)]).unwrap_err(),
            LogoutRefused::Unreadable("id_token_hint")
        );
    }

    #[test]
    fn the_state_is_added_to_what_the_address_has() {
        let bye = "https://shop.example.com/bye";
        assert_eq!(with_state(bye, None), bye);
        assert_eq!(with_state(bye, Some("a b&c")), format!("{bye}?state=a+b%26c"));
        assert_eq!(with_state(&format!("{bye}?x=1"), Some("s")), format!("{bye}?x=1&state=s"));
    }
}
