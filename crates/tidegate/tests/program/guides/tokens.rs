//! "Verify a token in your backend": its code for Python, Node.js and Rust.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tidegate_domain::AccessClaims;
use tidegate_testkit::eventually;

use super::verify_token::{Accepted, Verifier};
use super::{code, in_repository};
use crate::support::{Installation, PASSWORD, Server};

const GUIDE: &str = "verify-tokens.md";

/// A process that is asked line by line.
struct Asked {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Asked {
    fn start(mut command: Command) -> Self {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (process.stdin.take(), BufReader::new(process.stdout.take().unwrap()));
        Self { process, input, output }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }

    fn ask(&mut self, token: &str, accepted: &Accepted<'_>) -> Value {
        let asked = json!({ "token": token, "scopes": accepted.scopes, "bound": accepted.bound });
        writeln!(self.input.as_mut().unwrap(), "{asked}").unwrap();
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        drop(self.input.take());
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The guide's code in each language, about to verify tokens of one issuer.
struct Verifiers {
    python: Asked,
    node: Asked,
    rust: Verifier,
}

impl Verifiers {
    async fn of(here: &Installation, issuer: &str) -> Self {
        let [mut python, mut node] = [python(here, issuer), node(here, issuer)].map(Asked::start);
        assert_eq!((python.line(), node.line()), ("ready\n".to_owned(), "ready\n".to_owned()));
        Self { python, node, rust: Verifier::new(issuer).await.unwrap() }
    }

    /// What each says about a token: account, organization and role; none where it is refused.
    async fn ask(&mut self, token: &str) -> [Option<[String; 3]>; 3] {
        self.ask_accepting(token, &Accepted::default()).await
    }

    /// The same where some limited tokens are accepted.
    async fn ask_accepting(&mut self, token: &str, accepted: &Accepted<'_>) -> [Option<[String; 3]>; 3] {
        let asked = [self.python.ask(token, accepted), self.node.ask(token, accepted)].map(|answer| {
            assert_ne!(answer.get("claims").is_some(), answer.get("refused").is_some(), "{answer}");
            let claims = answer.get("claims")?;
            Some(["sub", "org", "role"].map(|name| claims[name].as_str().unwrap().to_owned()))
        });
        let rust = self.rust.verify(token, accepted).await.ok();
        let rust = rust.map(|claims| [claims.sub, claims.org, claims.role]);
        let [python, node] = asked;
        [python, node, rust]
    }
}

fn python(here: &Installation, issuer: &str) -> Command {
    here.write("verify_token.py", &code(GUIDE, "verify_token.py"));
    here.python("guides/ask.py", &[issuer])
}

#[expect(clippy::disallowed_methods, reason = "Node.js and its packages are found by what scripts/test sets")]
fn node(here: &Installation, issuer: &str) -> Command {
    here.write("verify_token.mjs", &code(GUIDE, "verify_token.mjs"));
    let modules = std::env::var("TIDEGATE_TEST_NODE_MODULES")
        .expect("TIDEGATE_TEST_NODE_MODULES must name a directory with jose: run scripts/test");
    let link = here.path().join("node_modules");
    if !link.exists() {
        std::os::unix::fs::symlink(Path::new(&modules), link).unwrap();
    }
    let script = in_repository("crates/tidegate/tests/program/guides/ask.mjs");
    let mut command = Command::new("node");
    command.arg(script).arg(issuer).current_dir(here.path());
    command
}

/// An account's tokens, through IngestIQ.
async fn signed_in(server: &Server) -> Value {
    let (status, body) = server.sign_in("ada@example.com", PASSWORD).await;
    assert_eq!(status, 200, "{body}");
    body
}

#[tokio::test]
async fn a_token_is_verified_also_after_the_keys_were_rotated() {
    let here = Installation::new();
    let server = here.serve(&["--dev"]);
    let body = json!({"email": "ada@example.com", "password": PASSWORD, "name": "Ada"});
    let (status, registered) = server.post("/api/v2/auth/register", body).await;
    assert_eq!(status, 201, "{registered}");
    let mut verifiers = Verifiers::of(&here, &server.base).await;

    let first = signed_in(&server).await["accessToken"].as_str().unwrap().to_owned();
    let (_, me) = {
        let request = server.http.get(format!("{}/api/v2/auth/me", server.base)).bearer_auth(&first);
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json::<Value>().await.unwrap())
    };
    let field = |name: &str| me["user"][name].as_str().unwrap().to_owned();
    let said = Some([field("id"), field("organizationId"), field("role")]);
    assert_eq!(verifiers.ask(&first).await, [said.clone(), said.clone(), said.clone()]);

    here.json(&["keys", "rotate"]);
    // The server learns of the new key, and the verifiers do when they have waited for two seconds.
    let second = eventually("a token of the new key", async || {
        let token = signed_in(&server).await["accessToken"].as_str().unwrap().to_owned();
        (token.split('.').next() != first.split('.').next()).then_some(token)
    })
    .await;
    let verifiers = tokio::sync::Mutex::new(verifiers);
    eventually("the new key", async || {
        let verdicts = verifiers.lock().await.ask(&second).await;
        (verdicts == [said.clone(), said.clone(), said.clone()]).then_some(())
    })
    .await;
    assert_eq!(verifiers.lock().await.ask(&first).await, [said.clone(), said.clone(), said]);
    server.stop();
}

#[tokio::test]
async fn what_is_no_token_of_the_issuer_is_refused() {
    let here = Installation::new();
    let mut issuer = Asked::start(here.python("guides/issuer.py", &[]));
    let told: Value = serde_json::from_str(&issuer.line()).unwrap();
    let address = told["issuer"].as_str().unwrap();
    let mut verifiers = Verifiers::of(&here, address).await;
    let tokens = told["tokens"].as_object().unwrap();
    assert!(tokens.len() > 10, "{tokens:?}");
    for (name, token) in tokens {
        let verdicts = verifiers.ask(token.as_str().unwrap()).await;
        let expected = (name == "good").then(|| ["s", "o", "owner"].map(str::to_owned));
        assert_eq!(verdicts, [expected.clone(), expected.clone(), expected], "{name}");
    }

    // What an action accepts of the limited ones: those that it means, and no others.
    let reads = Accepted { scopes: &["read"], ..Accepted::default() };
    let writes = Accepted { scopes: &["write"], ..Accepted::default() };
    let bound = Accepted { bound: true, ..Accepted::default() };
    for (name, accepted, role) in [
        ("good", &reads, Some("owner")),
        ("good", &bound, Some("owner")),
        ("limited to a scope", &reads, Some("owner")),
        ("limited to a scope", &writes, None),
        ("limited to a scope", &bound, None),
        ("limited to nothing", &reads, None),
        ("of an unknown scope", &reads, None),
        ("bound to a database", &bound, Some("owner")),
        ("bound to a database", &reads, None),
        ("bound to an end user", &bound, Some("frontend")),
        ("bound to a session", &bound, Some("owner")),
        ("of a frontend", &bound, Some("frontend")),
        ("of a frontend", &reads, None),
        ("of an unknown role", &bound, None),
        ("bound to a key", &reads, None),
        ("bound to a key", &bound, None),
    ] {
        let verdicts = verifiers.ask_accepting(tokens[name].as_str().unwrap(), accepted).await;
        let expected = role.map(|role| ["s", "o", role].map(str::to_owned));
        assert_eq!(verdicts, [expected.clone(), expected.clone(), expected], "{name}, {accepted:?}");
    }

    // What is no JWT at all is called what it is.
    let token = "pat_0123456789abcdefghijklmnopqrstuvwxyz";
    let none = Accepted::default();
    let said = [verifiers.python.ask(token, &none), verifiers.node.ask(token, &none)]
        .map(|answer| answer["refused"].as_str().unwrap_or_default().to_owned());
    let rust = verifiers.rust.verify(token, &none).await.err().map(|error| error.to_string());
    for said in said.into_iter().chain(rust) {
        assert!(
            said.contains("this is a personal access token, which is looked up at introspection"),
            "{said}"
        );
    }

    // A slash at the end of the address is none of the issuer's.
    let mut verifiers = Verifiers::of(&here, &format!("{address}/")).await;
    assert!(verifiers.ask(tokens["good"].as_str().unwrap()).await.iter().all(Option::is_some));

    // A server that calls itself otherwise is not believed.
    let other = format!("{address}/other");
    for mut command in [python(&here, &other), node(&here, &other)] {
        let output = command.output().unwrap();
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains("calls itself"), "{output:?}");
    }
    assert!(Verifier::new(&other).await.err().unwrap().to_string().contains("calls itself"));
}

#[test]
fn the_page_explains_every_claim() {
    let page = std::fs::read_to_string(in_repository("docs/guides").join(GUIDE)).unwrap();
    let claims: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next()).collect();
    for name in AccessClaims::names() {
        assert!(
            claims.iter().any(|claim| format!("`{claim}").contains(&format!("`{name}`"))),
            "{name}: {claims:?}"
        );
    }
}

#[test]
fn the_page_shows_the_code_that_is_tested() {
    let tested = include_str!("verify_token.rs");
    assert_eq!(code(GUIDE, "verify_token.rs"), tested);
}
