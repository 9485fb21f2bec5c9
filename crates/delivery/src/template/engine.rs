//! The template language as mails use it.

use std::fmt::Write as _;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Kwargs;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value};
use tidegate_domain::{Brand, Catalogue, LanguageTag, Languages, Timestamp};

use crate::lifetime::of_minutes;

/// Columns of a plain text (RFC 5322 section 2.1.1 recommends fewer than 78).
const COLUMNS: usize = 76;

/// Strict, HTML escaped where the file name ends in `.html`, with the layout and the parts of mails.
pub(super) fn environment(languages: Arc<Languages>, brand: &Brand) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    // Tags on lines of their own leave no blank lines behind.
    let syntax =
        SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build()?;
    environment.set_syntax(syntax);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_formatter(format);
    environment.add_global("product", "Tidegate");
    environment.add_global("language", languages.of(None).lang());
    environment.add_global("support", brand.support.clone().unwrap_or_default());
    environment.add_global("support_link", brand.support_link().unwrap_or_default());
    environment.add_global("accent", brand.accent.css());
    environment.add_global("on_accent", brand.accent.ink_on().css());
    environment.add_global("accent_dark", brand.accent_dark.css());
    environment.add_global("on_accent_dark", brand.accent_dark.ink_on().css());
    let known = Arc::clone(&languages);
    environment.add_function("t", move |state: &State<'_, '_>, key: &str, values: Kwargs| {
        translate(catalogue_of(&known, state), state, key, &values)
    });
    let known = Arc::clone(&languages);
    environment.add_filter("duration", move |state: &State<'_, '_>, minutes: f64| {
        catalogue_of(&known, state).duration(of_minutes(minutes))
    });
    environment.add_filter("date", move |state: &State<'_, '_>, when: &str| {
        match Timestamp::from_rfc3339(when) {
            Some(instant) => catalogue_of(&languages, state).date(instant),
            None => when.to_owned(),
        }
    });
    environment.add_filter("wrap", wrap);
    for (name, source) in [
        ("parts.html", include_str!("../../templates/parts.html")),
        ("layout.html", include_str!("../../templates/layout.html")),
        ("layout.txt", include_str!("../../templates/layout.txt")),
    ] {
        environment.add_template(name, source)?;
    }
    Ok(environment)
}

/// The language of the mail that is being rendered.
fn catalogue_of<'l>(languages: &'l Languages, state: &State<'_, '_>) -> &'l Catalogue {
    let tag = state.lookup("language").and_then(|value| value.as_str().and_then(LanguageTag::parse));
    languages.of(tag.as_ref())
}

/// The text of a key. What it fills in is named in the call, or else one of the mail's own values.
fn translate(
    catalogue: &Catalogue,
    state: &State<'_, '_>,
    key: &str,
    given: &Kwargs,
) -> Result<String, Error> {
    if !catalogue.has(key) {
        return Err(Error::new(ErrorKind::InvalidOperation, format!("there is no text '{key}'")));
    }
    let mut values = Vec::new();
    for name in catalogue.names(key) {
        let value = match given.get::<Option<Value>>(name)? {
            Some(value) => Some(value),
            None => state.lookup(name),
        };
        let value = value.filter(|value| !value.is_undefined()).ok_or_else(|| {
            Error::new(ErrorKind::UndefinedError, format!("the text '{key}' fills in '{name}'"))
        })?;
        values.push((name, value.to_string()));
    }
    given.assert_all_used()?;
    let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Ok(catalogue.fill(key, &values))
}

/// A paragraph in lines of at most [`COLUMNS`] characters. Longer words, such as links, stay whole.
fn wrap(text: &str) -> String {
    let mut wrapped = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > COLUMNS {
            wrapped.push('\n');
            column = 0;
        } else if column > 0 {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += length;
    }
    wrapped
}

/// Escapes what goes into a file whose name ends in `.html`. Unlike minijinja's own way it leaves `/` alone, which needs
/// no escaping and which spam filters, seeing it escaped in a link, take for an attempt to hide where the link leads.
fn format(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) if matches!(state.auto_escape(), AutoEscape::Html) && !value.is_safe() => {
            for c in text.chars() {
                match c {
                    '&' => out.write_str("&amp;")?,
                    '<' => out.write_str("&lt;")?,
                    '>' => out.write_str("&gt;")?,
                    '"' => out.write_str("&quot;")?,
                    '\'' => out.write_str("&#39;")?,
                    c => out.write_char(c)?,
                }
            }
            Ok(())
        }
        _ => minijinja::escape_formatter(out, state, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_is_wrapped_between_words_and_a_link_stays_whole() {
        let link = format!("https://id.example.com/{}", "x".repeat(90));
        let text = format!("{} {link} and\n more", "word ".repeat(20).trim());
        let wrapped = wrap(&text);
        let lines: Vec<&str> = wrapped.lines().collect();
        assert_eq!(lines.len(), 4, "{wrapped}");
        assert!(lines.iter().all(|line| line.chars().count() <= COLUMNS || *line == link), "{wrapped}");
        assert_eq!(wrapped.split_whitespace().count(), 23);
    }
}
