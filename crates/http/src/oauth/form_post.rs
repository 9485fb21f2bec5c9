//! The answer as a form that the browser posts (OAuth 2.0 Form Post Response Mode).

use std::fmt::Write;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tidegate_oauth::authorize::Answer;
use url::Url;

use crate::wire::headers::page_headers;

/// Where the script is that posts the form: no page has a script inside.
pub(super) const SCRIPT: &str = "/oauth/form-post.js";

/// Posts the form. Without scripts, the person presses its button.
pub(super) async fn script() -> Response {
    let kind = HeaderValue::from_static("text/javascript; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], "document.forms[0].submit();\n").into_response()
}

/// The page with the form, which its script posts at once.
pub(super) fn form_post(answer: &Answer) -> Response {
    let mut fields = String::new();
    for (name, value) in &answer.fields {
        // Writing to a text does not fail.
        let _ =
            write!(fields, "<input type=\"hidden\" name=\"{}\" value=\"{}\">", escaped(name), escaped(value));
    }
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Continue</title></head><body>\
         <form method=\"post\" action=\"{}\">{fields}<button>Continue</button></form>\
         <script src=\"{SCRIPT}\"></script></body></html>",
        escaped(&answer.redirect_uri),
    );
    let mut headers = page_headers();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let policy = format!(
        "default-src 'none'; script-src 'self'; form-action {}; frame-ancestors 'none'; base-uri 'none'",
        source(&answer.redirect_uri)
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    (StatusCode::OK, headers, page).into_response()
}

/// Where the browser is sent on to, as a content security policy names it (W3C Content Security Policy 3, section 2.3.1): by its scheme alone where the policy has
/// no way to write the host.
pub(super) fn source(uri: &str) -> String {
    match Url::parse(uri) {
        Ok(url) if url.origin().is_tuple() && url.host_str().is_some_and(is_host_source) => {
            url.origin().ascii_serialization()
        }
        Ok(url) => format!("{}:", url.scheme()),
        Err(_) => "'none'".to_owned(),
    }
}

/// Whether a policy has a way to write it: an address of IPv6 it has not, and a wildcard or what separates sources would say something else.
fn is_host_source(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_names_an_origin_or_else_its_scheme_and_nothing_more() {
        for (uri, named) in [
            ("https://shop.example.com/callback", "https://shop.example.com"),
            ("https://shop.example.com:8443/callback", "https://shop.example.com:8443"),
            ("http://127.0.0.1:4000/", "http://127.0.0.1:4000"),
            ("http://[::1]:4000/", "http:"),
            ("https://*.example.com/", "https:"),
            ("https://a;script-src/", "https:"),
            ("https://a,b.example.com/", "https:"),
            ("https://a'b.example.com/", "https:"),
            ("com.example.shop:/callback", "com.example.shop:"),
            ("no address", "'none'"),
        ] {
            assert_eq!(source(uri), named, "{uri}");
        }
    }
}
