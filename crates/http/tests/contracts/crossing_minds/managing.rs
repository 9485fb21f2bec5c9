//! How managers ask, and what they and those they look after are answered.

use axum::http::Method;
use serde_json::{Value, json};
use tidegate_testkit::{Answer, PASSWORD, Person, Request, TestApp};

use crate::watch::row_counts;

/// A password that nobody has, good for people and for programs.
pub(super) const OTHER_PASSWORD: &str = "Another2horse!";
/// Who provisioned the organization of a story.
pub(super) const ROOT: &str = "root@example.com";
/// Somebody in it.
pub(super) const ADA: &str = "ada@example.com";

/// A request with a JSON body.
pub(super) fn ask(app: &TestApp, method: Method, path: &str, body: &Value) -> Request {
    app.client().request(method, &format!("/v1/{path}")).json(body)
}

/// The same, by somebody signed in.
pub(super) fn ask_as(app: &TestApp, who: &Person, method: Method, path: &str, body: &Value) -> Request {
    ask(app, method, path, body).bearer(&who.access_token)
}

/// POST with a JSON body.
pub(super) fn post(app: &TestApp, path: &str, body: &Value) -> Request {
    ask(app, Method::POST, path, body)
}

/// POST by somebody signed in.
pub(super) fn post_as(app: &TestApp, who: &Person, path: &str, body: &Value) -> Request {
    ask_as(app, who, Method::POST, path, body)
}

/// PATCH by somebody signed in.
pub(super) fn patch_as(app: &TestApp, who: &Person, path: &str, body: &Value) -> Request {
    ask_as(app, who, Method::PATCH, path, body)
}

/// DELETE, with a body, by somebody signed in.
pub(super) fn delete_as(app: &TestApp, who: &Person, path: &str, body: &Value) -> Request {
    ask_as(app, who, Method::DELETE, path, body)
}

/// Deletes the account of a token.
pub(super) async fn delete_own(app: &TestApp, who: &Person) -> Answer {
    app.delete("/v1/accounts/").bearer(&who.access_token).send().await
}

/// GET by somebody signed in.
pub(super) fn get_as(app: &TestApp, who: &Person, path: &str) -> Request {
    app.get(&format!("/v1/{path}")).bearer(&who.access_token)
}

/// What a person is made with.
pub(super) fn individual(email: &str, role: &str) -> Value {
    json!({
        "email": email, "role": role, "password": PASSWORD, "first_name": "Ada", "last_name": "Lovelace",
    })
}

/// What a program is made with.
pub(super) fn service(name: &str, role: &str) -> Value {
    json!({ "name": name, "role": role, "password": PASSWORD })
}

/// The accounts of an organization.
pub(super) async fn accounts(app: &TestApp, manager: &Person) -> Value {
    let answer = get_as(app, manager, "organizations/current/accounts/").send().await;
    answer.assert_status(200);
    answer.body
}

/// The listed person of that address; `null` when there is none.
pub(super) async fn listed_person(app: &TestApp, manager: &Person, email: &str) -> Value {
    one_of(&accounts(app, manager).await["individual_accounts"], "email", email)
}

/// The listed program of that name; `null` when there is none.
pub(super) async fn listed_program(app: &TestApp, manager: &Person, name: &str) -> Value {
    one_of(&accounts(app, manager).await["service_accounts"], "name", name)
}

fn one_of(list: &Value, key: &str, value: &str) -> Value {
    let mut found = list.as_array().unwrap().iter().filter(|one| one[key] == value);
    let first = found.next().cloned().unwrap_or_default();
    assert_eq!(found.next(), None, "{value} is listed once");
    first
}

/// Exchanges a refresh token.
pub(super) async fn refresh(app: &TestApp, refresh_token: &str) -> Answer {
    post(app, "login/refresh-token/", &json!({ "refresh_token": refresh_token })).send().await
}

/// Whether an access token lets its holder in; if not, that it is refused as one whose session has ended.
pub(super) async fn lets_in(app: &TestApp, who: &Person) -> bool {
    let answer = app.post("/v1/login/jwt/").bearer(&who.access_token).send().await;
    if answer.status != 200 {
        assert_auth_error(&answer, "INCORRECT_JWT_TOKEN", "the JWT token is incorrect");
    }
    answer.status == 200
}

/// Sees that a session has ended, for its access token and its refresh token.
pub(super) async fn assert_ended(app: &TestApp, who: &Person) {
    assert!(!lets_in(app, who).await);
    let refused = refresh(app, &who.refresh_token).await;
    assert_auth_error(&refused, "INCORRECT_REFRESH_TOKEN", "refresh token is incorrect or invalidated");
}

/// Sees that a session has ended because its account, which was called `key`, is no more.
pub(super) async fn assert_deleted(app: &TestApp, who: &Person, key: &str) {
    assert!(!lets_in(app, who).await);
    assert_unknown_account(&refresh(app, &who.refresh_token).await, key);
}

/// What a sign-in with another password than the usual one is answered.
pub(super) async fn log_in_with(app: &TestApp, kind: &str, name: &str, password: &str) -> Answer {
    app.log_in(kind, name, json!({ "password": password })).await
}

/// Sees that a password, or a key, signs nobody in.
pub(super) async fn assert_no_way_in(app: &TestApp, kind: &str, name: &str, password: &str) {
    let refused = log_in_with(app, kind, name, password).await;
    assert_auth_error(&refused, "INCORRECT_PASSWORD", "account password is incorrect");
}

/// An answer with that body and no other.
#[track_caller]
pub(super) fn assert_answer(answer: &Answer, body: &Value) {
    answer.assert_status(200);
    assert_eq!(&answer.body, body);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
}

/// An answer that says nothing: section 1, "success without payload".
#[track_caller]
pub(super) fn assert_empty(answer: &Answer, status: u16) {
    answer.assert_status(status);
    assert_eq!((answer.text.as_str(), answer.header("content-type")), ("", ""));
    assert_eq!(answer.header("cache-control"), "no-store");
}

/// The whole error envelope of section 2, and the headers that go with its status.
#[track_caller]
pub(super) fn assert_refused(answer: &Answer, status: u16, class: (u16, &str), message: &str, data: &Value) {
    answer.assert_status(status);
    let (code, name) = class;
    let body = json!({ "error_code": code, "error_name": name, "message": message, "error_data": data });
    assert_eq!(answer.body, body);
    assert_eq!(answer.header("cache-control"), "no-store");
    crate::routes::assert_challenged(answer);
}

/// 401 AuthError.
#[track_caller]
pub(super) fn assert_auth_error(answer: &Answer, name: &str, error: &str) {
    let message = format!("Cannot perform authentication: {error}");
    assert_refused(answer, 401, (21, "AuthError"), &message, &json!({ "error": error, "name": name }));
}

/// 401 AuthError about a code from a mail.
#[track_caller]
pub(super) fn assert_wrong_code(answer: &Answer) {
    let (name, error) = ("ACTIVATION_CODE_DOES_NOT_MATCH", "the activation code does not match");
    let hint = answer.text_at("error_data.hint");
    assert!(
        hint.starts_with("it is wrong, used or expired; ") && hint.ends_with("/ sends another one"),
        "{hint}"
    );
    let message = format!("Cannot perform authentication: {error}");
    let data = json!({ "error": error, "name": name, "hint": hint });
    assert_refused(answer, 401, (21, "AuthError"), &message, &data);
}

/// 403 ForbiddenError.
#[track_caller]
pub(super) fn assert_forbidden(answer: &Answer, name: &str, error: &str) {
    let message = format!("Do not have enough permissions to access this resource: {error}");
    assert_refused(answer, 403, (50, "ForbiddenError"), &message, &json!({ "error": error, "name": name }));
}

/// 403 about the owner's account.
#[track_caller]
pub(super) fn assert_is_owner(answer: &Answer, key: &str) {
    assert_forbidden(answer, "INCORRECT_ACCOUNT", &format!("the account {key} has the root role"));
}

/// 404 NotFoundError.
#[track_caller]
pub(super) fn assert_not_found(answer: &Answer, kind: &str, key: &str, name: &str) {
    let message = format!("The {kind} {key} does not exist");
    let data = json!({ "type": kind, "key": key, "name": name });
    assert_refused(answer, 404, (60, "NotFoundError"), &message, &data);
}

/// 404 about an account.
#[track_caller]
pub(super) fn assert_unknown_account(answer: &Answer, key: &str) {
    assert_not_found(answer, "account", key, "ACCOUNT_NOT_FOUND");
}

/// 400 DuplicatedError about an account, with what can be done: the same whose account it is.
#[track_caller]
pub(super) fn assert_duplicated(answer: &Answer, key: &str) {
    let message = format!("The account {key} is duplicated");
    let hint = match key.contains('@') {
        true => {
            "an account that exists joins no other organization: invite another address of the person, or have an operator \
             delete that account (tidegate user delete) and invite again; to somebody who was invited, \
             PUT /v1/accounts/resend-verification-code/ mails a new code"
        }
        false => "another program has the name: choose another one",
    };
    let data = json!({ "type": "account", "key": key, "name": "DUPLICATED_ACCOUNT", "hint": hint });
    assert_refused(answer, 400, (42, "DuplicatedError"), &message, &data);
}

const WRONG_DATA: (u16, &str) = (40, "WrongData");
const WRONG_DATA_MESSAGE: &str = "There is an error in the submitted data";

/// 400 WrongData about fields: exactly these, for exactly these reasons.
#[track_caller]
pub(super) fn assert_wrong_fields(answer: &Answer, query: &Value) {
    let data = json!({ "query": query, "name": "WRONG_DATA_TYPE" });
    assert_refused(answer, 400, WRONG_DATA, WRONG_DATA_MESSAGE, &data);
}

/// 400 WrongData about one field, for whatever reason.
#[track_caller]
pub(super) fn assert_wrong_field(answer: &Answer, field: &str) {
    let reasons = answer.field("error_data.query")[field].clone();
    let texts = reasons.as_array().map_or(0, Vec::len);
    assert!(texts == 1 && reasons[0].as_str().is_some_and(|text| !text.is_empty()), "{}", answer.text);
    assert_wrong_fields(answer, &json!({ field: reasons }));
}

/// 400 WrongData about the body as a whole.
#[track_caller]
pub(super) fn assert_no_object(answer: &Answer) {
    let data = json!({ "error": answer.text_at("error_data.error"), "name": "WRONG_DATA_TYPE" });
    assert_refused(answer, 400, WRONG_DATA, WRONG_DATA_MESSAGE, &data);
}

/// 429 TooManyRequests.
#[track_caller]
pub(super) fn assert_told_to_wait(answer: &Answer, seconds: u64) {
    let message = "The amount of requests exceeds the limit of your subscription";
    let data = json!({ "name": "RATE_LIMIT_OVERFLOW", "retry_after": seconds });
    assert_refused(answer, 429, (2, "TooManyRequests"), message, &data);
    assert_eq!(answer.header("retry-after"), seconds.to_string());
}

/// Sends what is to be refused, and sees that it left nothing behind.
pub(super) async fn without_trace(app: &TestApp, request: Request) -> Answer {
    let before = row_counts(app).await;
    let answer = request.send().await;
    assert!(answer.status >= 400, "{}", answer.text);
    assert_eq!(row_counts(app).await, before);
    answer
}

/// Sends bodies that are each wrong in the field named and in no other, and sees that nothing came of it.
pub(super) async fn each_wrong<'a>(
    app: &TestApp,
    wrong: impl IntoIterator<Item = (&'a str, Value)>,
    request: impl Fn(&Value) -> Request,
) {
    for (field, body) in wrong {
        println!("{field}: {body:.200}");
        assert_wrong_field(&without_trace(app, request(&body)).await, field);
    }
}

/// Sends what is no object of fields, and sees that nothing came of it.
pub(super) async fn each_malformed(app: &TestApp, request: impl Fn() -> Request) {
    for body in ["[]", "\"x\"", "true", "{", "{\"email\":}", "x", "{} {}"] {
        println!("{body}");
        let request = request().body("application/json", body);
        assert_no_object(&without_trace(app, request).await);
    }
}

/// How often something happened, by the audit log.
pub(super) async fn count_of(app: &TestApp, action: &str) -> i64 {
    app.sql_count(&format!("select count(*) from audit_events where action = '{action}'")).await
}

/// The parameters of a link's query, decoded, in their order.
pub(super) fn query_of(link: &str) -> Vec<(String, String)> {
    let (_, query) = link.split_once('?').expect("a query");
    let pairs = query.split('&').map(|pair| pair.split_once('=').expect("a value"));
    pairs.map(|(name, value)| (name.to_owned(), percent_decoded(value))).collect()
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            b'+' => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}
