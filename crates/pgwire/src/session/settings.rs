//! What a connection remembers because its client set it. None of it changes an answer.

use std::collections::BTreeMap;

use crate::protocol::problem::Problem;

/// The version that clients are told: what they ask of the catalogs depends on it.
pub(crate) const SERVER_VERSION: &str = "15.0 (Tidegate)";
/// Most settings of a connection, and the longest value of one, in characters.
const MOST: usize = 100;
const LONGEST: usize = 200;

/// What is so and stays so.
const FIXED: [(&str, &str); 14] = [
    ("bytea_output", "hex"),
    ("client_encoding", "UTF8"),
    ("datestyle", "ISO, MDY"),
    ("default_transaction_read_only", "on"),
    ("in_hot_standby", "off"),
    ("integer_datetimes", "on"),
    ("intervalstyle", "postgres"),
    ("is_superuser", "off"),
    ("server_encoding", "UTF8"),
    ("server_version", SERVER_VERSION),
    ("server_version_num", "150000"),
    ("standard_conforming_strings", "on"),
    ("timezone", "UTC"),
    ("transaction_isolation", "read committed"),
];
/// What has a value before it is set.
const USUAL: [(&str, &str); 9] = [
    ("application_name", ""),
    // SQLAlchemy compares it with how a table is stored.
    ("default_table_access_method", "heap"),
    ("default_transaction_isolation", "read committed"),
    ("extra_float_digits", "1"),
    ("lc_collate", "C"),
    ("max_identifier_length", "63"),
    ("search_path", "\"$user\", public"),
    ("statement_timeout", "0"),
    ("transaction_read_only", "on"),
];
/// What clients are told of at the beginning, by the names that PostgreSQL spells so.
pub(crate) const REPORTED: [&str; 12] = [
    "application_name",
    "client_encoding",
    "DateStyle",
    "default_transaction_read_only",
    "in_hot_standby",
    "integer_datetimes",
    "IntervalStyle",
    "is_superuser",
    "server_encoding",
    "server_version",
    "standard_conforming_strings",
    "TimeZone",
];

/// The settings of a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct SessionSettings(BTreeMap<String, String>);

fn of(list: &[(&'static str, &'static str)], name: &str) -> Option<&'static str> {
    list.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

impl SessionSettings {
    /// The value of one; none where there is no such setting.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let name = name.to_lowercase();
        of(&FIXED, &name).or_else(|| self.0.get(&name).map(String::as_str)).or_else(|| of(&USUAL, &name))
    }

    /// Remembers a value. False where the setting stays what it is.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<bool, Problem> {
        let name = name.to_lowercase();
        if let Some(fixed) = of(&FIXED, &name) {
            let is_same = |value: &str| {
                let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
                plain(fixed).split(',').any(|part| part == plain(value).split(',').next().unwrap_or_default())
            };
            let is_unicode = name == "client_encoding" && value.eq_ignore_ascii_case("unicode");
            return Ok(is_same(value) || is_unicode);
        }
        let is_name = !name.is_empty()
            && name.len() <= 63
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
        let is_known = self.0.contains_key(&name);
        if !is_name || (self.0.len() >= MOST && !is_known) {
            return Err(Problem::new("42704", "There is no such setting."));
        }
        self.0.insert(name, value.chars().filter(|c| !c.is_control()).take(LONGEST).collect());
        Ok(true)
    }

    /// Forgets one, or all.
    pub(crate) fn reset(&mut self, name: Option<&str>) {
        match name {
            None => {}
            Some("all") => self.0.clear(),
            Some(name) => {
                self.0.remove(name);
            }
        }
    }

    /// Names and values of all.
    pub(crate) fn all(&self) -> Vec<(String, String)> {
        let names =
            FIXED.iter().chain(&USUAL).map(|(name, _)| (*name).to_owned()).chain(self.0.keys().cloned());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names.dedup();
        names.into_iter().filter_map(|name| Some((name.clone(), self.get(&name)?.to_owned()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_change_answers_stays_what_it_is() {
        let mut settings = SessionSettings::default();
        assert!(settings.set("DateStyle", "ISO").unwrap());
        assert!(!settings.set("datestyle", "German").unwrap());
        assert!(settings.set("client_encoding", "utf-8").unwrap());
        assert!(!settings.set("client_encoding", "LATIN1").unwrap());
        assert_eq!(settings.get("TimeZone"), Some("UTC"));
        assert!(settings.set("application_name", "a\nb").unwrap());
        assert_eq!(settings.get("application_name"), Some("ab"));
        settings.reset(Some("all"));
        assert_eq!(settings.get("application_name"), Some(""));
        assert!(settings.set("no such", "x").is_err());
        for number in 0..MOST {
            settings.set(&format!("my.n{number}"), "x").unwrap();
        }
        assert_eq!(settings.set("my.one_more", "x").unwrap_err().state, "42704");
        for name in REPORTED {
            assert!(settings.get(name).is_some(), "{name}");
        }
    }
}
