//! Headers of pages.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// Allows the page the style sheet, script, pictures and forms of this server only, forbids framing, and keeps the address with its token out of
/// `Referer` (OWASP ASVS 14.4).
pub(crate) fn page_headers() -> HeaderMap {
    let policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; frame-src 'self'; \
                  form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    let values = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    values.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect()
}
