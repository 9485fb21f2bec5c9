//! What the layers come to, and all that is wrong in them: serde ends at the first wrong value, so each that is told is taken out, and the
//! rest is read again.

use std::fmt::Write as _;

use figment::error::Kind;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider, Source};

use super::complaint::{Guide, without_places};
use super::limits::lifted;
use super::lines::Lines;
use super::schema::{Schema, Unknown, ValueKind};
use super::suggest::{Suggestion, instead_of};
use super::{Config, Contracts};

/// How the names of variables begin.
pub(super) const PREFIX: &str = "TIDEGATE_";
/// Where values come from that nobody has set.
pub(super) const DEFAULTS: &str = "the defaults";

/// How the names of secrets end, which a server often has from variables of its service.
const SECRETS: [&str; 7] =
    ["password", "secret", "token", "api_key", "access_key", "access_key_id", "private_key"];

/// Most keys of a table that are told.
const MOST_TOLD: usize = 4;

/// Values of one origin.
#[derive(Clone)]
pub(super) struct Layer {
    pub(super) metadata: Metadata,
    pub(super) values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

/// What is wrong with a value, and whether it is the command line that is wrong.
pub(crate) struct Mistake {
    key: String,
    /// The key, what is wrong with it, and where it was set.
    pub(crate) text: String,
    /// Whether a flag set it.
    pub(crate) from_flag: bool,
}

impl Mistake {
    pub(super) fn at(key: &str, what: &str, metadata: Option<&Metadata>, lines: &Lines) -> Self {
        Self::made_at(key, key, what, metadata, lines)
    }

    /// One in the value at `key` that was made where the one at `place` was set.
    pub(super) fn made_at(
        key: &str,
        place: &str,
        what: &str,
        metadata: Option<&Metadata>,
        lines: &Lines,
    ) -> Self {
        Self {
            key: key.to_owned(),
            text: format!("{key}: {what} (in {})", place_of(place, metadata, lines)),
            from_flag: metadata.is_some_and(|metadata| metadata.name.starts_with("--")),
        }
    }

    /// The same, with the variables of the secrets that it is about and that are not among the values: a shell has none of those of a service.
    pub(super) fn naming_unset(mut self, schema: &Schema, values: &Figment) -> Self {
        let what = self.text.rsplit_once(" (in ").map_or("", |(what, _)| what);
        let unset = unset_secrets(schema, values, &self.key, what);
        let are = match unset.len() {
            0 => return self,
            1 => "is",
            _ => "are",
        };
        let _ = write!(
            self.text,
            "; {} {are} not set here, or empty: what the server has from its service, a command needs, too",
            unset.join(" and ")
        );
        self
    }
}

/// The mistakes that are told.
#[derive(Default)]
pub(super) struct Told {
    mistakes: Vec<Mistake>,
    /// Keys that unknown ones were meant to be.
    meant: Vec<String>,
}

impl Told {
    /// Those and the ones that were found in the values that are left, without what only follows from a value that was taken out.
    pub(super) fn with(mut self, found: Vec<Mistake>) -> Vec<Mistake> {
        let follows = |mistake: &Mistake| {
            self.keys().any(|told| is_part_of(told, &mistake.key) || is_part_of(&mistake.key, told))
        };
        let new: Vec<Mistake> = found.into_iter().filter(|mistake| !follows(mistake)).collect();
        self.mistakes.extend(new);
        self.mistakes
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.mistakes.iter().map(|mistake| mistake.key.as_str()).chain(self.meant.iter().map(String::as_str))
    }

    /// Whether a mistake in that value is told already: what is missing was written under another name, or was taken out.
    fn has(&self, key: &str, kind: &Kind) -> bool {
        match kind {
            Kind::MissingField(_) => self.keys().any(|told| without_places(told) == without_places(key)),
            _ => self.mistakes.iter().any(|mistake| mistake.key == key),
        }
    }
}

/// Layers that are read.
pub(super) struct Reading<'r> {
    guide: &'r Guide<'r>,
    lines: &'r Lines,
    layers: Vec<Layer>,
    pub(super) told: Told,
}

impl<'r> Reading<'r> {
    /// Begins with the unknown keys.
    pub(super) fn new(guide: &'r Guide<'r>, lines: &'r Lines, layers: Vec<Layer>) -> Self {
        let mut reading = Self { guide, lines, layers, told: Told::default() };
        let figment = merged(guide.defaults.clone(), &reading.layers);
        let values = values_of(&figment);
        for unknown in guide.schema.unknown(&values) {
            let metadata = first_metadata(&figment, unknown.value);
            let instead = instead_of(guide.schema, &unknown.path);
            reading.told.mistakes.push(unknown_key(&unknown, instead, metadata, lines));
            reading.told.meant.extend(unknown.meant.as_ref().map(|meant| meant.key.join(".")));
            reading.take_out(&unknown.path);
        }
        reading
    }

    /// The configuration that the values come to over those defaults, with where each is from; none where a mistake is in no value.
    pub(super) fn config(&mut self, defaults: &Dict) -> Option<(Config, Figment)> {
        loop {
            let figment = merged(defaults.clone(), &self.layers);
            let errors = match read_config(&figment) {
                Ok(config) => return Some((config, figment)),
                Err(errors) => errors,
            };
            let mut is_shorter = false;
            for error in errors {
                self.note(&error);
                is_shorter |= self.take_out(&error.path);
            }
            if !is_shorter {
                return None;
            }
        }
    }

    fn note(&mut self, error: &figment::Error) {
        let doubled = self.doubled(&error.path).map(|table| table.join("."));
        let mut key = doubled.clone().unwrap_or_else(|| error.path.join("."));
        if let (None, Kind::MissingField(name)) = (&doubled, &error.kind) {
            let dot = if key.is_empty() { "" } else { "." };
            let _ = write!(key, "{dot}{name}");
        }
        if !self.told.has(&key, &error.kind) {
            let what = match (doubled, self.section(error)) {
                (Some(table), _) => {
                    format!(
                        "is one table, and no list of them: write it in one pair of brackets, `[{table}]`"
                    )
                }
                (None, Some(variables)) => {
                    format!("is a table, whose keys have variables of their own: {variables}")
                }
                (None, None) => self.guide.value(&key, &error.kind),
            };
            let mistake = Mistake::at(&key, &what, error.metadata.as_ref(), self.lines);
            self.told.mistakes.push(match &error.kind {
                // It is among no values.
                Kind::MissingField(_) => mistake.naming_unset(self.guide.schema, &Figment::new()),
                _ => mistake,
            });
        }
    }

    /// The table on the way to a value that was written as a list, in two pairs of brackets.
    fn doubled<'p>(&self, path: &'p [String]) -> Option<&'p [String]> {
        let mut places = (1..=path.len()).filter_map(|length| path.get(..length));
        places.find(|place| {
            self.is_table(place) && self.layers.iter().any(|layer| is_list_at(&layer.values, place))
        })
    }

    fn is_table(&self, path: &[String]) -> bool {
        self.guide.schema.find(path).is_some_and(|key| matches!(key.kind, ValueKind::Table(_)))
    }

    /// The variables of the keys of a table that was given a value by a variable of its own.
    fn section(&self, error: &figment::Error) -> Option<String> {
        let variable = &error.metadata.as_ref()?.name;
        let ValueKind::Table(keys) = &self.guide.schema.find(&error.path)?.kind else { return None };
        if !variable.starts_with(PREFIX) || !matches!(error.kind, Kind::InvalidType(..)) {
            return None;
        }
        let names =
            keys.keys().take(MOST_TOLD).map(|key| format!("{variable}__{}", key.to_ascii_uppercase()));
        Some(names.collect::<Vec<_>>().join(", "))
    }

    /// Removes a value from every layer; whether one had it.
    fn take_out(&mut self, path: &[String]) -> bool {
        let mut found = false;
        for layer in &mut self.layers {
            found |= remove(&mut layer.values, path);
        }
        found
    }
}

/// The variables of the secret at `key`, or of those in its table that `what` names, where nobody has set them.
fn unset_secrets(schema: &Schema, values: &Figment, key: &str, what: &str) -> Vec<String> {
    let path: Vec<&str> = key.split('.').collect();
    let keys: Vec<String> = match schema.find(&path).map(|found| &found.kind) {
        Some(ValueKind::Table(keys)) => {
            let named = keys.keys().filter(|name| words_in(what).any(|word| word == name.as_str()));
            named.map(|name| format!("{key}.{name}")).collect()
        }
        Some(_) => vec![key.to_owned()],
        None => Vec::new(),
    };
    let is_set = |key: &str| values.find_value(key).is_ok_and(|value| !matches!(value, Value::Empty(..)));
    keys.into_iter()
        .filter(|key| is_secret(key) && !is_set(key) && !is_set(&format!("{key}_file")))
        .map(|key| format!("{PREFIX}{}", key.replace('.', "__").to_ascii_uppercase()))
        .collect()
}

/// The words of what is said of a table: some are names of its keys.
pub(super) fn words_in(what: &str) -> impl Iterator<Item = &str> {
    what.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

fn is_secret(key: &str) -> bool {
    let name = key.rsplit('.').next().unwrap_or_default();
    name == "key" || SECRETS.iter().any(|end| name.ends_with(end))
}

fn merged(defaults: Dict, layers: &[Layer]) -> Figment {
    let defaults = Layer { metadata: Metadata::named(DEFAULTS), values: defaults };
    layers.iter().fold(Figment::from(defaults), |figment, layer| figment.merge(layer.clone()))
}

/// The configuration that the values come to.
fn read_config(figment: &Figment) -> Result<Config, Vec<figment::Error>> {
    // As it stands, so that mistakes are told with their place.
    extract(figment)?;
    let lifted = Layer { metadata: Metadata::named(DEFAULTS), values: lifted(values_of(figment)) };
    extract(&Figment::from(lifted))
}

fn extract(figment: &Figment) -> Result<Config, Vec<figment::Error>> {
    match (figment.extract::<Config>(), figment.extract::<Contracts>()) {
        (Ok(config), Ok(contracts)) => Ok(Config { contracts, ..config }),
        (config, contracts) => Err([config.err(), contracts.err()].into_iter().flatten().flatten().collect()),
    }
}

pub(super) fn values_of(figment: &Figment) -> Dict {
    figment.data().ok().and_then(|mut data| data.remove(&Profile::Default)).unwrap_or_default()
}

/// Removes what is at a path, and a table or list that it leaves empty; whether it was there.
fn remove(values: &mut Dict, path: &[String]) -> bool {
    let Some((first, rest)) = path.split_first() else { return false };
    let (is_found, is_empty) = match values.get_mut(first) {
        None => (false, false),
        Some(Value::Dict(_, inner)) if !rest.is_empty() => (remove(inner, rest), inner.is_empty()),
        Some(Value::Array(_, items)) if !rest.is_empty() => remove_of_items(items, rest),
        Some(_) => (true, true),
    };
    if is_found && is_empty {
        values.remove(first);
    }
    is_found
}

/// The same of a list, and whether an item is empty then: the list goes as a whole, as the others have to keep their places. A path
/// without a place is one in every item.
fn remove_of_items(items: &mut [Value], path: &[String]) -> (bool, bool) {
    let place = path.first().and_then(|first| first.parse::<usize>().ok());
    let rest = path.get(1..).unwrap_or_default();
    if let Some(place) = place {
        return match items.get_mut(place) {
            Some(Value::Dict(_, inner)) if !rest.is_empty() => (remove(inner, rest), inner.is_empty()),
            _ => (true, true),
        };
    }
    let (mut is_found, mut is_empty) = (false, false);
    for item in items {
        if let Value::Dict(_, inner) = item
            && remove(inner, path)
        {
            is_found = true;
            is_empty |= inner.is_empty();
        }
    }
    (is_found, is_empty)
}

/// Whether a list is at a path.
fn is_list_at(values: &Dict, path: &[String]) -> bool {
    let Some((first, rest)) = path.split_first() else { return false };
    match values.get(first) {
        Some(Value::Dict(_, inner)) if !rest.is_empty() => is_list_at(inner, rest),
        Some(Value::Array(..)) => rest.is_empty(),
        _ => false,
    }
}

/// Whether a key is another one, or stands in its table.
fn is_part_of(key: &str, of: &str) -> bool {
    key.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Where the value of a key was set, with the line in a file.
pub(super) fn place_of(key: &str, metadata: Option<&Metadata>, lines: &Lines) -> String {
    let is_of_file = metadata.is_some_and(|metadata| matches!(metadata.source, Some(Source::File(_))));
    let line = lines.find(key).filter(|_| is_of_file);
    let line = line.map_or_else(String::new, |line| format!(", line {line}"));
    format!("{}{line}", origin(metadata))
}

/// A file's path, a variable's name or a flag.
pub(super) fn origin(metadata: Option<&Metadata>) -> String {
    let Some(metadata) = metadata else {
        return "the configuration".to_owned();
    };
    match &metadata.source {
        Some(Source::File(path)) => path.display().to_string(),
        _ => metadata.name.to_string(),
    }
}

/// `instead` is what to say where no other key is meant.
fn unknown_key(
    unknown: &Unknown<'_>,
    instead: Option<String>,
    metadata: Option<&Metadata>,
    lines: &Lines,
) -> Mistake {
    let variable = metadata.map(|metadata| metadata.name.as_ref()).filter(|name| name.starts_with(PREFIX));
    let advice = match (&unknown.meant, variable) {
        (Some(Suggestion { key, .. }), Some(_)) => {
            format!("did you mean {PREFIX}{}?", key.join("__").to_ascii_uppercase())
        }
        (Some(Suggestion { key, .. }), None) => format!("did you mean `{}`?", key.join(".")),
        (None, _) => {
            let instead = instead.map_or_else(String::new, |instead| format!("{instead}; "));
            format!("{instead}`tidegate config` lists all")
        }
    };
    let note = unknown.meant.as_ref().map(|meant| meant.note).filter(|note| !note.is_empty());
    let table = unknown
        .meant
        .as_ref()
        .filter(|_| variable.is_none())
        .and_then(|meant| outside_of_tables(meant, &unknown.path));
    let notes: Vec<String> = note.map(str::to_owned).into_iter().chain(table).collect();
    let advice = if notes.is_empty() { advice } else { format!("{advice} ({})", notes.join("; ")) };
    match variable {
        Some(name) => Mistake {
            key: unknown.path.join("."),
            text: format!("{name}: unknown variable; {advice}"),
            from_flag: false,
        },
        None => Mistake::at(&unknown.path.join("."), &format!("unknown key; {advice}"), metadata, lines),
    }
}

/// Where in a file a key belongs that was written into a table and is of none. Another table is a part of the name that is told.
fn outside_of_tables(meant: &Suggestion, path: &[String]) -> Option<String> {
    (meant.key.len() == 1 && path.len() > 1)
        .then(|| "at the top of the file, above the first [table]".to_owned())
}

/// Tables made by merging have no origin of their own: that of the first value in them serves.
pub(super) fn first_metadata<'f>(figment: &'f Figment, value: &Value) -> Option<&'f Metadata> {
    figment.get_metadata(value.tag()).or_else(|| match value {
        Value::Dict(_, values) => values.values().find_map(|value| first_metadata(figment, value)),
        Value::Array(_, values) => values.iter().find_map(|value| first_metadata(figment, value)),
        _ => None,
    })
}
