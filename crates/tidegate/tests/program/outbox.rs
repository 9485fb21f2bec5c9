//! `tidegate outbox`

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use serde_json::{Value, json};
use tidegate_database::{Store, StoreOptions};
use tidegate_domain::Timestamp;
use tidegate_domain::id::OutboxMessageId;
use tidegate_kernel::KernelTables;
use tidegate_kernel::jobs::Claim;
use tidegate_kernel::tables::outbox::{Attempt, NewMessage, NewReceipt};
use tidegate_testkit::{Engine, MIGRATIONS, eventually, on_both_engines};
use uuid::Uuid;

use crate::support::{Installation, PASSWORD};

on_both_engines! {
    async fn a_code_is_read_beside_the_server_and_confirms_the_address(here: Installation) {
        let server = here.serve(&["--dev"]);
        let (status, answer) = server.sign_up("ada@example.com").await;
        assert_eq!(status, 201, "{answer}");
        let code = here.output(&["outbox", "code", "--to", "Ada@Example.com"]);
        assert!(code.len() == 6 && code.bytes().all(|c| c.is_ascii_digit()), "{code:?}");
        let claim = json!({"temporary_token": answer["data"]["temporary_token"], "otp_code": code});
        assert_eq!(server.post("/api/v1/auth/verify-otp", claim).await.0, 200);

        // It works once, and is not given out a second time as if it did.
        let said = here.run(&["outbox", "code", "--to", "ada@example.com"]);
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{said:?}");
        assert!(said.err.contains("was used at 2") && said.err.contains("for a new one sign up or sign in again"), "{}", said.err);
        assert!(!said.err.contains(&code), "{}", said.err);

        // Kept, not sent, and still readable.
        let row = eventually("the mail is settled", async || {
            let rows = here.json(&["outbox", "list", "--to", "ada@example.com"]);
            (rows[0]["state"] == "kept").then(|| rows[0].clone())
        })
        .await;
        assert_eq!((&row["template"], &row["to"]), (&json!("sign_up_code"), &json!("ada@example.com")));
        assert_eq!(row["code"], json!(code));
        assert_eq!((&row["channel"], &row["provider"], &row["receipt"]), (&json!("email"), &Value::Null, &Value::Null));
        let table = here.output(&["outbox", "list"]);
        assert!(table.starts_with("NUMBER  STATE"), "{table}");
        assert!(table.contains(" kept ") && !table.contains("delivered"), "{table}");
        assert!(!table.contains(&code), "a table is pasted into tickets: {table}");
        let mail = here.output(&["outbox", "show", &row["number"].to_string()]);
        assert!(mail.starts_with("To: ada@example.com\nSubject: ") && mail.contains(&code), "{mail}");
        server.stop();
    }
}

on_both_engines! {
    async fn of_several_codes_the_newest_that_works_is_printed(engine: Engine) {
        let here = Installation::with_database(engine).await;
        let server = here.serve(&["--dev"]);
        let (_, answer) = server.sign_up("ada@example.com").await;
        let token = &answer["data"]["temporary_token"];
        let resend = json!({"email": "ada@example.com", "temporary_token": token});
        let first = here.json(&["outbox", "code", "--to", "ada@example.com"]);
        assert!(first["expires_at"].is_string(), "{first}");
        let (status, answer) = server.post("/api/v1/auth/resend-signup-otp", resend).await;
        assert_eq!(status, 200, "{answer}");
        let second = here.json(&["outbox", "code", "--to", "ada@example.com"]);
        assert_ne!(first["number"], second["number"]);
        let code = || here.json(&["outbox", "code", "--to", "ada@example.com"]);
        for (change, expected) in [
            ("update challenges set expires_at = 1 where code_mac is not null", "code_expired"),
            ("update challenges set expires_at = 4000000000000000, attempts = 5", "code_blocked"),
            ("delete from challenges", "code_withdrawn"),
        ] {
            here.database().sql(change).await;
            let error = code()["error"].clone();
            assert_eq!(error["code"], expected, "{error}");
            assert!(error["message"].as_str().unwrap().contains("there is no code to use for ada@example.com"), "{error}");
            assert!(error["advice"].as_str().unwrap().starts_with("for a new one "), "{error}");
        }
        server.stop();
    }
}

on_both_engines! {
    async fn an_invitation_that_has_expired_is_sent_again_as_the_command_says(engine: Engine) {
        let here = Installation::with_database(engine).await;
        let server = here.serve(&["--dev"]);
        let made = here.json(&["org", "create", "--name", "Acme", "--root-email", "root@acme.example"]);
        let login = json!({ "email": "root@acme.example", "password": made["password"] });
        let (status, signed_in) = server.post("/v1/login/individual/", login).await;
        assert_eq!(status, 200, "{signed_in}");
        let grace = json!({
            "email": "grace@acme.example", "password": "Correct1horse!", "first_name": "Grace", "last_name": "Hopper",
            "role": "demo_viewer",
        });
        // Without a password, they choose one by a link.
        let ada = json!({
            "email": "ada@acme.example", "first_name": "Ada", "last_name": "Lovelace", "role": "demo_viewer",
        });
        for member in [&grace, &ada] {
            let invite = server.http.post(format!("{}/v1/accounts/individual/", server.base));
            let invited = invite.bearer_auth(signed_in["token"].as_str().unwrap()).json(member).send().await.unwrap();
            assert!(invited.status().is_success(), "{invited:?}");
        }
        let linked = here.json(&["outbox", "code", "--to", "ada@acme.example"])["error"].clone();
        assert_eq!(linked["code"], "no_code", "{linked}");
        assert!(linked["message"].as_str().unwrap().contains("has a link in place of one"), "{linked}");
        assert!(linked["advice"].as_str().unwrap().contains("outbox show "), "{linked}");
        here.database().sql("update challenges set expires_at = 1").await;
        let error = here.json(&["outbox", "code", "--to", "grace@acme.example"])["error"].clone();
        assert_eq!(error["code"], "code_expired", "{error}");
        let advice = error["advice"].as_str().unwrap();
        let (_, path) = advice.split_once("PUT ").expect(advice);
        let again = server.http.put(format!("{}{}", server.base, path.split(' ').next().unwrap()));
        let again = again.json(&json!({ "email": "grace@acme.example" })).send().await.unwrap();
        assert_eq!(again.status().as_u16(), 200, "{again:?}");
        let code = here.output(&["outbox", "code", "--to", "grace@acme.example"]);
        let (status, verified) = server
            .post("/v1/accounts/verify/", json!({ "code": code, "email": "grace@acme.example" }))
            .await;
        assert_eq!((status, &verified["verified"]), (200, &json!(true)), "{verified}");
        server.stop();
        // What a provider took is not kept: how it is sent again is said all the same.
        here.database().sql("update outbox_messages set payload = null").await;
        let gone = here.json(&["outbox", "code", "--to", "grace@acme.example"])["error"].clone();
        assert!(gone["message"].as_str().unwrap().contains("what was sent there is gone"), "{gone}");
        assert!(gone["advice"].as_str().unwrap().contains("PUT /v1/accounts/resend-verification-code/"), "{gone}");
    }
}

on_both_engines! {
    async fn a_mail_that_an_address_has_an_account_is_told_in_place_of_a_code(here: Installation) {
        let server = here.serve_with(&["--dev"], |command| {
            command.env("TIDEGATE_BROWSER__SIGN_UP", "true");
        });
        let create = ["user", "create", "--email", "ada@example.com", "--name", "Ada", "--password-stdin", "--json"];
        assert_eq!(here.run_with_input(&create, PASSWORD).code, 0);
        let page = format!("{}/sign-up", server.base);
        let form = server.http.get(&page).send().await.unwrap();
        let cookie = form.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let form = form.text().await.unwrap();
        let (_, csrf) = form.split_once("name=\"csrf\" value=\"").expect("a form with a token");
        let csrf = csrf.split('"').next().unwrap();
        let fields = format!("csrf={csrf}&name=&email=ada%40example.com&new_password=Correct1horse%21");
        let request = server.http.post(&page).header("cookie", cookie).body(fields);
        let answer = request.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
        // It was taken: the browser is sent on, to the page of the code.
        assert_eq!(answer.url().path(), "/sign-up/code", "{}", answer.status());
        let said = here.run(&["outbox", "code", "--to", "ada@example.com"]);
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{said:?}");
        assert!(said.err.contains("an account has that address") && said.err.contains("sign in with it"), "{}", said.err);
        server.stop();
    }
}

on_both_engines! {
    async fn what_became_of_a_text_message_is_listed(here: Installation) {
        here.begin();
        let store = Store::open(&StoreOptions::new(here.database_url()), MIGRATIONS).await.unwrap();
        let (id, now) = (OutboxMessageId::from(Uuid::from_u128(1)), Timestamp::from_seconds(1_800_000_000));
        let mut unit = store.begin().await.unwrap();
        let message = NewMessage {
            id,
            idempotency_key: "key",
            channel: "sms",
            template: "sms_code",
            recipient: "+254712345678",
            payload: b"sealed",
            deliverable: true,
            created_at: now,
        };
        unit.outbox().insert(message).await.unwrap();
        let accepted = Some(("africas_talking", Some("ATXid_1")));
        unit.outbox().settle(id, Claim(0), Attempt::Delivered { keep_payload: false, accepted }, now).await.unwrap();
        let receipt = NewReceipt {
            provider: "africas_talking",
            message_id: "ATXid_1",
            state: "failed",
            reason: Some("UserInBlacklist"),
        };
        unit.outbox().receive(receipt, now).await.unwrap();
        unit.commit().await.unwrap();
        store.close().await;

        let row = here.json(&["outbox", "list", "--to", "+254 712-345678"])[0].clone();
        assert_eq!((&row["channel"], &row["state"]), (&json!("sms"), &json!("delivered")));
        assert_eq!((&row["provider"], &row["receipt"]), (&json!("africas_talking"), &json!("failed")));
        assert_eq!(row["receipt_reason"], "UserInBlacklist");
        let table = here.output(&["outbox", "list"]);
        assert!(table.contains("  africas_talking  failed (UserInBlacklist)"), "{table}");
        let said = here.run(&["outbox", "code", "--to", "+254712345678"]);
        assert_eq!(said.code, 1);
        assert!(said.err.contains("or a provider took it"), "{}", said.err);
    }
}

/// What `tidegate doctor` says of messages.
fn judged(here: &Installation) -> Value {
    let report = here.json(&["doctor"]);
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|found| found["name"] == "outbox").unwrap_or_else(|| panic!("{report}")).clone()
}

on_both_engines! {
    async fn doctor_tells_why_messages_are_not_sent(here: Installation) {
        here.begin();
        assert_eq!(judged(&here)["status"], "ok");
        let store = Store::open(&StoreOptions::new(here.database_url()), MIGRATIONS).await.unwrap();
        let now = Timestamp::from_seconds(1_800_000_000);
        let mut unit = store.begin().await.unwrap();
        let waits = Attempt::Again { at: now, error: "the server refuses the sender" };
        let gone = Attempt::Dead { error: "the server refuses the recipient" };
        // The last one waits for its first try.
        for (number, attempt) in [(1, Some(waits)), (2, Some(waits)), (3, Some(gone)), (4, None)] {
            let (id, key) = (OutboxMessageId::from(Uuid::from_u128(number)), number.to_string());
            let message = NewMessage {
                id,
                idempotency_key: &key,
                channel: "email",
                template: "sign_up_code",
                recipient: "ada@example.com",
                payload: b"sealed",
                deliverable: true,
                created_at: now,
            };
            unit.outbox().insert(message).await.unwrap();
            if let Some(attempt) = attempt {
                unit.outbox().settle(id, Claim(0), attempt, now).await.unwrap();
            }
        }
        unit.commit().await.unwrap();
        store.close().await;
        let found = judged(&here);
        assert_eq!(found["status"], "warning", "{found}");
        let told = "2 pending: the server refuses the sender\n1 dead: the server refuses the recipient";
        assert_eq!(found["detail"], told, "{found}");
        let advice = found["advice"].as_str().unwrap();
        assert!(advice.contains("outbox list") && advice.contains("outbox retry NUMBER"), "{found}");
    }
}

/// A mail server of the delivery's tests; it ends with its standard input.
struct MailServer {
    process: Child,
    port: String,
}

impl MailServer {
    fn start(here: &Installation) -> Self {
        let mut command = here.python("../../../delivery/tests/smtp_server.py", &[]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut port).unwrap();
        Self { process, port: port.trim().to_owned() }
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

on_both_engines! {
    // The mail server does not relay for this sender yet: the operator corrects that, and who waits gets the mail.
    async fn a_mail_that_is_refused_for_the_senders_set_up_is_delivered_once_that_is_right(here: Installation) {
        let mails = MailServer::start(&here);
        let server = here.serve_with(&[], |command| {
            command.envs([
                ("TIDEGATE_MAIL__SMTP__HOST", "127.0.0.1"),
                ("TIDEGATE_MAIL__SMTP__PORT", mails.port.as_str()),
                ("TIDEGATE_MAIL__SMTP__TLS", "none"),
                ("TIDEGATE_MAIL__SMTP__FROM", "Tidegate <no-reply@example.com>"),
                ("TIDEGATE_MAIL__RETRY__FIRST_DELAY", "3"),
                ("TIDEGATE_MAIL__RETRY__FACTOR", "1"),
            ]);
        });
        let (status, answer) = server.sign_up("mended@example.com").await;
        assert_eq!(status, 201, "{answer}");
        let row = || here.json(&["outbox", "list", "--to", "mended@example.com"])[0].clone();
        let waiting = eventually("the first refusal", async || Some(row()).filter(|row| row["attempts"] == 1)).await;
        assert_eq!(waiting["state"], "pending", "{waiting}");
        assert!(waiting.to_string().contains("554"), "the operator sees why: {waiting}");
        let delivered = eventually("the mail", async || Some(row()).filter(|row| row["state"] == "delivered")).await;
        assert_eq!(delivered["attempts"], 3, "{delivered}");
        // What concerns the recipient is final.
        assert_eq!(server.sign_up("gone@example.com").await.0, 201);
        let row = || here.json(&["outbox", "list", "--to", "gone@example.com"])[0].clone();
        let dead = eventually("the end", async || Some(row()).filter(|row| row["state"] == "dead")).await;
        assert_eq!(dead["attempts"], 1, "{dead}");
        server.stop();
    }
}

on_both_engines! {
    async fn a_mail_that_waits_for_its_next_attempt_is_sent_at_once_where_an_operator_says_so(here: Installation) {
        let mails = MailServer::start(&here);
        let server = here.serve_with(&[], |command| {
            command.envs([
                ("TIDEGATE_MAIL__SMTP__HOST", "127.0.0.1"),
                ("TIDEGATE_MAIL__SMTP__PORT", mails.port.as_str()),
                ("TIDEGATE_MAIL__SMTP__TLS", "none"),
                ("TIDEGATE_MAIL__SMTP__FROM", "Tidegate <no-reply@example.com>"),
                ("TIDEGATE_MAIL__RETRY__FIRST_DELAY", "3600"),
                ("TIDEGATE_MAIL__RETRY__FACTOR", "1"),
            ]);
        });
        assert_eq!(server.sign_up("mended@example.com").await.0, 201);
        let row = || here.json(&["outbox", "list", "--to", "mended@example.com"])[0].clone();
        let mut put_off_to = String::new();
        for attempts in 1..=2 {
            // The attempt is over where the next one is an hour away again.
            let waiting = eventually("a refusal", async || {
                let found = row();
                let next = found["next_attempt_at"].as_str().unwrap_or_default();
                let is_over = found["attempts"] == attempts && found["last_error"].is_string() && next >= put_off_to.as_str();
                is_over.then_some(found)
            })
            .await;
            put_off_to = waiting["next_attempt_at"].as_str().unwrap().to_owned();
            let number = waiting["number"].to_string();
            let said = here.output(&["outbox", "retry", &number]);
            assert_eq!(said, format!("Message {number} was pending; it is tried at once."));
        }
        let delivered = eventually("the mail", async || Some(row()).filter(|row| row["state"] == "delivered")).await;
        assert_eq!(delivered["attempts"], 3, "{delivered}");
        let number = delivered["number"].to_string();
        let said = here.run(&["outbox", "retry", &number]);
        assert!(said.code == 1 && said.err.contains("is not dead or pending, or does not exist"), "{said:?}");
        server.stop();
    }
}

on_both_engines! {
    async fn who_registered_where_no_code_is_sent_is_told_how_to_get_one(here: Installation) {
        let server = here.serve(&["--dev"]);
        let body = json!({"email": "ada@example.com", "password": PASSWORD, "name": "Ada"});
        assert_eq!(server.post("/api/v2/auth/register", body).await.0, 201);
        let said = here.run(&["outbox", "code", "--to", "ada@example.com"]);
        let told = "IngestIQ's register sends no code; sign in at /account to get one";
        assert_eq!((said.code, said.err.trim_end().lines().count()), (1, 1), "{said:?}");
        assert!(said.err.contains(told), "{said:?}");
        // Nobody has this one.
        assert!(!here.run(&["outbox", "code", "--to", "bob@example.com"]).err.contains("IngestIQ"));
        server.stop();
    }
}

#[tokio::test]
async fn where_no_code_was_sent_there_is_advice() {
    let here = Installation::new();
    let said = here.run(&["outbox", "list"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("there is no installation of Tidegate in "), "{}", said.err);
    assert!(!here.path().join("tidegate-data").exists());

    here.begin();
    assert!(here.output(&["outbox", "list"]).starts_with("The outbox is empty: nothing was to be sent yet"));
    let said = here.run(&["outbox", "code", "--to", "ada@example.com"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.contains("--dev"), "{}", said.err);
    assert_eq!(here.run(&["outbox", "show", "1"]).code, 1);
}
