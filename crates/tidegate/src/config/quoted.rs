//! Quotation marks that were meant for a shell and have become part of a value: `docker --env-file` passes them on, as do files of secrets.

use std::fs;
use std::path::Path;

use figment::value::{Dict, Value};
use serde_json::Value as Json;
use tidegate_domain::secret::without_final_line_breaks;

use super::Config;
use super::reading::Layer;

/// Largest file that is looked into, in bytes. A secret is shorter.
const LARGEST_FILE: u64 = 64 * 1024;

/// What is told of the variables of those `layers`, by name. The values are not repeated.
pub(super) fn in_variables(layers: &[Layer]) -> Option<String> {
    let is_meant = |layer: &&Layer| text_of(&layer.values).is_some_and(is_quoted);
    let names: Vec<&str> = layers.iter().filter(is_meant).map(|layer| &*layer.metadata.name).collect();
    (!names.is_empty()).then(|| {
        format!(
            "the value begins and ends with a quotation mark, which is part of it (docker --env-file passes the marks on): {}. Leave them \
             out, unless they are meant",
            names.join(", ")
        )
    })
}

/// What is told of each file that a setting of `config` names for its secret.
pub(super) fn in_files(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    look_into_files("", &config.written().unwrap_or_default(), &mut found);
    found
}

fn look_into_files(key: &str, value: &Json, found: &mut Vec<String>) {
    let below = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
    match value {
        Json::Object(fields) => {
            fields.iter().for_each(|(name, value)| look_into_files(&below(name), value, found));
        }
        Json::Array(items) => {
            (0_usize..)
                .zip(items)
                .for_each(|(place, item)| look_into_files(&below(&place.to_string()), item, found));
        }
        Json::String(path) if key.ends_with("_file") && has_quoted_text(Path::new(path)) => {
            found.push(format!(
                "{key}: what stands in {path} begins and ends with a quotation mark, which is part of it. Leave them out, unless they are \
                 meant"
            ));
        }
        _ => {}
    }
}

/// Whether that is the text of a file. Of one that cannot be read, who needs it says so.
fn has_quoted_text(path: &Path) -> bool {
    let is_small_file = |found: fs::Metadata| found.is_file() && found.len() <= LARGEST_FILE;
    fs::metadata(path).is_ok_and(is_small_file) && fs::read_to_string(path).is_ok_and(|text| is_quoted(&text))
}

/// The one text of a variable's layer.
fn text_of(values: &Dict) -> Option<&str> {
    match values.values().next()? {
        Value::Dict(_, below) => text_of(below),
        Value::String(_, text) => Some(text),
        _ => None,
    }
}

fn is_quoted(text: &str) -> bool {
    let text = without_final_line_breaks(text);
    text.len() > 1 && ['"', '\''].into_iter().any(|mark| text.starts_with(mark) && text.ends_with(mark))
}
