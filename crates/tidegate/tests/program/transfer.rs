//! `tidegate org transfer`

use serde_json::{Value, json};
use tidegate_testkit::{eventually, on_both_engines};

use crate::support::{Installation, PASSWORD, Server};

const ROOT: &str = "root@acme.example";
const ADA: &str = "ada@acme.example";

/// An organization that root owns; answers what making it said.
fn provision(here: &Installation, root: &str) -> Value {
    let arguments =
        ["org", "create", "--new", "--name", "Acme", "--root-email", root, "--root-password-stdin", "--json"];
    here.run_with_input(&arguments, &format!("{PASSWORD}\n")).json()
}

fn serve(here: &Installation) -> Server {
    here.serve(&["--dev"])
}

fn transfer<'a>(organization: &'a str, to: &'a str) -> [&'a str; 6] {
    ["org", "transfer", "--organization", organization, "--to", to]
}

async fn log_in(server: &Server, email: &str) -> Value {
    let (status, answer) =
        server.post("/v1/login/individual/", json!({"email": email, "password": PASSWORD})).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

async fn create(server: &Server, manager: &Value, email: &str, role: &str) {
    let request = server.http.post(format!("{}/v1/accounts/individual/", server.base));
    let body = json!({"email": email, "role": role, "password": PASSWORD});
    let answer = request.bearer_auth(manager["token"].as_str().unwrap()).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

async fn verify(here: &Installation, server: &Server, email: &str) {
    let code = here.output(&["outbox", "code", "--to", email]);
    let (status, answer) = server.post("/v1/accounts/verify/", json!({"email": email, "code": code})).await;
    assert_eq!(status, 200, "{answer}");
}

async fn status_of(server: &Server, tokens: &Value) -> u16 {
    let request = server.http.post(format!("{}/v1/login/jwt/", server.base));
    let request = request.bearer_auth(tokens["token"].as_str().unwrap());
    request.header("content-type", "application/json").send().await.unwrap().status().as_u16()
}

on_both_engines! {
    async fn a_member_becomes_the_owner_and_the_former_owner_a_manager(here: Installation) {
        let made = provision(&here, ROOT);
        let server = serve(&here);
        let root = log_in(&server, ROOT).await;
        create(&server, &root, ADA, "backend").await;
        verify(&here, &server, ADA).await;
        let ada = log_in(&server, ADA).await;

        let id = made["organization_id"].as_str().unwrap();
        let said = here.run(&[&transfer(id, "Ada@Acme.example")[..], &["--json"]].concat());
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
        assert_eq!(said.json(), json!({"organization_id": id, "org_id": made["org_id"], "owner_email": ADA}));
        // Both are signed out: their tokens say another role.
        for tokens in [&root, &ada] {
            eventually("the tokens of before are refused", async || {
                (status_of(&server, tokens).await == 401).then_some(())
            })
            .await;
            let claim = json!({"refresh_token": tokens["refresh_token"]});
            let (status, answer) = server.post("/v1/login/refresh-token/", claim).await;
            assert_eq!(status, 401, "{answer}");
            assert_eq!(answer["error_data"]["name"], "INCORRECT_REFRESH_TOKEN");
        }
        let (root, ada) = (log_in(&server, ROOT).await, log_in(&server, ADA).await);
        assert_eq!((&root["role"], &ada["role"]), (&json!("manager"), &json!("root")));
        assert_eq!((&root["org_id"], &ada["org_id"]), (&made["org_id"], &made["org_id"]));

        // And back, under the id a sign-in answers.
        let opaque = made["org_id"].as_str().unwrap();
        let said = here.run(&transfer(opaque, ROOT));
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
        assert_eq!(
            said.out,
            format!(
                "Organization {id} is now owned by {ROOT}. Its former owner is an admin; both were signed \
                 out.\n"
            )
        );
        let (root, ada) = (log_in(&server, ROOT).await, log_in(&server, ADA).await);
        assert_eq!((&root["role"], &ada["role"]), (&json!("root"), &json!("manager")));
        server.stop();
    }

    async fn whoever_cannot_own_it_is_refused_in_words_and_nothing_changes(here: Installation) {
        let made = provision(&here, ROOT);
        let other = provision(&here, "root@rival.example");
        let server = serve(&here);
        let root = log_in(&server, ROOT).await;
        create(&server, &root, ADA, "manager").await;

        let id = made["organization_id"].as_str().unwrap();
        let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
        let unverified = "error: this account's e-mail address is not verified; verify it first\n";
        let owner = "error: this account owns the organization already\n";
        let stranger = "error: no member of the organization has this e-mail address; create the account \
                        there first\n";
        for (organization, to, words) in [
            (unknown, ROOT, "error: there is no such organization\n"),
            ("AYkKXayWd0u8zrMCCZqAVw", ROOT, "error: there is no such organization\n"),
            // An account's id, which is easily taken for the organization's.
            (made["account_id"].as_str().unwrap(), ROOT, "error: there is no such organization\n"),
            (id, "nobody@acme.example", stranger),
            (id, "root@rival.example", stranger),
            (other["org_id"].as_str().unwrap(), ROOT, stranger),
            (id, ROOT, owner),
            (made["org_id"].as_str().unwrap(), ROOT, owner),
            (id, ADA, unverified),
        ] {
            let said = here.run(&transfer(organization, to));
            assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (1, "", words));
            let said = here.run(&[&transfer(organization, to)[..], &["--json"]].concat());
            assert_eq!((said.code, said.err.as_str(), said.out.lines().count()), (1, "", 1), "{said:?}");
            let words = words.strip_prefix("error: ").unwrap().trim_end();
            assert_eq!(
                said.json(),
                json!({"error": {"advice": null, "code": "transfer_refused", "message": words}})
            );
        }
        // Nobody was signed out, and the owner is who it was.
        assert_eq!(status_of(&server, &root).await, 200);
        assert_eq!(log_in(&server, ROOT).await["role"], "root");
        assert_eq!(log_in(&server, "root@rival.example").await["role"], "root");
        server.stop();
    }
}

#[test]
fn a_transfer_needs_to_know_what_and_to_whom() {
    let here = Installation::new();
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    for arguments in [
        &["org", "transfer"][..],
        &["org", "transfer", "--organization", id],
        &["org", "transfer", "--to", ROOT],
        &transfer("acme", ROOT),
        &transfer("", ROOT),
        &transfer("AYkKXayWd0u8zrMCCZqAVw=", ROOT),
        &transfer(id, "ada"),
    ] {
        assert_eq!(here.run(arguments).code, 2, "{arguments:?}");
    }
    let said = here.run(&transfer("acme", ROOT));
    assert!(said.err.contains("tidegate org list") && said.err.contains("org_id"), "{}", said.err);
    // A database is not made to say that nobody is in it.
    let said = here.run(&transfer(id, ROOT));
    assert_eq!(said.code, 1);
    assert!(said.err.contains("there is no installation"), "{}", said.err);
    assert!(!here.path().join("tidegate-data").exists());
}
