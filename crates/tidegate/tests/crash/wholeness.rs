//! Nothing in the database is half made.

use tidegate_testkit::Engine;

use crate::installation::Installation;

/// What must not be found, and how it is looked for.
const HALF_MADE: &[(&str, &str)] = &[
    (
        "an account without its one address, password, membership and the workspace that goes with it",
        "select count(*) from accounts a where
            (select count(*) from identifiers i where i.account_id = a.id and i.is_primary) <> 1
            or (select count(*) from passwords p where p.account_id = a.id) <> 1
            or (select count(*) from memberships m where m.account_id = a.id and m.role = 'owner') <> 1
            or (select count(*) from memberships m join membership_workspaces mw on mw.membership_id = m.id
                where m.account_id = a.id) <> 1",
    ),
    (
        "an organization without its one owner, default workspace and three roles",
        "select count(*) from organizations o where
            (select count(*) from memberships m where m.organization_id = o.id) <> 1
            or (select count(*) from workspaces w where w.organization_id = o.id and w.is_default) <> 1
            or (select count(*) from roles r where r.organization_id = o.id) <> 3",
    ),
    (
        "organizations other than one for each account",
        "select (select count(*) from organizations) - (select count(*) from accounts)",
    ),
    (
        "an account that was not recorded as signed up",
        "select count(*) from accounts a where not exists
            (select 1 from audit_events e where e.account_id = a.id and e.action = 'auth.signup')",
    ),
    (
        "a session without a refresh token",
        "select count(*) from sessions s where not exists
            (select 1 from refresh_tokens t where t.session_id = s.id)",
    ),
    (
        "a refresh token whose session does not know that it was exchanged",
        "select count(*) from refresh_tokens t join sessions s on s.id = t.session_id
         where t.issued_at > s.last_activity_at",
    ),
    (
        "a code that no mail carries",
        "select (select count(*) from challenges) - (select count(*) from outbox_messages)",
    ),
    (
        "a mail that is given up or was never to be sent",
        "select count(*) from outbox_messages where state not in ('pending', 'delivered')",
    ),
];

impl Installation {
    /// Looks for everything that could be half made.
    ///
    /// # Panics
    /// When some of it is.
    pub(crate) async fn is_whole(&self) {
        if self.database.engine() == Engine::Sqlite {
            assert_eq!(self.database.sql_texts("pragma integrity_check").await, ["ok"]);
            assert_eq!(self.database.sql_count("select count(*) from pragma_foreign_key_check").await, 0);
        }
        for (what, query) in HALF_MADE {
            assert_eq!(self.database.sql_count(query).await, 0, "{what}");
        }
    }
}
