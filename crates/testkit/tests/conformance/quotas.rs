//! What organizations keep is counted, exactly, however many add to it at once.

use serde_json::json;
use tidegate_domain::Document;
use tidegate_domain::database::{Database, ResolvedSession};
use tidegate_domain::flexible_id::FlexibleId;
use tidegate_domain::id::OrganizationId;
use tidegate_domain::quota::Quota;
use tidegate_identity::IdentityTables;
use tidegate_identity::credentials::service_keys_repository::ServiceKey;
use tidegate_testkit::{concurrently, on_both_engines};

use crate::world::{NOW, World, at, document};

fn database(world: &World, organization: OrganizationId, name: &str) -> Database {
    let kind = "urlsafe64".parse().unwrap();
    Database {
        id: world.key(),
        organization,
        name: name.to_owned(),
        description: String::new(),
        item_id_type: kind,
        user_id_type: kind,
        session_id_type: kind,
        created_at: NOW,
        ready_at: NOW,
    }
}

fn resolved(session: &str) -> ResolvedSession {
    let ident = |text: &str| FlexibleId::from_stored(text.to_owned());
    ResolvedSession { session: ident(session), user: ident("1"), at: NOW }
}

async fn used(world: &World, organization: OrganizationId, quota: Quota) -> i64 {
    read!(world.store, unit => unit.quotas().used(organization, quota, NOW))
}

on_both_engines! {
    async fn an_organization_is_counted_with_what_belongs_to_it_alone(world: World) {
        let (host, rival) = (world.member("host@example.com").await, world.member("rival@example.com").await);
        let ada = world.person(&host, "ada@example.com").await;
        let export = world.program(&host, "export").await;
        world.program(&rival, "import").await;
        let metadata = document(json!({ "a": "x".repeat(92) }));
        assert_eq!(metadata.stored_bytes(), 100);
        commit!(world.store, unit => unit.members().describe(ada, "", "", &metadata, NOW));
        commit!(world.store, unit => unit.members().describe(export, "", "", &metadata, NOW));
        for (hash, key) in [(&[1_u8; 32], &metadata), (&[2; 32], &Document::default())] {
            let key = ServiceKey {
                id: world.key(), account: export, metadata: key.clone(), created_at: NOW, expires_at: Some(at(1)),
            };
            commit!(world.store, unit => unit.service_keys().insert(&key, hash));
        }
        let films = database(&world, host.organization, "films");
        assert!(commit!(world.store, unit => unit.databases().insert(&films, &metadata)));
        assert!(commit!(world.store, unit => unit.databases().update(&films, &document(json!({ "a": 1 })))));
        commit!(world.store, unit => unit.organizations().set_metadata(host.organization, &metadata, NOW));
        for (quota, expected) in [
            // Ada; the host of this story is at home nowhere.
            (Quota::Members, 1),
            (Quota::Programs, 1),
            (Quota::Keys, 2),
            (Quota::Databases, 1),
            (Quota::ResolvedSessions, 0),
            // Ada, the program, two keys, the database, the organization.
            (Quota::MetadataBytes, 100 + 100 + 100 + 2 + 7 + 100),
        ] {
            assert_eq!(used(&world, host.organization, quota).await, expected, "{quota:?}");
        }
        // What is deleted counts no more.
        assert!(commit!(world.store, unit => unit.databases().remove(host.organization, films.id, at(5))));
        commit!(world.store, unit => unit.accounts().delete(export, "export", at(5)));
        for (quota, expected) in
            [(Quota::Programs, 0), (Quota::Keys, 0), (Quota::Databases, 0), (Quota::MetadataBytes, 100 + 100)]
        {
            assert_eq!(used(&world, host.organization, quota).await, expected, "{quota:?}");
        }
        assert_eq!(used(&world, rival.organization, Quota::Programs).await, 1);
    }

    async fn documents_that_a_stranger_left_do_not_count_for_the_owner_of_the_address(world: World) {
        let host = world.member("host@example.com").await;
        let ada = world.person(&host, "ada@example.com").await;
        let metadata = document(json!({ "a": "x".repeat(92) }));
        commit!(world.store, unit => unit.members().describe(ada, "", "", &metadata, NOW));
        commit!(world.store, unit => unit.organizations().set_metadata(host.organization, &metadata, NOW));
        for (cleared, expected) in [(None, 100 + 100), (Some(ada), 2 + 100), (Some(host.account), 2 + 2)] {
            if let Some(account) = cleared {
                commit!(world.store, unit => unit.claims().clear_descriptions(account, "ada", at(5)));
            }
            let counted = used(&world, host.organization, Quota::MetadataBytes).await;
            assert_eq!(counted, expected, "{cleared:?}");
        }
    }

    async fn of_two_units_that_add_the_second_counts_what_the_first_added(world: World) {
        let acme = world.organization().await;
        let new: Vec<_> = (0..20).map(|number| database(&world, acme, &format!("films {number}"))).collect();
        let added = concurrently(20, |number| {
            let (store, new) = (world.store.clone(), new[number].clone());
            async move {
                let mut unit = store.begin().await.unwrap();
                assert!(unit.databases().insert(&new, &Document::default()).await.unwrap());
                unit.quotas().lock(acme).await.unwrap();
                if unit.quotas().used(acme, Quota::Databases, NOW).await.unwrap() > 7 {
                    return false;
                }
                unit.commit().await.unwrap();
                true
            }
        })
        .await;
        assert_eq!(added.iter().filter(|added| **added).count(), 7);
        assert_eq!(used(&world, acme, Quota::Databases).await, 7);
    }

    async fn resolved_sessions_count_until_they_are_removed(world: World) {
        let acme = world.organization().await;
        let films = database(&world, acme, "films");
        assert!(commit!(world.store, unit => unit.databases().insert(&films, &Document::default())));
        concurrently(20, |number| {
            let (store, id) = (world.store.clone(), films.id);
            async move {
                let mut unit = store.begin().await.unwrap();
                // Ten sessions, each twice.
                let one = resolved(&format!("s{}", number % 10));
                if unit.databases().resolve_session(id, &one).await.unwrap() {
                    unit.quotas().add_resolved_session(acme).await.unwrap();
                }
                unit.commit().await.unwrap();
            }
        })
        .await;
        assert_eq!(used(&world, acme, Quota::ResolvedSessions).await, 10);
        assert!(commit!(world.store, unit => unit.databases().remove(acme, films.id, at(5))));
        assert_eq!(used(&world, acme, Quota::ResolvedSessions).await, 10);
        assert_eq!(commit!(world.store, unit => unit.databases().purge(at(6), 4)), 4);
        assert_eq!(used(&world, acme, Quota::ResolvedSessions).await, 6);
        while commit!(world.store, unit => unit.databases().purge(at(6), 4)) > 0 {}
        assert_eq!(used(&world, acme, Quota::ResolvedSessions).await, 0);
    }
}
