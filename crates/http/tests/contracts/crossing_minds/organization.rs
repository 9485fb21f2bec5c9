//! The organization's free document: `organizations/current/`.

use serde_json::{Value, json};
use tidegate_testkit::{Person, TestApp, on_both_engines};

use super::managing::*;

const PATH: &str = "organizations/current/";

async fn document(app: &TestApp, who: &Person) -> Value {
    let answer = get_as(app, who, PATH).send().await;
    let metadata = answer.field("metadata").clone();
    assert_answer(&answer, &json!({ "metadata": metadata }));
    metadata
}

async fn change(app: &TestApp, who: &Person, body: &Value) {
    assert_answer(&patch_as(app, who, PATH, body).send().await, &json!({}));
}

on_both_engines! {
    async fn an_organization_begins_with_an_empty_document(app: TestApp) {
        let root = app.provision(ROOT).await;
        let manager = app.add_individual(&root, ADA, "manager").await;
        let program = app.add_service(&root, "deployer", "manager").await;
        for who in [&root, &manager, &program] {
            assert_eq!(document(&app, who).await, json!({}));
        }
    }

    async fn a_change_is_merged_into_the_document(app: TestApp) {
        let root = app.provision(ROOT).await;
        let manager = app.add_service(&root, "deployer", "manager").await;
        let steps = [
            (
                json!({ "plan": { "name": "free", "seats": 3 }, "tags": [1, 2] }),
                json!({ "plan": { "name": "free", "seats": 3 }, "tags": [1, 2] }),
            ),
            (
                json!({ "plan": { "seats": 4 } }),
                json!({ "plan": { "name": "free", "seats": 4 }, "tags": [1, 2] }),
            ),
            // RFC 7396: null deletes, an array is replaced, something that was no object gives way.
            (
                json!({ "plan": { "name": null }, "tags": [3] }),
                json!({ "plan": { "seats": 4 }, "tags": [3] }),
            ),
            (
                json!({ "tags": { "a": { "b": null, "c": 1 } } }),
                json!({ "plan": { "seats": 4 }, "tags": { "a": { "c": 1 } } }),
            ),
            (json!({ "plan": null, "nothing": null }), json!({ "tags": { "a": { "c": 1 } } })),
            (json!({}), json!({ "tags": { "a": { "c": 1 } } })),
            (json!({ "tags": "\u{1f30a} \"'\\" }), json!({ "tags": "\u{1f30a} \"'\\" })),
        ];
        for (number, (patch, expected)) in steps.into_iter().enumerate() {
            let preserve = [Value::Null, json!(false)][number % 2].clone();
            change(&app, &manager, &json!({ "metadata": patch, "preserve": preserve })).await;
            assert_eq!(document(&app, &root).await, expected);
        }
        assert_eq!(count_of(&app, "organization.updated").await, 7);
    }

    async fn a_change_that_preserves_deletes_nothing_and_adds_to_arrays(app: TestApp) {
        let root = app.provision(ROOT).await;
        change(&app, &root, &json!({ "metadata": { "a": { "b": 1 }, "tags": [1], "x": 1 } })).await;
        let patch = json!({ "a": { "b": null, "c": 2 }, "tags": [1, 2], "x": 2, "y": null });
        change(&app, &root, &json!({ "metadata": patch, "preserve": true })).await;
        let expected = json!({ "a": { "b": 1, "c": 2 }, "tags": [1, 1, 2], "x": 2 });
        assert_eq!(document(&app, &root).await, expected);
    }

    async fn every_organization_has_a_document_of_its_own(app: TestApp) {
        let root = app.provision(ROOT).await;
        let other = app.provision("other@example.com").await;
        change(&app, &root, &json!({ "metadata": { "whose": "root's" } })).await;
        assert_eq!(document(&app, &other).await, json!({}));
        change(&app, &other, &json!({ "metadata": { "whose": null, "who": "other" } })).await;
        assert_eq!(document(&app, &root).await, json!({ "whose": "root's" }));
        assert_eq!(document(&app, &other).await, json!({ "who": "other" }));
    }

    async fn a_document_is_an_object_of_up_to_64_kib(app: TestApp) {
        let root = app.provision(ROOT).await;
        let kept = json!({ "kept": "x".repeat(40 * 1024) });
        change(&app, &root, &json!({ "metadata": kept })).await;
        let with = |metadata: Value| json!({ "metadata": metadata });
        let wrong = [
            ("metadata", json!({})),
            ("metadata", with(Value::Null)),
            ("metadata", with(json!([]))),
            ("metadata", with(json!("x"))),
            ("metadata", with(json!({ "a\u{0}": 1 }))),
            ("metadata", with(json!({ "a": { "b": ["\u{0}"] } }))),
            ("metadata", with(json!({ "x": "x".repeat(64 * 1024) }))),
            // Neither is too large; both together are.
            ("metadata", with(json!({ "more": "x".repeat(40 * 1024) }))),
            ("preserve", json!({ "metadata": {}, "preserve": "yes" })),
            ("preserve", json!({ "metadata": {}, "preserve": 1 })),
        ];
        each_wrong(&app, wrong, |body| patch_as(&app, &root, PATH, body)).await;
        each_malformed(&app, || app.patch("/v1/organizations/current/").bearer(&root.access_token)).await;
        assert_eq!(document(&app, &root).await, kept);
        // Exactly as much as fits.
        let rest = 64 * 1024 - kept.to_string().len() - r#","more":"""#.len();
        let full = with(json!({ "more": "x".repeat(rest) }));
        change(&app, &root, &full).await;
        let one_too_many = [("metadata", with(json!({ "z": 1 })))];
        each_wrong(&app, one_too_many, |body| patch_as(&app, &root, PATH, body)).await;
        change(&app, &root, &with(json!({ "kept": null, "z": 1 }))).await;
        assert_eq!(document(&app, &root).await, json!({ "more": "x".repeat(rest), "z": 1 }));
    }

    async fn changes_at_the_same_moment_are_all_kept(app: TestApp) {
        let root = app.provision(ROOT).await;
        let (client, token) = (app.client(), root.access_token.clone());
        tidegate_testkit::concurrently(10, move |number| {
            let request = client.patch("/v1/organizations/current/").bearer(&token);
            let metadata = json!({ number.to_string(): number, "all": [number] });
            let request = request.json(&json!({ "metadata": metadata, "preserve": true }));
            async move { request.send().await.assert_status(200).status }
        })
        .await;
        let document = document(&app, &root).await;
        let all = document["all"].as_array().unwrap();
        let mut all: Vec<u64> = all.iter().filter_map(Value::as_u64).collect();
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
        assert_eq!(document.as_object().unwrap().len(), 11);
    }
}
