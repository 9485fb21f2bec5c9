//! Columns of numbers with decimal commas, as `1.234,50`. They stay text; a test of the source tells how they become numbers.

/// Longest name of a column that is told, in bytes.
const LONGEST_NAME: usize = 255;

/// What the values of a column are, as far as they were read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Commas {
    /// Whether a value is none of these numbers.
    has_others: bool,
    /// Whether digits behind a comma are not three, so that it does not part thousands.
    is_decimal: bool,
    /// Whether points part thousands.
    has_groups: bool,
}

impl Commas {
    /// Adds a value. Empty ones are NULL.
    pub(super) fn add(&mut self, text: &str) {
        if self.has_others || text.is_empty() {
            return;
        }
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = unsigned.split_once(',').map_or((unsigned, None), |(w, f)| (w, Some(f)));
        let (first, groups) =
            whole.split_once('.').map_or((whole, None), |(first, rest)| (first, Some(rest)));
        let fits = is_digits(first)
            && fraction.is_none_or(is_digits)
            && groups.is_none_or(|groups| first.len() <= 3 && groups.split('.').all(is_group));
        self.has_others = !fits;
        self.is_decimal |= fraction.is_some_and(|digits| digits.len() != 3);
        self.has_groups |= groups.is_some();
    }

    fn is_number(self) -> bool {
        self.is_decimal && !self.has_others
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_group(text: &str) -> bool {
    text.len() == 3 && is_digits(text)
}

/// Names the first of these columns, with the expression that makes numbers of it, and how many more there are.
pub(super) fn told<'n>(names: impl Iterator<Item = &'n str>, columns: &[Commas]) -> Option<String> {
    let mut found = names
        .zip(columns)
        .filter(|(name, column)| column.is_number() && (1..=LONGEST_NAME).contains(&name.len()));
    let (name, column) = found.next()?;
    let more = match found.count() {
        0 => String::new(),
        1 => ", as 1 more column does".to_owned(),
        more => format!(", as {more} more columns do"),
    };
    let quoted = format!("\"{}\"", name.replace('"', "\"\""));
    let text = if column.has_groups { format!("replace({quoted}, '.', '')") } else { quoted };
    Some(format!(
        "{name} looks like numbers with decimal commas{more}: cast(replace({text}, ',', '.') as double) makes them numbers"
    ))
}
