//! What the store remembers of a damaged database: it is not relied on again until the process is restarted.

use std::sync::{Arc, OnceLock};

use crate::StoreError;

/// The first error by which the database said that it is damaged. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Damage(Arc<OnceLock<String>>);

impl Damage {
    /// Looks at an error. The first one that tells of damage is logged, with what to do.
    pub(crate) fn note(&self, error: &StoreError) {
        if matches!(error, StoreError::Damaged { .. }) && self.0.set(error.to_string()).is_ok() {
            tracing::error!("{error}. Until it is restarted, this server answers /readyz with 503");
        }
    }

    /// What was said first, if anything was.
    pub(crate) fn found(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_damage_is_remembered_and_nothing_else() {
        let damage = Damage::default();
        damage.note(&StoreError::Database("x".to_owned()));
        damage.note(&StoreError::Unavailable("x".to_owned()));
        assert_eq!(damage.found(), None);
        for said in ["first", "second"] {
            damage.clone().note(&StoreError::Damaged { said: said.to_owned(), advice: "restore" });
        }
        assert_eq!(damage.found(), Some("the database is damaged: first; restore"));
    }
}
