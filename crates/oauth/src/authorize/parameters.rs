//! The parameters of an authorization request, as they were sent.

use tidegate_crypto::client_jwt::MAX_CLIENT_JWT;

/// Longest value, in characters, but that of `request`. A request has to fit in an address.
pub const MAX_VALUE: usize = 2_048;
/// Most APIs that one access token is for.
const MOST_RESOURCES: usize = 8;
/// The parameter that names one.
const RESOURCE: &str = "resource";

/// Why the parameters cannot be read: an attacker may have made them ambiguous. Nothing in them can be relied on then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// RFC 6749 section 3.1.
    #[error("the parameter {0} is sent more than once")]
    Repeated(&'static str),
    /// It is longer than any has to be.
    #[error("the parameter {0} is too long")]
    TooLong(&'static str),
    /// It is one address (RFC 8707 section 2): several are sent one by one.
    #[error("the parameter {0} contains a space; send one address in each")]
    Space(&'static str),
    /// Two readers could understand it differently.
    #[error("the parameter {0} contains control characters")]
    Control(&'static str),
}

impl Unreadable {
    /// The parameter at fault.
    pub const fn field(self) -> &'static str {
        let (Self::Repeated(field) | Self::TooLong(field) | Self::Space(field) | Self::Control(field)) = self;
        field
    }
}

macro_rules! parameters {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// The parameters of an authorization request that are known here. Others are ignored (RFC 6749 section 3.1), and so is one
        /// without a value.
        #[derive(Clone, Debug, Default)]
        pub struct Parameters {
            $($(#[doc = $doc])+ pub $name: Option<String>,)+
        }

        impl Parameters {
            /// Reads them from pairs of name and value.
            ///
            /// # Errors
            /// [`Unreadable`].
            pub fn read(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, Unreadable> {
                let pairs: Vec<_> = pairs.into_iter().collect();
                if pairs.iter().any(|(name, value)| name == RESOURCE && value.contains(' ')) {
                    return Err(Unreadable::Space(RESOURCE));
                }
                Self::from_kept(pairs)
            }

            /// Reads them from what [`Self::pairs`] answered.
            ///
            /// # Errors
            /// [`Unreadable`].
            pub(crate) fn from_kept(
                pairs: impl IntoIterator<Item = (String, String)>,
            ) -> Result<Self, Unreadable> {
                let mut read = Self::default();
                for (name, value) in pairs {
                    match name.as_str() {
                        $(stringify!($name) => put(stringify!($name), &mut read.$name, value)?,)+
                        _ => {}
                    }
                }
                $(if read.$name.as_deref() == Some("") { read.$name = None; })+
                Ok(read)
            }

            /// Those that were sent, to be sent on.
            pub fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
                [$((stringify!($name), self.$name.as_deref()),)+]
                    .into_iter()
                    .filter_map(|(name, value)| Some((name, value?)))
            }
        }
    };
}

parameters! {
    /// `code`.
    response_type,
    /// Which application asks.
    client_id,
    /// Where the person is sent back to.
    redirect_uri,
    /// What it asks for, separated by spaces.
    scope,
    /// Handed back as it is.
    state,
    /// Handed back in the ID token.
    nonce,
    /// How the answer is sent back (OAuth 2.0 Multiple Response Type Encoding Practices).
    response_mode,
    /// PKCE (RFC 7636).
    code_challenge,
    /// `S256`.
    code_challenge_method,
    /// What the person has to be asked (OpenID Connect Core section 3.1.2.1).
    prompt,
    /// Seconds since the person last proved who they are.
    max_age,
    /// How they should do so, by preference.
    acr_values,
    /// Who they probably are.
    login_hint,
    /// An ID token of who it should be.
    id_token_hint,
    /// Languages, by preference.
    ui_locales,
    /// Single claims that are asked for (Core section 5.5).
    claims,
    /// The APIs that the access token is for (RFC 8707): several, separated by spaces, where it is sent more than once.
    resource,
    /// Thumbprint of the key that the code is bound to (RFC 9449 section 10).
    dpop_jkt,
    /// The request as a JWT (RFC 9101).
    request,
    /// A pushed request (RFC 9126). Addresses of others are not asked.
    request_uri,
    /// Self-issued providers (Core section 7.2.1): not supported.
    registration,
}

fn put(name: &'static str, place: &mut Option<String>, value: String) -> Result<(), Unreadable> {
    let most = match name {
        "request" => MAX_CLIENT_JWT,
        // As it is kept, it may be several.
        RESOURCE => MAX_VALUE * MOST_RESOURCES,
        _ => MAX_VALUE,
    };
    if value.chars().count() > most {
        return Err(Unreadable::TooLong(name));
    }
    if value.chars().any(char::is_control) {
        return Err(Unreadable::Control(name));
    }
    match place.take() {
        None => *place = Some(value),
        // RFC 8707 section 2: the one parameter that may be sent more than once.
        Some(before) if name == RESOURCE => *place = Some(joined(&before, &value)?),
        Some(_) => return Err(Unreadable::Repeated(name)),
    }
    Ok(())
}

/// Values of the parameter `resource` as one text, each once.
fn joined(before: &str, value: &str) -> Result<String, Unreadable> {
    let mut all: Vec<&str> = before.split(' ').filter(|one| !one.is_empty()).collect();
    if !value.is_empty() && !all.contains(&value) {
        all.push(value);
    }
    if all.len() > MOST_RESOURCES { Err(Unreadable::TooLong(RESOURCE)) } else { Ok(all.join(" ")) }
}

/// The values of the parameter `resource` of a form as one text; none where there is none.
///
/// # Errors
/// [`Unreadable`].
pub fn resources(values: impl IntoIterator<Item = String>) -> Result<Option<String>, Unreadable> {
    let pairs = values.into_iter().map(|value| (RESOURCE.to_owned(), value));
    Ok(Parameters::read(pairs)?.resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Parameters, Unreadable> {
        Parameters::read(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn each_parameter_is_read_once_and_others_are_ignored() {
        let read_once = read(&[("client_id", "a"), ("scope", ""), ("foo", "1"), ("foo", "2")]).unwrap();
        assert_eq!((read_once.client_id.as_deref(), read_once.scope), (Some("a"), None));
        assert_eq!(read(&[("state", "a"), ("state", "b")]).unwrap_err(), Unreadable::Repeated("state"));
        assert_eq!(read(&[("state", ""), ("state", "b")]).unwrap_err(), Unreadable::Repeated("state"));
        assert_eq!(read(&[("nonce", "a\0b")]).unwrap_err(), Unreadable::Control("nonce"));
        let long = "x".repeat(MAX_VALUE + 1);
        assert_eq!(read(&[("nonce", &long)]).unwrap_err(), Unreadable::TooLong("nonce"));
    }

    #[test]
    fn several_apis_are_sent_one_by_one() {
        let two = [
            ("resource", "https://a"),
            ("resource", ""),
            ("resource", "https://b"),
            ("resource", "https://a"),
        ];
        let read_twice = read(&two).unwrap();
        assert_eq!(read_twice.resource.as_deref(), Some("https://a https://b"));
        let kept = read_twice.pairs().map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(Parameters::from_kept(kept).unwrap().resource, read_twice.resource);
        assert_eq!(read(&[("resource", "https://a https://b")]).unwrap_err(), Unreadable::Space("resource"));
        let many: Vec<String> = (0..=MOST_RESOURCES).map(|number| format!("https://{number}")).collect();
        assert_eq!(resources(many).unwrap_err(), Unreadable::TooLong("resource"));
    }

    #[test]
    fn what_was_sent_is_sent_on() {
        let sent = [("client_id", "a"), ("state", "b c")];
        assert_eq!(read(&sent).unwrap().pairs().collect::<Vec<_>>(), sent);
    }
}
