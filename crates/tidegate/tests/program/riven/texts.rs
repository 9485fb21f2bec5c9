//! Text messages on their way: signed, tried again, handed to another provider.

use serde_json::{Value, json};
use tidegate_testkit::{eventually, on_both_engines};

use super::gateway::{Gateway, Says, code_in};
use super::{PHONE, WITHOUT_LIMITS, ask_for_code, confirm};
use crate::support::Installation;

const ENTER_PHONE: &str = "/api/v1/auth/enter-phone";
const CONFIRM_CODE: &str = "/api/v1/auth/confirm-code";

/// What a gateway and Tidegate both know.
pub(super) const SECRET: &str = "a secret of at least sixteen characters";
/// What it answers once it has a message.
pub(super) const TAKEN: Says = Says::This(200, r#"{"id": "gateway-1"}"#);

/// Messages go to a gateway of the operator's, and failed ones are tried again soon.
pub(super) fn by_webhook(url: &str) -> String {
    format!(
        "{WITHOUT_LIMITS}[mail.retry]\nfirst_delay = 1\nfactor = 1\nmax_attempts = 100\n\
         [sms.webhook]\nurl = '{url}/send'\nsecret = '{SECRET}'\n"
    )
}

/// The one message there is, once it is as expected.
pub(super) async fn message(here: &Installation, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    eventually(what, async || {
        let rows = here.json(&["outbox", "list", "--to", PHONE]);
        assert_eq!(rows.as_array().unwrap().len(), 1, "{rows}");
        is_so(&rows[0]).then(|| rows[0].clone())
    })
    .await
}

/// Whether a message is Tidegate's, judged by the code that the documentation gives to operators.
fn is_tidegates(here: &Installation, secret: &str, signature: &str, body: &str) -> bool {
    let documentation = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md");
    let said = here.run_python("riven/gateway.py", &[documentation, secret, signature], body);
    assert!([0, 3].contains(&said.code), "{said:?}");
    said.code == 0
}

on_both_engines! {
    async fn a_message_reaches_the_gateway_signed_and_its_code_lets_in(here: Installation) {
        let gateway = Gateway::start(TAKEN);
        here.write("tidegate.toml", &by_webhook(&gateway.url));
        let server = here.serve(&[]);
        ask_for_code(&server, ENTER_PHONE).await;
        let row = message(&here, "it is taken", |row| row["state"] == "delivered").await;
        let noted = ["channel", "provider", "attempts", "last_error", "receipt", "code"].map(|name| row[name].clone());
        assert_eq!(Value::from_iter(noted), json!(["sms", "webhook", 1, null, null, null]));
        assert_eq!(here.run(&["outbox", "code", "--to", PHONE]).code, 1, "a provider took it");

        let asked = gateway.asked();
        let [asked] = asked.as_slice() else { panic!("not one message: {asked:?}") };
        assert_eq!((asked.path.as_str(), asked.header("content-type")), ("/send", "application/json"));
        let signature = asked.header("tidegate-signature");
        assert!(is_tidegates(&here, SECRET, signature, &asked.body), "{asked:?}");
        assert!(!is_tidegates(&here, "another secret of sixteen", signature, &asked.body));
        assert!(!is_tidegates(&here, SECRET, signature, &asked.body.replace("+2547", "+2541")));
        assert!(!is_tidegates(&here, SECRET, &signature.replacen("t=1", "t=2", 1), &asked.body));

        let sent: Value = serde_json::from_str(&asked.body).unwrap();
        assert_eq!((&sent["to"], &sent["at"]), (&json!(PHONE), &row["created_at"]));
        assert!(sent["id"].as_str().is_some_and(|id| !id.is_empty()), "{sent}");
        assert_eq!(sent.as_object().unwrap().len(), 4, "{sent}");
        let code = code_in(sent["text"].as_str().unwrap());
        confirm(&server, CONFIRM_CODE, &code).await;
        server.stop();
    }

    async fn a_message_that_failed_is_tried_until_it_is_taken(here: Installation) {
        let gateway = Gateway::start(Says::This(500, "our database is away"));
        here.write("tidegate.toml", &by_webhook(&gateway.url));
        let server = here.serve(&[]);
        ask_for_code(&server, ENTER_PHONE).await;
        let row = message(&here, "it has failed twice", |row| row["attempts"].as_u64() >= Some(2)).await;
        assert!(row["last_error"].as_str().unwrap().contains("500"), "{row}");
        assert_eq!((&row["state"], &row["provider"]), (&json!("pending"), &Value::Null), "{row}");
        gateway.says(TAKEN);
        let row = message(&here, "it is taken", |row| row["state"] == "delivered").await;
        let asked = gateway.asked();
        assert!(asked.len() >= 3, "{asked:?}");
        assert_eq!((&row["attempts"], &row["provider"]), (&json!(asked.len()), &json!("webhook")), "{row}");
        assert!(asked.iter().all(|again| again.body == asked[0].body), "the same, id and all: {asked:?}");
        let sent: Value = serde_json::from_str(&asked[0].body).unwrap();
        confirm(&server, CONFIRM_CODE, &code_in(sent["text"].as_str().unwrap())).await;
        server.stop();
    }

    async fn a_message_that_one_provider_fails_to_send_is_sent_by_the_next(here: Installation) {
        let first = Gateway::start(Says::This(500, "<h1>Internal Server Error</h1>"));
        let second = Gateway::start(Says::This(
            201,
            r#"{"sid": "SM00000000000000000000000000000001", "status": "queued", "error_code": null}"#,
        ));
        here.write(
            "tidegate.toml",
            &format!(
                "[sms]\norder = ['africas_talking', 'twilio']\n\
                 [sms.africas_talking]\nusername = 'riven'\napi_key = 'atsk_1'\nfrom = 'RIVEN'\nbase_url = '{}'\n\
                 [sms.twilio]\naccount_sid = 'AC0123'\nauth_token = 'twilio-token'\nfrom = '+15005550006'\n\
                 base_url = '{}'\n",
                first.url, second.url
            ),
        );
        let server = here.serve(&[]);
        ask_for_code(&server, ENTER_PHONE).await;
        let row = message(&here, "it is taken", |row| row["state"] == "delivered").await;
        assert_eq!((&row["provider"], &row["attempts"]), (&json!("twilio"), &json!(1)), "{row}");

        let (first, second) = (first.asked(), second.asked());
        let ([first], [second]) = (first.as_slice(), second.as_slice()) else { panic!("{first:?} {second:?}") };
        assert_eq!((first.path.as_str(), first.header("apikey")), ("/version1/messaging", "atsk_1"));
        let fields = ["username", "to", "from", "bulkSMSMode"].map(|name| first.field(name));
        assert_eq!(fields, ["riven", PHONE, "RIVEN", "1"]);
        assert_eq!(second.path, "/2010-04-01/Accounts/AC0123/Messages.json");
        assert_eq!(second.header("authorization"), "Basic QUMwMTIzOnR3aWxpby10b2tlbg==");
        assert_eq!(["To", "From"].map(|name| second.field(name)), [PHONE, "+15005550006"]);
        assert_eq!(second.field("Body"), first.field("message"));
        confirm(&server, CONFIRM_CODE, &code_in(&second.field("Body"))).await;
        server.stop();
    }
}
