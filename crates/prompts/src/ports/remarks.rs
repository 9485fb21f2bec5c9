//! What an operator is told beside an answer.

use std::sync::{Arc, Mutex, PoisonError};

/// What the operator is told, and nobody else, of a query that was run in a member's place: which policies changed what it read. It is all
/// there when what policies decided of the query is written down.
#[derive(Clone, Debug, Default)]
pub struct Remarks(Arc<Mutex<Vec<String>>>);

impl Remarks {
    /// Most that are kept of one query.
    const MOST: usize = 20;

    /// Adds sentences, as long as there are not too many.
    pub fn add(&self, sentences: impl IntoIterator<Item = String>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for sentence in sentences {
            match kept.len() {
                ..Self::MOST => kept.push(sentence),
                Self::MOST => kept.push("There are more, in the evaluations of the policies.".to_owned()),
                _ => break,
            }
        }
    }

    /// Those that were added.
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_a_few_are_kept() {
        let remarks = Remarks::default();
        for number in 0..50 {
            remarks.add([format!("policy {number}")]);
        }
        let all = remarks.all();
        assert_eq!((all.len(), all[19].as_str()), (21, "policy 19"), "{all:?}");
        assert_eq!(all[20], "There are more, in the evaluations of the policies.");
    }
}
