//! Bodies and queries, and how they are read.

use std::time::Duration;

use serde::Deserialize;
use tidegate_storage::files::file::FileCategory;
use utoipa::{IntoParams, ToSchema};

use crate::wire::fields::{Check, Violations};
use crate::wire::openapi::shapes::Shape;

/// Longest life of a signed URL that can be asked for, in seconds: seven days.
const MAX_LIFE: u64 = 604_800;
/// The life of one that nothing is said of, in seconds.
pub(super) const USUAL_LIFE: u64 = 3_600;

/// Names between slashes, of letters and digits of ASCII; others are taken, too.
const SUB_FOLDER: &str =
    "^([A-Za-z0-9_-]([A-Za-z0-9_.-]*[A-Za-z0-9_-])?(/[A-Za-z0-9_-]([A-Za-z0-9_.-]*[A-Za-z0-9_-])?){0,9}/?)?$";

/// The texts of this part of the contract.
pub(in super::super) fn texts() -> impl Iterator<Item = Shape> {
    let categories = FileCategory::ALL.iter().map(|category| category.as_str()).collect();
    let folder = Shape {
        format: "sub-folder",
        max_length: Some(500),
        pattern: Some(SUB_FOLDER.to_owned()),
        ..Shape::default()
    };
    [Shape { format: "file-category", words: categories, ..Shape::default() }, folder].into_iter()
}

/// POST /api/v1/storage/upload.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "it is described, and read part by part")]
pub(super) struct UploadForm {
    /// The file, with its name.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// A folder inside of the caller's: letters, digits, `-`, `_` and `.` between slashes. None when left out.
    #[schema(value_type = String, required = false, format = "sub-folder", example = "data-sources/org-123/")]
    path: Option<String>,
    /// What it is for; `data_source` when left out.
    #[schema(value_type = String, required = false, format = "file-category", example = "data_source")]
    file_category: Option<String>,
}

/// The category of that name.
pub(super) fn category(text: &str) -> Result<FileCategory, Violations> {
    FileCategory::from_name(text)
        .ok_or_else(|| Violations::of("file_category", "must be data_source, profile_image or general"))
}

/// Which files of a list to show.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct FilesQuery {
    /// Those that are for this; all when left out.
    #[param(value_type = Option<String>, format = "file-category")]
    file_category: Option<String>,
    /// From 1; 1 when left out.
    #[param(value_type = Option<i64>, minimum = 1)]
    page: Option<String>,
    /// 1 to 100; 20 when left out.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 100)]
    page_size: Option<String>,
}

/// The same, read.
pub(super) struct FilesPage {
    pub(super) category: Option<FileCategory>,
    pub(super) page: i64,
    pub(super) size: i64,
}

impl FilesPage {
    /// How many to skip.
    pub(super) const fn skip(&self) -> i64 {
        self.page.saturating_sub(1).saturating_mul(self.size)
    }
}

impl FilesQuery {
    pub(super) fn read(self) -> Result<FilesPage, Violations> {
        let mut check = Check::new();
        let category = match self.file_category.as_deref() {
            None => Some(None),
            Some(text) => match category(text) {
                Ok(category) => Some(Some(category)),
                Err(violations) => {
                    violations.iter().for_each(|one| {
                        check.violated::<()>(one.field.clone(), one.message.clone());
                    });
                    None
                }
            },
        };
        let page = match self.page.as_deref().unwrap_or("1").parse() {
            Ok(page @ 1..) => Some(page),
            _ => check.violated("page", "must be an integer from 1"),
        };
        let size = match self.page_size.as_deref().unwrap_or("20").parse() {
            Ok(size @ 1..=100) => Some(size),
            _ => check.violated("page_size", "must be an integer from 1 to 100"),
        };
        let read = category.zip(page).zip(size);
        check.finish(read.map(|((category, page), size)| FilesPage { category, page, size }))
    }
}

/// Which objects of a bucket to show.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ObjectsQuery {
    /// What their names begin with: inside of the caller's folder, which it is when left out.
    pub(super) prefix: Option<String>,
    /// Whether with those of folders below; `true` when left out.
    #[param(value_type = Option<bool>)]
    recursive: Option<String>,
    /// Only those that came after the object of this number: `next_after` of an answer that is truncated.
    #[param(value_type = Option<i64>, minimum = 0)]
    after: Option<String>,
}

impl ObjectsQuery {
    /// Whether with those of folders below, and after which.
    pub(super) fn read(&self) -> Result<(bool, i64), Violations> {
        let mut check = Check::new();
        let recursive = match self.recursive.as_deref() {
            None | Some("true" | "1") => Some(true),
            Some("false" | "0") => Some(false),
            Some(_) => check.violated("recursive", "must be true or false"),
        };
        let after = match self.after.as_deref().unwrap_or("0").parse() {
            Ok(after @ 0..) => Some(after),
            _ => check.violated("after", "must be an integer from 0"),
        };
        check.finish(recursive.zip(after))
    }
}

/// How long a signed URL lives.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LifeQuery {
    /// In seconds, 1 to 604800; 3600 when left out.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 604_800)]
    expires_seconds: Option<String>,
}

impl LifeQuery {
    pub(super) fn read(&self) -> Result<Duration, Violations> {
        match self.expires_seconds.as_deref().map_or(Ok(USUAL_LIFE), str::parse) {
            Ok(seconds @ 1..=MAX_LIFE) => Ok(Duration::from_secs(seconds)),
            _ => Err(Violations::of("expires_seconds", "must be an integer from 1 to 604800")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_are_bounded() {
        let read = |text: &str| {
            LifeQuery { expires_seconds: Some(text.to_owned()) }.read().map(|life| life.as_secs())
        };
        assert_eq!((read("1"), read("604800")), (Ok(1), Ok(604_800)));
        assert_eq!(LifeQuery { expires_seconds: None }.read().unwrap().as_secs(), 3_600);
        for wrong in ["0", "-1", "604801", "1.5", "x", "", "99999999999999999999"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
