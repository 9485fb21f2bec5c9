//! What each kind of rule means, and what is refused.

use std::slice;

use serde_json::{Value as Json, json};
use tidegate_policy::*;

use super::written::*;

#[test]
fn an_attribute_is_a_value_and_not_a_part_of_the_text() {
    for region in ["EU", "O'Brien", "' or '1'='1", "%", "current_user_id", ""] {
        let resolved = answer(&json!({ "region": region }), &[filter(1, "region = current_user_region")]);
        let rows = [row(1, Some("EU")), row(2, Some(region)), row(3, None)];
        let expected = if region == "EU" { vec![1, 2] } else { vec![2] };
        assert_eq!(ids(&resolved, &rows), expected, "{region}");
        assert_eq!(resolved.attributes["region"], Attribute::Text(region.to_owned()));
    }
}

#[test]
fn null_is_hidden_also_behind_not() {
    let rows = [row(1, Some("EU")), row(2, Some("US")), row(3, None)];
    let seen = |condition| ids(&answer(&json!({}), &[filter(1, condition)]), &rows);
    assert_eq!(seen("region = 'EU'"), [1]);
    assert_eq!(seen("not region = 'EU'"), [2]);
    assert_eq!(seen("region <> 'EU'"), [2]);
    assert_eq!(seen("region not in ('EU')"), [2]);
    assert_eq!(seen("region not like 'E%'"), [2]);
    assert_eq!(seen("region is null or region = 'US'"), [2, 3]);
    assert_eq!(seen("lower(region) = 'eu' or length(region) = 3"), [1]);
    assert_eq!(seen("id between 2 and 3"), [2, 3]);
    assert_eq!(seen("id not between 2 and 3"), [1]);
    assert_eq!(seen("salary = 100 and hired < '2024-07-02' and salary > 99.99"), [1, 2, 3]);
}

#[test]
fn a_missing_or_unfit_attribute_denies_whatever_else_the_condition_says() {
    let written = "region = current_user_region or true or id = current_user_badge";
    let resolved = answer(&json!({ "badge": 1 }), &[filter(1, written)]);
    assert_eq!(reason(&resolved), &Reason::MissingAttribute("region".to_owned()));
    let resolved = answer(&json!({ "region": ["EU"], "badge": 1 }), &[filter(1, written)]);
    assert_eq!(reason(&resolved), &Reason::UnfitAttribute("region".to_owned(), ColumnType::Text));
    let resolved = answer(&json!({ "region": "EU", "badge": "x" }), &[filter(1, written)]);
    let unfit = Reason::UnfitAttribute("badge".to_owned(), ColumnType::Int { bits: 64 });
    assert_eq!(reason(&resolved), &unfit);
    assert_eq!(resolved.attributes["badge"], Attribute::Text("x".to_owned()));
    assert!(resolved.filter.is_none() && resolved.masks.is_empty());
    // Identifiers often come as text, and the other way round.
    let resolved = answer(&json!({ "region": "EU", "badge": "17" }), &[filter(1, "id = current_user_badge")]);
    assert_eq!(ids(&resolved, &[row(17, None), row(18, None)]), [17]);
}

#[test]
fn lists_of_attributes_are_lists_of_values() {
    let rows = [row(1, Some("EU")), row(2, Some("US")), row(3, Some("APAC"))];
    let of = |attributes: Json, condition| ids(&answer(&attributes, &[filter(1, condition)]), &rows);
    assert_eq!(of(json!({ "regions": ["EU", "APAC"] }), "region in current_user_regions"), [1, 3]);
    assert_eq!(of(json!({ "regions": ["EU"] }), "region in (current_user_regions, 'US')"), [1, 2]);
    assert_eq!(of(json!({ "regions": [] }), "region in current_user_regions"), [0_i128; 0]);
    assert_eq!(of(json!({ "regions": "US" }), "region in current_user_regions"), [2]);
    assert_eq!(of(json!({ "teams": ["finance"] }), "'finance' in current_user_teams"), [1, 2, 3]);
    assert_eq!(of(json!({ "teams": ["sales"] }), "'finance' in current_user_teams"), [0_i128; 0]);
}

#[test]
fn one_mask_of_the_highest_priority_then_the_strictest_then_the_lowest_number() {
    let of = |policies: &[Policy]| {
        let resolved = answer(&json!({}), policies);
        let masked = &resolved.masks["ssn"];
        (masked.policy.id, masked.mask.clone())
    };
    let null = |id, priority| mask(id, priority, json!({ "column": "ssn", "masking_type": "null" }));
    let hashed = |id, priority| mask(id, priority, json!({ "column": "SSN", "masking_type": "hash" }));
    assert_eq!(of(&[null(1, 0), hashed(2, 5)]), (2, Mask::Hash));
    assert_eq!(of(&[hashed(1, 5), null(2, 5)]), (2, Mask::Null));
    assert_eq!(of(&[hashed(9, 5), hashed(4, 5)]).0, 4);
    let email = mask(3, 5, json!({ "column": "ssn", "masking_type": "email" }));
    let redact = mask(8, 5, json!({ "column": "ssn", "masking_type": "redact" }));
    assert_eq!(of(&[email, hashed(4, 5), redact]).0, 8);
}

#[test]
fn the_same_is_shown_whichever_policies_say_so() {
    let of = |policies: &[Policy]| answer(&json!({ "region": "EU" }), policies);
    let masked = |id, kind: &str| of(&[mask(id, id, json!({ "column": "ssn", "masking_type": kind }))]);
    let hidden = |id| {
        of(&[policy(id, 0, vec![rule(id, "deny_access", &json!({ "table": "emp", "columns": ["ssn"] }))])])
    };
    let filtered = of(&[filter(1, "region = 'EU'")]);
    assert!(filtered.shows_as(&of(&[filter(2, "region = current_user_region")])));
    assert!(masked(1, "null").shows_as(&masked(2, "null")) && hidden(1).shows_as(&hidden(2)));
    let denied = of(&[policy(4, 0, vec![rule(4, "deny_access", &json!({}))])]);
    for other in [of(&[]), of(&[filter(1, "region = 'US'")]), masked(1, "null"), hidden(1), denied] {
        assert!(!filtered.shows_as(&other) && !other.shows_as(&filtered), "{other:?}");
    }
    assert!(!masked(1, "null").shows_as(&masked(1, "hash")) && !masked(1, "null").shows_as(&of(&[])));
    let limited = of(&[policy(1, 0, vec![rule(1, "limit_query", &json!({ "max_rows": 1 }))])]);
    assert!(limited.shows_as(&of(&[])), "a limit hides no row");
}

#[test]
fn deny_beats_mask_beats_allow() {
    let masked = mask(1, 100, json!({ "column": "ssn", "masking_type": "null" }));
    let denied = policy(2, 0, vec![rule(2, "deny_access", &json!({ "table": "emp", "columns": ["ssn"] }))]);
    let allowed = policy(3, 500, vec![rule(3, "allow_access", &json!({ "table": "emp" }))]);
    let resolved = answer(&json!({}), &[masked.clone(), allowed.clone()]);
    assert!(resolved.masks.contains_key("ssn") && resolved.hidden.is_empty());
    let resolved = answer(&json!({}), &[masked.clone(), denied, allowed.clone()]);
    assert!(resolved.masks.is_empty());
    assert_eq!(resolved.hidden["ssn"], Some(PolicyRef { id: 2, version: 1 }));
    let all = policy(4, 0, vec![rule(4, "deny_access", &json!({}))]);
    assert_eq!(reason(&answer(&json!({}), &[masked, allowed, all])), &Reason::DenyRule);
}

#[test]
fn a_filter_may_read_what_the_person_may_not() {
    let hidden =
        policy(1, 0, vec![rule(1, "deny_access", &json!({ "table": "emp", "columns": ["region"] }))]);
    let resolved = answer(&json!({}), &[hidden, filter(2, "region = 'EU'")]);
    let seen =
        eval::visible(&resolved, &relation(), &[row(1, Some("EU")), row(2, Some("US"))], &hash).unwrap();
    assert_eq!(seen.len(), 1);
    assert!(!seen[0].contains_key("region"));
}

#[test]
fn allow_rules_limit_to_what_they_allow_while_they_do() {
    let window = |start, end| json!({ "table": "emp", "columns": ["id", "region"], "time_window": { "start": start, "end": end, "timezone": "UTC" } });
    let open = policy(1, 0, vec![rule(1, "allow_access", &window("09:00", "17:00"))]);
    let shut = policy(2, 0, vec![rule(2, "allow_access", &window("13:00", "17:00"))]);
    let resolved = answer(&json!({}), &[open.clone(), shut.clone()]);
    assert_eq!(resolved.decision, Decision::Allowed);
    assert!(!resolved.hidden.contains_key("id") && resolved.hidden["ssn"].is_none());
    let denied = answer(&json!({}), slice::from_ref(&shut));
    let when = reason(&denied).detail(NOON).unwrap();
    assert_eq!(when, "allowed 13:00-17:00 UTC; it is mon 12:00");
    assert_eq!((reason(&denied).as_str(), &denied.policies[0].effect), ("not_allowed_now", &Effect::Denied));
    let (subject, relation) = (subject(&json!({})), relation());
    let request = Request { subject: &subject, relation: &relation, now_millis: NOON, deny_by_default: true };
    // A minute later the decision is the same, and the clock is not.
    let later = NOON + 60_000;
    let again = resolve(&Request { now_millis: later, ..request }, &[shut]);
    assert_eq!(again.decision, denied.decision);
    assert!(reason(&again).detail(later).unwrap().ends_with("; it is mon 12:01"));
    assert_eq!(reason(&resolve(&request, &[filter(5, "true")])), &Reason::NoPolicyAllows);
    assert_eq!(resolve(&request, &[open]).decision, Decision::Allowed);
    // An allow rule names what it allows: another capital is another table.
    let other = policy(6, 0, vec![rule(6, "allow_access", &json!({ "table": "EMP" }))]);
    assert_ne!(resolve(&request, &[other]).decision, Decision::Allowed);
}

#[test]
fn an_allow_rule_with_other_capitals_does_not_leave_its_table_open() {
    for config in [
        json!({ "table": "Emp", "columns": ["id"] }),
        json!({ "table": "PUBLIC.emp", "columns": ["id"] }),
        json!({ "table": "emp", "schema": "Public", "columns": ["id"] }),
    ] {
        let written = rule(1, "allow_access", &config);
        assert!(written.kind.check(&relation()).is_err(), "{config}");
        let resolved = answer(&json!({}), &[policy(1, 0, vec![written])]);
        let reason = reason(&resolved);
        assert_eq!(reason, &Reason::OtherLetters("emp".to_owned()), "{config}");
        assert_eq!(reason.as_str(), "not_allowed_now");
        assert_eq!(reason.detail(NOON).unwrap(), "allow_access writes emp in other letters");
    }
    let columns = rule(1, "allow_access", &json!({ "table": "emp", "columns": ["ID"] }));
    assert_eq!(columns.kind.check(&relation()).unwrap_err().message, "ID must be written as id is");
    let elsewhere = policy(1, 0, vec![rule(1, "allow_access", &json!({ "table": "private.emp" }))]);
    assert!(answer(&json!({}), &[elsewhere]).is_whole());
}

#[test]
fn what_an_access_rule_does_not_know_does_not_widen_it() {
    for (config, field) in [
        (json!({ "tables": ["emp"] }), "tables"),
        (json!({ "table": "emp", "column": "id" }), "column"),
        (json!({ "table": " " }), "table"),
        (json!({ "table": "emp", "schema": "" }), "schema"),
        (json!({ "table": "public.*" }), "table"),
    ] {
        for kind in [RuleType::AllowAccess, RuleType::DenyAccess] {
            let error = RuleKind::parse(kind, config.as_object().unwrap()).unwrap_err();
            assert_eq!(error.field, format!("rule_config.{field}"), "{config}");
        }
    }
    // What looks like all tables or columns and would mean none is refused.
    for (kind, config) in [
        (RuleType::FilterRows, json!({ "table": "public.*", "condition": "true" })),
        (RuleType::MaskColumn, json!({ "table": "public.*", "column": "ssn", "masking_type": "null" })),
        (RuleType::MaskColumn, json!({ "table": "*", "column": "*", "masking_type": "null" })),
    ] {
        assert!(RuleKind::parse(kind, config.as_object().unwrap()).is_err(), "{config}");
    }
}

#[test]
fn restrictions_are_not_missed_for_a_capital_or_a_schema() {
    for table in ["EMP", "public.Emp", "*", "Public.EMP", "warehouse.public.Emp"] {
        let config = json!({ "table": table, "schema": "*", "column": "Ssn", "masking_type": "null" });
        let resolved = answer(&json!({}), &[policy(1, 0, vec![rule(1, "mask_column", &config)])]);
        assert!(resolved.masks.contains_key("ssn"), "{table}");
    }
    for table in ["employees", "private.emp", "emp.public", "warehouse.private.emp", "republic.emp"] {
        let config = json!({ "table": table, "column": "ssn", "masking_type": "null" });
        let resolved = answer(&json!({}), &[policy(1, 0, vec![rule(1, "mask_column", &config)])]);
        assert!(resolved.is_whole(), "{table}");
    }
}

#[test]
fn the_smallest_limit_wins_and_says_whose_it_is() {
    let limits = |id, config: Json| policy(id, 0, vec![rule(id, "limit_query", &config)]);
    let resolved = answer(
        &json!({}),
        &[
            limits(1, json!({ "max_rows": 100, "max_queries_per_hour": 5 })),
            limits(2, json!({ "max_rows": 10, "max_queries_per_hour": 50 })),
            limits(3, json!({ "max_rows": 10 })),
        ],
    );
    let of = |limited: Option<Limited>| limited.map(|limited| (limited.value, limited.policy.id));
    assert_eq!(of(resolved.limits.max_rows), Some((10, 2)));
    assert_eq!(of(resolved.limits.max_queries_per_hour), Some((5, 1)));
    assert_eq!(resolved.limits.max_queries_per_day, None);
}

#[test]
fn assignments_match_by_all_their_targets_and_one_of_them() {
    let masked = mask(1, 0, json!({ "column": "ssn", "masking_type": "null" }));
    let masks = |assignments: Vec<Assignment>, workspace| {
        let policy = Policy { assignments, workspace, ..masked.clone() };
        !answer(&json!({}), &[policy]).is_whole()
    };
    let target = |change: fn(&mut Assignment)| {
        let mut assignment = Assignment { is_active: true, ..Assignment::default() };
        change(&mut assignment);
        assignment
    };
    assert!(masks(vec![target(|to| to.user = Some(7))], None));
    assert!(!masks(vec![target(|to| to.user = Some(8))], None));
    assert!(masks(vec![target(|to| to.user = Some(8)), target(|to| to.role = Some(2))], None));
    assert!(!masks(vec![target(|to| (to.user, to.data_source) = (Some(7), Some(2)))], None));
    assert!(masks(vec![target(|to| (to.user, to.workspace) = (Some(7), Some(3)))], None));
    assert!(!masks(vec![target(|to| (to.user, to.is_active) = (Some(7), false))], Some(3)));
    assert!(!masks(vec![target(|_| {})], None), "no target, no match");
    assert!(masks(Vec::new(), Some(3)) && !masks(Vec::new(), Some(4)) && !masks(Vec::new(), None));
    assert!(!masks(vec![target(|to| to.group = Some("hr".to_owned()))], None));
    let mut grouped = subject(&json!({}));
    grouped.attributes.set("groups", Attribute::List(vec![Attribute::Text("HR".to_owned())]));
    let by_group = Policy { assignments: vec![target(|to| to.group = Some("hr".to_owned()))], ..masked };
    assert!(by_group.applies(&grouped, &relation()));
}

#[test]
fn what_does_not_fit_is_told_with_place_column_and_the_nearest_one() {
    let told = |condition: &str| {
        Condition::parse(condition).and_then(|read| read.check(&relation())).unwrap_err().to_string()
    };
    assert_eq!(told("regoin = 'EU'"), "at character 1: emp has no column regoin; did you mean region?");
    assert_eq!(told("id = 1 and zzz = 2"), "at character 12: emp has no column zzz");
    for text in ["region = \"EU\"", "region = EU"] {
        assert_eq!(told(text), "at character 10: emp has no column EU; a text is in single quotes");
    }
    assert_eq!(told("id = 'x'"), "at character 6: text does not fit a column of type integer");
    assert_eq!(told("id = 1.5"), "at character 6: a number does not fit a column of type integer");
    assert_eq!(told("region = 5"), "at character 10: a number does not fit a column of type text");
    assert_eq!(
        told("region = salary"),
        "at character 10: column salary is of type decimal number and is compared with text"
    );
    assert_eq!(told("tags = 'a'"), "at character 1: column tags is of type list, which is not compared");
    assert_eq!(told("hired > 'yesterday'"), "at character 9: text does not fit a column of type date");
    assert_eq!(told("length(id) = 1"), "at character 8: length is of a text, and column id is none");
    assert_eq!(told("active > true"), "at character 1: true and false have no order");
    for refused in [
        "",
        "region",
        "'EU'",
        "1",
        "region = null",
        "region = 'EU' --",
        "region = 'EU'; drop table emp",
        "region = 'EU' /* x */",
        "region = (select 1)",
        "exists (select 1)",
        "id + 1 = 2",
        "1/0 = 1",
        "cast(ssn as int) > 0",
        "pg_sleep(10) = 1",
        "region like current_user_region",
        "emp.region = 'EU'",
        "region = 'EU",
        "region in ()",
        "region in ('EU'",
        "case when true then true end",
        "region ~ 'E'",
        "current_user_region is null",
        "region in (dept)",
        "seen > '2024-01-01T00:00:00[America/New_York]'",
        "hired = '2024-01-01+05:00'",
        "current_user_level > current_user_least",
        "current_user_level between '1' and '9'",
        "current_user_until > timestamp '2024-01-01T00:00:00Z'",
        "region like 'EU\\'",
    ] {
        let error = Condition::parse(refused).and_then(|read| read.check(&relation()));
        assert!(error.is_err(), "{refused}");
    }
    for deep in ["(".repeat(3_000), "not ".repeat(900), "lower(".repeat(600), vec!["true"; 700].join(" or ")]
    {
        assert!(Condition::parse(&deep).is_err());
    }
    assert!(Condition::parse(&"é".repeat(4_001)).is_err());
}

#[test]
fn what_fits_is_taken() {
    for taken in [
        "region = current_user_region",
        "region < current_user_region and lower(region) > 'a' and current_user_level > 5",
        "current_user_a = current_user_b and region like 'EU\\\\'",
        "\"region\" = 'EU' AND (dept IN ('a', 'b') OR NOT active)",
        "active and score >= 1.5",
        "seen > timestamp '2024-01-01T00:00:00Z' and hired = date '2024-01-01'",
        "salary between 10 and 20.50",
        "current_user_role = 'admin' or region = 'EU'",
        "region is not null",
        "id != -5",
        "region = 'it''s'",
        "true",
    ] {
        Condition::parse(taken)
            .and_then(|read| read.check(&relation()))
            .unwrap_or_else(|error| panic!("{taken}: {error}"));
    }
}

#[test]
fn the_contract_s_columns_and_operators_are_conditions_too() {
    let rows = [row(1, Some("EU")), row(2, Some("US")), row(3, None)];
    let seen = |config: Json| {
        let resolved =
            answer(&json!({ "region": "EU" }), &[policy(1, 0, vec![rule(1, "filter_rows", &config)])]);
        ids(&resolved, &rows)
    };
    let with = |operator: &str, condition: Option<&str>| json!({ "table": "emp", "column": "region", "operator": operator, "condition": condition });
    assert_eq!(seen(with("equals", Some("region = current_user_region"))), [1]);
    assert_eq!(seen(with("equals", Some("current_user_region"))), [1]);
    assert_eq!(seen(with("not_equals", Some("'EU'"))), [2]);
    assert_eq!(seen(with("in", Some("('EU', 'US')"))), [1, 2]);
    assert_eq!(seen(with("is_null", None)), [3]);
    assert_eq!(seen(with("is_not_null", None)), [1, 2]);
    assert_eq!(seen(with("like", Some("'U%'"))), [2]);
    let refused =
        |config: Json| RuleKind::parse(RuleType::FilterRows, config.as_object().unwrap()).unwrap_err().field;
    assert_eq!(refused(with("equals", None)), "rule_config.condition");
    assert_eq!(refused(with("matches", Some("'x'"))), "rule_config.operator");
    for (operator, condition) in [
        ("not_equals", "region = current_user_region"),
        ("equals", "region <> 'EU'"),
        ("in", "region = 'EU' or region = 'US'"),
        ("like", "region not like 'E%'"),
        ("is_null", "region is not null"),
    ] {
        assert_eq!(
            refused(with(operator, Some(condition))),
            "rule_config.operator",
            "{operator} {condition}"
        );
    }
    assert_eq!(seen(with("in", Some("region in ('EU', 'US')"))), [1, 2]);
    assert_eq!(seen(with("equals", Some("region = 'EU' or region = 'US'"))), [1, 2]);
    assert_eq!(refused(json!({ "condition": "true" })), "rule_config.table");
    assert_eq!(refused(json!({ "table": "emp", "condition": 5 })), "rule_config.condition");
}

#[test]
fn a_mask_that_cannot_keep_the_type_says_so() {
    let checked = |column: &str, masking: &str| {
        let config = json!({ "table": "emp", "column": column, "masking_type": masking, "round_to": 10, "value": "x", "pattern": "a" });
        rule(1, "mask_column", &config).kind.check(&relation())
    };
    assert!(checked("salary", "hash").unwrap().unwrap().contains("salary"));
    assert!(checked("hired", "partial").unwrap().is_some());
    assert!(checked("id", "constant").unwrap().is_some());
    assert_eq!(checked("salary", "rounding").unwrap(), None);
    assert_eq!(checked("hired", "date_truncation").unwrap(), None);
    assert_eq!(checked("salary", "null").unwrap(), None);
    let error = checked("snn", "hash").unwrap_err();
    assert_eq!(
        (error.field.as_str(), error.message.as_str()),
        ("rule_config.column", "emp has no column snn; did you mean ssn?")
    );
}

#[test]
fn a_number_in_quotes_and_a_list_in_one_text_are_told_how_they_are_written() {
    let told = |kind: RuleType, config: Json| {
        RuleKind::parse(kind, config.as_object().unwrap()).unwrap_err().to_string()
    };
    for (name, most) in [("max_rows", 1_000_000_000_000_u64), ("max_queries_per_day", 1_000_000_000)] {
        let must = format!("rule_config.{name}: must be 1 to {most}");
        assert_eq!(
            told(RuleType::LimitQuery, json!({ name: "100" })),
            format!("{must}; numbers have no quotes")
        );
        assert_eq!(told(RuleType::LimitQuery, json!({ name: 0 })), must);
    }
    for (masking, name) in
        [("partial", "visible_prefix"), ("partial", "visible_suffix"), ("rounding", "round_to")]
    {
        let config = json!({ "table": "emp", "column": "ssn", "masking_type": masking, name: "2" });
        let text = told(RuleType::MaskColumn, config);
        assert!(text.starts_with(&format!("rule_config.{name}: must be ")), "{text}");
        assert!(text.ends_with("; numbers have no quotes"), "{text}");
    }
    let config = json!({ "table": "emp", "columns": "id, region" });
    assert!(told(RuleType::AllowAccess, config).ends_with(r#" names: ["one", "another"]"#));
    let window = json!({ "start": "09:00", "end": "17:00", "timezone": "UTC", "days": "mon,tue" });
    assert!(
        told(RuleType::AllowAccess, json!({ "time_window": window })).ends_with(r#", as ["mon", "tue"]"#)
    );
}

#[test]
fn a_rule_that_is_not_understood_or_no_longer_fits_denies() {
    let stored = Rule { id: 1, order: 0, kind: RuleKind::Unreadable("a rule of a later version".to_owned()) };
    assert!(matches!(reason(&answer(&json!({}), &[policy(1, 0, vec![stored])])), Reason::Condition(_)));
    assert!(matches!(reason(&answer(&json!({}), &[filter(1, "dropped = 1")])), Reason::Condition(_)));
    let unknown = Relation { columns: vec![Column::new("region", ColumnType::Unknown)], ..relation() };
    Condition::parse("region = 5 and lower(region) = 'x'").unwrap().check(&unknown).unwrap();
    let subject = subject(&json!({}));
    let request = Request { subject: &subject, relation: &unknown, now_millis: NOON, deny_by_default: false };
    assert!(matches!(reason(&resolve(&request, &[filter(1, "region = 'EU'")])), Reason::Condition(_)));
}

#[test]
fn a_column_that_is_gone_denies_its_table_and_not_others() {
    let masked = |table: &str| {
        let config = json!({ "table": table, "column": "passport", "masking_type": "null" });
        answer(&json!({}), &[policy(1, 0, vec![rule(1, "mask_column", &config)])])
    };
    assert!(matches!(reason(&masked("emp")), Reason::Condition(_)));
    assert!(masked("*").is_whole() && masked("customers").is_whole());
    let hidden = policy(
        1,
        0,
        vec![rule(1, "deny_access", &json!({ "table": "emp", "columns": ["ssn", "passport"] }))],
    );
    assert!(matches!(reason(&answer(&json!({}), &[hidden])), Reason::Condition(_)));
}

#[test]
fn a_schema_is_no_way_around_a_restriction_where_there_are_none() {
    let file = Relation { schema: None, ..relation() };
    let subject = subject(&json!({}));
    let request = Request { subject: &subject, relation: &file, now_millis: NOON, deny_by_default: false };
    for config in [
        json!({ "table": "main.emp" }),
        json!({ "table": "emp", "schema": "main" }),
        json!({ "schema": "main" }),
    ] {
        let denied = policy(1, 0, vec![rule(1, "deny_access", &config)]);
        assert_ne!(resolve(&request, &[denied]).decision, Decision::Allowed, "{config}");
    }
    let other = policy(1, 0, vec![rule(1, "deny_access", &json!({ "table": "main.people" }))]);
    assert_eq!(resolve(&request, &[other]).decision, Decision::Allowed);
}

#[test]
fn filters_that_no_engine_could_run_deny() {
    let written = filter(1, &["region = 'x'"; 200].join(" or "));
    assert_eq!(answer(&json!({}), &vec![written.clone(); 4]).decision, Decision::Allowed);
    assert!(matches!(reason(&answer(&json!({}), &vec![written; 20])), Reason::Condition(_)));
    let regions = json!({ "regions": vec!["x"; 1_000] });
    let listed = filter(1, "region in current_user_regions");
    assert_eq!(answer(&regions, &vec![listed.clone(); 20]).decision, Decision::Allowed);
    assert!(matches!(reason(&answer(&regions, &vec![listed; 21])), Reason::Condition(_)));
}

#[test]
fn many_rules_about_many_columns_are_decided_soon() {
    let columns: Vec<String> = (0..10_000).map(|number| format!("column_{number}")).collect();
    let typed = columns.iter().map(|name| Column::new(name.as_str(), ColumnType::Text));
    let wide = Relation { columns: typed.collect(), ..relation() };
    let config = json!({ "table": "emp", "columns": &columns[9_000..] });
    let condition = format!("{} or true", ["column_9999 = 'x'"; 150].join(" or "));
    let mut policies = vec![filter(1, &condition); 300];
    policies.extend(vec![policy(2, 0, vec![rule(2, "deny_access", &config)]); 300]);
    policies.extend(vec![policy(3, 0, vec![rule(3, "allow_access", &json!({ "table": "emp" }))]); 300]);
    for _ in 0..100 {
        assert!(
            rule(4, "deny_access", &json!({ "table": "emp", "columns": ["colum"] }))
                .kind
                .check(&wide)
                .is_err()
        );
    }
    let subject = subject(&json!({}));
    let request = Request { subject: &subject, relation: &wide, now_millis: NOON, deny_by_default: false };
    // Thousands of millions of comparisons of names, were each looked for in all columns.
    let resolved = resolve(&request, &policies);
    assert_eq!(resolved.hidden.len(), 1_000);
}

#[test]
fn who_is_let_in_by_an_alternative_is_not_filtered() {
    let written = filter(1, "current_user_level >= 5 or region = 'EU'");
    let open = answer(&json!({ "level": 7 }), std::slice::from_ref(&written));
    assert!(open.is_whole());
    assert_eq!(open.policies[0].effect, Effect::Allowed);
    assert!(!answer(&json!({ "level": 4 }), &[written]).is_whole());
}
