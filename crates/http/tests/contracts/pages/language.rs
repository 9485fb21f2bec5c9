//! The language of pages, mails and text messages.

use serde_json::json;
use tidegate_kernel::deliver::RenderedMessage;
use tidegate_testkit::{Engine, PASSWORD, TestApp, on_both_engines};

use super::heading;

const SWAHILI: &str = "sw-KE,sw;q=0.9,en;q=0.8";

/// The subject of the newest mail to an address.
async fn subject(app: &TestApp, email: &str) -> String {
    let mails = app.mails_to(email).await;
    app.kernel().render(&mails[0]).unwrap().unwrap().subject().unwrap().to_owned()
}

async fn sign_up(app: &TestApp, email: &str, language: Option<&str>) {
    let body = json!({ "email": email, "password": PASSWORD });
    let request = app.post("/api/v1/auth/signup").json(&body);
    let request = match language {
        Some(language) => request.header("accept-language", language),
        None => request,
    };
    request.send().await.assert_status(201);
}

on_both_engines! {
    async fn a_page_is_in_the_language_that_the_browser_asks_for(app: TestApp) {
        let page = app.get("/reset-password?token=x").header("accept-language", SWAHILI).send().await;
        assert_eq!(heading(&page), "Kiungo si halali");
        assert!(page.text.contains("<html lang=\"sw\">"), "{}", page.text);
        let page = app.get("/reset-password?token=x").header("accept-language", "de,fr;q=0.5").send().await;
        assert_eq!(heading(&page), "Link not valid");
        let start = app.get("/").header("accept", "text/html").header("accept-language", SWAHILI).send().await;
        assert!(start.text.contains("Hii ni huduma ya kuingia ya Tidegate."), "{}", start.text);
    }

    async fn mails_are_in_the_language_of_the_account_and_not_of_the_request(app: TestApp) {
        sign_up(&app, "ada@example.com", Some(SWAHILI)).await;
        assert_eq!(subject(&app, "ada@example.com").await, "Thibitisha barua pepe yako kwa Tidegate");
        let token = app.latest_link_token("ada@example.com").await;
        app.post("/verify-email").form(&format!("token={token}")).send().await.assert_status(200);
        // A browser in another language causes a mail.
        let body = json!({ "email": "ada@example.com" });
        let request = app.post("/api/v1/auth/forgot-password").json(&body).header("accept-language", "en");
        request.send().await.assert_status(200);
        assert_eq!(subject(&app, "ada@example.com").await, "Weka upya nenosiri lako la Tidegate");
        // The page of an account whose owner's browser asks for nothing that is known.
        let token = app.latest_link_token("ada@example.com").await;
        let page = app.get(&format!("/reset-password?token={token}")).send().await;
        assert_eq!(heading(&page), "Weka nenosiri jipya");
        let page = app.get(&format!("/reset-password?token={token}")).header("accept-language", "en").send().await;
        assert_eq!(heading(&page), "Set a new password");
    }

    async fn a_mail_to_an_account_without_a_language_is_in_that_of_the_request(app: TestApp) {
        sign_up(&app, "bob@example.com", None).await;
        assert_eq!(subject(&app, "bob@example.com").await, "Confirm your e-mail address for Tidegate");
        let body = json!({ "email": "bob@example.com" });
        let request = app.post("/api/v1/auth/forgot-password").json(&body).header("accept-language", SWAHILI);
        request.send().await.assert_status(200);
        assert_eq!(subject(&app, "bob@example.com").await, "Weka upya nenosiri lako la Tidegate");
    }

    async fn a_text_message_is_in_the_language_that_the_app_asks_for(engine: Engine) {
        let app = TestApp::start(engine).await;
        let body = json!({ "phone": "+254712345678" });
        let request = app.post("/api/v1/auth/enter-phone").json(&body).header("accept-language", SWAHILI);
        request.send().await.assert_status(200);
        let messages = app.kernel().list_outbox(None, 1).await.unwrap();
        let Some(RenderedMessage::Sms(text)) = app.kernel().render(&messages[0]).unwrap() else { panic!("a text message") };
        assert!(text.expose().contains("ni msimbo wako wa Tidegate"), "{}", text.expose());
    }
}
