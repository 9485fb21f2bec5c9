//! People with phones, as stories need them.

use serde_json::{Value, json};
use tidegate_domain::PhoneNumber;
use tidegate_domain::account::LoginName;
use tidegate_kernel::deliver::OutboxEntry;

use crate::people::address_of;
use crate::{Answer, TestApp};

/// An account owner signed in with a phone.
#[derive(Clone, Debug)]
pub struct PhonePerson {
    /// Their phone.
    pub phone: String,
    /// Their token.
    pub token: String,
}

impl TestApp {
    /// The text messages to a phone, newest first; those that are never sent are not among them.
    ///
    /// # Panics
    /// When the outbox cannot be read.
    pub async fn texts_to(&self, phone: &str) -> Vec<OutboxEntry> {
        let to = LoginName::Phone(PhoneNumber::from_stored(phone.to_owned()));
        let texts = self.kernel().list_outbox(Some(&to), 1_000).await.expect("the outbox");
        texts.into_iter().filter(|text| text.message.state != "discarded").collect()
    }

    /// The newest code texted to a phone.
    ///
    /// # Panics
    /// When there is none.
    pub async fn latest_text_code(&self, phone: &str) -> String {
        let texts = self.texts_to(phone).await;
        texts.first().and_then(OutboxEntry::code).expect("a text with a code").to_owned()
    }

    /// Asks for a code to register a phone. Every phone is somewhere else.
    pub async fn enter_phone(&self, phone: &str) -> Answer {
        let body = json!({ "phone": phone });
        self.post("/api/v1/auth/enter-phone").ip(&address_of(phone)).json(&body).send().await
    }

    /// Asks for a code to sign in with a phone.
    pub async fn send_login_code(&self, phone: &str) -> Answer {
        let body = json!({ "phone": phone });
        self.post("/api/v1/login/send-code").ip(&address_of(phone)).json(&body).send().await
    }

    /// Confirms a code for one of the two: `auth/confirm-code` or `login/verify-code`.
    pub async fn confirm(&self, endpoint: &str, phone: &str, code: &str) -> Answer {
        let body = json!({ "phone": phone, "code": code });
        self.post(&format!("/api/v1/{endpoint}")).ip(&address_of(phone)).json(&body).send().await
    }

    /// Signs up with a phone only, such as `+254712345678`.
    pub async fn register_phone(&self, phone: &str) -> PhonePerson {
        self.enter_phone(phone).await.assert_status(200);
        let code = self.latest_text_code(phone).await;
        let answer = self.confirm("auth/confirm-code", phone, &code).await;
        answer.assert_status(200);
        PhonePerson { phone: phone.to_owned(), token: answer.text_at("auth.token") }
    }

    /// Signs in with a registered phone.
    pub async fn sign_in_by_phone(&self, phone: &str) -> PhonePerson {
        self.send_login_code(phone).await.assert_status(200);
        let code = self.latest_text_code(phone).await;
        let answer = self.confirm("login/verify-code", phone, &code).await;
        answer.assert_status(200);
        PhonePerson { phone: phone.to_owned(), token: answer.text_at("auth.token") }
    }

    /// Applies for a brokerage account.
    pub async fn create_account(&self, person: &PhonePerson, application: &Value) -> Answer {
        self.post("/api/v1/account/create").bearer(&person.token).json(application).send().await
    }

    /// Opens a brokerage account; answers the person as the contract shows them.
    pub async fn open_account(&self, person: &PhonePerson, email: &str) -> Value {
        let answer = self.create_account(person, &application(&person.phone, email)).await;
        answer.assert_status(200);
        answer.field("data").clone()
    }
}

/// An application in the shape of the contract's sample: single values where the broker wants lists, nulls and empty
/// strings where nothing is said.
pub fn application(phone: &str, email: &str) -> Value {
    json!({
        "account_type": "",
        "additional_information": "",
        "contact": {
            "email_address": email,
            "phone_number": phone,
            "street_address": "20 Moi Avenue",
            "unit": null,
            "city": "Nairobi",
            "state": null,
            "postal_code": "00100",
        },
        "identity": {
            "given_name": "User",
            "middle_name": null,
            "family_name": "One",
            "date_of_birth": "1980-01-01",
            "tax_id": "A-0123-98765",
            "tax_id_type": "NATIONAL_ID",
            "country_of_citizenship": "KEN",
            "country_of_birth": "KEN",
            "country_of_tax_residence": "KEN",
            "funding_source": "employment_income",
            "is_force_finra_institutional": null,
        },
        "disclosures": {
            "is_control_person": false,
            "is_affiliated_exchange_or_finra": false,
            "is_affiliated_exchange_or_iiroc": false,
            "is_politically_exposed": false,
            "immediate_family_exposed": false,
            "is_discretionary": null,
        },
        "agreements": {
            "agreement": "customer_agreement",
            "signed_at": "2026-01-01T10:00:00Z",
            "ip_address": "203.0.113.7",
            "revision": "19.2022.02",
        },
        "documents": null,
        "minor_identity": null,
        "trading_configurations": null,
    })
}
