//! Layers: defaults, then the file, then variables, then flags. Each value remembers where it came from, so that a
//! mistake is reported with its place.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::iter;
use std::path::{Path, PathBuf};

use figment::providers::{Format, Toml};
use figment::value::{Dict, Value};
use figment::{Figment, Metadata, Source};
use serde_json::Value as Json;
use tidegate_database::{DatabaseUrl, Denial};
use tidegate_domain::secret::{HIDDEN, without_final_line_breaks};

use super::Config;
use super::complaint::Guide;
use super::limits::{raised, without_window};
use super::lines::{Lines, line_at};
use super::quoted;
use super::reading::{
    DEFAULTS, Layer, Mistake, PREFIX, Reading, first_metadata, origin, place_of, values_of, words_in,
};
use super::schema::{Schema, ValueKind};
use super::suggest::unread;
use crate::cli::GlobalFlags;
use crate::failure::Failure;

const CONFIG_VARIABLE: &str = "TIDEGATE_CONFIG";
const DATABASE_VARIABLE: &str = "TIDEGATE_DATABASE";
const DEFAULT_FILE: &str = "tidegate.toml";

/// A configuration, and where it came from.
pub(crate) struct Loaded {
    /// The configuration.
    pub(crate) config: Config,
    /// The file, variables and flags that had a say.
    pub(crate) sources: Vec<String>,
    /// Variables that are set and not read, and what to write instead, and those that are empty; each with the key that is meant. And what is in
    /// quotation marks.
    pub(crate) unread: Vec<(&'static str, String)>,
    figment: Figment,
    lines: Lines,
}

impl fmt::Debug for Loaded {
    /// Without the layers: those hold secrets as they were written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded").field("config", &self.config).field("sources", &self.sources).finish()
    }
}

/// What a command line decides.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags {
    /// `--listen`
    pub(crate) listen: Option<String>,
    /// `--dev`
    pub(crate) dev: bool,
    /// `--limits`
    pub(crate) limits: bool,
    /// A server for development runs beside the command: limits are a hundred times higher, as there. Nothing else is as with `--dev`.
    pub(crate) raised: bool,
    /// Who reads it.
    pub(crate) reader: Reader,
}

/// Who reads a configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reader {
    /// A server, or who looks whether one could be served with it.
    #[default]
    Server,
    /// A command in an installation. It sends no mail and signs nobody in by another provider: the server alone may have the secrets for that.
    Command,
}

/// Names and values.
type Variables = Vec<(OsString, OsString)>;

/// Reads the configuration.
///
/// # Errors
/// Every mistake in it, each with its key and where it was made.
pub(crate) fn load(global: &GlobalFlags, flags: &Flags) -> Result<Loaded, Failure> {
    load_from(global, flags, std::env::vars_os().collect())
}

/// Reads the configuration, with `variables` for the process's own.
pub(super) fn load_from(
    global: &GlobalFlags,
    flags: &Flags,
    variables: Variables,
) -> Result<Loaded, Failure> {
    let internal = |error: String| Failure::internal(format!("the configuration's keys: {error}"));
    let schema = Schema::new().map_err(internal)?;
    let set: Vec<OsString> =
        variables.iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name.clone()).collect();
    let variables = ours(variables);
    let empty = empty(&variables);
    let defaults = Config::default().written().map_err(|error| internal(error.to_string()))?;
    let defaults = Value::serialize(defaults).map_err(|error| internal(error.to_string()))?;
    let defaults = defaults.into_dict().unwrap_or_default();
    let guide = Guide { schema: &schema, defaults: &defaults };
    let (file, lines) = file_layer(global.config.as_deref(), &variables, &guide)?.unzip();
    let lines = lines.unwrap_or_default();
    let mut layers: Vec<Layer> = file.into_iter().collect();
    let of_variables = variable_layers(&schema, variables)?;
    let mut quoted: Vec<String> = quoted::in_variables(&of_variables).into_iter().collect();
    layers.extend(of_variables);
    layers.extend(flag_layers(global, flags));
    let sources = layers.iter().map(|layer| origin(Some(&layer.metadata))).collect();

    let mut reading = Reading::new(&guide, &lines, layers);
    let Some((mut config, mut figment)) = reading.config(&defaults) else {
        return Err(Failure::mistakes(reading.told.with(Vec::new())).hinted(&quoted));
    };
    if (flags.raised || (config.dev && !config.dev_limits))
        && let Some(read) = reading.config(&raised(&schema, &defaults))
    {
        (config, figment) = read;
    }
    let told = reading.told;
    let mut loaded = Loaded { config: config.settled(), sources, unread: Vec::new(), figment, lines };
    loaded.config.database_place = loaded.place_of("database");
    loaded.config.master_key_place = loaded.place_of("master_key");
    let found = loaded.mistakes(flags.reader).into_iter();
    let mistakes = told.with(found.map(|found| found.naming_unset(&schema, &loaded.figment)).collect());
    quoted.extend(quoted::in_files(&loaded.config));
    if !mistakes.is_empty() {
        return Err(Failure::mistakes(mistakes).hinted(&quoted));
    }
    let is_default = |key: &str| loaded.is_default(key);
    let quoted = quoted.into_iter().map(|told| ("", told));
    let unread = unread(|name| set.iter().any(|set| set == name), is_default);
    loaded.unread = unread.chain(empty).chain(quoted).collect();
    Ok(loaded)
}

impl Loaded {
    /// The keys of limits whose window has no length.
    pub(super) fn limits_without_window(&self) -> Vec<String> {
        without_window(&values_of(&self.figment))
    }

    /// Whether nobody has set it.
    pub(crate) fn is_default(&self, key: &str) -> bool {
        self.figment.find_metadata(key).is_none_or(|origin| origin.name == DEFAULTS)
    }

    /// What may be the reason why a database is not found.
    pub(crate) fn database_hints(&self) -> Vec<String> {
        let about = self.unread.iter().filter(|(key, _)| *key == "database");
        about.map(|(_, hint)| hint.clone()).collect()
    }

    /// Configuration files in which a secret was written.
    pub(crate) fn files_with_secrets(&self) -> Vec<PathBuf> {
        let mut hidden = Vec::new();
        hidden_keys(&self.config.view(), "", &mut hidden);
        let is_in_address =
            |url: &str| url.rsplit_once('@').is_some_and(|(user, _)| user.matches(':').count() > 1);
        if let DatabaseUrl::Postgres(url) = self.config.database_url()
            && is_in_address(&url)
        {
            hidden.push("database".to_owned());
        }
        let file = |key: &String| match &self.figment.find_metadata(key)?.source {
            Some(Source::File(path)) => Some(path.clone()),
            _ => None,
        };
        let mut files: Vec<PathBuf> = hidden.iter().filter_map(file).collect();
        files.dedup();
        files
    }

    /// Where a value was set: a file and a line, a variable or a flag.
    fn place_of(&self, key: &str) -> String {
        place_of(key, self.figment.find_metadata(key), &self.lines)
    }

    /// The mistake `what` in the value at `key`, or in what should stand there: then its table is where it was made, or the first key of
    /// that which `what` names and somebody has set.
    pub(super) fn mistake(&self, key: &str, what: impl fmt::Display) -> Mistake {
        let what = what.to_string();
        let mut places = iter::successors(Some(key), |key| key.rsplit_once('.').map(|(table, _)| table));
        let found = places.find_map(|place| {
            let value = self.figment.find_value(place).ok()?;
            let metadata = first_metadata(&self.figment, &value)?;
            Some((place, value, metadata))
        });
        let Some((place, value, metadata)) = found else {
            return Mistake::at(key, &what, None, &self.lines);
        };
        match value.as_dict().and_then(|keys| self.named(keys, &what)) {
            Some((name, metadata)) => {
                Mistake::made_at(key, &format!("{place}.{name}"), &what, Some(metadata), &self.lines)
            }
            None => Mistake::at(key, &what, Some(metadata), &self.lines),
        }
    }

    /// The first key of a table that a text names and that somebody has set, and where.
    fn named<'w>(&self, keys: &Dict, what: &'w str) -> Option<(&'w str, &Metadata)> {
        words_in(what).find_map(|word| {
            let metadata = first_metadata(&self.figment, keys.get(word)?)?;
            (metadata.name != DEFAULTS).then_some((word, metadata))
        })
    }
}

/// The keys whose values are not shown.
fn hidden_keys(view: &Json, key: &str, found: &mut Vec<String>) {
    let below = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
    match view {
        Json::Object(fields) => {
            fields.iter().for_each(|(name, value)| hidden_keys(value, &below(name), found))
        }
        Json::Array(items) => {
            (0_usize..)
                .zip(items)
                .for_each(|(place, item)| hidden_keys(item, &below(&place.to_string()), found));
        }
        Json::String(text) if text == HIDDEN => found.push(key.to_owned()),
        _ => {}
    }
}

fn file_layer(
    flag: Option<&Path>,
    variables: &Variables,
    guide: &Guide<'_>,
) -> Result<Option<(Layer, Lines)>, Failure> {
    let variable = || {
        let (_, path) = variables.iter().find(|(name, _)| name == CONFIG_VARIABLE)?;
        (!path.is_empty()).then(|| PathBuf::from(path))
    };
    let chosen = flag.map(Path::to_owned).or_else(variable);
    let path = chosen.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if chosen.is_none() && error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(&path, &error)),
    };
    let values = Toml::from_str(&text).map_err(|error| {
        let at = error.span().map(|span| span.start);
        let line = at.and_then(|at| line_at(&text, at));
        let line = line.map_or_else(String::new, |line| format!(", line {line}"));
        // The line itself is not repeated: it may hold a secret.
        let what = guide.syntax(&text, at, error.message());
        Failure::configuration(format!("{}{line}: {what}", path.display()))
    })?;
    Ok(Some((Layer { metadata: Metadata::from("file", path.as_path()), values }, Lines::of(&text))))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let shown = path.display();
    if error.kind() == io::ErrorKind::PermissionDenied {
        let denial = Denial::of(path);
        let reason = denial.reason();
        let what = format!("the configuration file {shown} may not be read by this user{reason}");
        return Failure::configuration(what).advise(denial.advice());
    }
    let advice = match error.kind() {
        io::ErrorKind::NotFound => {
            "create it (`tidegate config` prints one to start from), or name another with --config or TIDEGATE_CONFIG"
        }
        io::ErrorKind::IsADirectory => "name a file in it, with --config or TIDEGATE_CONFIG",
        io::ErrorKind::InvalidData => "save it as UTF-8",
        _ => "see its permissions and its disk, or name another with --config or TIDEGATE_CONFIG",
    };
    Failure::configuration(format!("the configuration file {shown} cannot be read: {error}")).advise(advice)
}

/// Our variables, what is more specific after what is less: `TIDEGATE_MAIL` before `TIDEGATE_MAIL__SMTP`.
fn ours(mut variables: Variables) -> Variables {
    variables.retain(|(name, _)| name.to_str().is_some_and(|name| name.starts_with(PREFIX)));
    variables.sort();
    variables
}

/// What to say of our variables that are set to nothing, as by a secret that is not there, with the key that matters most of theirs: without
/// its address, another database is used.
fn empty(variables: &Variables) -> Option<(&'static str, String)> {
    let is_empty = |value: &str| without_final_line_breaks(value).is_empty();
    let is_read = |key: &str| key == "CONFIG" || !is_foreign(key, "");
    let names: Vec<&str> = variables
        .iter()
        .filter(|(_, value)| value.to_str().is_some_and(is_empty))
        .filter_map(|(name, _)| name.to_str())
        .filter(|name| name.strip_prefix(PREFIX).is_some_and(is_read))
        .collect();
    if names.is_empty() {
        return None;
    }
    let key = if names.contains(&DATABASE_VARIABLE) { "database" } else { "" };
    Some((key, format!("set and empty, which is as if not set: {}", names.join(", "))))
}

fn variable_layers(schema: &Schema, variables: Variables) -> Result<Vec<Layer>, Failure> {
    let mut layers = Vec::new();
    for (name, value) in variables {
        let name = name.to_string_lossy().into_owned();
        let Some(value) = value.to_str() else {
            return Err(Failure::configuration(format!("the variable {name} is not UTF-8 text")));
        };
        let key = name.strip_prefix(PREFIX).unwrap_or_default();
        let value = without_final_line_breaks(value);
        // Empty is how compose files and shells spell "not set".
        if value.is_empty() || is_foreign(key, value) {
            continue;
        }
        let path: Vec<String> = key.to_ascii_lowercase().split("__").map(str::to_owned).collect();
        let value = read(value, schema.find(&path).map(|key| &key.kind));
        layers.push(Layer { metadata: Metadata::named(name), values: nested(&path, value) });
    }
    Ok(layers)
}

/// Variables of our prefix that are not configuration: where the file is, and what the tests need.
fn is_foreign(key: &str, value: &str) -> bool {
    key == "CONFIG" || key.starts_with("TEST_") || is_service_link(key, value)
}

/// Whether Kubernetes made the variable: it gives every container some for each service of its namespace whose name begins with
/// ours, such as `tidegate` or `tidegate-postgresql`.
fn is_service_link(key: &str, value: &str) -> bool {
    // What the service is called besides: none of ours ends so.
    let ends = |end: &str| key == end.trim_start_matches('_') || key.ends_with(end);
    let named_port = |part: &str| {
        let after =
            key.strip_prefix(part.trim_start_matches('_')).or(key.split_once(part).map(|(_, after)| after));
        after.is_some_and(|after| !after.is_empty())
    };
    // `_PORT_5432_TCP`, `_PORT_5432_TCP_ADDR`
    let numbered_port = || {
        let mut parts = key.split('_').skip_while(|part| *part != "PORT").skip(1);
        let is_number = parts.next().is_some_and(|part| part.parse::<u16>().is_ok());
        is_number && parts.next().is_some_and(|part| matches!(part, "TCP" | "UDP" | "SCTP"))
    };
    ends("_SERVICE_HOST")
        || ends("_SERVICE_PORT")
        || named_port("_SERVICE_PORT_")
        || (ends("_PORT") && value.contains("://"))
        || numbered_port()
}

/// A variable's value. Where text is wanted it is taken unchanged, so that a password may look like a number.
fn read(text: &str, wanted: Option<&ValueKind>) -> Value {
    match wanted {
        Some(ValueKind::Text) => Value::from(text),
        Some(ValueKind::Switch) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Value::from(true),
            "false" | "0" | "no" | "off" => Value::from(false),
            _ => Value::from(text),
        },
        _ => text.parse().unwrap_or_else(|_| Value::from(text)),
    }
}

fn nested(path: &[String], value: Value) -> Dict {
    let Some((first, rest)) = path.split_first() else {
        return Dict::new();
    };
    let value = if rest.is_empty() { value } else { Value::from(nested(rest, value)) };
    Dict::from([(first.clone(), value)])
}

fn flag_layers(global: &GlobalFlags, flags: &Flags) -> Vec<Layer> {
    let path = |path: &PathBuf| Value::from(path.to_string_lossy().into_owned());
    [
        ("--data-dir", "data_dir", global.data_dir.as_ref().map(path)),
        ("--database", "database", global.database.clone().map(Value::from)),
        ("--listen", "listen", flags.listen.clone().map(Value::from)),
        ("--dev", "dev", flags.dev.then(|| Value::from(true))),
        ("--limits", "dev_limits", flags.limits.then(|| Value::from(true))),
    ]
    .into_iter()
    .filter_map(|(flag, key, value)| {
        Some(Layer { metadata: Metadata::named(flag), values: Dict::from([(key.to_owned(), value?)]) })
    })
    .collect()
}
