//! What is said of a mistake in a value: what was read, what is expected, and how to write it. A value is not repeated, because it
//! may be a secret; a number with a unit is none.

use std::iter;

use figment::error::{Actual, Kind};
use figment::value::{Dict, Value};
use serde_json::Value as Json;

use super::lines::line_at;
use super::schema::{Key, Schema, ValueKind};

/// Longest value that is repeated.
const SHORT: usize = 24;
/// The same of a list that was given as text.
const LONG: usize = 200;
/// Words in the names of keys whose values are secrets.
const SECRETS: [&str; 5] = ["key", "secret", "password", "pepper", "token"];
/// What is said of a line of another format.
const NOT_TOML: &str =
    "this line is not KEY = VALUE: the file is read as TOML, not as YAML, JSON or anything else";

/// What keys are for and how they are written.
pub(super) struct Guide<'g> {
    pub(super) schema: &'g Schema,
    pub(super) defaults: &'g Dict,
}

impl Guide<'_> {
    /// What is wrong with the value at `key`.
    pub(super) fn value(&self, key: &str, kind: &Kind) -> String {
        let path = without_places(key);
        if let Kind::InvalidType(Actual::Str(text), wanted) | Kind::InvalidValue(Actual::Str(text), wanted) =
            kind
            && is_number(wanted)
            && let Some(hint) = self.quantity(&path, text)
        {
            return hint;
        }
        let meant = match kind {
            Kind::InvalidType(Actual::Str(text), wanted) if wanted == "a sequence" => {
                self.as_list(&path, text)
            }
            _ => None,
        };
        let example = meant.or_else(|| self.example(&path));
        let example = example.map(|example| format!("; for example `{example}`")).unwrap_or_default();
        match kind {
            Kind::InvalidType(found, wanted) => {
                format!("must be {}, not {}{example}", wanted_kind(wanted), found_kind(found))
            }
            Kind::InvalidValue(Actual::Signed(_) | Actual::Unsigned(_), wanted) => {
                format!("is out of range: must be {}{example}", range(&path, wanted))
            }
            Kind::InvalidValue(found, wanted) => {
                format!("must be {}, not {}{example}", wanted_kind(wanted), found_kind(found))
            }
            Kind::UnknownVariant(found, known) => {
                format!("must be one of {}, not {found:?}", known.join(", "))
            }
            Kind::MissingField(_) => "is missing; its table requires it".to_owned(),
            other => other.to_string(),
        }
    }

    /// What is wrong with the syntax of a file, said of the key in whose line it is.
    pub(super) fn syntax(&self, text: &str, at: Option<usize>, message: &str) -> String {
        let message = message.lines().collect::<Vec<_>>().join("; ");
        if let Some(said) = at.and_then(|at| twice(text, at, &message)) {
            return said;
        }
        let Some((path, value)) = at.and_then(|at| entry_at(text, at)) else {
            let has_no_sign = at.and_then(|at| line_of(text, at)).is_some_and(|line| !line.contains('='));
            let is_not_toml = (message == "invalid key" && has_no_sign) || is_without_equals_sign(&message);
            return if is_not_toml { NOT_TOML.to_owned() } else { message };
        };
        let name = path.join(".");
        // What begins like this is written as TOML wants it, up to the mistake.
        let is_bare =
            !value.is_empty() && !value.starts_with(['"', '\'', '[', '{']) && !is_of_a_good_value(&message);
        let said = if is_bare {
            self.bare(&path, value)
        } else {
            unclosed(value).filter(|_| message.ends_with(" string")).map(str::to_owned)
        };
        format!("{name}: {}", said.unwrap_or(message))
    }

    /// What is wrong with a value without quotes or brackets.
    fn bare(&self, path: &[&str], value: &str) -> Option<String> {
        let Some(key) = self.schema.find(path) else {
            return Some("this is no value: text needs quotes".to_owned());
        };
        if matches!(key.kind, ValueKind::Other)
            && let Some(hint) = self.quantity(path, value)
        {
            return Some(hint);
        }
        let what = match key.kind {
            ValueKind::Text => "text needs quotes",
            ValueKind::Switch => "must be true or false, in small letters",
            ValueKind::Table(_) | ValueKind::Tables(_) => "must be a table",
            ValueKind::Other if key.is_list() => "a list needs brackets, and text in it quotes",
            ValueKind::Other => "must be a number",
        };
        let example = self.example(path).map(|example| format!("; for example `{example}`"));
        Some(format!("{what}{}", example.unwrap_or_default()))
    }

    /// How to write a number that was given with a unit, or as text.
    fn quantity(&self, path: &[&str], text: &str) -> Option<String> {
        let text = text.trim();
        let name = path.last()?;
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(digits)?;
        let number: u64 = number.parse().ok().filter(|_| text.len() <= SHORT)?;
        let unit = unit.trim().to_ascii_lowercase();
        if unit.is_empty() {
            return Some(format!("must be a number, without quotes: `{name} = {number}`"));
        }
        if let Some(window) = unit.strip_prefix('/').and_then(seconds_in) {
            return Some(format!(
                "{text:?} is no number: a limit is written as `attempts = {number}` and `window = {window}`, in seconds"
            ));
        }
        let about = self.schema.find(path).map(Key::about).unwrap_or_default();
        let is_size = about.contains("byte") || about.contains("Byte") || about.contains("MiB");
        let (factor, whole) =
            if is_size { (bytes_in(&unit)?, "bytes") } else { (seconds_in(&unit)?, "seconds") };
        let amount = number.checked_mul(factor)?;
        Some(format!(
            "{text:?} is no number: it counts {whole}, without a unit and without quotes: `{name} = {amount}`"
        ))
    }

    /// How a list is written that was given as text: with what stands in the text. A value that may be a secret is not repeated.
    fn as_list(&self, path: &[&str], text: &str) -> Option<String> {
        let name = path.last()?;
        let may_be_secret = SECRETS.iter().any(|word| name.contains(*word));
        let is_shown = !may_be_secret && self.schema.find(path)?.is_list_of_text() && text.len() <= LONG;
        let items: Vec<Json> = text
            .split(',')
            .map(|item| item.trim().trim_matches(['[', ']', '"', '\'']))
            .filter(|item| !item.is_empty())
            .map(Json::from)
            .collect();
        let list = written(&Json::Array(items)).filter(|list| is_shown && list != "[]")?;
        Some(format!("{name} = {list}"))
    }

    /// How a key is written, with a value that fits.
    fn example(&self, path: &[&str]) -> Option<String> {
        let (key, name) = (self.schema.find(path)?, path.last()?);
        let default = self.default(path);
        match &key.kind {
            ValueKind::Table(_) if key.limit().is_some() => {
                let limit = default.as_ref().and_then(written);
                Some(format!(
                    "{name} = {}",
                    limit.unwrap_or_else(|| "{ attempts = 10, window = 60 }".to_owned())
                ))
            }
            ValueKind::Table(_) => Some(format!("[{}]", path.join("."))),
            ValueKind::Tables(_) => Some(format!("[[{}]]", path.join("."))),
            _ => {
                let value = key.example().and_then(written).or_else(|| default.as_ref().and_then(written))?;
                Some(format!("{name} = {value}"))
            }
        }
    }

    fn default(&self, path: &[&str]) -> Option<Json> {
        let (first, rest) = path.split_first()?;
        let value = rest.iter().try_fold(self.defaults.get(*first)?, |at, key| at.as_dict()?.get(*key))?;
        Some(value)
            .filter(|value| !matches!(value, Value::Empty(..)))
            .and_then(|value| serde_json::to_value(value).ok())
    }
}

/// A key without the places in lists: `phone.countries.0`.
pub(super) fn without_places(key: &str) -> Vec<&str> {
    key.split('.').filter(|part| part.parse::<usize>().is_err()).collect()
}

/// What is wrong with text whose quotes are not closed on its line; none for any other value.
fn unclosed(value: &str) -> Option<&'static str> {
    let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''))?;
    (!value.get(1..)?.contains(quote)).then_some("the closing quote is missing")
}

/// Whether the syntax breaks where a key ends.
fn is_without_equals_sign(message: &str) -> bool {
    message.starts_with("expected ") && message.contains('=')
}

/// Whether the message is about something else than how a value is written.
fn is_of_a_good_value(message: &str) -> bool {
    ["duplicate key `", "dotted key `", "number too "].iter().any(|words| message.contains(words))
}

/// What is said of a key or a table that stands in the line at `at`, and further above.
fn twice(text: &str, at: usize, message: &str) -> Option<String> {
    if !message.contains("duplicate key `") {
        return None;
    }
    let (path, is_table) = named_at(text, at)?;
    let above = text.get(..start_of(text, at)?)?;
    // The nearest one: lists of tables have the same keys in each.
    let first = line_starts(above)
        .filter(|start| named_at(text, *start).is_some_and(|(found, _)| found == path))
        .last()?;
    let line = line_at(text, first)?;
    let name = path.join(".");
    Some(if is_table {
        format!("the table [{name}] stands twice, first in line {line}: put its keys in one place")
    } else {
        format!("{name} stands twice, first in line {line}: remove one")
    })
}

/// What the line at `at` gives a value, or begins as a table, which is true.
fn named_at(text: &str, at: usize) -> Option<(Vec<&str>, bool)> {
    match head_in(line_of(text, at)?) {
        Some(head) => Some((head.collect(), true)),
        None => entry_at(text, at).map(|(path, _)| (path, false)),
    }
}

/// The name in the line that begins a table, by its parts.
fn head_in(line: &str) -> Option<impl Iterator<Item = &str>> {
    let line = line.split('#').next().unwrap_or_default().trim();
    let is_head = line.starts_with('[') && line.ends_with(']');
    let parts = line.trim_matches(['[', ']']).split('.').map(str::trim).filter(|part| !part.is_empty());
    is_head.then_some(parts)
}

/// Where the lines of a text begin.
fn line_starts(text: &str) -> impl Iterator<Item = usize> {
    iter::once(0)
        .chain(text.match_indices('\n').map(|(end, _)| end + 1))
        .filter(move |start| *start < text.len())
}

/// Where the line at `at` begins.
fn start_of(text: &str, at: usize) -> Option<usize> {
    text.get(..at).map(|before| before.rfind('\n').map_or(0, |end| end + 1))
}

fn line_of(text: &str, at: usize) -> Option<&str> {
    text.get(start_of(text, at)?..)?.lines().next()
}

/// The key and the value in the line at `at`, the key with its table.
fn entry_at(text: &str, at: usize) -> Option<(Vec<&str>, &str)> {
    let (name, value) = line_of(text, at)?.split_once('=')?;
    let is_part =
        |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    let parts: Vec<&str> = name.split('.').map(str::trim).collect();
    if !parts.iter().all(is_part) {
        return None;
    }
    let head = text.get(..start_of(text, at)?)?.lines().rev().find_map(head_in);
    let value = value.split(" #").next().unwrap_or_default().trim();
    Some((head.into_iter().flatten().chain(parts).collect(), value))
}

/// A value as TOML writes it; none for what is nothing there.
fn written(value: &Json) -> Option<String> {
    Some(match value {
        Json::Null => return None,
        Json::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(written).collect();
            format!("[{}]", items?.join(", "))
        }
        Json::Object(fields) => {
            let field = |(name, value): (&String, &Json)| Some(format!("{name} = {}", written(value)?));
            let fields: Option<Vec<String>> = fields.iter().map(field).collect();
            format!("{{ {} }}", fields?.join(", "))
        }
        scalar => scalar.to_string(),
    })
}

fn seconds_in(unit: &str) -> Option<u64> {
    Some(match unit {
        "s" | "sec" | "secs" | "second" | "seconds" => 1,
        "m" | "min" | "mins" | "minute" | "minutes" => 60,
        "h" | "hr" | "hour" | "hours" => 3_600,
        "d" | "day" | "days" => 86_400,
        "w" | "week" | "weeks" => 604_800,
        _ => return None,
    })
}

fn bytes_in(unit: &str) -> Option<u64> {
    Some(match unit {
        "b" | "byte" | "bytes" => 1,
        "k" | "kb" => 1_000,
        "ki" | "kib" => 1 << 10,
        "m" | "mb" => 1_000_000,
        "mi" | "mib" => 1 << 20,
        "g" | "gb" => 1_000_000_000,
        "gi" | "gib" => 1 << 30,
        _ => return None,
    })
}

fn is_number(wanted: &str) -> bool {
    matches!(wanted, "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize")
}

/// The numbers that fit.
fn range(path: &[&str], wanted: &str) -> String {
    let most = match wanted {
        "u8" => u64::from(u8::MAX),
        "u16" => u64::from(u16::MAX),
        "u32" => u64::from(u32::MAX),
        _ => return wanted_kind(wanted),
    };
    let least = u8::from(path.last() == Some(&"port"));
    format!("a whole number from {least} to {most}")
}

fn wanted_kind(wanted: &str) -> String {
    let plain = match wanted {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or greater",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "a boolean" => "true or false",
        "a sequence" => "a list: [\"...\", \"...\"]",
        "path string" => "text",
        "a string" => "text",
        table if table.starts_with("struct ") => "a table",
        "string or map" => "text",
        other => other,
    };
    plain.to_owned()
}

fn found_kind(found: &Actual) -> &'static str {
    match found {
        Actual::Bool(_) => "true or false",
        Actual::Unsigned(_) | Actual::Signed(_) => "a number",
        Actual::Float(_) => "a number with a fraction",
        Actual::Char(_) | Actual::Str(_) => "text",
        Actual::Seq => "a list",
        Actual::Map => "a table",
        _ => "something else",
    }
}
