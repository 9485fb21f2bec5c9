//! Which policies filter and mask what a member reads, for the operator who looks in their place. The member is told nothing of it.

use tidegate_engine::Decision;
use tidegate_policy::Effect;

/// Longest filter that is told, in characters; of a longer one the beginning.
const LONGEST_FILTER: usize = 500;
/// Most policies, and most columns, that one sentence names.
const MOST_NAMED: usize = 10;

/// A sentence about the filter of a relation, and one about the masks of the columns that were read of it.
pub(crate) fn of(decision: &Decision) -> Vec<String> {
    let sentences = filtered(decision).into_iter().chain(masked(decision));
    sentences.map(|sentence| sentence.chars().filter(|c| !c.is_control()).collect()).collect()
}

fn filtered(decision: &Decision) -> Option<String> {
    let filter = decision.resolved.filter.as_ref()?.to_string();
    let told: String = filter.chars().take(LONGEST_FILTER).collect();
    let rest = if told.len() < filter.len() { " …" } else { "" };
    let policies = policies(decision, "filter", |effect| *effect == Effect::Filtered);
    Some(format!("For this member {policies} {}: {told}{rest}.", decision.relation))
}

fn masked(decision: &Decision) -> Option<String> {
    if decision.masked.is_empty() {
        return None;
    }
    let is_read = |effect: &Effect| match effect {
        Effect::Masked(column) => decision.masked.contains(column),
        _ => false,
    };
    let policies = policies(decision, "mask", is_read);
    Some(format!("For this member {policies} {}: {}.", decision.relation, some_of(&decision.masked)))
}

/// The policies that had such a part, and what they do: `policy 5 filters`, `policies 5, 7 filter`.
fn policies(decision: &Decision, does: &str, had_part: impl Fn(&Effect) -> bool) -> String {
    let mut numbers: Vec<String> = Vec::new();
    for (policy, _) in decision.policies.iter().filter(|(_, effect)| had_part(effect)) {
        let number = policy.id.to_string();
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    match numbers.as_slice() {
        [one] => format!("policy {one} {does}s"),
        several => format!("policies {} {does}", some_of(several)),
    }
}

/// The first of the names, and how many more there are.
fn some_of(names: &[String]) -> String {
    match names.split_at_checked(MOST_NAMED) {
        Some((first, rest)) if !rest.is_empty() => format!("{} and {} more", first.join(", "), rest.len()),
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tidegate_engine::RelationName;
    use tidegate_policy::{Expr, PolicyRef, Resolved, Value};

    use super::*;

    fn decision(policies: &[(i64, Effect)], filter: Option<&str>, masked: &[&str]) -> Decision {
        let filter = filter.map(|text| Expr::Literal(Value::Text(text.to_owned())));
        let policies =
            policies.iter().map(|(id, effect)| (PolicyRef { id: *id, version: 1 }, effect.clone()));
        Decision {
            relation: RelationName::new("shop", Some("public"), "orders"),
            policies: policies.collect(),
            resolved: Arc::new(Resolved { filter, ..Resolved::open() }),
            rows: 0,
            masked: masked.iter().map(|column| (*column).to_owned()).collect(),
            scans: 1,
            pushed: Vec::new(),
            refused: false,
        }
    }

    #[test]
    fn policies_that_filter_and_mask_are_named() {
        let phone = Effect::Masked("phone".to_owned());
        let name = Effect::Masked("name".to_owned());
        let all =
            [(5, Effect::Filtered), (7, Effect::Filtered), (5, Effect::Filtered), (8, phone), (9, name)];
        let told = of(&decision(&all, Some("EU"), &["phone"]));
        assert_eq!(
            told,
            [
                "For this member policies 5, 7 filter shop.public.orders: 'EU'.",
                "For this member policy 8 masks shop.public.orders: phone.",
            ]
        );
        assert!(of(&decision(&all, None, &[])).is_empty(), "nothing was filtered, and no masked column read");
    }

    #[test]
    fn what_is_told_is_bounded_and_cannot_steer_a_terminal() {
        let long = format!("\u{1b}[2J{}", "é".repeat(1_000));
        let told = of(&decision(&[(5, Effect::Filtered)], Some(&long), &[])).join("");
        assert!(told.ends_with("é ….") && told.chars().count() < 600 && !told.contains('\u{1b}'), "{told}");
        let columns: Vec<String> = (0..12).map(|number| format!("c{number}")).collect();
        assert!(some_of(&columns).ends_with(", c9 and 2 more"), "{}", some_of(&columns));
    }
}
