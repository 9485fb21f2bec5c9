//! A rule that names a data source or a schema where it has to name a table holds for nothing: told to whoever writes it.

use tidegate_domain::text::nearest;

use crate::hooks::{KnownPlace, KnownRelation};

/// Most tables that are named.
const MOST_TABLES: usize = 5;

/// What is said of the name of a data source or a schema in the place of a table's, with the tables there: of many the nearest one and the
/// first. None of a name that is neither, or that a table there has, too.
pub(super) fn of_place(written: &str, does: &str, places: &[KnownPlace]) -> Option<String> {
    let wanted = written.to_lowercase();
    let (first, what, is_there) = place_of(&wanted, places)?;
    let there = places.iter().filter(|place| place.source == first.source && is_there(first, place));
    let mut tables: Vec<&str> = there.map(|place| place.table.as_str()).collect();
    tables.retain(|table| !table.is_empty());
    if tables.iter().any(|table| table.to_lowercase() == wanted) {
        return None;
    }
    tables.sort_unstable();
    tables.dedup();
    let near = nearest(written, tables.iter().copied());
    tables.sort_by_key(|table| Some(*table) != near);
    Some(format!(
        "no table \"{written}\" is known: that is {what}{} This rule holds for no table now, and {does} nothing; it holds as soon as there is \
         a table that is called so.",
        meant(&tables)
    ))
}

/// What is said of the name of a table where the rule is not about the one that is called so: that of a data source that its policy is about
/// is in another schema than it names, and else the policy is not about the data source. None where no table is called so.
pub(super) fn of_elsewhere(
    written: &str,
    does: &str,
    (of_policy, of_any): (Option<&KnownRelation>, Option<&KnownRelation>),
) -> Option<String> {
    let found = of_policy.or(of_any)?;
    let (table, source) = (&found.table, found.source);
    let full = found.schema.as_ref().map_or_else(|| table.clone(), |schema| format!("{schema}.{table}"));
    let what = match (of_policy, &found.schema) {
        (Some(_), Some(_)) => {
            format!("\"{full}\" of data source {source} is in another schema than it names")
        }
        (Some(_), None) => format!("\"{full}\" of data source {source} is in no schema, and it names one"),
        (None, _) => format!("\"{full}\" is of data source {source}, which this policy is not about"),
    };
    Some(format!(
        "no table \"{written}\" is known where this rule looks for it: {what}. It holds for no table now, and {does} nothing; it holds as soon \
         as there is one."
    ))
}

/// What is said of a schema, of all of whose tables a rule is, where none is called so, with the schemas of the data source that is. Nothing
/// where there is one.
pub(super) fn of_schema(written: &str, does: &str, places: &[KnownPlace]) -> Option<String> {
    let wanted = written.to_lowercase();
    if places.iter().any(|place| place.schema.to_lowercase() == wanted) {
        return None;
    }
    let hint = match place_of(&wanted, places) {
        Some((first, what, _)) => {
            let there = places.iter().filter(|place| place.source == first.source);
            let mut schemas: Vec<&str> = there.map(|place| place.schema.as_str()).collect();
            schemas.retain(|schema| !schema.is_empty());
            schemas.sort_unstable();
            schemas.dedup();
            let named: Vec<String> =
                schemas.iter().take(MOST_TABLES).map(|schema| format!("\"{schema}\"")).collect();
            let has =
                if named.is_empty() { String::new() } else { format!(", which has {}", named.join(", ")) };
            format!(": that is {what}{has}.")
        }
        None => ".".to_owned(),
    };
    Some(format!(
        "no schema \"{written}\" is known{hint} Of data sources that have schemas this rule {does} nothing now; it holds as soon as there is a \
         schema that is called so."
    ))
}

/// Whether a table is in the same place as the first one.
type IsThere = fn(&KnownPlace, &KnownPlace) -> bool;

/// What is called so, in small letters: a data source before a schema, and that before a table behind its data source.
fn place_of<'p>(wanted: &str, places: &'p [KnownPlace]) -> Option<(&'p KnownPlace, String, IsThere)> {
    let is = |name: &str| name.to_lowercase() == wanted;
    let behind_source = |place: &KnownPlace, name: &str| is(&format!("{}.{name}", place.slug));
    if let Some(found) = places.iter().find(|place| is(&place.slug) || is(&place.source_name)) {
        return Some((found, format!("data source {}", found.source), |_, _| true));
    }
    let is_schema = |place: &&KnownPlace| is(&place.schema) || behind_source(place, &place.schema);
    if let Some(found) = places.iter().find(is_schema) {
        let what = format!("the schema {} of data source {}", found.schema, found.source);
        return Some((found, what, |first, place| place.schema == first.schema));
    }
    let found = places.iter().find(|place| behind_source(place, &place.table))?;
    let what = format!("a table of data source {} without its schema", found.source);
    Some((found, what, |first, place| place.table == first.table))
}

/// Which tables may be meant, behind what was named.
fn meant(tables: &[&str]) -> String {
    let named: Vec<String> = tables.iter().take(MOST_TABLES).map(|table| format!("\"{table}\"")).collect();
    match (named.as_slice(), tables.len().saturating_sub(MOST_TABLES)) {
        ([], _) => ", whose tables are not known yet.".to_owned(),
        ([one], _) => format!("; did you mean the table {one}?"),
        (several, 0) => format!("; did you mean one of the tables {}?", several.join(", ")),
        (several, more) => {
            format!("; did you mean one of the tables {} and {more} more?", several.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(schema: &str, table: &str) -> KnownPlace {
        KnownPlace {
            source: 7,
            slug: "sales".to_owned(),
            source_name: "Sales".to_owned(),
            schema: schema.to_owned(),
            table: table.to_owned(),
        }
    }

    #[test]
    fn of_many_tables_the_nearest_and_the_first_are_named() {
        let mut places: Vec<KnownPlace> =
            ["a", "b", "c", "d", "e", "f", "sale"].map(|table| place("main", table)).into();
        // The same in another schema is one name.
        places.push(place("old", "a"));
        let told = of_place("Sales", "hides", &places).unwrap_or_default();
        let begins = "no table \"Sales\" is known: that is data source 7; did you mean one of the tables \"sale\", \"a\", \"b\", \"c\", \"d\" \
                      and 2 more? This rule holds for no table now, and hides nothing;";
        assert!(told.starts_with(begins), "{told}");
        let told = of_place("sales.OLD", "masks", &places).unwrap_or_default();
        assert!(
            told.contains("that is the schema old of data source 7; did you mean the table \"a\"?"),
            "{told}"
        );
        let told = of_place("sales", "hides", &[place("", "")]).unwrap_or_default();
        assert!(told.contains("that is data source 7, whose tables are not known yet. This rule"), "{told}");
        assert_eq!(of_place("shop", "hides", &places), None);
        assert_eq!(
            of_place("Sales", "allows", &[place("", "sales")]),
            None,
            "a file's table is often called as its data source"
        );
        let bare = KnownRelation {
            source: 7,
            workspace: 1,
            schema: None,
            table: "a".to_owned(),
            is_typed: true,
            columns: Vec::new(),
        };
        let told = of_elsewhere("x.a", "allows", (Some(&bare), Some(&bare))).unwrap_or_default();
        assert!(told.contains("\"a\" of data source 7 is in no schema, and it names one."), "{told}");
        assert_eq!(of_schema("OLD", "denies", &places), None);
        let told = of_schema("Sales", "denies", &places).unwrap_or_default();
        let begins = "no schema \"Sales\" is known: that is data source 7, which has \"main\", \"old\". Of data sources that have schemas this \
                      rule denies nothing now;";
        assert!(told.starts_with(begins), "{told}");
    }
}
