//! The OAuth 2 / OpenID Connect provider and clients that are not ours, unmodified, over real HTTP: `openid-client` and
//! `oauth4webapi` (npm), Authlib (PyPI), `oauth2` and `openidconnect` (crates.io); Apache with `mod_auth_openidc`, and Express
//! with `express-openid-connect`, as the README shows them.

mod apache;
mod express;

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tidegate_testkit::on_both_engines;

use crate::support::{Installation, PASSWORD, Said, Server};

/// Where the client's application would be; nobody listens there.
const REDIRECT_URI: &str = "http://127.0.0.1:47001/callback";

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

fn serve(here: &Installation) -> Server {
    here.serve(&["--dev"])
}

/// The same where anybody may register an application.
fn serve_open(here: &Installation) -> Server {
    here.serve_with(&["--dev"], |command| {
        command.env("TIDEGATE_OAUTH__REGISTRATION__MODE", "open");
        command.env("TIDEGATE_OAUTH__REGISTRATION__ORGANIZATION", "1");
    })
}

/// What a walk is told: the issuer, a client with a secret and one without, and a person who signed in.
struct Settings(Value);

impl Settings {
    async fn of(here: &Installation, server: &Server) -> Self {
        let email = "ada@example.com";
        let (status, signed_up) = server.sign_up(email).await;
        assert_eq!(status, 201, "{signed_up}");
        let code = here.output(&["outbox", "code", "--to", email]);
        let body = json!({"temporary_token": signed_up["data"]["temporary_token"], "otp_code": code});
        let (status, verified) = server.post("/api/v1/auth/verify-otp", body).await;
        assert_eq!(status, 200, "{verified}");
        let organizations = here.json(&["org", "list"]);
        let organization =
            organizations[0]["organization_id"].as_str().unwrap_or_else(|| panic!("{organizations}"));

        let create = |name: &str, more: &[&str]| {
            let arguments = ["client", "create", "--organization", organization, "--name", name];
            let grants =
                ["--redirect-uri", REDIRECT_URI, "--scope", "openid profile email offline_access read"];
            here.json(&[&arguments[..], &grants[..], more].concat())
        };
        let confidential =
            create("With a secret", &["--grant", "authorization_code", "--grant", "client_credentials"]);
        let public =
            create("Without", &["--public", "--grant", "authorization_code", "--grant", DEVICE_CODE]);
        Self(json!({
            "issuer": server.base,
            "redirectUri": REDIRECT_URI,
            "confidential": { "id": confidential["client_id"], "secret": confidential["client_secret"] },
            "publicClient": { "id": public["client_id"] },
            "person": { "email": email, "password": PASSWORD, "token": verified["data"]["access_token"] },
            "device": true,
            "dpop": true,
            "pushed": true,
        }))
    }
}

/// Has scripts of an installation's directory find the packages of npm.
#[expect(clippy::disallowed_methods, reason = "the packages are found by what scripts/test sets")]
fn link_packages(here: &Installation) {
    let modules = std::env::var("TIDEGATE_TEST_NODE_MODULES")
        .expect("TIDEGATE_TEST_NODE_MODULES must name packages of npm: run scripts/test");
    let link = here.path().join("node_modules");
    if !link.exists() {
        std::os::unix::fs::symlink(Path::new(&modules), link).unwrap();
    }
}

/// Runs a walk in JavaScript to its end.
#[expect(clippy::disallowed_methods, reason = "running programs is what these tests do")]
fn walk_node(here: &Installation, settings: &Settings, script: &str) {
    link_packages(here);
    // A module looks for packages beside itself.
    for (name, text) in [
        ("settings.mjs", include_str!("settings.mjs")),
        ("openid_client.mjs", include_str!("openid_client.mjs")),
        ("oauth4webapi.mjs", include_str!("oauth4webapi.mjs")),
        ("registered.mjs", include_str!("registered.mjs")),
    ] {
        here.write(name, text);
    }
    let mut command = Command::new("node");
    ended_well(command.arg(script).arg(settings.0.to_string()).current_dir(here.path()));
}

/// Runs the walk of the crates to its end: the program in `rust_clients`, which `scripts/setup` builds apart, so that its crates do not
/// change how ours are built.
#[expect(clippy::disallowed_methods, reason = "the program is found by what scripts/test sets")]
fn walk_crates(here: &Installation, settings: &Settings) {
    let program = std::env::var("TIDEGATE_TEST_RUST_CLIENTS")
        .expect("TIDEGATE_TEST_RUST_CLIENTS must name the program in rust_clients: run scripts/test");
    ended_well(here.command_of(&program).arg(settings.0.to_string()));
}

fn ended_well(command: &mut Command) {
    let said = Said::of(command);
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{}\n{}", said.out, said.err);
}

on_both_engines! {
    async fn openid_client_walks_every_flow(here: Installation) {
        let server = serve(&here);
        walk_node(&here, &Settings::of(&here, &server).await, "openid_client.mjs");
        server.stop();
    }

    async fn oauth4webapi_finds_nothing_against_the_standards(here: Installation) {
        let server = serve(&here);
        walk_node(&here, &Settings::of(&here, &server).await, "oauth4webapi.mjs");
        server.stop();
    }

    async fn foreign_clients_register_themselves_sign_and_push(here: Installation) {
        let server = serve_open(&here);
        walk_node(&here, &Settings::of(&here, &server).await, "registered.mjs");
        server.stop();
    }

    async fn authlib_registers_itself_and_signs(here: Installation) {
        let server = serve_open(&here);
        let settings = Settings::of(&here, &server).await;
        ended_well(&mut here.python("oauth/authlib_registered.py", &[&settings.0.to_string()]));
        server.stop();
    }

    async fn authlib_walks_every_flow(here: Installation) {
        let server = serve(&here);
        let settings = Settings::of(&here, &server).await;
        ended_well(&mut here.python("oauth/authlib_client.py", &[&settings.0.to_string()]));
        server.stop();
    }

    async fn the_crates_walk_every_flow(here: Installation) {
        let server = serve(&here);
        walk_crates(&here, &Settings::of(&here, &server).await);
        server.stop();
    }
}
