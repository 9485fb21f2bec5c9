//! The words of a language, read from its file.

use std::collections::HashMap;
use std::sync::OnceLock;

/// English, as `vocabulary/english.txt` has it.
const ENGLISH: &str = include_str!("../vocabulary/english.txt");

/// A language: phrases by section, with what each means there.
#[derive(Debug, Default)]
pub(crate) struct Vocabulary {
    sections: HashMap<String, Section>,
    irregular: HashMap<String, String>,
}

/// Phrases of a section and their meanings, also in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Section {
    phrases: HashMap<String, String>,
    lines: Vec<(String, Vec<String>)>,
}

impl Vocabulary {
    /// English.
    pub(crate) fn english() -> &'static Self {
        static READ: OnceLock<Vocabulary> = OnceLock::new();
        READ.get_or_init(|| Self::read(ENGLISH))
    }

    fn read(text: &str) -> Self {
        let mut all = Self::default();
        let mut section = String::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = name.to_owned();
                continue;
            }
            let (meaning, phrases) = line.split_once(" = ").unwrap_or(("", line));
            let phrases: Vec<String> = phrases.split(',').map(|phrase| phrase.trim().to_owned()).collect();
            let entry = all.sections.entry(section.clone()).or_default();
            for phrase in &phrases {
                entry.phrases.insert(phrase.clone(), meaning.trim().to_owned());
            }
            entry.lines.push((meaning.trim().to_owned(), phrases));
        }
        for (one, many) in all.lines("irregular") {
            all.irregular.extend(many.iter().map(|each| (each.clone(), one.clone())));
        }
        all
    }

    /// What a phrase means in a section.
    pub(crate) fn meaning(&self, section: &str, phrase: &str) -> Option<&str> {
        self.sections.get(section)?.phrases.get(phrase).map(String::as_str)
    }

    /// Whether a section has a phrase.
    pub(crate) fn has(&self, section: &str, phrase: &str) -> bool {
        self.meaning(section, phrase).is_some()
    }

    /// The lines of a section in the order of the file: meaning and phrases.
    pub(crate) fn lines(&self, section: &str) -> Vec<(String, Vec<String>)> {
        self.sections.get(section).map(|found| found.lines.clone()).unwrap_or_default()
    }

    /// All phrases of a section.
    pub(crate) fn phrases(&self, section: &str) -> Vec<String> {
        self.lines(section).into_iter().flat_map(|(_, phrases)| phrases).collect()
    }

    /// The singular of a word in lower case; the word itself if it has no plural's form.
    pub(crate) fn singular(&self, word: &str) -> String {
        if let Some(one) = self.irregular.get(word) {
            return one.clone();
        }
        let Some(section) = self.sections.get("plural") else { return word.to_owned() };
        for rule in section.lines.iter().flat_map(|(_, rules)| rules) {
            let Some((ending, instead)) = rule.split_once('=') else { continue };
            if let Some(stem) = word.strip_suffix(ending)
                && stem.chars().count() + instead.chars().count() >= 3
            {
                return format!("{stem}{instead}");
            }
        }
        word.to_owned()
    }

    /// Other forms that a noun's quality has as a value: "absence", "absent".
    pub(crate) fn qualities(&self, lemma: &str) -> Vec<String> {
        let rules = self.phrases("quality");
        rules
            .iter()
            .filter_map(|rule| rule.split_once('='))
            .filter_map(|(ending, instead)| {
                let stem = lemma.strip_suffix(ending)?;
                (stem.chars().count() + instead.chars().count() >= 3).then(|| format!("{stem}{instead}"))
            })
            .collect()
    }

    /// Whether a word is part of any phrase: such a word is not taken for a typing error.
    pub(crate) fn knows(&self, word: &str) -> bool {
        self.sections.values().any(|section| section.phrases.contains_key(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn singulars() {
        let english = Vocabulary::english();
        for (many, one) in [
            ("orders", "order"),
            ("categories", "category"),
            ("boxes", "box"),
            ("classes", "class"),
            ("status", "status"),
            ("bus", "bus"),
            ("people", "person"),
            ("gas", "gas"),
        ] {
            assert_eq!(english.singular(many), one, "{many}");
        }
    }

    #[test]
    fn phrases_mean_one_thing_each() {
        let english = Vocabulary::english();
        assert_eq!(english.meaning("compare", "at least"), Some(">="));
        assert_eq!(english.meaning("month", "march"), Some("3"));
        assert_eq!(english.meaning("measured", "cheapest"), Some("asc price"));
        assert!(english.has("ignore", "the"));
        assert_eq!(english.qualities("absence"), ["absent"]);
    }
}
