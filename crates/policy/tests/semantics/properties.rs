//! What holds whatever is written.

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use tidegate_policy::*;

use super::written::*;

/// Any policy that takes something away.
fn restrictive(id: i64) -> impl Strategy<Value = Policy> {
    let condition = prop_oneof![
        Just("region = current_user_region"),
        Just("region <> 'US'"),
        Just("id > 2"),
        Just("not (region = 'EU' and id < 3)"),
        Just("region is null or id in (1, 4)"),
        Just("region = current_user_absent"),
        Just("true"),
        Just("false"),
    ];
    let masking = prop_oneof![
        Just("null"),
        Just("hash"),
        Just("partial"),
        Just("rounding"),
        Just("redact"),
        Just("date_truncation")
    ];
    let column = prop_oneof![Just("ssn"), Just("salary"), Just("hired"), Just("id"), Just("tags")];
    let kind = prop_oneof![
        condition.prop_map(|condition| ("filter_rows", json!({ "table": "emp", "condition": condition }))),
        (masking, column.clone()).prop_map(|(masking, column)| {
            (
                "mask_column",
                json!({ "table": "emp", "column": column, "masking_type": masking, "round_to": 10 }),
            )
        }),
        column.prop_map(|column| ("deny_access", json!({ "table": "emp", "columns": [column] }))),
        (1_u64..50).prop_map(|rows| ("limit_query", json!({ "max_rows": rows }))),
    ];
    (kind, 0_i64..3)
        .prop_map(move |((kind, config), priority)| policy(id, priority, vec![rule(id, kind, &config)]))
}

/// Masks of texts with their places in the order of strictness. Those that show a fixed text are equally strict.
const STRICTEST_FIRST: [(u8, &str); 8] = [
    (0, "null"),
    (1, "constant"),
    (1, "full"),
    (1, "redact"),
    (2, "hash"),
    (3, "partial"),
    (4, "email"),
    (5, "regex"),
];

fn several() -> impl Strategy<Value = Vec<Policy>> {
    (restrictive(1), restrictive(2), restrictive(3), restrictive(4), restrictive(5), 1_usize..=5).prop_map(
        |(one, two, three, four, five, count)| {
            [one, two, three, four, five].into_iter().take(count).collect()
        },
    )
}

fn rows() -> Vec<Row> {
    vec![row(1, Some("EU")), row(2, Some("US")), row(3, None), row(4, Some("EU")), row(5, Some("US"))]
}

fn visible(policies: &[Policy]) -> (Resolved, Option<Vec<Row>>) {
    let resolved = answer(&json!({ "region": "EU" }), policies);
    let rows = eval::visible(&resolved, &relation(), &rows(), &hash);
    (resolved, rows)
}

/// What is raw in an answer: places of rows and columns that show what is stored.
fn raw_cells(policies: &[Policy]) -> Vec<(usize, String)> {
    let resolved = answer(&json!({ "region": "EU" }), policies);
    let stored = rows();
    let mut cells = Vec::new();
    for (place, row) in stored.iter().enumerate() {
        let Some(seen) = eval::visible(&resolved, &relation(), std::slice::from_ref(row), &hash) else {
            continue;
        };
        for name in seen.iter().flat_map(|seen| seen.keys()) {
            if !resolved.masks.contains_key(name) {
                cells.push((place, name.clone()));
            }
        }
    }
    cells
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_further_restriction_never_shows_more(policies in several(), further in restrictive(6)) {
        let before = raw_cells(&policies);
        let mut more = policies.clone();
        more.push(further);
        for cell in raw_cells(&more) {
            prop_assert!(before.contains(&cell), "{cell:?} is shown by one policy more: {more:?}");
        }
        let (_, fewer) = visible(&more);
        let (_, all) = visible(&policies);
        prop_assert!(fewer.map_or(0, |rows| rows.len()) <= all.map_or(0, |rows| rows.len()));
    }

    #[test]
    fn the_order_of_creation_does_not_matter(policies in several(), seed in any::<prop::sample::Index>()) {
        let (expected, rows) = visible(&policies);
        let mut turned = policies.clone();
        turned.rotate_left(seed.index(policies.len()));
        prop_assert_eq!(&visible(&turned).0, &expected);
        turned.reverse();
        prop_assert_eq!(visible(&turned), (expected, rows));
    }

    #[test]
    fn a_tie_of_masks_is_decided_as_written(
        masks in prop::collection::vec((0_i64..3, prop::sample::select(STRICTEST_FIRST.to_vec())), 1..8),
        turn in any::<prop::sample::Index>(),
    ) {
        let mut policies: Vec<Policy> = masks
            .iter()
            .zip(1..)
            .map(|((priority, (_, masking)), id)| {
                let config = json!({ "column": "ssn", "masking_type": masking, "value": "x", "pattern": "1", "visible_suffix": 1 });
                mask(id, *priority, config)
            })
            .collect();
        let best = masks.iter().zip(1..).min_by_key(|((priority, (rank, _)), id)| (-*priority, *rank, *id));
        policies.rotate_left(turn.index(masks.len()));
        let resolved = answer(&json!({}), &policies);
        prop_assert_eq!(Some(resolved.masks["ssn"].policy.id), best.map(|(_, id)| id));
    }

    #[test]
    fn masks_keep_the_type_or_give_null(policies in several()) {
        let (resolved, rows) = visible(&policies);
        let stored = row(1, Some("EU"));
        for seen in rows.into_iter().flatten() {
            for (name, masked) in &resolved.masks {
                let (before, after) = (stored.get(name).cloned().unwrap_or(Value::Null), &seen[name]);
                prop_assert!(
                    *after == Value::Null || std::mem::discriminant(&before) == std::mem::discriminant(after),
                    "{masked:?} {before:?} {after:?}"
                );
            }
        }
    }

    #[test]
    fn no_text_panics(text in any::<String>(), mixed in "(region|id|current_user_x|'EU'|1|\\(|\\)| and | or | not | in |=|<|,|like|between|is|null|lower\\(|\"){0,40}") {
        for condition in [&text, &mixed] {
            if let Ok(read) = Condition::parse(condition) {
                let _ = read.check(&relation());
                let _ = answer(&json!({ "x": condition }), &[policy(1, 0, vec![Rule { id: 1, order: 0, kind: RuleKind::parse(RuleType::FilterRows, json!({ "table": "emp", "condition": condition }).as_object().unwrap()).unwrap_or(RuleKind::Unreadable(String::new())) }])]);
            }
        }
    }

    #[test]
    fn no_configuration_panics(kind in 0_usize..5, name in "table|column|condition|operator|masking_type|max_rows|columns|time_window|mask_char|round_to", value in prop_oneof![Just(json!(null)), Just(json!(-1)), Just(json!(1e300)), Just(json!([])), Just(json!([null])), Just(json!({})), any::<String>().prop_map(Json::from), any::<i64>().prop_map(Json::from)]) {
        let mut config = json!({ "table": "emp", "column": "ssn", "masking_type": "partial", "condition": "true", "max_rows": 1 });
        config[name] = value;
        if let Ok(kind) = RuleKind::parse(RuleType::ALL[kind], config.as_object().unwrap()) {
            let _ = kind.check(&relation());
            let rule = Rule { id: 1, order: 0, kind };
            let _ = visible(&[policy(1, 0, vec![rule])]);
        }
    }
}
