//! The broker says no, or is not there.

use tidegate_testkit::stub_broker::{Endpoint, Fault};
use tidegate_testkit::{Engine, TestApp, on_both_engines};

use crate::{EMAIL, PHONE, Story, application};

on_both_engines! {
    async fn a_refusal_is_told_at_its_field_and_nothing_is_left_of_the_attempt(story: Story) {
        let body = r#"{"code": 42210000, "message": "identity.date_of_birth must be in the past"}"#;
        for status in [400, 422] {
            story.broker.fail_next(Endpoint::Open, Fault::answer(status, "application/json", body));
            let answer = story.apply().await;
            answer.assert_status(422);
            assert!(answer.body["errors"]["identity.date_of_birth"][0].is_string(), "{}", answer.text);
        }
        story.assert_no_account().await;
        story.apply().await.assert_status(200);
        story.assert_one_account().await;
    }

    async fn a_refusal_that_quotes_the_tax_number_does_not_show_it(story: Story) {
        let body = r#"{"code": 42210000, "message": "tax id A-0123-98765 is not valid (A012398765)"}"#;
        story.broker.fail_next(Endpoint::Open, Fault::answer(422, "application/json", body));
        let answer = story.apply().await;
        answer.assert_status(422);
        assert!(!answer.text.contains("98765"), "{}", answer.text);
    }

    async fn an_address_in_use_is_a_conflict_and_another_one_will_do(story: Story) {
        let other = story.app.register_phone("+254712345679").await;
        story.app.open_account(&other, EMAIL).await;
        let answer = story.apply().await;
        answer.assert_status(409);
        assert!(answer.body["errors"]["contact.email_address"][0].is_string(), "{}", answer.text);
        let another = application(PHONE, "another@example.com");
        story.app.create_account(&story.person, &another).await.assert_status(200);
        assert_eq!(story.broker.accounts().len(), 2);
    }

    async fn wrong_credentials_are_the_operators_trouble(story: Story) {
        for status in [401, 403] {
            story.broker.fail_next(Endpoint::Open, Fault::status(status));
            let answer = story.apply().await;
            answer.assert_status(502);
            assert_eq!(answer.field("status"), false);
        }
        story.apply().await.assert_status(200);
        story.assert_one_account().await;
    }

    async fn too_many_requests_are_tried_again_and_then_told_with_the_time_to_wait(story: Story) {
        story.broker.fail_next(Endpoint::Open, Fault::status(429).with_header("retry-after", 2));
        story.apply().await.assert_status(200);
        assert_eq!(story.asked(Endpoint::Open), 2);
        story.assert_one_account().await;
        let app = TestApp::builder(story.app.database.engine()).broker(story.broker.config()).start().await;
        let person = app.register_phone("+254712345670").await;
        story.broker.fail_next(Endpoint::Open, Fault::status(429).with_header("retry-after", 120));
        let answer = app.create_account(&person, &application("+254712345670", "late@example.com")).await;
        answer.assert_status(503);
        assert_eq!(answer.header("retry-after"), "120");
    }

    async fn documents_and_profile_fail_as_the_broker_does(story: Story) {
        story.apply().await.assert_status(200);
        for (status, expected) in [(500, 502), (401, 502), (404, 502)] {
            story.broker.fail_next(Endpoint::Account, Fault::status(status));
            story.profile().await.assert_status(expected);
        }
        story.broker.fail_next(Endpoint::Account, Fault::answer(200, "text/html", "<html>"));
        story.profile().await.assert_status(502);
        // An account that may not trade yet has no balance everywhere.
        story.broker.fail_next(Endpoint::Trading, Fault::status(404));
        let profile = story.profile().await;
        profile.assert_status(200);
        assert!(profile.field("data.buying_power").is_null());
        let file = "--b\r\ncontent-disposition: form-data; name=\"document_type\"\r\n\r\nidentity_verification\r\n\
                    --b\r\ncontent-disposition: form-data; name=\"document\"; filename=\"a.pdf\"\r\n\r\n%PDF-1.7\r\n--b--\r\n";
        for (status, expected) in [(422, 422), (400, 422), (404, 502), (500, 502)] {
            story.broker.fail_next(Endpoint::Upload, Fault::status(status));
            let request = story.app.post("/api/v1/account/kyc").bearer(&story.person.token);
            request.body("multipart/form-data; boundary=b", file).send().await.assert_status(expected);
        }
        assert_eq!(story.person().await["account_status"], "new");
        // Taken, and then nobody says what became of it: it is pending until somebody does.
        story.broker.fail_next(Endpoint::Account, Fault::status(500));
        let request = story.app.post("/api/v1/account/kyc").bearer(&story.person.token);
        let answer = request.body("multipart/form-data; boundary=b", file).send().await;
        answer.assert_status(200);
        assert_eq!(answer.field("data.account_status"), "pending");
    }

    async fn a_broker_that_is_not_there_is_told_and_opens_nothing(engine: Engine) {
        let config = tidegate_testkit::stub_broker::StubBroker::start().await.unwrap().config();
        let app = TestApp::builder(engine).broker(config).start().await;
        let person = app.register_phone(PHONE).await;
        let answer = app.create_account(&person, &application(PHONE, EMAIL)).await;
        answer.assert_status(503);
        assert!(!answer.header("retry-after").is_empty());
        assert_eq!(app.sql_count("select count(*) from brokerage_accounts where opening_id is not null").await, 0);
    }
}
