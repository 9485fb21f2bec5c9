//! The languages people are written to in: on hosted pages, in mails and in text messages.
//!
//! A language is one file of texts, a [`Catalogue`]. English and Swahili are built in; an operator adds others.

mod catalogue;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use catalogue::{Catalogue, CatalogueError};

/// The language that every text exists in.
const ENGLISH: &str = "en";
/// Longest tag that is read (RFC 5646 section 4.4.1 asks for 35).
const MAX_TAG: usize = 35;
/// Ranges of an `Accept-Language` header that are read. People list a handful.
const MAX_RANGES: usize = 20;

/// The name of a language as HTTP and HTML write it (RFC 5646), in lower case: `sw`, `pt-br`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LanguageTag(String);

/// The languages of an installation.
#[derive(Clone, Debug)]
pub struct Languages {
    known: BTreeMap<LanguageTag, Arc<Catalogue>>,
    english: Arc<Catalogue>,
    is_changed: bool,
}

impl LanguageTag {
    /// Reads a tag: letters and digits in parts of at most eight, joined by hyphens.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_part = |part: &str| {
            (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        let is_tag = text.len() <= MAX_TAG && text.split('-').all(is_part) && text.len() >= 2;
        is_tag.then(|| Self(text.to_ascii_lowercase()))
    }

    /// The tag in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Languages {
    fn default() -> Self {
        let built_in = |tag: &str, source: &str| Arc::new(Catalogue::built_in(tag, source));
        let english = built_in(ENGLISH, include_str!("../../messages/en.json"));
        let swahili = built_in("sw", include_str!("../../messages/sw.json"));
        let known = [&english, &swahili].map(|catalogue| (catalogue.tag().clone(), Arc::clone(catalogue)));
        Self { known: known.into(), english, is_changed: false }
    }
}

impl Languages {
    /// Adds a language, or replaces one that is built in, by the text of its file.
    ///
    /// # Errors
    /// [`CatalogueError`] when the file lacks a text of English, has one that English lacks, or fills in other values.
    pub fn add(&mut self, tag: LanguageTag, source: &str) -> Result<(), CatalogueError> {
        let catalogue = Arc::new(Catalogue::parse(tag.clone(), source, &self.english)?);
        if tag.as_str() == ENGLISH {
            self.english = Arc::clone(&catalogue);
        }
        self.known.insert(tag, catalogue);
        self.is_changed = true;
        Ok(())
    }

    /// Whether an installation added or replaced any.
    pub fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// The language of that tag, or of the tag without its last parts: `sw` for `sw-ke`.
    pub fn find(&self, tag: &LanguageTag) -> Option<&Arc<Catalogue>> {
        let mut wanted = tag.clone();
        loop {
            if let Some(found) = self.known.get(&wanted) {
                return Some(found);
            }
            let shorter = wanted.0.rfind('-')?;
            wanted.0.truncate(shorter);
        }
    }

    /// The language of that tag, or English.
    pub fn of(&self, tag: Option<&LanguageTag>) -> &Arc<Catalogue> {
        tag.and_then(|tag| self.find(tag)).unwrap_or(&self.english)
    }

    /// The language that a client likes best of those there are, by its `Accept-Language` (RFC 9110 section 12.5.4). None
    /// where it names none of them.
    pub fn preferred(&self, accept_language: &str) -> Option<&LanguageTag> {
        let mut best: Option<(u16, &LanguageTag)> = None;
        for range in accept_language.split(',').take(MAX_RANGES) {
            let (tag, weight) = range.split_once(';').unwrap_or((range, ""));
            let weight = weight_of(weight);
            let found = LanguageTag::parse(tag).and_then(|tag| self.find(&tag)).map(|found| found.tag());
            if let Some(tag) = found
                && weight > best.map_or(0, |(weight, _)| weight)
            {
                best = Some((weight, tag));
            }
        }
        best.map(|(_, tag)| tag)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Catalogue>> {
        self.known.values()
    }
}

/// The weight in thousandths (RFC 9110 section 12.4.2): 1000 where none is given, 0 for what is none.
fn weight_of(parameter: &str) -> u16 {
    let parameter = parameter.trim();
    if parameter.is_empty() {
        return 1_000;
    }
    let value = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="));
    let weight: Option<f32> = value.and_then(|value| value.trim().parse().ok());
    weight.filter(|weight| (0.0..=1.0).contains(weight)).map_or(0, |weight| (weight * 1_000.0) as u16)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn preferred(header: &str) -> Option<String> {
        Languages::default().preferred(header).map(|tag| tag.as_str().to_owned())
    }

    #[test]
    fn the_best_known_language_wins() {
        for (header, expected) in [
            ("sw", Some("sw")),
            ("sw-KE,sw;q=0.9,en;q=0.8", Some("sw")),
            ("fr-FR, sw;q=0.3, en;q=0.2", Some("sw")),
            ("en-GB,en;q=0.9,sw;q=0.8", Some("en")),
            ("en;q=0.1,SW;Q=0.2", Some("sw")),
            ("sw;q=0", None),
            ("de, fr", None),
            ("*", None),
            ("", None),
            ("sw;q=2, en;q=x", None),
            ("sw-KE-x-private", Some("sw")),
        ] {
            assert_eq!(preferred(header).as_deref(), expected, "{header}");
        }
    }

    #[test]
    fn a_language_of_an_operator_is_one_file() {
        let mut languages = Languages::default();
        let german = include_str!("../../messages/en.json").replace("\"Thank you\"", "\"Danke\"");
        languages.add(LanguageTag::parse("DE").unwrap(), &german).unwrap();
        let preferred = languages.preferred("de-AT,en;q=0.5");
        assert_eq!(languages.of(preferred).text("page.verified.title"), "Danke");
        assert_eq!(languages.of(None).text("page.verified.title"), "Thank you");
    }

    #[test]
    fn what_is_no_tag_is_none() {
        for text in ["", "s", "sw_KE", "../sw", "swahililanguage", "sw-", "-sw", "sw ke", "ſw"] {
            assert_eq!(LanguageTag::parse(text), None, "{text}");
        }
        assert_eq!(LanguageTag::parse(" Pt-BR ").unwrap().as_str(), "pt-br");
    }

    proptest! {
        #[test]
        fn any_header_is_read(header in any::<String>()) {
            Languages::default().preferred(&header);
        }
    }
}
