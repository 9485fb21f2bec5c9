//! What every request must pass before any route handles it.

use axum::Json;
use axum::extract::{OriginalUri, Request};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::wire::not_found::not_found;

/// Refuses requests that two readers could understand differently.
pub(crate) async fn admitted<F: Future<Output = Response>>(
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    if !names_one_host(&request) {
        let body = json!({
            "error": "invalid_request",
            "error_description": "The request must name its host once, as a valid Host header.",
        });
        let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
        return (StatusCode::BAD_REQUEST, no_store, Json(body)).into_response();
    }
    // Slashes at the beginning are not collapsed: a proxy's rule for `/metrics` does not match `//metrics`.
    match request.extensions().get::<OriginalUri>() {
        Some(original) if original.path().starts_with("//") => not_found().await,
        _ => next(request).await,
    }
}

/// RFC 9112 section 3.2: exactly one valid `Host`, which HTTP/1.0 may leave out. RFC 9113 section 8.3.1: in HTTP/2
/// `:authority` replaces it, and where both are sent they are the same.
fn names_one_host(request: &Request) -> bool {
    let mut values = request.headers().get_all(header::HOST).iter();
    match (values.next(), values.next()) {
        (None, _) => match request.version() {
            Version::HTTP_09 | Version::HTTP_10 => true,
            Version::HTTP_11 => false,
            _ => request.uri().authority().is_some(),
        },
        (Some(host), None) => {
            let Ok(host) = host.to_str() else { return false };
            let is_valid =
                host.is_empty() || host.parse::<Authority>().is_ok_and(|host| !host.as_str().contains('@'));
            let is_http2 = request.version() > Version::HTTP_11;
            let fits = |authority: &Authority| authority.as_str().eq_ignore_ascii_case(host);
            is_valid && (!is_http2 || request.uri().authority().is_none_or(fits))
        }
        (Some(_), Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn is_admitted(version: Version, uri: &str, hosts: &[&str]) -> bool {
        let mut request = Request::builder().version(version).uri(uri);
        for host in hosts {
            request = request.header("host", HeaderValue::from_bytes(host.as_bytes()).unwrap());
        }
        names_one_host(&request.body(Body::empty()).unwrap())
    }

    #[test]
    fn http_1_1_names_one_valid_host() {
        for host in ["id.example.com", "id.example.com:8080", "127.0.0.1", "[::1]:8080", "localhost", ""] {
            assert!(is_admitted(Version::HTTP_11, "/", &[host]), "{host}");
        }
        for hosts in [&[][..], &["a.example", "a.example"], &["a.example", "b.example"]] {
            assert!(!is_admitted(Version::HTTP_11, "/", hosts), "{hosts:?}");
        }
        for host in ["a b", "a/b", "user@a.example", "\u{e9}", "a.example, b.example"] {
            assert!(!is_admitted(Version::HTTP_11, "/", &[host]), "{host}");
        }
    }

    #[test]
    fn http_1_0_may_name_none_and_never_two() {
        assert!(is_admitted(Version::HTTP_10, "/", &[]));
        assert!(!is_admitted(Version::HTTP_10, "/", &["a.example", "a.example"]));
    }

    #[test]
    fn http_2_names_it_in_the_address_and_a_host_header_says_the_same() {
        assert!(is_admitted(Version::HTTP_2, "http://a.example/", &[]));
        assert!(is_admitted(Version::HTTP_2, "http://a.example/", &["A.example"]));
        assert!(!is_admitted(Version::HTTP_2, "http://a.example/", &["b.example"]));
        assert!(!is_admitted(Version::HTTP_2, "/", &[]));
    }
}
