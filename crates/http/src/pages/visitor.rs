//! Who is at the browser: its cookies, the session they name, and what defends its forms.
//!
//! Two cookies. One names a kernel session, and is new with each sign-in. The other is a random secret that every form of these pages is
//! bound to: a form that was made for another browser, or for another session in this one, is not accepted (CSRF, also of the sign-in
//! itself).

use axum::Form as FormBody;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use tidegate_crypto::PlainToken;
use tidegate_domain::factor::DeviceData;
use tidegate_domain::id::SessionId;
use tidegate_domain::session::AmrSet;
use tidegate_domain::{Permission, Timestamp};
use tidegate_kernel::noted::{self, CredentialFault};
use tidegate_kernel::{Actor, AuthError, Call, Fault};

use super::failure;
use super::look::{Card, Look, coded};
use crate::wire::client::{accept_language, client_ip, user_agent};
use crate::wire::safe::only_looks;
use crate::wire::state::App;
use crate::wire::this_machine::is_reached_here;

/// Names the session.
const SESSION: &str = "tidegate_session";
/// What forms are bound to.
const FORM: &str = "tidegate_form";
/// What a trusted device is recognized by.
const DEVICE: &str = "tidegate_device";
/// Browsers accept a cookie of that prefix only with Secure, without Domain and for all paths, so that no neighbour below the same domain
/// and no plain-HTTP page can set it (RFC 6265bis, section 4.1.3.2).
const HOST: &str = "__Host-";
/// Longest value of a cookie that is looked at. Those that are given out here are shorter.
const LONGEST: usize = 128;
/// What form tokens are keyed for.
const FORM_TOKEN: &str = "form of a page";

/// What the session in a browser's cookie says.
#[derive(Clone, Debug)]
pub(crate) struct BrowserSession {
    /// Whom use cases authorize.
    pub(crate) actor: Actor,
    pub(crate) session: SessionId,
    /// How its owner proved who they are.
    pub(crate) amr: AmrSet,
    /// When they last did.
    pub(crate) auth_time: Timestamp,
    /// What the account is called: its name, or else its address.
    pub(crate) name: String,
}

impl BrowserSession {
    /// None for a session that may not read what it says of itself.
    fn of(actor: Actor) -> Option<Self> {
        let grant = actor.authorize(Permission::ReadOwnToken).ok()?;
        let session = grant.session();
        let email = session.email.as_ref().map(|email| email.to_string());
        let name = match (session.display_name.as_str(), email) {
            ("", None) => session.account_number.to_string(),
            ("", Some(email)) => email,
            (name, None) => name.to_owned(),
            (name, Some(email)) => format!("{name} ({email})"),
        };
        Some(Self { session: session.id, amr: session.amr, auth_time: session.auth_time, name, actor })
    }
}

/// A request of a browser.
pub(crate) struct Visitor {
    pub(crate) call: Call,
    /// Whose browser it is; none where nobody is signed in.
    pub(crate) session: Option<BrowserSession>,
    pub(crate) headers: HeaderMap,
    cookies: Cookies,
    /// What this browser's forms are bound to.
    form_secret: String,
    /// Whether the browser named none.
    is_new: bool,
    /// Whether the request only looks.
    is_looking: bool,
}

/// The browser's cookies, as they were sent.
struct Cookies {
    session: Option<String>,
    form: Option<String>,
    device: Option<String>,
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let ip = client_ip(&parts.headers, &parts.extensions, app.http());
        let call = Call::from_browser(app.kernel().settings(), ip, user_agent(&parts.headers));
        let call = call.accepting(accept_language(&parts.headers));
        let call = if only_looks(parts) { call.looking() } else { call };
        let headers = parts.headers.clone();
        let cookie = |name| cookie(&headers, &cookie_name(app, name));
        let cookies = Cookies { session: cookie(SESSION), form: cookie(FORM), device: cookie(DEVICE) };
        let session = match signed_in(app, cookies.session.as_deref()).await {
            Ok(session) => session,
            Err(fault) => return Err(failure(app, &headers, fault.into())),
        };
        let call = match &session {
            Some(session) => call.caused_by((&session.actor).into()),
            None => call,
        };
        let is_new = cookies.form.is_none();
        let form_secret = cookies.form.clone().unwrap_or_else(|| secret(app));
        let is_looking = parts.method.is_safe();
        Ok(Self { call, session, headers, cookies, form_secret, is_new, is_looking })
    }
}

/// The session that the cookie names, if it is current.
async fn signed_in(app: &App, cookie: Option<&str>) -> Result<Option<BrowserSession>, Fault> {
    let Some(cookie) = cookie else { return Ok(None) };
    match app.kernel().authenticate_cookie(cookie).await {
        Ok(actor) => Ok(BrowserSession::of(actor)),
        Err(AuthError::Invalid | AuthError::Expired) => Ok(None),
        Err(AuthError::Fault(fault)) => Err(fault),
    }
}

/// 256 random bits.
fn secret(app: &App) -> String {
    PlainToken::generate("", app.kernel().entropy.as_ref()).expose().to_owned()
}

impl Visitor {
    /// In the language the browser prefers.
    pub(super) fn look(&self, app: &App) -> Look {
        Look::of(app, &self.headers, None)
    }

    /// In the languages that an application asked for, or else in that.
    pub(crate) fn look_asked_for(&self, app: &App, locales: Option<&str>) -> Look {
        Look::asked_for(app, &self.headers, locales)
    }

    /// What a form of this browser carries that is sent to `action`.
    pub(crate) fn form_token(&self, app: &App, action: &str) -> (&'static str, String) {
        let tag = app.kernel().vault.mac(FORM_TOKEN, &self.bound_to(action));
        ("csrf", URL_SAFE_NO_PAD.encode(tag))
    }

    /// Whether a form was made for this browser and its present session, and is sent by a page of this server. The log has why not.
    pub(crate) fn accepts(&self, app: &App, action: &str, token: &str) -> bool {
        let why = self.why_not(app, action, token);
        if let Some(why) = why {
            noted::refused(CredentialFault::Form(why));
        }
        why.is_none()
    }

    fn why_not(&self, app: &App, action: &str, token: &str) -> Option<&'static str> {
        let tag = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
        if self.is_new {
            return Some(without_cookie(app, &self.headers));
        }
        if self.is_foreign() {
            return Some("a page of another site sent it");
        }
        if app.kernel().vault.verify_mac(FORM_TOKEN, &self.bound_to(action), &tag) {
            return None;
        }
        Some(if token.is_empty() {
            "it has no token"
        } else if self.session.is_none() && self.cookies.session.is_some() {
            "the session that it was made for has ended"
        } else {
            "its token is of another form, another session or another browser"
        })
    }

    fn bound_to(&self, action: &str) -> Vec<u8> {
        let session = self.session.as_ref().and(self.cookies.session.as_deref()).unwrap_or_default();
        [&self.form_secret, session, action].join("\n").into_bytes()
    }

    /// Whether the browser says that a page of another site sent the request (W3C Fetch Metadata). Programs and old browsers say nothing.
    fn is_foreign(&self) -> bool {
        let site = self.headers.get("sec-fetch-site");
        site.is_some_and(|site| site != "same-origin" && site != "none")
    }

    /// What binds a sign-in that waits for its next step to this browser.
    pub(super) fn binding(&self, app: &App) -> String {
        URL_SAFE_NO_PAD.encode(app.kernel().vault.mac("sign-in of a browser", self.form_secret.as_bytes()))
    }

    /// What the browser is recognized by where its owner trusts it. Without a cookie it is like no other: the same program in the same
    /// network is not enough here. A form that is sent twice comes from the same one, so it is made of what forms are bound to. Where a
    /// trusted device is to be `is_unknown`, it is like none before.
    pub(super) fn device(&self, app: &App, is_unknown: bool) -> BrowserDevice {
        match &self.cookies.device {
            Some(known) if !is_unknown => BrowserDevice { value: known.clone(), is_known: true },
            _ if is_unknown => BrowserDevice { value: secret(app), is_known: false },
            _ => {
                let mac = app.kernel().vault.mac("device of a browser", self.form_secret.as_bytes());
                BrowserDevice { value: URL_SAFE_NO_PAD.encode(mac), is_known: false }
            }
        }
    }

    /// An answer to this browser, with the secret that its forms are bound to where it has none. Browsers keep cookies back from forms of
    /// other sites: such a form must not have the one replaced that the browser has.
    pub(super) fn answer(&self, app: &App, mut response: Response) -> Response {
        if self.is_new && (self.is_looking || !self.is_foreign()) {
            set_cookie(app, &mut response, FORM, &self.form_secret, None);
        }
        response
    }

    /// An answer that signs this browser in.
    pub(super) fn answer_signed_in(&self, app: &App, mut response: Response, secret: &str) -> Response {
        set_cookie(app, &mut response, SESSION, secret, None);
        self.answer(app, response)
    }
}

/// An answer after which the browser is signed out.
pub(crate) fn answer_signed_out(app: &App, mut response: Response) -> Response {
    set_cookie(app, &mut response, SESSION, "", Some(0));
    set_cookie(app, &mut response, FORM, "", Some(0));
    response
}

/// What a browser is recognized by.
pub(super) struct BrowserDevice {
    value: String,
    is_known: bool,
}

impl BrowserDevice {
    /// As use cases know it.
    pub(super) fn data(&self) -> DeviceData {
        DeviceData::from_header(format!("\"{}\"", self.value).as_bytes())
    }

    /// An answer that has the browser keep it for longer, where it had it before.
    pub(super) fn keep_known(&self, app: &App, response: &mut Response) {
        if self.is_known {
            self.keep(app, response);
        }
    }

    /// An answer that has the browser keep it for as long as devices are trusted.
    pub(super) fn keep(&self, app: &App, response: &mut Response) {
        let age = app.kernel().settings().trusted_device_age.as_secs();
        set_cookie(app, response, DEVICE, &self.value, Some(age));
    }
}

/// Why the cookie of a form did not come, as far as the addresses say it: over http, browsers keep one with `Secure` from this machine at most.
fn without_cookie(app: &App, headers: &HeaderMap) -> &'static str {
    let url = app.kernel().settings().public_url.as_str();
    if url.starts_with("http:") && !is_reached_here(url, headers) && !app.http().plain_cookies {
        "its cookie did not come: public_url is http, and browsers keep the cookie of pages only over https, or with --dev"
    } else {
        "its cookie did not come: the browser keeps none, or has let it go"
    }
}

/// The name of a cookie here: only where development goes over plain HTTP without the prefix, which browsers accept with TLS alone.
fn cookie_name(app: &App, name: &str) -> String {
    if app.http().plain_cookies { name.to_owned() } else { format!("{HOST}{name}") }
}

/// The one cookie of that name. None where there are two: one of them was set by somebody else.
fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(known, _)| *known == name).map(|(_, value)| value);
    let (value, None) = (values.next()?, values.next()) else { return None };
    let is_ours = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_one = (1..=LONGEST).contains(&value.len()) && value.bytes().all(is_ours);
    is_one.then(|| value.to_owned())
}

/// Sets a cookie, for so many seconds or until the browser is closed.
fn set_cookie(app: &App, response: &mut Response, name: &str, value: &str, seconds: Option<u64>) {
    let secure = if app.http().plain_cookies { "" } else { "; Secure" };
    let age = seconds.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    let text = format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}", cookie_name(app, name));
    if let Ok(value) = HeaderValue::try_from(text) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// A form as it was sent, and by whom.
pub(super) struct Sent<T> {
    pub(super) visitor: Visitor,
    pub(super) form: T,
}

impl<T: DeserializeOwned> FromRequest<App> for Sent<T> {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, app).await?;
        match FormBody::<T>::from_request(Request::from_parts(parts, body), app).await {
            Ok(FormBody(form)) => Ok(Self { visitor, form }),
            Err(rejection) => {
                let look = visitor.look(app);
                let (title, text) =
                    (look.words.text("page.failed.title"), look.words.text("page.failed.unread"));
                Err(coded(Card::saying(&look, title, text).answer(rejection.status()), "page.failed.unread"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> Option<String> {
        let headers = lines.iter().map(|line| (header::COOKIE, line.parse().unwrap())).collect();
        cookie(&headers, "__Host-tidegate_session")
    }

    #[test]
    fn one_cookie_of_the_name_is_read_and_of_two_none() {
        assert_eq!(of(&["a=b; __Host-tidegate_session=tgb_x-Y"]), Some("tgb_x-Y".to_owned()));
        assert_eq!(of(&["a=b", "__Host-tidegate_session=x"]), Some("x".to_owned()));
        let long = format!("__Host-tidegate_session={}", "x".repeat(LONGEST + 1));
        for lines in [
            &[][..],
            &["tidegate_session=x"],
            &["__host-tidegate_session=x"],
            &["__Host-tidegate_session="],
            &["__Host-tidegate_session=x y"],
            &["__Host-tidegate_session=x; __Host-tidegate_session=y"],
            &["__Host-tidegate_session=x", "__Host-tidegate_session=x"],
            &[&long],
        ] {
            assert_eq!(of(lines), None, "{lines:?}");
        }
    }
}
