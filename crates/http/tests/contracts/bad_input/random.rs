//! Chance finds what nobody thought of.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Number, Value};
use tidegate_testkit::on_both_engines;

use super::Target;
use crate::routes::{self, Route};

/// Requests tried on each engine. A failure is shrunk; the seed is fixed, so that it comes back.
const CASES: u32 = 400;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "\\PC{0,40}",
        "[\\x00-\\x20a-z@.]{0,30}",
        "[a-z]{1,8}@[a-z]{1,8}\\.[a-z]{2,3}",
        "[0-9]{6}",
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

on_both_engines! {
    async fn nothing_that_is_sent_is_an_error_of_ours(target: Target) {
        let routes = routes::with_body();
        let one = (0..routes.len()).prop_flat_map(move |place| {
            let route = routes[place].clone();
            let headers = [header().boxed(), header().boxed(), header().boxed(), header().boxed()];
            (body_for(&route), headers, any::<bool>()).prop_map(move |rest| (route.clone(), rest))
        });
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let handle = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| {
            runner.run(&one, |(route, (body, headers, signed_in))| {
                let answer = handle.block_on(async {
                    let mut request = target.app.client().request(route.method.clone(), &route.sample_path());
                    if signed_in && route.bearer {
                        request = request.bearer(&target.ada.access_token);
                    }
                    let names = ["authorization", "forwarded", "x-forwarded-for", "user-agent"];
                    for (name, value) in names.into_iter().zip(&headers) {
                        if let Some(value) = value && !(signed_in && name == "authorization") {
                            request = request.header(name, value);
                        }
                    }
                    request.json(&body).send().await
                });
                prop_assert!(answer.status < 500, "{} {}", route.name(), answer.text);
                route.assert_listed(&answer, &body.to_string());
                Ok(())
            })
        })
        .unwrap();
    }
}
