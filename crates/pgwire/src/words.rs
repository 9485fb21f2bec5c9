//! Statements as words: enough to tell what kind one is, and where the next begins. What a statement means, the engine's gate decides.

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part<'t> {
    /// Letters, digits and `_`.
    Word(&'t str),
    /// A name in double quotes, with them.
    Name(&'t str),
    /// A text in quotes, with them.
    Text(&'t str),
    /// Any other character.
    Sign(char),
}

/// The parts of a text, without spaces and comments, each with where it begins.
pub(crate) struct Parts<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Parts<'t> {
    pub(crate) const fn of(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Skips a comment; says whether there was one.
    fn comment(&mut self) -> bool {
        let rest = self.rest();
        if rest.starts_with("--") {
            self.at += rest.find('\n').map_or(rest.len(), |end| end + 1);
            return true;
        }
        if !rest.starts_with("/*") {
            return false;
        }
        let (mut depth, mut at) = (0_usize, 0);
        loop {
            let inner = rest.get(at..).unwrap_or_default();
            if inner.starts_with("/*") {
                depth += 1;
                at += 2;
            } else if inner.starts_with("*/") {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    break;
                }
            } else {
                match inner.chars().next() {
                    Some(c) => at += c.len_utf8(),
                    None => break,
                }
            }
        }
        self.at += at;
        true
    }

    /// The length of a quoted part that begins with `quote`; what has no end goes to the end of the text.
    fn quoted(rest: &str, quote: char, escapes: bool) -> usize {
        let mut chars = rest.char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            if escapes && c == '\\' {
                chars.next();
            } else if c == quote {
                if chars.peek().is_some_and(|(_, next)| *next == quote) {
                    chars.next();
                } else {
                    return at + 1;
                }
            }
        }
        rest.len()
    }

    /// The length of a text between dollars (`$tag$…$tag$`), if one begins here.
    fn dollars(rest: &str) -> Option<usize> {
        let tag = rest.get(1..)?.find('$')?;
        let tag = rest.get(..tag + 2)?;
        let name = tag.trim_matches('$');
        let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_')
            && !name.starts_with(|c: char| c.is_ascii_digit());
        if !is_name {
            return None;
        }
        let body = rest.get(tag.len()..)?;
        Some(body.find(tag).map_or(rest.len(), |end| tag.len() + end + tag.len()))
    }
}

impl<'t> Iterator for Parts<'t> {
    type Item = (usize, Part<'t>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.rest();
            let first = rest.chars().next()?;
            if first.is_whitespace() {
                self.at += first.len_utf8();
                continue;
            }
            if self.comment() {
                continue;
            }
            let at = self.at;
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let (length, make): (usize, fn(&'t str) -> Part<'t>) = match first {
                '"' => (Self::quoted(rest, '"', false), Part::Name),
                '\'' => (Self::quoted(rest, '\'', false), Part::Text),
                'e' | 'E' if rest.get(1..).is_some_and(|rest| rest.starts_with('\'')) => {
                    (1 + Self::quoted(rest.get(1..).unwrap_or_default(), '\'', true), Part::Text)
                }
                '$' => match Self::dollars(rest) {
                    Some(length) => (length, Part::Text),
                    None => (1, |_| Part::Sign('$')),
                },
                c if is_word(c) => (rest.find(|c| !is_word(c)).unwrap_or(rest.len()), Part::Word),
                c => {
                    self.at += c.len_utf8();
                    return Some((at, Part::Sign(c)));
                }
            };
            self.at += length;
            return Some((at, make(rest.get(..length).unwrap_or_default())));
        }
    }
}

/// The statements of a text, those without a word left out.
pub(crate) fn statements(text: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let (mut begin, mut is_empty) = (0, true);
    for (at, part) in Parts::of(text) {
        if part == Part::Sign(';') {
            if !is_empty {
                all.push(text.get(begin..at).unwrap_or_default());
            }
            (begin, is_empty) = (at + 1, true);
        } else {
            is_empty = false;
        }
    }
    if !is_empty {
        all.push(text.get(begin..).unwrap_or_default());
    }
    all
}

/// What a statement is about, as far as this crate has something to do with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `SET name TO value`.
    Set(String, String),
    /// `RESET name`, and other statements that change what a connection remembers; its tag.
    Forget(&'static str, Option<String>),
    /// `SHOW name`.
    Show(String),
    Begin,
    Commit,
    Rollback,
    /// Statements about savepoints and the like, with which nothing is done; its tag.
    Nothing(&'static str),
    /// Anything else: a query, or what the engine's gate refuses.
    Query,
}

fn value(part: Part<'_>) -> String {
    match part {
        Part::Word(text) => text.to_owned(),
        Part::Name(text) => text.trim_matches('"').to_owned(),
        Part::Text(text) => text.trim_start_matches(['e', 'E']).trim_matches('\'').to_owned(),
        Part::Sign(sign) => sign.to_string(),
    }
}

/// What kind a statement is.
pub(crate) fn kind(statement: &str) -> Kind {
    let mut parts = Parts::of(statement).map(|(_, part)| part);
    let Some(Part::Word(first)) = parts.next() else { return Kind::Query };
    let rest: Vec<Part<'_>> = parts.take(40).collect();
    let word = |at: usize| match rest.get(at) {
        Some(Part::Word(word)) => word.to_lowercase(),
        _ => String::new(),
    };
    match first.to_lowercase().as_str() {
        "set" => set(&rest),
        "reset" => Kind::Forget("RESET", rest.first().map(|part| value(*part).to_lowercase())),
        "discard" => Kind::Forget("DISCARD ALL", Some("all".to_owned())),
        "deallocate" => Kind::Forget("DEALLOCATE", None),
        "show" => Kind::Show(match word(0).as_str() {
            "time" => "timezone".to_owned(),
            "transaction" => "transaction_isolation".to_owned(),
            "session" => "session_authorization".to_owned(),
            _ => {
                let name: String = rest.iter().map(|part| value(*part)).collect();
                name.to_lowercase()
            }
        }),
        "begin" => Kind::Begin,
        "start" if word(0) == "transaction" => Kind::Begin,
        "commit" | "end" => Kind::Commit,
        "rollback" if word(0) == "to" || word(1) == "to" => Kind::Nothing("ROLLBACK"),
        "rollback" | "abort" => Kind::Rollback,
        "savepoint" => Kind::Nothing("SAVEPOINT"),
        "release" => Kind::Nothing("RELEASE"),
        "unlisten" => Kind::Nothing("UNLISTEN"),
        "close" => Kind::Nothing("CLOSE CURSOR"),
        _ => Kind::Query,
    }
}

fn set(rest: &[Part<'_>]) -> Kind {
    let is = |part: Option<&Part<'_>>, word: &str| matches!(part, Some(Part::Word(text)) if text.eq_ignore_ascii_case(word));
    let rest = match rest.first() {
        Some(Part::Word(word)) if word.eq_ignore_ascii_case("local") => rest.get(1..).unwrap_or_default(),
        // SET SESSION CHARACTERISTICS and SET SESSION AUTHORIZATION are about something else.
        Some(Part::Word(word)) if word.eq_ignore_ascii_case("session") => {
            if is(rest.get(1), "characteristics") {
                return Kind::Nothing("SET");
            }
            if is(rest.get(1), "authorization") {
                return Kind::Query;
            }
            rest.get(1..).unwrap_or_default()
        }
        _ => rest,
    };
    if is(rest.first(), "transaction") {
        return Kind::Nothing("SET");
    }
    if is(rest.first(), "role") {
        return Kind::Query;
    }
    if is(rest.first(), "time") && is(rest.get(1), "zone") {
        let zone: String = rest.iter().skip(2).map(|part| value(*part)).collect();
        return Kind::Set("timezone".to_owned(), zone);
    }
    if is(rest.first(), "names") {
        let encoding: String = rest.iter().skip(1).map(|part| value(*part)).collect();
        return Kind::Set("client_encoding".to_owned(), encoding);
    }
    let is_assignment = |part: &Part<'_>| {
        matches!(part, Part::Sign('=')) || matches!(part, Part::Word(word) if word.eq_ignore_ascii_case("to"))
    };
    let Some(at) = rest.iter().position(is_assignment) else { return Kind::Query };
    let name: String = rest.iter().take(at).map(|part| value(*part)).collect();
    let text: String = rest.iter().skip(at + 1).map(|part| value(*part)).collect();
    Kind::Set(name.to_lowercase(), text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn statements_end_outside_of_quotes_and_comments() {
        assert_eq!(statements("select 1; select ';' ; -- ;\n"), ["select 1", " select ';' "]);
        assert_eq!(
            statements("select $$;$$, $a$;$a$, E'\\';', \";\""),
            ["select $$;$$, $a$;$a$, E'\\';', \";\""]
        );
        assert_eq!(statements("/* ; /* ; */ ; */"), [""; 0]);
        assert_eq!(statements(";;"), [""; 0]);
        assert_eq!(statements("select $1; drop table t"), ["select $1", " drop table t"]);
    }

    #[test]
    fn what_clients_say_without_meaning_data_is_told_apart() {
        let set = |name: &str, value: &str| Kind::Set(name.to_owned(), value.to_owned());
        assert_eq!(kind("SET client_encoding TO 'UTF8'"), set("client_encoding", "UTF8"));
        assert_eq!(kind("set session datestyle = ISO"), set("datestyle", "ISO"));
        assert_eq!(kind("SET TIME ZONE 'UTC'"), set("timezone", "UTC"));
        assert_eq!(kind("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"), Kind::Nothing("SET"));
        assert_eq!(kind("/* a */ Begin read only"), Kind::Begin);
        assert_eq!(kind("ROLLBACK TO SAVEPOINT a"), Kind::Nothing("ROLLBACK"));
        assert_eq!(kind("show transaction isolation level"), Kind::Show("transaction_isolation".to_owned()));
        assert_eq!(kind("show server_version"), Kind::Show("server_version".to_owned()));
        assert_eq!(kind("SET ROLE postgres"), Kind::Query);
        for query in ["select 1", "drop table t", "copy t to stdout", "\"begin\"", ""] {
            assert_eq!(kind(query), Kind::Query, "{query}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[-a-zé'\"$/*;\\\\ \n]{0,60}") {
            drop(statements(&text));
            drop(kind(&text));
        }
    }
}
