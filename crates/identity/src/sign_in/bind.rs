//! Binding a session to a database, and to one end user of it.

use tidegate_domain::Role;
use tidegate_domain::database::{Binding, Database, ResolvedSession, Status};
use tidegate_domain::flexible_id::{FlexibleId, IdType, MAX_LENGTH, SentId};
use tidegate_domain::id::{DatabaseId, OrganizationId};
use tidegate_kernel::fault::Fault;
use tidegate_kernel::issue::Bound;

use crate::IdentityTables;
use crate::work::Work;

/// Which database is meant. Both may be given, and then mean the same one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseChoice {
    /// Its opaque key.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
}

/// What a session is to be bound to.
#[derive(Clone, Debug, Default)]
pub struct BindingRequest {
    /// The database, if any.
    pub database: DatabaseChoice,
    /// The end user, as it was sent: only the database says of which type it is.
    pub user: Option<SentId>,
    /// The end user's anonymous session, likewise.
    pub session: Option<SentId>,
}

/// Why the token was not bound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// No such database in the organization.
    #[error("the database {0} does not exist")]
    DatabaseNotFound(String),
    /// A field that cannot be what it says.
    #[error("{field} {reason}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// Why.
        reason: String,
    },
}

const USER: &str = "frontend_user_id";
const SESSION: &str = "frontend_session_id";

impl DatabaseChoice {
    pub(crate) const fn is_none(&self) -> bool {
        self.id.is_none() && self.name.is_none()
    }
}

impl Work<'_> {
    /// The organization's database that is meant; another organization's looks like none.
    pub(crate) async fn choose_database(
        &mut self,
        organization: OrganizationId,
        choice: &DatabaseChoice,
    ) -> Result<Result<Option<Database>, BindError>, Fault> {
        let mut chosen: Option<Database> = None;
        if let Some(text) = &choice.id {
            let found = match DatabaseId::from_opaque(text) {
                Some(id) => self.unit.databases().find(organization, id).await?,
                None => None,
            };
            match found {
                Some(database) => chosen = Some(database),
                None => return Ok(Err(BindError::DatabaseNotFound(text.clone()))),
            }
        }
        if let Some(name) = &choice.name {
            let Some(database) = self.unit.databases().find_named(organization, name).await? else {
                return Ok(Err(BindError::DatabaseNotFound(name.clone())));
            };
            if chosen.is_some_and(|chosen| chosen.id != database.id) {
                let reason = "is the name of another database than db_id".to_owned();
                return Ok(Err(BindError::Invalid { field: "db_name", reason }));
            }
            chosen = Some(database);
        }
        Ok(Ok(chosen))
    }

    /// What a session of `role` in `organization` is bound to. With both an end user and an anonymous session, the session
    /// is noted as that user's, unless the database is still being prepared.
    pub(crate) async fn bind(
        &mut self,
        organization: OrganizationId,
        role: Role,
        request: &BindingRequest,
    ) -> Result<Result<Option<Bound>, BindError>, Fault> {
        let database = match self.choose_database(organization, &request.database).await? {
            Ok(database) => database,
            Err(error) => return Ok(Err(error)),
        };
        let (user, session) = match typed_ids(role, database.as_ref(), request) {
            Ok(ids) => ids,
            Err(error) => return Ok(Err(error)),
        };
        let Some(database) = database else {
            return Ok(Ok(None));
        };
        let is_ready = database.status(self.now) == Status::Ready;
        if let (Some(user), Some(session), true) = (&user, &session, is_ready) {
            let resolved = ResolvedSession { session: session.clone(), user: user.clone(), at: self.now };
            self.resolve(&database, &resolved).await?;
        }
        let binding = Binding { database: database.id, user, session };
        Ok(Ok(Some(Bound { database, binding })))
    }
}

type Ids = (Option<FlexibleId>, Option<FlexibleId>);

fn typed_ids(role: Role, database: Option<&Database>, request: &BindingRequest) -> Result<Ids, BindError> {
    let invalid = |field, reason: &str| BindError::Invalid { field, reason: reason.to_owned() };
    let given = [(USER, &request.user), (SESSION, &request.session)];
    if let Some((field, _)) = given.iter().find(|(_, value)| value.is_some()) {
        if role != Role::Frontend {
            return Err(invalid(field, "is for accounts of the frontend role only"));
        }
        if database.is_none() {
            return Err(invalid(field, "needs a database: give db_id or db_name"));
        }
    }
    let typed = |field, value: &Option<SentId>, kind: Option<IdType>| match (value, kind) {
        (Some(value), Some(kind)) => {
            let id = kind.parse_json(value).map_err(|error| invalid(field, &error.to_string()))?;
            if id.as_str().chars().count() > MAX_LENGTH {
                return Err(invalid(field, &format!("must be at most {MAX_LENGTH} characters")));
            }
            Ok(Some(id))
        }
        _ => Ok(None),
    };
    Ok((
        typed(USER, &request.user, database.map(|database| database.user_id_type))?,
        typed(SESSION, &request.session, database.map(|database| database.session_id_type))?,
    ))
}
