//! What a provider reports of a message it took.

use serde_json::{Value, json};
use tidegate_testkit::on_both_engines;

use super::gateway::{Gateway, Says};
use super::texts::message;
use super::{PHONE, ask_for_code};
use crate::support::{Installation, Server};

const SECRET: &str = "c2VjcmV0LXJlY2VpcHRz";

/// Reports to a path below that of the provider's receipts; answers the status.
async fn report(server: &Server, path: &str, id: &str, status: &str) -> u16 {
    let url = format!("{}/sms/receipts/africas-talking{path}", server.base);
    let form = [("id", id), ("status", status), ("phoneNumber", PHONE), ("networkCode", "63903")];
    server.http.post(url).form(&form).send().await.unwrap().status().as_u16()
}

on_both_engines! {
    async fn a_receipt_is_listed_when_its_sender_proves_who_it_is(here: Installation) {
        let gateway = Gateway::start(Says::This(
            201,
            r#"{"SMSMessageData": {"Message": "Sent to 1/1", "Recipients": [{"statusCode": 101,
                "number": "+254712345678", "status": "Success", "cost": "KES 0.8000", "messageId": "ATXid_7"}]}}"#,
        ));
        here.write(
            "tidegate.toml",
            &format!(
                "[sms.africas_talking]\nusername = 'riven'\napi_key = 'atsk_1'\nreceipt_secret = '{SECRET}'\n\
                 base_url = '{}'\n",
                gateway.url
            ),
        );
        let server = here.serve(&[]);
        ask_for_code(&server, "/api/v1/auth/enter-phone").await;
        let row = message(&here, "it is taken", |row| row["state"] == "delivered").await;
        assert_eq!((&row["provider"], &row["receipt"]), (&json!("africas_talking"), &Value::Null), "{row}");

        for path in ["", "/c2VjcmV0LXJlY2VpcHR0"] {
            let status = report(&server, path, "ATXid_7", "Failed").await;
            assert_eq!(status, 403, "{path}");
        }
        let proven = format!("/{SECRET}");
        // Somebody else's message, or one of another installation's: taken, so that it is not sent again and again.
        assert_eq!(report(&server, &proven, "ATXid_8", "Failed").await, 204);
        assert_eq!(here.json(&["outbox", "list"])[0]["receipt"], Value::Null);
        for (said, listed) in [("Buffered", "interim"), ("Success", "delivered"), ("Sent", "delivered")] {
            assert_eq!(report(&server, &proven, "ATXid_7", said).await, 204);
            assert_eq!(here.json(&["outbox", "list"])[0]["receipt"], listed, "{said}");
        }
        assert!(!server.log().contains(SECRET), "{}", server.log());
        server.stop();
    }
}
