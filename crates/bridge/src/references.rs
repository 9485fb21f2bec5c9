//! What columns refer to, as far as a person may know of it.

use std::collections::{HashMap, HashSet};

use tidegate_prompts::ports::Relation;

/// Relations without what their columns refer to outside of them: a foreign key would tell, in a question's answer and to a model, what a
/// table is called that a policy denies, or a column that one hides. Of one that names no column it is the other table's key.
pub(crate) fn without_unseen(mut relations: Vec<Relation>) -> Vec<Relation> {
    let mut seen: HashMap<[String; 3], HashSet<String>> = HashMap::new();
    for relation in &relations {
        let columns = relation.columns.iter().map(|column| column.name.to_lowercase());
        seen.entry(key(&relation.source, &relation.schema, &relation.table)).or_default().extend(columns);
    }
    for relation in &mut relations {
        for column in &mut relation.columns {
            let is_seen = column.references.as_ref().is_some_and(|(schema, table, other)| {
                let columns = seen.get(&key(&relation.source, schema, table));
                columns.is_some_and(|columns| other.is_empty() || columns.contains(&other.to_lowercase()))
            });
            if !is_seen {
                column.references = None;
            }
        }
    }
    relations
}

/// SQLite's keys may be written in other letters than the tables that they name.
fn key(source: &str, schema: &str, table: &str) -> [String; 3] {
    [source, schema, table].map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use tidegate_prompts::ports::RelationColumn;

    use super::*;

    fn relation(source: &str, table: &str, columns: &[(&str, Option<(&str, &str)>)]) -> Relation {
        let column = |(name, references): &(&str, Option<(&str, &str)>)| RelationColumn {
            name: (*name).to_owned(),
            type_name: "integer".to_owned(),
            nullable: false,
            is_typed: true,
            comment: None,
            primary_key: false,
            references: references
                .map(|(table, column)| ("public".to_owned(), table.to_owned(), column.to_owned())),
        };
        Relation {
            source: source.to_owned(),
            schema: "public".to_owned(),
            table: table.to_owned(),
            comment: None,
            columns: columns.iter().map(column).collect(),
        }
    }

    // The attack: whom a policy denies `payroll` and hides `people.badge` asks what else there is.
    #[test]
    fn a_key_does_not_tell_of_what_is_hidden() {
        let orders = [
            ("person", Some(("people", "id"))),
            ("spelled", Some(("PEOPLE", "ID"))),
            ("key", Some(("people", ""))),
            ("badge", Some(("people", "badge"))),
            ("grade", Some(("payroll", "id"))),
            ("any", Some(("payroll", ""))),
            ("id", None),
        ];
        // A table of that name in another source is another one.
        let all = [
            relation("shop", "orders", &orders),
            relation("shop", "people", &[("id", None)]),
            relation("other", "payroll", &[("id", None)]),
        ];
        let left = without_unseen(all.into());
        let told: Vec<&str> = left[0]
            .columns
            .iter()
            .filter(|column| column.references.is_some())
            .map(|column| column.name.as_str())
            .collect();
        assert_eq!(told, ["person", "spelled", "key"]);
    }
}
