//! The tables every feature works with, and all migrations there were before features had their own.

pub mod access_tokens;
pub mod account_cards;
pub mod application_records;
pub mod audit;
mod browser_visits;
pub mod dpop_proofs;
pub mod ended_sessions;
pub mod idempotency;
pub mod installation_facts;
pub mod kept_sessions;
pub mod keys;
pub mod known_networks;
pub mod limits;
mod logged_out;
pub mod memberships;
mod new_sessions;
pub mod outbox;
pub mod refresh_tokens;
mod session_records;
pub mod sessions;

use tidegate_database::{Migration, Result, StoreError, Unit};
use tidegate_domain::Role;
use tidegate_domain::id::{AccessTokenId, AccountId, SessionId};

use crate::changes;
use crate::jobs::repository::Jobs;
use access_tokens::AccessTokens;
use account_cards::AccountCards;
use application_records::ApplicationRecords;
use audit::Audit;
use dpop_proofs::DpopProofs;
use idempotency::Idempotency;
use installation_facts::InstallationFacts;
use keys::Keys;
use known_networks::KnownNetworks;
use limits::Limits;
use memberships::Memberships;
use outbox::Outbox;
use refresh_tokens::RefreshTokens;
use sessions::Sessions;

/// The schema. Only ever appended to.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "first light",
        text: include_str!("../../migrations/0001_first_light.sql"),
    },
    Migration {
        version: 2,
        name: "crossing minds",
        text: include_str!("../../migrations/0002_crossing_minds.sql"),
    },
    Migration { version: 3, name: "riven", text: include_str!("../../migrations/0003_riven.sql") },
    Migration { version: 7, name: "limits", text: include_str!("../../migrations/0007_limits.sql") },
    Migration { version: 8, name: "origins", text: include_str!("../../migrations/0008_origins.sql") },
    Migration { version: 9, name: "jobs", text: include_str!("../../migrations/0009_jobs.sql") },
    Migration { version: 11, name: "languages", text: include_str!("../../migrations/0011_languages.sql") },
    Migration {
        version: 14,
        name: "access tokens",
        text: include_str!("../../migrations/0014_access_tokens.sql"),
    },
    Migration {
        version: 15,
        name: "applications",
        text: include_str!("../../migrations/0015_applications.sql"),
    },
    Migration { version: 18, name: "grants", text: include_str!("../../migrations/0018_grants.sql") },
    Migration { version: 20, name: "leaving", text: include_str!("../../migrations/0020_leaving.sql") },
    Migration {
        version: 27,
        name: "id token keys",
        text: include_str!("../../migrations/0027_id_token_keys.sql"),
    },
    Migration {
        version: 29,
        name: "installation facts",
        text: include_str!("../../migrations/0029_installation_facts.sql"),
    },
    Migration {
        version: 30,
        name: "sessions of applications",
        text: include_str!("../../migrations/0030_sessions_of_applications.sql"),
    },
];

/// The kernel's repositories of a unit of work.
pub trait KernelTables {
    /// Sessions.
    fn sessions(&mut self) -> Sessions<'_>;

    /// Personal access tokens.
    fn access_tokens(&mut self) -> AccessTokens<'_>;

    /// Applications as the bearers of tokens in their own name.
    fn application_records(&mut self) -> ApplicationRecords<'_>;

    /// Refresh tokens.
    fn refresh_tokens(&mut self) -> RefreshTokens<'_>;

    /// Accounts as features see them that do not own them.
    fn account_cards(&mut self) -> AccountCards<'_>;

    /// Who is a member of an organization.
    fn memberships(&mut self) -> Memberships<'_>;

    /// The audit log.
    fn audit(&mut self) -> Audit<'_>;

    /// Mails and messages to be sent.
    fn outbox(&mut self) -> Outbox<'_>;

    /// Background work.
    fn jobs(&mut self) -> Jobs<'_>;

    /// Answers to repeated requests.
    fn idempotency(&mut self) -> Idempotency<'_>;

    /// Rate limits.
    fn limits(&mut self) -> Limits<'_>;

    /// Networks that accounts have signed in from.
    fn known_networks(&mut self) -> KnownNetworks<'_>;

    /// Proofs of possession that were shown.
    fn dpop_proofs(&mut self) -> DpopProofs<'_>;

    /// What the installation was started with.
    fn installation_facts(&mut self) -> InstallationFacts<'_>;

    /// Signing keys.
    fn keys(&mut self) -> Keys<'_>;

    /// Notes that what is shown of an account changes with this unit.
    fn touch_account(&mut self, account: AccountId);

    /// Notes that a session changes with this unit.
    fn touch_session(&mut self, session: SessionId);

    /// Notes that a personal access token changes with this unit.
    fn touch_access_token(&mut self, token: AccessTokenId);
}

impl KernelTables for Unit {
    fn sessions(&mut self) -> Sessions<'_> {
        Sessions(self)
    }

    fn access_tokens(&mut self) -> AccessTokens<'_> {
        AccessTokens(self)
    }

    fn application_records(&mut self) -> ApplicationRecords<'_> {
        ApplicationRecords(self)
    }

    fn refresh_tokens(&mut self) -> RefreshTokens<'_> {
        RefreshTokens(self)
    }

    fn account_cards(&mut self) -> AccountCards<'_> {
        AccountCards(self)
    }

    fn memberships(&mut self) -> Memberships<'_> {
        Memberships(self)
    }

    fn audit(&mut self) -> Audit<'_> {
        Audit(self)
    }

    fn outbox(&mut self) -> Outbox<'_> {
        Outbox(self)
    }

    fn jobs(&mut self) -> Jobs<'_> {
        Jobs(self)
    }

    fn idempotency(&mut self) -> Idempotency<'_> {
        Idempotency(self)
    }

    fn limits(&mut self) -> Limits<'_> {
        Limits(self)
    }

    fn known_networks(&mut self) -> KnownNetworks<'_> {
        KnownNetworks(self)
    }

    fn dpop_proofs(&mut self) -> DpopProofs<'_> {
        DpopProofs(self)
    }

    fn installation_facts(&mut self) -> InstallationFacts<'_> {
        InstallationFacts(self)
    }

    fn keys(&mut self) -> Keys<'_> {
        Keys(self)
    }

    fn touch_account(&mut self, account: AccountId) {
        self.note(changes::account(account));
    }

    fn touch_session(&mut self, session: SessionId) {
        self.note(changes::session(session));
    }

    fn touch_access_token(&mut self, token: AccessTokenId) {
        self.note(changes::access_token(token));
    }
}

/// A role as it is stored.
///
/// # Errors
/// [`StoreError::Unreadable`] for a word that no version has written.
pub fn role(name: &str) -> Result<Role> {
    Role::from_name(name).ok_or(StoreError::Unreadable("memberships.role"))
}
