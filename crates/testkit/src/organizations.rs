//! Organizations with their people, programs and databases, as stories of the Crossing Minds contract need them.

use serde_json::{Value, json};
use tidegate_domain::{EmailAddress, Password};
use tidegate_identity::provisioning::provision::Provision;
use tidegate_kernel::Call;

use crate::people::address_of;
use crate::{Answer, PASSWORD, Person, TestApp};

impl TestApp {
    /// Provisions an organization as an operator does, and signs its owner in.
    pub async fn provision(&self, email: &str) -> Person {
        let call = Call::from_cli(tidegate_http::contract_profiles().of_installation());
        let claim = Provision {
            name: format!("The organization of {email}"),
            owner_email: EmailAddress::parse(email).expect("an e-mail address"),
            owner_password: Password::new(PASSWORD),
            managed_domains: Vec::new(),
        };
        self.identity().provision(&call, claim).await.expect("an organization");
        self.signed_in("individual", email, json!({})).await
    }

    /// Has a manager make a person's account, verifies it with the code they were mailed, and signs them in.
    pub async fn add_individual(&self, manager: &Person, email: &str, role: &str) -> Person {
        self.create_individual(manager, email, role).await.assert_status(200);
        let code = self.latest_code(email).await;
        let body = json!({ "email": email, "code": code });
        self.post("/v1/accounts/verify/").ip(&address_of(email)).json(&body).send().await.assert_status(200);
        self.signed_in("individual", email, json!({})).await
    }

    /// What a manager who makes a person's account is answered.
    pub async fn create_individual(&self, manager: &Person, email: &str, role: &str) -> Answer {
        let body = json!({
            "email": email, "role": role, "password": PASSWORD, "first_name": "Ada", "last_name": "Lovelace",
        });
        self.post("/v1/accounts/individual/").bearer(&manager.access_token).json(&body).send().await
    }

    /// Has a manager make a program's account, and signs it in.
    pub async fn add_service(&self, manager: &Person, name: &str, role: &str) -> Person {
        let body = json!({ "name": name, "role": role, "password": PASSWORD });
        let answer =
            self.post("/v1/accounts/service/").bearer(&manager.access_token).json(&body).send().await;
        answer.assert_status(200);
        self.signed_in("service", name, json!({})).await
    }

    /// Has a manager make a database with users of type `uint32` and sessions of type `uuid`; answers its id.
    pub async fn add_database(&self, manager: &Person, name: &str) -> String {
        let body = json!({
            "name": name, "description": "of a test", "item_id_type": "uuid", "user_id_type": "uint32",
        });
        let answer = self.post("/v1/databases/").bearer(&manager.access_token).json(&body).send().await;
        answer.assert_status(200);
        answer.text_at("id")
    }

    /// The same person or program, signed in anew with more fields: `db_id`, `frontend_user_id` and the like.
    pub async fn bound(&self, who: &Person, fields: Value) -> Person {
        let kind = if who.email.contains('@') { "individual" } else { "service" };
        self.signed_in(kind, &who.email, fields).await
    }

    /// What `login/individual/` or `login/service/` answers to that name, the usual password, and more fields.
    pub async fn log_in(&self, kind: &str, name: &str, fields: Value) -> Answer {
        let key = if kind == "service" { "name" } else { "email" };
        let mut body = json!({ key: name, "password": PASSWORD });
        tidegate_domain::text::merge(&mut body, &fields);
        self.post(&format!("/v1/login/{kind}/")).ip(&address_of(name)).json(&body).send().await
    }

    async fn signed_in(&self, kind: &str, name: &str, fields: Value) -> Person {
        let answer = self.log_in(kind, name, fields).await;
        answer.assert_status(200);
        let token = answer.text_at("token");
        let whose = self.post("/v1/login/jwt/").bearer(&token).send().await;
        Person {
            email: name.to_owned(),
            password: PASSWORD.to_owned(),
            access_token: token,
            refresh_token: answer.text_at("refresh_token"),
            user_id: whose.assert_status(200).text_at("account.id"),
        }
    }
}
