//! Forms: the bodies of the endpoints.

use axum::extract::{FromRequest, Request};
use axum::http::header;
use tidegate_domain::Secret;
use tidegate_oauth::authorize::parameters::resources;
use url::form_urlencoded;

use super::error::Error;
use crate::wire::body::{read, small};
use crate::wire::rejection::{BodyType, Rejection};
use crate::wire::state::App;

/// Most fields of a form: the endpoints know a dozen.
const MAX_FIELDS: usize = 100;

/// The fields of a form (RFC 6749, appendix B), each at most once (section 3.2) but `resource`. A field without a value was not sent.
pub(super) struct Form(Vec<(String, Secret)>);

impl Form {
    /// A field, taken out.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.secret(name).map(|secret| secret.expose().to_owned())
    }

    /// The same where it is secret.
    pub(super) fn secret(&mut self, name: &str) -> Option<Secret> {
        let at = self.0.iter().position(|(known, value)| known == name && !value.expose().is_empty())?;
        // In order: what may be sent more than once keeps it.
        Some(self.0.remove(at).1)
    }

    /// Whether a field was sent, whatever its value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// Whether a field was sent without a value.
    pub(super) fn has_empty(&self, name: &str) -> bool {
        self.0.iter().any(|(known, value)| known == name && value.expose().is_empty())
    }

    /// The APIs that are named, as one text: `resource` may be sent more than once (RFC 8707 section 2).
    pub(super) fn resources(&mut self) -> Result<Option<String>, Error> {
        let values: Vec<String> = std::iter::from_fn(|| self.take("resource")).collect();
        resources(values).map_err(|unreadable| Error::invalid_request(unreadable.to_string()))
    }

    /// A field that must be there.
    pub(super) fn required(&mut self, name: &'static str) -> Result<String, Error> {
        self.take(name).ok_or_else(|| Error::invalid_request(format!("{name} is required")))
    }

    /// All fields.
    pub(super) fn pairs(self) -> Vec<(String, String)> {
        self.0.into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect()
    }
}

impl FromRequest<App> for Form {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self, Error> {
        let mut types = request.headers().get_all(header::CONTENT_TYPE).iter();
        let is_form = match (types.next(), types.next()) {
            (Some(kind), None) => kind.to_str().is_ok_and(|kind| {
                let essence = kind.split(';').next().unwrap_or_default().trim();
                essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
            }),
            _ => false,
        };
        if !is_form {
            return Err(Rejection::UnsupportedMediaType(BodyType::Form).into());
        }
        let bytes = read(request.into_body(), small(app)).await?;
        let fields = decoded(&bytes)?;
        let mut form = Vec::with_capacity(fields.len());
        for (name, value) in fields {
            if name != "resource" && form.iter().any(|(known, _)| *known == name) {
                return Err(Error::invalid_request("a field of the form is sent more than once"));
            }
            form.push((name, Secret::new(value)));
        }
        Ok(Self(form))
    }
}

/// Names and values of a query or a form. What is no text, or holds what nobody can type, is refused: it would be read differently
/// elsewhere.
pub(super) fn decoded(bytes: &[u8]) -> Result<Vec<(String, String)>, Error> {
    let mut pairs = Vec::new();
    for (name, value) in form_urlencoded::parse(bytes) {
        if pairs.len() == MAX_FIELDS {
            return Err(Error::invalid_request("the request has too many parameters"));
        }
        let is_text = |text: &str| !text.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER);
        if !is_text(&name) || !is_text(&value) {
            return Err(Error::invalid_request("a parameter is not UTF-8 text without control characters"));
        }
        pairs.push((name.into_owned(), value.into_owned()));
    }
    Ok(pairs)
}
