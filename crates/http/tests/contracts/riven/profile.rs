//! GET /api/v1/account/profile.

use serde_json::json;
use tidegate_testkit::{TestApp, application, on_both_engines};

use super::wire::{ADA, BOB, Form, PDF, SECOND, assert_says, get_as, post_as, submit};
use crate::ingestiq::keys;

const PROFILE: &str = "account/profile";

on_both_engines! {
    async fn somebody_sees_their_account_as_the_broker_tells_of_it(app: TestApp) {
        let ada = app.register_phone(ADA).await;
        let user = app.open_account(&ada, "ada@example.com").await;
        let answer = get_as(&app, &ada, PROFILE).await;
        answer.assert_status(200);
        assert_eq!(keys(&answer.body), ["data", "sandbox", "status"]);
        assert_eq!((answer.field("status"), answer.field("sandbox")), (&json!(true), &json!(true)));
        assert_eq!(answer.field("data.id"), &user["alpaca_account_id"]);
        assert_eq!(answer.text_at("data.status"), "SUBMITTED");
        assert_eq!(answer.text_at("data.crypto_status"), "INACTIVE");
        assert_eq!(answer.text_at("data.currency"), "USD");
        assert_eq!(answer.text_at("data.account_number").len(), 9);
        assert_eq!(answer.text_at("data.created_at"), "2026-01-05T09:00:00.000000Z");
        for money in ["last_equity", "cash", "buying_power", "equity"] {
            assert_eq!(answer.text_at(&format!("data.{money}")), "0", "{money}: numbers are texts");
        }
        let data = keys(answer.field("data"));
        for key in ["account_number", "contact", "crypto_status", "currency", "identity", "kyc_results", "last_equity"] {
            assert!(data.contains(&key), "{key}: {}", answer.text);
        }
        let results = json!({ "reject": [], "accept": [], "indeterminate": [], "summary": null });
        assert_eq!(answer.field("data.kyc_results"), &results);
        let contact = answer.field("data.contact");
        // What nothing is known of stays present.
        for key in ["local_street_address", "unit", "state"] {
            assert_eq!(contact.get(key), Some(&json!(null)), "{key}");
        }
        for key in ["middle_name", "visa_type", "visa_expiration_date", "date_of_departure_from_usa", "permanent_resident"] {
            assert_eq!(answer.field("data.identity").get(key), Some(&json!(null)), "{key}");
        }
        assert_eq!(contact["email_address"], "ada@example.com");
        assert_eq!((&contact["phone_number"], &contact["city"]), (&json!(ADA), &json!("Nairobi")));
        assert_eq!(contact["street_address"], json!(["20 Moi Avenue"]));
        let identity = answer.field("data.identity");
        assert_eq!((&identity["given_name"], &identity["family_name"]), (&json!("User"), &json!("One")));
        assert_eq!(identity["date_of_birth"], "1980-01-01");
        assert_eq!(identity["tax_id_type"], "NATIONAL_ID");
        assert_eq!(identity["funding_source"], json!(["employment_income"]));
        assert_eq!(identity["country_of_tax_residence"], "KEN");
    }

    async fn nobody_is_shown_a_tax_number(app: TestApp) {
        let ada = app.register_phone(ADA).await;
        let mut body = application(ADA, "ada@example.com");
        body["minor_identity"] = json!({ "tax_id": "A-0123-98765", "given_name": "Junior" });
        body["identity"]["extra"] = json!({ "tax_id": "A-0123-98765" });
        body["Tax_ID"] = json!("A-0123-98765");
        post_as(&app, &ada, "account/create", &body).await.assert_status(200);
        let answer = get_as(&app, &ada, PROFILE).await;
        answer.assert_status(200);
        assert!(!answer.text.contains("98765"), "{}", answer.text);
        assert!(!answer.text.to_lowercase().contains("\"tax_id\""), "{}", answer.text);
    }

    async fn who_has_no_account_has_no_profile(app: TestApp) {
        let ada = app.register_phone(ADA).await;
        let text = "There is no brokerage account yet; open one with account/create.";
        assert_says(&get_as(&app, &ada, PROFILE).await, 404, text);
        // Somebody else's is nobody's here.
        let bob = app.register_phone(BOB).await;
        app.open_account(&bob, "bob@example.com").await;
        assert_says(&get_as(&app, &ada, PROFILE).await, 404, text);
    }

    async fn reading_it_is_how_one_hears_of_a_decision_first(app: TestApp) {
        let ada = app.register_phone(ADA).await;
        app.open_account(&ada, "ada@example.com").await;
        let stands = async || app.database.sql_texts("select status from brokerage_accounts").await.remove(0);
        let shown = async || get_as(&app, &ada, PROFILE).await.text_at("data.status");
        assert_eq!((shown().await.as_str(), stands().await.as_str()), ("SUBMITTED", "new"));
        app.advance(2 * SECOND);
        assert_eq!((shown().await.as_str(), stands().await.as_str()), ("ACTION_REQUIRED", "pending"));
        submit(&app, &ada, Form::document("identity_verification", PDF)).await.assert_status(200);
        assert_eq!((shown().await.as_str(), stands().await.as_str()), ("APPROVAL_PENDING", "pending"));
        app.advance(2 * SECOND);
        assert_eq!((shown().await.as_str(), stands().await.as_str()), ("APPROVED", "pending"));
        app.advance(2 * SECOND);
        let answer = get_as(&app, &ada, PROFILE).await;
        assert_eq!(answer.text_at("data.status"), "ACTIVE");
        let results = json!({
            "reject": [], "accept": ["IDENTITY_VERIFICATION"], "indeterminate": [], "summary": "pass",
        });
        assert_eq!(answer.field("data.kyc_results"), &results);
        assert_eq!(stands().await, "active");
    }
}
