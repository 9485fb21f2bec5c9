//! `/dev/outbox`: mails and text messages to be read by whoever develops, and by nobody else.

use serde_json::json;
use tidegate_kernel::settings::DeliveryMode;
use tidegate_testkit::{Engine, PASSWORD, Request, TestApp, on_both_engines};

use super::assert_harmless;

/// A request of the developer's own browser.
fn ask(app: &TestApp) -> Request {
    app.get("/dev/outbox").ip("127.0.0.1").header("host", "127.0.0.1:8080")
}

on_both_engines! {
    async fn a_developer_reads_what_was_mailed(app: TestApp) {
        app.sign_up_rivergen("ada@example.com").await;
        app.post("/api/v1/auth/forgot-password").json(&json!({ "email": "eve@example.com" })).send().await;
        let page = ask(&app).send().await;
        page.assert_status(200);
        assert!(page.text.contains(&app.latest_code("ada@example.com").await));
        assert!(page.text.contains(&app.latest_link_token("ada@example.com").await));
        assert!(page.text.contains("to ada@example.com"));
        assert!(page.text.contains(" UTC</p>"), "times are in words: {}", page.text);
        assert!(!page.text.contains("eve@example.com"), "mails that are never sent are not shown");
    }

    async fn what_is_written_in_mails_is_text_on_the_page(engine: Engine) {
        let hostile = "<img src=x onerror=alert(1)>";
        let app = TestApp::builder(engine).settings(|settings| settings.product = hostile.to_owned()).start().await;
        let body = json!({ "email": "ada@example.com", "password": PASSWORD, "display_name": hostile });
        app.post("/api/v1/auth/signup").json(&body).send().await.assert_status(201);
        let page = ask(&app).send().await;
        page.assert_status(200);
        assert!(page.text.contains("&#60;img src=x onerror=alert(1)&#62;") && !page.text.contains("<img src=x"), "{}", page.text);
        let frame = page.text.split_once("src=\"/dev/outbox/mail?number=").unwrap().1.split_once('"').unwrap().0;
        let mail = app.get(&format!("/dev/outbox/mail?number={frame}")).ip("127.0.0.1").header("host", "127.0.0.1:8080").send().await;
        mail.assert_status(200);
        assert!(mail.text.contains("&lt;img src=x") && !mail.text.contains("<img"), "{}", mail.text);
    }

    async fn strangers_and_proxies_are_told_that_there_is_nothing(app: TestApp) {
        app.sign_up_rivergen("ada@example.com").await;
        let nowhere = app.get("/dev/nowhere").send().await;
        for request in [
            app.get("/dev/outbox"),
            app.get("/dev/outbox").ip("10.0.0.1"),
            app.get("/dev/outbox").ip("::2"),
            ask(&app).header("x-forwarded-for", "127.0.0.1"),
            ask(&app).header("forwarded", "for=127.0.0.1"),
            ask(&app).header("x-forwarded-for", ""),
            ask(&app).header("x-forwarded-host", "id.example.com"),
            ask(&app).header("x-forwarded-proto", "https"),
            ask(&app).header("x-real-ip", "127.0.0.1"),
            ask(&app).header("via", "1.1 proxy"),
            ask(&app).header("cf-connecting-ip", "127.0.0.1"),
            ask(&app).header("true-client-ip", "127.0.0.1"),
            // A name that somebody made to point here.
            app.get("/dev/outbox").ip("127.0.0.1").header("host", "evil.example:8080"),
            // The same in the address: all that HTTP/2 has.
            app.get("http://evil.example/dev/outbox").ip("127.0.0.1"),
            app.post("/dev/outbox"),
        ] {
            let answer = request.send().await;
            answer.assert_status(404);
            assert_eq!(answer.text.replace("/dev/outbox", "/dev/nowhere"), nowhere.text);
        }
        for (ip, host) in [("127.0.0.1", "localhost:8080"), ("127.9.9.9", "127.0.0.1"), ("::1", "[::1]:8080")] {
            app.get("/dev/outbox").ip(ip).header("host", host).send().await.assert_status(200);
        }
    }

    async fn a_mail_is_shown_in_a_frame_that_runs_and_loads_nothing(app: TestApp) {
        app.sign_up_rivergen("ada@example.com").await;
        app.post("/api/v1/auth/forgot-password").json(&json!({ "email": "eve@example.com" })).send().await;
        let page = ask(&app).send().await;
        assert_eq!(page.text.matches("<iframe sandbox src=\"/dev/outbox/mail?number=").count(), 1, "{}", page.text);
        let get = |number: &str| app.get(&format!("/dev/outbox/mail?number={number}")).ip("127.0.0.1").header("host", "localhost");
        let mail = get("1").send().await;
        mail.assert_status(200);
        assert!(mail.text.contains(&app.latest_code("ada@example.com").await));
        let policy = mail.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self';"), "{policy}");
        assert!(policy.ends_with("; sandbox"), "{policy}");
        assert_eq!(mail.header("x-frame-options"), "SAMEORIGIN");
        // One that is never sent, none, and strangers.
        let nowhere = app.get("/dev/nowhere").send().await;
        for request in [get("2"), get("99"), app.get("/dev/outbox/mail?number=1"), get("1").header("x-forwarded-for", "127.0.0.1")] {
            assert_eq!(request.send().await.assert_status(404).text, nowhere.text);
        }
        assert_eq!(get("x").send().await.assert_status(404).text, nowhere.text);
    }

    async fn the_parts_of_the_pages_are_shown_to_developers_alone(app: TestApp) {
        let design = |request: Request| async move { request.header("host", "localhost").send().await };
        let page = design(app.get("/dev/design").ip("127.0.0.1")).await;
        page.assert_status(200);
        assert_harmless(&page);
        for part in ["class=\"alert error\"", "class=\"button primary\"", "class=\"rules\"", "class=\"check\"", "class=\"field\""] {
            assert!(page.text.contains(part), "{part}");
        }
        design(app.get("/dev/design")).await.assert_status(404);
    }

    async fn another_spelling_of_the_path_is_not_the_page(app: TestApp) {
        // A proxy's rule for the one does not match the others. One slash at the end leads an operator to the page, and shows nothing.
        for path in ["//dev/outbox", "//dev/outbox/", "/dev//outbox", "/dev/outbox//"] {
            let answer = app.get(path).ip("127.0.0.1").send().await;
            assert_eq!(answer.assert_status(404).field("error"), "not_found", "{path}");
        }
    }

    async fn a_trusted_proxy_is_no_operator(engine: Engine) {
        let proxies = || vec!["127.0.0.1/32".parse().unwrap()];
        let app = TestApp::builder(engine).http(|http| http.trusted_proxies = proxies()).start().await;
        ask(&app).send().await.assert_status(404);
        ask(&app).ip("127.0.0.2").send().await.assert_status(200);
    }

    async fn an_operator_says_by_which_names_else_it_is_asked_for(engine: Engine) {
        let hosts = || vec!["tidegate.internal".to_owned()];
        let app = TestApp::builder(engine).http(|http| http.ops.hosts = hosts()).start().await;
        let ask = async |host: &str| app.get("/dev/outbox").ip("127.0.0.1").header("host", host).send().await.status;
        assert_eq!((ask("tidegate.internal:8080").await, ask("Tidegate.Internal").await), (200, 200));
        assert_eq!((ask("evil.tidegate.internal").await, ask("tidegate.internal.evil.example").await), (404, 404));
    }

    async fn on_another_listener_than_loopback_there_is_no_such_page(engine: Engine) {
        let app = TestApp::builder(engine).http(|http| http.serves_outbox = false).start().await;
        ask(&app).send().await.assert_status(404);
    }

    async fn an_operator_says_who_else_may_look(engine: Engine) {
        let allow = || vec!["192.0.2.0/24".parse().unwrap()];
        let app = TestApp::builder(engine).http(|http| http.ops.allow = allow()).start().await;
        let ask = async |ip: &str| app.get("/dev/outbox").ip(ip).send().await.status;
        assert_eq!((ask("192.0.2.7").await, ask("::ffff:192.0.2.7").await), (200, 200));
        assert_eq!((ask("127.0.0.1").await, ask("192.0.3.1").await), (404, 404));
    }

    async fn a_developer_reads_what_was_texted(app: TestApp) {
        app.enter_phone("+254712345678").await.assert_status(200);
        app.send_login_code("+254733000111").await.assert_status(200);
        let page = ask(&app).send().await;
        page.assert_status(200);
        assert!(page.text.contains(&app.latest_text_code("+254712345678").await));
        assert!(page.text.contains("to +254712345678"), "{}", page.text);
        assert!(!page.text.contains("+254733000111"), "texts that are never sent are not shown");
    }

    async fn where_everything_is_sent_there_is_no_such_page(engine: Engine) {
        for mode in [DeliveryMode::Off, DeliveryMode::Send] {
            let builder = TestApp::builder(engine).settings(|settings| (settings.mail, settings.sms) = (mode, mode));
            ask(&builder.start().await).send().await.assert_status(404);
        }
    }

    async fn where_only_mails_or_only_texts_are_kept_there_is_one(engine: Engine) {
        for modes in [(DeliveryMode::Keep, DeliveryMode::Off), (DeliveryMode::Off, DeliveryMode::Keep)] {
            let builder = TestApp::builder(engine).settings(|settings| (settings.mail, settings.sms) = modes);
            ask(&builder.start().await).send().await.assert_status(200);
        }
    }

    async fn the_page_is_as_harmless_as_the_others(app: TestApp) {
        assert_harmless(&ask(&app).send().await);
        app.sign_up_rivergen("ada@example.com").await;
        let mut page = ask(&app).send().await;
        page.text = page.text.replace("<iframe sandbox src=\"/dev/outbox/mail?number=", "");
        // The link in the mail, as text beside the frame.
        page.text = page.text.replace("http://", "");
        assert_harmless(&page);
    }
}
