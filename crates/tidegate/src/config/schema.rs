//! Every key there is, with the kind of its value and its meaning: what the types say that the configuration is read into.
//! The meaning of a key is the doc comment of its field.

use std::collections::BTreeMap;

use figment::value::{Dict, Value};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema as JsonSchemaOf};
use serde_json::{Map, Value as Json};
use tidegate_domain::ContractProfile;

use super::suggest::{Suggestion, suggest};
use super::{Config, Contracts};

/// What a field says that holds a limit which development does not raise: `#[schemars(extend("x-kept" = true))]`.
const KEPT: &str = "x-kept";

/// All keys.
pub(super) struct Schema(Table);

/// Keys by name.
pub(super) type Table = BTreeMap<String, Key>;

/// What stands for the names of tables that an operator chooses: `[social.oidc.NAME]`.
const ANY_NAME: &str = "NAME";

/// A key.
pub(super) struct Key {
    /// The kind of its value.
    pub(super) kind: ValueKind,
    /// What its field says.
    schema: Json,
}

/// Whether a limit stays as it is in development.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept(pub(super) bool);

/// A kind of value.
pub(super) enum ValueKind {
    /// Text, also what is written as text: an address, a name of a list.
    Text,
    /// True or false.
    Switch,
    /// A table.
    Table(Table),
    /// A list of tables.
    Tables(Table),
    /// A number, or a list.
    Other,
}

/// A key that is not there.
#[derive(Debug)]
pub(super) struct Unknown<'v> {
    /// Where it stands.
    pub(super) path: Vec<String>,
    /// What it was given.
    pub(super) value: &'v Value,
    /// What may have been meant.
    pub(super) meant: Option<Suggestion>,
}

impl Schema {
    /// All keys.
    ///
    /// # Errors
    /// When a contract's profile cannot be serialised: a defect.
    pub(super) fn new() -> Result<Self, String> {
        let mut keys = table(described::<Config>().as_value()).unwrap_or_default();
        for profile in Contracts::default().iter() {
            let mut table = table(described::<ContractProfile>().as_value()).unwrap_or_default();
            let has = serde_json::to_value(profile).map_err(|error| error.to_string())?;
            keep_those_of(&mut table, &has);
            keys.insert(
                profile.contract.to_string(),
                Key { kind: ValueKind::Table(table), schema: Json::Null },
            );
        }
        Ok(Self(keys))
    }

    /// The keys outside tables, and the tables, by name.
    #[cfg(test)]
    pub(super) fn root(&self) -> &Table {
        &self.0
    }

    /// The key at `path`.
    pub(super) fn find<P: AsRef<str>>(&self, path: &[P]) -> Option<&Key> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.0.get(first.as_ref())?, |at, key| match &at.kind {
            ValueKind::Table(keys) => named(keys, key.as_ref()),
            _ => None,
        })
    }

    /// The keys of `values` that are not there.
    pub(super) fn unknown<'v>(&self, values: &'v Dict) -> Vec<Unknown<'v>> {
        let mut unknown = Vec::new();
        self.compare(&mut Vec::new(), values, &self.0, &mut unknown);
        unknown
    }

    fn compare<'v>(
        &self,
        at: &mut Vec<String>,
        values: &'v Dict,
        known: &Table,
        unknown: &mut Vec<Unknown<'v>>,
    ) {
        for (key, value) in values {
            at.push(key.clone());
            match (named(known, key).map(|key| &key.kind), value) {
                (None, Value::Dict(_, inner)) if self.knows_parts(at, inner) => {
                    self.list_parts(at, inner, unknown);
                }
                // `[database] url = ...`
                (Some(ValueKind::Text), Value::Dict(_, inner)) if self.knows_parts(at, inner) => {
                    self.list_parts(at, inner, unknown);
                }
                (None, _) => unknown.push(Unknown { meant: suggest(self, at), path: at.clone(), value }),
                (Some(ValueKind::Table(known)), Value::Dict(_, values)) => {
                    self.compare(at, values, known, unknown)
                }
                (Some(ValueKind::Tables(known)), Value::Array(_, items)) => {
                    for item in items.iter().filter_map(Value::as_dict) {
                        self.compare(at, item, known, unknown);
                    }
                }
                // A value of the wrong type is reported when it is read.
                _ => {}
            }
            at.pop();
        }
    }

    /// Whether it is the keys in a table that say what is meant: `[server] port = 8080`.
    fn knows_parts(&self, at: &[String], inner: &Dict) -> bool {
        // A table whose own name is misspelled is told as such.
        (self.find(at).is_some() || suggest(self, at).is_none_or(|meant| !meant.note.is_empty()))
            && inner.keys().any(|key| suggest(self, &[at, std::slice::from_ref(key)].concat()).is_some())
    }

    fn list_parts<'v>(&self, at: &[String], inner: &'v Dict, unknown: &mut Vec<Unknown<'v>>) {
        for (key, value) in inner {
            let path = [at, std::slice::from_ref(key)].concat();
            unknown.push(Unknown { meant: suggest(self, &path), path, value });
        }
    }

    /// Every key, tables included.
    pub(super) fn keys(&self) -> Vec<Vec<String>> {
        let mut all = Vec::new();
        collect(&mut Vec::new(), &self.0, &mut all);
        all
    }
}

impl Key {
    fn of(schema: Json) -> Self {
        Self { kind: ValueKind::of(&schema), schema }
    }

    /// Whether its value is a limit, and whether development leaves it as it is.
    pub(super) fn limit(&self) -> Option<Kept> {
        let is_limit = matches!(&self.kind, ValueKind::Table(keys) if keys.keys().eq(["attempts", "window"]));
        is_limit.then(|| Kept(self.schema.get(KEPT).and_then(Json::as_bool).unwrap_or_default()))
    }

    /// Its meaning, for operators.
    pub(super) fn about(&self) -> String {
        let about = self.schema.get("description").and_then(Json::as_str).unwrap_or_default();
        about.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// A value, for keys that have no default.
    pub(super) fn example(&self) -> Option<&Json> {
        self.schema.get("examples")?.get(0)
    }

    /// Whether its value is a list.
    pub(super) fn is_list(&self) -> bool {
        shapes(&self.schema).into_iter().any(|shape| shape.get("items").is_some())
    }

    /// Whether what is in its list is text.
    pub(super) fn is_list_of_text(&self) -> bool {
        let mut items = shapes(&self.schema).into_iter().filter_map(|shape| shape.get("items"));
        items.any(|item| matches!(ValueKind::of(item), ValueKind::Text))
    }
}

impl ValueKind {
    fn of(schema: &Json) -> Self {
        if let Some(keys) = table(schema) {
            return Self::Table(keys);
        }
        if let Some(keys) = shapes(schema).into_iter().find_map(|shape| table(shape.get("items")?)) {
            return Self::Tables(keys);
        }
        let is = |name: &str| {
            shapes(schema).into_iter().filter_map(|shape| shape.get("type")).any(|kind| match kind {
                Json::Array(kinds) => kinds.iter().any(|kind| kind == name),
                kind => kind == name,
            })
        };
        match (is("string"), is("boolean")) {
            (true, _) => Self::Text,
            (_, true) => Self::Switch,
            _ => Self::Other,
        }
    }
}

/// The key of that name, or the one that stands for all names.
fn named<'t>(keys: &'t Table, name: &str) -> Option<&'t Key> {
    keys.get(name).or_else(|| keys.get(ANY_NAME))
}

fn described<T: JsonSchema>() -> JsonSchemaOf {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>()
}

/// The schema itself and those it lets choose from: a value that may be left out, or one of a list of names.
fn shapes(schema: &Json) -> Vec<&Json> {
    let choices = ["anyOf", "oneOf"].into_iter().filter_map(|name| schema.get(name)?.as_array()).flatten();
    std::iter::once(schema).chain(choices.flat_map(shapes)).collect()
}

/// The keys of a table.
fn table(schema: &Json) -> Option<Table> {
    let properties = |shape: &'_ Json| shape.get("properties").and_then(Json::as_object).cloned();
    // A map: each of its values is a table.
    let values =
        |shape: &'_ Json| shape.get("additionalProperties").filter(|values| table(values).is_some()).cloned();
    if let Some(values) = shapes(schema).into_iter().find_map(values) {
        return Some(Table::from([(ANY_NAME.to_owned(), Key::of(values))]));
    }
    let properties: Map<String, Json> = shapes(schema).into_iter().find_map(properties)?;
    Some(properties.into_iter().map(|(name, schema)| (name, Key::of(schema))).collect())
}

/// Leaves what the profile of a contract has: some keys are of certain contracts alone.
fn keep_those_of(keys: &mut Table, has: &Json) {
    keys.retain(|name, key| match (has.get(name), &mut key.kind) {
        (Some(has @ Json::Object(_)), ValueKind::Table(keys)) => {
            keep_those_of(keys, has);
            true
        }
        (has, _) => has.is_some(),
    });
}

/// Every key, tables included.
fn collect(at: &mut Vec<String>, keys: &Table, found: &mut Vec<Vec<String>>) {
    for (name, key) in keys {
        at.push(name.clone());
        found.push(at.clone());
        if let ValueKind::Table(keys) | ValueKind::Tables(keys) = &key.kind {
            collect(at, keys, found);
        }
        at.pop();
    }
}
