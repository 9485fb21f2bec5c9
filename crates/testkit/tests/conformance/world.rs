//! What the cases share: a store, and short ways to put things into it.

use std::time::Duration;

use tidegate_database::{Result, Store, Unit};
use tidegate_domain::account::{AccountKind, LoginName, ServiceName};
use tidegate_domain::id::{AccountId, OrganizationId, RefreshTokenId, SessionId, WorkspaceId};
use tidegate_domain::session::{Amr, AmrSet, SessionTimes};
use tidegate_domain::{ContractId, Document, EmailAddress, Entropy, PhoneNumber, Role, Scopes, Timestamp};
use tidegate_identity::IdentityTables;
use tidegate_identity::accounts::repository::{NewAccount, NewIdentifier};
use tidegate_identity::organizations::repository::{NewMembership, NewWorkspace};
use tidegate_kernel::KernelTables;
use tidegate_kernel::tables::refresh_tokens::NewRefreshToken;
use tidegate_kernel::tables::sessions::NewSession;
use tidegate_testkit::{Engine, Fixture, SeededEntropy, TestDatabase};
use uuid::Uuid;

/// When every case begins.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_767_603_600);

/// `seconds` after the case began.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW.seconds() + seconds)
}

/// A document as the store holds it: no rule on what people may send applies here.
pub(crate) fn document(value: serde_json::Value) -> Document {
    serde_json::from_value(value).unwrap()
}

/// Does one thing in a unit of its own, commits it, and answers what it answered.
macro_rules! commit {
    ($store:expr, $unit:ident => $work:expr) => {{
        let mut $unit = $store.begin().await.unwrap();
        let answer = $work.await.unwrap();
        $unit.commit().await.unwrap();
        answer
    }};
}

/// Reads one thing.
macro_rules! read {
    ($store:expr, $unit:ident => $work:expr) => {{
        let mut $unit = $store.read().await.unwrap();
        $work.await.unwrap()
    }};
}

/// A migrated database and one node's store on it.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) database: TestDatabase,
    entropy: SeededEntropy,
}

/// Somebody with an organization of their own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub(crate) account: AccountId,
    pub(crate) organization: OrganizationId,
    pub(crate) workspace: WorkspaceId,
}

impl Fixture for World {
    async fn prepare(engine: Engine) -> Self {
        let database = TestDatabase::create(engine).await;
        Self { store: database.open().await, database, entropy: SeededEntropy::default() }
    }
}

impl World {
    /// A new row key.
    pub(crate) fn key<K: From<Uuid>>(&self) -> K {
        self.key_made(NOW)
    }

    /// A new row key of that moment: keys of later ones follow it.
    pub(crate) fn key_made<K: From<Uuid>>(&self, at: Timestamp) -> K {
        let entropy: &dyn Entropy = &self.entropy;
        entropy.uuid(at).into()
    }

    /// A hash nobody else has.
    pub(crate) fn hash(&self) -> [u8; 32] {
        let entropy: &dyn Entropy = &self.entropy;
        entropy.bytes()
    }

    /// An account without anything.
    pub(crate) async fn account(&self) -> AccountId {
        let id = self.key();
        commit!(self.store, unit => insert_account(&mut unit, id));
        id
    }

    /// Somebody who signed up with that address.
    pub(crate) async fn member(&self, email: &str) -> Member {
        let member = Member {
            account: self.account().await,
            organization: self.organization().await,
            workspace: self.key(),
        };
        assert!(self.identify(member.account, &address(email), true).await);
        self.insert_workspace(&workspace(&member, "default", true)).await;
        self.join(&member, member.account, Role::Owner).await;
        member
    }

    /// An organization without anything.
    pub(crate) async fn organization(&self) -> OrganizationId {
        let id: OrganizationId = self.key();
        let (key, now) = (self.database.sql_uuid(id), NOW.micros());
        let statement = format!(
            "insert into organizations (id, name, domain, plan, settings, created_at, updated_at)
             values ({key}, 'Analytical Engines', 'example.com', 'free', '{{}}', {now}, {now})"
        );
        assert_eq!(self.database.sql(&statement).await, 1);
        id
    }

    /// Adds a workspace, which nobody may enter yet: the program makes the one that everybody has, and no other.
    pub(crate) async fn insert_workspace(&self, new: &NewWorkspace<'_>) {
        let statement = format!(
            "insert into workspaces (id, organization_id, name, slug, is_default, created_at)
             values ({}, {}, '{}', '{}', {}, {})",
            self.database.sql_uuid(new.id),
            self.database.sql_uuid(new.organization),
            new.name,
            new.slug,
            new.is_default,
            new.created_at.micros(),
        );
        assert_eq!(self.database.sql(&statement).await, 1);
    }

    /// Makes an account a member of somebody's organization.
    pub(crate) async fn join(&self, host: &Member, account: AccountId, role: Role) {
        let new = self.membership(host.organization, account, role);
        commit!(self.store, unit => unit.organizations().insert_membership(new, host.workspace));
    }

    /// Makes somebody's organization an account's home.
    pub(crate) async fn take_in(&self, host: &Member, account: AccountId, role: Role) {
        let new = NewMembership { is_home: true, ..self.membership(host.organization, account, role) };
        commit!(self.store, unit => unit.organizations().insert_membership(new, host.workspace));
    }

    /// A person who is at home in somebody's organization.
    pub(crate) async fn person(&self, host: &Member, email: &str) -> AccountId {
        let id = self.account().await;
        assert!(self.identify(id, &address(email), true).await);
        self.take_in(host, id, Role::Developer).await;
        id
    }

    /// A program that is at home in somebody's organization.
    pub(crate) async fn program(&self, host: &Member, name: &str) -> AccountId {
        let id = self.key();
        let new = NewAccount { kind: AccountKind::Service, display_name: name, ..account(id) };
        commit!(self.store, unit => unit.accounts().insert(&new));
        assert!(self.identify(id, &program_name(name), true).await);
        self.take_in(host, id, Role::Developer).await;
        id
    }

    /// A membership that is yet to be added.
    pub(crate) fn membership(
        &self,
        organization: OrganizationId,
        account: AccountId,
        role: Role,
    ) -> NewMembership<'static> {
        NewMembership {
            id: self.key(),
            account,
            organization,
            role,
            source: "signup",
            is_home: false,
            joined_at: NOW,
        }
    }

    /// An address, number or name that is yet to be added.
    pub(crate) fn identifier<'a>(
        &self,
        account: AccountId,
        login: &'a LoginName,
        is_primary: bool,
    ) -> NewIdentifier<'a> {
        NewIdentifier { id: self.key(), account, login, verified_at: None, is_primary, created_at: NOW }
    }

    /// Gives an account an address, number or name; answers whether nobody had it.
    pub(crate) async fn identify(
        &self,
        account: AccountId,
        login: &(impl Clone + Into<LoginName>),
        is_primary: bool,
    ) -> bool {
        let login = login.clone().into();
        let new = self.identifier(account, &login, is_primary);
        commit!(self.store, unit => unit.accounts().insert_identifier(new))
    }

    /// A session of somebody that ends after so many seconds.
    pub(crate) async fn session(&self, member: &Member, seconds: i64) -> SessionId {
        let id = self.key();
        let new = NewSession { id, ..session(member, seconds) };
        commit!(self.store, unit => unit.sessions().insert(&new));
        id
    }

    /// A refresh token with that hash, an hour long.
    pub(crate) async fn refresh_token(
        &self,
        session: SessionId,
        hash: &[u8],
        parent: Option<RefreshTokenId>,
    ) -> RefreshTokenId {
        let id = self.key();
        let new = NewRefreshToken { id, session, hash, parent, issued_at: NOW, expires_at: at(3_600) };
        commit!(self.store, unit => unit.refresh_tokens().insert(new));
        id
    }
}

/// Adds a person who has nothing.
pub(crate) async fn insert_account(unit: &mut Unit, id: AccountId) -> Result<i64> {
    unit.accounts().insert(&account(id)).await
}

/// A person who has nothing, yet to be added.
pub(crate) fn account(id: AccountId) -> NewAccount<'static> {
    NewAccount {
        id,
        kind: AccountKind::Individual,
        display_name: "Ada",
        agreed_to_terms: true,
        terms_version: Some("1.0"),
        language: None,
        created_at: NOW,
    }
}

/// A workspace that is yet to be added, with the member's workspace key.
pub(crate) fn workspace<'a>(member: &Member, slug: &'a str, is_default: bool) -> NewWorkspace<'a> {
    NewWorkspace {
        id: member.workspace,
        organization: member.organization,
        name: "Workshop",
        slug,
        is_default,
        created_at: NOW,
    }
}

/// A session that is yet to be opened, with the nil key.
pub(crate) fn session(member: &Member, seconds: i64) -> NewSession<'static> {
    NewSession {
        id: SessionId(Uuid::nil()),
        account: member.account,
        organization: member.organization,
        workspace: Some(member.workspace),
        contract: ContractId::RIVERGEN,
        amr: AmrSet::of(Amr::Password),
        auth_time: NOW,
        remember_me: false,
        ip: "192.0.2.1",
        user_agent: "test",
        created_at: NOW,
        times: SessionTimes { expires_at: at(seconds), ends_at: at(seconds) },
        binding: None,
        service_key: None,
        token_hash: None,
        scopes: &Scopes::Full,
        application: None,
    }
}

pub(crate) fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

pub(crate) fn phone(text: &str) -> PhoneNumber {
    PhoneNumber::from_stored(text.to_owned())
}

pub(crate) fn program_name(text: &str) -> LoginName {
    ServiceName::parse(text).unwrap().into()
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
