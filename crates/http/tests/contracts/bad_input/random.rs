//! Chance finds what nobody thought of.

use proptest::array::uniform4;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Number, Value};
use tidegate_testkit::{Answer, on_both_engines};

use super::Target;
use crate::routes::{self, Route};

/// Requests tried on each engine. A failure is shrunk; the seed is fixed, so that it comes back.
const CASES: u32 = 2_000;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "\\PC{0,40}",
        "[\\x00-\\x20a-z@.]{0,30}",
        "[a-z]{1,8}@[a-z]{1,8}\\.[a-z]{2,3}",
        "[0-9]{6}",
        "\\+?(254)?0?[71][0-9]{8}",
        "[0-9]{1,6}\\|[A-Za-z0-9]{40}[0-9a-f]{8}",
        "tg[rtlp]_[A-Za-z0-9_-]{0,50}",
        "[A-Z][a-z]{6,12}[0-9]{1,3}",
    ]
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| Number::from_f64(number).map_or(Value::Null, Value::Number)),
        text().prop_map(Value::String),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::Array),
            btree_map(text(), inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A body for a route: anything, or its own fields with anything in them.
fn body_for(route: &Route) -> impl Strategy<Value = Value> + use<> {
    let names: Vec<String> = route.fields.iter().map(|field| field.name.clone()).collect();
    let (count, sample) = (names.len(), route.sample());
    let own = vec(
        prop_oneof![Just(None), json().prop_map(Some), text().prop_map(|text| Some(Value::String(text)))],
        count,
    )
    .prop_map(move |values| {
        let mut body: Map<String, Value> = sample.clone();
        body.extend(names.iter().cloned().zip(values).filter_map(|(name, value)| Some((name, value?))));
        Value::Object(body)
    });
    prop_oneof![1 => json(), 3 => own]
}

/// A header's value: what HTTP lets through.
fn header() -> impl Strategy<Value = Option<String>> {
    let value = prop_oneof![
        "[ -~]{0,80}",
        "Bearer [ -~]{0,80}",
        "Bearer [A-Za-z0-9_-]{0,30}\\.[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,90}",
        "(for=\"?\\[?[0-9a-f:.]{0,20}\\]?(:[0-9]{0,5})?\"?[;,] ?){0,8}",
        "\\PC{0,40}",
    ];
    prop_oneof![Just(None), value.prop_map(Some)]
}

/// What is sent: where, with which body, headers, and whether with a right token.
type Sent = (Route, Value, [Option<String>; 4], bool);

fn sent() -> impl Strategy<Value = Sent> {
    let routes: Vec<Route> = routes::all().into_iter().filter(|route| route.method != "GET").collect();
    (0..routes.len()).prop_flat_map(move |place| {
        let route = routes[place].clone();
        // Signing out would be the end of it.
        let signed_in = any::<bool>().prop_map(move |yes| yes && !route.path.contains("logout"));
        (Just(routes[place].clone()), body_for(&routes[place]), uniform4(header()), signed_in)
    })
}

async fn send(target: &Target, (route, body, headers, signed_in): &Sent) -> Answer {
    let mut request = target.app.client().request(route.method.clone(), &route.sample_path()).json(body);
    if *signed_in {
        request = request.bearer(target.token_for(route));
    }
    for (name, value) in
        ["authorization", "forwarded", "x-forwarded-for", "user-agent"].into_iter().zip(headers)
    {
        if let Some(value) = value
            && !(*signed_in && name == "authorization")
        {
            request = request.header(name, value);
        }
    }
    request.send().await
}

on_both_engines! {
    async fn nothing_that_is_sent_is_an_error_of_ours(target: Target) {
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let handle = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| {
            let outcome = runner.run(&sent(), |sent| {
                let answer = handle.block_on(send(&target, &sent));
                prop_assert!(answer.status < 500, "{} {}", sent.0.name(), answer.text);
                sent.0.assert_listed(&answer, &sent.1.to_string());
                Ok(())
            });
            outcome.unwrap();
        });
    }
}
