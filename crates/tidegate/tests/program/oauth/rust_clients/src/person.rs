//! The person who is asked, and the browser of that person.

use std::collections::BTreeMap;

use oauth2::{HttpRequest, HttpResponse};
use ureq::http::{Request, request::Builder};
use url::{Position, Url, form_urlencoded};

use crate::wire::{Wire, send};

fn form(request: Builder, fields: String) -> HttpRequest {
    request.header("content-type", "application/x-www-form-urlencoded").body(fields.into_bytes()).unwrap()
}

fn header<'a>(answer: &'a HttpResponse, name: &str) -> Option<&'a str> {
    answer.headers().get(name).map(|value| value.to_str().unwrap())
}

/// The person signs in and agrees: code and state that the browser brings.
pub fn approved(wire: &Wire, url: &Url, token: &str) -> (String, String) {
    let request =
        Request::post(&url[..Position::AfterPath]).header("authorization", format!("Bearer {token}"));
    let answer = send(wire, form(request, format!("{}&approve=true", url.query().unwrap()))).unwrap();
    assert_eq!(answer.status(), 302);
    let location = Url::parse(header(&answer, "location").unwrap()).unwrap();
    let field = |name: &str| location.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    (field("code"), field("state"))
}

/// Keeps cookies and goes where it is sent.
pub struct Browser<'a> {
    wire: &'a Wire,
    base: &'a str,
    cookies: BTreeMap<String, String>,
}

impl<'a> Browser<'a> {
    pub fn at(wire: &'a Wire, base: &'a str) -> Self {
        Self { wire, base, cookies: BTreeMap::new() }
    }

    pub fn visit(&mut self, address: &str) -> String {
        let request = self.about_to(Request::get(address)).body(Vec::new()).unwrap();
        self.page(request)
    }

    /// Sends the first form of a page that goes to `action`, with what is typed.
    pub fn submit(&mut self, page: &str, action: &str, typed: &[(&str, &str)]) -> String {
        let inside =
            page.split_once(&format!("action=\"{action}\"")).unwrap().1.split_once("</form>").unwrap().0;
        let mut fields = form_urlencoded::Serializer::new(String::new());
        for field in inside.split("<input type=\"hidden\" name=\"").skip(1) {
            let (name, rest) = field.split_once('"').unwrap();
            let value = rest.split_once("value=\"").unwrap().1.split_once('"').unwrap().0;
            if !typed.iter().any(|(known, _)| *known == name) {
                fields.append_pair(name, value);
            }
        }
        let request = self.about_to(Request::post(format!("{}{action}", self.base)));
        self.page(form(request, fields.extend_pairs(typed).finish()))
    }

    fn about_to(&self, request: Builder) -> Builder {
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        request.header("accept", "text/html").header("cookie", pairs.join("; "))
    }

    fn page(&mut self, request: HttpRequest) -> String {
        let answer = send(self.wire, request).unwrap();
        for line in answer.headers().get_all("set-cookie") {
            let pair = line.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        if let Some(to) = header(&answer, "location") {
            return self.visit(&format!("{}{to}", self.base));
        }
        assert_eq!(answer.status(), 200);
        String::from_utf8(answer.into_body()).unwrap()
    }
}
