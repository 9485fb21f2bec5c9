//! Which files of a bucket make up which relation.
//!
//! A folder is a relation of all the files in it and in its Hive partitions (`year=2024/month=1/part-0.parquet`); files beside the
//! folders, at the prefix itself, are relations of their own. Files of several formats in one folder are several relations.

use std::collections::BTreeMap;

use tidegate_objects::ListedFile;

use crate::files::{Inferred, Kind};
use crate::registry::SourceType;

/// What Hive writes for NULL.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// A relation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Relation {
    pub(super) name: String,
    pub(super) format: SourceType,
    pub(super) files: Vec<PartOf>,
    /// The columns that folders give, and what their values are.
    pub(super) keys: Vec<(String, Kind)>,
}

/// A file of a relation, and the values of its folders.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PartOf {
    pub(super) file: ListedFile,
    pub(super) values: Vec<(String, Option<String>)>,
}

impl PartOf {
    /// The value of a key; none where it is NULL or the file is in no folder of that name.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        self.values.iter().find(|(name, _)| name == key).and_then(|(_, value)| value.as_deref())
    }
}

/// How files are told apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    pub(super) prefix: String,
    /// The format of all files, whatever their names end in.
    pub(super) format: Option<SourceType>,
    /// The name of the one relation that all files are.
    pub(super) table: Option<String>,
}

/// The format of a file by its name's end. Text may be compressed with gzip.
fn format(name: &str) -> Option<SourceType> {
    let plain = without_gz(name);
    let (_, ending) = plain.rsplit_once('.')?;
    let format = match ending.to_ascii_lowercase().as_str() {
        "csv" | "tsv" | "txt" => SourceType::Csv,
        "json" | "jsonl" | "ndjson" => SourceType::Json,
        "parquet" | "parq" | "pq" => SourceType::Parquet,
        "xlsx" | "xlsm" | "xlsb" | "xls" | "ods" => SourceType::Excel,
        "xml" => SourceType::Xml,
        _ => return None,
    };
    let is_text = matches!(format, SourceType::Csv | SourceType::Json | SourceType::Xml);
    Some(format).filter(|_| is_text || plain == name)
}

fn without_gz(name: &str) -> &str {
    name.strip_suffix(".gz").unwrap_or(name)
}

/// The relations of files, by name; each one's files in the order of their keys.
pub(super) fn relations(files: Vec<ListedFile>, rules: &Rules) -> Vec<Relation> {
    let mut groups: BTreeMap<(String, &'static str), Vec<PartOf>> = BTreeMap::new();
    for file in files {
        let below = file.key.strip_prefix(&rules.prefix).unwrap_or(&file.key).trim_start_matches('/');
        let mut folders: Vec<&str> = below.split('/').collect();
        let Some(base) = folders.pop() else { continue };
        // What writers leave beside their data (`_SUCCESS`, `.part-0.crc`, `_delta_log/`), and files of nothing.
        let hidden = |name: &str| name.starts_with(['_', '.']) && !name.contains('=');
        if base.is_empty() || file.size == 0 || hidden(base) || folders.iter().any(|name| hidden(name)) {
            continue;
        }
        let Some(format) = rules.format.or_else(|| format(base)) else { continue };
        let mut values = Vec::new();
        let mut place = Vec::new();
        for folder in &folders {
            match folder.split_once('=') {
                Some((key, value)) if !key.is_empty() => {
                    let value = unescaped(value);
                    values.push((unescaped(key), Some(value).filter(|value| value != NULL)));
                }
                _ => place.push(*folder),
            }
        }
        let name = match &rules.table {
            Some(name) => name.clone(),
            None if !place.is_empty() => place.join("/"),
            None if !values.is_empty() => last_of(&rules.prefix),
            None => {
                let plain = without_gz(base);
                plain.rsplit_once('.').map_or(plain, |(stem, _)| stem).to_owned()
            }
        };
        groups.entry((name, format.as_str())).or_default().push(PartOf { file, values });
    }
    let mut several: BTreeMap<String, usize> = BTreeMap::new();
    for (name, _) in groups.keys() {
        *several.entry(name.clone()).or_default() += 1;
    }
    let relation = |((name, format), mut files): ((String, &'static str), Vec<PartOf>)| {
        files.sort_by(|a, b| a.file.key.cmp(&b.file.key));
        let is_single = several.get(&name).is_none_or(|count| *count == 1);
        let name = if is_single { name } else { format!("{name}.{format}") };
        let format = format.parse().ok()?;
        Some(Relation { name, format, keys: keys(&files), files })
    };
    groups.into_iter().filter_map(relation).collect()
}

/// The last folder of a prefix.
fn last_of(prefix: &str) -> String {
    let folder = prefix.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if folder.is_empty() { "data".to_owned() } else { folder.to_owned() }
}

/// The keys of folders in the order in which they come, with the kind that holds every value.
fn keys(files: &[PartOf]) -> Vec<(String, Kind)> {
    let mut keys: Vec<(String, Inferred)> = Vec::new();
    for (key, value) in files.iter().flat_map(|file| &file.values) {
        let place = keys.iter().position(|(known, _)| known == key).unwrap_or_else(|| {
            keys.push((key.clone(), Inferred::default()));
            keys.len() - 1
        });
        if let (Some((_, kind)), Some(value)) = (keys.get_mut(place), value) {
            kind.add_text(value);
        }
    }
    keys.into_iter().map(|(key, inferred)| (key, inferred.kind)).collect()
}

/// Percent-encoding, which Hive uses in values; what is none stays as it is.
fn unescaped(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let code = (*byte == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(code) => {
                plain.push(code);
                at += 3;
            }
            None => {
                plain.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8(plain).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(keys: &[&str]) -> Vec<ListedFile> {
        keys.iter().map(|key| ListedFile { key: (*key).to_owned(), size: 1, etag: String::new() }).collect()
    }

    fn names(relations: &[Relation]) -> Vec<(&str, usize)> {
        relations.iter().map(|relation| (relation.name.as_str(), relation.files.len())).collect()
    }

    #[test]
    fn folders_are_relations_and_partitions_columns() {
        let files = listed(&[
            "lake/sales/year=2024/month=1/a.parquet",
            "lake/sales/year=2024/month=__HIVE_DEFAULT_PARTITION__/b.parquet",
            "lake/sales/year=2023/month=12/c.parquet",
            "lake/sales/_SUCCESS",
            "lake/sales/_delta_log/0.json",
            "lake/people.csv",
            "lake/mixed/a.csv",
            "lake/mixed/a.json",
            "lake/deep/er/x.csv.gz",
            "lake/deep/er/x.parquet.gz",
            "lake/readme.md",
        ]);
        let rules = Rules { prefix: "lake/".to_owned(), ..Rules::default() };
        let found = relations(files, &rules);
        assert_eq!(
            names(&found),
            [("deep/er", 1), ("mixed.csv", 1), ("mixed.json", 1), ("people", 1), ("sales", 3)]
        );
        let sales = &found[4];
        assert_eq!(sales.keys, [("year".to_owned(), Kind::Int), ("month".to_owned(), Kind::Int)]);
        assert_eq!(sales.files[0].value("year"), Some("2023"));
        assert_eq!(sales.files[2].value("month"), None);
    }

    #[test]
    fn a_name_and_a_format_make_one_relation_of_all() {
        let table = Some("all".to_owned());
        let rules = Rules { prefix: String::new(), format: Some(SourceType::Json), table };
        let found = relations(listed(&["a/x.log", "b/day=2024-01-01/y", "z.log"]), &rules);
        assert_eq!(names(&found), [("all", 3)]);
        assert_eq!(found[0].keys, [("day".to_owned(), Kind::Date)]);
        let rules = Rules { prefix: "w/logs/".to_owned(), ..Rules::default() };
        let found = relations(listed(&["w/logs/name=a%2Fb%zz/x.json"]), &rules);
        assert_eq!(names(&found), [("logs", 1)]);
        assert_eq!(found[0].files[0].value("name"), Some("a/b%zz"));
    }
}
