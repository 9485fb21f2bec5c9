//! What can go wrong with files, in the platform's codes.

use tidegate_storage::files::content::ContentError;
use tidegate_storage::files::find::FileError;
use tidegate_storage::files::folder::{OutsideOfFolder, SubFolderError};
use tidegate_storage::files::upload::UploadError;

use super::super::platform::PlatformError;
use crate::wire::fields::Violations;

impl From<UploadError> for PlatformError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::QuotaExceeded { .. } | UploadError::TooLarge { .. } => Self::too_large(error),
            UploadError::Content(content) => content.into(),
            UploadError::LongKey => Self::bad_request(error),
        }
    }
}

impl From<ContentError> for PlatformError {
    fn from(error: ContentError) -> Self {
        let said = match error {
            ContentError::Mismatch(is) => format!("must be what its name says: it is {is}"),
            ContentError::Truncated => "must be whole: its end is missing".to_owned(),
            ContentError::NoPicture(is) => {
                format!("must be a PNG, JPEG, GIF or WebP picture for this category: it is {is}")
            }
        };
        Violations::of("file", said).into()
    }
}

impl From<SubFolderError> for PlatformError {
    fn from(error: SubFolderError) -> Self {
        Self::bad_request(error)
    }
}

impl From<FileError> for PlatformError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Outside => Self::forbidden(error),
            FileError::NotFound => Self::not_found(error),
        }
    }
}

impl From<OutsideOfFolder> for PlatformError {
    fn from(OutsideOfFolder: OutsideOfFolder) -> Self {
        FileError::Outside.into()
    }
}
