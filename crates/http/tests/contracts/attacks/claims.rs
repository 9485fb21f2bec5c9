//! An organization invites an address: that gives it no rights over the address's owner, unless they accept.

use axum::http::Method;
use serde_json::{Value, json};
use tidegate_domain::{EmailAddress, Password};
use tidegate_identity::provisioning::provision::Provision;
use tidegate_kernel::Call;
use tidegate_testkit::{Answer, PASSWORD, Person, TestApp, on_both_engines};

use crate::cross_contract::{login_ingestiq, login_rivergen, me_ingestiq, me_rivergen};

pub(super) const VICTIM: &str = "victim@corp.example";
pub(super) const MALLORY: &str = "mallory@evil.example";
pub(super) const CHOSEN: &str = "Chosen-by-the-0wner";
pub(super) const STRANGERS: &str = "Chosen-by-a-Stranger-1";
pub(super) const SECOND: std::time::Duration = std::time::Duration::from_secs(1);

/// An attacker with one throw-away address: signed up as anyone does, and so the owner of an organization.
pub(super) async fn mallory(app: &TestApp) -> Person {
    let mallory = app.sign_up_rivergen_verified(MALLORY).await;
    let answer = app.log_in("individual", MALLORY, json!({})).await;
    Person { access_token: answer.assert_status(200).text_at("token"), ..mallory }
}

pub(super) async fn manage(app: &TestApp, method: Method, who: &Person, body: Value) -> Answer {
    let request = app.client().request(method, "/v1/accounts/individual/");
    request.bearer(&who.access_token).json(&body).send().await
}

pub(super) async fn forgot(app: &TestApp, email: &str) -> String {
    let body = json!({ "email": email });
    app.post("/api/v1/auth/forgot-password").json(&body).send().await.assert_status(200);
    app.latest_link_token(email).await
}

pub(super) async fn reset(app: &TestApp, token: &str, password: &str) -> Answer {
    let body = json!({ "token": token, "new_password": password });
    app.post("/api/v1/auth/reset-password").json(&body).send().await
}

pub(super) async fn verify(app: &TestApp, email: &str, code: &str) -> Answer {
    app.post("/v1/accounts/verify/").json(&json!({ "email": email, "code": code })).send().await
}

/// Everything a manager may try against an account; each finds no such account.
async fn assert_no_rights(app: &TestApp, mallory: &Person) {
    for change in
        [json!({ "password": STRANGERS }), json!({ "first_name": "Mine" }), json!({ "metadata": {} })]
    {
        let mut body = json!({ "email": VICTIM });
        tidegate_domain::text::merge(&mut body, &change);
        manage(app, Method::PATCH, mallory, body).await.assert_error(404, "ACCOUNT_NOT_FOUND");
    }
    manage(app, Method::DELETE, mallory, json!({ "email": VICTIM }))
        .await
        .assert_error(404, "ACCOUNT_NOT_FOUND");
    let list = app.get("/v1/organizations/current/accounts/").bearer(&mallory.access_token).send().await;
    assert!(!list.assert_status(200).text.contains(VICTIM), "{}", list.text);
    login_rivergen(&app.client(), VICTIM, STRANGERS).await.assert_error(401, "INVALID_CREDENTIALS");
    login_ingestiq(&app.client(), VICTIM, STRANGERS).await.assert_status(401);
}

async fn organization_of(app: &TestApp, email: &str, password: &str) -> String {
    let answer = app.log_in("individual", email, json!({ "password": password })).await;
    answer.assert_status(200).text_at("org_id")
}

on_both_engines! {
    // Made an account for the address before its owner came; the owner pressed "forgot password", as anyone would.
    async fn who_made_an_account_for_an_address_has_no_rights_once_its_owner_reset_the_password(app: TestApp) {
        let mallory = mallory(&app).await;
        let invitation = json!({ "email": VICTIM, "role": "backend" });
        manage(&app, Method::POST, &mallory, invitation).await.assert_status(200);

        let token = forgot(&app, VICTIM).await;
        reset(&app, &token, CHOSEN).await.assert_status(204);
        assert_no_rights(&app, &mallory).await;
        app.advance(2 * SECOND);
        assert_no_rights(&app, &mallory).await;

        let login = login_rivergen(&app.client(), VICTIM, CHOSEN).await;
        me_rivergen(&app.client(), &login.assert_status(200).text_at("data.access_token")).await.assert_status(200);
        let theirs = organization_of(&app, VICTIM, CHOSEN).await;
        assert_ne!(theirs, organization_of(&app, MALLORY, PASSWORD).await);
        let role = app.log_in("individual", VICTIM, json!({ "password": CHOSEN })).await.text_at("role");
        assert_eq!(role, "root", "at home with themselves");
    }

    async fn an_invitation_does_not_keep_the_address_from_its_owner(app: TestApp) {
        let mallory = mallory(&app).await;
        for with_password in [false, true] {
            let email = if with_password { VICTIM } else { "other@corp.example" };
            let mut invitation = json!({ "email": email, "role": "backend" });
            if with_password {
                invitation["password"] = json!(STRANGERS);
            }
            manage(&app, Method::POST, &mallory, invitation).await.assert_status(200);
        }
        let old = app.latest_code(VICTIM).await;
        // Signed in before the owner came, through the contract that admits unproven addresses.
        let login = login_ingestiq(&app.client(), VICTIM, STRANGERS).await;
        let strangers = login.assert_status(200).text_at("accessToken");

        let victim = app.sign_up_rivergen_verified(VICTIM).await;
        me_rivergen(&app.client(), &victim.access_token).await.assert_status(200);
        app.register_ingestiq("other@corp.example").await;
        app.advance(2 * SECOND);
        me_ingestiq(&app.client(), &strangers).await.assert_status(401);
        assert_no_rights(&app, &mallory).await;
        // The code of the invitation is one of nothing now.
        verify(&app, VICTIM, &old).await.assert_error(401, "ACTIVATION_CODE_DOES_NOT_MATCH");
        login_rivergen(&app.client(), VICTIM, PASSWORD).await.assert_status(200);
    }

    async fn a_managers_password_ends_when_the_owner_proves_the_mailbox_through_another_contract(app: TestApp) {
        let mallory = mallory(&app).await;
        let invitation = json!({ "email": VICTIM, "role": "backend", "password": STRANGERS, "first_name": "Lure" });
        manage(&app, Method::POST, &mallory, invitation).await.assert_status(200);
        let login = login_rivergen(&app.client(), VICTIM, STRANGERS).await;
        let token = login.assert_status(200).text_at("data.temporary_token");
        let body = json!({ "temporary_token": token, "otp_code": app.latest_code(VICTIM).await });
        let confirmed = app.post("/api/v1/auth/verify-otp").json(&body).send().await;
        let token = confirmed.assert_status(200).text_at("data.access_token");
        let me = me_rivergen(&app.client(), &token).await;
        assert!(!me.assert_status(200).text.contains("Lure"), "{}", me.text);
        assert_no_rights(&app, &mallory).await;
    }

    async fn an_invitation_is_accepted_by_its_own_code_and_says_what_that_means(app: TestApp) {
        let mallory = mallory(&app).await;
        let invitation = json!({ "email": VICTIM, "role": "backend", "password": PASSWORD });
        manage(&app, Method::POST, &mallory, invitation).await.assert_status(200);
        assert_eq!(app.templates_to(VICTIM).await, ["invitation_code"]);
        let mails = app.mails_to(VICTIM).await;
        let said = app.kernel().render(&mails[0]).unwrap().unwrap();
        let link = app.latest_link_token(VICTIM).await;
        let page = app.get(&format!("/verify-email?token={link}")).send().await;
        for text in [said.text(), said.html().unwrap(), &page.text] {
            assert!(text.contains(&format!("the organization of {MALLORY}")), "{text}");
            assert!(text.contains("set its password"), "{text}");
        }
        verify(&app, VICTIM, &app.latest_code(VICTIM).await).await.assert_status(200);
        app.log_in("individual", VICTIM, json!({})).await.assert_status(200);
        let home = organization_of(&app, VICTIM, PASSWORD).await;
        assert_eq!(home, organization_of(&app, MALLORY, PASSWORD).await);
        // Agreed to: now, and after the owner's own reset.
        let change = json!({ "email": VICTIM, "password": STRANGERS });
        manage(&app, Method::PATCH, &mallory, change.clone()).await.assert_status(200);
        let token = forgot(&app, VICTIM).await;
        reset(&app, &token, CHOSEN).await.assert_status(204);
        manage(&app, Method::PATCH, &mallory, change).await.assert_status(200);
    }

    // The first proof withdraws an invitation that is not accepted; this holds were one left behind.
    async fn a_proven_account_that_accepted_nothing_has_a_password_of_its_own(app: TestApp) {
        let mallory = mallory(&app).await;
        let invitation = json!({ "email": VICTIM, "role": "backend", "password": PASSWORD });
        manage(&app, Method::POST, &mallory, invitation).await.assert_status(200);
        verify(&app, VICTIM, &app.latest_code(VICTIM).await).await.assert_status(200);
        app.sql("update memberships set accepted_at = null where role <> 'owner'").await;
        let change = json!({ "email": VICTIM, "password": STRANGERS });
        manage(&app, Method::PATCH, &mallory, change).await.assert_error(403, "INCORRECT_ACCOUNT");
        app.log_in("individual", VICTIM, json!({})).await.assert_status(200);
    }

    async fn an_invitation_without_a_password_is_accepted_by_its_own_link(app: TestApp) {
        let mallory = mallory(&app).await;
        let invitation = json!({ "email": VICTIM, "role": "backend" });
        manage(&app, Method::POST, &mallory, invitation).await.assert_status(200);
        let token = app.latest_link_token(VICTIM).await;
        let page = app.get(&format!("/reset-password?token={token}")).send().await;
        assert!(page.text.contains(&format!("the organization of {MALLORY}")), "{}", page.text);
        reset(&app, &token, PASSWORD).await.assert_status(204);
        let home = organization_of(&app, VICTIM, PASSWORD).await;
        assert_eq!(home, organization_of(&app, MALLORY, PASSWORD).await);
    }

    // The name of an organization is its founder's: a line of their own choosing to a stranger.
    async fn the_name_of_an_organization_that_its_founder_chose_is_in_no_invitation(app: TestApp) {
        let lure = "Your account is blocked, call +1-900";
        let body = json!({ "email": MALLORY, "password": PASSWORD, "display_name": lure });
        let answer = app.post("/api/v1/auth/signup").json(&body).send().await;
        let body = json!({
            "temporary_token": answer.assert_status(201).text_at("data.temporary_token"),
            "otp_code": app.latest_code(MALLORY).await,
        });
        app.post("/api/v1/auth/verify-otp").json(&body).send().await.assert_status(200);
        let login = app.log_in("individual", MALLORY, json!({})).await;
        let token = login.assert_status(200).text_at("token");
        let request = app.post("/v1/accounts/individual/").bearer(&token);
        request.json(&json!({ "email": VICTIM, "role": "backend" })).send().await.assert_status(200);
        for mail in app.mails_to(VICTIM).await {
            let said = app.kernel().render(&mail).unwrap().unwrap();
            assert!(!said.text().contains("blocked") && !said.html().unwrap().contains("blocked"), "{}", said.text());
        }
        let page = app.get(&format!("/reset-password?token={}", app.latest_link_token(VICTIM).await)).send().await;
        assert!(!page.text.contains("blocked"), "{}", page.text);
    }

    async fn accounts_of_a_domain_that_an_operator_lists_are_managed_without_being_asked(app: TestApp) {
        let call = Call::from_cli(app.kernel().settings().contracts.of_installation());
        let claim = Provision {
            name: "Corp".to_owned(),
            owner_email: EmailAddress::parse("root@corp.example").unwrap(),
            owner_password: Password::new(PASSWORD),
            managed_domains: vec!["corp.example".to_owned()],
        };
        app.identity().provision(&call, claim.clone()).await.unwrap();
        let again = Provision { owner_email: EmailAddress::parse("root2@corp.example").unwrap(), ..claim };
        assert!(app.identity().provision(&call, again).await.is_err(), "another organization manages the domain");
        let token = app.log_in("individual", "root@corp.example", json!({})).await.text_at("token");
        let root = Person {
            email: "root@corp.example".to_owned(),
            password: PASSWORD.to_owned(),
            access_token: token,
            refresh_token: String::new(),
            user_id: String::new(),
        };
        let other = "ada@other.example";
        for email in [VICTIM, other] {
            let body = json!({ "email": email, "role": "backend" });
            manage(&app, Method::POST, &root, body).await.assert_status(200);
        }
        let body = json!({ "email": VICTIM, "password": PASSWORD });
        app.post("/api/v1/auth/signup").ip("10.9.8.7").json(&body).send().await.assert_error(409, "EMAIL_TAKEN");
        for (email, status) in [(VICTIM, 200), (other, 404)] {
            let token = forgot(&app, email).await;
            reset(&app, &token, CHOSEN).await.assert_status(204);
            let change = json!({ "email": email, "password": STRANGERS });
            manage(&app, Method::PATCH, &root, change).await.assert_status(status);
        }
    }
}
