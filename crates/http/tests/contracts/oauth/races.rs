//! Many at once.

use std::sync::Mutex;

use tidegate_testkit::{Answer, Request, TestApp, concurrently, on_both_engines};

use super::wire::{ADA, code, described, exchange_request, register, sign_in, token_request};

const MANY: usize = 50;

async fn all_at_once(requests: Vec<Request>) -> Vec<Answer> {
    let requests: Vec<_> = requests.into_iter().map(|request| Mutex::new(Some(request))).collect();
    concurrently(requests.len(), |number| requests[number].lock().unwrap().take().unwrap().send()).await
}

on_both_engines! {
    async fn of_one_code_presented_many_times_one_opens_a_session(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let once = code(&app, &ada, &client).await;
        let answers = all_at_once((0..MANY).map(|_| exchange_request(&app, &client, &once)).collect()).await;
        let won = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(won, 1, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
        assert!(answers.iter().all(|answer| answer.status == 200 || answer.text_at("error") == "invalid_grant"));
        assert_eq!(app.sql_count("select count(*) from sessions").await, 2);
        // Two parties hold it: what it opened has ended.
        let ended = "select count(*) from sessions where revoked_reason = 'code_replayed'";
        assert_eq!(app.sql_count(ended).await, 1);
    }

    async fn one_refresh_token_presented_many_times_has_one_child(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let token = sign_in(&app, &ada, &client).await.text_at("refresh_token");
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
        let requests = (0..MANY).map(|_| token_request(&app, &client, &fields)).collect();
        let answers = all_at_once(requests).await;
        let mut children: Vec<String> = answers.iter().map(|answer| answer.assert_status(200).text_at("refresh_token")).collect();
        children.sort();
        children.dedup();
        assert_eq!(children.len(), 1);
        assert_eq!(app.sql_count("select count(*) from refresh_tokens where parent_id is not null").await, 1);
    }

    async fn of_applications_of_one_name_that_are_registered_at_once_there_is_one(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let path = crate::oauth::wire::applications(crate::oauth::wire::organization(&app, &ada).await);
        let requests = (0..10).map(|_| app.post(&path).bearer(&ada.access_token).json(&described())).collect();
        let answers = all_at_once(requests).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
        assert!(answers.iter().all(|answer| answer.status == 201 || answer.code() == "application_exists"));
    }

    async fn nothing_lives_of_an_application_that_is_revoked_while_codes_are_exchanged(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let mut requests = Vec::new();
        for _ in 0..10 {
            requests.push(exchange_request(&app, &client, &code(&app, &ada, &client).await));
        }
        let path = crate::oauth::wire::applications(crate::oauth::wire::organization(&app, &ada).await);
        let revoke = app.post(&format!("{path}/{}/revoke", client.number)).bearer(&ada.access_token);
        requests.insert(5, revoke);
        let answers = all_at_once(requests).await;
        answers[5].assert_status(200);
        for answer in answers.iter().filter(|answer| answer.status == 200 && answer.body.get("access_token").is_some()) {
            assert_eq!(crate::oauth::wire::me(&app, &answer.text_at("access_token")).await, 401);
        }
    }
}
