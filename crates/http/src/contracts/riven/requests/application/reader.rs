//! One object of a tolerant body, taken apart field by field.

use std::fmt::Display;
use std::net::IpAddr;

use jiff::civil::Date;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tidegate_domain::EmailAddress;
use tidegate_domain::text::line;

use super::super::dates::{date, is_instant};
use super::super::vocabulary::{known, unknown};
use super::others::{forwarded, is_nothing};
use crate::wire::fields::{Check, Expected};

pub(super) type Object = Map<String, Value>;

/// Longest line of text, in characters.
const MAX_LINE: usize = 500;
/// Most entries of a list. Each can be wrong in its own words, and a body has room for millions.
pub(in super::super) const MAX_ENTRIES: usize = 20;

/// An object whose fields are taken out one by one; what is wrong with them is noted under their paths.
///
/// `null`, blank text and arrays of nothing else count as not sent. A list of one may be sent as that one
/// (contract, section 2). Everything that reads a field removes it, so that what is left was not named.
pub(super) struct Reader<'c> {
    check: &'c mut Check,
    path: String,
    fields: Object,
}

impl<'c> Reader<'c> {
    /// Of the object at `path`; of the body, when that is empty.
    pub(super) fn new(check: &'c mut Check, path: String, fields: Object) -> Self {
        Self { check, path, fields }
    }

    /// Of an object inside this one.
    pub(super) fn inner(&mut self, name: &str, fields: Object) -> Reader<'_> {
        let path = self.at(name);
        Reader::new(self.check, path, fields)
    }

    /// Whether something was sent.
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.get(name).is_some_and(|value| !is_nothing(value))
    }

    /// What `read` makes of a field that must be there.
    pub(super) fn required<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Self, &str) -> Option<T>,
    ) -> Option<T> {
        if self.has(name) { read(self, name) } else { self.violated(name, "is required") }
    }

    /// Notes that something is wrong with a field.
    pub(super) fn note(&mut self, name: &str, message: impl Into<String>) {
        let _: Option<()> = self.violated(name, message);
    }

    /// Notes that something is wrong with a field; answers nothing.
    pub(super) fn violated<T>(&mut self, name: &str, message: impl Into<String>) -> Option<T> {
        let field = self.at(name);
        self.check.violated(field, message)
    }

    /// Everything in it.
    pub(super) fn all(self) -> Object {
        self.fields
    }

    /// What was not taken, without what says nothing.
    pub(super) fn rest(&mut self) -> Object {
        forwarded(std::mem::take(&mut self.fields))
    }

    /// A value of whatever type.
    fn value(&mut self, name: &str) -> Option<Value> {
        self.fields.remove(name).filter(|value| !is_nothing(value))
    }

    /// Text of whatever length.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.typed(name)
    }

    /// One line of text.
    pub(super) fn line(&mut self, name: &str) -> Option<String> {
        self.line_of(name, MAX_LINE)
    }

    /// One line of text of at most `max` characters.
    pub(super) fn line_of(&mut self, name: &str, max: usize) -> Option<String> {
        let text: String = self.typed(name)?;
        self.parsed(name, line(&text, max))
    }

    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        self.typed(name)
    }

    /// A word of a vocabulary.
    pub(super) fn word(&mut self, name: &str, vocabulary: &'static [&'static str]) -> Option<&'static str> {
        let text: String = self.typed(name)?;
        match known(text.trim(), vocabulary) {
            Some(word) => Some(word),
            None => self.violated(name, unknown(vocabulary)),
        }
    }

    /// A country in three letters (ISO 3166-1 alpha-3), in capitals.
    pub(super) fn country(&mut self, name: &str) -> Option<String> {
        let text: String = self.typed(name)?;
        match country_code(&text) {
            Some(code) => Some(code),
            None => self.violated(name, "must be a country code of three letters, as in ISO 3166-1"),
        }
    }

    pub(super) fn date(&mut self, name: &str) -> Option<Date> {
        let text: String = self.typed(name)?;
        match date(text.trim()) {
            Some(date) => Some(date),
            None => self.violated(name, "must be a date, YYYY-MM-DD"),
        }
    }

    /// An instant, in the spelling it came in.
    pub(super) fn instant(&mut self, name: &str) -> Option<String> {
        let text: String = self.typed(name)?;
        match text.trim() {
            text if is_instant(text) => Some(text.to_owned()),
            _ => self.violated(name, "must be a timestamp of RFC 3339, such as 2024-01-01T12:00:00Z"),
        }
    }

    pub(super) fn ip_address(&mut self, name: &str) -> Option<String> {
        let text: String = self.typed(name)?;
        match text.trim().parse::<IpAddr>() {
            Ok(address) => Some(address.to_string()),
            Err(_) => self.violated(name, "must be an IP address"),
        }
    }

    pub(super) fn email(&mut self, name: &str) -> Option<String> {
        let text: String = self.typed(name)?;
        self.parsed(name, EmailAddress::parse(&text)).map(|address| address.as_str().to_owned())
    }

    /// A decimal number, as a JSON number or as text: whichever it came as.
    pub(super) fn decimal(&mut self, name: &str) -> Option<Value> {
        match self.value(name)? {
            Value::Number(number) => Some(Value::Number(number)),
            Value::String(text) if is_decimal(text.trim()) => Some(text.trim().into()),
            _ => self.violated(name, "must be a decimal number"),
        }
    }

    pub(super) fn object(&mut self, name: &str) -> Option<Object> {
        match self.value(name)? {
            Value::Object(fields) => Some(fields),
            _ => self.violated(name, format!("must be {}", Object::NAME)),
        }
    }

    /// An object, unless there is nothing in it.
    pub(super) fn filled_object(&mut self, name: &str) -> Option<Object> {
        self.object(name).filter(|fields| !fields.values().all(is_nothing))
    }

    /// The entries of a list, each under its path in this object, such as `documents.0`.
    fn entries(&mut self, name: &str) -> Vec<(String, Value)> {
        let entries = match self.value(name) {
            None => return Vec::new(),
            Some(Value::Array(entries)) => entries,
            Some(one) => vec![one],
        };
        if entries.len() > MAX_ENTRIES {
            self.note(name, format!("must have at most {MAX_ENTRIES} entries"));
            return Vec::new();
        }
        let said = entries.into_iter().enumerate().filter(|(_, entry)| !is_nothing(entry));
        said.map(|(at, entry)| (format!("{name}.{at}"), entry)).collect()
    }

    /// What `read` makes of the objects of a list. None when there are none, or not all can be read.
    pub(super) fn objects<T>(
        &mut self,
        name: &str,
        mut read: impl FnMut(Reader<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let read = |this: &mut Self, (at, entry): (String, Value)| match entry {
            Value::Object(fields) => read(this.inner(&at, fields)),
            _ => this.violated(&at, format!("must be {}", Object::NAME)),
        };
        self.each(name, read)
    }

    /// The lines of a list of texts. None when there are none, or not all can be read.
    pub(super) fn lines(&mut self, name: &str) -> Option<Vec<String>> {
        self.each(name, |this, (at, entry)| match entry {
            Value::String(text) => this.parsed(&at, line(&text, MAX_LINE)),
            _ => this.violated(&at, format!("must be {}", String::NAME)),
        })
    }

    /// The words of a list, all of one vocabulary. None when there are none, or not all can be read.
    pub(super) fn words(
        &mut self,
        name: &str,
        vocabulary: &'static [&'static str],
    ) -> Option<Vec<&'static str>> {
        self.each(name, |this, (at, entry)| {
            match entry.as_str().and_then(|word| known(word.trim(), vocabulary)) {
                Some(word) => Some(word),
                None => this.violated(&at, unknown(vocabulary)),
            }
        })
    }

    fn each<T>(
        &mut self,
        name: &str,
        mut read: impl FnMut(&mut Self, (String, Value)) -> Option<T>,
    ) -> Option<Vec<T>> {
        let entries = self.entries(name);
        // All of them are looked at before the first that cannot be read ends it.
        let read: Vec<Option<T>> = entries.into_iter().map(|entry| read(self, entry)).collect();
        let read: Option<Vec<T>> = read.into_iter().collect();
        read.filter(|read| !read.is_empty())
    }

    fn typed<T: Expected + DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        match T::deserialize(self.value(name)?) {
            Ok(value) => Some(value),
            Err(_) => self.violated(name, format!("must be {}", T::NAME)),
        }
    }

    fn parsed<T, E: Display>(&mut self, name: &str, result: Result<T, E>) -> Option<T> {
        let field = self.at(name);
        self.check.parsed(field, result)
    }

    fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

/// Whether text is the word that the contract's own samples have where there is nothing.
pub(super) fn is_the_word_null(text: &str) -> bool {
    text == "null"
}

/// Three letters, in capitals.
pub(super) fn country_code(text: &str) -> Option<String> {
    let text = text.trim();
    (text.len() == 3 && text.bytes().all(|b| b.is_ascii_alphabetic())).then(|| text.to_ascii_uppercase())
}

/// Digits with at most one point between them and a sign before them.
fn is_decimal(text: &str) -> bool {
    const MAX_DIGITS: usize = 20;
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    [whole, fraction].iter().all(|digits| {
        (1..=MAX_DIGITS).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit())
    })
}
