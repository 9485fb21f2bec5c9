//! The bounds a description gives are those of the code: on the bound a value is taken, beyond it is refused.

use serde_json::{Number, Value, json};
use tidegate_testkit::{Answer, on_both_engines};

use super::Target;
use crate::routes::{self, Field, Route};

/// Whose success would end the session the next request needs, and an application, which is read once a person: its bounds
/// have tests of their own.
const LEFT_OUT: [&str; 2] = ["/api/v1/auth/change-password", "/api/v1/account/create"];
/// Integers that every client can send exactly. More are understood.
const EXACT: i64 = 9_007_199_254_740_991;

/// A value for a field, and whether the description allows it.
type Case = (Value, bool);

/// Of whose fields one or another must be there.
const ALTERNATIVES: [&str; 3] =
    ["/api/v1/auth/mfa/verify", "/api/v1/auth/step-up", "/api/v1/webauthn/authenticate/complete"];

/// Whether the description allows `null`.
fn may_be_null(field: &Field) -> bool {
    let is_null = |kind: &Value| *kind == "null";
    let kinds = &field.schema["type"];
    let choices = field.schema["oneOf"].as_array().into_iter().flatten();
    is_null(kinds)
        || kinds.as_array().is_some_and(|kinds| kinds.iter().any(is_null))
        || choices.into_iter().any(|one| is_null(&one["type"]))
}

fn cases_of(route: &Route, field: &Field, sample: &Value) -> Vec<Case> {
    let mut cases = Vec::new();
    if !field.required && may_be_null(field) && !ALTERNATIVES.contains(&route.path.as_str()) {
        cases.push((Value::Null, true));
    }
    let words = field.schema["enum"].as_array().into_iter().flatten();
    cases.extend(words.map(|word| (word.clone(), true)));
    if field.schema["enum"].is_array() {
        cases.push((json!("klingon"), false));
    }
    match field.schema["format"].as_str().unwrap_or_default() {
        "picture" => {}
        "one-time-code" | "texted-code" | "backup-code" | "phone" => {
            let sample = sample.as_str().unwrap();
            cases.extend([(json!(sample), true), (json!(format!("{sample}00000")), false)]);
            cases.push((json!(sample.get(..3).unwrap()), false));
        }
        "email" => cases.extend([(json!(address_of(254)), true), (json!(address_of(255)), false)]),
        "backchannel-uri" => {
            cases.extend(longest(field, sample.as_str().unwrap()));
            // As long as the shortest may be, which is no address yet.
            cases.extend([(json!("a"), false), (json!(""), false)]);
        }
        _ if field.kind == "string" => cases.extend(lengths(field, sample.as_str().unwrap())),
        _ => cases.extend(numbers(field)),
    }
    cases
}

/// The bound of a text's length.
fn length_bound(field: &Field, key: &str) -> Option<usize> {
    field.schema[key].as_u64().map(|bound| usize::try_from(bound).unwrap())
}

/// Texts as long as the description says, and one more or less. What else it asks for, the sample has.
fn lengths(field: &Field, sample: &str) -> Vec<Case> {
    let is_password = field.schema["format"] == "password";
    let shortest = |length: usize| json!(format!("aA1!{}", "b".repeat(length.saturating_sub(4))));
    let least = length_bound(field, "minLength").into_iter().flat_map(move |least| match least {
        _ if is_password => [(shortest(least), true), (shortest(least - 1), false)],
        least => [(json!("a".repeat(least)), true), (json!("a".repeat(least - 1)), false)],
    });
    longest(field, sample).into_iter().chain(least).collect()
}

/// A text as long as the description allows, and one that is longer.
fn longest(field: &Field, sample: &str) -> Vec<Case> {
    let of_length = |length: usize| -> Value {
        let padded = format!("{sample}{}", "a".repeat(length.saturating_sub(sample.len())));
        // The end of a sample password has what the rule asks for.
        padded.get(padded.len() - length..).unwrap_or_default().into()
    };
    let most = length_bound(field, "maxLength").into_iter();
    most.flat_map(|most| [(of_length(most), true), (of_length(most + 1), false)]).collect()
}

fn numbers(field: &Field) -> Vec<Case> {
    let bound = |key: &str| field.schema[key].as_number().filter(|bound| !is_widest(bound)).cloned();
    let beyond = |bound: Number, step: f64| match bound.as_i64() {
        Some(whole) => json!(whole + step as i64),
        None => json!(bound.as_f64().unwrap() + step),
    };
    let of = |key: &str, step: f64| {
        bound(key).into_iter().flat_map(move |bound| [(json!(bound), true), (beyond(bound, step), false)])
    };
    of("minimum", -1.0).chain(of("maximum", 1.0)).collect()
}

/// Whether a bound is of the number, not of what it means.
fn is_widest(bound: &Number) -> bool {
    bound.as_i64().is_some_and(|bound| bound.abs() == EXACT)
        || bound.as_f64().is_some_and(|bound| bound.abs() == 8e12)
}

/// An address of so many characters.
fn address_of(length: usize) -> String {
    let label = "a".repeat(60);
    let domain = format!("{label}.{label}.{label}.example");
    format!("{}@{domain}", "b".repeat(length - domain.len() - 1))
}

/// Whether the field was refused as invalid.
fn is_invalid(route: &Route, answer: &Answer) -> bool {
    match answer.code() {
        "INVALID_PASSWORD" => true,
        // Here it says which method is none.
        "INVALID_REQUEST" => route.path == "/api/v1/auth/mfa/otp/generate",
        "" => answer.body.get("errors").is_some(),
        code => (answer.status, code) == route.invalid(),
    }
}

/// Whether it is said after the token of the body was looked at, which is nobody's here.
fn is_said_late(route: &Route, field: &Field) -> bool {
    route.path == "/api/v1/auth/reset-password" && field.name == "new_password"
}

/// Whether the operator decides about it.
fn is_of_operator(field: &Field) -> bool {
    ["email_redirect_url", "resource"].contains(&field.name.as_str())
}

on_both_engines! {
    async fn the_bounds_that_are_described_are_those_that_are_enforced(target: Target) {
        let mut tried = 0;
        for route in routes::with_body().into_iter().filter(|route| !LEFT_OUT.contains(&route.path.as_str())) {
            let sample = route.sample();
            for field in route.fields.iter().filter(|field| !is_of_operator(field)) {
                let Some(usual) = sample.get(&field.name) else { continue };
                for (value, is_allowed) in cases_of(&route, field, usual) {
                    if !is_allowed && is_said_late(&route, field) {
                        continue;
                    }
                    let mut body = sample.clone();
                    body.insert(field.name.clone(), value.clone());
                    let answer = target.send_json(&route, body).await;
                    let refused = is_invalid(&route, &answer);
                    assert_eq!(!refused, is_allowed, "{} {}: {value}: {}", route.name(), field.name, answer.text);
                    tried += 1;
                }
            }
        }
        assert!(tried > 150, "the descriptions lost their bounds: {tried}");
    }
}
