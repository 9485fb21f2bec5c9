//! Organizations, workspaces, members.

use serde_json::json;
use tidegate_database::StoreError;
use tidegate_domain::id::{AccountId, WorkspaceId};
use tidegate_domain::{Document, Role, Timestamp};
use tidegate_identity::IdentityTables;
use tidegate_identity::organizations::repository::{
    NewMembership, NewOrganization, NewWorkspace, PersonalOrganization,
};
use tidegate_testkit::{concurrently, on_both_engines};

use crate::world::{Member, NOW, World, at, document, workspace};

/// What members are given.
const ROLES: [&str; 3] = ["Admin", "Developer", "Viewer"];

/// Adds a workspace to somebody's organization, which every member may enter who is named; answers key and number.
async fn add_workspace(
    world: &World,
    host: &Member,
    slug: &str,
    is_default: bool,
    members: &[AccountId],
) -> (WorkspaceId, i64) {
    let id: WorkspaceId = world.key();
    let new = NewWorkspace { id, ..workspace(host, slug, is_default) };
    world.insert_workspace(&new).await;
    for member in members {
        let statement = format!(
            "insert into membership_workspaces select id, {} from memberships
             where account_id = {} and organization_id = {}",
            world.database.sql_uuid(id),
            world.database.sql_uuid(*member),
            world.database.sql_uuid(host.organization),
        );
        assert_eq!(world.database.sql(&statement).await, 1);
    }
    let number = format!("select number from workspaces where id = {}", world.database.sql_uuid(id));
    (id, world.database.sql_count(&number).await)
}

async fn join_at(world: &World, host: &Member, account: AccountId, role: Role, joined_at: Timestamp) {
    let new = NewMembership { joined_at, ..world.membership(host.organization, account, role) };
    commit!(world.store, unit => unit.organizations().insert_membership(new, host.workspace));
}

on_both_engines! {
    async fn a_member_sees_their_organization_as_it_was_made(world: World) {
        let (ada, id) = (world.account().await, world.key());
        let host = Member { account: ada, organization: id, workspace: world.key() };
        let new = PersonalOrganization {
            organization: NewOrganization {
                id,
                name: "Difference Engines",
                domain: "ada.example",
                plan: "enterprise",
                created_at: NOW,
            },
            workspace: workspace(&host, "first", false),
            roles: ROLES.map(|name| (world.key(), name)),
            owner: NewMembership { joined_at: at(9), ..world.membership(id, ada, Role::Viewer) },
        };
        commit!(world.store, unit => unit.organizations().insert_personal(new));
        let number = world.database.sql_count("select number from organizations").await;
        let seen = read!(world.store, unit => unit.organizations().of_member(ada));
        let seen = match &seen[..] {
            [one] => one,
            others => panic!("{others:?}"),
        };
        assert_eq!((seen.id, seen.number, seen.role), (id, number, Role::Viewer));
        assert_eq!(
            (seen.name.as_str(), seen.domain.as_str(), seen.plan.as_str()),
            ("Difference Engines", "ada.example", "enterprise")
        );
        assert_eq!((seen.joined_at, seen.source.as_str()), (at(9), "signup"));
        let seen = read!(world.store, unit => unit.organizations().workspaces_of_member(ada));
        assert_eq!((seen[0].id, seen[0].organization, seen[0].is_default), (host.workspace, id, false));
        assert_eq!(
            (seen[0].name.as_str(), seen[0].slug.as_str(), seen[0].created_at),
            ("Workshop", "first", NOW)
        );
    }

    async fn a_persons_own_organization_is_made_whole_or_not_at_all(world: World) {
        let (ada, id, key) = (world.account().await, world.key(), world.key());
        let host = Member { account: ada, organization: id, workspace: key };
        let new = PersonalOrganization {
            organization: NewOrganization {
                id,
                name: "Ada's",
                domain: "ada.example",
                plan: "free",
                created_at: NOW,
            },
            workspace: workspace(&host, "first", true),
            roles: ROLES.map(|name| (world.key(), name)),
            owner: world.membership(id, ada, Role::Owner),
        };
        commit!(world.store, unit => unit.organizations().insert_personal(new));
        let target = read!(world.store, unit => unit.organizations().sign_in_target(ada, None)).unwrap();
        assert_eq!((target.organization, target.workspace, target.role), (id, Some(key), Role::Owner));
        assert_eq!(world.database.sql_texts("select name from roles order by name").await, ["Admin", "Developer", "Viewer"]);
        assert_eq!(world.database.sql_count("select count(*) from memberships where accepted_at is not null").await, 1);

        // What a manager makes waits to be accepted.
        let (eve, id) = (world.account().await, world.key());
        let invited = PersonalOrganization {
            organization: NewOrganization { id, ..new.organization },
            workspace: NewWorkspace { id: world.key(), ..new.workspace },
            roles: new.roles.map(|(_, name)| (world.key(), name)),
            owner: NewMembership { source: "managed", ..world.membership(id, eve, Role::Owner) },
        };
        commit!(world.store, unit => unit.organizations().insert_personal(invited));
        assert_eq!(world.database.sql_count("select count(*) from memberships where accepted_at is null").await, 1);

        // Its owner is no account: nothing of it is made.
        let mut unit = world.store.begin().await.unwrap();
        let orphan = PersonalOrganization {
            organization: NewOrganization { id: world.key(), ..new.organization },
            workspace: NewWorkspace { id: world.key(), ..new.workspace },
            roles: new.roles.map(|(_, name)| (world.key(), name)),
            owner: NewMembership { id: world.key(), account: world.key(), ..new.owner },
        };
        unit.organizations().insert_personal(orphan).await.unwrap();
        assert!(unit.commit().await.is_err());
        assert_eq!(world.database.sql_count("select count(*) from organizations").await, 2);
        assert_eq!(world.database.sql_count("select count(*) from roles").await, 6);
    }

    async fn organizations_are_listed_in_the_order_they_were_joined(world: World) {
        let (one, two) = (world.member("one@example.com").await, world.member("two@example.com").await);
        let ada = world.account().await;
        join_at(&world, &two, ada, Role::Admin, at(1)).await;
        join_at(&world, &one, ada, Role::Viewer, at(2)).await;
        let seen = read!(world.store, unit => unit.organizations().of_member(ada));
        let seen: Vec<_> = seen.iter().map(|organization| organization.id).collect();
        assert_eq!(seen, [two.organization, one.organization]);
        let nobody = read!(world.store, unit => unit.organizations().of_member(world.key()));
        assert!(nobody.is_empty());
    }

    async fn somebody_lands_in_the_default_workspace_of_the_organization_they_joined_first(world: World) {
        let (first, second) = (world.member("one@example.com").await, world.member("two@example.com").await);
        let ada = world.account().await;
        join_at(&world, &second, ada, Role::Admin, at(2)).await;
        join_at(&world, &first, ada, Role::Viewer, at(1)).await;
        // A workspace that is no default, and a default one they may not enter, change nothing.
        add_workspace(&world, &first, "side", false, &[ada]).await;
        add_workspace(&world, &first, "locked", true, &[]).await;
        let sign_in_target = read!(world.store, unit => unit.organizations().sign_in_target(ada, None)).unwrap();
        assert_eq!((sign_in_target.organization, sign_in_target.workspace), (first.organization, Some(first.workspace)));
        assert_eq!(sign_in_target.role, Role::Viewer);
    }

    async fn somebody_lands_in_the_workspace_they_ask_for_if_they_may_enter_it(world: World) {
        let (first, second) = (world.member("one@example.com").await, world.member("two@example.com").await);
        join_at(&world, &second, first.account, Role::Developer, at(5)).await;
        let (side, number) = add_workspace(&world, &second, "side", false, &[first.account]).await;
        let (_, locked) = add_workspace(&world, &second, "locked", false, &[]).await;
        let sign_in_target =
            read!(world.store, unit => unit.organizations().sign_in_target(first.account, Some(number))).unwrap();
        assert_eq!((sign_in_target.organization, sign_in_target.workspace), (second.organization, Some(side)));
        assert_eq!(sign_in_target.role, Role::Developer);
        // Not theirs, nobody's, and the numbers that stand for something else inside.
        for refused in [locked, 9_999, 0, -1, i64::MIN, i64::MAX] {
            let sign_in_target =
                read!(world.store, unit => unit.organizations().sign_in_target(first.account, Some(refused)));
            assert!(sign_in_target.is_none(), "{refused}: {sign_in_target:?}");
        }
    }

    async fn a_member_of_an_organization_without_a_workspace_lands_nowhere_in_it(world: World) {
        let ada = world.member("ada@example.com").await;
        world.database.sql("delete from membership_workspaces").await;
        let sign_in_target = read!(world.store, unit => unit.organizations().sign_in_target(ada.account, None)).unwrap();
        assert_eq!((sign_in_target.organization, sign_in_target.workspace), (ada.organization, None));
        let nobody = world.account().await;
        assert!(read!(world.store, unit => unit.organizations().sign_in_target(nobody, None)).is_none());
    }

    async fn names_are_unique_where_they_must_be(world: World) {
        let ada = world.member("ada@example.com").await;
        let id = world.key();
        let host = Member { account: ada.account, organization: id, workspace: world.key() };
        let new = PersonalOrganization {
            organization: NewOrganization { id, name: "", domain: "", plan: "free", created_at: NOW },
            workspace: workspace(&host, "default", true),
            roles: ["Admin", "Viewer", "Admin"].map(|name| (world.key(), name)),
            owner: world.membership(id, ada.account, Role::Owner),
        };
        let mut unit = world.store.begin().await.unwrap();
        unit.organizations().insert_personal(new).await.unwrap();
        let twice = unit.commit().await;
        assert!(matches!(twice, Err(StoreError::Database(_))), "{twice:?}");
        let schema = world.store.schema().await.unwrap();
        let unique = "workspaces unique (organization_id,slug)";
        assert!(schema.iter().any(|line| line == unique), "{}", schema.join("\n"));
        let mut unit = world.store.begin().await.unwrap();
        let again = world.membership(ada.organization, ada.account, Role::Viewer);
        let twice = unit.organizations().insert_membership(again, ada.workspace).await;
        assert!(matches!(twice, Err(StoreError::Database(_))), "{twice:?}");
    }

    async fn a_role_no_version_has_written_is_an_error_not_a_guess(world: World) {
        let ada = world.member("ada@example.com").await;
        world.database.sql("update memberships set role = 'emperor'").await;
        let mut unit = world.store.read().await.unwrap();
        let sign_in_target = unit.organizations().sign_in_target(ada.account, None).await;
        assert!(matches!(sign_in_target, Err(StoreError::Unreadable("memberships.role"))), "{sign_in_target:?}");
        assert!(unit.organizations().of_member(ada.account).await.is_err());
    }

    // A person whose account was made for them founded an organization as well, and before: they work in the
    // other.
    async fn somebody_lands_at_home_wherever_else_they_joined_before(world: World) {
        let (own, home) = (world.member("ada@example.com").await, world.member("host@example.com").await);
        let guest = world.member("guest@example.com").await;
        join_at(&world, &guest, own.account, Role::Admin, at(-9)).await;
        let came = NewMembership {
            joined_at: at(99),
            is_home: true,
            ..world.membership(home.organization, own.account, Role::Viewer)
        };
        commit!(world.store, unit => unit.organizations().insert_membership(came, home.workspace));
        let sign_in_target = read!(world.store, unit => unit.organizations().sign_in_target(own.account, None)).unwrap();
        assert_eq!((sign_in_target.organization, sign_in_target.workspace), (home.organization, Some(home.workspace)));
        assert_eq!(sign_in_target.role, Role::Viewer);
        // Who asks for a workspace elsewhere gets there.
        let number =
            format!("select number from workspaces where id = {}", world.database.sql_uuid(own.workspace));
        let number = world.database.sql_count(&number).await;
        let sign_in_target =
            read!(world.store, unit => unit.organizations().sign_in_target(own.account, Some(number))).unwrap();
        assert_eq!((sign_in_target.organization, sign_in_target.role), (own.organization, Role::Owner));
    }

    async fn an_account_has_one_home(world: World) {
        let (one, two) = (world.member("one@example.com").await, world.member("two@example.com").await);
        let ada = world.person(&one, "ada@example.com").await;
        let again = NewMembership { is_home: true, ..world.membership(two.organization, ada, Role::Viewer) };
        let mut unit = world.store.begin().await.unwrap();
        let refused = unit.organizations().insert_membership(again, two.workspace).await;
        assert!(matches!(refused, Err(StoreError::Database(_))), "{refused:?}");
        drop(unit);
        world.join(&two, ada, Role::Viewer).await;
        // And an organization is home to many.
        world.person(&one, "bob@example.com").await;
        world.program(&one, "export").await;
    }

    async fn members_land_in_the_default_workspace_or_the_oldest(world: World) {
        let ada = world.member("ada@example.com").await;
        world.member("eve@example.com").await;
        add_workspace(&world, &ada, "side", false, &[]).await;
        let organization = ada.organization;
        let found = read!(world.store, unit => unit.organizations().default_workspace(organization));
        assert_eq!(found, ada.workspace);
        world.database.sql("update workspaces set is_default = false").await;
        let found = read!(world.store, unit => unit.organizations().default_workspace(organization));
        assert_eq!(found, ada.workspace);
        world.database.sql("update workspaces set is_default = true where slug = 'side'").await;
        let found = read!(world.store, unit => unit.organizations().default_workspace(organization));
        assert_ne!(found, ada.workspace);
        let mut unit = world.store.read().await.unwrap();
        let nowhere = unit.organizations().default_workspace(world.key()).await;
        assert!(nowhere.is_err(), "{nowhere:?}");
    }

    async fn an_organizations_document_is_empty_then_what_it_was_set_to(world: World) {
        let (acme, rival) = (world.organization().await, world.organization().await);
        let metadata = document(json!({"plan": {"seats": 3}, "tags": ["é", null]}));
        assert_eq!(read!(world.store, unit => unit.organizations().metadata(acme)), Some(Document::default()));
        commit!(world.store, unit => unit.organizations().set_metadata(acme, &metadata, at(7)));
        assert_eq!(read!(world.store, unit => unit.organizations().metadata(acme)), Some(metadata));
        assert_eq!(read!(world.store, unit => unit.organizations().metadata(rival)), Some(Document::default()));
        let updated = "select count(*) from organizations where updated_at > created_at";
        assert_eq!(world.database.sql_count(updated).await, 1);
        assert_eq!(read!(world.store, unit => unit.organizations().metadata(world.key())), None);
    }

    async fn changes_of_a_locked_organization_follow_one_another(world: World) {
        let acme = world.organization().await;
        concurrently(20, |_| {
            let store = world.store.clone();
            async move {
                let mut unit = store.begin().await.unwrap();
                assert!(unit.organizations().lock(acme).await.unwrap());
                let metadata = unit.organizations().metadata(acme).await.unwrap().unwrap();
                let count = metadata.to_value().unwrap()["count"].as_i64().unwrap_or(0) + 1;
                let metadata = document(json!({ "count": count }));
                unit.organizations().set_metadata(acme, &metadata, NOW).await.unwrap();
                unit.commit().await.unwrap();
            }
        })
        .await;
        let metadata = read!(world.store, unit => unit.organizations().metadata(acme));
        assert_eq!(metadata, Some(document(json!({ "count": 20 }))));
        assert!(!commit!(world.store, unit => unit.organizations().lock(world.key())));
    }

    async fn an_organizations_owner_is_known(world: World) {
        let (ada, eve) = (world.member("ada@example.com").await, world.member("eve@example.com").await);
        world.join(&ada, eve.account, Role::Admin).await;
        let owner = read!(world.store, unit => unit.organizations().owner(ada.organization));
        assert_eq!(owner, Some(ada.account));
        let nobody = world.organization().await;
        assert_eq!(read!(world.store, unit => unit.organizations().owner(nobody)), None);
    }
}
