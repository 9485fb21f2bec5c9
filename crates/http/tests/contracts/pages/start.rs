//! `/`, addresses where there is nothing, and what browsers and robots ask for by themselves.

use axum::http::Method;
use tidegate_kernel::settings::DeliveryMode;
use tidegate_testkit::{Engine, PUBLIC_URL, Request, TestApp, on_both_engines};

use super::{assert_harmless, heading};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";

fn browse(app: &TestApp, path: &str) -> Request {
    app.get(path).header("accept", BROWSER)
}

on_both_engines! {
    async fn the_start_page_says_what_this_is_and_where_everything_is(app: TestApp) {
        let mut page = browse(&app, "/").send().await;
        page.assert_status(200);
        assert_eq!(heading(&page), "Accounts and sign-in");
        for text in [env!("CARGO_PKG_VERSION"), "RiverGen", "IngestIQ", "Crossing Minds", "Riven", "https://id.example.com/api/v2"] {
            assert!(page.text.contains(text), "{text}: {}", page.text);
        }
        for path in ["/docs", "/openapi.json", "/.well-known/jwks.json", "/healthz"] {
            assert!(page.text.contains(&format!("href=\"{path}\"")), "{path}");
            app.get(path).send().await.assert_status(200);
        }
        assert!(!page.text.contains("/dev/"), "those are for developers: {}", page.text);
        assert_eq!(page.header("vary"), "accept, accept-language");
        page.text = page.text.replace(PUBLIC_URL, "");
        assert_harmless(&page);
        app.client().request(Method::HEAD, "/").header("accept", BROWSER).send().await.assert_status(200);
    }

    async fn a_developer_finds_the_outbox_from_the_start_page(app: TestApp) {
        let mine = |app: &TestApp| browse(app, "/").ip("127.0.0.1").header("host", "localhost:8080");
        let page = mine(&app).send().await;
        for path in ["/account", "/dev/outbox", "/dev/design", "/dev/passkeys"] {
            assert!(page.text.contains(&format!("href=\"{path}\"")), "{path}: {}", page.text);
        }
    }

    async fn a_program_gets_the_same_as_json(app: TestApp) {
        for request in [app.get("/"), app.get("/").header("accept", "*/*"), app.get("/").header("accept", "application/json")] {
            let answer = request.send().await;
            answer.assert_status(200);
            assert_eq!(answer.header("content-type"), "application/json");
            assert_eq!(answer.text_at("name"), "Tidegate");
            assert_eq!(answer.text_at("jwks"), format!("{PUBLIC_URL}/.well-known/jwks.json"));
            assert_eq!(answer.body["apis"].as_array().unwrap().len(), tidegate_http::contracts().len());
        }
    }

    async fn a_browser_is_shown_a_page_where_there_is_nothing_and_a_program_gets_json(app: TestApp) {
        for path in ["/nothing", "/a/b.html", "/dev/nowhere", "/openapi/klingon.json", "/%00", "/%3Cscript%3E"] {
            let page = browse(&app, path).send().await;
            page.assert_status(404);
            assert_eq!(heading(&page), "Page not found");
            assert!(page.text.contains("href=\"/\""), "{}", page.text);
            assert_harmless(&page);
            let answer = app.get(path).send().await;
            assert_eq!(answer.assert_status(404).field("error"), "not_found", "{path}");
            for answer in [&page, &answer] {
                assert_eq!(answer.header("vary"), "accept, accept-language");
            }
        }
        // What is hidden looks like what does not exist, in a browser, too.
        let nothing = browse(&app, "/nothing").send().await;
        for hidden in ["/metrics", "/dev/outbox", "/dev/outbox/mail?number=1", "/dev/design"] {
            let page = browse(&app, hidden).send().await;
            assert_eq!((page.status, &page.text), (404, &nothing.text), "{hidden}");
        }
        // Only what is read is shown: a form sent to nowhere is a program's business.
        let posted = app.post("/nothing").header("accept", BROWSER).form("a=b").send().await;
        assert_eq!(posted.assert_status(404).field("error"), "not_found");
    }

    async fn a_page_that_is_used_wrongly_says_so_to_browsers_and_programs(app: TestApp) {
        let pages = ["/", "/verify-email", "/reset-password", "/restore-email", "/secure-account", "/cancel-factor-reset",
            "/confirm-factor-reset", "/sign-in", "/sign-in/factor", "/sign-in/code", "/forgot-password", "/account", "/sign-out",
            "/signed-out", "/docs", "/healthz", "/openapi.json", "/robots.txt", "/.well-known/jwks.json"];
        for path in pages {
            for method in [Method::PUT, Method::DELETE, Method::PATCH] {
                let shown = app.client().request(method.clone(), path).header("accept", BROWSER).send().await;
                shown.assert_status(405);
                assert_eq!(heading(&shown), "Not possible here", "{method} {path}");
                assert_harmless(&shown);
                let told = app.client().request(method, path).send().await;
                assert_eq!(told.assert_status(405).field("error"), "method_not_allowed", "{path}");
                for answer in [&shown, &told] {
                    assert!(answer.header("allow").contains("GET"), "{path}: {:?}", answer.headers);
                    assert_eq!(answer.header("vary"), "accept, accept-language");
                }
            }
        }
        // A stranger learns nothing of the developers' pages by another method.
        for page in ["/dev/outbox", "/dev/passkeys"] {
            app.client().request(Method::PUT, page).send().await.assert_status(404);
            let mine = app.client().request(Method::PUT, page).ip("127.0.0.1").header("host", "localhost:8080");
            mine.send().await.assert_status(405);
        }
    }

    async fn a_slash_at_the_end_leads_to_the_page(app: TestApp) {
        let mine = |path: &str| browse(&app, path).ip("127.0.0.1").header("host", "localhost:8080");
        for (path, page) in [
            ("/dev/outbox/", "/dev/outbox"),
            ("/dev/outbox/mail/?number=1", "/dev/outbox/mail?number=1"),
            ("/dev/design/", "/dev/design"),
            ("/dev/passkeys/", "/dev/passkeys"),
        ] {
            let sent_on = mine(path).send().await;
            assert_eq!(sent_on.assert_status(308).header("location"), page);
            // To strangers, and under other spellings, there is nothing.
            browse(&app, path).send().await.assert_status(404);
            mine(path).header("x-forwarded-for", "192.0.2.1").send().await.assert_status(404);
        }
        for path in ["//dev/outbox", "//dev/outbox/", "/dev/outbox//", "/dev//outbox/", "/metrics/"] {
            mine(path).send().await.assert_status(404);
        }
        for path in ["/docs/", "/healthz/", "/robots.txt/"] {
            app.get(path).send().await.assert_status(200);
        }
        for path in ["/verify-email", "/reset-password", "/restore-email", "/secure-account", "/cancel-factor-reset",
            "/confirm-factor-reset"]
        {
            let (with, without) = (browse(&app, &format!("{path}/?token=x")), browse(&app, &format!("{path}?token=x")));
            let (with, without) = (with.send().await, without.send().await);
            assert_eq!((with.status, heading(&with)), (without.status, heading(&without)), "{path}");
            assert_eq!(with.status, 400, "{path}");
        }
    }

    async fn a_contract_answers_browsers_in_its_own_words(app: TestApp) {
        for path in ["/api/v1/nothing", "/api/v2/nothing", "/v1/nothing"] {
            let answer = browse(&app, path).send().await;
            answer.assert_status(404);
            assert_eq!(answer.header("content-type"), "application/json", "{path}");
        }
    }

    async fn what_browsers_and_robots_ask_for_is_there(app: TestApp) {
        let icon = app.get("/favicon.ico").send().await;
        icon.assert_status(200);
        assert_eq!(icon.header("content-type"), "image/x-icon");
        let robots = app.get("/robots.txt").send().await;
        assert_eq!((robots.status, robots.text.as_str()), (200, "User-agent: *\nDisallow: /\n"));
    }

    async fn an_installation_that_sends_its_mails_shows_no_development_pages(engine: Engine) {
        let builder = TestApp::builder(engine)
            .settings(|settings| (settings.mail, settings.sms) = (DeliveryMode::Send, DeliveryMode::Send));
        let app = builder.start().await;
        let page = browse(&app, "/").ip("127.0.0.1").header("host", "localhost:8080").send().await;
        assert!(!page.text.contains("/dev/"), "{}", page.text);
        app.get("/dev/design").ip("127.0.0.1").header("host", "localhost").send().await.assert_status(404);
    }
}
