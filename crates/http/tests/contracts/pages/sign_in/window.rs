//! A browser without a screen: it keeps cookies, follows redirects of this server, and sends forms as they were served.

use std::cell::RefCell;
use std::collections::BTreeMap;

use tidegate_testkit::{Answer, Client, PASSWORD, Request, TestApp};

pub(crate) const SESSION: &str = "__Host-tidegate_session";
pub(crate) const FORM: &str = "__Host-tidegate_form";
pub(crate) const DEVICE: &str = "__Host-tidegate_device";

/// A browser's window, or all windows of one browser.
pub(crate) struct Window {
    client: Client,
    cookies: RefCell<BTreeMap<String, String>>,
}

impl Window {
    pub(crate) fn new(app: &TestApp) -> Self {
        Self { client: app.client(), cookies: RefCell::default() }
    }

    /// A browser of somebody else.
    pub(crate) fn at(app: &TestApp, ip: &str) -> Self {
        Self { client: app.client().at(ip), cookies: RefCell::default() }
    }

    /// The same browser without its cookies, as it sends forms of other sites.
    pub(crate) fn of(window: &Self) -> Self {
        Self { client: window.client.clone(), cookies: RefCell::default() }
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.borrow().get(name).cloned()
    }

    pub(crate) fn set_cookie(&self, name: &str, value: &str) {
        self.cookies.borrow_mut().insert(name.to_owned(), value.to_owned());
    }

    pub(crate) fn forget(&self, name: &str) {
        self.cookies.borrow_mut().remove(name);
    }

    /// Sends a request with the cookies, and keeps those of the answer.
    pub(crate) async fn send(&self, request: Request) -> Answer {
        let pairs: Vec<String> =
            self.cookies.borrow().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = if pairs.is_empty() { request } else { request.header("cookie", &pairs.join("; ")) };
        let request = request.header("host", "id.example.com").header("accept", "text/html,*/*;q=0.8");
        let answer = request.send().await;
        for line in answer.headers.get_all("set-cookie") {
            let line = line.to_str().unwrap();
            let (pair, attributes) = line.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.contains("Max-Age=0") {
                self.forget(name);
            } else {
                self.set_cookie(name, value);
            }
        }
        answer
    }

    pub(crate) async fn open(&self, path: &str) -> Answer {
        self.send(self.client.get(path)).await
    }

    /// Posts a form as it is.
    pub(crate) async fn post(&self, path: &str, form: &str) -> Answer {
        self.send(self.client.post(path).form(form)).await
    }

    /// A request to be changed before it is sent.
    pub(crate) fn request(&self, path: &str, form: &str) -> Request {
        self.client.post(path).form(form)
    }

    /// Goes where an answer leads, on this server only.
    pub(crate) async fn follow(&self, mut answer: Answer) -> Answer {
        for _ in 0..5 {
            if answer.status != 303 {
                return answer;
            }
            let to = answer.header("location").to_owned();
            assert!(to.starts_with('/') && !to.starts_with("//"), "a sign-in stays here: {to}");
            answer = self.open(&to).await;
        }
        panic!("redirects without an end");
    }

    pub(crate) async fn visit(&self, path: &str) -> Answer {
        let answer = self.open(path).await;
        self.follow(answer).await
    }

    /// Sends the form of a page that goes to `action`, with what is typed; answers the redirect or the page.
    pub(crate) async fn submit(&self, page: &Answer, action: &str, typed: &[(&str, &str)]) -> Answer {
        self.post(action, &filled(page, action, typed)).await
    }

    /// The same, and goes where it leads.
    pub(crate) async fn press(&self, page: &Answer, action: &str, typed: &[(&str, &str)]) -> Answer {
        let answer = self.submit(page, action, typed).await;
        self.follow(answer).await
    }

    /// Opens the sign-in and sends an address and a password.
    pub(crate) async fn try_password(&self, login: &str, password: &str) -> Answer {
        let page = self.visit("/sign-in").await;
        page.assert_status(200);
        self.submit(&page, "/sign-in", &[("login", login), ("password", password)]).await
    }

    /// Signs in with the usual password and nothing else.
    pub(crate) async fn sign_in(&self, login: &str) -> Answer {
        let answer = self.try_password(login, PASSWORD).await;
        let page = self.follow(answer).await;
        assert!(page.text.contains("You are signed in"), "{}", page.text);
        page
    }

    /// Whether the server takes it for signed in.
    pub(crate) async fn is_signed_in(&self) -> bool {
        self.open("/account").await.status == 200
    }
}

/// A form's fields as a browser sends them.
pub(crate) fn filled(page: &Answer, action: &str, typed: &[(&str, &str)]) -> String {
    let hidden = hidden(page, action);
    let pairs = hidden.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let is_typed = |name: &str| typed.iter().any(|(known, _)| *known == name);
    let pairs = pairs.filter(|(name, _)| !is_typed(name)).chain(typed.iter().copied());
    pairs.map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&")
}

/// The hidden fields of the first form that goes to `action`.
#[track_caller]
pub(crate) fn hidden(page: &Answer, action: &str) -> Vec<(String, String)> {
    let start = format!("action=\"{action}\"");
    let after =
        page.text.split_once(&start).unwrap_or_else(|| panic!("no form to {action}: {}", page.text)).1;
    let form = after.split_once("</form>").unwrap().0;
    form.split("<input type=\"hidden\" name=\"")
        .skip(1)
        .map(|rest| {
            let (name, rest) = rest.split_once('"').unwrap();
            let value = rest.split_once("value=\"").unwrap().1.split_once('"').unwrap().0;
            (name.to_owned(), unescaped(value))
        })
        .collect()
}

/// The text of an attribute.
fn unescaped(text: &str) -> String {
    let named =
        [("&#38;", "&"), ("&amp;", "&"), ("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'")];
    named.iter().fold(text.to_owned(), |text, (name, character)| text.replace(name, character))
}

/// The value of a hidden field.
#[track_caller]
pub(crate) fn field(page: &Answer, action: &str, name: &str) -> String {
    let hidden = hidden(page, action);
    hidden.into_iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no {name}")).1
}

pub(crate) fn encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
