//! Sign-in by other identity providers, each a stub on this machine.

mod answers;
mod attacks;
mod failures;
mod flows;
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
struct Social {
    app: TestApp,
    stubs: Vec<StubProvider>,
}

impl Fixture for Social {
    async fn prepare(engine: Engine) -> Self {
        Self::with(engine, |_| (), Builder::without_limits).await
    }
}

impl Social {
    async fn with(
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

    fn stub(&self, provider: &str) -> &StubProvider {
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

    async fn accounts(&self) -> i64 {
        self.app.sql_count("select count(*) from accounts where tombstone is null").await
    }

    async fn connected(&self) -> i64 {
        self.app.sql_count("select count(*) from social_accounts").await
    }

    async fn sessions(&self) -> i64 {
        self.app.sql_count("select count(*) from sessions").await
    }

    /// The newest session's methods.
    async fn newest_amr(&self) -> String {
        let query = "select amr from sessions order by number desc limit 1";
        self.app.database.sql_texts(query).await.remove(0)
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        super::wire::post(&self.app, path, body).send().await
    }
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
