//! `tidegate user reset-mfa` and `tidegate org second-factor`

use serde_json::json;
use tidegate_database::{Store, StoreOptions, Unit, execute};
use tidegate_testkit::{MIGRATIONS, on_both_engines};

use crate::support::{Installation, PASSWORD, Said};

const OWNER: &str = "root@acme.example";

async fn give_everybody_a_factor(unit: &mut Unit) -> tidegate_database::Result<u64> {
    execute!(
        unit,
        "insert into second_factors (id, account_id, kind, name, last_step, is_primary, created_at, verified_at)
         select id, id, 'email_otp', '', 0, true, 1, 1 from accounts",
    )
}

/// An installation with an owner who has a second factor; answers the organization's id.
async fn with_factor(here: &Installation) -> String {
    let create = [
        "org",
        "create",
        "--new",
        "--name",
        "Acme",
        "--root-email",
        OWNER,
        "--root-password-stdin",
        "--json",
    ];
    let made = here.run_with_input(&create, PASSWORD).json();
    let store = Store::open(&StoreOptions::new(here.database_url()), MIGRATIONS).await.unwrap();
    let mut unit = store.begin().await.unwrap();
    give_everybody_a_factor(&mut unit).await.unwrap();
    unit.commit().await.unwrap();
    store.close().await;
    made["organization_id"].as_str().unwrap().to_owned()
}

on_both_engines! {
    async fn an_operator_removes_lost_factors(here: Installation) {
        with_factor(&here).await;
        let server = here.serve(&[]);
        let login = json!({ "email": OWNER, "password": PASSWORD });
        let (status, answer) = server.post("/api/v1/auth/login", login.clone()).await;
        assert_eq!((status, &answer["data"]["mfa_required"]), (200, &json!(true)), "{answer}");
        let reset = here.json(&["user", "reset-mfa", OWNER]);
        assert_eq!(reset, json!({ "email": OWNER, "removed": ["email_otp"] }));
        let (status, answer) = server.post("/api/v1/auth/login", login).await;
        assert_eq!(status, 200, "{answer}");
        assert!(answer["data"]["access_token"].is_string(), "{answer}");
        server.stop();
        let said = here.run(&["user", "reset-mfa", OWNER]);
        assert_eq!((said.code, said.err.as_str()), (1, "error: the account has no second factor and no passkey\n"));
        let said = here.run(&["user", "reset-mfa", "nobody@acme.example", "--json"]);
        assert!(said.code == 1 && said.out.contains("reset_refused"), "{}", said.out);
    }

    async fn a_reset_that_waits_says_until_when(here: Installation) {
        with_factor(&here).await;
        for (mode, key) in [("delayed", "takes_effect_at"), ("confirmed", "to_be_confirmed_until")] {
            let reset = |mails: bool| {
                let mut command = here.command(&["user", "reset-mfa", OWNER, "--json"]);
                command.env("TIDEGATE_FACTOR_RESETS__BY_OPERATOR", mode);
                if mails {
                    command.env("TIDEGATE_MAIL__SMTP__HOST", "mail.acme.example");
                    command.env("TIDEGATE_MAIL__SMTP__FROM", "id@acme.example");
                }
                Said::of(&mut command)
            };
            let said = reset(false);
            assert_eq!((said.code, said.json()["error"]["code"].as_str()), (1, Some("mail_not_configured")));
            let said = reset(true).json();
            assert!(said[key].is_string() && said["removed"] == json!([]), "{said}");
        }
        let jobs = here.json(&["jobs", "list"]);
        assert!(jobs.to_string().contains("reset second factors"), "{jobs}");
    }

    async fn an_operator_lets_members_in_where_no_factor_can_be_asked_for(here: Installation) {
        let organization = with_factor(&here).await;
        let server = here.serve(&[]);
        let login = || server.post("/api/v2/auth/login", json!({ "email": OWNER, "password": PASSWORD }));
        assert_eq!(login().await.0, 401);
        let set = |rule: &'static str| {
            here.json(&["org", "second-factor", "--organization", &organization, "--elsewhere", rule])
        };
        assert_eq!(set("admit")["admits_without_second_factor"], true);
        assert_eq!(login().await.0, 200);
        assert_eq!(set("refuse")["admits_without_second_factor"], false);
        assert_eq!(login().await.0, 401);
        server.stop();
        let nil = "00000000-0000-0000-0000-000000000000";
        let said = here.run(&["org", "second-factor", "--organization", nil, "--elsewhere", "admit"]);
        assert_eq!((said.code, said.err.as_str()), (1, "error: there is no such organization\n"));
    }
}
