//! What is known of a person, as rules read it: `current_user_<name>`.

use std::collections::BTreeMap;

use serde_json::Value as Json;

/// Names that are always those of the account and the request, whatever metadata and claims say.
pub const RESERVED: [&str; 5] = ["id", "email", "role", "workspace_id", "groups"];

/// Longest list that is read.
const MOST_ITEMS: usize = 1_000;

/// A value of an attribute. It is bound as a value and never becomes part of a text of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// Characters.
    Text(String),
    /// A number as JSON writes it.
    Number(String),
    /// True or false.
    Boolean(bool),
    /// Several values.
    List(Vec<Attribute>),
}

impl Attribute {
    /// Reads JSON. There is no attribute for null, for objects, for lists in lists and for lists with null: what a rule
    /// cannot use is missing, and a missing attribute denies.
    pub fn from_json(value: &Json) -> Option<Self> {
        match value {
            Json::Array(items) if items.len() <= MOST_ITEMS => {
                items.iter().map(Self::scalar).collect::<Option<Vec<_>>>().map(Self::List)
            }
            other => Self::scalar(other),
        }
    }

    fn scalar(value: &Json) -> Option<Self> {
        match value {
            Json::String(text) => Some(Self::Text(text.clone())),
            Json::Number(number) => Some(Self::Number(number.to_string())),
            Json::Bool(truth) => Some(Self::Boolean(*truth)),
            Json::Null | Json::Array(_) | Json::Object(_) => None,
        }
    }

    /// As JSON, for decision records.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Text(text) => Json::String(text.clone()),
            Self::Number(number) => {
                serde_json::from_str(number).unwrap_or_else(|_| Json::String(number.clone()))
            }
            Self::Boolean(truth) => Json::Bool(*truth),
            Self::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
        }
    }
}

/// The attributes of a person. Names are without `current_user_`, and capitals do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(BTreeMap<String, Attribute>);

impl Attributes {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets one. Whoever sets it last decides, so what the person says of themselves comes first, if at all.
    pub fn set(&mut self, name: &str, value: Attribute) {
        self.0.insert(name.to_lowercase(), value);
    }

    /// Sets a reserved one, or removes it.
    pub fn set_or_remove(&mut self, name: &str, value: Option<Attribute>) {
        match value {
            Some(value) => self.set(name, value),
            None => {
                self.0.remove(&name.to_lowercase());
            }
        }
    }

    /// Takes all members of an object that are attributes. Reserved names are left out. A member that is no attribute removes what
    /// was there: a claim that says null must not leave an older one in place.
    pub fn extend(&mut self, members: &serde_json::Map<String, Json>) {
        for (name, value) in members {
            if !RESERVED.contains(&name.to_lowercase().as_str()) {
                self.set_or_remove(name, Attribute::from_json(value));
            }
        }
    }

    /// The attribute of that name.
    pub fn get(&self, name: &str) -> Option<&Attribute> {
        self.0.get(name).or_else(|| self.0.get(&name.to_lowercase()))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Attribute)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nobody_replaces_who_they_are_by_metadata() {
        let mut attributes = Attributes::new();
        attributes.set("role", Attribute::Text("viewer".to_owned()));
        let metadata = json!({ "Role": "admin", "ID": 1, "region": "EU", "nested": { "a": 1 }, "none": null, "list": [1, null] });
        attributes.extend(metadata.as_object().unwrap());
        assert_eq!(attributes.get("role"), Some(&Attribute::Text("viewer".to_owned())));
        assert_eq!(attributes.get("Region"), Some(&Attribute::Text("EU".to_owned())));
        for absent in ["id", "nested", "none", "list"] {
            assert_eq!(attributes.get(absent), None, "{absent}");
        }
        attributes.extend(json!({ "region": null }).as_object().unwrap());
        assert_eq!(attributes.get("region"), None);
    }
}
