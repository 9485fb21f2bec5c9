//! What a connection remembers because its client set it. None of it changes an answer.

use std::collections::{BTreeMap, BTreeSet};

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
/// What has an effect in PostgreSQL and none here, and what is told of it.
const WITHOUT_EFFECT: [(&str, &str); 3] = [
    (
        "search_path",
        "search_path changes nothing here: a table that several schemas have is written with its schema.",
    ),
    ("statement_timeout", NO_TIMEOUT),
    ("transaction_timeout", NO_TIMEOUT),
];
const NO_TIMEOUT: &str =
    "This timeout changes nothing here: a statement ends at the server's own limit, or when it is cancelled.";
/// Values of these, or parts of a list, that ask for no more than what is so.
const AS_IT_IS: [&str; 6] = ["", "0", "default", "$user", "public", "pg_catalog"];
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
pub(crate) struct SessionSettings {
    values: BTreeMap<String, String>,
    /// Of which it was told that they have no effect.
    told: BTreeSet<&'static str>,
}

fn of(list: &[(&'static str, &'static str)], name: &str) -> Option<&'static str> {
    list.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

impl SessionSettings {
    /// The value of one; none where there is no such setting.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let name = name.to_lowercase();
        of(&FIXED, &name).or_else(|| self.values.get(&name).map(String::as_str)).or_else(|| of(&USUAL, &name))
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
        let is_known = self.values.contains_key(&name);
        if !is_name || (self.values.len() >= MOST && !is_known) {
            return Err(Problem::new("42704", "There is no such setting."));
        }
        self.values.insert(name, value.chars().filter(|c| !c.is_control()).take(LONGEST).collect());
        Ok(true)
    }

    /// The same of a statement of the client's; what is told of it. What a client sets when it connects is its driver's.
    pub(crate) fn change(&mut self, name: &str, value: &str) -> Result<Option<&'static str>, Problem> {
        if !self.set(name, value)? {
            return Ok(Some("This setting stays what it is."));
        }
        let found = WITHOUT_EFFECT.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let Some(&(known, told)) = found else { return Ok(None) };
        let as_it_is = |part: &str| {
            let plain = part.trim_matches([' ', '"', '\'']).to_lowercase();
            AS_IT_IS.contains(&plain.as_str())
        };
        // Once is enough: clients set them with each statement.
        let is_new = !value.split(',').all(as_it_is) && self.told.insert(known);
        Ok(is_new.then_some(told))
    }

    /// Forgets one, or all.
    pub(crate) fn reset(&mut self, name: Option<&str>) {
        match name {
            None => {}
            Some("all") => self.values.clear(),
            Some(name) => {
                self.values.remove(name);
            }
        }
    }

    /// Names and values of all.
    pub(crate) fn all(&self) -> Vec<(String, String)> {
        let names =
            FIXED.iter().chain(&USUAL).map(|(name, _)| (*name).to_owned()).chain(self.values.keys().cloned());
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
    fn what_has_no_effect_is_told_once() {
        let mut settings = SessionSettings::default();
        // As a driver does when it connects.
        assert!(settings.set("search_path", "sales").unwrap());
        let mut told = |name: &str, value: &str| settings.change(name, value).unwrap();
        for (name, value) in [
            ("search_path", "$user,public"),
            ("search_path", "\"$user\", public"),
            ("search_path", "pg_catalog"),
            ("search_path", ""),
            ("statement_timeout", "0"),
            ("statement_timeout", "DEFAULT"),
            ("extra_float_digits", "3"),
            ("application_name", "psql"),
            ("client_encoding", "UTF8"),
        ] {
            assert_eq!(told(name, value), None, "{name} {value}");
        }
        for name in ["search_path", "statement_timeout", "transaction_timeout"] {
            assert!(told(name, "5s").is_some_and(|told| told.contains("changes nothing here")), "{name}");
            assert_eq!(told(name, "6s"), None, "{name}");
        }
        assert_eq!(told("timezone", "Asia/Tokyo"), Some("This setting stays what it is."));
        assert_eq!(settings.get("search_path"), Some("6s"));
    }

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
