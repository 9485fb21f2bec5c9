//! `tidegate org create`

use std::process::Stdio;

use serde_json::json;
use tidegate_testkit::on_both_engines;

use crate::support::{Installation, PASSWORD, Said};

const CREATE: [&str; 6] = ["org", "create", "--name", "Acme", "--root-email", "Root@Acme.example"];
const BEGIN: [&str; 7] = ["org", "create", "--new", "--name", "Acme", "--root-email", "Root@Acme.example"];

on_both_engines! {
    async fn an_owner_made_beside_a_server_signs_in_with_the_password_printed(here: Installation) {
        let server = here.serve(&[]);
        let made = here.json(&CREATE);
        assert_eq!(made["email"], "root@acme.example");
        assert!(made["organization_id"].is_string() && made["account_id"].is_string(), "{made}");
        let credentials = json!({"email": "root@acme.example", "password": made["password"]});
        let (_, answer) = server.post("/v1/login/individual/", credentials).await;
        assert_eq!((&answer["org_id"], &answer["role"]), (&made["org_id"], &json!("root")), "{answer}");
        assert_eq!(made["org_id"].as_str().unwrap().len(), 22, "{made}");
        let password = made["password"].as_str().unwrap();
        assert_eq!(password.len(), 25);
        let (status, answer) = server.sign_in("root@acme.example", password).await;
        assert_eq!(status, 200, "{answer}");
        server.stop();
    }

    async fn an_installation_may_begin_with_its_owner(here: Installation) {
        let said =
            here.run_with_input(&[&BEGIN[..], &["--root-password-stdin"]].concat(), "Correct1horse!\n");
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.err.starts_with("new installation in ") && said.err.lines().count() == 1, "{said:?}");
        assert!(said.out.starts_with("Organization Acme (") && !said.out.contains(PASSWORD), "{}", said.out);
        let server = here.serve(&[]);
        assert_eq!(server.sign_in("root@acme.example", PASSWORD).await.0, 200);
        server.stop();
    }
}

on_both_engines! {
    async fn commands_that_begin_an_installation_together_all_succeed(here: Installation) {
        let begun: Vec<_> = (0..4)
            .map(|number| {
                let email = format!("root{number}@acme.example");
                let create = ["org", "create", "--new", "--name", "Acme", "--root-email", &email];
                let mut command = here.command(&create);
                command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        for process in begun {
            let said = Said::from(process.wait_with_output().unwrap());
            assert_eq!(said.code, 0, "{said:?}");
        }
        // One master key, or the later of them could not have read the earlier ones' signing key.
        assert_eq!(here.run(&["doctor"]).code, 0);
    }
}

#[test]
fn a_taken_address_and_a_weak_password_are_refused_in_words() {
    let here = Installation::new();
    here.output(&BEGIN);
    let said = here.run(&CREATE);
    assert_eq!(said.code, 1);
    assert_eq!(
        said.err,
        "error: an account with this e-mail address exists already; choose another address\n"
    );

    let said = here.run_with_input(
        &["org", "create", "--name", "B", "--root-email", "b@acme.example", "--root-password-stdin"],
        "alllowercase",
    );
    assert_eq!(said.code, 1);
    assert!(said.err.contains("upper-case letter") && said.err.contains("digit"), "{}", said.err);

    let said = here.run_with_input(
        &["org", "create", "--name", "C", "--root-email", "c@acme.example", "--root-password-stdin"],
        "",
    );
    assert_eq!(said.code, 1);
    assert!(said.err.contains("standard input contains no password"), "{}", said.err);
}

#[test]
fn a_domain_is_managed_by_one_organization() {
    let here = Installation::new();
    here.begin();
    let create = |email: &str, domain: &str| {
        here.run(&[
            "org",
            "create",
            "--name",
            "A",
            "--root-email",
            email,
            "--managed-domain",
            domain,
            "--json",
        ])
    };
    assert_eq!(create("root@acme.example", "Acme.example").code, 0);
    let said = create("root@other.example", "acme.example");
    assert_eq!(said.code, 1);
    assert!(said.out.contains("domain_taken"), "{}", said.out);
    assert_eq!(create("root@other.example", "no domain").code, 2);
    assert_eq!(create("root@other.example", "other.example").code, 0, "nothing was left behind");
}
