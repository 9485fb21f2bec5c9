//! The template language as mails use it.

use std::fmt::Write as _;

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Output, State, UndefinedBehavior};

/// Strict, HTML escaped where the file name ends in `.html`.
pub(super) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    // Tags on lines of their own leave no blank lines behind.
    if let Ok(syntax) =
        SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build()
    {
        environment.set_syntax(syntax);
    }
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_formatter(format);
    environment.add_global("product", "Tidegate");
    environment.add_filter("duration", duration);
    environment
}

/// Escapes what goes into a file whose name ends in `.html`. Unlike minijinja's own way it leaves `/` alone, which needs
/// no escaping and which spam filters, seeing it escaped in a link, take for an attempt to hide where the link leads.
fn format(out: &mut Output, state: &mut State, value: &minijinja::Value) -> Result<(), minijinja::Error> {
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

/// Minutes as people say them: `10 minutes`, `1 hour`, `2 days`.
fn duration(minutes: u64) -> String {
    let (count, unit) = match minutes {
        0 => (0, "minute"),
        m if m % 1_440 == 0 => (m / 1_440, "day"),
        m if m % 60 == 0 => (m / 60, "hour"),
        m => (m, "minute"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_read_as_people_say_them() {
        let said = [0, 1, 10, 60, 90, 120, 1_440, 2_880].map(duration);
        assert_eq!(
            said,
            ["0 minutes", "1 minute", "10 minutes", "1 hour", "90 minutes", "2 hours", "1 day", "2 days"]
        );
    }
}
