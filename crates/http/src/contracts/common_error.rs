//! What contracts answer alike to a request that did not get to its use case, unless their text says otherwise.

use std::borrow::Cow;

use axum::http::StatusCode;
use tidegate_kernel::fault::Forbidden;

use crate::contracts::Contract;
use crate::wire::rejection::Rejection;

/// The code of fields that are missing or invalid.
pub(super) const VALIDATION_ERROR: &str = "VALIDATION_ERROR";

/// Status, code and message of a rejection. The message begins with a small letter and has no full stop.
pub(super) fn common_answer(
    contract: &Contract,
    rejection: Rejection,
) -> (StatusCode, &'static str, Cow<'static, str>) {
    let (status, code, message) = match rejection {
        Rejection::Invalid(violations) => {
            return (StatusCode::UNPROCESSABLE_ENTITY, VALIDATION_ERROR, violations.summary().into());
        }
        Rejection::MalformedBody(text) => {
            return (StatusCode::UNPROCESSABLE_ENTITY, VALIDATION_ERROR, text.into());
        }
        Rejection::PayloadTooLarge { limit } => {
            let message = format!("the body is larger than {limit} bytes");
            return (StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", message.into());
        }
        Rejection::RateLimited { retry_after, .. } => {
            let message = format!("too many requests; try again in {retry_after} s");
            return (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED", message.into());
        }
        Rejection::QuotaExceeded(exceeded) => {
            return (StatusCode::CONFLICT, "CONFLICT", exceeded.to_string().into());
        }
        Rejection::Forbidden(reason) => {
            return (StatusCode::FORBIDDEN, "FORBIDDEN", forbidden_text(contract, &reason).into());
        }
        Rejection::UnsupportedMediaType(taken) => return unsupported(taken.advice()),
        Rejection::UnsupportedEncoding => return unsupported("send the body without Content-Encoding"),
        Rejection::RequestTimeout => {
            (StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", "the body did not arrive in time")
        }
        Rejection::NoToken => unauthorized("send an access token as `Authorization: Bearer <token>`"),
        Rejection::InvalidToken | Rejection::Unproven(_) => {
            unauthorized("the access token is invalid or its session has ended")
        }
        Rejection::ExpiredToken => unauthorized("the access token has expired; refresh it"),
        Rejection::EmailNotVerified => {
            (StatusCode::FORBIDDEN, "FORBIDDEN", "the account's e-mail address is not verified")
        }
        Rejection::StepUpRequired => {
            (StatusCode::FORBIDDEN, "FORBIDDEN", "sign in again, then repeat the request")
        }
        Rejection::NotFound { elsewhere, .. } => return no_endpoint(elsewhere.as_deref()),
        Rejection::MethodNotAllowed { .. } => (
            StatusCode::METHOD_NOT_ALLOWED,
            "METHOD_NOT_ALLOWED",
            "the endpoint does not answer this method; the header Allow names those that it answers",
        ),
        Rejection::Unavailable { reason, .. } | Rejection::NotConfigured { reason } => {
            (StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE", reason)
        }
        Rejection::Internal => {
            (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", "something went wrong on our side")
        }
    };
    (status, code, message.into())
}

/// Why a token does not reach what a contract's endpoint does, and which one would. One of another contract is told where this one
/// gives its own.
pub(super) fn forbidden_text(contract: &Contract, reason: &Forbidden) -> String {
    match reason {
        Forbidden::Contract { issuer } if *issuer != contract.id => {
            format!("this token was issued by {}; {}", issuer.title(), contract.tokens_taken())
        }
        Forbidden::Program => format!("this token is a program's; {}", contract.tokens_taken()),
        reason => reason.to_string(),
    }
}

fn no_endpoint(elsewhere: Option<&str>) -> (StatusCode, &'static str, Cow<'static, str>) {
    let elsewhere = elsewhere.unwrap_or("/docs lists those that there are");
    (StatusCode::NOT_FOUND, "NOT_FOUND", format!("there is no such endpoint; {elsewhere}").into())
}

fn unsupported(message: impl Into<Cow<'static, str>>) -> (StatusCode, &'static str, Cow<'static, str>) {
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", message.into())
}

const fn unauthorized(message: &'static str) -> (StatusCode, &'static str, &'static str) {
    (StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message)
}

/// The text with a capital first letter.
pub(super) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| format!("{}{}", first.to_uppercase(), chars.as_str())).unwrap_or_default()
}

/// The text as a sentence, which the use cases' texts are not. One that begins with the name of a field begins as that is sent.
pub(super) fn sentence(text: &str) -> String {
    let first = text.split([' ', ':']).next().unwrap_or_default();
    if first.contains(['_', '[']) { stopped(text) } else { stopped(&capitalized(text)) }
}

/// The text with a full stop, where it has none.
pub(super) fn stopped(text: &str) -> String {
    let stop = if text.is_empty() || text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{text}{stop}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_begins_with_a_capital_unless_a_name_begins_it() {
        for (text, said) in [
            ("the code is wrong", "The code is wrong."),
            ("rules[0].rule_type: a policy has none", "rules[0].rule_type: a policy has none."),
            ("redirect_uri is not registered", "redirect_uri is not registered."),
            ("done!", "Done!"),
            ("", ""),
        ] {
            assert_eq!(sentence(text), said);
        }
    }
}
