//! How this contract asks and answers, and what a request leaves behind.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_testkit::{Answer, FakeClock, Person, Request, TestApp};

/// The program every request here is made with.
pub(super) const AGENT: &str = "Analytical Engine/1.0";
/// Where the kit's usual client is.
pub(super) const IP: &str = "198.51.100.7";
/// A password that nobody has.
pub(super) const OTHER_PASSWORD: &str = "Another2horse!";

/// Addresses of as many clients, so that no story meets a limit it is not about.
pub(super) fn somewhere_else(number: u8) -> String {
    format!("203.0.113.{number}")
}

/// Lets time pass.
pub(super) fn wait(app: &TestApp, seconds: u64) {
    app.advance(Duration::from_secs(seconds));
}

/// A request with a JSON body.
pub(super) fn post(app: &TestApp, path: &str, body: &Value) -> Request {
    app.post(&url(path)).header("user-agent", AGENT).json(body)
}

/// The same, by somebody signed in.
pub(super) fn post_as(app: &TestApp, who: &Person, path: &str, body: &Value) -> Request {
    post(app, path, body).bearer(&who.access_token)
}

/// A request by somebody signed in.
pub(super) fn get_as(app: &TestApp, who: &Person, path: &str) -> Request {
    app.get(&url(path)).header("user-agent", AGENT).bearer(&who.access_token)
}

/// A full address under the contract's prefix.
pub(super) fn url(path: &str) -> String {
    format!("/api/v1/{path}")
}

/// Signs somebody in once more, as on a second device.
pub(super) async fn sign_in(app: &TestApp, who: &Person) -> Person {
    sign_in_with(app, who, &json!({ "email": who.email, "password": who.password })).await
}

/// The same, remembered for longer.
pub(super) async fn sign_in_remembered(app: &TestApp, who: &Person) -> Person {
    let claim = json!({ "email": who.email, "password": who.password, "remember_me": true });
    sign_in_with(app, who, &claim).await
}

async fn sign_in_with(app: &TestApp, who: &Person, claim: &Value) -> Person {
    let answer = post(app, "auth/login", claim).send().await;
    tokens(who, answer.assert_status(200))
}

/// Somebody, with the tokens of an answer.
#[track_caller]
pub(super) fn tokens(who: &Person, answer: &Answer) -> Person {
    Person {
        access_token: answer.text_at("data.access_token"),
        refresh_token: answer.text_at("data.refresh_token"),
        ..who.clone()
    }
}

/// The token set of section 1.9, of the first account there is.
#[track_caller]
pub(super) fn token_set(answer: &Answer, email: &str) -> Value {
    json!({
        "access_token": answer.text_at("data.access_token"),
        "refresh_token": answer.text_at("data.refresh_token"),
        "token_type": "bearer",
        "expires_in": 3600,
        "user_id": 1,
        "email": email,
        "is_verified": true,
    })
}

/// Exchanges a refresh token.
pub(super) async fn refresh(app: &TestApp, refresh_token: &str) -> Answer {
    post(app, "auth/refresh", &json!({ "refresh_token": refresh_token })).send().await
}

/// Whether an access token lets its holder in; if not, that it is refused as the contract says.
pub(super) async fn lets_in(app: &TestApp, who: &Person) -> bool {
    let answer = get_as(app, who, "auth/me").send().await;
    if answer.status != 200 {
        assert_refused(app, &answer, 401, "UNAUTHORIZED");
    }
    answer.status == 200
}

/// An answer to a question: `data` in the success envelope, and not to be kept by anybody.
#[track_caller]
pub(super) fn assert_data(answer: &Answer, status: u16, data: &Value) {
    answer.assert_status(status);
    let message = answer.text_at("message");
    assert!(!message.is_empty());
    assert_eq!(answer.body, json!({ "success": true, "data": data, "message": message }));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
}

/// An action's answer: as to a question, and `data` repeats the message.
#[track_caller]
pub(super) fn assert_done(answer: &Answer, status: u16, mut data: Value) {
    answer.assert_status(status);
    data["message"] = answer.field("message").clone();
    assert_data(answer, status, &data);
}

/// An action's answer where there is nothing to say.
#[track_caller]
pub(super) fn assert_no_content(answer: &Answer) {
    answer.assert_status(204);
    assert_eq!((answer.text.as_str(), answer.header("content-type")), ("", ""));
    assert_eq!(answer.header("cache-control"), "no-store");
}

/// A refusal: the whole error envelope, and the headers that go with its status.
#[track_caller]
pub(super) fn assert_refused(app: &TestApp, answer: &Answer, status: u16, code: &str) {
    answer.assert_error(status, code);
    let (message, timestamp) = (answer.text_at("error.message"), app.now().iso_seconds());
    assert!(!message.is_empty());
    let mut error = json!({ "code": code, "message": message, "timestamp": timestamp });
    if !answer.field("error.details").is_null() {
        let (field, reason) = (answer.text_at("error.details.field"), answer.text_at("error.details.reason"));
        error["details"] = json!({ "field": field, "reason": reason });
    }
    assert_eq!(answer.body, json!({ "success": false, "error": error }));
    assert_eq!(answer.header("cache-control"), "no-store");
    crate::routes::assert_challenged(answer);
}

/// Sends what is to be refused, and sees that it changed nothing.
pub(super) async fn refused_without_trace(
    app: &TestApp,
    request: Request,
    status: u16,
    code: &str,
) -> Answer {
    let before = traces(app).await;
    let answer = request.send().await;
    assert_refused(app, &answer, status, code);
    assert_eq!(traces(app).await, before);
    answer
}

/// Another node disables every account, and enables them again.
pub(super) const DISABLED: (&str, &str) =
    ("update accounts set disabled_at = 1", "update accounts set disabled_at = null");

/// Sends what is to be refused after another node's change of the database, of which this one has not heard: it still
/// remembers that the session lives. Sees that nothing else changed, and takes the change back.
pub(super) async fn refused_unheard_of(
    app: &TestApp,
    who: &Person,
    (change, undo): (&str, &str),
    request: Request,
    (status, code): (u16, &str),
) {
    app.catch_up().await;
    assert!(lets_in(app, who).await);
    let before = traces(app).await;
    app.sql(change).await;
    let answer = request.send().await;
    app.sql(undo).await;
    assert_eq!(traces(app).await, before);
    assert_refused(app, &answer, status, code);
}

/// A refusal tells when to come back: `limit` tries, the first of which was made when the test began, last `seconds`.
#[track_caller]
pub(super) fn assert_told_to_wait(answer: &Answer, limit: u32, seconds: u64) {
    let resets_at = FakeClock::START.plus(Duration::from_secs(seconds)).seconds();
    let told = ["retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];
    let expected = [seconds.to_string(), limit.to_string(), "0".to_owned(), resets_at.to_string()];
    assert_eq!(told.map(|name| answer.header(name).to_owned()), expected);
}

/// Sends bodies that are each wrong in the field named, and sees that the field is named and that nothing changed.
pub(super) async fn each_invalid<'a>(
    app: &TestApp,
    status: u16,
    wrong: impl IntoIterator<Item = (&'a str, Value)>,
    request: impl Fn(&Value) -> Request,
) {
    for (field, body) in wrong {
        let answer = refused_without_trace(app, request(&body), status, "VALIDATION_ERROR").await;
        assert_eq!(answer.field("error.details.field"), field, "{body}");
    }
}

/// All that a request can change, rate limits apart: one line per row.
pub(super) async fn traces(app: &TestApp) -> Vec<String> {
    let rows = "
        select 'account ' || number || ' ' || display_name || ' ' || coalesce(profile_image_url, '') || ' '
            || cast(profile as text) || ' ' || coalesce(disabled_at, 0) || ' ' || updated_at from accounts
        union all select 'organization ' || name from organizations
        union all select 'password ' || hash || ' ' || changed_at from passwords
        union all select 'address ' || value || ' ' || coalesce(verified_at, 0) || ' '
            || cast(is_primary as text) from identifiers
        union all select 'session ' || number || ' ' || last_activity_at || ' ' || expires_at || ' '
            || coalesce(revoked_reason, '') from sessions
        union all select 'refresh token ' || issued_at from refresh_tokens
        union all select 'challenge ' || purpose || ' ' || address || ' ' || attempts || ' ' || expires_at || ' '
            || coalesce(consumed_at, 0) from challenges
        union all select 'access token ' || number || ' ' || name || ' ' || scope from access_tokens
        union all select 'mail ' || idempotency_key || ' ' || state from outbox_messages
        union all select 'event ' || number || ' ' || action from audit_events
        union all select 'repeatable answer ' || expires_at from idempotency_records
        order by 1";
    app.database.sql_texts(rows).await
}

/// The audit log, oldest first.
pub(super) async fn audit_log(app: &TestApp) -> Vec<Value> {
    let rows = r#"
        select '{"action":"' || e.action || '","account":' || coalesce(cast(a.number as text), 'null')
            || ',"session":' || coalesce(cast(s.number as text), 'null') || ',"dialect":"' || e.dialect
            || '","ip":"' || e.ip || '","user_agent":"' || e.user_agent || '","at":' || e.at
            || ',"metadata":' || cast(e.metadata as text) || '}'
        from audit_events e left join accounts a on a.id = e.account_id left join sessions s on s.id = e.session_id
        order by e.number"#;
    let rows = app.database.sql_texts(rows).await;
    rows.iter().map(|row| row.parse().expect("an event in JSON")).collect()
}

/// The newest events, oldest of them first.
pub(super) async fn newest_events(app: &TestApp, count: usize) -> Vec<Value> {
    let mut log = audit_log(app).await;
    log.split_off(log.len().saturating_sub(count))
}

/// How often something happened, by the audit log.
pub(super) async fn count_of(app: &TestApp, action: &str) -> usize {
    audit_log(app).await.iter().filter(|event| event["action"] == action).count()
}

/// The audit event of a request made just now, as requests are made here.
pub(super) fn event(
    app: &TestApp,
    action: &str,
    account: Option<i64>,
    session: Option<i64>,
    metadata: &Value,
) -> Value {
    json!({
        "action": action, "account": account, "session": session, "dialect": "rivergen",
        "ip": IP, "user_agent": AGENT, "at": app.now().micros(), "metadata": metadata,
    })
}
