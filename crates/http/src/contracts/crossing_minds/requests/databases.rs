//! Bodies about databases, what is resolved in them, and the organization's document.

use serde::Deserialize;
use tidegate_domain::flexible_id::{IdType, SentId};
use tidegate_domain::text::line;
use tidegate_identity::accounts::metadata::Patch;
use tidegate_identity::databases::manage::{CreateDatabase, DatabaseChange};
use tidegate_identity::sessions::resolve_session::{ListResolved, ResolveSession};
use utoipa::ToSchema;

use super::{MAX_DATABASE_NAME, instant, metadata};
use crate::wire::fields::{Check, Field, ObjectText, Violations};
use crate::wire::typed::Integer;
use crate::wire::unknown::Exact;

/// Longest description of a database, in characters.
const MAX_DESCRIPTION: usize = 4_096;
/// Most databases or resolved sessions on a page, and how many unless asked for otherwise.
const MAX_PAGE: i64 = 256;
const DEFAULT_PAGE: i64 = 64;
/// Most users whose resolved sessions are asked for at once.
const MAX_USERS: usize = 256;

/// POST databases.
#[derive(Deserialize, ToSchema)]
pub(crate) struct CreateDatabaseBody {
    /// Unique in the organization.
    #[schema(required = true, value_type = String, format = "single-line", max_length = 128)]
    #[serde(default)]
    name: Field<String>,
    #[schema(required = true, value_type = String, format = "text-without-nul", max_length = 4096)]
    #[serde(default)]
    description: Field<String>,
    /// `int8` to `int64`, `uint8` to `uint64`, `uuid`, `hex<N>`, `urlsafe<N>` or `bytes<N>`, N from 1 to 64. Permanent.
    #[schema(required = true, value_type = String, format = "id-type", example = "uuid")]
    #[serde(default)]
    item_id_type: Field<String>,
    #[schema(required = true, value_type = String, format = "id-type", example = "uint32")]
    #[serde(default)]
    user_id_type: Field<String>,
    /// `uuid` unless given.
    #[schema(value_type = Option<String>, format = "id-type", example = "uuid")]
    #[serde(default)]
    session_id_type: Field<String>,
    /// Free document of up to 64 KiB, without NUL characters and without numbers of more digits than a double keeps.
    #[schema(value_type = Option<Object>)]
    #[serde(default)]
    metadata: Field<ObjectText>,
}

impl CreateDatabaseBody {
    pub(crate) fn read(self) -> Result<CreateDatabase, Violations> {
        let mut check = Check::new();
        let name = check.required("name", self.name);
        let name = name.and_then(|name| check.parsed("name", line(&name, MAX_DATABASE_NAME)));
        let description = check.required("description", self.description);
        let description = description.and_then(|text| free_text(&mut check, "description", text));
        let item = check.required("item_id_type", self.item_id_type);
        let item = item.and_then(|kind| check.parsed("item_id_type", kind.parse::<IdType>()));
        let user = check.required("user_id_type", self.user_id_type);
        let user = user.and_then(|kind| check.parsed("user_id_type", kind.parse::<IdType>()));
        let session = match check.optional("session_id_type", self.session_id_type) {
            Some(kind) => check.parsed("session_id_type", kind.parse::<IdType>()),
            None => Some(IdType::Uuid),
        };
        let metadata = metadata(&mut check, self.metadata);
        let read = name.zip(description).zip(item.zip(user)).zip(session);
        let read = read.map(|(((name, description), (item_id_type, user_id_type)), session_id_type)| {
            CreateDatabase {
                name,
                description,
                item_id_type,
                user_id_type,
                session_id_type,
                metadata: metadata.unwrap_or_default(),
            }
        });
        check.finish(read)
    }
}

/// PATCH databases/current. What is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeDatabaseBody {
    #[schema(value_type = Option<String>, format = "text-without-nul", max_length = 4096)]
    #[serde(default)]
    description: Field<String>,
    /// Merged into the stored document (RFC 7396).
    #[schema(value_type = Option<Object>)]
    #[serde(default)]
    metadata: Field<ObjectText>,
    /// Whether to delete nothing, and to add to arrays instead of replacing them.
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    preserve: Field<bool>,
}

impl Exact for ChangeDatabaseBody {
    fn place_of(name: &str) -> Option<String> {
        let is_kept = name == "name" || name.ends_with("_id_type");
        is_kept.then(|| "it is given with the database, and kept: make another database".to_owned())
    }
}

impl ChangeDatabaseBody {
    pub(crate) fn read(self) -> Result<DatabaseChange, Violations> {
        let mut check = Check::new();
        let description = check.optional("description", self.description);
        let description = description.and_then(|text| free_text(&mut check, "description", text));
        let metadata = patch(&mut check, self.metadata, self.preserve);
        check.finish(Some(DatabaseChange { description, metadata }))
    }
}

/// PATCH organizations/current.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeOrganizationBody {
    /// Merged into the stored document (RFC 7396).
    #[schema(required = true, value_type = Object)]
    #[serde(default)]
    metadata: Field<ObjectText>,
    /// Whether to delete nothing, and to add to arrays instead of replacing them.
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    preserve: Field<bool>,
}

impl Exact for ChangeOrganizationBody {}

impl ChangeOrganizationBody {
    pub(crate) fn read(self) -> Result<Patch, Violations> {
        let mut check = Check::new();
        let patch = match self.metadata {
            Field::Missing | Field::Null => check.violated("metadata", "is required"),
            metadata => patch(&mut check, metadata, self.preserve),
        };
        check.finish(patch)
    }
}

/// POST sessions/{session_id}/resolve.
#[derive(Deserialize, ToSchema)]
pub(crate) struct ResolveSessionBody {
    /// Of the database's `user_id_type`.
    #[schema(required = true, value_type = Value)]
    #[serde(default)]
    user_id: Field<SentId>,
    /// Since when, in seconds since the epoch; now unless given.
    #[schema(value_type = Option<f64>, minimum = -1.5e11, maximum = 3.5e9)]
    #[serde(default)]
    timestamp: Field<f64>,
}

impl ResolveSessionBody {
    pub(crate) fn read(self, session: String) -> Result<ResolveSession, Violations> {
        let mut check = Check::new();
        let user = check.required("user_id", self.user_id);
        let at = instant(&mut check, "timestamp", self.timestamp);
        check.finish(user.map(|user| ResolveSession { session, user, at }))
    }
}

/// POST resolved-sessions.
#[derive(Deserialize, ToSchema)]
pub(crate) struct ListResolvedBody {
    /// Of the database's `user_id_type`; those of all users unless given. At most 256.
    #[schema(value_type = Option<Vec<Value>>, max_items = 256)]
    #[serde(default)]
    users_id: Field<Vec<SentId>>,
    /// At most so many, 1 to 256; 64 unless given.
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 256)]
    #[serde(default)]
    amt: Field<Integer>,
    /// `next_cursor` of the page before.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    cursor: Field<String>,
}

impl ListResolvedBody {
    pub(crate) fn read(self) -> Result<ListResolved, Violations> {
        let mut check = Check::new();
        let users = check.optional("users_id", self.users_id);
        if users.as_ref().is_some_and(|users| users.len() > MAX_USERS) {
            check.violated::<()>("users_id", format!("must be at most {MAX_USERS} identifiers"));
        }
        let limit = check.optional("amt", self.amt).map_or(DEFAULT_PAGE, |Integer(amt)| amt);
        let limit = page_size(&mut check, limit);
        let cursor = check.optional("cursor", self.cursor).unwrap_or_default();
        let read = limit.map(|limit| ListResolved {
            users,
            limit: usize::try_from(limit).unwrap_or_default(),
            cursor,
        });
        check.finish(read)
    }
}

/// Which databases are listed: how many, and from which page on.
pub(crate) fn page_of(amt: Option<String>, page: Option<String>) -> Result<(u32, u32), Violations> {
    let mut check = Check::new();
    let mut number = |name, text: Option<String>, default: i64| match text.map(|text| text.parse::<i64>()) {
        None => Some(default),
        Some(Ok(number)) => Some(number),
        Some(Err(_)) => check.violated(name, "must be an integer"),
    };
    let (amt, page) = (number("amt", amt, DEFAULT_PAGE), number("page", page, 1));
    let amt = amt.and_then(|amt| page_size(&mut check, amt));
    let page = page.and_then(|page| match u32::try_from(page) {
        Ok(page) if page >= 1 => Some(page),
        _ => check.violated("page", "must be at least 1"),
    });
    check.finish(amt.zip(page))
}

fn page_size(check: &mut Check, amt: i64) -> Option<u32> {
    match u32::try_from(amt) {
        Ok(size) if (1..=MAX_PAGE).contains(&amt) => Some(size),
        _ => check.violated("amt", format!("must be between 1 and {MAX_PAGE}")),
    }
}

fn free_text(check: &mut Check, name: &'static str, text: String) -> Option<String> {
    if text.chars().count() > MAX_DESCRIPTION {
        return check.violated(name, format!("must be at most {MAX_DESCRIPTION} characters"));
    }
    if text.contains('\0') {
        return check.violated(name, "must not contain NUL characters");
    }
    Some(text)
}

fn patch(check: &mut Check, field: Field<ObjectText>, preserve: Field<bool>) -> Option<Patch> {
    let preserve = check.optional("preserve", preserve).unwrap_or(false);
    metadata(check, field).map(|change| Patch { change, preserve })
}
