//! The people and programs of an organization, as its managers see them.

use serde_json::json;
use tidegate_database::StoreError;
use tidegate_domain::account::LoginName;
use tidegate_domain::document::MAX_DOCUMENT;
use tidegate_domain::id::AccountId;
use tidegate_domain::{Document, EmailAddress, Role};
use tidegate_identity::IdentityTables;
use tidegate_identity::accounts::members_repository::{Listed, Member};
use tidegate_identity::accounts::repository::NewIdentifier;
use tidegate_identity::organizations::repository::NewMembership;
use tidegate_testkit::on_both_engines;

use crate::world::{NOW, World, address, at, document, phone, program_name};

fn login(email: &str) -> LoginName {
    address(email).into()
}

fn accounts(members: &[Member]) -> Vec<AccountId> {
    members.iter().map(|member| member.account).collect()
}

on_both_engines! {
    async fn a_member_is_found_by_name_and_by_key_with_all_that_managers_see(world: World) {
        let host = world.member("host@example.com").await;
        let ada = world.person(&host, "ada@example.com").await;
        let metadata = document(json!({"team": ["a", null]}));
        commit!(world.store, unit => unit.members().describe(ada, "Ada", "Lovelace", &metadata, at(5)));
        let by_name =
            read!(world.store, unit => unit.members().find(host.organization, &login("ada@example.com")));
        let by_key = read!(world.store, unit => unit.members().find_by_key(host.organization, ada));
        for found in [by_name.unwrap(), by_key.unwrap()] {
            assert_eq!((found.account, found.role, found.verified), (ada, Role::Developer, false));
            assert_eq!(found.login, login("ada@example.com"));
            assert_eq!((found.first_name.as_str(), found.last_name.as_str()), ("Ada", "Lovelace"));
            assert_eq!(found.metadata, metadata);
        }
        let email = address("ada@example.com");
        commit!(world.store, unit => unit.accounts().verify_email(ada, &email, at(6)));
        let found = read!(world.store, unit => unit.members().find_by_key(host.organization, ada)).unwrap();
        assert!(found.verified);
        let account = read!(world.store, unit => unit.accounts().find(ada)).unwrap();
        assert_eq!((account.updated_at, account.user_metadata), (at(5), metadata));
        assert_eq!(account.display_name, "Ada", "what the person is called elsewhere stays");
    }

    async fn somebody_with_a_phone_alone_is_known_by_it(world: World) {
        let (host, ada) = (world.member("host@example.com").await, world.account().await);
        let (number, spare): (LoginName, LoginName) =
            (phone("+254712345678").into(), phone("+254112345678").into());
        world.take_in(&host, ada, Role::Viewer).await;
        assert!(read!(world.store, unit => unit.members().find_by_key(host.organization, ada)).is_none());
        let new = NewIdentifier { verified_at: Some(at(1)), ..world.identifier(ada, &number, true) };
        assert!(commit!(world.store, unit => unit.accounts().insert_identifier(new)));
        assert!(world.identify(ada, &spare, false).await);
        for organization in [host.organization, world.member("eve@example.com").await.organization] {
            let ours = organization == host.organization;
            let by_key = read!(world.store, unit => unit.members().find_by_key(organization, ada));
            let by_name = read!(world.store, unit => unit.members().find(organization, &number));
            for found in [by_key, by_name] {
                let found = found.map(|found| (found.account, found.login, found.verified, found.role));
                assert_eq!(found, ours.then(|| (ada, number.clone(), true, Role::Viewer)));
            }
        }
        assert!(read!(world.store, unit => unit.members().find(host.organization, &spare)).is_none());
    }

    async fn an_address_or_a_name_goes_before_a_phone_however_old(world: World) {
        let host = world.member("host@example.com").await;
        for (number, other, seconds) in [
            ("+254712345671", login("younger@example.com"), 9),
            ("+254712345672", login("older@example.com"), -9),
            ("+254712345673", login("same@example.com"), 0),
            ("+254712345674", program_name("export"), 9),
        ] {
            let (ada, number) = (world.account().await, phone(number).into());
            world.take_in(&host, ada, Role::Viewer).await;
            assert!(world.identify(ada, &number, true).await);
            let found = read!(world.store, unit => unit.members().find_by_key(host.organization, ada));
            assert_eq!(found.unwrap().login, number);
            let new = NewIdentifier { created_at: at(seconds), ..world.identifier(ada, &other, true) };
            assert!(commit!(world.store, unit => unit.accounts().insert_identifier(new)));
            let found = read!(world.store, unit => unit.members().find_by_key(host.organization, ada));
            assert_eq!(found.unwrap().login, other);
            // Either leads to them.
            for name in [&number, &other] {
                let found = read!(world.store, unit => unit.members().find(host.organization, name)).unwrap();
                assert_eq!((found.account, &found.login), (ada, name));
            }
        }
    }

    async fn an_address_that_is_not_the_primary_one_does_not_go_before_a_phone(world: World) {
        let (host, ada) = (world.member("host@example.com").await, world.account().await);
        let number: LoginName = phone("+254712345678").into();
        world.take_in(&host, ada, Role::Viewer).await;
        assert!(world.identify(ada, &address("ada@example.com"), false).await);
        assert!(world.identify(ada, &number, true).await);
        let found = read!(world.store, unit => unit.members().find_by_key(host.organization, ada)).unwrap();
        assert_eq!(found.login, number);
    }

    async fn a_program_is_a_member_of_its_own_kind(world: World) {
        let host = world.member("host@example.com").await;
        let export = world.program(&host, "nightly export").await;
        let name = program_name("nightly export");
        let found = read!(world.store, unit => unit.members().find(host.organization, &name)).unwrap();
        assert_eq!((found.account, found.login, found.verified), (export, name, false));
        assert_eq!((found.first_name.as_str(), found.last_name.as_str()), ("", ""));
        assert_eq!(found.metadata, json!({}));
        // A person of that name, if one could be, is nobody; and names are compared as they are written.
        let email = LoginName::Email(EmailAddress::from_stored("nightly export".to_owned()));
        for other in [email, program_name("Nightly export"), program_name("nightly")] {
            assert!(read!(world.store, unit => unit.members().find(host.organization, &other)).is_none());
        }
    }

    async fn another_organizations_accounts_and_guests_look_like_none(world: World) {
        let (ours, theirs) = (world.member("us@example.com").await, world.member("them@example.com").await);
        let (ada, export) =
            (world.person(&theirs, "ada@example.com").await, world.program(&theirs, "export").await);
        // Ada may enter our organization; looking after her is still their managers' business.
        world.join(&ours, ada, Role::Admin).await;
        for (account, login) in [(ada, login("ada@example.com")), (export, program_name("export"))] {
            assert!(read!(world.store, unit => unit.members().find(ours.organization, &login)).is_none());
            assert!(
                read!(world.store, unit => unit.members().find_by_key(ours.organization, account)).is_none()
            );
            assert!(read!(world.store, unit => unit.members().find(theirs.organization, &login)).is_some());
        }
        for listed in [Listed::Individuals, Listed::Services] {
            let (page, goes_on) =
                read!(world.store, unit => unit.members().page(ours.organization, listed, None, 10));
            assert!(page.is_empty() && !goes_on, "{page:?}");
        }
    }

    async fn somebody_goes_by_their_primary_address(world: World) {
        let host = world.member("host@example.com").await;
        let ada = world.person(&host, "ada@example.com").await;
        let second = address("ada@example.org");
        world.identify(ada, &second, false).await;
        let find = |email: &str| {
            let (store, login) = (world.store.clone(), login(email));
            async move { read!(store, unit => unit.members().find(host.organization, &login)) }
        };
        assert!(find("ada@example.org").await.is_none());
        commit!(world.store, unit => unit.accounts().make_email_primary(ada, &second));
        assert!(find("ada@example.com").await.is_none());
        assert_eq!(find("ada@example.org").await.unwrap().account, ada);
        let found = read!(world.store, unit => unit.members().find_by_key(host.organization, ada)).unwrap();
        assert_eq!(found.login, login("ada@example.org"));
        let listed = Listed::Individuals;
        let (page, _) =
            read!(world.store, unit => unit.members().page(host.organization, listed, None, 10));
        assert_eq!(page.len(), 1, "{page:?}");
    }

    async fn members_are_listed_in_the_order_they_came_page_by_page(world: World) {
        let host = world.member("host@example.com").await;
        let (mut people, mut programs) = (Vec::new(), Vec::new());
        for (seconds, name) in (1..).zip(["zoe", "ada", "Bob", "eve", "cyd"]) {
            for (login, list) in
                [(login(&format!("{name}@example.com")), &mut people), (program_name(name), &mut programs)]
            {
                let account = world.account().await;
                world.identify(account, &login, true).await;
                let came = NewMembership {
                    id: world.key_made(at(seconds)),
                    is_home: true,
                    ..world.membership(host.organization, account, Role::Viewer)
                };
                commit!(world.store, unit => unit.organizations().insert_membership(came, host.workspace));
                list.push(account);
            }
        }
        for (listed, everybody) in [(Listed::Individuals, people), (Listed::Services, programs)] {
            let page = |after, most| {
                let store = world.store.clone();
                async move { read!(store, unit => unit.members().page(host.organization, listed, after, most)) }
            };
            let (all, goes_on) = page(None, 10).await;
            assert_eq!((accounts(&all), goes_on), (everybody.clone(), false));
            for (most, pages) in [(2, 3), (4, 2), (10, 1)] {
                let (mut paged, mut after, mut read) = (Vec::new(), None, 0);
                loop {
                    let (page, goes_on) = page(after, most).await;
                    assert!(page.len() <= usize::try_from(most).unwrap(), "{most}: {page:?}");
                    after = page.last().map(|last| last.membership);
                    paged.extend(accounts(&page));
                    read += 1;
                    if !goes_on {
                        break;
                    }
                }
                assert_eq!((&paged, read), (&everybody, pages), "{most}");
            }
        }
    }

    async fn a_page_says_of_each_member_what_is_said_of_them_alone(world: World) {
        let host = world.member("host@example.com").await;
        let deep = (0..100).fold(json!({}), |inner, _| json!([inner]));
        let odd = document(json!({
            "a  b": ["\"\\\n\u{1f600}\u{1}\u{7f}\u{2028}", -0.5, 1e300, 5e-324, u64::MAX, i64::MIN],
            "": {}, "null": null, "\u{ffff}": deep, "\\u0041": [true, "null", "1e5", ""],
        }));
        let ada = world.person(&host, "ada@example.com").await;
        let bob = world.person(&host, "o'neil+\u{e9}@example.com").await;
        let export = world.program(&host, "night \"export\"").await;
        let (first, last) = ("Ada \"\\\u{1f600}\u{1}\u{202e}", "O'Neil\t");
        for account in [ada, export] {
            commit!(world.store, unit => unit.members().describe(account, first, last, &odd, at(5)));
        }
        assert!(commit!(world.store, unit => unit.accounts().verify_email(ada, &address("ada@example.com"), at(6))));
        for (listed, kept) in [(Listed::Individuals, vec![ada, bob]), (Listed::Services, vec![export])] {
            let mut alone = Vec::new();
            for account in kept {
                let one = read!(world.store, unit => unit.members().find_by_key(host.organization, account));
                alone.push(one.unwrap());
            }
            // Keys of one moment are in any order.
            alone.sort_by_key(|one| one.membership);
            if let Some(described) = alone.iter().find(|one| [ada, export].contains(&one.account)) {
                let names = (described.first_name.as_str(), described.last_name.as_str());
                assert_eq!((names, &described.metadata), ((first, last), &odd));
            }
            // With room for the document in a page, and without.
            for most in [10, 100_000] {
                let (page, goes_on) =
                    read!(world.store, unit => unit.members().page(host.organization, listed, None, most));
                assert_eq!((format!("{page:?}"), goes_on), (format!("{alone:?}"), false), "{listed:?} {most}");
            }
        }
    }

    async fn a_page_has_few_members_whose_documents_are_large(world: World) {
        let host = world.member("host@example.com").await;
        let large = document(json!({ "x": "y".repeat(MAX_DOCUMENT - 20) }));
        for number in 0..18 {
            let account = world.person(&host, &format!("person{number}@example.com")).await;
            commit!(world.store, unit => unit.members().describe(account, "", "", &large, at(5)));
        }
        let page = |after| {
            let store = world.store.clone();
            async move { read!(store, unit => unit.members().page(host.organization, Listed::Individuals, after, 100)) }
        };
        let (first, goes_on) = page(None).await;
        assert_eq!((first.len(), goes_on), (16, true));
        let (rest, goes_on) = page(first.last().map(|last| last.membership)).await;
        assert_eq!((rest.len(), goes_on), (2, false));
    }

    async fn describing_somebody_leaves_everybody_else_alone(world: World) {
        let host = world.member("host@example.com").await;
        let (ada, bob) =
            (world.person(&host, "ada@example.com").await, world.person(&host, "bob@example.com").await);
        commit!(world.store, unit => unit.members().describe(ada, "Ada", "", &document(json!({"x": 1})), at(5)));
        let found = read!(world.store, unit => unit.members().find_by_key(host.organization, bob)).unwrap();
        assert_eq!((found.first_name.as_str(), found.metadata), ("", Document::default()));
        let account = read!(world.store, unit => unit.accounts().find(bob)).unwrap();
        assert_eq!(account.updated_at, NOW);
    }

    async fn an_organization_changes_hands_but_never_has_two_owners(world: World) {
        let host = world.member("host@example.com").await;
        let ada = world.person(&host, "ada@example.com").await;
        let (organization, owner) = (host.organization, host.account);
        let mut unit = world.store.begin().await.unwrap();
        let refused = unit.members().set_role(organization, ada, Role::Owner).await;
        assert!(matches!(refused, Err(StoreError::Database(_))), "{refused:?}");
        drop(unit);
        assert_eq!(read!(world.store, unit => unit.organizations().owner(organization)), Some(owner));

        let mut unit = world.store.begin().await.unwrap();
        unit.members().set_role(organization, owner, Role::Admin).await.unwrap();
        unit.members().set_role(organization, ada, Role::Owner).await.unwrap();
        unit.commit().await.unwrap();
        assert_eq!(read!(world.store, unit => unit.organizations().owner(organization)), Some(ada));
        let found = read!(world.store, unit => unit.members().find_by_key(organization, ada)).unwrap();
        assert_eq!(found.role, Role::Owner);
        let was = read!(world.store, unit => unit.organizations().of_member(owner));
        assert_eq!(was[0].role, Role::Admin);
    }

    async fn a_role_is_one_organizations_alone(world: World) {
        let (ours, theirs) = (world.member("us@example.com").await, world.member("them@example.com").await);
        let ada = world.person(&ours, "ada@example.com").await;
        world.join(&theirs, ada, Role::Viewer).await;
        commit!(world.store, unit => unit.members().set_role(ours.organization, ada, Role::Admin));
        let roles = read!(world.store, unit => unit.organizations().of_member(ada));
        let role = |of| roles.iter().find(|seen| seen.id == of).unwrap().role;
        assert_eq!((role(ours.organization), role(theirs.organization)), (Role::Admin, Role::Viewer));
        // Nobody's role in an organization they do not belong to.
        commit!(world.store, unit => unit.members().set_role(theirs.organization, ours.account, Role::Admin));
        assert_eq!(read!(world.store, unit => unit.organizations().of_member(ours.account)).len(), 1);
    }

    async fn an_identifier_no_version_has_written_is_an_error_not_a_guess(world: World) {
        let host = world.member("host@example.com").await;
        let ada = world.person(&host, "ada@example.com").await;
        world.database.sql("update identifiers set kind = 'telegraph'").await;
        let mut unit = world.store.read().await.unwrap();
        let found = unit.members().find_by_key(host.organization, ada).await;
        assert!(matches!(found, Err(StoreError::Unreadable("identifiers.kind"))), "{found:?}");
    }
}
