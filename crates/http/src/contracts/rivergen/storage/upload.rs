//! Uploads.

use axum::body::HttpBody;
use axum::extract::{Request, State};
use tidegate_domain::Permission;
use tidegate_kernel::{Actor, Fault};
use tidegate_storage::files::file::FileCategory;
use tidegate_storage::files::folder::SubFolder;
use tidegate_storage::files::name::FileName;
use tidegate_storage::files::upload::{NewFile, Room};
use tidegate_storage::{Staged, Storage};

use super::super::error::ErrorBody;
use super::super::platform::{Answer, Bearer, PlatformError};
use super::super::responses::Envelope;
use super::requests::{UploadForm, category};
use super::responses::UploadedData;
use crate::wire::fields::Violations;
use crate::wire::multipart::{Form, FormLimits, Part};
use crate::wire::rejection::Rejection;
use crate::wire::state::App;
use crate::wire::unknown::not_known;
use crate::wire::upload::{allow_slow_upload, pass_on_upload};

/// What a form has besides its file, in bytes: other fields, boundaries, headers.
const AROUND: u64 = 64 * 1024;
/// Most parts of a form.
const PARTS: usize = 16;
/// Longest text of a field, in bytes.
const TEXT: usize = 4 * 1024;
/// Most that is held of an upload at a time, in bytes: what is gathered, what is written meanwhile, and what the form is read by.
const WINDOW: usize = 640 * 1024;

/// Stores a file in the caller's folder. Its type is found out by its content; the name must not say otherwise.
#[utoipa::path(post, path = "/storage/upload", operation_id = "upload_file", tag = "Storage", security(("bearer" = [])),
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses(
        (status = 201, description = "Stored, durably", body = Envelope<UploadedData>),
        (status = 400, description = "BAD_REQUEST: a form that cannot be read, or a path that is no folder inside of the caller's", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, FORBIDDEN", body = ErrorBody),
        (status = 413, description = "REQUEST_ENTITY_TOO_LARGE: the file is too large, or the organization's quota is used up", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
        (status = 500, description = "INTERNAL_SERVER_ERROR", body = ErrorBody),
    ))]
pub(super) async fn upload(bearer: Bearer, State(app): State<App>, request: Request) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageOwnFiles)?;
    let storage = app.storage();
    let (new, staged) = receive(storage, &actor, request).await?;
    let file = storage.upload(&call, &actor, new, staged).await?;
    Ok(UploadedData::respond(file, storage.objects().bucket()))
}

/// What has come of a form so far.
#[derive(Default)]
struct Received {
    file: Option<(FileName, Staged)>,
    folder: Option<SubFolder>,
    category: Option<FileCategory>,
}

/// Reads the form, and the file in it into the store, where nobody sees it yet.
async fn receive(
    storage: &Storage,
    actor: &Actor,
    request: Request,
) -> Result<(NewFile, Staged), PlatformError> {
    let room = storage.room(actor).await.map_err(Rejection::from)?;
    // Of what cannot fit, nothing is read.
    room.admit(request.body().size_hint().lower().saturating_sub(AROUND))?;
    allow_slow_upload(&request);
    pass_on_upload(&request, WINDOW);
    let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let largest = storage.limits().file_bytes;
    let limits = FormLimits {
        file: "file",
        body: bytes(largest.saturating_add(AROUND)),
        part: bytes(largest),
        parts: PARTS,
    };
    let mut form = Form::of(request, limits)?;
    let mut received = Received::default();
    while let Some(part) = form.next().await? {
        let field = part.name().to_owned();
        match field.as_str() {
            "file" => received.take_file(storage, actor, &room, part).await?,
            "path" => {
                received.folder = Some(SubFolder::parse(&part.read_text(TEXT).await?)?);
            }
            "file_category" => received.category = Some(category(&part.read_text(TEXT).await?)?),
            // Without a name it is no field (RFC 7578 section 4.2).
            "" => part.skip().await?,
            other => return Err(not_known::<UploadForm>(other).into()),
        }
    }
    let (name, staged) = received.file.ok_or_else(|| Violations::of("file", "is required"))?;
    let new = NewFile {
        name,
        folder: received.folder.unwrap_or_default(),
        category: received.category.unwrap_or_default(),
    };
    Ok((new, staged))
}

impl Received {
    async fn take_file(
        &mut self,
        storage: &Storage,
        actor: &Actor,
        room: &Room,
        mut part: Part,
    ) -> Result<(), PlatformError> {
        if self.file.is_some() {
            return Err(Violations::of("file", "must be sent once").into());
        }
        let name = part.file_name().ok_or_else(|| Violations::of("file", "must be a file, with its name"))?;
        let name = FileName::parse(name)
            .map_err(|wrong| Violations::of("file", format!("has a name that {wrong}")))?;
        let mut staged = storage.stage(actor).await.map_err(Rejection::from)?;
        while let Some(chunk) = part.chunk().await? {
            let written = staged.write(&chunk).await;
            written
                .map_err(|error| Rejection::from(Fault::Unavailable(format!("the file store: {error}"))))?;
            room.admit(staged.size())?;
        }
        self.file = Some((name, staged));
        Ok(())
    }
}
