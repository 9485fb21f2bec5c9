//! Response bodies.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use tidegate_storage::ReadingSource;
use tidegate_storage::files::file::{FileDetails, TrackedFile};
use tidegate_storage::files::list::ObjectList;
use tidegate_storage::quota::usage::Usage;
use utoipa::ToSchema;

use super::super::responses::envelope;

const KIB: f64 = 1024.0;

/// A file that was stored.
#[derive(Serialize, ToSchema)]
pub(super) struct UploadedData {
    /// Its object name.
    file_path: String,
    /// What it was called.
    file_name: String,
    /// What it is called in the store.
    unique_file_name: String,
    /// In bytes.
    size: u64,
    /// By its content and name, whatever was said of it.
    content_type: String,
    s3_uri: String,
    storage_file_id: i64,
}

impl UploadedData {
    pub(super) fn respond(file: TrackedFile, bucket: &str) -> Response {
        let data = Self {
            s3_uri: format!("s3://{bucket}/{}", file.object_name),
            file_path: file.object_name,
            file_name: file.file_name,
            unique_file_name: file.unique_name,
            size: file.size,
            content_type: file.content_type,
            storage_file_id: file.number,
        };
        envelope(StatusCode::CREATED, data, "File uploaded successfully")
    }
}

/// A file of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct FileData {
    storage_file_id: i64,
    file_name: String,
    object_name: String,
    size_bytes: u64,
    /// Of 1,048,576 bytes, with two decimals.
    size_mb: f64,
    content_type: String,
    file_category: &'static str,
    uploaded_at: String,
    /// Answers the file without a token for an hour.
    presigned_url: String,
    /// The data source that is built on it.
    data_source_id: Option<i64>,
    /// Always `null`: files belong to a person, and to no workspace.
    workspace_id: Option<i64>,
}

impl FileData {
    pub(super) fn of(file: TrackedFile, presigned_url: String, data_source_id: Option<i64>) -> Self {
        Self {
            storage_file_id: file.number,
            size_mb: mebibytes(file.size),
            file_name: file.file_name,
            object_name: file.object_name,
            size_bytes: file.size,
            content_type: file.content_type,
            file_category: file.category.as_str(),
            uploaded_at: file.created_at.iso_seconds(),
            presigned_url,
            data_source_id,
            workspace_id: None,
        }
    }
}

/// A page of files.
#[derive(Serialize, ToSchema)]
pub(super) struct FilesData {
    /// The newest first.
    pub(super) items: Vec<FileData>,
    pub(super) pagination: FilesPagination,
}

/// Where in the list a page is.
#[derive(Serialize, ToSchema)]
pub(super) struct FilesPagination {
    page: i64,
    page_size: i64,
    total_count: u64,
    total_pages: u64,
    has_next: bool,
    has_previous: bool,
}

impl FilesPagination {
    pub(super) fn of(page: i64, page_size: i64, total_count: u64) -> Self {
        let size = u64::try_from(page_size).unwrap_or(1).max(1);
        let total_pages = total_count.div_ceil(size);
        let is_before_last = u64::try_from(page).is_ok_and(|page| page < total_pages);
        Self { page, page_size, total_count, total_pages, has_next: is_before_last, has_previous: page > 1 }
    }
}

/// An object of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct ObjectData {
    name: String,
    size: u64,
    last_modified: String,
    /// With its double quotes.
    etag: String,
}

/// Objects of a bucket.
#[derive(Serialize, ToSchema)]
pub(super) struct ObjectsData {
    objects: Vec<ObjectData>,
    bucket: String,
    prefix: String,
    user_folder: String,
    /// Whether there are more than the 10,000 that are shown.
    is_truncated: bool,
    /// Asks for the next ones; `null` where there are none.
    next_after: Option<i64>,
}

impl ObjectsData {
    pub(super) fn of(list: ObjectList, bucket: &str) -> Self {
        let last = list.objects.last().map(|file| file.number);
        let objects = list.objects.into_iter().map(|file| ObjectData {
            name: file.object_name,
            size: file.size,
            last_modified: file.created_at.iso_seconds(),
            etag: file.etag,
        });
        Self {
            objects: objects.collect(),
            bucket: bucket.to_owned(),
            prefix: list.prefix,
            user_folder: list.folder.prefix(),
            is_truncated: list.is_truncated,
            next_after: last.filter(|_| list.is_truncated),
        }
    }
}

/// What is known of an object.
#[derive(Serialize, ToSchema)]
pub(super) struct ObjectMetadata {
    name: String,
    size: u64,
    content_type: String,
    last_modified: String,
    /// With its double quotes.
    etag: String,
}

impl From<FileDetails> for ObjectMetadata {
    fn from(file: FileDetails) -> Self {
        Self {
            name: file.object_name,
            size: file.size,
            content_type: file.content_type,
            last_modified: file.last_modified.iso_seconds(),
            etag: file.etag,
        }
    }
}

/// A signed URL.
#[derive(Serialize, ToSchema)]
pub(super) struct SignedUrlData {
    pub(super) url: String,
    pub(super) expires_in_seconds: u64,
}

/// An object that was removed.
#[derive(Serialize, ToSchema)]
pub(super) struct RemovedObjectData {
    object_name: String,
    /// Which data sources read it: not there where none does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

impl RemovedObjectData {
    pub(super) fn new(object_name: String, reading: &[ReadingSource]) -> Self {
        Self { object_name, warnings: still_reading(reading).into_iter().collect() }
    }
}

/// What is to be done about data sources whose file is gone. Those that the caller does not see are not named.
fn still_reading(reading: &[ReadingSource]) -> Option<String> {
    let named = reading.iter().filter_map(|source| {
        let name = source.name.as_ref()?;
        Some(format!("{name} ({})", source.number))
    });
    let named: Vec<String> = named.collect();
    let others = match reading.len() - named.len() {
        0 => String::new(),
        unseen => format!(" and {unseen} that you do not see"),
    };
    let named = named.join(", ");
    match reading.len() {
        0 => None,
        _ if named.is_empty() => {
            Some("Data sources that you do not see read this file: they do not answer any more.".to_owned())
        }
        1 => Some(format!(
            "The data source {named} read this file, and does not answer any more: give it another file_path, or delete it."
        )),
        _ => Some(format!(
            "The data sources {named}{others} read this file, and do not answer any more: give each another file_path, or delete it."
        )),
    }
}

/// What the organization may keep.
#[derive(Serialize, ToSchema)]
pub(super) struct QuotaData {
    limit_bytes: u64,
    limit_mb: f64,
    limit_gb: f64,
}

/// What it keeps as well.
#[derive(Serialize, ToSchema)]
pub(super) struct UsageData {
    /// With uploads that are under way.
    used_bytes: u64,
    used_mb: f64,
    used_gb: f64,
    limit_bytes: u64,
    limit_mb: f64,
    limit_gb: f64,
    available_bytes: u64,
    /// 0 to 100.
    usage_percentage: f64,
    file_count: u64,
}

impl From<Usage> for QuotaData {
    fn from(usage: Usage) -> Self {
        Self { limit_bytes: usage.limit, limit_mb: mebibytes(usage.limit), limit_gb: gibibytes(usage.limit) }
    }
}

impl From<Usage> for UsageData {
    fn from(usage: Usage) -> Self {
        let percentage =
            if usage.limit == 0 { 100.0 } else { float(usage.used) / float(usage.limit) * 100.0 };
        Self {
            used_bytes: usage.used,
            used_mb: mebibytes(usage.used),
            used_gb: gibibytes(usage.used),
            limit_bytes: usage.limit,
            limit_mb: mebibytes(usage.limit),
            limit_gb: gibibytes(usage.limit),
            available_bytes: usage.available(),
            usage_percentage: rounded(percentage.min(100.0)),
            file_count: usage.files,
        }
    }
}

/// A bucket.
#[derive(Serialize, ToSchema)]
pub(super) struct BucketData {
    pub(super) name: String,
    /// Since when the caller's organization may have files there.
    pub(super) created_at: String,
}

/// The buckets: there is one.
#[derive(Serialize, ToSchema)]
pub(super) struct BucketsData {
    pub(super) buckets: Vec<BucketData>,
}

fn mebibytes(bytes: u64) -> f64 {
    rounded(float(bytes) / KIB / KIB)
}

fn gibibytes(bytes: u64) -> f64 {
    rounded(float(bytes) / KIB / KIB / KIB)
}

/// To two decimals.
fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

/// Exact up to eight petabytes.
#[allow(clippy::cast_precision_loss, reason = "no file and no disk has so many bytes")]
fn float(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_counted() {
        let of = |page, size, total| {
            let page = FilesPagination::of(page, size, total);
            (page.total_pages, page.has_next, page.has_previous)
        };
        assert_eq!(of(1, 20, 0), (0, false, false));
        assert_eq!(of(1, 20, 21), (2, true, false));
        assert_eq!(of(2, 20, 21), (2, false, true));
        assert_eq!(of(i64::MAX, 100, 5), (1, false, true));
    }

    #[test]
    fn sizes_have_two_decimals() {
        assert_eq!(
            (mebibytes(1_048_576), mebibytes(10_737_418_240), gibibytes(10_737_418_240)),
            (1.0, 10_240.0, 10.0)
        );
        assert_eq!(mebibytes(15_729), 0.02);
    }
}
