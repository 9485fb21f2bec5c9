//! The files with which an operator replaces built-in texts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{SmsTemplate, Template, TemplateError};

/// The operator's files by the built-in name they replace.
pub(super) fn read(directory: &Path) -> Result<BTreeMap<&'static str, (PathBuf, String)>, TemplateError> {
    let unreadable = |path: &Path, error: std::io::Error| TemplateError::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let names = || {
        let mails = Template::ALL.into_iter().flat_map(|template| template.files().all());
        mails.chain(SmsTemplate::ALL.map(SmsTemplate::file)).map(|(name, _)| name)
    };
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(directory).map_err(|error| unreadable(directory, error))? {
        let path = entry.map_err(|error| unreadable(directory, error))?.path();
        let found = path.file_name().unwrap_or_default().to_string_lossy();
        if found.starts_with('.') || found.to_lowercase().starts_with("readme") {
            continue;
        }
        let Some(name) = names().find(|name| *name == found) else {
            let nearest = nearest(&found, names()).unwrap_or_default();
            return Err(TemplateError::UnknownFile { path, nearest });
        };
        let source = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
        // Some editors begin a file with a byte order mark, which would be sent along.
        files.insert(name, (path, source.trim_start_matches('\u{feff}').to_owned()));
    }
    Ok(files)
}

pub(super) fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known.max_by(|a, b| strsim::jaro_winkler(wrong, a).total_cmp(&strsim::jaro_winkler(wrong, b)))
}

/// The first line that uses `key` inside a tag.
pub(super) fn line_of(key: &str, source: &str) -> Option<usize> {
    let uses = |line: &str| {
        line.contains('{') && line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == key)
    };
    source.lines().position(uses).map(|index| index + 1)
}
