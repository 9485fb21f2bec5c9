//! What applications that register themselves choose, and what they are not given for it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_domain::RegistrationMode;
use tidegate_domain::oauth::GrantType;
use tidegate_oauth::applications::ApplicationChange;
use tidegate_testkit::{Answer, Engine, PASSWORD, TestApp, on_both_engines};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use url::form_urlencoded::Serializer;

use super::assertions::Published;
use super::signing::{JWT_BEARER, OTHER, OWN, assertion, change, operator};
use super::wire::{
    ADA, App, CALLBACK, VERIFIER, approve, assert_flat, claims, exchange, form, parameters_with, refresh,
    sent_back, token_request,
};
use crate::cross_contract::login_rivergen;
use crate::pages::heading;
use crate::pages::sign_in::window::Window;

const BOB: &str = "bob@example.com";
const REGISTER: &str = "/oauth/register";

async fn start_with(engine: Engine, most: u32) -> TestApp {
    let open = move |settings: &mut tidegate_kernel::Settings| {
        let mut rules = settings.oauth.rules.clone();
        rules.registration.mode = RegistrationMode::Open;
        rules.registration.organization = Some(1);
        rules.registration.by_network = None;
        rules.registration.most = most;
        settings.set_oauth(rules);
    };
    TestApp::builder(engine).local_clients().settings(open).start().await
}

async fn start(engine: Engine) -> TestApp {
    start_with(engine, 1_000).await
}

async fn post(app: &TestApp, fields: Value) -> Answer {
    let mut body = json!({ "client_name": "Shop", "redirect_uris": [CALLBACK] });
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    app.post(REGISTER).json(&body).send().await
}

async fn registered(app: &TestApp, fields: Value) -> (App, Answer) {
    let answer = post(app, fields).await;
    answer.assert_status(201);
    let secret = answer.field("client_secret").as_str().map(str::to_owned);
    (App { number: 0, client_id: answer.text_at("client_id"), secret }, answer)
}

/// A list of addresses that is published on this machine.
async fn listed(body: Value) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/sector.json", listener.local_addr().unwrap());
    let body = Arc::new(Mutex::new(body));
    let handler = move || {
        let body = body.lock().unwrap().clone();
        async move { axum::Json(body) }
    };
    let router = axum::Router::new().route("/sector.json", axum::routing::get(handler));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn asked(client: &App) -> std::collections::BTreeMap<String, String> {
    parameters_with(client, &[("scope", "openid email")])
}

fn address(client: &App, changed: &[(&str, &str)]) -> String {
    let mut all = vec![("scope", "openid email")];
    all.extend_from_slice(changed);
    let query = Serializer::new(String::new()).extend_pairs(parameters_with(client, &all)).finish();
    format!("/oauth/authorize?{query}")
}

async fn tokens(app: &TestApp, token: &str, client: &App) -> Answer {
    let back = sent_back(&approve(app, token, &asked(client)).await);
    let answer = exchange(app, client, &back["code"]).await;
    answer.assert_status(200);
    answer
}

on_both_engines! {
    async fn it_chooses_names_of_its_sector(engine: Engine) {
        let app = start(engine).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let two = [CALLBACK, "https://shop.example.org/callback"];
        let sector = listed(json!([CALLBACK, "https://shop.example.org/callback", "https://other.example.com/"])).await;
        let fields = json!({ "subject_type": "pairwise", "redirect_uris": two, "sector_identifier_uri": sector });
        let (client, answer) = registered(&app, fields.clone()).await;
        assert_eq!((answer.text_at("subject_type"), answer.text_at("sector_identifier_uri")), ("pairwise".into(), sector));
        assert!(answer.body.get("pairwise_sector").is_none());
        let subject = async |client: &App| claims(&tokens(&app, &ada.access_token, client).await.text_at("id_token"))["sub"].clone();
        let named = subject(&client).await;
        assert_ne!(named, claims(&ada.access_token)["sub"]);
        assert_eq!(subject(&registered(&app, fields).await.0).await, named, "one sector, one name");
        // Of its redirect URIs, where they have one host in common.
        let (alone, _) = registered(&app, json!({ "subject_type": "pairwise" })).await;
        assert_ne!(subject(&alone).await, named);
        let missing = listed(json!([CALLBACK])).await;
        let no_list = listed(json!({ "redirect_uris": [CALLBACK] })).await;
        for wrong in [
            json!({ "subject_type": "pairwise", "redirect_uris": two }),
            json!({ "subject_type": "pairwise", "redirect_uris": two, "sector_identifier_uri": missing }),
            json!({ "redirect_uris": two, "sector_identifier_uri": missing }),
            json!({ "sector_identifier_uri": no_list }),
            json!({ "sector_identifier_uri": "http://127.0.0.1:1/sector.json" }),
            json!({ "sector_identifier_uri": "https://10.0.0.1/sector.json" }),
            json!({ "sector_identifier_uri": 1 }),
            json!({ "subject_type": "transient" }),
        ] {
            let answer = post(&app, wrong.clone()).await;
            assert_eq!(answer.status, 400, "{wrong}");
            assert_flat(&answer, 400, "invalid_client_metadata");
        }
    }

    /// A stranger learns nothing of the network of this server: whatever keeps a list from being read, the words are the same.
    async fn an_address_that_cannot_be_read_is_answered_in_one_way(engine: Engine) {
        let app = start(engine).await;
        let said = async |uri: String| {
            let answer = post(&app, json!({ "sector_identifier_uri": uri })).await;
            assert_flat(&answer, 400, "invalid_client_metadata");
            answer.text_at("error_description")
        };
        // Nobody listens; and who listens sends this server on.
        let nobody = said("http://127.0.0.1:1/sector.json".to_owned()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/sector.json", listener.local_addr().unwrap());
        let sending_on = async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1_024];
            let _ = stream.read(&mut request).await;
            let answer = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        let (redirected, ()) = tokio::join!(said(uri), sending_on);
        assert_eq!(redirected, nobody);
        assert!(nobody.contains("cannot be read"), "{nobody}");
    }

    /// Anybody names an address: where keys of others may be says nothing of theirs.
    async fn what_strangers_publish_is_on_the_internet_wherever_others_publish(engine: Engine) {
        let app = TestApp::builder(engine).settings(|settings| {
            let mut rules = settings.oauth.rules.clone();
            rules.private_network_clients = true;
            rules.registration.mode = RegistrationMode::Open;
            rules.registration.organization = Some(1);
            rules.registration.client_id_documents = true;
            settings.set_oauth(rules);
        }).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let inside = "https://10.0.0.1/inside.json";
        for fields in [
            json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": inside }),
            json!({ "subject_type": "pairwise", "sector_identifier_uri": inside }),
        ] {
            assert_flat(&post(&app, fields).await, 400, "invalid_client_metadata");
        }
        let described = App { number: 0, client_id: inside.to_owned(), secret: None };
        let refused = crate::oauth::wire::authorize(&app, &ada.access_token, &asked(&described)).await;
        assert_flat(&refused, 400, "invalid_client");
        // The operator knows what stands there.
        let client = crate::oauth::wire::register(&app, &ada, &crate::oauth::wire::described()).await;
        change(&app, &client, None, |metadata| metadata.jwks_uri = Some(inside.to_owned())).await;
    }

    async fn it_chooses_how_userinfo_is_signed(engine: Engine) {
        let app = start(engine).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for algorithm in ["RS256", "ES256", "EdDSA"] {
            let (client, answer) = registered(&app, json!({ "userinfo_signed_response_alg": algorithm })).await;
            assert_eq!(answer.text_at("userinfo_signed_response_alg"), algorithm);
            let token = tokens(&app, &ada.access_token, &client).await.text_at("access_token");
            let told = app.get("/oauth/userinfo").bearer(&token).send().await;
            assert!(told.assert_status(200).header("content-type").starts_with("application/jwt"));
            let header = jsonwebtoken::decode_header(&told.text).unwrap();
            assert_eq!(format!("{:?}", header.alg), algorithm);
            let said = claims(&told.text);
            assert_eq!((&said["aud"], &said["email"]), (&json!(client.client_id), &json!(ADA)));
        }
        for wrong in [json!("none"), json!("HS256"), json!(1)] {
            assert_flat(&post(&app, json!({ "userinfo_signed_response_alg": wrong })).await, 400, "invalid_client_metadata");
        }
    }

    async fn it_chooses_how_id_tokens_are_signed(engine: Engine) {
        let app = start(engine).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for algorithm in ["RS256", "ES256", "EdDSA"] {
            let (client, answer) = registered(&app, json!({ "id_token_signed_response_alg": algorithm })).await;
            assert_eq!(answer.text_at("id_token_signed_response_alg"), algorithm);
            let id = tokens(&app, &ada.access_token, &client).await.text_at("id_token");
            assert_eq!(format!("{:?}", jsonwebtoken::decode_header(&id).unwrap().alg), algorithm);
        }
        // Access tokens are signed with another algorithm from now on: nobody who named one is told another.
        let (client, _) = registered(&app, json!({ "id_token_signed_response_alg": "ES256" })).await;
        app.kernel().rotate_signing_key(tidegate_crypto::SigningAlgorithm::EdDsa).await.unwrap();
        let id = tokens(&app, &ada.access_token, &client).await.text_at("id_token");
        assert_eq!(format!("{:?}", jsonwebtoken::decode_header(&id).unwrap().alg), "ES256");
        for wrong in [json!("none"), json!("HS256"), json!(1)] {
            assert_flat(&post(&app, json!({ "id_token_signed_response_alg": wrong })).await, 400, "invalid_client_metadata");
        }
    }

    async fn it_chooses_tokens_with_a_proof_alone_and_how_old_a_sign_in_may_be(engine: Engine) {
        let app = start(engine).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let fields = json!({ "dpop_bound_access_tokens": true, "require_auth_time": true, "default_max_age": 600 });
        let (client, answer) = registered(&app, fields).await;
        for (name, value) in [("dpop_bound_access_tokens", json!(true)), ("require_auth_time", json!(true)), ("default_max_age", json!(600))] {
            assert_eq!(answer.field(name), &value);
        }
        let back = sent_back(&approve(&app, &ada.access_token, &asked(&client)).await);
        assert_flat(&exchange(&app, &client, &back["code"]).await, 400, "invalid_dpop_proof");
        let holder = crate::oauth::dpop::Holder::new(1);
        let back = sent_back(&approve(&app, &ada.access_token, &asked(&client)).await);
        let issued = holder.exchange(&app, &client, &back["code"]).await;
        assert!(claims(&issued.assert_status(200).text_at("id_token"))["auth_time"].is_i64());
        // Later, the person has to sign in again, unless the request says how long ago is fine.
        app.advance(Duration::from_secs(601));
        let window = Window::new(&app);
        let late = sent_back(&approve(&app, &ada.access_token, &asked(&client)).await);
        assert_eq!(late["error"], "login_required");
        let longer = parameters_with(&client, &[("scope", "openid email"), ("max_age", "3600")]);
        assert!(sent_back(&approve(&app, &ada.access_token, &longer).await).contains_key("code"));
        assert_eq!(heading(&window.visit(&address(&client, &[])).await), "Sign in");
        for wrong in [json!({ "default_max_age": -1 }), json!({ "default_max_age": "soon" }), json!({ "require_auth_time": 1 })] {
            assert_flat(&post(&app, wrong).await, 400, "invalid_client_metadata");
        }
    }

    /// OpenID Connect Registration section 2: `default_acr_values` is what counts where a request has none.
    async fn it_chooses_how_people_sign_in_where_its_requests_do_not_say(engine: Engine) {
        let app = start(engine).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let authenticator = app.enrol_totp(&ada, "Phone").await;
        app.advance(Duration::from_secs(30));
        let (client, answer) = registered(&app, json!({ "default_acr_values": ["mfa"] })).await;
        assert_eq!(answer.field("default_acr_values"), &json!(["mfa"]));
        let window = Window::new(&app);
        let answer = window.try_password(ADA, PASSWORD).await;
        let page = window.follow(answer).await;
        let code = authenticator.code(app.now());
        window.press(&page, "/sign-in/factor", &[("code", &code), ("trust", "yes")]).await;
        let page = window.visit("/sign-out").await;
        window.press(&page, "/sign-out", &[]).await;
        // The browser is trusted now: the password alone signs in, with one factor.
        window.sign_in(ADA).await;
        assert_eq!(heading(&window.visit(&address(&client, &[])).await), "Sign in");
        assert_eq!(heading(&window.visit(&address(&client, &[("acr_values", "1fa")])).await), "Allow access?");
        for wrong in [json!("mfa"), json!(["a b"]), json!([1])] {
            assert_flat(&post(&app, json!({ "default_acr_values": wrong })).await, 400, "invalid_client_metadata");
        }
    }

    /// OpenID Connect dynamic OP: `oidcc-registration-jwks-uri`, `oidcc-refresh-token-rp-key-rotation`.
    async fn it_publishes_its_keys_and_changes_them_between_two_refreshes(engine: Engine) {
        let app = start(engine).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let published = Published::start(OWN).await;
        let fields = json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": published.uri });
        let (client, _) = registered(&app, fields).await;
        let ask = async |key: crate::oauth::signing::Key, id: &str, fields: &[(&str, &str)]| {
            let jwt = key.sign(&assertion(&app, &client, id));
            let mut all = vec![("client_assertion_type", JWT_BEARER), ("client_assertion", jwt.as_str())];
            all.extend_from_slice(fields);
            app.post("/oauth/token").form(&form(&all)).send().await
        };
        let back = sent_back(&approve(&app, &ada.access_token, &asked(&client)).await);
        let code = [
            ("grant_type", "authorization_code"), ("code", &back["code"]), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER),
        ];
        let first = ask(OWN, "1", &code).await.assert_status(200).text_at("refresh_token");
        published.publish(OTHER);
        app.advance(Duration::from_secs(61));
        let second = ask(OTHER, "2", &[("grant_type", "refresh_token"), ("refresh_token", &first)]).await;
        let second = second.assert_status(200).text_at("refresh_token");
        assert_flat(&ask(OWN, "3", &[("grant_type", "refresh_token"), ("refresh_token", &second)]).await, 401, "invalid_client");
    }

    /// OpenID Connect dynamic OP: `oidcc-redirect-uri-query-OK`, `-query-mismatch`.
    async fn an_address_with_a_query_keeps_it(engine: Engine) {
        let app = start(engine).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let with_query = format!("{CALLBACK}?shop=1&lang=en");
        let (client, _) = registered(&app, json!({ "redirect_uris": [with_query] })).await;
        let parameters = parameters_with(&client, &[("scope", "openid"), ("redirect_uri", &with_query)]);
        let back = sent_back(&approve(&app, &ada.access_token, &parameters).await);
        assert_eq!((back["shop"].as_str(), back["lang"].as_str()), ("1", "en"));
        let fields = [
            ("grant_type", "authorization_code"), ("code", &back["code"]), ("redirect_uri", &with_query), ("code_verifier", VERIFIER),
        ];
        token_request(&app, &client, &fields).send().await.assert_status(200);
        for other in [CALLBACK.to_owned(), format!("{CALLBACK}?shop=2&lang=en"), format!("{with_query}&x=1"), format!("{CALLBACK}?lang=en&shop=1")] {
            let parameters = parameters_with(&client, &[("redirect_uri", &other)]);
            assert_flat(&approve(&app, &ada.access_token, &parameters).await, 400, "invalid_request");
        }
    }

    /// RFC 9700 section 4.11.2: a link to this server must not become one to anywhere, because anybody may register an address.
    async fn an_error_of_a_strangers_application_is_a_link_and_no_redirect(engine: Engine) {
        let app = start(engine).await;
        app.sign_up_rivergen_verified(ADA).await;
        app.sign_up_rivergen_verified(BOB).await;
        let (client, _) = registered(&app, json!({})).await;
        let window = Window::new(&app);
        for changed in [("scope", "admin"), ("prompt", "none"), ("max_age", "x")] {
            let page = window.open(&address(&client, &[changed])).await;
            assert_eq!((page.status, page.header("location"), heading(&page)), (400, "", "Request refused"), "{changed:?}");
            assert!(page.text.contains("https://shop.example.com") && page.text.contains("error="), "{}", page.text);
        }
        let posted = window.open(&address(&client, &[("prompt", "none"), ("response_mode", "form_post")])).await;
        assert_eq!((posted.status, heading(&posted)), (400, "Request refused"), "a person presses it, and no script: {}", posted.text);
        let sent = crate::pages::sign_in::window::hidden(&posted, CALLBACK);
        let names: Vec<&str> = sent.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["error", "error_description", "state", "iss"], "nothing of this browser's goes there: {sent:?}");
        let policy = posted.header("content-security-policy");
        assert!(policy.contains("form-action 'self' https://shop.example.com;"), "{policy}");
        // Who was asked and says no has seen whom they answer.
        window.sign_in(BOB).await;
        let page = window.open(&address(&client, &[])).await;
        assert_eq!(heading(&page), "Allow access?");
        let fields = crate::pages::sign_in::window::filled(&page, "/oauth/authorize", &[("choice", "deny")]);
        let denied = window.post("/oauth/authorize", &fields).await;
        assert_eq!(sent_back(&denied)["error"], "access_denied");
        // And a client with a token is nobody's browser.
        let token = login_rivergen(&app.client(), BOB, PASSWORD).await.text_at("data.access_token");
        let back = sent_back(&crate::oauth::wire::authorize(&app, &token, &asked(&client)).await);
        assert_eq!(back["error"], "consent_required");
    }

    /// The same: a stranger has an account, and an ID token that is signed here.
    async fn who_is_signed_out_goes_on_to_a_strangers_application_by_a_link_alone(engine: Engine) {
        let app = start(engine).await;
        app.sign_up_rivergen_verified(ADA).await;
        let bob = app.sign_up_rivergen_verified(BOB).await;
        let bye = "https://shop.example.com/bye";
        let (client, _) = registered(&app, json!({ "post_logout_redirect_uris": [bye] })).await;
        let id_token = tokens(&app, &bob.access_token, &client).await.text_at("id_token");
        let asked = [("id_token_hint", id_token.as_str()), ("post_logout_redirect_uri", bye), ("state", "s")];
        let address = format!("/oauth/logout?{}", form(&asked));
        let window = Window::new(&app);
        let page = window.open(&address).await;
        assert_eq!((page.status, page.header("location"), heading(&page)), (200, "", "Signed out"), "{}", page.text);
        assert!(page.text.contains("go on to https://shop.example.com only if you know it"), "{}", page.text);
        assert!(page.text.contains("href=\"https://shop.example.com/bye?state=s\""), "{}", page.text);
        // Who is signed in with another account is asked, and with this one is sent on: they know whose it is.
        window.sign_in(ADA).await;
        assert_eq!(heading(&window.open(&address).await), "Sign out?");
        let theirs = Window::new(&app);
        theirs.sign_in(BOB).await;
        let answer = theirs.open(&address).await;
        assert_eq!(answer.assert_status(303).header("location"), format!("{bye}?state=s"));
    }

    /// The organization with which it is kept is the operator's: its name must not vouch for a stranger.
    async fn it_is_named_by_its_address_and_by_no_organization(engine: Engine) {
        let app = start(engine).await;
        app.sign_up_rivergen_verified(ADA).await;
        let bob = app.sign_up_rivergen_verified(BOB).await;
        let (client, answer) = registered(&app, json!({})).await;
        let query = form(&[("client_id", &client.client_id), ("redirect_uri", CALLBACK)]);
        let info = app.get(&format!("/api/v1/oauth/app-info?{query}")).send().await;
        assert_eq!(info.assert_status(200).text_at("data.organization_name"), "https://shop.example.com");
        let issued = tokens(&app, &bob.access_token, &client).await;
        refresh(&app, &client, &issued.text_at("refresh_token")).await.assert_status(200);
        let window = Window::new(&app);
        window.sign_in(BOB).await;
        let account = window.visit("/account").await;
        assert!(account.text.contains(&answer.text_at("client_name")), "{}", account.text);
        assert!(account.text.contains("https://shop.example.com") && !account.text.contains("organization of ada"), "{}", account.text);
        // Nor where an operator lets it ask on devices.
        let ways = ApplicationChange {
            grant_types: Some(vec![GrantType::AuthorizationCode, GrantType::DeviceCode]),
            ..ApplicationChange::default()
        };
        let id = client.client_id.parse::<uuid::Uuid>().unwrap().into();
        app.oauth().change_application_for_operator(&operator(&app), id, ways, None, |_| ()).await.unwrap();
        let asked = crate::oauth::devices::ask(&app, &client, &[]).await;
        let page = crate::oauth::devices::type_code(&window, &asked.assert_status(200).text_at("user_code")).await;
        assert_eq!(heading(&page), "Allow this device?", "{}", page.text);
        assert!(page.text.contains("an application of https://shop.example.com, asks"), "{}", page.text);
    }

    /// OpenID Connect dynamic OP: `oidcc-registration-policy-uri`, `-tos-uri`, `-logo-uri`.
    async fn its_policy_and_its_terms_are_links_on_the_page_and_its_picture_is_not(engine: Engine) {
        let app = start(engine).await;
        app.sign_up_rivergen_verified(ADA).await;
        let [policy, terms, logo] = ["policy?a=1&b=\"2", "terms", "logo.png"].map(|path| format!("https://shop.example.com/{path}"));
        let (client, _) = registered(&app, json!({ "policy_uri": policy, "tos_uri": terms, "logo_uri": logo })).await;
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        let page = window.open(&address(&client, &[])).await;
        assert_eq!(heading(&page), "Allow access?");
        for (said, shown) in [("How it treats your data", true), ("Its terms of use", true), (terms.as_str(), true), (logo.as_str(), false)] {
            assert_eq!(page.text.contains(said), shown, "{said}: {}", page.text);
        }
        assert!(!page.text.contains("b=\"2"), "it stays in its attribute: {}", page.text);
    }

    async fn one_network_cannot_use_up_what_belongs_to_all(engine: Engine) {
        let app = start_with(engine, 40).await;
        app.sign_up_rivergen_verified(ADA).await;
        let from = async |ip: &str| {
            let body = json!({ "client_name": "Shop", "redirect_uris": [CALLBACK] });
            app.post(REGISTER).ip(ip).json(&body).send().await
        };
        let mut answered = Vec::new();
        for _ in 0..6 {
            answered.push(from("203.0.113.1").await.status);
        }
        assert_eq!(answered, [201, 201, 201, 201, 201, 503], "a share is five");
        assert_flat(&from("203.0.113.1").await, 503, "temporarily_unavailable");
        from("203.0.113.2").await.assert_status(201);
        // All addresses of an IPv6 site are one.
        let mut answered = Vec::new();
        for host in 0..6 {
            answered.push(from(&format!("2001:db8:1:{host:x}::1")).await.status);
        }
        assert_eq!(answered, [201, 201, 201, 201, 201, 503]);
        assert_eq!(app.sql_count("select count(*) from oauth_applications where registered_from like '%203.0.113%'").await, 0);
    }

    /// A network's part is noted under the master key: another one does not make it anew while the one before still counts.
    async fn a_network_keeps_its_part_when_the_master_key_is_replaced(engine: Engine) {
        let app = start_with(engine, 40).await;
        app.sign_up_rivergen_verified(ADA).await;
        let body = json!({ "client_name": "Shop", "redirect_uris": [CALLBACK] });
        for _ in 0..4 {
            app.post(REGISTER).ip("203.0.113.1").json(&body).send().await.assert_status(201);
        }
        let node = app.another_node_under(2, &[1]).await;
        let under_another = node.client();
        let from = async |ip: &str| under_another.post(REGISTER).ip(ip).json(&body).send().await;
        from("203.0.113.1").await.assert_status(201);
        assert_flat(&from("203.0.113.1").await, 503, "temporarily_unavailable");
        from("203.0.113.2").await.assert_status(201);
        // Once more.
        let node = app.another_node_under(3, &[2, 1]).await;
        let full = node.client().post(REGISTER).ip("203.0.113.1").json(&body).send().await;
        assert_flat(&full, 503, "temporarily_unavailable");
    }
}
