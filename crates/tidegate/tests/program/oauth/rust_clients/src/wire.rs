//! Sends what the crates make.

use oauth2::{HttpRequest, HttpResponse};
use ureq::http::Method;

pub type Wire = ureq::Agent;

/// Answers whatever the server says, and goes nowhere else.
pub fn open() -> Wire {
    let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None);
    config.build().into()
}

pub fn send(wire: &Wire, request: HttpRequest) -> Result<HttpResponse, ureq::Error> {
    let answer =
        if request.method() == Method::GET { wire.run(request.map(|_| ()))? } else { wire.run(request)? };
    let (head, mut body) = answer.into_parts();
    Ok(HttpResponse::from_parts(head, body.read_to_vec()?))
}

/// Sends what a crate made for `https` as the proxy would send it on: everything but the scheme is as it was.
pub fn send_on(wire: &Wire, mut request: HttpRequest) -> Result<HttpResponse, ureq::Error> {
    let address = request.uri().to_string();
    let rest = address.strip_prefix("https:").expect("revocation asks for https");
    *request.uri_mut() = format!("http:{rest}").parse().unwrap();
    send(wire, request)
}
