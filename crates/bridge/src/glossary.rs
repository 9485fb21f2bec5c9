//! Names that people have for the tables and columns of a data source: `metadata.glossary`, an object of names and what each means
//! (`"clients": "customers"`, `"turnover": "public.orders.total"`).

use std::collections::HashMap;

use serde_json::Value;
use tidegate_domain::Document;
use tidegate_prompts::ports::Relation;

/// Names of one data source that are read.
const MOST: usize = 1_000;
/// Longest name, in bytes.
const LONGEST: usize = 100;

/// Writes the names of a data source into the comments of its relations, as their owner could have: "Also called clients." What is not
/// among the relations, since the person may not see it, gets no name.
pub(crate) fn add(source: &str, metadata: &Document, relations: &mut [Relation]) {
    if !metadata.as_str().contains("glossary") {
        return;
    }
    let metadata = metadata.to_value().unwrap_or_default();
    let Some(glossary) = metadata.get("glossary").and_then(Value::as_object) else { return };
    let mut names: HashMap<&str, Vec<&str>> = HashMap::new();
    for (name, meant) in glossary.iter().take(MOST) {
        if let Some(meant) = meant.as_str().filter(|_| is_name(name)) {
            names.entry(meant).or_default().push(name.trim());
        }
    }
    let of = |table: &str, schema: &str, column: Option<&str>| -> Vec<&str> {
        let short = column.map_or_else(|| table.to_owned(), |column| format!("{table}.{column}"));
        let full = format!("{schema}.{short}");
        [short, full].iter().filter_map(|place| names.get(place.as_str())).flatten().copied().collect()
    };
    for relation in relations.iter_mut().filter(|relation| relation.source == source) {
        let (table, schema) = (relation.table.as_str(), relation.schema.as_str());
        for column in &mut relation.columns {
            called(&mut column.comment, &of(table, schema, Some(column.name.as_str())));
        }
        called(&mut relation.comment, &of(table, schema, None));
    }
}

/// Whether it can stand in a list of names within a comment.
fn is_name(name: &str) -> bool {
    let cuts = |letter: char| matches!(letter, '.' | ',' | ';') || letter.is_control();
    !name.trim().is_empty() && name.len() <= LONGEST && !name.contains(cuts)
}

/// Puts names before a comment, where no length cuts them off.
fn called(comment: &mut Option<String>, names: &[&str]) {
    if names.is_empty() {
        return;
    }
    let rest = comment.take().map_or_else(String::new, |comment| format!(" {comment}"));
    *comment = Some(format!("Also called {}.{rest}", names.join(", ")));
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tidegate_prompts::ports::RelationColumn;

    use super::*;

    fn comments(glossary: &Value) -> [Option<String>; 2] {
        let column = RelationColumn {
            name: "total".to_owned(),
            type_name: "numeric".to_owned(),
            nullable: false,
            is_typed: true,
            comment: Some("Euro.".to_owned()),
            primary_key: false,
            references: None,
        };
        let mut relations = [Relation {
            source: "shop".to_owned(),
            schema: "public".to_owned(),
            table: "orders".to_owned(),
            comment: None,
            columns: vec![column],
        }];
        let metadata = json!({ "owner": "shop", "glossary": glossary }).to_string();
        add("shop", &serde_json::from_str(&metadata).unwrap(), &mut relations);
        add("other", &serde_json::from_str(r#"{"glossary": {"x": "orders"}}"#).unwrap(), &mut relations);
        let [relation] = relations;
        [relation.comment, relation.columns.into_iter().next().unwrap().comment]
    }

    #[test]
    fn names_stand_in_the_comments_of_what_they_mean() {
        let [table, column] = comments(&json!({
            "deals": "orders", "sales orders": "public.orders", "turnover": "orders.total", "intake": "public.orders.total",
        }));
        assert_eq!(table.as_deref(), Some("Also called deals, sales orders."));
        assert_eq!(column.as_deref(), Some("Also called turnover, intake. Euro."));
    }

    #[test]
    fn what_is_no_name_or_names_nothing_is_left_out() {
        let long = "x".repeat(101);
        let odd = json!({
            "a.b": "orders", "a, b": "orders", " ": "orders", "a\nb": "orders", long: "orders", "seven": 7,
            "wages": "payroll", "pay": "orders.salary", "other": "main.orders",
        });
        for glossary in [odd, json!(["orders"]), json!("orders"), json!(null)] {
            assert_eq!(comments(&glossary), [None, Some("Euro.".to_owned())], "{glossary}");
        }
    }
}
