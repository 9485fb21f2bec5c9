//! What a provider sends back with a browser: in a query (RFC 6749 section 4.1.2) or in a form (OAuth 2.0 Form Post Response Mode).

use axum::Form;
use axum::body::Body;
use axum::extract::{FromRequest, Query, Request};
use axum::http::{HeaderMap, Uri, header};
use tidegate_domain::Secret;
use tidegate_identity::social::finish::ProviderAnswer;

use super::super::Error;
use crate::wire::body::{read, small};
use crate::wire::fields::Violations;
use crate::wire::rejection::{BodyType, Rejection};
use crate::wire::social_cookie;
use crate::wire::state::App;

/// Longest value that is looked at, in bytes: codes of large providers have less than 2 KiB.
const MAX_VALUE: usize = 8 * 1024;

type Pairs = Vec<(String, String)>;

/// The fields of a form that a provider has the browser post.
pub(in super::super) struct PostedAnswer(Pairs);

impl FromRequest<App> for PostedAnswer {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self, Error> {
        if !is_form(request.headers()) {
            return Err(Rejection::UnsupportedMediaType(BodyType::Form).into());
        }
        let (parts, body) = request.into_parts();
        let bytes = read(body, small(app)).await?;
        let request = Request::from_parts(parts, Body::from(bytes));
        match Form::<Pairs>::from_request(request, &()).await {
            Ok(Form(pairs)) => Ok(Self(pairs)),
            Err(_) => Err(Rejection::MalformedBody("the form cannot be read".to_owned()).into()),
        }
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// The answer in a query.
pub(super) fn of_query(
    app: &App,
    provider: String,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<ProviderAnswer, Violations> {
    let Query(pairs) = Query::<Pairs>::try_from_uri(uri)
        .map_err(|_| Violations::of("query", "must be a valid query string"))?;
    let answer = of_pairs(pairs)?;
    // Of a form alone: nobody signed it, and a link may hold it.
    Ok(ProviderAnswer { provider, user: None, browser: social_cookie::read(app, headers, false), ..answer })
}

/// The answer in a form.
pub(super) fn of_form(
    app: &App,
    provider: String,
    posted: PostedAnswer,
    headers: &HeaderMap,
) -> Result<ProviderAnswer, Violations> {
    let answer = of_pairs(posted.0)?;
    Ok(ProviderAnswer { provider, browser: social_cookie::read(app, headers, true), ..answer })
}

/// Parameters that are not known are ignored, and none may come twice (RFC 6749 section 3.1).
fn of_pairs(pairs: Pairs) -> Result<ProviderAnswer, Violations> {
    let mut answer = ProviderAnswer::default();
    for (name, value) in pairs {
        let (field, shown) = match name.as_str() {
            "state" => (&mut answer.state, "state"),
            "error" => (&mut answer.error, "error"),
            "iss" => (&mut answer.issuer, "iss"),
            "user" => (&mut answer.user, "user"),
            "code" => {
                if answer.code.is_some() || value.len() > MAX_VALUE {
                    return Err(Violations::of("code", "must be sent once, and not be so long"));
                }
                answer.code = Some(Secret::new(value));
                continue;
            }
            _ => continue,
        };
        if field.is_some() || value.len() > MAX_VALUE {
            return Err(Violations::of(shown, "must be sent once, and not be so long"));
        }
        *field = Some(value).filter(|value| !value.is_empty());
    }
    Ok(answer)
}
