//! What state a data source is in.

/// RiverGen `DataSourceStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceStatus {
    /// It answered when it was tested last.
    Active,
    /// It failed so often in a row that it is no longer checked by itself. A test or a change wakes it.
    Inactive,
    /// It is new, or was changed, and is about to be tested.
    Testing,
    /// It did not answer when it was tested last.
    Failed,
    /// An operator paused it: it is not checked by itself.
    Maintenance,
}

impl SourceStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Active, Self::Inactive, Self::Testing, Self::Failed, Self::Maintenance];

    /// As it is stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Testing => "testing",
            Self::Failed => "failed",
            Self::Maintenance => "maintenance",
        }
    }

    /// The one of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}
