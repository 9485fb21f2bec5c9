//! Passkeys, on several nodes at once.

use serde_json::json;
use tidegate_testkit::on_both_engines;

use super::{MANY, Nodes, all_at_once, assert_tally};

const ADA: &str = "ada@example.com";
const COMPLETE: &str = "/api/v1/webauthn/authenticate/complete";

on_both_engines! {
    async fn of_one_answer_sent_many_times_one_signs_in(nodes: Nodes) {
        let ada = nodes.app.sign_up_rivergen_verified(ADA).await;
        let mut phone = nodes.app.enrol_passkey(&ada, "Phone").await;
        let credential = phone.sign_in(&nodes.app.start_passkey_sign_in(Some(ADA)).await);
        let body = json!({ "email": ADA, "credential": credential });
        let answers = all_at_once((0..MANY).map(|number| nodes.request(number, COMPLETE, &body))).await;
        assert_tally(&answers, &[(200, "", 1), (404, "CHALLENGE_NOT_FOUND", MANY - 1)]);
        assert_eq!(nodes.count("select use_count from passkeys").await, 1);
    }

    // Two copies of a key count on their own: of the same count one is accepted.
    async fn of_many_answers_with_one_count_one_signs_in(nodes: Nodes) {
        let ada = nodes.app.sign_up_rivergen_verified(ADA).await;
        let mut phone = nodes.app.enrol_passkey(&ada, "Phone").await;
        let mut requests = Vec::new();
        for number in 0..MANY {
            let options = nodes.app.start_passkey_sign_in(Some(ADA)).await;
            phone.sign_count = 100;
            let body = json!({ "email": ADA, "credential": phone.sign_in(&options) });
            requests.push(nodes.request(number, COMPLETE, &body));
        }
        let answers = all_at_once(requests).await;
        assert_tally(&answers, &[(200, "", 1), (401, "INVALID_ASSERTION", MANY - 1)]);
        assert_eq!(nodes.count("select sign_count from passkeys").await, 100);
    }

    async fn one_credential_is_registered_for_one_of_many_accounts(nodes: Nodes) {
        let mut phone = nodes.app.authenticator("phone");
        let mut requests = Vec::new();
        for (number, name) in ["ada", "bob", "eve"].into_iter().enumerate() {
            let who = nodes.app.sign_up_rivergen_verified(&format!("{name}@example.com")).await;
            let options = nodes.app.start_passkey(&who, "Phone").await;
            let body = json!({ "device_name": "Phone", "credential": phone.register(&options) });
            let request = nodes.request(number, "/api/v1/webauthn/register/complete", &body);
            requests.push(request.bearer(&who.access_token));
        }
        let answers = all_at_once(requests).await;
        assert_tally(&answers, &[(200, "", 1), (400, "REGISTRATION_COMPLETION_FAILED", 2)]);
        assert_eq!(nodes.count("select count(*) from passkeys").await, 1);
    }
}
