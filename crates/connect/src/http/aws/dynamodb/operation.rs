//! What is called to read what a query asks for: `Query` of one partition where the key is given, else `Scan`, with no more than is wanted.

use serde_json::{Map, Value, json};

use super::expression::{Beside, EXPRESSION, Piece, filter, operand, place, word};
use crate::files::Known;
use crate::filter::{Filter, Operator};
use crate::snapshot::Asked;
use crate::wider::conjuncts;

/// Items of a page at most. Pages end after a megabyte.
pub(super) const PAGE: usize = 1_000_000;

/// A key of a table: its attribute, and the type that this has in every item.
pub(super) struct Key {
    pub(super) name: String,
    pub(super) kind: String,
}

/// The keys of a table.
pub(super) struct Keys {
    pub(super) partition: Key,
    pub(super) sort: Option<Key>,
}

impl Keys {
    /// Out of the answer of `DescribeTable`.
    pub(super) fn of(about: &Value) -> Option<Self> {
        let table = about.get("Table")?;
        let kinds = table.get("AttributeDefinitions")?.as_array()?;
        let key = |role: &str| {
            let mut keys = table.get("KeySchema")?.as_array()?.iter();
            let name = keys.find(|key| key.get("KeyType").and_then(Value::as_str) == Some(role))?;
            let name = name.get("AttributeName")?.as_str()?;
            let kind =
                kinds.iter().find(|kind| kind.get("AttributeName").and_then(Value::as_str) == Some(name));
            let kind = kind?.get("AttributeType")?.as_str()?;
            Some(Key { name: name.to_owned(), kind: kind.to_owned() })
        };
        Some(Self { partition: key("HASH")?, sort: key("RANGE") })
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.partition).chain(&self.sort).map(|key| key.name.as_str())
    }
}

/// An operation that reads a table, and what it is asked; none where nothing would be left out.
pub(super) fn operation(asked: &Asked, keys: Option<&Keys>) -> Option<(&'static str, Map<String, Value>)> {
    let known = asked.known.as_ref();
    let mut ask = Map::from_iter([("TableName".to_owned(), json!(asked.table))]);
    let mut beside = Beside::default();
    let all = conjuncts(&asked.filters);
    let key = keys.and_then(|keys| of_key(known, keys, &all));
    let operation = if key.is_some() { "Query" } else { "Scan" };
    let rest: Vec<&Filter> = match keys.filter(|_| key.is_some()) {
        // A filter of Query must not name a key.
        Some(keys) => all.into_iter().filter(|filter| !names_any(filter, keys)).collect(),
        None => all,
    };
    if let Some(key) = key {
        ask.insert("KeyConditionExpression".to_owned(), json!(beside.written(key)));
    }
    if let Some(filter) = filter(known, &rest, &mut beside) {
        ask.insert("FilterExpression".to_owned(), json!(filter));
    }
    if let Some(limit) = asked.limit {
        ask.insert("Limit".to_owned(), json!(limit.clamp(1, PAGE)));
    }
    // All rows of a relation that was read as a whole are better kept than read again for other columns.
    if ask.len() == 1 && known.is_whole() {
        return None;
    }
    if let Some(columns) = keys.and_then(|keys| projection(asked, keys, &mut beside)) {
        ask.insert("ProjectionExpression".to_owned(), json!(columns));
    }
    beside.add_to(&mut ask);
    (ask.len() > 1).then_some((operation, ask))
}

fn names_any(filter: &Filter, keys: &Keys) -> bool {
    let mut named = false;
    filter.leaves(&mut |column, _, _| named |= keys.names().any(|key| key == column));
    named
}

/// The condition on the keys, where one says what the partition key is. The sort key may then be compared once.
fn of_key(known: &Known, keys: &Keys, all: &[&Filter]) -> Option<Vec<Piece>> {
    let compared = |key: &Key, may: fn(Operator) -> bool| {
        all.iter().find_map(|filter| match filter {
            Filter::Compare { column, operator, value } if *column == key.name && may(*operator) => {
                let (kind, value) = operand(known.column(column)?.0, value)?;
                (kind == key.kind).then_some((*operator, value))
            }
            _ => None,
        })
    };
    let name = |key: &Key| Piece::Name(key.name.clone());
    let (_, value) = compared(&keys.partition, |operator| operator == Operator::Eq)?;
    let mut pieces = vec![name(&keys.partition), Piece::Text(" = "), Piece::Value(value)];
    if let Some(sort) = &keys.sort
        && let Some((operator, value)) = compared(sort, |operator| operator != Operator::NotEq)
    {
        pieces.extend([Piece::Text(" AND "), name(sort), Piece::Text(word(operator)), Piece::Value(value)]);
    }
    Some(pieces)
}

/// The attributes wanted, and the keys, which every item has.
fn projection(asked: &Asked, keys: &Keys, beside: &mut Beside) -> Option<String> {
    let wanted = asked.columns.as_ref().filter(|wanted| wanted.len() < asked.known.count())?;
    if wanted.iter().any(|name| asked.known.column(name).is_none()) {
        return None;
    }
    let mut names: Vec<&str> = Vec::new();
    for name in keys.names().chain(wanted.iter().map(String::as_str)) {
        place(&mut names, name);
    }
    // Each is written with eight characters or fewer.
    if names.len() > EXPRESSION / 8 {
        return None;
    }
    let written: Vec<String> =
        names.into_iter().map(|name| beside.written(vec![Piece::Name(name.to_owned())])).collect();
    Some(written.join(", "))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::filter::Literal;
    use crate::http::aws::dynamodb::expression::{LIST, STRING};

    fn known() -> Arc<Known> {
        let item =
            r#"{"id": 1, "name": "a", "ok": true, "ratio": 1.5, "deep": {}, "sort": "x", "both": "a"}"#;
        let rows = format!("{item}\n{{\"both\": 1}}\n");
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, rows.as_bytes()).unwrap();
        let file = crate::files::spool::Spooled::of(file, "t".to_owned()).unwrap();
        Arc::new(crate::files::json_lines(file, false).unwrap().1)
    }

    fn asked(filters: Vec<Filter>) -> Asked {
        Asked { table: "t".to_owned(), columns: None, filters, limit: None, known: known() }
    }

    fn compare(column: &str, operator: Operator, value: Literal) -> Filter {
        Filter::Compare { column: column.to_owned(), operator, value }
    }

    fn keys() -> Keys {
        let about = json!({ "Table": {
            "KeySchema": [{ "AttributeName": "sort", "KeyType": "RANGE" }, { "AttributeName": "id", "KeyType": "HASH" }],
            "AttributeDefinitions": [
                { "AttributeName": "id", "AttributeType": "N" }, { "AttributeName": "sort", "AttributeType": "S" },
            ],
        } });
        Keys::of(&about).unwrap()
    }

    #[test]
    fn a_partition_is_queried_and_the_rest_is_filtered() {
        let mut asked = asked(vec![
            Filter::And(vec![
                compare("id", Operator::Eq, Literal::Int(7)),
                compare("sort", Operator::Gt, Literal::Utf8("m".into())),
            ]),
            compare("sort", Operator::NotEq, Literal::Utf8("z".into())),
            compare("ok", Operator::Eq, Literal::Boolean(true)),
        ]);
        asked.columns = Some(vec!["name".to_owned(), "id".to_owned()]);
        let (operation, ask) = operation(&asked, Some(&keys())).unwrap();
        assert_eq!(operation, "Query");
        assert_eq!(
            Value::Object(ask),
            json!({
                "TableName": "t",
                "KeyConditionExpression": "#n0 = :v0 AND #n1 > :v1",
                "FilterExpression":
                    "attribute_exists(#n2) AND NOT attribute_type(#n2, :v2) AND (NOT attribute_type(#n2, :v3) OR #n2 = :v4)",
                "ProjectionExpression": "#n0, #n1, #n3",
                "ExpressionAttributeNames": { "#n0": "id", "#n1": "sort", "#n2": "ok", "#n3": "name" },
                "ExpressionAttributeValues": {
                    ":v0": { "N": "7" }, ":v1": { "S": "m" }, ":v2": { "S": "NULL" }, ":v3": { "S": "BOOL" }, ":v4": { "BOOL": true },
                },
            })
        );
    }

    #[test]
    fn what_is_not_certain_is_not_told() {
        let text = |text: &str| Literal::Utf8(text.to_owned());
        for filter in [
            compare("ratio", Operator::Eq, Literal::Int(1)),
            compare("deep", Operator::Eq, text("{}")),
            compare("absent", Operator::Eq, text("a")),
            compare("name", Operator::Eq, text("")),
            compare("name", Operator::Eq, text(&"x".repeat(STRING + 1))),
            compare("ok", Operator::Lt, Literal::Boolean(true)),
            Filter::In { column: "id".into(), values: vec![], negated: false },
            Filter::In { column: "id".into(), values: vec![Literal::Int(1); LIST + 1], negated: false },
            Filter::Or(vec![
                compare("id", Operator::Eq, Literal::Int(1)),
                compare("ratio", Operator::Eq, Literal::Int(1)),
            ]),
        ] {
            assert!(operation(&asked(vec![filter.clone()]), Some(&keys())).is_none(), "{filter:?}");
        }
        // A number as text is no key, and what is asked of a column of numbers and strings is told with the strings' type alone.
        let (operation, ask) =
            operation(&asked(vec![compare("both", Operator::Eq, text("1"))]), Some(&keys())).unwrap();
        assert_eq!(operation, "Scan");
        assert!(
            ask["FilterExpression"].as_str().unwrap().contains("(NOT attribute_type(#n0, :v1) OR #n0 = :v2)")
        );
        assert_eq!(ask["ExpressionAttributeValues"][":v1"], json!({ "S": "S" }));
    }

    // Parentheses that change nothing are refused.
    #[test]
    fn parentheses_stand_where_they_are_needed_alone() {
        let null = |column: &str| Filter::IsNull { column: column.to_owned(), negated: false };
        let said = |filter: Filter| {
            let (_, ask) = operation(&asked(vec![filter]), None).unwrap();
            ask["FilterExpression"]
                .as_str()
                .unwrap()
                .replace("attribute_not_exists", "no")
                .replace("attribute_", "")
        };
        let (a, b) = ("no(#n0) OR type(#n0, :v0)", "no(#n1) OR type(#n1, :v0)");
        assert_eq!(said(null("id")), a);
        assert_eq!(said(Filter::And(vec![null("id"), null("ok")])), format!("({a}) AND ({b})"));
        assert_eq!(said(Filter::Or(vec![null("id"), null("ok")])), format!("{a} OR {b}"));
        let both = Filter::Or(vec![Filter::And(vec![null("id"), null("ok")]), null("id")]);
        assert_eq!(said(both), format!("({a}) AND ({b}) OR {a}"));
        let outside = Filter::Between {
            column: "id".to_owned(),
            low: Literal::Int(1),
            high: Literal::Int(2),
            negated: true,
        };
        assert_eq!(
            said(outside),
            "exists(#n0) AND NOT type(#n0, :v0) AND (NOT type(#n0, :v1) OR #n0 < :v2 OR #n0 > :v3)"
        );
    }

    #[test]
    fn an_expression_has_an_end_and_names_nothing_that_is_not_in_it() {
        let filters = (0..200).map(|id| compare("id", Operator::Lt, Literal::Int(id))).collect();
        let (_, ask) = operation(&asked(filters), None).unwrap();
        let expression = ask["FilterExpression"].as_str().unwrap();
        assert!(expression.len() <= EXPRESSION && expression.len() > EXPRESSION / 2, "{}", expression.len());
        for value in ask["ExpressionAttributeValues"].as_object().unwrap().keys() {
            assert!(expression.contains(value), "{value}");
        }
    }

    #[test]
    fn a_limit_is_told_without_filters_alone() {
        let mut asked = asked(Vec::new());
        assert!(operation(&asked, Some(&keys())).is_none());
        asked.limit = Some(0);
        let (_, ask) = operation(&asked, None).unwrap();
        assert_eq!(Value::Object(ask), json!({ "TableName": "t", "Limit": 1 }));
    }
}
