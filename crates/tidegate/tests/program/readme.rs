//! The requests that the README shows one by one, outside of its tour.

use serde_json::Value;

use crate::support::{Installation, Said};

/// The block of the README that it calls so.
fn shown(name: &str) -> String {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let (_, rest) = readme.split_once(&format!("<!-- file: {name} -->\n```sh\n")).expect(name);
    rest.split_once("```").unwrap().0.to_owned()
}

/// Runs a block with other values in place of those that are shown; answers its JSON.
fn run(here: &Installation, name: &str, replaced: &[(&str, &str)]) -> Value {
    let mut script = shown(name);
    for (from, to) in replaced {
        assert!(script.contains(from), "{from} is not in {script}");
        script = script.replace(from, to);
    }
    let said = Said::of(here.command_of("bash").args(["-eu", "-c", &script]));
    assert_eq!(said.code, 0, "{said:?}");
    said.json()
}

#[tokio::test]
async fn an_account_is_made_request_by_request_and_its_token_reaches_what_is_said() {
    let here = Installation::new();
    let server = here.serve(&["--dev"]);
    let registered = run(&here, "register.sh", &[("http://127.0.0.1:8080", &server.base)]);
    let base = ("$BASE", server.base.as_str());
    let signed_up = run(&here, "sign-up.sh", &[base]);
    let temporary = signed_up["data"]["temporary_token"].as_str().unwrap();
    let code = here.output(&["outbox", "code", "--to", "ada@example.com"]);
    let verified = run(&here, "verify.sh", &[base, ("CODE", &code), ("TEMPORARY_TOKEN", temporary)]);

    let sources = async |token: &Value| {
        let request = server.http.get(format!("{}/api/v1/data-sources", server.base));
        request.bearer_auth(token.as_str().unwrap()).send().await.unwrap().status().as_u16()
    };
    assert_eq!(sources(&verified["data"]["access_token"]).await, 200, "{verified}");
    assert_eq!(sources(&registered["accessToken"]).await, 403, "{registered}");
    // Once the address is verified, the contract is what is left.
    let (_, signed_in) = server.sign_in("ada@example.com", "Correct1horse").await;
    let request = server.http.get(format!("{}/api/v1/data-sources", server.base));
    let refused = request.bearer_auth(signed_in["accessToken"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(refused.status().as_u16(), 403);
    let told = refused.text().await.unwrap();
    assert!(told.contains("issued by IngestIQ; /api/v1 takes tokens of POST /api/v1/auth/login"), "{told}");
    server.stop();
}
