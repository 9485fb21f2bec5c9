//! An application whose people sign in at the hosted pages, and sign out again.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidegate_testkit::{Answer, PASSWORD, Person, TestApp};
use url::form_urlencoded::Serializer;

use super::wire::{App, claims, described_with, exchange, parameters, parameters_with, register, sent_back};
use crate::pages::heading;
use crate::pages::sign_in::window::Window;

/// Where the application has people sent after they signed out.
pub(super) const BYE: &str = "https://shop.example.com/bye";

/// An application, and whose it is.
pub(crate) struct Hosted {
    pub(super) client: App,
    pub(super) owner: Person,
}

/// What an application got for a person.
pub(super) struct Tokens {
    pub(super) id_token: String,
    pub(super) access_token: String,
    pub(super) refresh_token: String,
}

impl Hosted {
    /// Registers it, with fields besides the usual ones.
    pub(super) async fn with(app: &TestApp, owner: &str, fields: Value) -> Self {
        let owner = app.sign_up_rivergen_verified(owner).await;
        let client = register(app, &owner, &described_with(fields)).await;
        Self { client, owner }
    }

    /// The usual one, which has people sent to an address of its own after they signed out.
    pub(super) async fn shop(app: &TestApp, owner: &str) -> Self {
        Self::with(app, owner, json!({ "post_logout_redirect_uris": [BYE] })).await
    }

    pub(crate) fn client_id(&self) -> &str {
        &self.client.client_id
    }

    /// Where it sends browsers.
    pub(super) fn address(&self) -> String {
        address(&parameters(&self.client))
    }

    /// Allows it on the page; answers what the ID token says.
    pub(crate) async fn allow(&self, app: &TestApp, window: &Window, page: &Answer) -> Value {
        claims(&self.allowed(app, window, page).await.id_token)
    }

    async fn allowed(&self, app: &TestApp, window: &Window, page: &Answer) -> Tokens {
        assert_eq!(heading(page), "Allow access?", "{}", page.text);
        let answer = window.submit(page, "/oauth/authorize", &[]).await;
        self.exchanged(app, &answer).await
    }

    async fn exchanged(&self, app: &TestApp, answer: &Answer) -> Tokens {
        let issued = exchange(app, &self.client, &sent_back(answer)["code"]).await;
        issued.assert_status(200);
        Tokens {
            id_token: issued.text_at("id_token"),
            access_token: issued.text_at("access_token"),
            refresh_token: issued.text_at("refresh_token"),
        }
    }

    /// A person signs in to it in a browser, and allows it where they are asked.
    pub(super) async fn sign_in(&self, app: &TestApp, window: &Window, login: &str) -> Tokens {
        self.sign_in_for(app, window, login, &[]).await
    }

    /// The same with other parameters of the request.
    pub(super) async fn sign_in_for(
        &self,
        app: &TestApp,
        window: &Window,
        login: &str,
        changed: &[(&str, &str)],
    ) -> Tokens {
        let address = address(&parameters_with(&self.client, changed));
        let mut answer = window.visit(&address).await;
        if answer.status == 200 && heading(&answer) == "Sign in" {
            answer = window.press(&answer, "/sign-in", &[("login", login), ("password", PASSWORD)]).await;
        }
        if answer.status == 302 {
            return self.exchanged(app, &answer).await;
        }
        self.allowed(app, window, &answer).await
    }
}

/// An authorization request as a link.
pub(super) fn address(parameters: &BTreeMap<String, String>) -> String {
    format!("/oauth/authorize?{}", Serializer::new(String::new()).extend_pairs(parameters).finish())
}

/// An application, and where it sends browsers.
pub(crate) async fn asked_for(app: &TestApp, owner: &str) -> (Hosted, String) {
    let hosted = Hosted::shop(app, owner).await;
    let address = hosted.address();
    (hosted, address)
}
