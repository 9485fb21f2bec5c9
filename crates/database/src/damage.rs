//! What the store remembers of a database that is damaged or whose files are gone, and what the log says of it: once.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::StoreError;
use crate::error::naming;

/// The first error by which the database said that it is damaged, and whether its files are lost. Cheap to clone; all clones are
/// one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Damage(Arc<Noted>);

#[derive(Debug, Default)]
struct Noted {
    /// The database's file, if it is one: advice names it.
    file: Option<PathBuf>,
    damaged: OnceLock<String>,
    lost: AtomicBool,
}

impl Damage {
    /// Of a database that nothing is known of yet.
    pub(crate) fn of(file: Option<PathBuf>) -> Self {
        Self(Arc::new(Noted { file, ..Noted::default() }))
    }

    /// Looks at an error; answers it with the database's file in its advice. What to do about damage and lost files is logged when it
    /// is first seen, and the error itself says it no more.
    pub(crate) fn note(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Damaged { said, advice } => self.damaged(said, &advice),
            StoreError::Lost { what, advice } => {
                if !self.0.lost.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        "{what}. Changes are refused, and /readyz answers 503: they would be lost with the next restart. {advice}"
                    );
                }
                StoreError::Lost { what, advice }
            }
            other => other,
        }
    }

    fn damaged(&self, said: String, advice: &str) -> StoreError {
        let advice = self.0.file.as_ref().map_or_else(|| advice.to_owned(), |file| naming(file, advice));
        let error = StoreError::Damaged { said, advice: advice.clone() };
        if self.0.damaged.set(error.to_string()).is_ok() {
            let file = self.0.file.as_ref().map_or_else(String::new, |file| format!(" ({})", file.display()));
            tracing::error!(
                "{error}{file}; {advice}. Until it is restarted, this server answers /readyz with 503"
            );
        }
        error
    }

    /// What was said first, if anything was.
    pub(crate) fn found(&self) -> Option<&str> {
        self.0.damaged.get().map(String::as_str)
    }

    /// Notes that the files are those that were opened.
    pub(crate) fn present(&self) {
        if self.0.lost.load(Ordering::Relaxed) && self.0.lost.swap(false, Ordering::Relaxed) {
            tracing::info!("the database's files are back in their place; changes are accepted again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_damage_is_remembered_and_nothing_else() {
        let damage = Damage::of(Some("/srv/a.db".into()));
        damage.note(StoreError::Database("x".into()));
        damage.note(StoreError::Unavailable("x".into()));
        assert_eq!(damage.found(), None);
        for said in ["first", "second"] {
            let advice = "`sqlite3 FILE .recover | sqlite3 NEW`".to_owned();
            let noted = damage.clone().note(StoreError::Damaged { said: said.to_owned(), advice });
            let StoreError::Damaged { advice, .. } = noted else { panic!("{noted}") };
            assert_eq!(advice, "`sqlite3 /srv/a.db .recover | sqlite3 /srv/a.db.recovered`");
        }
        assert_eq!(damage.found(), Some("the database is damaged: first"));
    }
}
