//! What a query asks, as a query of Elasticsearch. Source: the reference, "Mapping", "Term-level queries" and "Source filtering".
//!
//! An index answers by what it made of a document's fields, the engine by what is written in the document. So only conditions cross
//! whose answer is surely no smaller:
//!
//! - Fields of the types `keyword`, `long`, `integer`, `short`, `byte` and `boolean`, with no parameter that changes what is indexed
//!   (`normalizer`, `null_value`, `script`), and `keyword` below a `text`. An analysed text is other words, `scaled_float` and `float` are
//!   other numbers, and a date is text to the engine: `2024-01-02T00:00+02:00` comes after `2024-01-01T23:00Z` there, and is before it here.
//! - Columns of the type that such a field has. In a column of strings an array is its JSON, of which the index knows the elements
//!   alone: what may select a text that begins with `[` does not cross.
//! - What a field holds may have been left out of the index (`ignore_above`, `ignore_malformed`), or be older than the field's mapping: every
//!   document of which the index has nothing in the field is selected, too. For the same reason `IS NULL` does not cross.
//! - An integer field cuts fractions off, so that `5.7` is found as 5: ranges include their ends.
//! - Nothing is excluded: a document with several values in a field has one that is meant, and others.

use serde_json::{Map, Value, json};

use crate::error::SourceError;
use crate::files::{Kind, Known};
use crate::filter::{Literal, Operator};
use crate::http::tree;
use crate::snapshot::Asked;
use crate::wider::{Language, Leaf, wider};

/// Parameters of a field that change nothing in what it is found by.
const HARMLESS: [&str; 14] = [
    "boost",
    "coerce",
    "doc_values",
    "eager_global_ordinals",
    "fields",
    "ignore_above",
    "ignore_malformed",
    "index",
    "index_options",
    "meta",
    "norms",
    "similarity",
    "store",
    "type",
];
/// Values of a list: a cluster takes 65,536, if it is not told otherwise.
const LIST: usize = 1_000;
/// Bytes of a text that a condition names.
const TEXT: usize = 8_191;

/// The types of fields of which conditions are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    /// The document's own `_id`.
    Id,
    Keyword,
    Integer,
    Boolean,
}

/// The fields of an index.
pub(super) struct Fields {
    properties: Map<String, Value>,
    /// Those that are computed at each search, instead of what the document has.
    computed: Map<String, Value>,
}

impl Fields {
    /// Out of the answer of `_mapping`; none of several indices.
    pub(super) fn of(body: &str) -> Result<Option<Self>, SourceError> {
        let Value::Object(indices) = tree(body.as_bytes())? else { return Ok(None) };
        let mut indices = indices.into_iter();
        let (Some((_, index)), None) = (indices.next(), indices.next()) else { return Ok(None) };
        let member = |name: &str| index.get("mappings")?.get(name)?.as_object().cloned();
        let properties = member("properties").unwrap_or_default();
        Ok(Some(Self { properties, computed: member("runtime").unwrap_or_default() }))
    }

    /// The field that is asked about a column, and its type.
    fn of_column(&self, column: &str) -> Option<(String, Type)> {
        if column == "_id" {
            return Some((column.to_owned(), Type::Id));
        }
        // A dot in the name of a member means the same as a member inside one.
        if column.contains(['.', '*']) || column.starts_with('_') || self.computed.contains_key(column) {
            return None;
        }
        let field = self.properties.get(column)?.as_object()?;
        if field.get("type").and_then(Value::as_str) == Some("text") {
            let mut inner = field.get("fields")?.as_object()?.iter();
            let (name, _) = inner.find(|(name, field)| {
                !name.contains(['.', '*']) && field.as_object().and_then(plain) == Some(Type::Keyword)
            })?;
            let name = format!("{column}.{name}");
            return (!self.computed.contains_key(&name)).then_some((name, Type::Keyword));
        }
        Some((column.to_owned(), plain(field)?))
    }
}

/// The type of a field that is indexed as it is written.
fn plain(field: &Map<String, Value>) -> Option<Type> {
    let is_on = |name: &str| field.get(name).is_none_or(|value| *value == Value::Bool(true));
    if !field.keys().all(|name| HARMLESS.contains(&name.as_str())) || !is_on("index") || !is_on("doc_values")
    {
        return None;
    }
    match field.get("type")?.as_str()? {
        "keyword" => Some(Type::Keyword),
        "long" | "integer" | "short" | "byte" => Some(Type::Integer),
        "boolean" => Some(Type::Boolean),
        _ => None,
    }
}

/// The query that selects at least what is wanted; none where it would select everything.
pub(super) fn query(asked: &Asked, fields: &Fields) -> Option<Value> {
    let conditions = Conditions { known: &asked.known, fields };
    let all: Vec<Value> = asked.filters.iter().filter_map(|filter| wider(&conditions, filter)).collect();
    (!all.is_empty()).then(|| json!({ "bool": { "filter": all } }))
}

/// The members of documents that are sent: `_source`. None where they are sent as they were written: a server that leaves out some writes
/// the others anew, with other blanks and other digits, and so columns of whose values that can be seen are not picked.
pub(super) fn members(asked: &Asked) -> Option<Value> {
    let wanted = asked.columns.as_ref().filter(|wanted| wanted.len() < asked.known.count())?;
    let is_safe = |name: &String| {
        let as_written = match asked.known.column(name) {
            Some((Kind::Boolean | Kind::Int | Kind::Float, _)) => true,
            Some((_, is_strings)) => is_strings,
            None => false,
        };
        as_written && !name.contains(['.', '*', '\\'])
    };
    if !wanted.iter().all(is_safe) {
        return None;
    }
    let members: Vec<&String> = wanted.iter().filter(|name| *name != "_id").collect();
    Some(if members.is_empty() { json!(false) } else { json!(members) })
}

/// Conditions on the columns of an index.
struct Conditions<'a> {
    known: &'a Known,
    fields: &'a Fields,
}

impl Conditions<'_> {
    /// The field of a column, if values of the column can be compared with it.
    fn field(&self, column: &str) -> Option<(String, Type)> {
        let (kind, is_strings) = self.known.column(column)?;
        let (field, is) = self.fields.of_column(column)?;
        let is_same = match is {
            Type::Id | Type::Keyword => kind == Kind::Text && is_strings,
            Type::Integer => kind == Kind::Int,
            Type::Boolean => kind == Kind::Boolean,
        };
        is_same.then_some((field, is))
    }

    /// Any of some values.
    fn among(&self, column: &str, literals: &[&Literal]) -> Option<Value> {
        let (field, is) = self.field(column)?;
        if literals.is_empty() || literals.len() > LIST {
            return None;
        }
        let values = literals.iter().map(|literal| exact(is, literal)).collect::<Option<Vec<Value>>>()?;
        Some(match is {
            Type::Id => json!({ "ids": { "values": values } }),
            _ => or_unknown(&field, vec![json!({ "terms": { (field.as_str()): values } })]),
        })
    }

    /// From one value to another, of which one may be absent.
    fn range(&self, column: &str, low: Option<&Literal>, high: Option<&Literal>) -> Option<(String, Value)> {
        let (field, is) = self.field(column)?;
        let value = |literal: Option<&Literal>| literal.map(|literal| exact(is, literal));
        match is {
            Type::Integer => {}
            // All of the range is before what begins with a bracket, or after it.
            Type::Keyword if starts(high).is_some_and(|first| first < b'[') => {}
            Type::Keyword if starts(low).is_some_and(|first| first > b'[') => {}
            _ => return None,
        }
        let mut ends = Map::new();
        for (end, value) in [("gte", value(low)), ("lte", value(high))] {
            if let Some(value) = value {
                ends.insert(end.to_owned(), value?);
            }
        }
        let range = json!({ "range": { (field.as_str()): ends } });
        Some((field, range))
    }
}

/// The first byte of a text that is none that is empty.
fn starts(literal: Option<&Literal>) -> Option<u8> {
    match literal {
        Some(Literal::Utf8(text)) => text.bytes().next(),
        _ => None,
    }
}

/// A value as a field of a type has it; none for one that it may have otherwise.
fn exact(is: Type, literal: &Literal) -> Option<Value> {
    match (is, literal) {
        (Type::Integer, Literal::Int(value)) => Some(json!(value)),
        (Type::Boolean, Literal::Boolean(value)) => Some(json!(value)),
        (Type::Id | Type::Keyword, Literal::Utf8(text)) => {
            let is_json = text.starts_with(['[', '{']);
            (!text.is_empty() && text.len() <= TEXT && !is_json).then(|| json!(text))
        }
        _ => None,
    }
}

/// Any of these, or nothing in the field.
fn or_unknown(field: &str, mut any: Vec<Value>) -> Value {
    any.push(json!({ "bool": { "must_not": [{ "exists": { "field": field } }] } }));
    json!({ "bool": { "should": any, "minimum_should_match": 1 } })
}

impl Language for Conditions<'_> {
    type Said = Value;

    fn leaf(&self, column: &str, leaf: Leaf<'_>) -> Option<Value> {
        let ranges = match leaf {
            Leaf::Compare(Operator::Eq, literal) => return self.among(column, &[literal]),
            Leaf::In(literals) => return self.among(column, &literals.iter().collect::<Vec<_>>()),
            Leaf::Compare(Operator::NotEq, _) | Leaf::Null | Leaf::NotNull => return None,
            Leaf::Compare(Operator::Lt | Operator::LtEq, high) => {
                vec![self.range(column, None, Some(high))?]
            }
            Leaf::Compare(Operator::Gt | Operator::GtEq, low) => vec![self.range(column, Some(low), None)?],
            Leaf::Within(low, high) => vec![self.range(column, Some(low), Some(high))?],
            Leaf::Outside(low, high) => {
                vec![self.range(column, None, Some(low))?, self.range(column, Some(high), None)?]
            }
        };
        let field = ranges.first()?.0.clone();
        Some(or_unknown(&field, ranges.into_iter().map(|(_, range)| range).collect()))
    }

    fn all(&self, parts: Vec<Value>) -> Value {
        json!({ "bool": { "filter": parts } })
    }

    fn any(&self, parts: Vec<Value>) -> Value {
        json!({ "bool": { "should": parts, "minimum_should_match": 1 } })
    }
}
