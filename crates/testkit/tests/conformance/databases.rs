//! Databases of an organization, and the sessions resolved in them.

use std::collections::BTreeSet;

use serde_json::json;
use tidegate_database::StoreError;
use tidegate_domain::Document;
use tidegate_domain::database::{Database, ResolvedSession};
use tidegate_domain::flexible_id::{FlexibleId, IdType};
use tidegate_domain::id::{DatabaseId, OrganizationId};
use tidegate_identity::IdentityTables;
use tidegate_testkit::{concurrently, on_both_engines};

use crate::world::{NOW, World, at, document};

fn kind(name: &str) -> IdType {
    name.parse().unwrap()
}

/// A database that is yet to be added.
fn database(world: &World, organization: OrganizationId, name: &str) -> Database {
    Database {
        id: world.key(),
        organization,
        name: name.to_owned(),
        description: "of a test".to_owned(),
        item_id_type: kind("uuid"),
        user_id_type: kind("uint32"),
        session_id_type: kind("urlsafe64"),
        created_at: NOW,
        ready_at: NOW,
    }
}

/// Adds one; answers it.
async fn add(world: &World, organization: OrganizationId, name: &str) -> Database {
    let new = database(world, organization, name);
    assert!(commit!(world.store, unit => unit.databases().insert(&new, &Document::default())));
    new
}

fn ident(text: &str) -> FlexibleId {
    FlexibleId::from_stored(text.to_owned())
}

fn resolved(session: &str, user: &str, seconds: i64) -> ResolvedSession {
    ResolvedSession { session: ident(session), user: ident(user), at: at(seconds) }
}

async fn resolve(world: &World, database: DatabaseId, session: &str, user: &str) {
    let one = resolved(session, user, 0);
    commit!(world.store, unit => unit.databases().resolve_session(database, &one));
}

/// The sessions resolved in a database, from after `after` on.
async fn sessions(
    world: &World,
    database: DatabaseId,
    users: &[&str],
    after: &str,
    limit: usize,
) -> Vec<String> {
    let users: BTreeSet<_> = users.iter().map(|user| ident(user)).collect();
    let users = Some(&users).filter(|users| !users.is_empty());
    let found = read!(world.store, unit => unit.databases().resolved_sessions(database, users, after, limit));
    found.into_iter().map(|one| one.session.as_str().to_owned()).collect()
}

fn names(page: &[Database]) -> Vec<&str> {
    page.iter().map(|database| database.name.as_str()).collect()
}

on_both_engines! {
    async fn a_database_is_read_back_as_it_was_made(world: World) {
        let acme = world.organization().await;
        let metadata = document(json!({"a": [1, null, {"b": "é"}]}));
        let new = Database {
            description: String::new(),
            item_id_type: kind("bytes12"),
            user_id_type: kind("int8"),
            session_id_type: kind("hex64"),
            ready_at: at(30),
            ..database(&world, acme, "Films, Größe L")
        };
        assert!(commit!(world.store, unit => unit.databases().insert(&new, &metadata)));
        assert_eq!(read!(world.store, unit => unit.databases().metadata(acme, new.id)), Some(metadata));
        assert_eq!(read!(world.store, unit => unit.databases().metadata(world.key(), new.id)), None);
        let by_key = read!(world.store, unit => unit.databases().find(acme, new.id)).unwrap();
        let by_name = read!(world.store, unit => unit.databases().find_named(acme, &new.name)).unwrap();
        for found in [by_key, by_name] {
            assert_eq!(format!("{found:?}"), format!("{new:?}"));
        }
        assert!(read!(world.store, unit => unit.databases().find(acme, world.key())).is_none());
        // Names are compared as they are written, on both engines.
        for other in ["films, Größe L", "Films, Größe L ", "Films, Größe", ""] {
            assert!(
                read!(world.store, unit => unit.databases().find_named(acme, other)).is_none(),
                "{other:?}"
            );
        }
    }

    async fn a_name_is_taken_in_its_organization_alone(world: World) {
        let (acme, rival) = (world.organization().await, world.organization().await);
        let first = add(&world, acme, "films").await;
        let twice = database(&world, acme, "films");
        assert!(!commit!(world.store, unit => unit.databases().insert(&twice, &Document::default())));
        assert!(read!(world.store, unit => unit.databases().find(acme, twice.id)).is_none());
        let theirs = add(&world, rival, "films").await;
        let found = read!(world.store, unit => unit.databases().find_named(acme, "films")).unwrap();
        assert_eq!(found.id, first.id);
        let found = read!(world.store, unit => unit.databases().find_named(rival, "films")).unwrap();
        assert_eq!(found.id, theirs.id);
    }

    async fn of_twenty_who_make_a_database_of_one_name_one_does(world: World) {
        let acme = world.organization().await;
        let new: Vec<_> = (0..20).map(|_| database(&world, acme, "films")).collect();
        let added = concurrently(20, |number| {
            let (store, new) = (world.store.clone(), new[number].clone());
            async move { commit!(store, unit => unit.databases().insert(&new, &Document::default())) }
        })
        .await;
        assert_eq!(added.iter().filter(|added| **added).count(), 1);
        assert_eq!(world.database.sql_count("select count(*) from databases").await, 1);
    }

    async fn another_organizations_database_looks_like_none(world: World) {
        let (acme, rival) = (world.organization().await, world.organization().await);
        let films = add(&world, acme, "films").await;
        resolve(&world, films.id, "s", "1").await;
        assert!(read!(world.store, unit => unit.databases().find(rival, films.id)).is_none());
        assert!(read!(world.store, unit => unit.databases().find_named(rival, "films")).is_none());
        assert!(read!(world.store, unit => unit.databases().page(rival, 10, 0)).is_empty());
        let stolen = Database { organization: rival, description: "ours".to_owned(), ..films.clone() };
        assert!(!commit!(world.store, unit => unit.databases().update(&stolen, &Document::default())));
        assert!(!commit!(world.store, unit => unit.databases().remove(rival, films.id, at(5))));
        let found = read!(world.store, unit => unit.databases().find(acme, films.id)).unwrap();
        assert_eq!(found.description, "of a test");
        assert_eq!(sessions(&world, films.id, &[], "", 10).await, ["s"]);
    }

    async fn databases_are_listed_oldest_first_page_by_page(world: World) {
        let (acme, rival) = (world.organization().await, world.organization().await);
        for name in ["zebra", "Ärger", "apple", "B", "a"] {
            add(&world, acme, name).await;
            add(&world, rival, name).await;
        }
        let all = read!(world.store, unit => unit.databases().page(acme, 10, 0));
        assert_eq!(names(&all), ["zebra", "Ärger", "apple", "B", "a"]);
        assert!(all.iter().all(|database| database.organization == acme));
        let page = read!(world.store, unit => unit.databases().page(acme, 2, 2));
        assert_eq!(names(&page), ["apple", "B"]);
        let page = read!(world.store, unit => unit.databases().page(acme, 2, 4));
        assert_eq!(names(&page), ["a"]);
        // Whatever page a client asks for.
        for beyond in [5, i64::from(u32::MAX) * 256] {
            assert!(read!(world.store, unit => unit.databases().page(acme, 2, beyond)).is_empty());
        }
    }

    async fn of_a_database_only_description_and_document_change(world: World) {
        let acme = world.organization().await;
        let films = add(&world, acme, "films").await;
        let bystander = add(&world, acme, "songs").await;
        let metadata = document(json!({"tags": ["a"]}));
        let changed = Database {
            name: "songs and films".to_owned(),
            description: "other".to_owned(),
            user_id_type: kind("uuid"),
            created_at: at(9),
            ready_at: at(9),
            ..films.clone()
        };
        assert!(commit!(world.store, unit => unit.databases().update(&changed, &metadata)));
        let found = read!(world.store, unit => unit.databases().find(acme, films.id)).unwrap();
        let expected = Database { description: "other".to_owned(), ..films.clone() };
        assert_eq!(format!("{found:?}"), format!("{expected:?}"));
        assert_eq!(read!(world.store, unit => unit.databases().metadata(acme, films.id)), Some(metadata.clone()));
        let found = read!(world.store, unit => unit.databases().find(acme, bystander.id)).unwrap();
        assert_eq!(format!("{found:?}"), format!("{bystander:?}"));
        assert!(commit!(world.store, unit => unit.databases().remove(acme, films.id, at(5))));
        assert!(!commit!(world.store, unit => unit.databases().update(&changed, &metadata)));
    }

    async fn changes_of_a_locked_database_follow_one_another(world: World) {
        let acme = world.organization().await;
        let films = add(&world, acme, "films").await;
        // Each reads, adds one, and writes: without the lock some of them would add to the same number.
        concurrently(20, |_| {
            let (store, id) = (world.store.clone(), films.id);
            async move {
                let mut unit = store.begin().await.unwrap();
                unit.databases().lock(id).await.unwrap();
                let found = unit.databases().find(acme, id).await.unwrap().unwrap();
                let metadata = unit.databases().metadata(acme, id).await.unwrap().unwrap();
                let count = metadata.to_value().unwrap()["count"].as_i64().unwrap_or(0) + 1;
                let metadata = document(json!({ "count": count }));
                assert!(unit.databases().update(&found, &metadata).await.unwrap());
                unit.commit().await.unwrap();
            }
        })
        .await;
        let found = read!(world.store, unit => unit.databases().find(acme, films.id)).unwrap();
        let metadata = read!(world.store, unit => unit.databases().metadata(acme, films.id)).unwrap();
        assert_eq!(metadata, json!({ "count": 20 }));
        assert_eq!((found.created_at, found.ready_at), (NOW, NOW));
        // A lock of what is not there holds nothing, and harms nothing.
        commit!(world.store, unit => unit.databases().lock(world.key()));
    }

    async fn a_removed_database_is_gone_at_once_and_what_is_in_it_little_by_little(world: World) {
        let acme = world.organization().await;
        let (films, songs) = (add(&world, acme, "films").await, add(&world, acme, "songs").await);
        for database in [films.id, songs.id] {
            resolve(&world, database, "s", "1").await;
        }
        assert!(commit!(world.store, unit => unit.databases().remove(acme, films.id, at(5))));
        assert!(!commit!(world.store, unit => unit.databases().remove(acme, films.id, at(5))));
        assert!(read!(world.store, unit => unit.databases().find(acme, films.id)).is_none());
        assert!(read!(world.store, unit => unit.databases().find_named(acme, "films")).is_none());
        for number in 0..4 {
            resolve(&world, films.id, &format!("s{number}"), "1").await;
        }
        assert_eq!(commit!(world.store, unit => unit.databases().purge(at(5), 2)), 0, "not before its time");
        for expected in [2, 2, 1, 1, 0] {
            assert_eq!(commit!(world.store, unit => unit.databases().purge(at(6), 2)), expected);
        }
        assert_eq!(sessions(&world, songs.id, &[], "", 10).await, ["s"]);
        assert_eq!(world.database.sql_count("select count(*) from resolved_sessions").await, 1);
        assert_eq!(world.database.sql_count("select count(*) from databases").await, 1);
        // Its name is free, and its number is not given to the next: whoever pages sees no other order.
        let again = add(&world, acme, "films").await;
        assert!(sessions(&world, again.id, &[], "", 10).await.is_empty());
        let all = read!(world.store, unit => unit.databases().page(acme, 10, 0));
        assert_eq!(names(&all), ["songs", "films"]);
    }

    async fn of_twenty_who_remove_a_database_one_does(world: World) {
        let acme = world.organization().await;
        let films = add(&world, acme, "films").await;
        resolve(&world, films.id, "s", "1").await;
        let removed = concurrently(20, |_| {
            let (store, id) = (world.store.clone(), films.id);
            async move { commit!(store, unit => unit.databases().remove(acme, id, at(5))) }
        })
        .await;
        assert_eq!(removed.iter().filter(|removed| **removed).count(), 1);
    }

    async fn a_session_is_one_users_and_resolving_it_again_replaces_whose(world: World) {
        let acme = world.organization().await;
        let (films, songs) = (add(&world, acme, "films").await, add(&world, acme, "songs").await);
        for (user, seconds) in [("1", 5), ("1", 6), ("2", 3)] {
            let one = resolved("s", user, seconds);
            commit!(world.store, unit => unit.databases().resolve_session(films.id, &one));
            let found = read!(world.store, unit => unit.databases().resolved_sessions(films.id, None, "", 9));
            assert_eq!(found, [one]);
        }
        assert!(sessions(&world, films.id, &["1"], "", 9).await.is_empty());
        // One identifier in another database is somebody else's session.
        resolve(&world, songs.id, "s", "7").await;
        assert_eq!(sessions(&world, films.id, &["2"], "", 9).await, ["s"]);
        assert_eq!(sessions(&world, songs.id, &["7"], "", 9).await, ["s"]);
        assert!(sessions(&world, songs.id, &["2"], "", 9).await.is_empty());
    }

    async fn twenty_who_resolve_a_session_at_once_leave_one_row(world: World) {
        let acme = world.organization().await;
        let films = add(&world, acme, "films").await;
        concurrently(20, |number| {
            let (store, id) = (world.store.clone(), films.id);
            async move {
                let one = resolved("s", &number.to_string(), 0);
                commit!(store, unit => unit.databases().resolve_session(id, &one));
            }
        })
        .await;
        assert_eq!(sessions(&world, films.id, &[], "", 30).await, ["s"]);
    }

    // PostgreSQL's collations would put `a` before `B` and `_` wherever they like: pages would lose sessions.
    async fn resolved_sessions_are_paged_in_the_order_of_their_bytes(world: World) {
        let acme = world.organization().await;
        let films = add(&world, acme, "films").await;
        for session in ["b", "B", "a", "-", "_", "10", "9", ".", "~", "a.b", "aB"] {
            resolve(&world, films.id, session, "1").await;
        }
        let sorted = ["-", ".", "10", "9", "B", "_", "a", "a.b", "aB", "b", "~"];
        assert_eq!(sessions(&world, films.id, &[], "", 30).await, sorted);
        assert_eq!(sessions(&world, films.id, &["1"], "", 30).await, sorted);
        for users in [&[][..], &["1"]] {
            let (mut paged, mut after) = (Vec::new(), String::new());
            loop {
                let page = sessions(&world, films.id, users, &after, 3).await;
                let Some(last) = page.last() else { break };
                after = last.clone();
                paged.extend(page);
            }
            assert_eq!(paged, sorted);
        }
    }

    async fn the_sessions_of_some_users_are_paged_together(world: World) {
        let acme = world.organization().await;
        let films = add(&world, acme, "films").await;
        for (session, user) in [("a", "1"), ("b", "2"), ("c", "3"), ("d", "1"), ("e", "2"), ("f", "3")] {
            resolve(&world, films.id, session, user).await;
        }
        assert_eq!(sessions(&world, films.id, &["1", "3"], "", 3).await, ["a", "c", "d"]);
        assert_eq!(sessions(&world, films.id, &["3", "1"], "d", 3).await, ["f"]);
        assert_eq!(sessions(&world, films.id, &["2"], "b", 9).await, ["e"]);
        assert!(sessions(&world, films.id, &["4"], "", 9).await.is_empty());
        assert!(sessions(&world, films.id, &[], "", 0).await.is_empty());
    }

    async fn nothing_is_resolved_in_a_database_that_is_not_there(world: World) {
        let one = resolved("s", "1", 0);
        let mut unit = world.store.begin().await.unwrap();
        let refused = unit.databases().resolve_session(world.key(), &one).await;
        assert!(matches!(refused, Err(StoreError::Database(_))), "{refused:?}");
    }

    async fn what_no_version_has_written_is_an_error_not_a_guess(world: World) {
        let acme = world.organization().await;
        let films = add(&world, acme, "films").await;
        resolve(&world, films.id, "s", "1").await;
        world.database.sql("update databases set user_id_type = 'float'").await;
        let bytes = match world.database.engine() {
            tidegate_testkit::Engine::Sqlite => "x'ff'",
            tidegate_testkit::Engine::Postgres => "'\\xff'",
        };
        world.database.sql(&format!("update resolved_sessions set user_ident = {bytes}")).await;
        let mut unit = world.store.read().await.unwrap();
        let found = unit.databases().find(acme, films.id).await;
        assert!(matches!(found, Err(StoreError::Unreadable("databases.*_id_type"))), "{found:?}");
        let found = unit.databases().resolved_sessions(films.id, None, "", 9).await;
        assert!(matches!(found, Err(StoreError::Unreadable("resolved_sessions.*_ident"))), "{found:?}");
    }
}
