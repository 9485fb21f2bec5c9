//! Sign-in by other identity providers, each a stub on this machine.

mod answers;
mod attacks;
mod failures;
mod flows;
mod joining;
mod keeping;
mod limits;
mod linking;
mod second_factor;

use serde_json::{Value, json};
use tidegate_testkit::social::{Returned, SocialConfig, StubKind, StubProvider};
use tidegate_testkit::{Answer, Builder, Engine, Fixture, TestApp};

use super::wire::{AGENT, url};

const ADA: &str = "ada@example.com";
/// All of them.
const PROVIDERS: [&str; 5] = ["apple", "github", "google", "microsoft", "sso"];
/// The sign-in failed at the callback.
const FAILED: (u16, &str) = (400, "OAUTH_AUTHORIZATION_FAILED");

/// The application with all providers set up.
pub(crate) struct Social {
    pub(crate) app: TestApp,
    stubs: Vec<StubProvider>,
}

impl Fixture for Social {
    async fn prepare(engine: Engine) -> Self {
        Self::with(engine, |_| (), Builder::without_limits).await
    }
}

impl Social {
    pub(crate) async fn with(
        engine: Engine,
        change: impl FnOnce(&mut SocialConfig),
        build: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let mut stubs = Vec::new();
        let mut config = SocialConfig::default();
        for kind in
            [StubKind::Apple, StubKind::Github, StubKind::Google, StubKind::Microsoft, StubKind::OpenId]
        {
            let stub = StubProvider::start(kind).await;
            stub.set_up(&mut config);
            stubs.push(stub);
        }
        change(&mut config);
        let app = build(TestApp::builder(engine)).social(config).start().await;
        stubs.iter().for_each(|stub| stub.follow(&app.clock));
        Self { app, stubs }
    }

    pub(crate) fn stub(&self, provider: &str) -> &StubProvider {
        self.stubs.iter().find(|stub| stub.name() == provider).expect("a stub")
    }

    /// Asks for the address at the provider.
    async fn begin(&self, provider: &str, query: &str) -> Answer {
        let path = url(&format!("auth/oauth/{provider}/url{query}"));
        self.app.get(&path).header("user-agent", AGENT).send().await
    }

    /// Begins, and has the person agree at the provider.
    async fn agree(&self, provider: &str) -> Returned {
        let begun = self.begin(provider, "").await;
        self.stub(provider).authorize(&begun.assert_status(200).text_at("data.oauth_url"))
    }

    /// Brings the provider's answer to the callback of `provider`, as a browser without a cookie.
    async fn bring(&self, provider: &str, returned: &Returned) -> Answer {
        let path = url(&format!("auth/oauth/{provider}/callback"));
        let request = if returned.by_form {
            self.app.post(&path).form(&returned.encoded())
        } else {
            self.app.get(&format!("{path}?{}", returned.encoded()))
        };
        request.header("user-agent", AGENT).send().await
    }

    /// There and back.
    async fn sign_in(&self, provider: &str) -> Answer {
        let returned = self.agree(provider).await;
        self.bring(provider, &returned).await
    }

    /// There and back to an account that is there already, with the code that is mailed to `email`.
    pub(crate) async fn join(&self, provider: &str, email: &str) -> Answer {
        let answer = self.sign_in(provider).await;
        self.show_mailbox(&answer, email).await
    }

    /// Goes on with a sign-in that waits for the mailbox.
    async fn show_mailbox(&self, answer: &Answer, email: &str) -> Answer {
        let (token, code) = self.mailed(answer, email).await;
        self.app.show_factor(&token, "code", &code).await
    }

    /// Has the code mailed that connects; answers it with the next temporary token.
    async fn mailed(&self, answer: &Answer, email: &str) -> (String, String) {
        assert_waits_for_mailbox(answer);
        let token = self.app.choose_factor(&answer.text_at("data.temporary_token"), "email_otp").await;
        (token, self.app.latest_code(email).await)
    }

    pub(crate) async fn accounts(&self) -> i64 {
        self.app.sql_count("select count(*) from accounts where tombstone is null").await
    }

    pub(crate) async fn connected(&self) -> i64 {
        let those =
            "select count(*) from social_accounts where disconnected_at is null and blocked_at is null";
        self.app.sql_count(those).await
    }

    async fn sessions(&self) -> i64 {
        self.app.sql_count("select count(*) from sessions").await
    }

    /// The newest session's methods.
    pub(crate) async fn newest_amr(&self) -> String {
        let query = "select amr from sessions order by number desc limit 1";
        self.app.database.sql_texts(query).await.remove(0)
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        super::wire::post(&self.app, path, body).send().await
    }
}

/// A sign-in that opened nothing yet, and waits for a code that is mailed.
#[track_caller]
fn assert_waits_for_mailbox(answer: &Answer) {
    assert_eq!(answer.assert_status(200).field("data.mfa_required"), true, "{}", answer.text);
    assert_eq!(answer.field("data.available_methods"), &json!(["email_otp"]));
    assert!(answer.field("data.access_token").is_null());
}

/// A secret of an application's page, and its challenge.
fn page_secret() -> (String, String) {
    let secret = "kept-by-the-page-in-the-browser-0123456789-abcdef".to_owned();
    let challenge = tidegate_crypto::pkce_challenge(&tidegate_domain::Secret::new(secret.as_str()));
    (secret, challenge)
}

/// A refusal, and the reason that clients can branch on.
#[track_caller]
fn assert_refused(app: &TestApp, answer: &Answer, (status, code): (u16, &str), reason: &str) {
    super::wire::assert_refused(app, answer, status, code);
    assert_eq!(
        answer.field("error.details"),
        &json!({ "field": "provider", "reason": reason }),
        "{}",
        answer.text
    );
}
