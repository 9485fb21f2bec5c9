//! What a reading of JSON showed of its columns, for later readings of a part of it.

use arrow_schema::SchemaRef;

use super::infer::{self, Inferred, Kind};

/// What was seen of one column.
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) values: Inferred,
    /// Whether all of its values are strings.
    pub(super) is_strings: bool,
}

impl Seen {
    pub(super) fn new(name: String) -> Self {
        Self { name, values: Inferred::default(), is_strings: true }
    }
}

/// The columns of a relation.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    schema: SchemaRef,
    pub(super) names: Vec<String>,
    pub(super) kinds: Vec<Kind>,
    strings: Vec<bool>,
    is_whole: bool,
}

impl Known {
    /// As all rows of a relation show them.
    pub(super) fn of(seen: Vec<Seen>) -> Self {
        let mut known = Self {
            schema: infer::schema([]),
            names: Vec::with_capacity(seen.len()),
            kinds: Vec::with_capacity(seen.len()),
            strings: Vec::with_capacity(seen.len()),
            is_whole: true,
        };
        for column in seen {
            known.kinds.push(column.values.kind);
            known.strings.push(column.is_strings && column.values.kind == Kind::Text);
            known.names.push(column.name);
        }
        known.schema = infer::schema(known.names.iter().cloned().zip(known.kinds.iter().copied()));
        known
    }

    /// As the first rows show them: what has no type yet, or is JSON, is text, which holds everything.
    pub(crate) fn sampled(mut self) -> Self {
        for kind in &mut self.kinds {
            if matches!(kind, Kind::Unknown | Kind::Json) {
                *kind = Kind::Text;
            }
        }
        self.schema = infer::widened(&self.schema, &self.kinds);
        self.is_whole = false;
        self
    }

    pub(crate) fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    /// Whether all rows were looked at.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// How many columns there are.
    pub(crate) fn count(&self) -> usize {
        self.names.len()
    }

    /// The kind of the column that is called as its member is, and whether all of its values are strings. None for one that had to get
    /// another name.
    pub(crate) fn column(&self, name: &str) -> Option<(Kind, bool)> {
        let place = self.names.iter().position(|member| member == name)?;
        if self.schema.fields().get(place)?.name() != name {
            return None;
        }
        Some((*self.kinds.get(place)?, *self.strings.get(place)?))
    }

    /// Whether these columns hold what was seen. Members that a sample did not show are left out. Where the server wrote the values
    /// anew (`rewritten`), a number in a column of strings would not look as it does in a reading of everything.
    pub(super) fn holds(&self, seen: &[Seen], rewritten: bool) -> bool {
        seen.iter().all(|column| {
            let Some(place) = self.names.iter().position(|name| *name == column.name) else {
                return !self.is_whole;
            };
            let strings = self.strings.get(place).copied().unwrap_or_default();
            let fits = self.kinds.get(place).is_some_and(|kind| column.values.fits(*kind));
            fits && (column.is_strings || !strings || !rewritten)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(name: &str, text: &str, is_strings: bool) -> Seen {
        let mut column = Seen { is_strings, ..Seen::new(name.to_owned()) };
        match is_strings {
            true => column.values.add(Kind::Text),
            false => column.values.add_text(text),
        }
        column
    }

    #[test]
    fn known_columns_hold_their_own_values_alone() {
        let known = || Known::of(vec![seen("n", "1", false), seen("s", "a", true), seen(" ", "1", false)]);
        assert!(known().holds(&[seen("n", "2", false), seen("s", "b", true)], true));
        assert!(!known().holds(&[seen("n", "2.5", false)], false));
        assert!(!known().holds(&[seen("new", "1", false)], false));
        assert!(known().sampled().holds(&[seen("new", "1", false)], false));
        let number = [seen("s", "1", false)];
        assert!(known().holds(&number, false) && !known().holds(&number, true));
        assert_eq!(known().column("s"), Some((Kind::Text, true)));
        assert_eq!((known().column(" "), known().column("column_3")), (None, None));
    }
}
