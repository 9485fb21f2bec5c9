//! An application behind Apache with `mod_auth_openidc`, as the README shows it: people sign in on Tidegate's pages, sign out at the
//! application, and are signed out there when their session ends here.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tidegate_testkit::{eventually, on_both_engines};

use crate::support::{Installation, PASSWORD, Said, Server};

pub(super) const EMAIL: &str = "ada@example.com";

/// The configuration that the README shows.
fn configuration() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let (_, rest) = readme
        .split_once("<!-- file: application.conf -->\n```apache\n")
        .expect("the README's configuration");
    rest.split_once("```").unwrap().0.to_owned()
}

/// Apache, stopped when dropped.
struct Apache {
    process: Child,
    base: String,
}

impl Drop for Apache {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[expect(clippy::disallowed_methods, reason = "running programs is what these tests do")]
fn program(name: &str) -> Command {
    let there = ["/usr/sbin", "/usr/bin"].map(|folder| Path::new(folder).join(name));
    Command::new(there.into_iter().find(|path| path.exists()).unwrap_or_else(|| PathBuf::from(name)))
}

/// Apache drops its privileges where it has any, and has to read what it serves.
fn readable(folder: &Path) {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}

impl Apache {
    fn start(here: &Installation, server: &Server, port: u16, (id, secret): (&str, &str)) -> Self {
        let base = format!("http://127.0.0.1:{port}");
        let mut shown = configuration();
        for (from, to) in [
            ("https://id.example.com", server.base.as_str()),
            ("https://shop.example.com", &base),
            ("CLIENT_ID", id),
            ("CLIENT_SECRET", secret),
        ] {
            assert!(shown.contains(from), "{from} is not in {shown}");
            shown = shown.replace(from, to);
        }
        let root = here.path().join("apache");
        std::fs::create_dir_all(root.join("www")).unwrap();
        readable(here.path());
        readable(&root);
        readable(&root.join("www"));
        std::fs::write(root.join("www/index.html"), "<h1>The shop</h1>").unwrap();
        let modules: String =
            ["mpm_event", "authn_core", "authz_core", "authz_user", "dir", "headers", "auth_openidc"]
                .iter()
                .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
                .collect();
        let folder = root.display();
        let configuration = format!(
            "ServerRoot {folder}\nServerName 127.0.0.1\nListen 127.0.0.1:{port}\nPidFile {folder}/pid\nErrorLog {folder}/error.log\n\
             DefaultRuntimeDir {folder}\nMutex sem\nUser www-data\nGroup www-data\n{modules}LogLevel info\nDocumentRoot {folder}/www\n\
             DirectoryIndex index.html\nHeader set X-Remote-User \"expr=%{{REMOTE_USER}}\"\n{shown}"
        );
        std::fs::write(root.join("apache.conf"), configuration).unwrap();
        let mut command = program("apache2");
        command.arg("-X").arg("-f").arg(root.join("apache.conf"));
        let process = command.stdin(Stdio::null()).spawn().expect("apache2: run scripts/setup");
        Self { process, base }
    }
}

/// What curl got: status, headers and body.
pub(super) struct Got {
    pub(super) status: u16,
    pub(super) location: String,
    user: String,
    pub(super) body: String,
}

/// A browser that keeps cookies: curl, and forms by hand.
pub(super) struct Browser<'a> {
    here: &'a Installation,
    jar: String,
}

impl<'a> Browser<'a> {
    pub(super) fn new(here: &'a Installation) -> Self {
        Self { here, jar: here.path().join("cookies").display().to_string() }
    }

    pub(super) fn send(&self, address: &str, more: &[&str]) -> Got {
        let mut command = program("curl");
        command.args([
            "-sS",
            "--max-time",
            "60",
            "-b",
            &self.jar,
            "-c",
            &self.jar,
            "-H",
            "accept: text/html",
        ]);
        command.args(["-w", "\n%{http_code}\n%{redirect_url}\n%header{x-remote-user}"]);
        command.args(more).arg(address).current_dir(self.here.path());
        let said = Said::of(&mut command);
        let mut lines = said.out.rsplitn(4, '\n');
        let [user, location, status, body] = [(); 4].map(|()| lines.next().unwrap_or_default().to_owned());
        let status = status.parse().unwrap_or_else(|_| panic!("{address}: {said:?}"));
        Got { status, location, user, body }
    }

    /// Goes where it leads, over both servers.
    pub(super) fn open(&self, address: &str) -> Got {
        self.follow(self.send(address, &[]))
    }

    fn follow(&self, mut got: Got) -> Got {
        for _ in 0..12 {
            if !(300..400).contains(&got.status) {
                return got;
            }
            got = self.send(&got.location, &[]);
        }
        panic!("redirects without an end: {}", got.location)
    }

    /// Sends the form of a page that goes to `action`, with what is typed.
    pub(super) fn press(&self, page: &Got, base: &str, action: &str, typed: &[(&str, &str)]) -> Got {
        let start = format!("action=\"{action}\"");
        let rest = page.body.split_once(&start).unwrap_or_else(|| panic!("no {action}: {}", page.body)).1;
        let form = rest.split_once("</form>").unwrap().0;
        let mut fields: Vec<String> = form
            .split("<input type=\"hidden\" name=\"")
            .skip(1)
            .map(|input| {
                let (name, rest) = input.split_once('"').unwrap();
                let value = rest.split_once("value=\"").unwrap().1.split_once('"').unwrap().0;
                format!("{name}={}", value.replace("&#38;", "&").replace("&amp;", "&"))
            })
            .collect();
        fields.extend(typed.iter().map(|(name, value)| format!("{name}={value}")));
        let pairs: Vec<&str> = fields.iter().flat_map(|field| ["--data-urlencode", field.as_str()]).collect();
        self.follow(self.send(&format!("{base}{action}"), &pairs))
    }
}

/// Somebody with an account, and the application of their organization: its `client_id` and its secret.
pub(super) async fn registered(here: &Installation, server: &Server, addresses: &[&str]) -> (String, String) {
    let (status, signed_up) = server.sign_up(EMAIL).await;
    assert_eq!(status, 201, "{signed_up}");
    let code = here.output(&["outbox", "code", "--to", EMAIL]);
    let token = &signed_up["data"]["temporary_token"];
    let body = serde_json::json!({ "temporary_token": token, "otp_code": code });
    assert_eq!(server.post("/api/v1/auth/verify-otp", body).await.0, 200);
    let organizations = here.json(&["org", "list"]);
    let organization = organizations[0]["organization_id"].as_str().unwrap().to_owned();
    let create =
        ["client", "create", "--organization", &organization, "--name", "Shop", "--scope", "openid email"];
    let made = here.json(&[&create[..], addresses].concat());
    let text = |name: &str| made[name].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
    (text("client_id"), text("client_secret"))
}

/// Tidegate and the application behind Apache, both of which answer.
async fn serve(here: &Installation) -> (Server, Apache) {
    let server = here.serve_with(&["--dev"], |command| {
        // The application is on this machine.
        command.env("TIDEGATE_OAUTH__BACKCHANNEL_REACH", "this_machine");
    });
    let port = free_port();
    let base = format!("http://127.0.0.1:{port}");
    let (redirect, bye) = (format!("{base}/oidc"), format!("{base}/"));
    let told = format!("{base}/oidc?logout=backchannel");
    let addresses =
        ["--redirect-uri", &redirect, "--post-logout-redirect-uri", &bye, "--backchannel-logout-uri", &told];
    let (id, secret) = registered(here, &server, &addresses).await;
    let apache = Apache::start(here, &server, port, (&id, &secret));
    eventually("Apache", async || std::net::TcpStream::connect(("127.0.0.1", port)).ok()).await;
    (server, apache)
}

on_both_engines! {
    async fn an_application_behind_apache_signs_people_in_and_out(here: Installation) {
        let (server, apache) = serve(&here).await;
        let browser = Browser::new(&here);
        let log = || std::fs::read_to_string(here.path().join("apache/error.log")).unwrap_or_default();
        let shop = format!("{}/", apache.base);

        // Nobody gets in who is not signed in; the pages ask for the password and for the person's consent.
        let page = browser.open(&shop);
        assert!(page.body.contains("<h1>Sign in</h1>"), "{} {}\n{}", page.status, page.body, log());
        let page = browser.press(&page, &server.base, "/sign-in", &[("login", EMAIL), ("password", PASSWORD)]);
        assert!(page.body.contains("Shop, an application of"), "{}", page.body);
        let page = browser.press(&page, &server.base, "/oauth/authorize", &[]);
        assert_eq!((page.status, page.user.as_str()), (200, EMAIL), "{}\n{}", page.body, log());
        assert!(page.body.contains("The shop"));

        // The application signs them out of both.
        let page = browser.send(&format!("{}oidc?logout={shop}", shop), &[]);
        assert!(page.location.starts_with(&format!("{}/oauth/logout?", server.base)), "{}\n{}", page.location, log());
        assert!(page.location.contains("id_token_hint="), "{}", page.location);
        let back = browser.send(&page.location, &[]);
        assert_eq!((back.status, back.location.as_str()), (303, shop.as_str()), "{}", back.body);
        let page = browser.open(&shop);
        assert!(page.body.contains("<h1>Sign in</h1>"), "{}", page.body);

        // What they allowed is remembered. An operator ends their sessions: the application hears of it.
        let page = browser.press(&page, &server.base, "/sign-in", &[("login", EMAIL), ("password", PASSWORD)]);
        assert_eq!((page.status, page.user.as_str()), (200, EMAIL), "{}\n{}", page.body, log());
        here.json(&["user", "sessions", EMAIL, "--end-all"]);
        eventually("the application has signed them out", async || {
            (browser.send(&shop, &[]).status == 302).then_some(())
        })
        .await;
        drop(apache);
        server.stop();
    }

    async fn an_application_behind_apache_signs_people_in_in_chromium(here: Installation) {
        let (server, apache) = serve(&here).await;
        let shop = format!("{}/", apache.base);
        let browser = tidegate_testkit::Browser::start();
        browser.open(&shop);
        browser.arrive_at("Sign in").await;
        browser.type_into("#login", EMAIL);
        browser.type_into("#password", PASSWORD);
        browser.press("form[action='/sign-in'] button[type=submit]");
        browser.arrive_at("Allow access?").await;
        browser.press("form:has([name=choice][value=allow]) button");
        browser.arrive_at("The shop").await;
        browser.open(&shop);
        browser.arrive_at("The shop").await;
        // The application signs them out of both.
        browser.open(&format!("{shop}oidc?logout={shop}"));
        // The browser may still have the page that it saw, which is a file: until it asks again.
        eventually("the shop asks to sign in", async || {
            browser.open(&shop);
            (browser.text("h1")? == "Sign in").then_some(())
        })
        .await;
        drop(browser);
        drop(apache);
        server.stop();
    }
}
