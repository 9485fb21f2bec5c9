//! A relation and its columns.

use std::collections::HashMap;

use crate::ColumnType;

/// Longest name that is compared with others for likeness, in bytes.
const LONGEST_LIKE: usize = 128;
/// Most columns that one is looked for in that is like another.
const MOST_LIKE: usize = 1_000;

/// A column of a relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// As the source calls it.
    pub name: String,
    /// Its type.
    pub kind: ColumnType,
}

impl Column {
    /// A column.
    pub fn new(name: impl Into<String>, kind: ColumnType) -> Self {
        Self { name: name.into(), kind }
    }
}

/// A relation of a data source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// The number of its data source.
    pub source: i64,
    /// Its schema, where the source has any.
    pub schema: Option<String>,
    /// Its name.
    pub table: String,
    /// All its columns.
    pub columns: Vec<Column>,
}

impl Relation {
    /// The column that a rule names: by its exact name, else the only one that differs from it by case alone.
    pub fn column(&self, name: &str) -> Option<&Column> {
        if let Some(exact) = self.columns.iter().find(|column| column.name == name) {
            return Some(exact);
        }
        let mut alike = self.columns.iter().filter(|column| same_name(&column.name, name));
        alike.next().filter(|_| alike.next().is_none())
    }

    /// The name of a column that is nearest to this one: of the first of many, and of names of a common length.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        like(name, self.columns.iter().map(|column| column.name.as_str()))
    }

    /// Whether a rule about this place (`table`, `schema.table`, or `*`) is about the relation.
    pub(crate) fn is_at(&self, schema: Option<&str>, table: Option<&str>, naming: Naming) -> bool {
        let exactly = naming == Naming::Exact;
        let same = |one: &str, other: &str| if exactly { one == other } else { same_name(one, other) };
        let is_bare = self.schema.is_none() && naming == Naming::Broad;
        let own_schema = self.schema.as_deref().unwrap_or_default();
        let schema = schema.filter(|schema| *schema != "*");
        if schema.is_some_and(|schema| !is_bare && !same(schema, own_schema)) {
            return false;
        }
        let Some(table) = table.filter(|table| *table != "*") else { return true };
        if same(table, &self.table) {
            return true;
        }
        if is_bare {
            return table.rsplit_once('.').is_some_and(|(_, table)| same(table, &self.table));
        }
        // What follows has a dot in it. Most rules are about another table, and each query asks each rule about each table.
        if self.schema.is_none() || !table.contains('.') {
            return false;
        }
        let full = format!("{own_schema}.{}", self.table);
        let in_source = || table.to_lowercase().ends_with(&format!(".{}", full.to_lowercase()));
        same(table, &full) || (naming == Naming::Broad && in_source())
    }
}

/// The name that is most like this one: of the first of many, and of names of a common length.
pub(crate) fn like<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    if name.len() > LONGEST_LIKE {
        return None;
    }
    let wanted = name.to_lowercase();
    known
        .filter(|known| known.len() <= LONGEST_LIKE)
        .take(MOST_LIKE)
        .map(|known| (strsim::jaro_winkler(&known.to_lowercase(), &wanted), known))
        .filter(|(likeness, _)| *likeness >= 0.7)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, known)| known)
}

/// How a rule names a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// As one that takes something away: it must not be missed for a letter. Capitals do not count, where there are no schemas
    /// whichever it names is no way around it, and `source.schema.table`, which queries may write, is `schema.table`.
    Broad,
    /// But for capitals.
    Alike,
    /// As one that gives: it gives what it names.
    Exact,
}

/// The columns of a relation by their names. Many rules name many columns: looking through all columns for each would take a second
/// for a file of 10,000 columns.
pub(crate) struct Names<'r>(HashMap<String, Vec<&'r Column>>);

impl<'r> Names<'r> {
    pub(crate) fn of(relation: &'r Relation) -> Self {
        let mut names: HashMap<String, Vec<&Column>> = HashMap::with_capacity(relation.columns.len());
        for column in &relation.columns {
            names.entry(column.name.to_lowercase()).or_default().push(column);
        }
        Self(names)
    }

    /// Every column that a rule may mean by this name. Rules that take something away mean all of them.
    pub(crate) fn called(&self, name: &str) -> impl Iterator<Item = &'r Column> {
        self.0.get(&name.to_lowercase()).into_iter().flatten().copied()
    }

    /// The column of exactly this name.
    pub(crate) fn exactly(&self, name: &str) -> Option<&'r Column> {
        self.called(name).find(|column| column.name == name)
    }

    /// The same as [`Relation::column`].
    pub(crate) fn column(&self, name: &str) -> Option<&'r Column> {
        self.exactly(name).or_else(|| {
            let mut alike = self.called(name);
            alike.next().filter(|_| alike.next().is_none())
        })
    }
}

/// Whether two names differ in capitals at most.
pub(crate) fn same_name(one: &str, other: &str) -> bool {
    if one.is_ascii() && other.is_ascii() {
        return one.eq_ignore_ascii_case(other);
    }
    one == other || one.to_lowercase() == other.to_lowercase()
}
