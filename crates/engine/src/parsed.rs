//! Statements that were read lately: programs send the same text again and again, with other values. What a text says depends on nothing but
//! itself; what its names mean is asked for each time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::common::TableReference;
use datafusion::sql::parser::Statement;

/// A statement that the gate let through, with the names of what it reads and of its common table expressions. It is copied by threads with
/// deep stacks alone: that recurses as often as it is deep.
pub(crate) type Parsed = (Arc<Statement>, Vec<TableReference>, Vec<TableReference>);

/// Statements that are remembered; then remembering begins anew.
const MOST: usize = 256;
/// Bytes of the longest of them.
const LONGEST: usize = 1_024;

/// By who asked, and the text: how fast an answer comes tells nobody what others ask.
type Key = (String, String);

/// What was read lately.
#[derive(Default)]
pub(crate) struct Statements(Mutex<HashMap<Key, Arc<Parsed>>>);

impl Statements {
    fn map(&self) -> MutexGuard<'_, HashMap<Key, Arc<Parsed>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn find(&self, person: &str, sql: &str) -> Option<Parsed> {
        if sql.len() > LONGEST {
            return None;
        }
        let key = (person.to_owned(), sql.to_owned());
        let found = self.map().get(&key).map(Arc::clone);
        found.map(|parsed| parsed.as_ref().clone())
    }

    pub(crate) fn keep(&self, person: &str, sql: &str, parsed: &Parsed) {
        if sql.len() > LONGEST {
            return;
        }
        let kept = Arc::new(parsed.clone());
        let mut map = self.map();
        if map.len() >= MOST {
            map.clear();
        }
        map.insert((person.to_owned(), sql.to_owned()), kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::Functions;
    use crate::gate;
    use crate::options::SizeLimits;

    fn parsed(sql: &str) -> Parsed {
        let statement = gate::parse(sql, &SizeLimits::default(), &Functions::new()).unwrap();
        (Arc::new(statement), Vec::new(), Vec::new())
    }

    #[test]
    fn a_text_is_remembered_for_whoever_asked_it() {
        let statements = Statements::default();
        let sql = "select $1";
        assert!(statements.find("ada", sql).is_none());
        statements.keep("ada", sql, &parsed(sql));
        assert_eq!(statements.find("ada", sql).unwrap().0.to_string(), "SELECT $1");
        assert!(statements.find("ada", "select $2").is_none() && statements.find("bob", sql).is_none());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let statements = Statements::default();
        let long = format!("select '{}'", "x".repeat(LONGEST));
        statements.keep("ada", &long, &parsed(&long));
        assert!(statements.find("ada", &long).is_none());
        let one = parsed("select 1");
        for number in 0..=MOST {
            statements.keep("ada", &number.to_string(), &one);
        }
        assert_eq!(statements.map().len(), 1);
    }
}
