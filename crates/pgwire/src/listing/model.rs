//! What the catalogs say of the relations that a person sees.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tidegate_prompts::ports::Relation;

use super::datum::Datum;
use super::keys;
use super::tables::{Rows, SCHEMAS, Wanted};
use crate::values::oids::PgType;

/// Number of the schema of the catalogs, and of that of `information_schema`.
pub(super) const PG_CATALOG: i64 = 11;
const INFORMATION: i64 = 13_000;
/// First numbers of schemas, relations, indexes and constraints.
pub(super) const FIRST_SCHEMA: i64 = 14_000;
pub(super) const FIRST_RELATION: i64 = 16_384;
pub(super) const FIRST_INDEX: i64 = 1_000_000;
pub(super) const FIRST_KEY: i64 = 2_000_000;
pub(super) const FIRST_REFERENCE: i64 = 3_000_000;
/// Number of the one role, and of the one collation.
pub(super) const OWNER: i64 = 10;
pub(super) const COLLATION: i64 = 100;
/// Relations that are listed at most, and columns of all of them.
const MOST: usize = 5_000;
const MOST_COLUMNS: usize = 100_000;
/// Digits of a decimal number at most.
const MOST_DIGITS: i64 = 1_000;
/// What all relations belong to.
pub(crate) const OWNER_NAME: &str = "tidegate";

/// What a statement about catalogs is answered from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context {
    /// What the person sees.
    pub(crate) relations: Arc<Vec<Relation>>,
    pub(crate) user: String,
    pub(crate) database: String,
    /// Whether the database is one data source; else schemas are data sources.
    pub(crate) is_source: bool,
    /// The connection's settings.
    pub(crate) settings: Vec<(String, String)>,
}

/// A relation as it is listed.
pub(crate) struct Entry {
    pub(crate) oid: i64,
    pub(crate) schema: String,
    pub(crate) name: String,
    /// Comment of the relation, and of its columns by their places from 1.
    pub(crate) comments: BTreeMap<i64, String>,
    pub(crate) is_visible: bool,
}

/// The catalogs, filled.
pub(crate) struct Model {
    pub(crate) context: Context,
    pub(crate) rows: Rows,
    pub(crate) entries: Vec<Entry>,
    /// The schema that names without one are looked for in.
    pub(crate) schema: Option<String>,
    /// Definitions of constraints and indexes, by their numbers.
    pub(crate) definitions: BTreeMap<i64, String>,
}

/// A name as SQL writes it: in quotes where it needs them.
pub(crate) fn ident(name: &str) -> String {
    let is_plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty();
    if is_plain { name.to_owned() } else { tidegate_prompts::ports::quoted(name) }
}

/// The name of a type, with its digits where a modifier says them.
pub(crate) fn format_type(oid: i64, modifier: Option<i64>) -> Option<String> {
    let oid = u32::try_from(oid).ok()?;
    if let Some(kind) = PgType::of_oid(oid) {
        let digits = modifier
            .filter(|modifier| *modifier >= 4 && kind == PgType::Numeric)
            .map(|modifier| modifier - 4);
        return Some(match digits {
            Some(digits) => format!("numeric({},{})", digits >> 16, digits & 0xffff),
            None => kind.shown().to_owned(),
        });
    }
    let of = PgType::ALL.iter().find(|kind| kind.array() == oid && oid != 0)?;
    Some(format!("{}[]", of.shown()))
}

/// Digits of a decimal type in words of SQL, as a modifier.
fn modifier(words: &str) -> i64 {
    let inner = words.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(inner, _)| inner);
    let mut numbers = inner.unwrap_or_default().split(',').map(|number| number.trim().parse::<i64>().ok());
    let (precision, scale) = (numbers.next().flatten(), numbers.next().flatten().unwrap_or(0));
    // In SQLite a type is any text.
    let is_scale = (0..=MOST_DIGITS).contains(&scale);
    match (PgType::of_words(words), precision.filter(|precision| (1..=MOST_DIGITS).contains(precision))) {
        (PgType::Numeric, Some(precision)) if is_scale => ((precision << 16) | scale) + 4,
        _ => -1,
    }
}

/// The schema of a relation in this database, if names of two parts reach it there. `alike` are the schemas of all relations of its name in
/// its data source.
fn schema_of<'r>(relation: &'r Relation, alike: &[&str], is_source: bool) -> Option<&'r str> {
    if is_source {
        return Some(&relation.schema);
    }
    let usual = |schema: &str| ["public", "main", "dbo"].contains(&schema);
    let is_only_usual =
        usual(&relation.schema) && alike.iter().all(|other| *other == relation.schema || !usual(other));
    (alike.len() == 1 || is_only_usual).then_some(relation.source.as_str())
}

impl Model {
    /// Fills the tables that are wanted.
    pub(crate) fn new(context: Context, wanted: Wanted) -> Self {
        let relations = Arc::clone(&context.relations);
        let name = |relation: &Relation| (relation.source.clone(), relation.table.clone());
        let mut alike: HashMap<(String, String), Vec<&str>> = HashMap::new();
        for relation in relations.iter() {
            alike.entry(name(relation)).or_default().push(&relation.schema);
        }
        let mut columns = 0;
        let seen = relations.iter().take(MOST).take_while(|relation| {
            columns += relation.columns.len();
            columns <= MOST_COLUMNS
        });
        let listed: Vec<(&Relation, &str)> = seen
            .filter_map(|relation| {
                let alike = alike.get(&name(relation)).map(Vec::as_slice).unwrap_or_default();
                Some((relation, schema_of(relation, alike, context.is_source)?))
            })
            .collect();
        let schemas: BTreeSet<&str> = listed.iter().map(|(_, schema)| *schema).collect();
        let usual =
            ["public", "main", "dbo"].into_iter().find(|usual| context.is_source && schemas.contains(usual));
        let schema =
            usual.or_else(|| schemas.first().copied().filter(|_| schemas.len() == 1)).map(str::to_owned);
        let mut model = Self {
            context,
            rows: Rows::new(wanted),
            entries: Vec::new(),
            schema,
            definitions: BTreeMap::new(),
        };
        model.add_installation(&schemas);
        for (place, (relation, schema)) in (0..).zip(&listed) {
            let number =
                schemas.iter().position(|known| known == schema).and_then(|at| i64::try_from(at).ok());
            model.add_relation(place, FIRST_SCHEMA + number.unwrap_or(0), relation, schema);
        }
        model.add_references(&listed);
        model
    }

    fn add_installation(&mut self, schemas: &BTreeSet<&str>) {
        let database = self.context.database.clone();
        let rows = &mut self.rows;
        let named = [(PG_CATALOG, "pg_catalog"), (INFORMATION, "information_schema")];
        let own = (FIRST_SCHEMA..).zip(schemas.iter().copied());
        for (oid, name) in named.into_iter().chain(own) {
            rows.add(
                "pg_catalog",
                "pg_namespace",
                [("oid", oid.into()), ("nspname", name.into()), ("nspowner", OWNER.into())],
            );
            rows.add(
                "information_schema",
                "schemata",
                [
                    ("catalog_name", database.clone().into()),
                    ("schema_name", name.into()),
                    ("schema_owner", OWNER_NAME.into()),
                ],
            );
        }
        rows.add(
            "pg_catalog",
            "pg_database",
            [
                ("oid", 1.into()),
                ("datname", database.into()),
                ("datdba", OWNER.into()),
                ("encoding", 6.into()),
                ("datlocprovider", "c".into()),
                ("datallowconn", true.into()),
                ("datconnlimit", (-1).into()),
                ("datcollate", "C".into()),
                ("datctype", "C".into()),
            ],
        );
        rows.add(
            "pg_catalog",
            "pg_roles",
            [("rolname", OWNER_NAME.into()), ("rolinherit", true.into()), ("oid", OWNER.into())],
        );
        rows.add(
            "pg_catalog",
            "pg_am",
            [("oid", 2.into()), ("amname", "heap".into()), ("amtype", "t".into())],
        );
        rows.add(
            "pg_catalog",
            "pg_am",
            [("oid", 403.into()), ("amname", "btree".into()), ("amtype", "i".into())],
        );
        rows.add(
            "pg_catalog",
            "pg_collation",
            [("oid", COLLATION.into()), ("collname", "default".into()), ("collnamespace", PG_CATALOG.into())],
        );
        self.add_kinds();
    }

    /// Settings and types.
    fn add_kinds(&mut self) {
        let rows = &mut self.rows;
        for (name, value) in self.context.settings.clone() {
            rows.add("pg_catalog", "pg_settings", [("name", name.into()), ("setting", value.into())]);
        }
        for kind in PgType::ALL {
            keys::add_type(rows, *kind);
        }
    }

    fn add_relation(&mut self, place: i64, namespace: i64, relation: &Relation, schema: &str) {
        let oid = FIRST_RELATION + place;
        let is_visible = self.schema.as_deref() == Some(schema);
        let mut comments = BTreeMap::new();
        comments.extend(relation.comment.clone().map(|comment| (0, comment)));
        let keys: Vec<i64> = (1..)
            .zip(&relation.columns)
            .filter(|(_, column)| column.primary_key)
            .map(|(place, _)| place)
            .collect();
        let count = i64::try_from(relation.columns.len()).unwrap_or(0);
        let name = relation.table.as_str();
        self.add_class(oid, namespace, name, "r", count, !keys.is_empty());
        let database = self.context.database.clone();
        self.rows.add(
            "information_schema",
            "tables",
            [
                ("table_catalog", database.clone().into()),
                ("table_schema", schema.into()),
                ("table_name", name.into()),
                ("table_type", "BASE TABLE".into()),
                ("is_insertable_into", "NO".into()),
                ("is_typed", "NO".into()),
            ],
        );
        self.rows.add(
            "pg_catalog",
            "pg_tables",
            [("schemaname", schema.into()), ("tablename", name.into()), ("tableowner", OWNER_NAME.into())],
        );
        self.add_columns(oid, schema, relation, &mut comments);
        for (place, comment) in &comments {
            self.rows.add(
                "pg_catalog",
                "pg_description",
                [
                    ("objoid", oid.into()),
                    ("classoid", 1_259.into()),
                    ("objsubid", (*place).into()),
                    ("description", comment.as_str().into()),
                ],
            );
        }
        self.entries.push(Entry {
            oid,
            schema: schema.to_owned(),
            name: name.to_owned(),
            comments,
            is_visible,
        });
        if !keys.is_empty() {
            self.add_key(place, namespace, relation, schema, &keys);
        }
    }

    fn add_columns(
        &mut self,
        oid: i64,
        schema: &str,
        relation: &Relation,
        comments: &mut BTreeMap<i64, String>,
    ) {
        let (database, name) = (self.context.database.clone(), relation.table.as_str());
        for (place, column) in (1..).zip(&relation.columns) {
            comments.extend(column.comment.clone().map(|comment| (place, comment)));
            let kind = PgType::of_words(&column.type_name);
            let modifier = modifier(&column.type_name);
            self.rows.add(
                "pg_catalog",
                "pg_attribute",
                [
                    ("attrelid", oid.into()),
                    ("attname", column.name.as_str().into()),
                    ("atttypid", i64::from(kind.oid()).into()),
                    ("attlen", i64::from(kind.size()).into()),
                    ("attnum", place.into()),
                    ("atttypmod", modifier.into()),
                    ("attnotnull", column.primary_key.into()),
                    ("attislocal", true.into()),
                    ("attstorage", "p".into()),
                    ("attcollation", if kind == PgType::Text { COLLATION } else { 0 }.into()),
                ],
            );
            self.add_information_column(
                &database,
                schema,
                name,
                (place, &column.name),
                (kind, modifier, column.primary_key),
            );
        }
    }

    fn add_information_column(
        &mut self,
        database: &str,
        schema: &str,
        table: &str,
        (place, name): (i64, &str),
        (kind, modifier, is_key): (PgType, i64, bool),
    ) {
        let (precision, scale) = match kind {
            PgType::Numeric if modifier >= 4 => {
                (Datum::Int((modifier - 4) >> 16), Datum::Int((modifier - 4) & 0xffff))
            }
            PgType::Int2 => (16.into(), 0.into()),
            PgType::Int4 => (32.into(), 0.into()),
            PgType::Int8 => (64.into(), 0.into()),
            _ => (Datum::Null, Datum::Null),
        };
        self.rows.add(
            "information_schema",
            "columns",
            [
                ("table_catalog", database.into()),
                ("table_schema", schema.into()),
                ("table_name", table.into()),
                ("column_name", name.into()),
                ("ordinal_position", place.into()),
                ("is_nullable", if is_key { "NO" } else { "YES" }.into()),
                ("data_type", kind.shown().into()),
                ("numeric_precision", precision),
                ("numeric_scale", scale),
                ("udt_catalog", database.into()),
                ("udt_schema", "pg_catalog".into()),
                ("udt_name", kind.name().into()),
                ("is_identity", "NO".into()),
                ("is_generated", "NEVER".into()),
                ("is_updatable", "NO".into()),
            ],
        );
    }

    pub(super) fn add_class(
        &mut self,
        oid: i64,
        namespace: i64,
        name: &str,
        kind: &str,
        columns: i64,
        has_index: bool,
    ) {
        self.rows.add(
            "pg_catalog",
            "pg_class",
            [
                ("oid", oid.into()),
                ("relname", name.into()),
                ("relnamespace", namespace.into()),
                ("relowner", OWNER.into()),
                ("relam", if kind == "i" { 403 } else { 2 }.into()),
                // Unknown, as PostgreSQL says it: how many rows there are is not for everybody.
                ("reltuples", Datum::Float(-1.0)),
                ("relhasindex", has_index.into()),
                ("relpersistence", "p".into()),
                ("relkind", kind.into()),
                ("relnatts", columns.into()),
                ("relispopulated", true.into()),
                ("relreplident", "n".into()),
            ],
        );
    }

    /// The number of a relation, by its name with or without a schema; catalogs have numbers, too.
    pub(crate) fn oid_of(&self, name: &str) -> Option<i64> {
        let parts: Vec<String> = name.split('.').map(|part| part.trim_matches('"').to_owned()).collect();
        let (schema, table) = match parts.as_slice() {
            [table] => (None, table),
            [schema, table] => (Some(schema.as_str()), table),
            _ => return None,
        };
        let is_meant = |entry: &&Entry| {
            entry.name == *table && schema.map_or(entry.is_visible, |schema| schema == entry.schema)
        };
        if let Some(entry) = self.entries.iter().find(is_meant) {
            return Some(entry.oid);
        }
        match table.as_str() {
            "pg_class" => Some(1_259),
            "pg_type" => Some(1_247),
            "pg_attribute" => Some(1_249),
            "pg_proc" => Some(1_255),
            "pg_namespace" => Some(2_615),
            "pg_constraint" => Some(2_606),
            "pg_database" => Some(1_262),
            _ => {
                let (_, tables) = SCHEMAS.first()?;
                let at = tables.iter().position(|(known, _)| known == table)?;
                Some(5_000 + i64::try_from(at).ok()?)
            }
        }
    }

    /// The relation of that number.
    pub(crate) fn entry(&self, oid: i64) -> Option<&Entry> {
        let at = usize::try_from(oid.checked_sub(FIRST_RELATION)?).ok()?;
        self.entries.get(at).filter(|entry| entry.oid == oid)
    }

    /// The name of a relation, as SQL would write it here.
    pub(crate) fn name_of(&self, oid: i64) -> String {
        match self.entry(oid) {
            Some(entry) if entry.is_visible => ident(&entry.name),
            Some(entry) => format!("{}.{}", ident(&entry.schema), ident(&entry.name)),
            None if oid == 0 => "-".to_owned(),
            None => oid.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_that_no_type_has_are_left_out() {
        assert_eq!(modifier("numeric(10,2)"), ((10 << 16) | 2) + 4);
        assert_eq!(modifier("numeric(10)"), (10 << 16) + 4);
        for words in [
            "numeric",
            "numeric()",
            "numeric(1,9223372036854775807)",
            "numeric(9223372036854775807)",
            "numeric(-1)",
            "text(5)",
        ] {
            assert_eq!(modifier(words), -1, "{words}");
        }
    }
}
