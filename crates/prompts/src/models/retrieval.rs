//! Which tables a model is shown: those that fit the question best, as many as fit a budget.

use std::collections::{BTreeSet, HashMap};

use super::client::tokens_of;
use super::instruct::described;
use crate::ports::Relation;

/// Columns of a table that are shown at most, before the budget has its say.
const MAX_COLUMNS: usize = 200;
/// Weights of a word of the question that is in the name of a table, in that of a column, and in a comment.
const IN_TABLE: f64 = 6.0;
const IN_COLUMN: f64 = 2.0;
const IN_COMMENT: f64 = 1.0;
/// How much of a table's weight those get that it refers to, or that refer to it: joins need them.
const NEIGHBOUR: f64 = 0.3;

/// The words of a text, small, without the endings of plurals.
fn words(text: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let mut word = String::new();
    let mut before_is_small = false;
    for c in text.chars().chain([' ']) {
        // `orderDate` is two words, and `order_date`, too.
        let ends = !c.is_alphanumeric() || (c.is_uppercase() && before_is_small);
        if ends && !word.is_empty() {
            words.insert(stem(&std::mem::take(&mut word)));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        before_is_small = c.is_lowercase();
    }
    words
}

fn stem(word: &str) -> String {
    let shorter = match word {
        _ if word.len() <= 3 || !word.is_ascii() => None,
        _ if word.ends_with("ies") => word.strip_suffix("ies").map(|stem| format!("{stem}y")),
        _ if word.ends_with("ss") => None,
        _ => word.strip_suffix('s').map(str::to_owned),
    };
    shorter.unwrap_or_else(|| word.to_owned())
}

/// How rare a word is among the tables: what is in all of them says nothing.
fn rarity(relations: &[Relation], asked: &BTreeSet<String>) -> HashMap<String, f64> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for relation in relations {
        let mut own = words(&relation.table);
        relation.columns.iter().for_each(|column| own.extend(words(&column.name)));
        for word in asked.iter().filter(|word| own.contains(*word)) {
            *counts.entry(word.as_str()).or_default() += 1;
        }
    }
    let all = relations.len() as f64;
    asked
        .iter()
        .map(|word| {
            (word.clone(), (1.0 + all / (1.0 + counts.get(word.as_str()).copied().unwrap_or(0) as f64)).ln())
        })
        .collect()
}

fn score(relation: &Relation, rarity: &HashMap<String, f64>) -> f64 {
    let of = |text: &str, weight: f64| -> f64 {
        words(text).iter().filter_map(|word| rarity.get(word)).map(|rare| rare * weight).sum()
    };
    let columns: f64 = relation
        .columns
        .iter()
        .map(|column| {
            of(&column.name, IN_COLUMN) + column.comment.as_deref().map_or(0.0, |text| of(text, IN_COMMENT))
        })
        .sum();
    of(&relation.table, IN_TABLE)
        + columns
        + relation.comment.as_deref().map_or(0.0, |text| of(text, IN_COMMENT))
}

/// The scores with what neighbours add.
fn scores(relations: &[Relation], question: &str) -> Vec<f64> {
    let mut asked = words(question);
    // "Top 5" names no table.
    asked.retain(|word| !word.bytes().all(|byte| byte.is_ascii_digit()));
    let rarity = rarity(relations, &asked);
    let own: Vec<f64> = relations.iter().map(|relation| score(relation, &rarity)).collect();
    let places: HashMap<(&str, &str, &str), usize> = relations
        .iter()
        .enumerate()
        .map(|(place, one)| ((one.source.as_str(), one.schema.as_str(), one.table.as_str()), place))
        .collect();
    let mut all = own.clone();
    for (place, relation) in relations.iter().enumerate() {
        for (schema, table, _) in relation.columns.iter().filter_map(|column| column.references.as_ref()) {
            let Some(other) = places.get(&(relation.source.as_str(), schema.as_str(), table.as_str())) else {
                continue;
            };
            for (from, to) in [(place, *other), (*other, place)] {
                if let (Some(of), Some(sum)) = (own.get(from), all.get_mut(to)) {
                    *sum += of * NEIGHBOUR;
                }
            }
        }
    }
    all
}

/// The descriptions of the tables that fit the question best, the best first: so many tokens at most.
pub(super) fn retrieved(relations: &[Relation], question: &str, tokens: usize) -> Vec<String> {
    let scores = scores(relations, question);
    let mut order: Vec<(f64, &Relation)> = scores.into_iter().zip(relations).collect();
    // Stable: equal ones stay in the order of the catalog.
    order.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let mut left = u64::try_from(tokens).unwrap_or(u64::MAX);
    let mut shown = Vec::new();
    for (_, relation) in order {
        let fitting = [MAX_COLUMNS, 40, 10].into_iter().map(|columns| described(relation, columns));
        let Some(text) = fitting.into_iter().find(|text| tokens_of(text) <= left) else {
            // A smaller one may fit; but what is shown shall be what fits best.
            if shown.is_empty() { continue } else { break }
        };
        left -= tokens_of(&text);
        shown.push(text);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::RelationColumn;

    fn column(name: &str) -> RelationColumn {
        RelationColumn {
            name: name.to_owned(),
            type_name: "text".to_owned(),
            nullable: true,
            is_typed: true,
            comment: None,
            primary_key: false,
            references: None,
        }
    }

    fn relation(table: &str, columns: &[&str]) -> Relation {
        Relation {
            source: "shop".to_owned(),
            schema: "main".to_owned(),
            table: table.to_owned(),
            comment: None,
            columns: columns.iter().map(|name| column(name)).collect(),
        }
    }

    #[test]
    fn words_are_compared_however_they_are_written() {
        let all = |text: &str| words(text).into_iter().collect::<Vec<_>>();
        assert_eq!(all("orderDate"), ["date", "order"]);
        assert_eq!(all("Orders_by-Cities!"), ["by", "city", "order"]);
        assert_eq!(all("class Größen"), ["class", "größen"]);
        assert!(all("").is_empty());
    }

    #[test]
    fn of_a_thousand_tables_those_that_fit_are_shown_within_the_budget() {
        let mut relations: Vec<Relation> =
            (0..1_000).map(|n| relation(&format!("audit_{n}"), &["id", "created_at", "payload"])).collect();
        let mut orders = relation("orders", &["id", "customer_id", "total"]);
        orders.columns[1].references = Some(("main".to_owned(), "clients".to_owned(), "id".to_owned()));
        relations.insert(500, orders);
        // Not named in the question, but needed for the join.
        relations.insert(900, relation("clients", &["id", "city"]));
        let shown = retrieved(&relations, "Top 5 by revenue of orders last month?", 3_000);
        assert!(
            shown[0].contains("\\\"orders\\\"") && shown[1].contains("\\\"clients\\\""),
            "{:?}",
            &shown[..2]
        );
        let tokens: u64 = shown.iter().map(|text| tokens_of(text)).sum();
        assert!(tokens <= 3_000 && shown.len() > 10, "{tokens} {}", shown.len());
    }

    #[test]
    fn a_wide_table_is_cut_and_not_left_out() {
        let names: Vec<String> = (0..5_000).map(|n| format!("column_{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let shown = retrieved(&[relation("wide", &names)], "what is wide?", 500);
        assert_eq!(shown.len(), 1);
        assert!(tokens_of(&shown[0]) <= 500);
    }
}
