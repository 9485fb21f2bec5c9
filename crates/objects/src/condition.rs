//! Whether a store has a file as it was uploaded.

/// What a store has of a file that was uploaded. Files never change: another number of bytes came past us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// As many bytes as were uploaded.
    Whole,
    /// Another number of bytes.
    Changed {
        /// So many.
        size: u64,
    },
    /// Nothing.
    Lost,
}

impl Condition {
    /// Compares what is found with what was uploaded, in bytes. None is found where there is no file.
    pub const fn of(found: Option<u64>, uploaded: u64) -> Self {
        match found {
            None => Self::Lost,
            Some(size) if size == uploaded => Self::Whole,
            Some(size) => Self::Changed { size },
        }
    }
}

/// A file that is to be in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its key.
    pub key: String,
    /// The bytes that were uploaded.
    pub size: u64,
}

/// What is wrong with a file that was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amiss {
    /// The file.
    pub file: Expected,
    /// What the store has of it.
    pub condition: Condition,
}

impl Expected {
    /// What is wrong with it, if anything is. `found`: as of [`Condition::of`].
    pub(crate) fn compare(&self, found: Option<u64>) -> Option<Amiss> {
        let condition = Condition::of(found, self.size);
        (condition != Condition::Whole).then(|| Amiss { file: self.clone(), condition })
    }
}

#[cfg(test)]
mod tests {
    use super::Condition;

    #[test]
    fn a_file_of_another_size_is_changed() {
        assert_eq!(Condition::of(Some(3), 3), Condition::Whole);
        assert_eq!(Condition::of(Some(0), 0), Condition::Whole);
        assert_eq!(Condition::of(Some(0), 3), Condition::Changed { size: 0 });
        assert_eq!(Condition::of(Some(4), 3), Condition::Changed { size: 4 });
        assert_eq!(Condition::of(None, 0), Condition::Lost);
    }
}
