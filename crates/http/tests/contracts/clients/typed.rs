//! Passwords, phones, codes and addresses from any keyboard and clipboard.

use serde_json::{Value, json};
use tidegate_domain::EmailAddress;
use tidegate_identity::operator::{AccountName, Operator};
use tidegate_testkit::{Answer, Engine, PASSWORD, TestApp, on_both_engines};

const ADA: &str = "ada@example.com";
const PHONE: &str = "+254712345678";
/// `ñ` as one character, and as a letter with a mark.
const COMPOSED: &str = "Ma\u{f1}ana1234";
const APART: &str = "Man\u{303}ana1234";
/// What another system made of [`APART`] with bcrypt, or this one before passwords were prepared.
const OLD_HASH: &str = "$2b$04$abcdefghijklmnopqrstuuBJ0xF/WciUWqRrj05B6/ONytWabwhsq";

async fn register(app: &TestApp, email: &str, password: &str) -> Answer {
    let body = json!({ "email": email, "password": password, "name": "Ada" });
    app.post("/api/v2/auth/register").json(&body).send().await
}

async fn login(app: &TestApp, email: &str, password: &str) -> Answer {
    app.post("/api/v2/auth/login").json(&json!({ "email": email, "password": password })).send().await
}

async fn hash_of(app: &TestApp) -> String {
    app.database.sql_texts("select hash from passwords").await.remove(0)
}

on_both_engines! {
    async fn a_password_set_on_one_keyboard_is_right_on_another(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        for (email, set, typed) in [
            ("ada@example.com", APART, COMPOSED),
            ("bob@example.com", COMPOSED, APART),
            ("eve@example.com", "\u{ff2d}a\u{f1}ana\u{ff11}234", "Ma\u{f1}ana1234"),
            ("kim@example.com", "\u{feff}Ma\u{f1}ana1234\r\n", COMPOSED),
            ("joe@example.com", "two\u{a0}words", "two words"),
        ] {
            register(&app, email, set).await.assert_status(201);
            for typed in [set, typed] {
                login(&app, email, typed).await.assert_status(200);
            }
            login(&app, email, "Manana1234").await.assert_error(401, "INVALID_CREDENTIALS");
        }
    }

    async fn a_hash_from_before_is_verified_from_every_keyboard_and_renewed(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        for typed in [APART, COMPOSED] {
            let email = format!("{}@example.com", typed.chars().count());
            register(&app, &email, PASSWORD).await.assert_status(201);
            app.sql(&format!("update passwords set hash = '{OLD_HASH}'")).await;
            login(&app, &email, "Manana1234").await.assert_error(401, "INVALID_CREDENTIALS");
            login(&app, &email, typed).await.assert_status(200);
            assert!(!app.database.sql_texts("select hash from passwords").await.iter().all(|hash| hash == OLD_HASH));
            for typed in [APART, COMPOSED] {
                login(&app, &email, typed).await.assert_status(200);
            }
            app.sql("delete from passwords").await;
        }
    }

    async fn an_ascii_password_is_hashed_as_ever(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        register(&app, ADA, PASSWORD).await.assert_status(201);
        let before = hash_of(&app).await;
        login(&app, ADA, PASSWORD).await.assert_status(200);
        assert_eq!(hash_of(&app).await, before);
    }

    async fn the_same_password_from_another_keyboard_is_no_new_one(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let change = async |current: &str, new: &str| {
            let body = json!({ "current_password": current, "new_password": new });
            app.post("/api/v1/auth/change-password").bearer(&ada.access_token).json(&body).send().await
        };
        let wide: String = PASSWORD.replace("Correct", "\u{ff23}orrect");
        assert!((400..500).contains(&change(PASSWORD, &wide).await.status));
        change(&wide, COMPOSED).await.assert_status(200);
        let body = json!({ "email": ADA, "password": APART });
        app.post("/api/v1/auth/login").json(&body).send().await.assert_status(200);
    }

    async fn a_phone_is_read_as_people_dial_and_paste_it(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        let spellings = [
            json!("00254712345678"),
            json!("\u{200b}0712345678"),
            json!("\u{feff}+254 712 345 678\u{2060}\n"),
            json!("\u{660}\u{667}\u{661}\u{662}\u{663}\u{664}\u{665}\u{666}\u{667}\u{668}"),
            json!("\u{6f0}\u{6f7}\u{6f1}\u{6f2}\u{6f3}\u{6f4}\u{6f5}\u{6f6}\u{6f7}\u{6f8}"),
            json!("\u{ff0b}\u{ff12}\u{ff15}\u{ff14}712345678"),
            json!("tel:+254712345678"),
            json!("0712/345678"),
            json!(254_712_345_678_u64),
            json!(712_345_678),
        ];
        for (number, spelling) in spellings.iter().enumerate() {
            let request = app.post("/api/v1/auth/enter-phone").json(&json!({ "phone": spelling }));
            request.ip(&format!("192.0.2.{number}")).send().await.assert_status(200);
            assert_eq!(app.texts_to(PHONE).await.len(), 1, "{spelling}");
            app.sql("delete from outbox_messages").await;
            app.sql("delete from rate_limit_buckets").await;
        }
        for wrong in [json!("sms:+254712345678"), json!("+00254712345678"), json!(-712_345_678), json!(true), json!(0.5)] {
            let answer = app.post("/api/v1/auth/enter-phone").json(&json!({ "phone": wrong })).send().await;
            answer.assert_status(422);
        }
    }

    async fn a_code_is_read_as_people_copy_it_and_clients_send_it(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        let digits = |code: &str, zero: u32| -> String {
            let in_script = |digit: char| char::from_u32(zero + digit.to_digit(10).unwrap()).unwrap();
            code.chars().map(in_script).collect()
        };
        let spellings: [&dyn Fn(&str) -> Value; 7] = [
            &|code| json!(format!("{} {}", &code[..3], &code[3..])),
            &|code| json!(format!("{}-{}\n", &code[..3], &code[3..])),
            &|code| json!(format!("\u{a0}{code}\u{200b}")),
            &|code| json!(digits(code, 0x660)),
            &|code| json!(digits(code, 0x966)),
            &|code| json!(digits(code, 0xff10)),
            // A number has no zeros at its front.
            &|code| json!(code.parse::<u64>().unwrap()),
        ];
        for (number, spelled) in spellings.iter().enumerate() {
            let phone = format!("+25471200000{number}");
            app.enter_phone(&phone).await.assert_status(200);
            let code = app.latest_text_code(&phone).await;
            let body = json!({ "phone": phone, "code": spelled(&code) });
            app.post("/api/v1/auth/confirm-code").json(&body).send().await.assert_status(200);

            let email = format!("ada{number}@example.com");
            let ada = app.sign_up_rivergen(&email).await;
            let code = spelled(&app.latest_code(&email).await);
            let body = json!({ "temporary_token": format!(" {}\n", ada.temporary_token), "otp_code": code });
            app.post("/api/v1/auth/verify-otp").json(&body).send().await.assert_status(200);
        }
    }

    async fn a_wrong_code_in_another_spelling_is_counted(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        let ada = app.sign_up_rivergen(ADA).await;
        let right = app.latest_code(ADA).await;
        let wrong = if right == "000000" { 1 } else { 0 };
        let body = json!({ "temporary_token": ada.temporary_token, "otp_code": wrong });
        app.post("/api/v1/auth/verify-otp").json(&body).send().await.assert_error(400, "INVALID_OTP");
        assert_eq!(app.sql_count("select attempts from challenges").await, 1);
    }

    async fn an_address_is_read_as_people_paste_it(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        register(&app, "\u{200b}grace@example.com", PASSWORD).await.assert_status(201);
        for pasted in [
            "\u{feff}grace@example.com",
            "grace@example.com\u{200b}",
            "\u{202a}grace@example.com\u{202c}\n",
            "mailto:grace@example.com",
            "grace\u{ff20}example\u{ff0e}com",
        ] {
            login(&app, pasted, PASSWORD).await.assert_status(200);
        }
        app.advance(std::time::Duration::from_secs(60));
        register(&app, "grace@example.com", PASSWORD).await.assert_error(409, "EMAIL_EXISTS");
    }

    async fn an_international_domain_is_shown_as_its_owner_writes_it(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        const SHOWN: &str = "ada@b\u{fc}cher.example";
        const STORED: &str = "ada@xn--bcher-kva.example";
        let registered = register(&app, SHOWN, PASSWORD).await;
        assert_eq!(registered.assert_status(201).text_at("user.email"), SHOWN);
        let stored = "select value from identifiers where kind = 'email'";
        assert_eq!(app.database.sql_texts(stored).await, [STORED]);
        let me = app.get("/api/v2/auth/me").bearer(&registered.text_at("accessToken")).send().await;
        assert_eq!(me.text_at("user.email"), SHOWN);
        for spelled in [SHOWN, STORED] {
            assert_eq!(login(&app, spelled, PASSWORD).await.assert_status(200).text_at("user.email"), SHOWN);
        }
        let body = json!({ "email": SHOWN });
        app.post("/api/v1/auth/forgot-password").json(&body).send().await.assert_status(200);
        let mail = app.kernel().list_outbox(None, 10).await.unwrap().remove(0);
        assert_eq!(mail.message.recipient, STORED, "the mail server is given the ASCII spelling");
        let said = app.kernel().render(&mail).unwrap().unwrap();
        assert!(!said.text().contains("xn--"), "{}", said.text());
        // On the page that its link leads to.
        let token = app.latest_link_token(STORED).await;
        let page = app.get(&format!("/reset-password?token={token}")).send().await;
        assert!(page.assert_status(200).text.contains(SHOWN) && !page.text.contains("xn--"), "{}", page.text);
    }

    async fn an_international_domain_is_shown_so_by_the_other_contracts_and_to_operators(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        const SHOWN: &str = "ada@b\u{fc}cher.example";
        const MANAGED: &str = "bob@b\u{fc}cher.example";
        let ada = app.sign_up_rivergen_verified(SHOWN).await;
        let me = app.get("/api/v1/auth/me").bearer(&ada.access_token).send().await;
        assert_eq!(me.assert_status(200).text_at("data.user.primary_email"), SHOWN);
        assert!(!me.text.contains("xn--"), "{}", me.text);
        let root = app.provision("root@b\u{fc}cher.example").await;
        app.add_individual(&root, MANAGED, "backend").await;
        let list = app.get("/v1/organizations/current/accounts/").bearer(&root.access_token).send().await;
        assert!(list.assert_status(200).text.contains(MANAGED) && !list.text.contains("xn--"), "{}", list.text);
        let operator = Operator::at_command_line(app.kernel().settings().contracts.of_installation());
        for spelled in [SHOWN, "ada@xn--bcher-kva.example"] {
            let name = AccountName::Login(EmailAddress::parse(spelled).unwrap().into());
            let shown = app.identity().export_account(&operator, &name).await.unwrap();
            let shown = serde_json::to_string(&shown).unwrap();
            assert!(shown.contains(SHOWN), "{shown}");
        }
        for mail in app.kernel().list_outbox(None, 100).await.unwrap() {
            let said = app.kernel().render(&mail).unwrap().map(|said| said.text().to_owned()).unwrap_or_default();
            assert!(!said.contains("xn--"), "{}: {said}", mail.message.template);
        }
    }
}
