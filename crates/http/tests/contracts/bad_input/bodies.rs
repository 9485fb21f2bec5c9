//! Bodies that are not what the route takes.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, Bytes};
use futures_util::stream;
use serde_json::{Value, json};
use tidegate_domain::ContractId;
use tidegate_testkit::on_both_engines;

use super::Target;
use crate::routes::{self, Field, Route};
use crate::watch::row_counts;

/// The most bytes a route reads.
fn limit_of(route: &Route) -> usize {
    match route.path.rsplit_once('/').unwrap() {
        ("/api/v1/auth/me", "profile") => 3 << 20,
        ("/api/v1/account", "create") => 15 << 20,
        _ if route.is_of_platform() => 64 << 10,
        _ if route.fields.iter().any(|field| field.name == "metadata") => 1 << 20,
        _ => 64 << 10,
    }
}

/// A body without a known length and without an end, which knows how much of it was read.
#[derive(Default)]
struct Endless(Arc<AtomicUsize>);

impl Endless {
    fn body(&self) -> Body {
        let read = Arc::clone(&self.0);
        Body::from_stream(stream::repeat_with(move || {
            read.fetch_add(1, Ordering::SeqCst);
            Ok::<_, Infallible>(Bytes::from_static(&[b' '; 65_536]))
        }))
    }

    fn bytes_read(&self) -> usize {
        self.0.load(Ordering::SeqCst) * 65_536
    }
}

/// Values of every type but the field's own, and but those that are nothing where an application is read.
fn ill_typed(route: &Route, field: &Field) -> Vec<Value> {
    let values = [
        ("boolean", json!(true)),
        ("number", json!(1.5)),
        ("number", json!(1e300)),
        ("integer", json!(7)),
        ("string", json!("text")),
        ("array", json!([])),
        ("array", json!(["text"])),
        ("object", json!({})),
        ("object", json!({ "text": "text" })),
    ];
    // Some clients send digits as the number they look like.
    let is_digits = ["phone", "code", "otp_code"].contains(&field.name.as_str());
    let fits = |kind: &str| match field.kind.as_str() {
        "any" => true,
        "string" if is_digits && kind == "integer" => true,
        "number" => ["number", "integer"].contains(&kind),
        own => own == kind,
    };
    // Applications: an empty list is nothing, and an object in place of a list is a list of one.
    let is_application = route.path.ends_with("/account/create");
    let is_understood = |value: &Value| *value == json!([]) || (field.kind == "array" && value.is_object());
    let ill_typed =
        values.into_iter().filter(|(kind, value)| !(fits(kind) || is_application && is_understood(value)));
    ill_typed.map(|(_, value)| value).collect()
}

on_both_engines! {
    async fn what_is_no_json_object_is_refused(target: Target) {
        let before = row_counts(&target.app).await;
        for route in routes::with_body() {
            for body in [
                "", " ", "null", "true", "1", "\"text\"", "[]", "[{}]", "{", "}", "{}{}", "{} x", "{'a': 1}", "{a: 1}",
                "{\"a\"}", "{\"a\": }", "{\"a\": 1,}", "{\"a\": 01}", "{\"a\": NaN}", "{\"a\": \"\u{1}\"}",
                "{\"a\": \"\\x\"}", "\u{feff}", "email=a%40b.cd&password=x", "<a/>",
            ] {
                // Some of this contract's clients send nothing, or null, for a body without fields.
                if route.contract == ContractId::CROSSING_MINDS && ["", " ", "null"].contains(&body) {
                    continue;
                }
                // A test of a data source needs none.
                if route.path.ends_with("/test") && body.is_empty() {
                    continue;
                }
                let answer = target.send(&route, body).await;
                route.assert_refused(&answer, route.malformed(), body);
            }
            for bytes in [b"{\"a\": \"\xff\"}".as_slice(), b"\xff\xfe{\0}\0", b"{\"\xc0\xaf\": 1}", b"\0", b"{}\0"] {
                let answer = target.send(&route, bytes).await;
                route.assert_refused(&answer, route.malformed(), "bytes that are no text");
            }
        }
        assert_eq!(row_counts(&target.app).await, before);
    }

    async fn nesting_numbers_and_repetition_have_bounds(target: Target) {
        let before = row_counts(&target.app).await;
        for route in routes::with_body() {
            for deep in ["[", "{\"a\":"] {
                let answer = target.send(&route, format!("{{\"deep\":{}", deep.repeat(10_000))).await;
                route.assert_refused(&answer, route.malformed(), "deep nesting");
            }
            for field in &route.fields {
                let name = &field.name;
                let answer = target.send(&route, format!("{{\"{name}\": null, \"{name}\": null}}")).await;
                route.assert_refused(&answer, route.malformed(), "a field sent twice");
                if field.kind == "any" {
                    continue;
                }
                for number in ["1e400", "-1e400", "123456789012345678901234567890", "-0.0", "1e-400"] {
                    let answer = target.send(&route, format!("{{\"{name}\": {number}}}")).await;
                    // Some are no numbers of any type.
                    let refusal = if answer.status == 400 { route.malformed() } else { route.invalid() };
                    route.assert_refused(&answer, refusal, number);
                }
            }
        }
        assert_eq!(row_counts(&target.app).await, before);
    }

    async fn a_body_of_more_values_than_any_needs_is_refused_whatever_their_type(target: Target) {
        let before = row_counts(&target.app).await;
        for route in routes::with_body() {
            let names = route.fields.iter().map(|field| field.name.as_str());
            for name in names.chain(["unknown"]) {
                for (dense, story) in [("{\"\":0},", "objects"), ("[],", "arrays"), ("0,", "numbers"), ("\"\",", "texts")] {
                    let body = format!("{{\"{name}\":[{}0]}}", dense.repeat(9_000));
                    let answer = target.send(&route, body).await;
                    route.assert_refused(&answer, route.malformed(), &format!("{name} of many {story}"));
                    assert!(answer.text.contains("too many values"), "{}", answer.text);
                }
                let deep = format!("{{\"{name}\":{}1{}}}", "[".repeat(32), "]".repeat(32));
                let answer = target.send(&route, deep).await;
                route.assert_refused(&answer, route.malformed(), &format!("{name} nested deeply"));
                assert!(answer.text.contains("nested too deeply"), "{}", answer.text);
            }
        }
        assert_eq!(row_counts(&target.app).await, before);
    }

    async fn a_field_of_another_type_is_named(target: Target) {
        let before = row_counts(&target.app).await;
        for route in routes::with_body() {
            for field in &route.fields {
                for value in ill_typed(&route, field) {
                    let mut body = route.sample();
                    body.insert(field.name.clone(), value.clone());
                    let answer = target.send_json(&route, body).await;
                    let story = format!("{} as {value}", field.name);
                    route.assert_refused(&answer, route.invalid(), &story);
                    // A value in place of a list of one is named as that one.
                    let is_named = |name: &&str| name.split('.').next() == Some(field.name.as_str());
                    assert!(named(&answer.body).iter().any(is_named), "{story}: {}", answer.text);
                }
            }
        }
        assert_eq!(row_counts(&target.app).await, before);
    }

    async fn a_missing_field_is_named(target: Target) {
        let before = row_counts(&target.app).await;
        for route in routes::with_body() {
            for field in route.fields.iter().filter(|field| field.required) {
                for absent in [None, Some(Value::Null)] {
                    let mut body = route.sample();
                    body.remove(&field.name);
                    body.extend(absent.map(|null| (field.name.clone(), null)));
                    let answer = target.send_json(&route, body).await;
                    route.assert_refused(&answer, route.invalid(), &format!("no {}", field.name));
                    assert_eq!(named(&answer.body), [field.name.as_str()], "{}", answer.text);
                }
            }
        }
        assert_eq!(row_counts(&target.app).await, before);
    }

    async fn a_body_of_another_type_is_refused_unread(target: Target) {
        let before = row_counts(&target.app).await;
        for route in routes::with_body() {
            for kind in [
                None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("multipart/form-data; boundary=x"),
                Some("text/json"), Some("application/jsonp"), Some("application/merge-patch+json"), Some("json"),
                Some("*/*"), Some(""), Some("application/json, text/plain"), Some("application/\u{e9}"),
            ] {
                let endless = Endless::default();
                let request = target.request(&route).stream(endless.body());
                let request = match kind {
                    Some(kind) => request.header("content-type", kind),
                    None => request,
                };
                let answer = request.send().await;
                route.assert_refused(&answer, (415, "UNSUPPORTED_MEDIA_TYPE"), &format!("a body of type {kind:?}"));
                assert_eq!(endless.bytes_read(), 0, "{} read a body of type {kind:?}", route.name());
            }
        }
        assert_eq!(row_counts(&target.app).await, before);
    }

    async fn a_body_that_is_too_large_is_refused_without_reading_it_all(target: Target) {
        let before = row_counts(&target.app).await;
        for route in routes::all() {
            // Riven's reads none.
            let takes_any = route.takes_body() || (route.path.contains("logout") && route.contract != ContractId::RIVEN);
            if !takes_any {
                continue;
            }
            let limit = limit_of(&route);
            let refusal = route.too_large();
            let answer = target.send(&route, vec![b' '; limit + 1]).await;
            route.assert_refused(&answer, refusal, "a body that says it is too large");
            let endless = Endless::default();
            let request = target.request(&route).header("content-type", "application/json");
            let answer = request.stream(endless.body()).send().await;
            route.assert_refused(&answer, refusal, "a body without an end");
            assert!(endless.bytes_read() <= limit + 65_536, "{} read on", route.name());
        }
        assert_eq!(row_counts(&target.app).await, before);
    }

    async fn a_body_that_breaks_off_is_refused(target: Target) {
        let before = row_counts(&target.app).await;
        for route in routes::with_body() {
            let half = stream::iter([Ok(Bytes::from_static(b"{\"email\":")), Err(std::io::Error::other("gone"))]);
            let request = target.request(&route).header("content-type", "application/json");
            let answer = request.stream(Body::from_stream(half)).send().await;
            route.assert_refused(&answer, route.malformed(), "half a body");
        }
        assert_eq!(row_counts(&target.app).await, before);
    }
}

/// The fields that a validation error names, in whichever contract's envelope.
fn named(body: &Value) -> Vec<&str> {
    if let Value::Object(fields) = &body["error_data"]["query"] {
        return fields.keys().map(String::as_str).collect();
    }
    if let Value::Object(fields) = &body["errors"] {
        return fields.keys().map(String::as_str).collect();
    }
    match &body["error"]["details"] {
        Value::Array(details) => details.iter().filter_map(|detail| detail["field"].as_str()).collect(),
        detail => detail["field"].as_str().into_iter().collect(),
    }
}
