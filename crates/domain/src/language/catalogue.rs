//! All texts of one language.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{ENGLISH, LanguageTag};
use crate::Timestamp;

/// All texts of one language, by key. `{name}` in a text is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalogue {
    tag: LanguageTag,
    texts: BTreeMap<String, String>,
}

/// What is wrong with a language's file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    /// It is no JSON object of texts.
    #[error("is not a JSON object of texts: {0}")]
    Unreadable(String),
    /// Keys that English has and it lacks.
    #[error("lacks {}", .0.join(", "))]
    Missing(Vec<String>),
    /// Keys that English lacks.
    #[error("has keys that do not exist: {}", .0.join(", "))]
    Unknown(Vec<String>),
    /// A text that fills in other values than the English one.
    #[error("{key}: must fill in {expected}, like the English text")]
    OtherValues {
        /// Which text.
        key: String,
        /// What the English one fills in.
        expected: String,
    },
    /// A text that says nothing.
    #[error("{0}: is empty")]
    Empty(String),
}

impl Catalogue {
    /// One that is part of the program; tests compare them.
    pub(super) fn built_in(tag: &str, source: &str) -> Self {
        let texts = serde_json::from_str(source).unwrap_or_default();
        Self { tag: LanguageTag(tag.to_owned()), texts }
    }

    /// Reads the file of a language.
    ///
    /// # Errors
    /// [`CatalogueError`].
    pub(super) fn parse(tag: LanguageTag, source: &str, english: &Self) -> Result<Self, CatalogueError> {
        // Some editors begin a file with a byte order mark.
        let source = source.trim_start_matches('\u{feff}');
        let texts: BTreeMap<String, String> =
            serde_json::from_str(source).map_err(|error| CatalogueError::Unreadable(error.to_string()))?;
        let catalogue = Self { tag, texts };
        catalogue.compare(english)?;
        Ok(catalogue)
    }

    fn compare(&self, english: &Self) -> Result<(), CatalogueError> {
        let lacking = |of: &Self, other: &Self| -> Vec<String> {
            of.texts.keys().filter(|key| !other.texts.contains_key(*key)).cloned().collect()
        };
        let (missing, unknown) = (lacking(english, self), lacking(self, english));
        if !missing.is_empty() {
            return Err(CatalogueError::Missing(missing));
        }
        if !unknown.is_empty() {
            return Err(CatalogueError::Unknown(unknown));
        }
        for (key, text) in &self.texts {
            let expected = names_in(english.text(key));
            if text.trim().is_empty() {
                return Err(CatalogueError::Empty(key.clone()));
            }
            if names_in(text) != expected {
                let expected: Vec<String> = expected.iter().map(|name| format!("{{{name}}}")).collect();
                let expected = if expected.is_empty() { "nothing".to_owned() } else { expected.join(", ") };
                return Err(CatalogueError::OtherValues { key: key.clone(), expected });
            }
        }
        Ok(())
    }

    /// Which language it is.
    pub const fn tag(&self) -> &LanguageTag {
        &self.tag
    }

    /// The tag for `lang` and `Content-Language`.
    pub fn lang(&self) -> &str {
        self.tag.as_str()
    }

    /// Whether it is English, the language of the contracts.
    pub fn is_english(&self) -> bool {
        self.tag.as_str() == ENGLISH
    }

    /// The text of a key; the key itself where there is none, which a test excludes.
    pub fn text<'a>(&'a self, key: &'a str) -> &'a str {
        self.texts.get(key).map_or(key, String::as_str)
    }

    /// Whether there is such a text.
    pub fn has(&self, key: &str) -> bool {
        self.texts.contains_key(key)
    }

    /// What the text of a key fills in.
    pub fn names(&self, key: &str) -> Vec<&str> {
        self.texts.get(key).into_iter().flat_map(|text| names_in(text)).collect()
    }

    /// All keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.texts.keys().map(String::as_str)
    }

    /// The text of a key with its values filled in. A value is never read for further names.
    pub fn fill(&self, key: &str, values: &[(&str, &str)]) -> String {
        let mut filled = String::new();
        let mut rest = self.text(key);
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                filled.push('{');
                rest = after;
                continue;
            };
            match values.iter().find(|(known, _)| *known == name) {
                Some((_, value)) => filled.push_str(value),
                None => filled.extend(["{", name, "}"]),
            }
            rest = after;
        }
        filled + rest
    }

    /// A time as people say it: `10 minutes`, `1 hour`, `2 days`; in seconds where it is less than a minute, and rounded down to minutes where
    /// it is more.
    pub fn duration(&self, time: Duration) -> String {
        let (count, unit) = match time.as_secs() / 60 {
            0 => (time.as_secs(), "second"),
            m if m.is_multiple_of(1_440) => (m / 1_440, "day"),
            m if m.is_multiple_of(60) => (m / 60, "hour"),
            m => (m, "minute"),
        };
        let form = if count == 1 { "one" } else { "other" };
        self.fill(&format!("duration.{unit}.{form}"), &[("count", &count.to_string())])
    }

    /// The same of a time that is rounded up to minutes, and is one at least.
    pub fn minutes(&self, time: Duration) -> String {
        let minutes = time.as_secs().div_ceil(60).max(1);
        self.duration(Duration::from_secs(minutes.saturating_mul(60)))
    }

    /// An instant in words, with its zone: `31 January 2026 at 09:30 UTC`.
    pub fn date(&self, instant: Timestamp) -> String {
        let part = |pattern: &str| instant.format(pattern);
        let month = format!("month.{}", part("%-m"));
        self.fill(
            "date",
            &[
                ("day", &part("%-d")),
                ("month", self.text(&month)),
                ("year", &part("%Y")),
                ("hour", &part("%H")),
                ("minute", &part("%M")),
            ],
        )
    }
}

/// The names that a text fills in.
fn names_in(text: &str) -> BTreeSet<&str> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Languages;
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const SWAHILI: &str = include_str!("../../messages/sw.json");

    fn languages() -> [std::sync::Arc<Catalogue>; 2] {
        let languages = Languages::default();
        ["en", "sw"].map(|tag| languages.of(LanguageTag::parse(tag).as_ref()).clone())
    }

    fn refused(source: &str) -> String {
        let [english, _] = languages();
        Catalogue::parse(LanguageTag::parse("sw").unwrap(), source, &english).unwrap_err().to_string()
    }

    #[test]
    fn every_language_has_every_text_and_fills_in_the_same_values() {
        let [english, swahili] = languages();
        assert!(english.keys().count() > 100, "the English file is read");
        assert_eq!(english.compare(&english), Ok(()));
        assert_eq!(swahili.compare(&english), Ok(()));
        for (file, source) in [("en", include_str!("../../messages/en.json")), ("sw", SWAHILI)] {
            let lines = source.lines().filter(|line| line.trim_start().starts_with('"')).count();
            assert_eq!(lines, english.keys().count(), "{file}.json has a key twice");
        }
    }

    #[test]
    fn a_file_that_does_not_fit_is_refused_with_what_is_wrong() {
        assert_eq!(refused(&SWAHILI.replace("page.home", "page.house")), "lacks page.home");
        let more = SWAHILI.replace("\"page.home\"", "\"page.more\": \"x\", \"page.home\"");
        assert_eq!(refused(&more), "has keys that do not exist: page.more");
        let other = SWAHILI.replace("Endelea kwenye {host}", "Endelea");
        assert_eq!(refused(&other), "page.continue: must fill in {host}, like the English text");
        assert_eq!(refused(&SWAHILI.replace("\"Asante\"", "\" \"")), "page.verified.title: is empty");
        assert!(refused("[]").starts_with("is not a JSON object of texts: "));
    }

    #[test]
    fn values_are_filled_in_once() {
        let [english, _] = languages();
        let text = english.fill("page.reset.text", &[("email", "{email}{host}")]);
        assert_eq!(text, "Choose a new password for {email}{host}. You will be signed out everywhere.");
        assert_eq!(english.fill("page.continue", &[]), "Continue to {host}");
    }

    #[test]
    fn lifetimes_and_dates_read_as_people_say_them() {
        let [english, swahili] = languages();
        let said = [1, 10, 60, 90, 120, 1_440, 2_880].map(|minutes| english.duration(minutes * MINUTE));
        assert_eq!(said, ["1 minute", "10 minutes", "1 hour", "90 minutes", "2 hours", "1 day", "2 days"]);
        let said = [0, 1, 30, 59, 61].map(|seconds| english.duration(Duration::from_secs(seconds)));
        assert_eq!(said, ["0 seconds", "1 second", "30 seconds", "59 seconds", "1 minute"]);
        let said = [0, 1, 60, 61, 3_541].map(|seconds| english.minutes(Duration::from_secs(seconds)));
        assert_eq!(said, ["1 minute", "1 minute", "1 minute", "2 minutes", "1 hour"]);
        assert_eq!(swahili.duration(120 * MINUTE), "saa 2");
        let instant = Timestamp::from_rfc3339("2026-01-31T09:05:59Z").unwrap();
        assert_eq!(english.date(instant), "31 January 2026 at 09:05 UTC");
        assert_eq!(swahili.date(instant), "31 Januari 2026 saa 09:05 UTC");
    }
}
