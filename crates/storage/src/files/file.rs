//! What a file is.

use tidegate_domain::Timestamp;
use tidegate_domain::id::{AccountId, OrganizationId};
use uuid::Uuid;

/// What a file is for (RiverGen: `file_category`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileCategory {
    /// To be queried.
    #[default]
    DataSource,
    /// The picture of a person.
    ProfileImage,
    /// Anything else.
    General,
}

impl FileCategory {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::DataSource, Self::ProfileImage, Self::General];

    /// Its name on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DataSource => "data_source",
            Self::ProfileImage => "profile_image",
            Self::General => "general",
        }
    }

    /// The one of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.as_str() == name)
    }
}

/// A file that is tracked.
#[derive(Clone, Debug)]
pub struct TrackedFile {
    /// Its key.
    pub id: Uuid,
    /// Its number.
    pub number: i64,
    /// Whose organization's.
    pub organization: OrganizationId,
    /// Whose.
    pub account: AccountId,
    /// Its key in the store.
    pub object_name: String,
    /// What it was called when it was uploaded.
    pub file_name: String,
    /// What it is called in the store.
    pub unique_name: String,
    /// What it is for.
    pub category: FileCategory,
    /// What it is.
    pub content_type: String,
    /// Its bytes.
    pub size: u64,
    /// Its entity tag, with quotes.
    pub etag: String,
    /// Uploaded.
    pub created_at: Timestamp,
}

/// What is known of a file in the store, tracked or not.
#[derive(Clone, Debug)]
pub struct FileDetails {
    /// Its key in the store.
    pub object_name: String,
    /// Its bytes.
    pub size: u64,
    /// What it is.
    pub content_type: String,
    /// Written.
    pub last_modified: Timestamp,
    /// Its entity tag, with quotes.
    pub etag: String,
}

impl From<TrackedFile> for FileDetails {
    fn from(file: TrackedFile) -> Self {
        Self {
            object_name: file.object_name,
            size: file.size,
            content_type: file.content_type,
            last_modified: file.created_at,
            etag: file.etag,
        }
    }
}
