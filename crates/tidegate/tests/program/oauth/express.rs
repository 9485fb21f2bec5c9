//! An application in Express with `express-openid-connect`, as the README shows it: people sign in on Tidegate's pages, and out of both.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use tidegate_testkit::{eventually, on_both_engines};

use super::apache::{Browser, EMAIL, free_port, registered};
use super::link_packages;
use crate::support::{Installation, PASSWORD};

/// The application that the README shows.
fn application() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let (_, rest) =
        readme.split_once("<!-- file: application.mjs -->\n```js\n").expect("the README's application");
    rest.split_once("```").unwrap().0.to_owned()
}

/// The application, stopped when dropped.
struct Express(Child);

impl Drop for Express {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Express {
    #[expect(clippy::disallowed_methods, reason = "running programs is what these tests do")]
    fn start(here: &Installation, replaced: &[(&str, &str)]) -> Self {
        let mut shown = application();
        for (from, to) in replaced {
            assert!(shown.contains(from), "{from} is not in {shown}");
            shown = shown.replace(from, to);
        }
        link_packages(here);
        here.write("application.mjs", &shown);
        let mut command = Command::new("node");
        command.arg("application.mjs").current_dir(here.path()).stdin(Stdio::null());
        Self(command.spawn().expect("node: run scripts/setup"))
    }
}

on_both_engines! {
    async fn an_application_in_express_signs_people_in_and_out(here: Installation) {
        let server = crate::oauth::serve(&here);
        let port = free_port();
        let base = format!("http://127.0.0.1:{port}");
        let redirect = format!("{base}/callback");
        let addresses = ["--redirect-uri", &redirect, "--post-logout-redirect-uri", &base];
        let (id, secret) = registered(&here, &server, &addresses).await;
        let express = Express::start(&here, &[
            // Whole: a free port may begin as the shown one does.
            ("\"http://127.0.0.1:8080\"", &format!("\"{}\"", server.base)),
            ("\"http://127.0.0.1:3000\"", &format!("\"{base}\"")),
            ("CLIENT_ID", &id),
            ("CLIENT_SECRET", &secret),
        ]);
        eventually("Express", async || std::net::TcpStream::connect(("127.0.0.1", port)).ok()).await;
        let browser = Browser::new(&here);
        let shop = format!("{base}/");

        // Nobody gets in who is not signed in; the pages ask for the password and for the person's consent.
        let page = browser.open(&shop);
        assert!(page.body.contains("<h1>Sign in</h1>"), "{} {}", page.status, page.body);
        let page = browser.press(&page, &server.base, "/sign-in", &[("login", EMAIL), ("password", PASSWORD)]);
        assert!(page.body.contains("Shop, an application of"), "{}", page.body);
        let page = browser.press(&page, &server.base, "/oauth/authorize", &[]);
        assert_eq!((page.status, page.body.as_str()), (200, format!("Hello {EMAIL}").as_str()));

        // It signs them out of both.
        let leaving = browser.send(&format!("{base}/logout"), &[]);
        assert!(leaving.location.starts_with(&format!("{}/oauth/logout?", server.base)), "{}", leaving.location);
        let back = browser.send(&leaving.location, &[]);
        assert_eq!((back.status, back.location.trim_end_matches('/')), (303, base.as_str()), "{}", back.body);
        assert!(browser.open(&shop).body.contains("<h1>Sign in</h1>"));
        drop(express);
        server.stop();
    }
}
