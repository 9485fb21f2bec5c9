//! The audit log: what its owner sees of it, page by page.

use serde_json::json;
use tidegate_domain::audit::Action;
use tidegate_domain::id::{AccountId, AuditEventId};
use tidegate_domain::{ContractId, Origin};
use tidegate_kernel::KernelTables;
use tidegate_kernel::tables::audit::{NewEvent, SignInFilter};
use tidegate_testkit::{concurrently, on_both_engines};

use crate::world::{NOW, World, at};

fn event(id: AuditEventId, account: Option<AccountId>, action: Action) -> NewEvent {
    NewEvent {
        id,
        at: NOW,
        action,
        account,
        organization: None,
        session: None,
        origin: Origin::Contract(ContractId::INGESTIQ),
        ip: "2001:db8::1".to_owned(),
        user_agent: "curl/8".to_owned(),
        metadata: json!({"method": "password"}),
    }
}

async fn record(world: &World, account: AccountId, action: Action, second: i64) {
    let new = NewEvent { at: at(second), ..event(world.key(), Some(account), action) };
    commit!(world.store, unit => unit.audit().insert(new));
}

on_both_engines! {
    async fn sign_ins_are_paged_newest_first(world: World) {
        let (ada, eve) = (world.account().await, world.account().await);
        for second in 0..7 {
            record(&world, ada, Action::SignInSucceeded, second).await;
            record(&world, ada, Action::ProfileUpdated, second).await;
            record(&world, eve, Action::SignInSucceeded, second).await;
        }
        let mut seen = Vec::new();
        for offset in [0, 3, 6, 9] {
            let page = read!(world.store, unit => unit.audit().sign_ins(ada, SignInFilter::Any, 3, offset));
            seen.push(page.iter().map(|event| event.at).collect::<Vec<_>>());
        }
        assert_eq!(seen, [vec![at(6), at(5), at(4)], vec![at(3), at(2), at(1)], vec![at(0)], vec![]]);
        assert_eq!(read!(world.store, unit => unit.audit().count_sign_ins(ada, SignInFilter::Any)), 7);
        assert!(read!(world.store, unit => unit.audit().sign_ins(ada, SignInFilter::Any, 0, 0)).is_empty());
    }

    async fn sign_ins_are_filtered_by_outcome(world: World) {
        let ada = world.account().await;
        for second in 0..5 {
            let action = if second % 2 == 0 { Action::SignInSucceeded } else { Action::SignInFailed };
            record(&world, ada, action, second).await;
        }
        for (filter, expected) in
            [(SignInFilter::Any, 5), (SignInFilter::Success, 3), (SignInFilter::Failure, 2)]
        {
            let events = read!(world.store, unit => unit.audit().sign_ins(ada, filter, 10, 0));
            assert_eq!(events.len(), expected);
            let count = read!(world.store, unit => unit.audit().count_sign_ins(ada, filter));
            assert_eq!(usize::try_from(count).unwrap(), expected);
        }
        let failures = read!(world.store, unit => unit.audit().sign_ins(ada, SignInFilter::Failure, 10, 0));
        assert!(failures.iter().all(|event| event.action == "auth.login.failure"));
    }

    async fn an_event_is_shown_as_it_was_recorded(world: World) {
        let ada = world.account().await;
        record(&world, ada, Action::SignInSucceeded, 4).await;
        let events = read!(world.store, unit => unit.audit().sign_ins(ada, SignInFilter::Any, 10, 0));
        let shown = &events[0];
        assert_eq!(
            (shown.at, shown.ip.as_str(), shown.user_agent.as_str()),
            (at(4), "2001:db8::1", "curl/8")
        );
        assert_eq!(
            (shown.action.as_str(), &shown.metadata),
            ("auth.login.success", &json!({"method": "password"}))
        );
        assert!(shown.number > 0);
    }

    async fn an_event_about_nobody_is_recorded_too(world: World) {
        let unknown = NewEvent { origin: Origin::Cli, ..event(world.key(), None, Action::SignInFailed) };
        commit!(world.store, unit => unit.audit().insert(unknown));
        let rows = "select count(*) from audit_events where account_id is null and dialect = '' and origin = 'cli'";
        assert_eq!(world.database.sql_count(rows).await, 1);
    }

    async fn an_event_says_what_caused_it_and_only_a_contract_names_one(world: World) {
        let origins = [
            Origin::Contract(ContractId::RIVEN),
            Origin::OAuth,
            Origin::Console,
            Origin::Postgres,
            Origin::Page,
            Origin::Cli,
            Origin::Worker,
        ];
        for origin in origins {
            let new = NewEvent { origin, ..event(world.key(), None, Action::SignInFailed) };
            commit!(world.store, unit => unit.audit().insert(new));
        }
        let rows = "select origin || ' ' || dialect from audit_events order by number";
        assert_eq!(
            world.database.sql_texts(rows).await,
            ["contract riven", "oauth ", "console ", "postgres ", "page ", "cli ", "worker "]
        );
    }

    async fn events_of_concurrent_units_are_all_recorded(world: World) {
        let ada = world.account().await;
        let keys: Vec<AuditEventId> = (0..50).map(|_| world.key()).collect();
        concurrently(50, |number| {
            let (store, new) = (world.store.clone(), event(keys[number], Some(ada), Action::SignInFailed));
            async move { commit!(store, unit => unit.audit().insert(new)) }
        })
        .await;
        assert_eq!(read!(world.store, unit => unit.audit().count_sign_ins(ada, SignInFilter::Any)), 50);
    }

    async fn events_of_a_unit_are_written_at_its_end_and_seen_in_it(world: World) {
        let ada = world.account().await;
        let mut unit = world.store.begin().await.unwrap();
        // More than one statement holds.
        let keys: Vec<AuditEventId> = (0..40).map(|_| world.key()).collect();
        for key in &keys {
            unit.audit().insert(event(*key, Some(ada), Action::SignInSucceeded)).await.unwrap();
        }
        assert_eq!(unit.audit().count_sign_ins(ada, SignInFilter::Any).await.unwrap(), 40);
        unit.audit().insert(event(world.key(), Some(ada), Action::SignInFailed)).await.unwrap();
        unit.commit().await.unwrap();
        let seen = read!(world.store, unit => unit.audit().sign_ins(ada, SignInFilter::Any, 100, 0));
        assert_eq!((seen.len(), seen[0].action.as_str()), (41, "auth.login.failure"));
        // Nothing of a unit that was dropped, and of none that only reads.
        let mut unit = world.store.begin().await.unwrap();
        unit.audit().insert(event(world.key(), Some(ada), Action::SignInFailed)).await.unwrap();
        drop(unit);
        let mut reading = world.store.read().await.unwrap();
        assert!(reading.audit().insert(event(world.key(), Some(ada), Action::SignInFailed)).await.is_err());
        drop(reading);
        assert_eq!(read!(world.store, unit => unit.audit().count_sign_ins(ada, SignInFilter::Any)), 41);
    }

    async fn an_event_whose_key_is_there_is_added_to_it_also_in_one_unit(world: World) {
        let key = world.key();
        let mut unit = world.store.begin().await.unwrap();
        for _ in 0..3 {
            unit.audit().insert(event(key, None, Action::SignInFailed)).await.unwrap();
        }
        unit.commit().await.unwrap();
        assert_eq!(world.database.sql_texts("select cast(repeats as text) from audit_events").await, ["3"]);
    }
}
