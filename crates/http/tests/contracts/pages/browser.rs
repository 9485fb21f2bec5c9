//! The pages in a real browser, over a real port.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tidegate_kernel::Settings;
use tidegate_kernel::settings::DeliveryMode;
use tidegate_testkit::{Builder, Engine, PASSWORD, TestApp, eventually, run};
use tokio::net::TcpListener;

use crate::cross_contract::login_rivergen;

/// Chromium, driven by its WebDriver (W3C WebDriver), which listens on a port of its own.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

impl Browser {
    /// Starts one.
    ///
    /// # Panics
    /// When there is none: such a test fails, it is never skipped.
    pub(crate) fn start() -> Self {
        let program = std::env::var("CHROMEDRIVER").unwrap_or_else(|_| "chromedriver".to_owned());
        let mut driver = Command::new(&program)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}; run scripts/setup, or set CHROMEDRIVER"));
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines.find_map(|line| {
            line.ok()?
                .strip_prefix("ChromeDriver was started successfully on port ")?
                .trim_end_matches('.')
                .parse()
                .ok()
        });
        let mut browser =
            Self { driver, port: port.expect("the port of chromedriver"), session: String::new() };
        let mut options = json!({ "args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
            "--disable-dev-shm-usage", "--remote-debugging-pipe",
        ]});
        if let Ok(binary) = std::env::var("CHROMIUM") {
            options["binary"] = json!(binary);
        }
        let capabilities = json!({
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" },
        });
        let session =
            browser.call("POST", "/session", &json!({ "capabilities": { "alwaysMatch": capabilities } }));
        browser.session = session["sessionId"].as_str().unwrap().to_owned();
        browser
    }

    /// Sends one command and answers its value.
    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let (head, value) = self.send(method, path, body).expect("chromedriver answers");
        assert!(head.starts_with("HTTP/1.1 200"), "{method} {path}: {}", value["message"]);
        value
    }

    /// HTTP by hand: one small request at a time is no reason for a client.
    fn send(&self, method: &str, path: &str, body: &Value) -> std::io::Result<(String, Value)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n", self.port);
        let head = format!("{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes())?;

        let mut answer = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") && answer.read_line(&mut head)? > 0 {}
        let length = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        answer.read_exact(&mut body)?;
        let body: Value = serde_json::from_slice(&body)?;
        Ok((head, body["value"].clone()))
    }

    pub(crate) fn post(&self, command: &str, body: Value) -> Value {
        self.call("POST", &format!("/session/{}/{command}", self.session), &body)
    }

    pub(crate) fn open(&self, address: &str) {
        self.post("url", json!({ "url": address }));
    }

    pub(crate) fn find(&self, selector: &str) -> String {
        let found = self.post("element", json!({ "using": "css selector", "value": selector }));
        found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned()
    }

    /// The text of the first element that matches; none while the page is still being replaced by the next.
    pub(crate) fn text(&self, selector: &str) -> Option<String> {
        let script = "const found = document.querySelector(arguments[0]); return found && found.innerText";
        let body = json!({ "script": script, "args": [selector] });
        let (_, value) = self.send("POST", &format!("/session/{}/execute/sync", self.session), &body).ok()?;
        value.as_str().map(str::to_owned)
    }

    /// Waits for a page with that heading.
    pub(crate) async fn arrive_at(&self, heading: &str) {
        eventually(heading, async || (self.text("h1")? == heading).then_some(())).await;
    }

    pub(crate) fn type_into(&self, selector: &str, text: &str) {
        self.post(&format!("element/{}/value", self.find(selector)), json!({ "text": text }));
    }

    pub(crate) fn press(&self, selector: &str) {
        self.post(&format!("element/{}/click", self.find(selector)), json!({}));
    }

    pub(crate) fn evaluate(&self, script: &str) -> Value {
        self.post("execute/sync", json!({ "script": format!("return {script}"), "args": [] }))
    }

    /// A command of Chromium's own protocol.
    pub(crate) fn command(&self, name: &str, parameters: &Value) -> Value {
        self.post("goog/cdp/execute", json!({ "cmd": name, "params": parameters }))
    }

    /// A window of that width in a light or dark room.
    pub(crate) fn resize(&self, width: u32, scheme: &str) {
        let size = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
        self.command("Emulation.setDeviceMetricsOverride", &size);
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.command("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// What keeps people from using the page, as far as a program can tell: serious and critical findings of axe-core.
    pub(crate) fn barriers(&self, options: &Value) -> Vec<String> {
        let axe = include_str!("../../assets/axe/axe.min.js");
        let script = format!(
            "{axe}; const done = arguments[arguments.length - 1];
             axe.run(arguments[0], {{ resultTypes: ['violations'] }}).then(found => done(found.violations), error => done(String(error)))"
        );
        let found = self.post("execute/async", json!({ "script": script, "args": [options] }));
        let found = found.as_array().unwrap_or_else(|| panic!("axe: {found}"));
        let is_serious = |finding: &&Value| {
            ["serious", "critical"].contains(&finding["impact"].as_str().unwrap_or_default())
        };
        let told = |finding: &Value| format!("{}: {}", finding["id"], finding["nodes"]);
        found.iter().filter(is_serious).map(told).collect()
    }

    /// A page that is not served: scripts that look at it run, which the policy of a mail in the outbox forbids.
    pub(crate) fn show(&self, html: &str) {
        self.open("about:blank");
        let script = "document.open(); document.write(arguments[0]); document.close()";
        self.post("execute/sync", json!({ "script": script, "args": [html] }));
    }

    /// A picture of the page, the whole or what the window shows, kept where `TIDEGATE_SCREENSHOTS` names a directory.
    pub(crate) fn keep_picture(&self, name: &str, is_whole: bool) {
        let Some(directory) = std::env::var_os("TIDEGATE_SCREENSHOTS") else { return };
        let picture = self.command("Page.captureScreenshot", &json!({ "captureBeyondViewport": is_whole }));
        let bytes = STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        std::fs::write(std::path::Path::new(&directory).join(format!("{name}.png")), bytes).unwrap();
    }

    /// What the browser complained about: blocked content, errors of scripts, missing files.
    pub(crate) fn complaints(&self) -> Vec<Value> {
        let log = self.post("se/log", json!({ "type": "browser" }));
        let severe = log.as_array().unwrap().iter().filter(|entry| entry["level"] == "SEVERE");
        // A form that is sent back with a problem has the status of one.
        severe.filter(|entry| !entry["message"].as_str().unwrap().contains("status of 4")).cloned().collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium hangs on its pipe and ends with it.
        drop(self.driver.kill());
        drop(self.driver.wait());
    }
}

/// The application, served on a real port, and its address.
pub(crate) async fn serve() -> (TestApp, String) {
    serve_with(|_| {}).await
}

/// The same with other settings.
pub(crate) async fn serve_with(change: impl FnOnce(&mut Settings)) -> (TestApp, String) {
    serve_built(change, |builder| builder).await
}

/// The same, made in another way.
pub(crate) async fn serve_built(
    change: impl FnOnce(&mut Settings),
    build: impl FnOnce(Builder) -> Builder,
) -> (TestApp, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let mut settings = Settings::new(&address, DeliveryMode::Keep, tidegate_http::contract_profiles());
    change(&mut settings);
    let builder = TestApp::builder(Engine::Sqlite).settings(|before| *before = settings);
    let app = build(builder).http(|http| http.plain_cookies = true).start().await;
    let service = app.router().into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    (app, address)
}

/// The newest link mailed to Ada, whole.
pub(crate) async fn latest_link(app: &TestApp) -> String {
    let mails = app.mails_to("ada@example.com").await;
    mails.iter().find_map(|mail| mail.link()).expect("a mail with a link").to_owned()
}

#[test]
fn a_person_follows_their_links_from_mail_to_sign_in() {
    run(Engine::Sqlite, async |_: Engine| {
        let (app, address) = serve().await;
        let browser = Browser::start();

        app.sign_up_rivergen("ada@example.com").await;
        browser.open(&latest_link(&app).await);
        browser.arrive_at("Confirm your e-mail address").await;
        assert_eq!(
            browser.evaluate("getComputedStyle(document.querySelector('.card')).borderRadius"),
            "16px"
        );
        browser.press("button[type=submit]");
        browser.arrive_at("Thank you").await;

        let body = json!({ "email": "ada@example.com" });
        app.post("/api/v1/auth/forgot-password").json(&body).send().await.assert_status(200);
        let link = latest_link(&app).await;
        browser.open(&link);
        browser.arrive_at("Set a new password").await;
        assert_eq!(browser.evaluate("document.activeElement.name"), "new_password");
        browser.type_into("#new_password", "weak");
        browser.press("button[type=submit]");
        let problem = eventually("a problem", async || browser.text("[role=alert]")).await;
        assert!(problem.starts_with("The password must have"), "{problem}");
        assert_eq!(browser.evaluate("document.querySelector('#new_password').value"), "");
        browser.type_into("#new_password", "Battery2staple!");
        browser.press("button[type=submit]");
        browser.arrive_at("Password changed").await;
        login_rivergen(&app.client(), "ada@example.com", "Battery2staple!").await.assert_status(200);
        login_rivergen(&app.client(), "ada@example.com", PASSWORD).await.assert_status(401);

        // The link says that it was used before a password is typed.
        browser.open(&link);
        browser.arrive_at("Link not valid").await;

        // The developer's outbox, from this very machine.
        browser.open(&format!("{address}/dev/outbox"));
        browser.arrive_at("Outbox").await;
        assert!(browser.text("main").unwrap().contains("to ada@example.com"));
        assert_eq!(browser.complaints(), Vec::<Value>::new());
    });
}

#[test]
fn a_hostile_link_runs_nothing_in_the_readers_browser() {
    run(Engine::Sqlite, async |_: Engine| {
        let (app, address) = serve().await;
        let browser = Browser::start();
        let hostile = "%22%3E%3Cscript%3Edocument.title%3D%27owned%27%3C%2Fscript%3E%3Cimg%20src%3Dx%20onerror%3D%22document.title%3D%27owned%27%22%3E";
        app.sign_up_rivergen_verified("ada@example.com").await;
        let body = json!({ "email": "ada@example.com" });
        app.post("/api/v1/auth/forgot-password").json(&body).send().await.assert_status(200);
        let link = latest_link(&app).await;
        for link in [
            format!("{address}/verify-email?token={hostile}"),
            format!("{address}/reset-password?token={hostile}"),
            format!("{link}&redirect={hostile}"),
        ] {
            browser.open(&link);
            assert_ne!(browser.evaluate("document.title"), "owned");
            assert_eq!(
                browser.evaluate("document.querySelectorAll('script:not([src]), img[src=x]').length"),
                0
            );
        }
        let value = browser.evaluate("document.querySelector('[name=redirect]').value");
        assert!(value.as_str().unwrap().starts_with("\"><script>"), "it is text: {value}");
        // Were something to get into the page after all, the policy would not let it run.
        browser.open(&format!("{address}/verify-email?token=x"));
        browser.evaluate(
            "void document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title=`owned`\">')",
        );
        browser.evaluate("void document.body.append(Object.assign(document.createElement('script'), { text: 'document.title=`owned`' }))");
        assert_ne!(browser.evaluate("document.title"), "owned");
        assert!(!browser.complaints().is_empty(), "the browser says what it blocked");
    });
}
