//! A real browser.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::eventually;

/// Chromium, driven by its WebDriver (W3C WebDriver), which listens on a port of its own.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

impl Browser {
    /// Starts one.
    ///
    /// # Panics
    /// When there is none: such a test fails, it is never skipped.
    pub fn start() -> Self {
        let program = std::env::var("CHROMEDRIVER").unwrap_or_else(|_| "chromedriver".to_owned());
        // It takes a free port for IPv4 and asks for the same one for IPv6, which another program may have: then it ends.
        let (driver, port) = (0..10)
            .find_map(|_| Self::start_driver(&program))
            .expect("chromedriver tells its port in one of ten attempts");
        let mut browser = Self { driver, port, session: String::new() };
        let mut options = json!({ "args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
            "--disable-dev-shm-usage", "--remote-debugging-pipe",
        ]});
        if let Ok(binary) = std::env::var("CHROMIUM") {
            options["binary"] = json!(binary);
        }
        let capabilities = json!({
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" },
            // A busy machine is no finding: whether something hangs is for the test runner to say.
            "timeouts": { "script": 300_000, "pageLoad": 300_000 },
        });
        let session =
            browser.call("POST", "/session", &json!({ "capabilities": { "alwaysMatch": capabilities } }));
        browser.session = session["sessionId"].as_str().unwrap().to_owned();
        browser
    }

    /// Starts the driver and answers its port; none when it ended without having one.
    fn start_driver(program: &str) -> Option<(Child, u16)> {
        let mut driver = Command::new(program)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}; run scripts/setup, or set CHROMEDRIVER"));
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines.map_while(Result::ok).find_map(|line| {
            let port = line.strip_prefix("ChromeDriver was started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        if port.is_none() {
            driver.wait().unwrap();
        }
        port.map(|port| (driver, port))
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

    /// A command of WebDriver about this window; answers its value.
    ///
    /// # Panics
    /// When the browser refuses it.
    pub fn post(&self, command: &str, body: Value) -> Value {
        self.call("POST", &format!("/session/{}/{command}", self.session), &body)
    }

    /// Goes to an address.
    pub fn open(&self, address: &str) {
        self.post("url", json!({ "url": address }));
    }

    /// The first element that matches, as commands name it.
    ///
    /// # Panics
    /// When there is none.
    pub fn find(&self, selector: &str) -> String {
        let found = self.post("element", json!({ "using": "css selector", "value": selector }));
        found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned()
    }

    /// The text of the first element that matches; none while the page is still being replaced by the next.
    pub fn text(&self, selector: &str) -> Option<String> {
        let script = "const found = document.querySelector(arguments[0]); return found && found.innerText";
        let body = json!({ "script": script, "args": [selector] });
        let (_, value) = self.send("POST", &format!("/session/{}/execute/sync", self.session), &body).ok()?;
        value.as_str().map(str::to_owned)
    }

    /// Waits for a page with that heading. A test that fails shows which pages came instead.
    #[expect(clippy::print_stderr, reason = "shown with the test that fails")]
    pub async fn arrive_at(&self, heading: &str) {
        let seen = std::cell::RefCell::new(String::new());
        eventually(heading, async || {
            let page = format!("{}: {:?}", self.evaluate("location.href"), self.text("body"));
            if seen.replace(page.clone()) != page {
                eprintln!("{page}");
            }
            (self.text("h1")? == heading).then_some(())
        })
        .await;
    }

    /// Types into the first element that matches.
    pub fn type_into(&self, selector: &str, text: &str) {
        self.post(&format!("element/{}/value", self.find(selector)), json!({ "text": text }));
    }

    /// Presses the first element that matches.
    pub fn press(&self, selector: &str) {
        self.post(&format!("element/{}/click", self.find(selector)), json!({}));
    }

    /// The value of an expression of JavaScript.
    pub fn evaluate(&self, script: &str) -> Value {
        self.post("execute/sync", json!({ "script": format!("return {script}"), "args": [] }))
    }

    /// A command of Chromium's own protocol.
    pub fn command(&self, name: &str, parameters: &Value) -> Value {
        self.post("goog/cdp/execute", json!({ "cmd": name, "params": parameters }))
    }

    /// A window of that width in a light or dark room.
    pub fn resize(&self, width: u32, scheme: &str) {
        let size = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
        self.command("Emulation.setDeviceMetricsOverride", &size);
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.command("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// A page that is not served: scripts that look at it run, which the policy of a mail in the outbox forbids.
    pub fn show(&self, html: &str) {
        self.open("about:blank");
        let script = "document.open(); document.write(arguments[0]); document.close()";
        self.post("execute/sync", json!({ "script": script, "args": [html] }));
    }

    /// A picture of the page, the whole or what the window shows, kept where `TIDEGATE_SCREENSHOTS` names a directory.
    ///
    /// # Panics
    /// When it cannot be kept there.
    pub fn keep_picture(&self, name: &str, is_whole: bool) {
        let Some(directory) = std::env::var_os("TIDEGATE_SCREENSHOTS") else { return };
        let picture = self.command("Page.captureScreenshot", &json!({ "captureBeyondViewport": is_whole }));
        let bytes = STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        std::fs::write(std::path::Path::new(&directory).join(format!("{name}.png")), bytes).unwrap();
    }

    /// What the browser complained about: blocked content, errors of scripts, missing files.
    ///
    /// # Panics
    /// When it does not say.
    pub fn complaints(&self) -> Vec<Value> {
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
