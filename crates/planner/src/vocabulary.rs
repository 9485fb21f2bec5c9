//! The words of a language, read from its file.

use std::collections::HashMap;
use std::sync::OnceLock;

/// English, as `vocabulary/english.txt` has it.
const ENGLISH: &str = include_str!("../vocabulary/english.txt");
/// The other languages: their tags, as `Accept-Language` has them, and their files.
const OTHERS: [(&str, &str); 1] = [("sw", include_str!("../vocabulary/swahili.txt"))];
/// The languages in which questions are read, in English words.
pub const LANGUAGES: [&str; OTHERS.len() + 1] = ["English", "Swahili"];
/// Sections that speak of names in schemas and comments, which are English in most schemas whatever language a question has. The other
/// languages have them from English and add to them.
const OF_SCHEMAS: [&str; 15] = [
    "additive",
    "also called",
    "column ending",
    "column unit",
    "earned",
    "exception date",
    "interval end",
    "irregular",
    "label",
    "label parts",
    "one of many",
    "plural",
    "private date",
    "size",
    "unit",
];

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

    /// The language of a tag, also of one with a region ("sw-ke"); none where there is no file for it.
    pub(crate) fn of(tag: &str) -> Option<&'static Self> {
        static READ: OnceLock<HashMap<&'static str, Vocabulary>> = OnceLock::new();
        let language = tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
        if language == "en" {
            return Some(Self::english());
        }
        let others = READ.get_or_init(|| OTHERS.map(|(tag, text)| (tag, Self::beside_english(text))).into());
        others.get(language.as_str())
    }

    fn read(text: &str) -> Self {
        let mut all = Self::default();
        all.add(text, |_| true);
        all
    }

    /// Another language than English.
    fn beside_english(text: &str) -> Self {
        let mut all = Self::default();
        all.add(ENGLISH, |section| OF_SCHEMAS.contains(&section));
        all.add(text, |_| true);
        all
    }

    /// Adds the sections of a file that are wanted.
    fn add(&mut self, text: &str, is_wanted: impl Fn(&str) -> bool) {
        let mut section = String::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = name.to_owned();
                continue;
            }
            if !is_wanted(&section) {
                continue;
            }
            let (meaning, phrases) = line.split_once(" = ").unwrap_or(("", line));
            let phrases: Vec<String> = phrases.split(',').map(|phrase| phrase.trim().to_owned()).collect();
            let entry = self.sections.entry(section.clone()).or_default();
            for phrase in &phrases {
                entry.phrases.insert(phrase.clone(), meaning.trim().to_owned());
            }
            entry.lines.push((meaning.trim().to_owned(), phrases));
        }
        for (one, many) in self.lines("irregular") {
            self.irregular.extend(many.iter().map(|each| (each.clone(), one.clone())));
        }
        for (_, forms) in self.lines("names") {
            let Some((one, many)) = forms.split_first() else { continue };
            self.irregular.extend(many.iter().map(|each| (each.clone(), one.clone())));
        }
    }

    /// Words of a suggested question, in this language.
    pub(crate) fn say<'v>(&'v self, english: &'v str) -> &'v str {
        self.meaning("say", english).unwrap_or(english)
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

    #[test]
    fn another_language_adds_to_what_english_says_of_names() {
        let swahili = Vocabulary::of("SW-KE").unwrap();
        assert_eq!(swahili.meaning("compare", "zaidi ya"), Some(">"));
        assert_eq!(swahili.singular("maagizo"), "agizo");
        assert_eq!(swahili.singular("categories"), "category");
        assert_eq!(swahili.phrases("label").last().map(String::as_str), Some("jina"));
        assert!(swahili.has("also called", "also called") && swahili.has("additive", "mapato"));
        assert_eq!(
            (swahili.say("number of"), Vocabulary::english().say("number of")),
            ("idadi ya", "number of")
        );
        // English questions are not among its own.
        assert!(!swahili.has("count", "how many") && !swahili.has("ignore", "the"));
        assert!(Vocabulary::of("en-GB").unwrap().has("ignore", "the"));
        assert!(Vocabulary::of("de").is_none() && Vocabulary::of("").is_none());
    }

    #[test]
    fn sections_of_other_languages_are_those_that_are_read() {
        const OWN: [&str; 4] = ["count after", "grammar", "names", "say"];
        let english = Vocabulary::english();
        for name in OF_SCHEMAS {
            assert!(english.sections.contains_key(name), "{name}");
        }
        for (tag, _) in OTHERS {
            for name in Vocabulary::of(tag).unwrap().sections.keys() {
                assert!(english.sections.contains_key(name) || OWN.contains(&name.as_str()), "{tag}: {name}");
            }
        }
    }
}
