//! The log's filter. Its library takes a word that is no level for the name of a part of the program whose lines are all wanted, and
//! those of no other: `warning` would turn everything off.

use tracing_subscriber::EnvFilter;

use super::suggest::is_misspelling;

/// What lines of this program are from.
const PARTS: [&str; 23] = [
    "tidegate",
    "tidegate_bridge",
    "tidegate_broker",
    "tidegate_brokerage",
    "tidegate_catalog",
    "tidegate_connect",
    "tidegate_crypto",
    "tidegate_database",
    "tidegate_delivery",
    "tidegate_domain",
    "tidegate_engine",
    "tidegate_federation",
    "tidegate_http",
    "tidegate_identity",
    "tidegate_kernel",
    "tidegate_oauth",
    "tidegate_objects",
    "tidegate_pgwire",
    "tidegate_planner",
    "tidegate_policies",
    "tidegate_policy",
    "tidegate_prompts",
    "tidegate_storage",
];

/// Levels, as they are written.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What other programs call them.
const SYNONYMS: [(&str, &str); 15] = [
    ("none", "off"),
    ("silent", "off"),
    ("alert", "error"),
    ("crit", "error"),
    ("critical", "error"),
    ("emerg", "error"),
    ("err", "error"),
    ("fatal", "error"),
    ("severe", "error"),
    ("warning", "warn"),
    ("warnings", "warn"),
    ("information", "info"),
    ("notice", "info"),
    ("verbose", "debug"),
    ("all", "trace"),
];

/// Reads a filter: levels, and parts of the program with theirs.
///
/// # Errors
/// What is no level and no part of this program, or that nothing of this program would be logged.
pub(crate) fn read_log_filter(text: &str) -> Result<EnvFilter, String> {
    let directives: Vec<Directive<'_>> =
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(Directive::of).collect();
    directives.iter().try_for_each(Directive::check)?;
    // The library takes spaces for a part of the name.
    let written = directives.iter().map(|directive| directive.whole).collect::<Vec<_>>().join(",");
    let filter = EnvFilter::try_new(&written).map_err(|error| error.to_string())?;
    if directives.is_empty() || directives.iter().any(Directive::is_about_us) {
        return Ok(filter);
    }
    Err(format!("nothing of Tidegate itself would be logged, not even errors: write \"info,{written}\""))
}

/// One part of a filter: `LEVEL`, `TARGET`, `TARGET=LEVEL`, or with a span, `TARGET[SPAN]=LEVEL`.
struct Directive<'t> {
    whole: &'t str,
    target: &'t str,
    level: Option<&'t str>,
}

impl<'t> Directive<'t> {
    fn of(whole: &'t str) -> Self {
        let (named, level) = match whole.rsplit_once('=') {
            // The other sign stands between a field of a span and its value.
            Some((named, level)) if !level.ends_with(']') => (named, Some(level)),
            _ if is_level(whole) => ("", Some(whole)),
            _ => (whole, None),
        };
        Self { whole, target: named.split('[').next().unwrap_or_default(), level }
    }

    /// Refuses what must be a mistake.
    fn check(&self) -> Result<(), String> {
        let may_be_level = self.level.unwrap_or(self.target);
        // The field of a span that was cut off at its comma, which the library does not read.
        let is_cut = self.whole.contains('{') && !self.whole.contains('}');
        if let Some(level) = meant_level(may_be_level).filter(|_| !is_cut) {
            return Err(format!("{may_be_level:?} is no level: did you mean {level:?}?"));
        }
        match self.meant_part() {
            Some(part) => Err(format!("{:?} is no part of Tidegate: did you mean {part:?}?", self.target)),
            None => Ok(()),
        }
    }

    /// Whether it has a say on lines of this program.
    fn is_about_us(&self) -> bool {
        let part = self.part();
        PARTS.iter().any(|known| known.starts_with(part))
    }

    /// The first of the names that lead to the lines: a crate's.
    fn part(&self) -> &'t str {
        self.target.split("::").next().unwrap_or_default()
    }

    /// The part of this program that is meant by the name of none.
    fn meant_part(&self) -> Option<&'static str> {
        let part = self.part();
        let is_named_alike =
            part.starts_with("tidegate") || PARTS.iter().any(|known| is_misspelling(part, known));
        if self.is_about_us() || !is_named_alike {
            return None;
        }
        PARTS.into_iter().min_by_key(|known| strsim::osa_distance(part, known))
    }
}

fn is_level(word: &str) -> bool {
    LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word))
        || word.parse::<u8>().is_ok_and(|level| level <= 5)
}

/// The level that is meant by a word that is none.
fn meant_level(word: &str) -> Option<&'static str> {
    if is_level(word) {
        return None;
    }
    let synonym = SYNONYMS.iter().find(|(other, _)| other.eq_ignore_ascii_case(word));
    let level = synonym.map(|(_, level)| *level);
    level.or_else(|| LEVELS.into_iter().find(|level| is_misspelling(word, level)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_parts_are_the_crates_of_the_program() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let names =
            std::fs::read_dir(crates).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut parts: Vec<String> = names
            .filter(|name| !["bench", "testkit", "tidegate"].contains(&name.as_str()))
            .map(|name| format!("tidegate_{name}"))
            .collect();
        parts.sort();
        assert_eq!(PARTS[1..], parts);
    }

    #[test]
    fn filters_are_read_as_they_are_meant() {
        for (text, read) in [
            ("INFO ", "info"),
            (" info, sqlx=warn,", "info,sqlx=warn"),
            ("3", "info"),
            ("off", "off"),
            ("off,hyper=debug", "off,hyper=debug"),
            ("tidegate=debug", "tidegate=debug"),
            ("info,tidegate_http::wire=trace", "info,tidegate_http::wire=trace"),
            ("warn,h2", "warn,h2=trace"),
        ] {
            let wanted = EnvFilter::try_new(read).unwrap();
            assert_eq!(read_log_filter(text).unwrap().to_string(), wanted.to_string(), "{text}");
        }
        assert!(read_log_filter("info,[request{method=GET}]=debug").is_ok());
        assert!(read_log_filter("[request]").is_ok());
        assert!(read_log_filter("info,[request{level=warning}]=debug").is_ok());
        // A value is no level; that there are several is the library's to refuse.
        let refused = read_log_filter("info,[request{level=warning,x=1}]=debug").unwrap_err();
        assert!(!refused.contains("did you mean"), "{refused}");
    }

    #[test]
    fn a_filter_that_would_turn_the_log_off_is_refused() {
        for (text, said) in [
            ("warning", "\"warning\" is no level: did you mean \"warn\"?"),
            ("inof", "\"inof\" is no level: did you mean \"info\"?"),
            ("Verbose", "\"Verbose\" is no level: did you mean \"debug\"?"),
            ("info,sqlx=err", "\"err\" is no level: did you mean \"error\"?"),
            (
                "info,tidegate_htp=debug",
                "\"tidegate_htp\" is no part of Tidegate: did you mean \"tidegate_http\"?",
            ),
            ("info,tidegate-http=debug", "did you mean \"tidegate_http\"?"),
            (
                "info,tidgate_http::wire",
                "\"tidgate_http::wire\" is no part of Tidegate: did you mean \"tidegate_http\"?",
            ),
            ("hyper=debug", "not even errors: write \"info,hyper=debug\""),
            ("loud", "not even errors: write \"info,loud\""),
        ] {
            let refused = read_log_filter(text).unwrap_err();
            assert!(refused.contains(said), "{text}: {refused}");
        }
    }
}
