//! What attackers try at the hosted sign-in.

use tidegate_testkit::{Answer, PASSWORD, TestApp, on_both_engines};

use super::super::heading;
use super::window::{FORM, SESSION, field, filled, hidden};
use super::{ADA, BOB, Window, assert_guarded, disable};

/// A page without what differs from request to request.
fn told(page: &Answer) -> String {
    let mut text = page.text.clone();
    for action in ["/sign-in", "/sign-in/passkey"] {
        if text.contains(&format!("action=\"{action}\"")) {
            for (_, value) in hidden(page, action) {
                if !value.is_empty() {
                    text = text.replace(&value, "-");
                }
            }
        }
    }
    let options = text
        .split("data-options=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .unwrap_or_default()
        .to_owned();
    if options.is_empty() { text } else { text.replace(&options, "-") }
}

/// Nobody got in.
async fn assert_nobody(app: &TestApp, window: &Window) {
    assert!(!window.is_signed_in().await);
    assert_eq!(app.sql_count("select count(*) from sessions where dialect = 'browser'").await, 0);
}

on_both_engines! {
    async fn an_attacker_learns_from_no_answer_which_addresses_have_an_account(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        app.sign_up_rivergen_verified(BOB).await;
        app.sign_up_rivergen("new@example.com").await;
        disable(&app, BOB).await;
        let answer = async |login: &str, password: &str| {
            let window = Window::new(&app);
            let page = window.try_password(login, password).await;
            assert_guarded(&page);
            assert_eq!(page.header("location"), "");
            (page.status, told(&page).replace(login, "LOGIN"))
        };
        let wrong = answer(ADA, "Wrong1horse!").await;
        assert!(wrong.1.contains("The address or the password is wrong"));
        for (login, password) in [
            ("eve@example.com", "Wrong1horse!"),
            ("eve@example.com", PASSWORD),
            (BOB, "Wrong1horse!"),
            // Disabled: the right password is as wrong as any other.
            (BOB, PASSWORD),
            ("new@example.com", "Wrong1horse!"),
            ("+254700000001", PASSWORD),
        ] {
            assert_eq!(answer(login, password).await, wrong, "{login} {password}");
        }
    }

    async fn an_attacker_who_guesses_is_stopped_alike_for_known_and_unknown_addresses(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        let mut answers = Vec::new();
        for (login, ip) in [(ADA, "192.0.2.1"), ("eve@example.com", "192.0.2.2")] {
            let window = Window::at(&app, ip);
            for _ in 0..5 {
                window.try_password(login, "Wrong1horse!").await.assert_status(422);
            }
            let page = window.try_password(login, PASSWORD).await;
            assert!(page.assert_status(429).text.contains("Too many attempts. Try again in 15 minutes."), "{}", page.text);
            assert_guarded(&page);
            answers.push((page.header("retry-after").to_owned(), told(&page).replace(login, "LOGIN")));
        }
        assert_eq!(answers.first(), answers.last());
        // Their owner, elsewhere, signs in.
        Window::at(&app, "198.51.100.9").sign_in(ADA).await;
    }

    async fn an_attacker_on_many_networks_does_not_keep_the_owner_out(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        for ip in ["192.0.2.1", "203.0.113.1", "198.18.0.1"] {
            let window = Window::at(&app, ip);
            for _ in 0..5 {
                window.try_password(ADA, "Wrong1horse!").await.assert_status(422);
            }
            window.try_password(ADA, "Wrong1horse!").await.assert_status(429);
        }
        Window::at(&app, "198.51.100.9").sign_in(ADA).await;
    }

    async fn a_form_of_another_site_does_not_replace_what_forms_are_bound_to(app: TestApp) {
        // As a browser sends it: without the cookies that it has.
        let forms = [
            ("/sign-in", "login=x&password=x"),
            ("/forgot-password", "email=x%40example.com"),
            ("/oauth/authorize", "csrf=x&asked=client_id%3Dx&choice=allow"),
            ("/oauth/authorize", "client_id=x"),
        ];
        for (path, form) in forms {
            for site in ["cross-site", "same-site"] {
                let request = Window::new(&app).request(path, form).header("sec-fetch-site", site);
                let answer = request.header("accept", "text/html").send().await;
                assert_eq!(answer.header("set-cookie"), "", "{path} from {site}: {}", answer.text);
            }
        }
        // A link of another site gives the secret to a browser that has none, and a form of this one as well.
        let link = app.get("/sign-in").header("sec-fetch-site", "cross-site").send().await;
        assert!(link.header("set-cookie").starts_with(FORM));
        let own = app.post("/sign-in").form("login=x").header("sec-fetch-site", "same-origin").send().await;
        assert!(own.header("set-cookie").starts_with(FORM));
    }

    async fn an_attacker_cannot_have_a_browser_sign_in_as_them(app: TestApp) {
        app.sign_up_rivergen_verified(BOB).await;
        let attacker = Window::new(&app);
        let page = attacker.visit("/sign-in").await;
        let theirs = filled(&page, "/sign-in", &[("login", BOB), ("password", PASSWORD)]);
        // A form of the attacker's own browser, sent by the victim's: with cookies of its own, and with none.
        for victim in [Window::new(&app), Window::new(&app)] {
            let answer = victim.post("/sign-in", &theirs).await;
            assert!(answer.assert_status(403).text.contains("This form was no longer valid"), "{}", answer.text);
            assert_guarded(&answer);
            assert_nobody(&app, &victim).await;
            victim.post("/sign-in", &theirs).await.assert_status(403);
            assert_nobody(&app, &victim).await;
        }
        // Without a token, with one for another form, and with one that is no token.
        let victim = Window::new(&app);
        let page = victim.visit("/sign-in").await;
        let other = field(&page, "/sign-in/passkey", "csrf");
        for csrf in ["", "x", "AAAA", &other, &"A".repeat(43)] {
            let form = filled(&page, "/sign-in", &[("csrf", csrf), ("login", BOB), ("password", PASSWORD)]);
            victim.post("/sign-in", &form).await.assert_status(403);
        }
        // A page of another site that has somehow got hold of the token.
        let form = filled(&page, "/sign-in", &[("login", BOB), ("password", PASSWORD)]);
        for site in ["cross-site", "same-site"] {
            let request = victim.request("/sign-in", &form).header("sec-fetch-site", site);
            victim.send(request).await.assert_status(403);
        }
        assert_nobody(&app, &victim).await;
        let request = victim.request("/sign-in", &form).header("sec-fetch-site", "same-origin");
        victim.send(request).await.assert_status(303);
    }

    async fn an_attacker_cannot_plant_a_session(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        app.sign_up_rivergen_verified(BOB).await;
        // A secret that the attacker made up is never given to anyone.
        let planted = "tgb_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let victim = Window::new(&app);
        victim.set_cookie(SESSION, planted);
        assert!(!victim.is_signed_in().await);
        victim.sign_in(ADA).await;
        assert_ne!(victim.cookie(SESSION).unwrap(), planted);
        let attacker = Window::new(&app);
        attacker.set_cookie(SESSION, planted);
        assert!(!attacker.is_signed_in().await);

        // The attacker's own session in the victim's browser: after the victim's sign-in it is another one, and the attacker's is over.
        let attacker = Window::new(&app);
        attacker.sign_in(BOB).await;
        let victim = Window::new(&app);
        victim.set_cookie(SESSION, &attacker.cookie(SESSION).unwrap());
        victim.set_cookie(FORM, &attacker.cookie(FORM).unwrap());
        let page = victim.sign_in(ADA).await;
        assert!(page.text.contains("ada@example.com"), "{}", page.text);
        assert!(!attacker.is_signed_in().await);

        // A form that was made before the session changed is not accepted after it.
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        let old = window.visit("/account").await;
        window.sign_in(BOB).await;
        window.submit(&old, "/sign-out", &[]).await.assert_status(403);
        assert!(window.is_signed_in().await);
    }

    async fn an_attacker_cannot_lead_a_sign_in_to_another_place(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        for query in [
            "flow=https://evil.example",
            "flow=//evil.example",
            "flow=%2Faccount",
            "flow=AAAA",
            "flow=eyJ0byI6Imh0dHBzOi8vZXZpbC5leGFtcGxlIn0",
        ] {
            let page = window.open(&format!("/sign-in?{query}")).await;
            page.assert_status(400);
            assert_eq!(heading(&page), "Sign-in expired");
            assert_guarded(&page);
            assert!(!page.text.contains("evil"), "{}", page.text);
        }
        // What is no part of a sign-in is not looked at.
        for query in ["continue=https://evil.example", "to=//evil.example", "redirect=https://evil.example", "next=/x"] {
            let page = window.open(&format!("/sign-in?{query}")).await;
            let answer = window.submit(&page, "/sign-in", &[("login", ADA), ("password", PASSWORD)]).await;
            assert_eq!(answer.assert_status(303).header("location"), "/account", "{query}");
        }
        // Altered in one place, at its end, or cut.
        let page = window.visit("/sign-in").await;
        let flow = field(&page, "/sign-in", "flow");
        let altered = |at: usize| {
            let mut bytes = flow.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            String::from_utf8(bytes).unwrap()
        };
        for flow in [altered(0), altered(8), altered(flow.len() / 2), flow[..flow.len() - 4].to_owned(), format!("{flow}AAAA")] {
            window.open(&format!("/sign-in?flow={flow}")).await.assert_status(400);
            let form = filled(&page, "/sign-in", &[("flow", &flow), ("login", ADA), ("password", PASSWORD)]);
            window.post("/sign-in", &form).await.assert_status(400);
        }
        // An hour later it is over.
        app.advance(std::time::Duration::from_secs(3_600));
        window.open(&format!("/sign-in?flow={flow}")).await.assert_status(400);
    }

    async fn an_attacker_cannot_sign_a_browser_out(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        app.sign_up_rivergen_verified(BOB).await;
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        let attacker = Window::new(&app);
        attacker.sign_in(BOB).await;
        let theirs = field(&attacker.visit("/sign-out").await, "/sign-out", "csrf");
        for form in ["", "csrf=", &format!("csrf={theirs}")] {
            let page = window.post("/sign-out", form).await;
            page.assert_status(403);
            assert_eq!(heading(&page), "Sign out?");
        }
        // As a browser sends the form of another site: without cookies, which must not go either.
        let answer = app.post("/sign-out").form(&format!("csrf={theirs}")).send().await;
        assert_eq!(answer.assert_status(303).header("set-cookie"), "");
        window.open("/sign-out").await.assert_status(200);
        window.open("/signed-out").await.assert_status(303);
        assert!(window.is_signed_in().await);
    }

    async fn whatever_a_stranger_writes_into_the_page_is_text(app: TestApp) {
        let window = Window::new(&app);
        let hostile = "%22%3E%3Cscript%3Ealert(1)%3C/script%3E";
        for path in ["/sign-in", "/forgot-password"] {
            let page = window.open(&format!("{path}?login_hint={hostile}")).await;
            assert_guarded(page.assert_status(200));
        }
        let page = window.visit("/sign-in").await;
        let typed = [("login", "\"><script>alert(1)</script>@x"), ("password", "x")];
        assert_guarded(window.submit(&page, "/sign-in", &typed).await.assert_status(422));
        // What is no form is answered with a page, too.
        let answer = window.send(app.post("/sign-in").body("application/json", "{}")).await;
        assert_eq!(heading(answer.assert_status(415)), "That did not work");
        let long = format!("login={}", "x".repeat(100_000));
        let answer = window.post("/sign-in", &long).await;
        assert_eq!(heading(answer.assert_status(413)), "That did not work");
    }

    async fn no_page_of_the_sign_in_is_shown_in_a_frame_or_kept(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        let stranger = Window::new(&app);
        for path in ["/sign-in", "/sign-in/factor", "/sign-in/code", "/forgot-password", "/account", "/sign-out", "/signed-out"] {
            assert_guarded(&window.visit(path).await);
            assert_guarded(&stranger.visit(path).await);
        }
        let policy = window.visit("/sign-in").await;
        assert!(policy.header("content-security-policy").ends_with("; connect-src 'self'"), "passkeys are offered");
    }
}
