//! Accounts as they are stored, and how they are shown.

use serde_json::json;
use tidegate_database::StoreError;
use tidegate_domain::account::AccountKind;
use tidegate_domain::{Document, Role};
use tidegate_identity::IdentityTables;
use tidegate_identity::accounts::repository::NewAccount;
use tidegate_testkit::on_both_engines;

use crate::world::{NOW, World, account, at, document};

on_both_engines! {
    async fn an_account_is_read_back_as_it_was_added(world: World) {
        let id = world.key();
        let new = NewAccount {
            id,
            kind: AccountKind::Service,
            display_name: "",
            agreed_to_terms: false,
            terms_version: None,
            language: Some("sw"),
            created_at: NOW,
        };
        let number = commit!(world.store, unit => unit.accounts().insert(&new));
        let account = read!(world.store, unit => unit.accounts().find(id)).unwrap();
        assert_eq!((account.id, account.number, account.display_name.as_str()), (id, number, ""));
        assert_eq!((account.profile, account.user_metadata), (Document::default(), Document::default()));
        assert_eq!((account.profile_image_url, account.disabled_at), (None, None));
        assert_eq!((account.created_at, account.updated_at, account.is_system_admin), (NOW, NOW, false));
        assert!(read!(world.store, unit => unit.accounts().find(world.key())).is_none());
    }

    async fn a_profile_is_replaced_and_the_rest_stays(world: World) {
        let id = world.account().await;
        world
            .database
            .sql("update accounts set user_metadata = '{\"tier\": 1}', is_system_admin = true")
            .await;
        let mut account = read!(world.store, unit => unit.accounts().find(id)).unwrap();
        account.display_name = "Ada Lovelace".to_owned();
        account.profile_image_url = Some("https://example.com/ada.png".to_owned());
        account.profile = document(json!({"born": 1815, "tags": ["a", null], "nested": {"x": 0.5}}));
        commit!(world.store, unit => unit.accounts().update_profile(&account, at(5)));
        let changed = read!(world.store, unit => unit.accounts().find(id)).unwrap();
        assert_eq!(changed.display_name, account.display_name);
        assert_eq!(changed.profile_image_url, account.profile_image_url);
        assert_eq!(changed.profile, account.profile);
        assert_eq!((changed.created_at, changed.updated_at), (NOW, at(5)));
        assert_eq!((changed.user_metadata, changed.is_system_admin), (document(json!({"tier": 1})), true));
    }

    async fn an_organization_has_one_owner(world: World) {
        let ada = world.member("ada@example.com").await;
        let eve = world.account().await;
        let mut unit = world.store.begin().await.unwrap();
        let usurper = world.membership(ada.organization, eve, Role::Owner);
        let refused = unit.organizations().insert_membership(usurper, ada.workspace).await;
        assert!(matches!(refused, Err(StoreError::Database(_))), "{refused:?}");
        drop(unit);
        world.join(&ada, eve, Role::Admin).await;
    }

    async fn whoever_chose_no_name_is_shown_by_both_of_theirs(world: World) {
        let id = world.key();
        let new = NewAccount { display_name: "", ..account(id) };
        commit!(world.store, unit => unit.accounts().insert(&new));
        let nameless = (String::new(), String::new());
        assert_eq!(read!(world.store, unit => unit.accounts().names(id)), nameless);
        // The second time it is what it became the first time.
        for (first, last, second) in [("Ada", "Byron", 1), ("Augusta Ada", "King", 2)] {
            commit!(world.store, unit => unit.accounts().name(id, first, last, at(second)));
            let names = read!(world.store, unit => unit.accounts().names(id));
            assert_eq!(names, (first.to_owned(), last.to_owned()));
            let shown = read!(world.store, unit => unit.accounts().find(id)).unwrap();
            assert_eq!((shown.display_name.as_str(), shown.updated_at), ("Ada Byron", at(second)));
        }
    }

    async fn a_chosen_name_stays_when_somebodys_names_become_known(world: World) {
        let (ada, eve) = (world.account().await, world.account().await);
        commit!(world.store, unit => unit.accounts().name(ada, "Augusta", "King", at(1)));
        let shown = read!(world.store, unit => unit.accounts().find(ada)).unwrap();
        assert_eq!((shown.display_name.as_str(), shown.created_at), ("Ada", NOW));
        let nameless = (String::new(), String::new());
        assert_eq!(read!(world.store, unit => unit.accounts().names(eve)), nameless, "nobody else's");
    }
}
