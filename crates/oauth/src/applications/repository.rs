//! Applications in the store.

use std::sync::Arc;

use tidegate_crypto::TokenHash;
use tidegate_database::{Result, StoreError, Unit, execute, fetch_all, fetch_one, fetch_optional, lock_row};
use tidegate_domain::id::{AccountId, ApplicationId, OrganizationId};
use tidegate_domain::logout::{BackchannelUri, LogoutSettings};
use tidegate_domain::oauth::{AccessLevel, ApplicationStatus, ClientAuthentication, GrantType};
use tidegate_domain::{PartyName, RedirectUri, Scopes, Timestamp};
use tidegate_kernel::changes;
use uuid::Uuid;

use super::application::{Application, NewApplication, Secrets};
use super::metadata::ClientMetadata;
use super::rules::RulesRow;

/// Applications of a unit of work.
pub struct Applications<'u>(pub(crate) &'u mut Unit);

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    number: i64,
    organization_id: Uuid,
    name: String,
    description: String,
    grant_types: String,
    redirect_uris: String,
    scopes: String,
    access_level: String,
    authentication: String,
    status: String,
    secret_hash: Option<Vec<u8>>,
    previous_secret_hash: Option<Vec<u8>>,
    previous_secret_until: Option<i64>,
    epoch: Uuid,
    own_epoch: Uuid,
    post_logout_redirect_uris: String,
    backchannel_logout_uri: Option<String>,
    backchannel_logout_session_required: bool,
    suspended_at: Option<i64>,
    created_at: i64,
    last_used_at: Option<i64>,
    #[sqlx(flatten)]
    rules: RulesRow,
    metadata: Option<String>,
    sealed_secret: Option<Vec<u8>>,
    registration_hash: Option<Vec<u8>>,
    document_uri: Option<String>,
    document_read_at: Option<i64>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select id, number, organization_id, name, description, grant_types, redirect_uris, scopes, access_level,
                authentication, status, secret_hash, previous_secret_hash, previous_secret_until, epoch, own_epoch,
                post_logout_redirect_uris, backchannel_logout_uri, backchannel_logout_session_required, suspended_at, created_at,
                last_used_at, dpop_bound, userinfo_signed, pairwise_sector, exchange_from, exchange_to,
                metadata, sealed_secret, registration_hash, document_uri, document_read_at
             from oauth_applications ",
            $rest
        )
    };
}

pub(crate) fn joined<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().collect::<Vec<_>>().join(" ")
}

pub(crate) fn uris(stored: &str) -> Vec<RedirectUri> {
    stored.split_ascii_whitespace().map(|uri| RedirectUri::from_stored(uri.to_owned())).collect()
}

fn hash(bytes: Option<&[u8]>) -> Result<Option<TokenHash>> {
    let hash = bytes.map(TokenHash::try_from).transpose();
    hash.map_err(|_| StoreError::Unreadable("oauth_applications.secret_hash"))
}

impl Row {
    fn read(self) -> Result<Application> {
        let unreadable = StoreError::Unreadable;
        let grant_types: Option<Vec<GrantType>> =
            self.grant_types.split_ascii_whitespace().map(GrantType::from_name).collect();
        let previous = hash(self.previous_secret_hash.as_deref())?;
        let until = self.previous_secret_until.map(Timestamp::from_micros);
        Ok(Application {
            id: self.id.into(),
            number: self.number,
            organization: self.organization_id.into(),
            name: self.name,
            description: self.description,
            grant_types: grant_types.ok_or(unreadable("oauth_applications.grant_types"))?,
            redirect_uris: uris(&self.redirect_uris),
            logout: LogoutSettings {
                post_logout_redirect_uris: uris(&self.post_logout_redirect_uris),
                backchannel_uri: self.backchannel_logout_uri.map(BackchannelUri::from_stored),
                session_required: self.backchannel_logout_session_required,
            },
            scopes: Scopes::from_stored(&self.scopes),
            access_level: AccessLevel::from_name(&self.access_level)
                .ok_or(unreadable("oauth_applications.access_level"))?,
            authentication: ClientAuthentication::from_name(&self.authentication)
                .ok_or(unreadable("oauth_applications.authentication"))?,
            status: ApplicationStatus::from_name(&self.status)
                .ok_or(unreadable("oauth_applications.status"))?,
            is_suspended: self.suspended_at.is_some(),
            created_at: Timestamp::from_micros(self.created_at),
            last_used_at: self.last_used_at.map(Timestamp::from_micros),
            rules: self.rules.into(),
            epoch: self.epoch,
            own_epoch: self.own_epoch,
            metadata: Arc::new(ClientMetadata::from_stored(self.metadata.as_deref())?),
            sealed_secret: self.sealed_secret,
            registration_hash: hash(self.registration_hash.as_deref())?,
            document: self.document_uri.zip(self.document_read_at.map(Timestamp::from_micros)),
            secrets: Secrets { current: hash(self.secret_hash.as_deref())?, previous: previous.zip(until) },
        })
    }
}

/// An application to be added.
pub(crate) struct NewRow<'a> {
    pub(crate) id: ApplicationId,
    pub(crate) organization: OrganizationId,
    pub(crate) new: &'a NewApplication,
    pub(crate) secret: Option<&'a TokenHash>,
    /// The secret itself, sealed: of a client that signs with it.
    pub(crate) sealed_secret: Option<&'a [u8]>,
    /// Of the token by which it manages its registration.
    pub(crate) registration: Option<&'a TokenHash>,
    /// The address of the document that describes it.
    pub(crate) document: Option<&'a str>,
    pub(crate) epochs: (Uuid, Uuid),
    pub(crate) created_by: Option<AccountId>,
    pub(crate) now: Timestamp,
}

impl Applications<'_> {
    /// Keeps other changes of the organization's applications waiting until the unit ends.
    pub(crate) async fn lock(&mut self, organization: OrganizationId) -> Result<()> {
        lock_row!(self.0, "organizations", organization.0)
    }

    /// The organization of that number.
    pub(crate) async fn organization_numbered(&mut self, number: i64) -> Result<Option<OrganizationId>> {
        let row =
            fetch_optional!(self.0, (Uuid,), "select id from organizations where number = $1", number,)?;
        Ok(row.map(|(id,)| id.into()))
    }

    /// What its organization is called, and who made it; none for an operator.
    pub(crate) async fn origin(&mut self, id: ApplicationId) -> Result<Option<(String, Option<AccountId>)>> {
        let row = fetch_optional!(
            self.0,
            (String, Option<Uuid>),
            "select o.name, p.created_by from oauth_applications p join organizations o on o.id = p.organization_id
             where p.id = $1",
            id.0,
        )?;
        Ok(row.map(|(name, by)| (name, by.map(AccountId))))
    }

    /// What an organization is called.
    pub(crate) async fn organization_name(&mut self, organization: OrganizationId) -> Result<String> {
        let (name,) =
            fetch_one!(self.0, (String,), "select name from organizations where id = $1", organization.0,)?;
        Ok(name)
    }

    /// Adds one; none when the organization has one of that name. Answers its number.
    pub(crate) async fn insert(&mut self, row: &NewRow<'_>) -> Result<Option<i64>> {
        let new = row.new;
        let added = fetch_optional!(
            self.0,
            (i64,),
            "insert into oauth_applications (id, organization_id, name, description, grant_types, redirect_uris, scopes,
                access_level, authentication, status, secret_hash, epoch, own_epoch, created_by, created_at, updated_at,
                post_logout_redirect_uris, backchannel_logout_uri, backchannel_logout_session_required, metadata, sealed_secret,
                registration_hash, document_uri, document_read_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'active', $10, $11, $12, $13, $14, $14, $15, $16, $17, $18, $19, $20, $21, $22)
             on conflict (organization_id, name) do nothing returning number",
            row.id.0,
            row.organization.0,
            new.name.as_str(),
            new.description.as_str(),
            joined(new.grant_types.iter().map(|one| one.as_str())),
            joined(new.redirect_uris.iter().map(RedirectUri::as_str)),
            new.scopes.to_string(),
            new.access_level.as_str(),
            new.authentication.as_str(),
            row.secret.map(|hash| hash.as_bytes().to_vec()),
            row.epochs.0,
            row.epochs.1,
            row.created_by.map(Uuid::from),
            row.now.micros(),
            joined(new.logout.post_logout_redirect_uris.iter().map(RedirectUri::as_str)),
            new.logout.backchannel_uri.as_ref().map(BackchannelUri::as_str),
            new.logout.session_required,
            new.metadata.stored(),
            row.sealed_secret.map(<[u8]>::to_vec),
            row.registration.map(|hash| hash.as_bytes().to_vec()),
            row.document,
            row.document.map(|_| row.now.micros()),
        )?;
        Ok(added.map(|(number,)| number))
    }

    /// The one of that key.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find(&mut self, id: ApplicationId) -> Result<Option<Application>> {
        fetch_optional!(self.0, Row, select!("where id = $1"), id.0)?.map(Row::read).transpose()
    }

    /// The one that the document at that address describes.
    pub(crate) async fn of_document(&mut self, uri: &str) -> Result<Option<Application>> {
        fetch_optional!(self.0, Row, select!("where document_uri = $1"), uri)?.map(Row::read).transpose()
    }

    /// The one that tokens call so.
    pub(crate) async fn called(&mut self, name: &PartyName) -> Result<Option<Application>> {
        match name {
            PartyName::Key(key) => self.find((*key).into()).await,
            PartyName::Document(uri) => self.of_document(uri).await,
        }
    }

    /// Notes that its document was read.
    pub(crate) async fn document_read(&mut self, id: ApplicationId, now: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "update oauth_applications set document_read_at = $2 where id = $1",
            id.0,
            now.micros(),
        )?;
        self.0.note(changes::application(id));
        Ok(())
    }

    /// The organization's of that number.
    pub(crate) async fn numbered(
        &mut self,
        organization: OrganizationId,
        number: i64,
    ) -> Result<Option<Application>> {
        let row = fetch_optional!(
            self.0,
            Row,
            select!("where organization_id = $1 and number = $2"),
            organization.0,
            number,
        )?;
        row.map(Row::read).transpose()
    }

    /// The organization's, in the order in which they were made.
    pub(crate) async fn of_organization(
        &mut self,
        organization: OrganizationId,
        skip: i64,
        limit: i64,
    ) -> Result<Vec<Application>> {
        let rows = fetch_all!(
            self.0,
            Row,
            select!("where organization_id = $1 order by number limit $3 offset $2"),
            organization.0,
            skip,
            limit,
        )?;
        rows.into_iter().map(Row::read).collect()
    }

    /// How many the organization has.
    pub(crate) async fn count(&mut self, organization: OrganizationId) -> Result<i64> {
        let (count,) = fetch_one!(
            self.0,
            (i64,),
            "select count(*) from oauth_applications where organization_id = $1",
            organization.0,
        )?;
        Ok(count)
    }

    /// How many the organization has of those that somebody registered for it.
    pub(crate) async fn count_managed(&mut self, organization: OrganizationId) -> Result<i64> {
        let (count,) = fetch_one!(
            self.0,
            (i64,),
            "select count(*) from oauth_applications
             where organization_id = $1 and registration_hash is null and document_uri is null",
            organization.0,
        )?;
        Ok(count)
    }

    /// At most so many that registered themselves and were not used since.
    pub(crate) async fn unused_since(&mut self, since: Timestamp, at_most: i64) -> Result<Vec<Application>> {
        let rows = fetch_all!(
            self.0,
            Row,
            select!(
                // One that was taken out of use stays: its document would bring it back.
                "where (registration_hash is not null or document_uri is not null) and coalesce(last_used_at, created_at) < $1
                    and not (document_uri is not null and (status <> 'active' or suspended_at is not null))
                 order by number limit $2"
            ),
            since.micros(),
            at_most,
        )?;
        rows.into_iter().map(Row::read).collect()
    }

    /// All of the installation, with numbers beyond `after`.
    pub(crate) async fn all(&mut self, after: i64, limit: i64) -> Result<Vec<Application>> {
        let rows =
            fetch_all!(self.0, Row, select!("where number > $1 order by number limit $2"), after, limit)?;
        rows.into_iter().map(Row::read).collect()
    }

    /// Those of the organizations that an account owns.
    pub(crate) async fn of_owner(&mut self, account: AccountId) -> Result<Vec<Application>> {
        let rows = fetch_all!(
            self.0,
            Row,
            select!(
                "where organization_id in
                    (select organization_id from memberships where account_id = $1 and role = 'owner') order by number"
            ),
            account.0,
        )?;
        rows.into_iter().map(Row::read).collect()
    }

    /// Whether the organization has another one of that name.
    pub(crate) async fn is_taken(
        &mut self,
        organization: OrganizationId,
        name: &str,
        by_other_than: ApplicationId,
    ) -> Result<bool> {
        let row = fetch_optional!(
            self.0,
            (i64,),
            "select number from oauth_applications where organization_id = $1 and name = $2 and id <> $3",
            organization.0,
            name,
            by_other_than.0,
        )?;
        Ok(row.is_some())
    }

    /// Writes what can be changed of one. Its own tokens are looked at anew.
    pub(crate) async fn change(&mut self, application: &Application, now: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "update oauth_applications set name = $2, description = $3, grant_types = $4, redirect_uris = $5, scopes = $6,
                access_level = $7, status = $8, updated_at = $9, post_logout_redirect_uris = $10,
                backchannel_logout_uri = $11, backchannel_logout_session_required = $12, authentication = $13, metadata = $14
             where id = $1",
            application.id.0,
            application.name.as_str(),
            application.description.as_str(),
            joined(application.grant_types.iter().map(|one| one.as_str())),
            joined(application.redirect_uris.iter().map(RedirectUri::as_str)),
            application.scopes.to_string(),
            application.access_level.as_str(),
            application.status.as_str(),
            now.micros(),
            joined(application.logout.post_logout_redirect_uris.iter().map(RedirectUri::as_str)),
            application.logout.backchannel_uri.as_ref().map(BackchannelUri::as_str),
            application.logout.session_required,
            application.authentication.as_str(),
            application.metadata.stored(),
        )?;
        self.changed(application);
        Ok(())
    }

    /// Refuses the secret before the present one from now on.
    pub(crate) async fn forget_previous_secret(&mut self, application: &Application) -> Result<()> {
        execute!(
            self.0,
            "update oauth_applications set previous_secret_hash = null, previous_secret_until = null where id = $1",
            application.id.0,
        )?;
        self.changed(application);
        Ok(())
    }

    /// Takes it out of use for an operator, or puts it back.
    pub(crate) async fn suspend(&mut self, application: &Application, at: Option<Timestamp>) -> Result<()> {
        execute!(
            self.0,
            "update oauth_applications set suspended_at = $2 where id = $1",
            application.id.0,
            at.map(Timestamp::micros),
        )?;
        self.changed(application);
        Ok(())
    }

    /// Gives it another secret, which is kept besides, sealed, where it signs with it.
    pub(crate) async fn replace_secret(
        &mut self,
        application: &Application,
        (secret, sealed): (&TokenHash, Option<Vec<u8>>),
        previous_until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<()> {
        let previous = application.secrets.current.filter(|_| previous_until.is_some());
        execute!(
            self.0,
            "update oauth_applications set secret_hash = $2, previous_secret_hash = $3, previous_secret_until = $4,
                updated_at = $5, sealed_secret = $6 where id = $1",
            application.id.0,
            secret.as_bytes().to_vec(),
            previous.map(|hash| hash.as_bytes().to_vec()),
            previous_until.map(Timestamp::micros),
            now.micros(),
            sealed,
        )?;
        self.changed(application);
        Ok(())
    }

    /// Takes its secrets away: it proves who it is in another way, or not at all.
    pub(crate) async fn remove_secrets(&mut self, application: &Application) -> Result<()> {
        execute!(
            self.0,
            "update oauth_applications set secret_hash = null, sealed_secret = null, previous_secret_hash = null,
                previous_secret_until = null where id = $1",
            application.id.0,
        )?;
        self.changed(application);
        Ok(())
    }

    /// Begins new epochs: all tokens that were made for it before are dead.
    pub(crate) async fn renew_epochs(
        &mut self,
        application: &Application,
        (epoch, own_epoch): (Uuid, Uuid),
    ) -> Result<()> {
        execute!(
            self.0,
            "update oauth_applications set epoch = $2, own_epoch = $3 where id = $1",
            application.id.0,
            epoch,
            own_epoch,
        )?;
        self.changed(application);
        Ok(())
    }

    /// Begins a new epoch of the tokens in its own name: those that were made before are dead, and no others.
    pub(crate) async fn renew_own_epoch(&mut self, application: &Application, own_epoch: Uuid) -> Result<()> {
        execute!(
            self.0,
            "update oauth_applications set own_epoch = $2 where id = $1 and own_epoch = $3",
            application.id.0,
            own_epoch,
            application.own_epoch,
        )?;
        self.changed(application);
        Ok(())
    }

    /// Notes that it is in use, unless that was noted after `before`.
    pub(crate) async fn used(&mut self, id: ApplicationId, now: Timestamp, before: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "update oauth_applications set last_used_at = $2
             where id = $1 and (last_used_at is null or last_used_at < $3)",
            id.0,
            now.micros(),
            before.micros(),
        )?;
        self.0.note(changes::application(id));
        Ok(())
    }

    /// Removes it.
    pub(crate) async fn delete(&mut self, application: &Application) -> Result<bool> {
        let removed = execute!(self.0, "delete from oauth_applications where id = $1", application.id.0)?;
        self.changed(application);
        Ok(removed == 1)
    }
}
