//! The answer to an authorization request, on its way back to the application.

use url::form_urlencoded::Serializer;

/// How an answer is sent back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseMode {
    /// In the query of the redirect URI.
    #[default]
    Query,
    /// As a form that the browser posts there (OAuth 2.0 Form Post Response Mode).
    FormPost,
}

impl ResponseMode {
    /// All of them, as discovery lists them.
    pub const NAMES: [&'static str; 2] = ["query", "form_post"];

    /// The one of that name. `fragment` is not among them: scripts of the page could read the code.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "query" => Some(Self::Query),
            "form_post" => Some(Self::FormPost),
            _ => None,
        }
    }
}

/// The answer: fields for a registered address.
#[derive(Clone, Debug)]
pub struct Answer {
    /// A registered address.
    pub redirect_uri: String,
    /// How they are sent.
    pub response_mode: ResponseMode,
    /// Name and value of each.
    pub fields: Vec<(&'static str, String)>,
    /// Whether a browser must not follow it unasked: an error, for an address that a stranger registered. Everybody could send people
    /// anywhere by a link to this server otherwise (RFC 9700 section 4.11.2).
    pub needs_person: bool,
}

impl Answer {
    pub(super) fn new(
        redirect_uri: String,
        response_mode: ResponseMode,
        fields: impl IntoIterator<Item = (&'static str, Option<String>)>,
    ) -> Self {
        let fields = fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        Self { redirect_uri, response_mode, fields, needs_person: false }
    }

    /// The code of an error; none of an answer with a code (RFC 6749 section 4.1.2).
    pub fn error(&self) -> Option<&str> {
        self.fields.iter().find(|(name, _)| *name == "error").map(|(_, code)| code.as_str())
    }

    /// The redirect URI with the fields in its query. What the application registered there stays (RFC 6749 section 3.1.2).
    pub fn location(&self) -> String {
        let mut query = Serializer::new(String::new());
        query.extend_pairs(&self.fields);
        let separator = match self.redirect_uri.split_once('?') {
            None => "?",
            Some((_, "")) => "",
            Some((_, rest)) if rest.ends_with('&') => "",
            Some(_) => "&",
        };
        format!("{}{separator}{}", self.redirect_uri, query.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_by_its_code() {
        let of = |fields: [(&'static str, Option<String>); 2]| {
            Answer::new("https://a.example/cb".to_owned(), ResponseMode::Query, fields)
                .error()
                .map(str::to_owned)
        };
        let state = ("state", Some("error".to_owned()));
        assert_eq!(
            of([("error", Some("invalid_scope".to_owned())), state.clone()]).as_deref(),
            Some("invalid_scope")
        );
        assert_eq!(of([("code", Some("abc".to_owned())), state]), None);
    }

    #[test]
    fn fields_go_to_the_query_that_there_is() {
        let at = |uri: &str| {
            let fields = [("code", Some("a b&c".to_owned())), ("state", None)];
            Answer::new(uri.to_owned(), ResponseMode::Query, fields).location()
        };
        assert_eq!(at("https://a.example/cb"), "https://a.example/cb?code=a+b%26c");
        assert_eq!(at("https://a.example/cb?x=1"), "https://a.example/cb?x=1&code=a+b%26c");
        assert_eq!(at("https://a.example/cb?"), "https://a.example/cb?code=a+b%26c");
        assert_eq!(at("com.example.app:/cb"), "com.example.app:/cb?code=a+b%26c");
    }
}
