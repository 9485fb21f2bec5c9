//! People make an account on the page, where the operator lets them.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use tidegate_domain::limit::Limit;
use tidegate_kernel::Settings;
use tidegate_testkit::{Answer, Engine, PASSWORD, TestApp, on_both_engines};

use super::super::heading;
use super::window::{SESSION, encoded, field, filled, hidden};
use super::{ADA, BOB, NEWEST, Window, assert_guarded, disable};
use crate::cross_contract::login_rivergen;
use crate::timing::statements;
use crate::watch::{Log, content};

const EVE: &str = "eve@example.com";
/// Another password than the one of accounts that were there before.
const OTHER: &str = "Battery2staple!";
const SIGN_UP: &str = "/sign-up";
const CODE: &str = "/sign-up/code";
const AGAIN: &str = "/sign-up/code/again";
const ACCOUNTS: &str = "select count(*) from accounts";

fn on(settings: &mut Settings) {
    settings.sign_up_page = true;
}

async fn start(engine: Engine) -> TestApp {
    TestApp::builder(engine).settings(on).start().await
}

/// What is typed into the form.
fn typed(email: &str) -> [(&'static str, &str); 3] {
    [("name", "Ada Lovelace"), ("email", email), ("new_password", OTHER)]
}

/// Sends the form; answers the redirect or the page.
async fn submit(window: &Window, email: &str) -> Answer {
    let page = window.visit(SIGN_UP).await;
    page.assert_status(200);
    window.submit(&page, SIGN_UP, &typed(email)).await
}

/// Sends the form; answers the page that asks for the code.
async fn begin(window: &Window, email: &str) -> Answer {
    let answer = submit(window, email).await;
    let page = window.follow(answer).await;
    assert_eq!(heading(&page), "Verify your e-mail address", "{}", page.text);
    page
}

/// Some other code.
fn wrong(code: &str) -> &'static str {
    if code == "000000" { "000001" } else { "000000" }
}

/// A page that asks for the code, without what differs from request to request: what its forms carry, and the link on it.
fn told(page: &Answer, email: &str) -> (u16, String) {
    let mut text = page.text.replace(email, "EMAIL");
    for action in [CODE, AGAIN] {
        for (_, value) in hidden(page, action) {
            text = text.replace(&value, "-");
        }
    }
    (page.status, text)
}

async fn deliver(app: &TestApp) {
    while app.kernel().deliver_due().await.unwrap() > 0 {}
}

on_both_engines! {
    async fn a_person_makes_an_account_and_is_signed_in(engine: Engine) {
        let app = start(engine).await;
        let window = Window::new(&app);
        let page = window.visit("/sign-in").await;
        assert!(page.text.contains("Create an account") && !page.text.contains("No account yet?"), "{}", page.text);
        let flow = field(&page, "/sign-in", "flow");
        assert!(page.text.contains(&format!("href=\"/sign-up?flow={flow}\"")), "{}", page.text);

        let page = window.visit(&format!("{SIGN_UP}?flow={flow}")).await;
        assert_eq!(heading(page.assert_status(200)), "Create an account");
        assert_guarded(&page);
        assert!(page.text.contains("href=\"/sign-in?flow="), "there is a way back: {}", page.text);
        assert!(page.text.contains("<li data-rule=\"min_length\""), "rules are shown before they are broken: {}", page.text);
        let answer = window.submit(&page, SIGN_UP, &typed(" Ada@Example.com ")).await;
        assert!(answer.assert_status(303).header("location").starts_with("/sign-up/code?flow="));
        let page = window.follow(answer).await;
        assert_guarded(&page);
        assert!(page.text.contains("We sent a mail to ada@example.com."), "{}", page.text);
        assert_eq!(app.templates_to(ADA).await, ["hosted_sign_up_code"]);
        // Nothing is made of an address that nobody has shown, and the hash of the password is sealed.
        assert_eq!(app.sql_count(ACCOUNTS).await, 0);
        assert_eq!(app.sql_count("select count(*) from challenges where purpose = 'sign_up' and account_id is null").await, 1);
        assert_eq!(app.sql_count("select count(*) from challenges where cast(continuation as text) like '%$%'").await, 0);
        let pending = "select count(*) from challenges where cast(continuation as text) like '%sign_up%'";
        assert_eq!(app.sql_count(pending).await, 1);
        assert!(!window.is_signed_in().await);

        let code = app.latest_code(ADA).await;
        let refused = window.submit(&page, CODE, &[("code", wrong(&code))]).await;
        assert!(refused.assert_status(422).text.contains(NEWEST), "{}", refused.text);
        let page = window.press(&refused, CODE, &[("code", &code)]).await;
        assert_eq!(heading(&page), "You are signed in");
        assert!(page.text.contains("Signed in as Ada Lovelace (ada@example.com)."), "{}", page.text);

        for (made, query) in [
            (1, ACCOUNTS),
            (1, "select count(*) from identifiers where value = 'ada@example.com' and verified_at is not null"),
            (1, "select count(*) from memberships where role = 'owner' and source = 'signup'"),
            (1, "select count(*) from workspaces where is_default"),
            (1, "select count(*) from sessions where dialect = 'browser' and amr = 'otp'"),
            (1, "select count(*) from audit_events where action = 'auth.signup' and origin = 'page'"),
            (1, "select count(*) from audit_events where action = 'auth.email.verified'"),
            // Its name and its password are with the account alone: they go when it does.
            (0, pending),
        ] {
            assert_eq!(app.sql_count(query).await, made, "{query}");
        }
        // It is an account like any other.
        login_rivergen(&app.client(), ADA, OTHER).await.assert_status(200);
        let elsewhere = Window::new(&app);
        elsewhere.try_password(ADA, OTHER).await.assert_status(303);
        assert!(elsewhere.is_signed_in().await);
    }

    async fn a_stranger_does_not_learn_which_addresses_have_an_account(engine: Engine) {
        let app = start(engine).await;
        app.sign_up_rivergen_verified(ADA).await;
        app.sign_up_rivergen_verified(BOB).await;
        app.sign_up_rivergen("new@example.com").await;
        disable(&app, BOB).await;
        let accounts = app.sql_count(ACCOUNTS).await;
        let mut answers = Vec::new();
        for (number, email) in [EVE, ADA, BOB, "new@example.com"].into_iter().enumerate() {
            let window = Window::at(&app, &format!("203.0.{number}.7"));
            let page = begin(&window, email).await;
            let mut seen = vec![told(&page, email)];
            let code = if email == EVE { app.latest_code(EVE).await } else { String::new() };
            for _ in 0..6 {
                let page = window.submit(&page, CODE, &[("code", wrong(&code))]).await;
                seen.push(told(&page, email));
            }
            let statuses: Vec<u16> = seen.iter().map(|(status, _)| *status).collect();
            assert_eq!(statuses, [200, 422, 422, 422, 422, 422, 429], "{email}");
            // Another mail is sent to either.
            let page = window.press(&page, AGAIN, &[]).await;
            seen.push(told(&page, email));
            answers.push(seen);
            let templates = app.templates_to(email).await;
            let expected = if email == EVE { "hosted_sign_up_code" } else { "address_in_use" };
            assert_eq!(templates[..2], [expected, expected], "{email}");
        }
        for (email, answer) in [ADA, BOB, "new@example.com"].iter().zip(&answers[1..]) {
            assert_eq!(answer, &answers[0], "{email}");
        }
        let mails = app.mails_to(ADA).await;
        assert_eq!((mails[0].code(), mails[0].link()), (None, Some("https://id.example.com/sign-in")));
        assert_eq!(app.sql_count(ACCOUNTS).await, accounts);
        // The owner's password is what it was.
        Window::new(&app).sign_in(ADA).await;
    }

    async fn an_address_in_use_costs_the_same_statements_also_after_the_answer(engine: Engine) {
        let log = Log::listen();
        let app = TestApp::builder(engine).without_limits().settings(on).start().await;
        app.sign_up_rivergen_verified(ADA).await;
        deliver(&app).await;
        let mut costs = Vec::new();
        // The first one only warms up.
        for email in ["first@example.com", ADA, EVE] {
            let window = Window::new(&app);
            let page = window.visit(SIGN_UP).await;
            let before = log.lines().len();
            window.submit(&page, SIGN_UP, &typed(email)).await.assert_status(303);
            let mut asked = statements(&log.lines()[before..]);
            asked.pop_if(|last| last.contains("summary=\"begin"));
            let before = log.lines().len();
            deliver(&app).await;
            costs.push((asked, statements(&log.lines()[before..])));
        }
        assert!(costs[1].0.len() >= 6 && costs[1].1.len() >= 4, "{:?}", costs[1]);
        assert_eq!(costs[1], costs[2], "an address in use shows in the statements");
    }

    async fn what_is_wrong_is_told_at_once_and_costs_no_attempt(engine: Engine) {
        let app = start(engine).await;
        let window = Window::new(&app);
        let page = window.visit(SIGN_UP).await;
        let mistyped = [("name", "A\u{202e}da"), ("email", "ada@"), ("new_password", "mistyped")];
        for _ in 0..5 {
            let page = window.submit(&page, SIGN_UP, &mistyped).await;
            assert_guarded(page.assert_status(422));
            for text in [
                "Enter a name of at most 255 characters in one line.",
                "Enter an e-mail address such as name@example.com.",
                "The password must have",
                "an upper-case letter (A-Z)",
                "value=\"ada@\"",
            ] {
                assert!(page.text.contains(text), "{text}: {}", page.text);
            }
            assert_eq!(page.text.matches("aria-invalid=\"true\"").count(), 3, "{}", page.text);
            assert!(!page.text.contains("mistyped"), "a password is not shown again: {}", page.text);
        }
        // Each alone, and what a stranger writes is text.
        for changed in [
            ("name", "x".repeat(256)),
            ("email", "\"><script>alert(1)</script>@x".to_owned()),
            ("new_password", String::new()),
        ] {
            let mut form = typed(EVE).to_vec();
            form.retain(|(name, _)| *name != changed.0);
            form.push((changed.0, changed.1.as_str()));
            let page = window.submit(&page, SIGN_UP, &form).await;
            assert_guarded(page.assert_status(422));
            assert_eq!(page.text.matches("aria-invalid=\"true\"").count(), 1, "{}: {}", changed.0, page.text);
        }
        assert_eq!(app.sql_count("select count(*) from challenges").await, 0);
        // The name may be left out.
        let page = window.press(&page, SIGN_UP, &[("email", EVE), ("new_password", OTHER)]).await;
        let page = window.press(&page, CODE, &[("code", &app.latest_code(EVE).await)]).await;
        assert_eq!(heading(&page), "You are signed in");
    }

    async fn sign_ups_are_limited_by_network_and_mails_by_mailbox(engine: Engine) {
        let app = start(engine).await;
        let window = Window::at(&app, "192.0.2.1");
        for number in 0..3 {
            submit(&window, &format!("eve{number}@example.com")).await.assert_status(303);
        }
        let page = submit(&window, EVE).await;
        assert!(page.assert_status(429).text.contains("Too many attempts. Try again in 5 minutes."), "{}", page.text);
        assert!(!page.header("retry-after").is_empty());
        assert!(page.text.contains("value=\"eve@example.com\"") && !page.text.contains(OTHER), "{}", page.text);
        submit(&Window::at(&app, "198.51.100.9"), EVE).await.assert_status(303);
        app.advance(Duration::from_secs(300));
        submit(&window, EVE).await.assert_status(303);

        let one = |settings: &mut Settings| {
            on(settings);
            Arc::make_mut(&mut settings.browser).limits.mails_by_email = Some(Limit::new(1, 3_600));
        };
        let app = TestApp::builder(engine).settings(one).start().await;
        app.sign_up_rivergen_verified(ADA).await;
        for email in [EVE, ADA] {
            let first = begin(&Window::at(&app, "192.0.2.1"), email).await;
            let mails = app.templates_to(email).await;
            let other = Window::at(&app, "198.51.100.9");
            let second = begin(&other, email).await;
            assert_eq!(told(&first, email), told(&second, email), "the answer does not tell");
            assert_eq!(app.templates_to(email).await, mails, "{email}");
            if email == EVE {
                // The code of the first one is not the second one's, and the second one has none.
                let page = other.submit(&second, CODE, &[("code", &app.latest_code(EVE).await)]).await;
                page.assert_status(422);
            }
        }
    }

    async fn an_attacker_cannot_have_a_browser_sign_up(engine: Engine) {
        let app = start(engine).await;
        let attacker = Window::new(&app);
        let page = attacker.visit(SIGN_UP).await;
        let theirs = filled(&page, SIGN_UP, &typed(EVE));
        let victim = Window::new(&app);
        // Without cookies, with those of its own, and without a token that is any.
        for _ in 0..2 {
            let answer = victim.post(SIGN_UP, &theirs).await;
            assert!(answer.assert_status(403).text.contains("This form was no longer valid"), "{}", answer.text);
            assert_guarded(&answer);
        }
        let page = victim.visit(SIGN_UP).await;
        for csrf in ["", "x", &"A".repeat(43)] {
            let mut form = vec![("csrf", csrf)];
            form.extend(typed(EVE));
            victim.submit(&page, SIGN_UP, &form).await.assert_status(403);
        }
        // A page of another site that has somehow got hold of the token, and one that has not.
        let form = filled(&page, SIGN_UP, &typed(EVE));
        for site in ["cross-site", "same-site"] {
            let request = victim.request(SIGN_UP, &form).header("sec-fetch-site", site);
            victim.send(request).await.assert_status(403);
            let request = Window::new(&app).request(SIGN_UP, &form).header("sec-fetch-site", site);
            assert_eq!(request.header("accept", "text/html").send().await.header("set-cookie"), "");
        }
        assert_eq!(app.sql_count("select count(*) from challenges").await, 0);
        assert_eq!(app.templates_to(EVE).await, Vec::<String>::new());

        // The attacker's own sign-up, finished in the victim's browser, would sign the victim in as the attacker.
        let page = begin(&attacker, EVE).await;
        let code = app.latest_code(EVE).await;
        let theirs = filled(&page, CODE, &[("code", &code)]);
        let answer = victim.post(CODE, &theirs).await;
        assert_eq!((answer.status, heading(&answer)), (400, "Sign-in expired"));
        let flow = field(&page, CODE, "flow");
        victim.open(&format!("{CODE}?flow={flow}")).await.assert_status(400);
        assert_eq!(victim.cookie(SESSION), None);
        // A form for another one is not taken.
        let again = field(&page, AGAIN, "csrf");
        attacker.submit(&page, CODE, &[("csrf", &again), ("code", &code)]).await.assert_status(403);
        assert_eq!(app.sql_count(ACCOUNTS).await, 0);
        attacker.submit(&page, CODE, &[("code", &code)]).await.assert_status(303);
    }

    async fn there_is_no_page_unless_the_operator_wants_one(app: TestApp) {
        let window = Window::new(&app);
        let nothing = window.open("/nothing").await;
        for path in [SIGN_UP, CODE, AGAIN] {
            let page = window.open(path).await;
            assert_eq!((page.status, &page.text), (404, &nothing.text), "{path}");
            window.post(path, "email=eve%40example.com").await.assert_status(404);
        }
        let page = window.visit("/sign-in").await;
        assert!(page.text.contains("No account yet?") && !page.text.contains("/sign-up"), "{}", page.text);
    }

    async fn an_attacker_cannot_lead_a_sign_up_to_another_place(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().settings(on).start().await;
        let window = Window::new(&app);
        for query in ["flow=https://evil.example", "flow=//evil.example", "flow=%2Faccount", "flow=AAAA"] {
            for path in [SIGN_UP, CODE] {
                let page = window.open(&format!("{path}?{query}")).await;
                assert_eq!((page.status, heading(&page)), (400, "Sign-in expired"));
                assert_guarded(&page);
                assert!(!page.text.contains("evil"), "{}", page.text);
            }
        }
        let queries = ["continue=https://evil.example", "redirect=https%3A%2F%2Fevil.example", "to=//evil.example", "next=/x"];
        for (number, query) in queries.into_iter().enumerate() {
            let email = format!("eve{number}@example.com");
            let window = Window::new(&app);
            let page = window.open(&format!("{SIGN_UP}?{query}")).await;
            let page = window.press(&page, SIGN_UP, &typed(&email)).await;
            let answer = window.submit(&page, CODE, &[("code", &app.latest_code(&email).await)]).await;
            assert_eq!(answer.assert_status(303).header("location"), "/account", "{query}");
        }
        // It leads where the sign-in was to lead, and what is altered leads nowhere.
        let window = Window::new(&app);
        let page = window.visit("/device?user_code=x").await;
        let flow = field(&page, "/sign-in", "flow");
        let altered = format!("{}AAAA", &flow[..flow.len() - 4]);
        window.open(&format!("{SIGN_UP}?flow={altered}")).await.assert_status(400);
        let page = window.visit(&format!("{SIGN_UP}?flow={flow}")).await;
        let page = window.press(&page, SIGN_UP, &typed(EVE)).await;
        let answer = window.submit(&page, CODE, &[("code", &app.latest_code(EVE).await)]).await;
        assert!(answer.assert_status(303).header("location").starts_with("/device?"), "{}", answer.header("location"));
    }

    async fn a_form_that_is_sent_twice_makes_one_account(engine: Engine) {
        let app = start(engine).await;
        let window = Window::new(&app);
        let page = window.visit(SIGN_UP).await;
        let form = filled(&page, SIGN_UP, &typed(ADA));
        let (one, other) = tokio::join!(window.post(SIGN_UP, &form), window.post(SIGN_UP, &form));
        one.assert_status(303);
        other.assert_status(303);
        app.advance(Duration::from_secs(29));
        let answer = window.post(SIGN_UP, &form).await;
        assert_eq!(app.templates_to(ADA).await, ["hosted_sign_up_code"]);
        // Whichever of the pages is shown takes the code.
        let code = app.latest_code(ADA).await;
        let page = window.follow(answer).await;
        let form = filled(&page, CODE, &[("code", &code)]);
        let mut secrets = Vec::new();
        for _ in 0..2 {
            // As a browser sends it whose first answer was lost: without what that would have set.
            window.forget(SESSION);
            window.post(CODE, &form).await.assert_status(303);
            secrets.push(window.cookie(SESSION).expect("signed in"));
            app.advance(Duration::from_secs(29));
        }
        assert_eq!(secrets[0], secrets[1]);
        window.forget(SESSION);
        let page = window.follow(one).await;
        let page = window.submit(&page, CODE, &[("code", wrong(&code))]).await;
        page.assert_status(422);
        app.advance(Duration::from_secs(29));
        let late = window.post(CODE, &form).await;
        assert!(late.assert_status(422).text.contains("This code can no longer be used."), "{}", late.text);
        assert_eq!((heading(&late), window.cookie(SESSION)), ("Create an account", None));
        for (count, query) in [(1, ACCOUNTS), (1, "select count(*) from sessions where dialect = 'browser'")] {
            assert_eq!(app.sql_count(query).await, count, "{query}");
        }
        // Another browser that saw the form has another cookie to bind it to.
        let stranger = Window::at(&app, "203.0.113.9");
        stranger.visit(SIGN_UP).await;
        stranger.post(CODE, &form).await.assert_status(400);
    }

    async fn a_form_that_is_sent_again_after_another_mail_leads_to_the_code_of_that_mail(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().settings(on).start().await;
        // An address that is in use is answered alike.
        app.sign_up_rivergen_verified(BOB).await;
        for email in [ADA, BOB] {
            let mails = app.templates_to(email).await.len() + 3;
            let window = Window::new(&app);
            let page = window.visit(SIGN_UP).await;
            let form = filled(&page, SIGN_UP, &typed(email));
            let answer = window.post(SIGN_UP, &form).await;
            let first = window.follow(answer).await;
            app.advance(Duration::from_secs(1));
            let second = window.press(&first, AGAIN, &[]).await;
            app.advance(Duration::from_secs(1));
            window.press(&second, AGAIN, &[]).await.assert_status(200);
            assert_eq!(app.templates_to(email).await.len(), mails, "{email}");
            // The way back to the form, and to either page that was left open.
            let mut led = Vec::new();
            for (action, form) in [(SIGN_UP, form), (AGAIN, filled(&first, AGAIN, &[])), (AGAIN, filled(&second, AGAIN, &[]))] {
                let answer = window.post(action, &form).await;
                led.push(window.follow(answer).await);
            }
            assert_eq!(app.templates_to(email).await.len(), mails, "nothing is mailed for it: {email}");
            assert!(led.iter().all(|page| heading(page) == "Verify your e-mail address"), "{email}");
            if email == BOB {
                continue;
            }
            let code = app.latest_code(email).await;
            // Each takes the code of the last mail: wrong ones are told as wrong, and not that there is no sign-up any more.
            for page in &led {
                let page = window.submit(page, CODE, &[("code", wrong(&code))]).await;
                assert!(page.assert_status(422).text.contains(NEWEST), "{}", page.text);
            }
            assert_eq!(heading(&window.press(&led[0], CODE, &[("code", &code)]).await), "You are signed in");
        }
    }

    async fn another_mail_takes_the_place_of_the_first(engine: Engine) {
        let app = start(engine).await;
        let window = Window::new(&app);
        let first = begin(&window, ADA).await;
        let old = app.latest_code(ADA).await;
        // Also once the code has expired.
        app.advance(Duration::from_secs(601));
        let late = window.submit(&first, CODE, &[("code", &old)]).await;
        assert!(late.assert_status(422).text.contains("This code has expired"), "{}", late.text);
        let form = filled(&late, AGAIN, &[]);
        let answer = window.post(AGAIN, &form).await;
        let page = window.follow(answer).await;
        window.post(AGAIN, &form).await.assert_status(303);
        assert_eq!(app.templates_to(ADA).await, ["hosted_sign_up_code", "hosted_sign_up_code"], "pressed twice, sent once");
        let pending = "select count(*) from challenges where cast(continuation as text) like '%sign_up%'";
        assert_eq!(app.sql_count(pending).await, 1, "the new one has what the old one had");
        let code = app.latest_code(ADA).await;
        let gone = window.submit(&first, CODE, &[("code", &old)]).await;
        assert_eq!(heading(gone.assert_status(422)), "Create an account");
        if old != code {
            window.submit(&page, CODE, &[("code", &old)]).await.assert_status(422);
        }
        assert_eq!(heading(&window.press(&page, CODE, &[("code", &code)]).await), "You are signed in");
        // Nothing is sent for a sign-up that is done.
        window.forget(SESSION);
        let gone = window.submit(&page, AGAIN, &[]).await;
        assert_eq!(heading(gone.assert_status(422)), "Create an account");
        assert_eq!(app.templates_to(ADA).await.len(), 2);
    }

    async fn looking_changes_nothing(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().settings(on).start().await;
        let window = Window::new(&app);
        let to = submit(&window, ADA).await.assert_status(303).header("location").to_owned();
        let before = content(&app).await;
        for path in [SIGN_UP, &to] {
            for method in [Method::HEAD, Method::GET] {
                window.send(app.client().request(method, path)).await.assert_status(200);
            }
        }
        window.open(AGAIN).await.assert_status(405);
        assert_eq!(content(&app).await, before);
        let page = window.open(&to).await;
        window.submit(&page, CODE, &[("code", &app.latest_code(ADA).await)]).await.assert_status(303);
    }

    async fn an_address_that_was_taken_meanwhile_is_its_owners(engine: Engine) {
        let app = start(engine).await;
        let window = Window::new(&app);
        let page = begin(&window, ADA).await;
        let code = app.latest_code(ADA).await;
        app.advance(Duration::from_secs(1));
        app.sign_up_rivergen_verified(ADA).await;
        let late = window.submit(&page, CODE, &[("code", &code)]).await;
        assert!(late.assert_status(422).text.contains("This code can no longer be used."), "{}", late.text);
        assert!(!window.is_signed_in().await);
        assert_eq!(app.sql_count(ACCOUNTS).await, 1);
        login_rivergen(&app.client(), ADA, PASSWORD).await.assert_status(200);

        // Who took it without its mailbox yields to who has it.
        let page = begin(&window, EVE).await;
        let code = app.latest_code(EVE).await;
        app.sign_up_rivergen(EVE).await;
        let page = window.press(&page, CODE, &[("code", &code)]).await;
        assert_eq!(heading(&page), "You are signed in");
        login_rivergen(&app.client(), EVE, OTHER).await.assert_status(200);
        login_rivergen(&app.client(), EVE, PASSWORD).await.assert_error(401, "INVALID_CREDENTIALS");
    }

    async fn the_page_and_its_mails_speak_the_language_of_the_browser(engine: Engine) {
        let app = start(engine).await;
        app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        let page = window.send(app.get(SIGN_UP).header("accept-language", "sw")).await;
        assert_eq!(heading(&page), "Fungua akaunti");
        for (email, subject) in [
            (EVE, "Thibitisha barua pepe yako kwa Tidegate"),
            // Its owner has not said which language they prefer.
            (ADA, "Tayari una akaunti ya Tidegate"),
        ] {
            let form = filled(&page, SIGN_UP, &typed(email));
            let request = window.request(SIGN_UP, &form).header("accept-language", "sw");
            window.send(request).await.assert_status(303);
            let mails = app.mails_to(email).await;
            let rendered = app.kernel().render(&mails[0]).unwrap().unwrap();
            assert_eq!(rendered.subject(), Some(subject));
        }
    }

    async fn an_application_may_fill_the_address_in(engine: Engine) {
        let app = start(engine).await;
        let window = Window::new(&app);
        let page = window.open(&format!("{SIGN_UP}?login_hint={}", encoded(EVE))).await;
        assert!(page.text.contains("value=\"eve@example.com\""), "{}", page.text);
        let page = window.open(&format!("{SIGN_UP}?login_hint={}", encoded("+254700000001"))).await;
        assert!(!page.text.contains("+254700000001"), "a phone is no address: {}", page.text);
    }
}

#[test]
fn without_a_mail_provider_no_account_can_be_made_and_the_page_says_whom_to_tell() {
    tidegate_testkit::run(Engine::Sqlite, async |_: Engine| {
        let app = TestApp::builder(Engine::Sqlite).mail_off().settings(on).start().await;
        let page = submit(&Window::new(&app), ADA).await;
        assert!(page.assert_status(503).text.contains("not set up to send messages"), "{}", page.text);
    });
}
