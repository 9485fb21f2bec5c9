//! Accounts at a broker: opened once, looked at by one worker at a time, each one person's.

use std::collections::BTreeSet;

use tidegate_brokerage::BrokerageTables;
use tidegate_brokerage::tables::brokerage_accounts::{
    BrokerageRecord, Opened, Opening, OpeningState, StatusUpdate,
};
use tidegate_database::StoreError;
use tidegate_domain::id::AccountId;
use tidegate_testkit::{concurrently, on_both_engines};
use uuid::Uuid;

use crate::world::{NOW, World, at, insert_account, seconds};

/// Where every account here is.
pub(crate) const BROKER: &str = "alpaca";
/// Where none of them is.
const ANOTHER: &str = "sandbox";

/// An opening that begins at that second and is waited for a minute.
pub(crate) fn opening(world: &World, second: i64) -> Opening {
    Opening { since: at(second), until: at(second + 60), ..opening_of(world.key()) }
}

/// The opening of that key, which begins at once and is waited for a minute.
pub(crate) fn opening_of(id: Uuid) -> Opening {
    Opening { id, sealed: b"asked".to_vec(), state: OpeningState::Asked, since: NOW, until: at(60) }
}

/// What an opening led to, looked at again at that second.
fn account_at_broker(broker_account: Uuid, check: Option<i64>) -> Opened<'static> {
    Opened { broker_account, person: b"person", status: "submitted", check_at: check.map(at) }
}

/// Begins an opening, when it says it began, of somebody who has none.
async fn begin(world: &World, account: AccountId, opening: &Opening) -> bool {
    begin_over(world, account, opening, None).await
}

/// Begins an opening, when it says it began, in place of the one seen.
async fn begin_over(world: &World, account: AccountId, opening: &Opening, seen: Option<&Opening>) -> bool {
    let now = opening.since;
    commit!(world.store, unit => unit.brokerage().begin_opening(account, BROKER, opening, seen, now))
}

/// Somebody whose account is being opened.
async fn applicant(world: &World, second: i64) -> (AccountId, Opening) {
    let (account, opening) = (world.account().await, opening(world, second));
    assert!(begin(world, account, &opening).await);
    (account, opening)
}

async fn end(world: &World, account: AccountId, opened: Opened<'_>, second: i64) -> bool {
    commit!(world.store, unit => unit.brokerage().opened(account, BROKER, opened, at(second)))
}

/// Loses the answer to an opening, which is looked up at one second and waited for until another; answers what the
/// opening is then.
async fn lose(world: &World, seen: &Opening, check: i64, until: i64) -> Opening {
    commit!(world.store, unit => unit.brokerage().opening_unknown(BROKER, seen, at(check), at(until)));
    Opening { state: OpeningState::Unknown, until: at(until), ..seen.clone() }
}

/// Tries everything with an opening that whoever saw that one can.
async fn meddle(world: &World, seen: &Opening) {
    commit!(world.store, unit => unit.brokerage().opening_unknown(BROKER, seen, at(1), at(2)));
    commit!(world.store, unit => unit.brokerage().check_opening_at(BROKER, seen, at(3)));
    commit!(world.store, unit => unit.brokerage().opening_failed(BROKER, seen));
}

/// Somebody with an account at the broker, which is looked at again at that second.
async fn customer(world: &World, check: Option<i64>) -> (AccountId, Uuid) {
    let ((account, _), broker_account) = (applicant(world, 0).await, world.key());
    assert!(end(world, account, account_at_broker(broker_account, check), 1).await);
    (account, broker_account)
}

async fn find(world: &World, account: AccountId) -> Option<BrokerageRecord> {
    read!(world.store, unit => unit.brokerage().find(account, BROKER))
}

/// All there is to know of a person's account; timestamps, too.
async fn shown(world: &World, account: AccountId) -> String {
    format!("{:?}, {:?}", find(world, account).await, next_check(world).await)
}

/// The opening somebody has.
async fn opening_now(world: &World, account: AccountId) -> Opening {
    find(world, account).await.unwrap().opening.unwrap()
}

/// The second at which the broker is asked next.
async fn next_check(world: &World) -> Option<i64> {
    let next = read!(world.store, unit => unit.brokerage().next_check(BROKER));
    next.map(|next| next.seconds() - NOW.seconds())
}

async fn owner_of(world: &World, broker: &str, broker_account: Uuid) -> Option<AccountId> {
    read!(world.store, unit => unit.brokerage().owner_of(broker, broker_account))
}

/// Whose accounts and openings a worker gets at that second, for half a minute.
async fn claim(world: &World, second: i64, at_most: i64) -> BTreeSet<AccountId> {
    let due =
        commit!(world.store, unit => unit.brokerage().claim_due(BROKER, at(second), seconds(30), at_most));
    due.iter().map(|record| record.account).collect()
}

async fn stands(world: &World, account: AccountId, standing: StatusUpdate<'_>, second: i64) {
    commit!(world.store, unit => unit.brokerage().store_status(account, BROKER, standing, at(second)));
}

on_both_engines! {
    async fn an_opening_is_written_down_before_the_broker_is_asked(world: World) {
        let ada = world.account().await;
        assert!(find(&world, ada).await.is_none());
        let opening = opening(&world, 5);
        assert!(begin(&world, ada, &opening).await);
        let record = find(&world, ada).await.unwrap();
        assert_eq!((record.account, record.status.as_str(), record.checks), (ada, "new", 0));
        assert_eq!((record.person, record.broker_account, record.updated_at), (None, None, at(5)));
        let written = record.opening.unwrap();
        assert_eq!((written.id, written.sealed, written.state), (opening.id, opening.sealed, opening.state));
        assert_eq!((written.since, written.until), (at(5), at(65)));
        // Whoever asked may die; then somebody else looks at what became of it.
        assert_eq!(next_check(&world).await, Some(65));
        assert!(read!(world.store, unit => unit.brokerage().find(ada, ANOTHER)).is_none());
        assert!(find(&world, world.key()).await.is_none());
    }

    async fn an_opening_asked_with_nothing_is_one_all_the_same(world: World) {
        let ada = world.account().await;
        let opening = Opening { sealed: Vec::new(), ..opening(&world, 0) };
        assert!(begin(&world, ada, &opening).await);
        assert_eq!(find(&world, ada).await.unwrap().opening.unwrap().sealed, b"");
    }

    async fn an_opening_whose_answer_was_lost_is_looked_up(world: World) {
        let (ada, opening) = applicant(&world, 0).await;
        let (eve, _) = applicant(&world, 0).await;
        let bystander = format!("{:?}", find(&world, eve).await);
        let seen = lose(&world, &opening, 12, 300).await;
        let record = find(&world, ada).await.unwrap();
        assert_eq!((record.status.as_str(), record.broker_account, record.updated_at), ("new", None, NOW));
        let lost = record.opening.unwrap();
        assert_eq!((lost.id, lost.sealed, lost.since), (opening.id, opening.sealed, at(0)));
        assert_eq!((lost.state, lost.until), (OpeningState::Unknown, at(300)));
        assert_eq!(next_check(&world).await, Some(12));
        assert_eq!(format!("{:?}", find(&world, eve).await), bystander);
        // And again later.
        commit!(world.store, unit => unit.brokerage().check_opening_at(BROKER, &seen, at(33)));
        assert_eq!(next_check(&world).await, Some(33));
        let lost = opening_now(&world, ada).await;
        assert_eq!((lost.state, lost.until), (OpeningState::Unknown, at(300)));
        // It may turn out well all the same.
        assert!(end(&world, ada, account_at_broker(world.key(), None), 40).await);
        assert!(find(&world, ada).await.unwrap().opening.is_none());
    }

    async fn an_opening_that_failed_makes_room_for_another(world: World) {
        let (ada, first) = applicant(&world, 0).await;
        let (eve, _) = applicant(&world, 20).await;
        let bystander = format!("{:?}", find(&world, eve).await);
        commit!(world.store, unit => unit.brokerage().opening_failed(BROKER, &first));
        let record = find(&world, ada).await.unwrap();
        assert!(record.opening.is_none() && record.broker_account.is_none() && record.person.is_none());
        assert_eq!(next_check(&world).await, Some(80), "only the other's");
        let second = opening(&world, -100);
        assert!(begin(&world, ada, &second).await);
        let begun = opening_now(&world, ada).await;
        assert_eq!((begun.id, begun.since, begun.until), (second.id, at(-100), at(-40)));
        assert_eq!(next_check(&world).await, Some(-40));
        // Whoever saw the one before, which is gone, is as good as whoever saw none.
        commit!(world.store, unit => unit.brokerage().opening_failed(BROKER, &second));
        let third = opening(&world, 200);
        assert!(begin_over(&world, ada, &third, Some(&second)).await);
        assert_eq!(opening_now(&world, ada).await.id, third.id);
        assert_eq!(format!("{:?}", find(&world, eve).await), bystander);
    }

    // The broker says so: then it counts, whatever was concluded before.
    async fn an_account_that_turns_up_is_the_persons_whatever_became_of_the_opening(world: World) {
        let (ada, failed) = applicant(&world, 0).await;
        commit!(world.store, unit => unit.brokerage().opening_failed(BROKER, &failed));
        let (eve, lost) = applicant(&world, 0).await;
        let lost = lose(&world, &lost, 12, 300).await;
        assert!(begin_over(&world, eve, &opening(&world, 9), Some(&lost)).await);
        for account in [ada, eve] {
            let broker_account = world.key();
            assert!(end(&world, account, account_at_broker(broker_account, Some(50)), 20).await);
            let record = find(&world, account).await.unwrap();
            assert_eq!((record.broker_account, record.updated_at), (Some(broker_account), at(20)));
            assert!(record.opening.is_none());
        }
        let nobody = world.account().await;
        assert!(!end(&world, nobody, account_at_broker(world.key(), None), 20).await, "never asked");
        assert!(find(&world, nobody).await.is_none());
    }

    async fn an_opening_gives_way_to_whoever_saw_it_as_it_is(world: World) {
        let (ada, first) = applicant(&world, 0).await;
        let (eve, others) = applicant(&world, 0).await;
        let lost = lose(&world, &first, 12, 300).await;
        let (waiting, bystander) = (shown(&world, ada).await, format!("{:?}", find(&world, eve).await));
        let second = Opening { sealed: b"asked otherwise".to_vec(), ..opening(&world, 500) };
        let another = Opening { id: second.id, ..lost.clone() };
        let (sooner, later) =
            (Opening { until: at(299), ..lost.clone() }, Opening { until: at(301), ..lost.clone() });
        for seen in [None, Some(&first), Some(&others), Some(&another), Some(&sooner), Some(&later)] {
            for new in [&first, &lost, &second] {
                assert!(!begin_over(&world, ada, new, seen).await, "{seen:?}");
            }
        }
        assert_eq!(shown(&world, ada).await, waiting);
        // The same once more, then another.
        let again = Opening { since: first.since, until: at(400), ..first.clone() };
        assert!(begin_over(&world, ada, &again, Some(&lost)).await);
        let begun = opening_now(&world, ada).await;
        assert_eq!((begun.id, begun.state, begun.until), (first.id, OpeningState::Asked, at(400)));
        assert_eq!(next_check(&world).await, Some(60), "the other's");
        assert!(!begin_over(&world, ada, &second, Some(&lost)).await, "tried again meanwhile");
        assert!(begin_over(&world, ada, &second, Some(&again)).await);
        let begun = opening_now(&world, ada).await;
        assert_eq!((begun.id, begun.sealed, begun.until), (second.id, second.sealed, at(560)));
        assert_eq!(format!("{:?}", find(&world, eve).await), bystander);
    }

    async fn whoever_saw_an_opening_before_it_was_tried_again_changes_nothing(world: World) {
        let (ada, first) = applicant(&world, 0).await;
        let lost = lose(&world, &first, 12, 300).await;
        let waiting = shown(&world, ada).await;
        meddle(&world, &first).await;
        assert_eq!(shown(&world, ada).await, waiting);
        // The same key, another time.
        let again = Opening { until: at(400), ..first.clone() };
        assert!(begin_over(&world, ada, &again, Some(&lost)).await);
        let begun = shown(&world, ada).await;
        for seen in [&first, &lost, &Opening { id: world.key(), ..again.clone() }] {
            meddle(&world, seen).await;
        }
        assert_eq!(shown(&world, ada).await, begun);
        // And then another key.
        let second = Opening { until: again.until, ..opening(&world, 350) };
        assert!(begin_over(&world, ada, &second, Some(&again)).await);
        let begun = shown(&world, ada).await;
        for seen in [&first, &lost, &again] {
            meddle(&world, seen).await;
        }
        assert_eq!(shown(&world, ada).await, begun);
        meddle(&world, &second).await;
        assert_eq!(opening_now(&world, ada).await.until, at(2), "lost, and then it was another");
        let lost = Opening { until: at(2), ..second };
        commit!(world.store, unit => unit.brokerage().opening_failed(BROKER, &lost));
        assert!(find(&world, ada).await.unwrap().opening.is_none());
    }

    async fn of_twenty_who_try_a_lost_opening_again_one_does(world: World) {
        let (ada, first) = applicant(&world, 0).await;
        let lost = lose(&world, &first, 12, 300).await;
        let (lost, first) = (&lost, &first);
        let begun = concurrently(20, |number| {
            let (store, seen) = (world.store.clone(), lost.clone());
            let until = at(400 + i64::try_from(number).unwrap());
            let again = Opening { until, ..first.clone() };
            async move {
                let seen = Some(&seen);
                commit!(store, unit => unit.brokerage().begin_opening(ada, BROKER, &again, seen, at(310)))
            }
        })
        .await;
        let winner = begun.iter().position(|begun| *begun).unwrap();
        assert_eq!(begun.iter().filter(|begun| **begun).count(), 1);
        assert_eq!(opening_now(&world, ada).await.until, at(400 + i64::try_from(winner).unwrap()));
    }

    async fn an_account_is_opened_once_and_only_once(world: World) {
        let (ada, opening) = applicant(&world, 0).await;
        let (eve, _) = applicant(&world, 100).await;
        let bystander = format!("{:?}", find(&world, eve).await);
        let broker_account = world.key();
        assert!(end(&world, ada, account_at_broker(broker_account, Some(9)), 6).await);
        let record = find(&world, ada).await.unwrap();
        assert_eq!((record.account, record.broker_account), (ada, Some(broker_account)));
        assert_eq!((record.person.as_deref(), record.status.as_str()), (Some(&b"person"[..]), "submitted"));
        assert_eq!((record.opening.is_none(), record.checks, record.updated_at), (true, 0, at(6)));
        assert_eq!(next_check(&world).await, Some(9));
        let opened = shown(&world, ada).await;
        // Neither the same again nor another one.
        for again in [broker_account, world.key()] {
            assert!(!end(&world, ada, account_at_broker(again, None), 7).await);
        }
        let another = self::opening(&world, 7);
        for again in [&opening, &another] {
            meddle(&world, again).await;
            for seen in [None, Some(&opening), Some(&another)] {
                assert!(!begin_over(&world, ada, again, seen).await);
            }
        }
        assert_eq!(shown(&world, ada).await, opened);
        assert_eq!(format!("{:?}", find(&world, eve).await), bystander);
    }

    async fn an_opening_is_one_of_its_broker(world: World) {
        let (ada, opening) = applicant(&world, 0).await;
        let begun = shown(&world, ada).await;
        let opened = account_at_broker(world.key(), None);
        assert!(!commit!(world.store, unit => unit.brokerage().opened(ada, ANOTHER, opened, at(1))));
        commit!(world.store, unit => unit.brokerage().opening_unknown(ANOTHER, &opening, at(1), at(2)));
        commit!(world.store, unit => unit.brokerage().check_opening_at(ANOTHER, &opening, at(1)));
        commit!(world.store, unit => unit.brokerage().opening_failed(ANOTHER, &opening));
        assert_eq!(shown(&world, ada).await, begun);
    }

    async fn of_twenty_who_note_what_an_opening_led_to_one_does(world: World) {
        let (ada, _) = applicant(&world, 0).await;
        let keys: Vec<Uuid> = (0..20).map(|_| world.key()).collect();
        let candidates = keys.clone();
        let noted = concurrently(20, |number| {
            let (store, opened) = (world.store.clone(), account_at_broker(candidates[number], None));
            async move { commit!(store, unit => unit.brokerage().opened(ada, BROKER, opened, at(1))) }
        })
        .await;
        let noted: Vec<Uuid> =
            keys.into_iter().zip(noted).filter_map(|(key, noted)| noted.then_some(key)).collect();
        assert_eq!(noted.len(), 1);
        assert_eq!(find(&world, ada).await.unwrap().broker_account, Some(noted[0]));
    }

    // Use cases lock the account first; even without that one of them begins, and the others learn that they do not.
    async fn of_twenty_openings_of_one_person_one_begins(world: World) {
        let ada = world.account().await;
        let openings: Vec<Opening> = (0..20).map(|_| opening(&world, 0)).collect();
        let asked = openings.clone();
        let begun = concurrently(20, |number| {
            let (store, opening) = (world.store.clone(), asked[number].clone());
            async move {
                commit!(store, unit => unit.brokerage().begin_opening(ada, BROKER, &opening, None, NOW))
            }
        })
        .await;
        let begun: Vec<Uuid> =
            openings.iter().zip(begun).filter_map(|(opening, begun)| begun.then_some(opening.id)).collect();
        assert_eq!(begun, [opening_now(&world, ada).await.id]);
        assert_eq!(world.database.sql_count("select count(*) from brokerage_accounts").await, 1);
    }

    async fn an_account_at_the_broker_is_one_persons(world: World) {
        let (ada, broker_account) = customer(&world, None).await;
        let (eve, _) = applicant(&world, 0).await;
        let mut unit = world.store.begin().await.unwrap();
        let opened = account_at_broker(broker_account, None);
        let stolen = unit.brokerage().opened(eve, BROKER, opened, at(2)).await;
        assert!(matches!(stolen, Err(StoreError::Database(_))), "{stolen:?}");
        drop(unit);
        assert_eq!(owner_of(&world, BROKER, broker_account).await, Some(ada));
        assert!(find(&world, eve).await.unwrap().opening.is_some());
        // Elsewhere, that key is another account's.
        let elsewhere = self::opening(&world, 0);
        let begun =
            commit!(world.store, unit => unit.brokerage().begin_opening(eve, ANOTHER, &elsewhere, None, NOW));
        assert!(begun);
        assert_eq!(owner_of(&world, ANOTHER, broker_account).await, None);
        assert!(commit!(world.store, unit => unit.brokerage().opened(eve, ANOTHER, opened, at(3))));
        assert_eq!(owner_of(&world, ANOTHER, broker_account).await, Some(eve));
        assert_eq!(owner_of(&world, BROKER, broker_account).await, Some(ada));
        assert_eq!(owner_of(&world, BROKER, world.key()).await, None);
    }

    async fn a_person_has_one_account_at_each_broker(world: World) {
        let (ada, _) = customer(&world, None).await;
        let elsewhere = opening(&world, 20);
        let begun =
            commit!(world.store, unit => unit.brokerage().begin_opening(ada, ANOTHER, &elsewhere, None, at(20)));
        assert!(begun);
        let other = read!(world.store, unit => unit.brokerage().find(ada, ANOTHER)).unwrap();
        assert_eq!((other.status.as_str(), other.opening.unwrap().id), ("new", elsewhere.id));
        assert_eq!(find(&world, ada).await.unwrap().status, "submitted");
        assert_eq!(world.database.sql_count("select count(*) from brokerage_accounts").await, 2);
        assert!(!begin(&world, ada, &elsewhere).await);
    }

    async fn only_somebody_who_is_there_has_an_opening(world: World) {
        let (nobody, opening) = (world.key(), opening(&world, 0));
        let mut unit = world.store.begin().await.unwrap();
        let refused = unit.brokerage().begin_opening(nobody, BROKER, &opening, None, NOW).await;
        assert!(matches!(refused, Err(StoreError::Database(_))), "{refused:?}");
    }

    async fn a_status_that_stays_is_no_change(world: World) {
        let (ada, broker_account) = customer(&world, Some(10)).await;
        let (eve, _) = customer(&world, None).await;
        let bystander = format!("{:?}", find(&world, eve).await);
        for (second, status, check, checks, updated) in [
            (10, "submitted", Some(20), 1, 1),
            (20, "submitted", Some(40), 2, 1),
            (40, "active", Some(90), 0, 40),
            (90, "active", None, 1, 40),
            (95, "submitted", None, 0, 95),
        ] {
            stands(&world, ada, StatusUpdate { status, check_at: check.map(at), checks }, second).await;
            let record = find(&world, ada).await.unwrap();
            assert_eq!((record.status.as_str(), record.checks), (status, checks));
            assert_eq!((record.updated_at, next_check(&world).await), (at(updated), check));
            assert_eq!((record.broker_account, record.opening.is_none()), (Some(broker_account), true));
        }
        assert_eq!(format!("{:?}", find(&world, eve).await), bystander);
    }

    async fn what_is_not_opened_yet_stands_nowhere(world: World) {
        let ((ada, _), nobody) = (applicant(&world, 0).await, world.account().await);
        let begun = shown(&world, ada).await;
        let standing = StatusUpdate { status: "active", check_at: Some(at(1)), checks: 7 };
        for account in [ada, nobody] {
            stands(&world, account, standing, 9).await;
        }
        assert_eq!(shown(&world, ada).await, begun);
        assert!(find(&world, nobody).await.is_none());
    }

    async fn whoever_claims_what_is_due_has_it_for_a_while(world: World) {
        let (ada, _) = customer(&world, Some(10)).await;
        let (eve, _) = applicant(&world, 0).await;
        let (bob, _) = customer(&world, Some(61)).await;
        customer(&world, None).await;
        let elsewhere = opening(&world, 0);
        commit!(world.store, unit => unit.brokerage().begin_opening(ada, ANOTHER, &elsewhere, None, at(0)));
        assert!(claim(&world, 9, 10).await.is_empty(), "before it is due");
        assert_eq!(claim(&world, 10, 10).await, BTreeSet::from([ada]));
        assert!(claim(&world, 39, 10).await.is_empty(), "somebody is at it");
        assert_eq!(next_check(&world).await, Some(40));
        // Whoever it was has died.
        assert_eq!(claim(&world, 40, 10).await, BTreeSet::from([ada]));
        assert_eq!(claim(&world, 60, 10).await, BTreeSet::from([eve]));
        assert_eq!(claim(&world, 90, 10).await, BTreeSet::from([ada, eve, bob]));
        assert!(claim(&world, 119, 10).await.is_empty());
    }

    async fn what_is_claimed_is_what_is_known(world: World) {
        let (ada, opening) = applicant(&world, 0).await;
        let (eve, broker_account) = customer(&world, Some(60)).await;
        let standing = StatusUpdate { status: "active", check_at: Some(at(60)), checks: 3 };
        stands(&world, eve, standing, 5).await;
        let due = commit!(world.store, unit => unit.brokerage().claim_due(BROKER, at(60), seconds(30), 10));
        assert_eq!(due.len(), 2);
        for record in due {
            assert_eq!(format!("{:?}", Some(&record)), format!("{:?}", find(&world, record.account).await));
            if record.account == ada {
                let claimed = record.opening.unwrap();
                // What is waited for is not put off by looking.
                assert_eq!((claimed.id, claimed.until, record.broker_account), (opening.id, at(60), None));
            } else {
                assert_eq!((record.account, record.broker_account), (eve, Some(broker_account)));
                assert_eq!((record.status.as_str(), record.checks), ("active", 3));
            }
        }
    }

    async fn what_is_due_longest_is_claimed_first(world: World) {
        let mut accounts = Vec::new();
        for check in [30, 10, 20] {
            accounts.push(customer(&world, Some(check)).await.0);
        }
        assert!(claim(&world, 50, 0).await.is_empty());
        assert_eq!(claim(&world, 50, 2).await, BTreeSet::from([accounts[1], accounts[2]]));
        assert_eq!(claim(&world, 50, 2).await, BTreeSet::from([accounts[0]]));
        assert!(claim(&world, 50, 2).await.is_empty());
    }

    // Whoever waits for an account has been told nothing; an account only stands where it stood.
    async fn openings_are_claimed_before_accounts(world: World) {
        let (ada, _) = customer(&world, Some(10)).await;
        let (eve, _) = customer(&world, Some(20)).await;
        let (late, _) = applicant(&world, 40).await;
        let (early, lost) = applicant(&world, 0).await;
        let (bob, _) = applicant(&world, 41).await;
        lose(&world, &lost, 90, 300).await;
        for claimed in [early, late] {
            assert_eq!(claim(&world, 100, 1).await, BTreeSet::from([claimed]), "the one due longest");
        }
        assert_eq!(claim(&world, 100, 3).await, BTreeSet::from([ada, eve]), "no other is due");
        assert_eq!(claim(&world, 130, 4).await, BTreeSet::from([early, late, bob, ada]));
    }

    // They are looked at one by one.
    async fn what_is_claimed_together_comes_openings_first(world: World) {
        let (mut customers, mut applicants) = (BTreeSet::new(), BTreeSet::new());
        for _ in 0..5 {
            customers.insert(customer(&world, Some(10)).await.0);
            applicants.insert(applicant(&world, 0).await.0);
        }
        let due = commit!(world.store, unit => unit.brokerage().claim_due(BROKER, at(60), seconds(30), 10));
        let due: Vec<AccountId> = due.iter().map(|record| record.account).collect();
        assert_eq!(due.len(), 10);
        assert_eq!(due[..5].iter().copied().collect::<BTreeSet<_>>(), applicants, "{due:?}");
        assert_eq!(due[5..].iter().copied().collect::<BTreeSet<_>>(), customers, "{due:?}");
    }

    async fn workers_at_once_never_get_the_same(world: World) {
        let mut unit = world.store.begin().await.unwrap();
        for _ in 0..40 {
            let (account, opening) = (world.key(), opening(&world, 0));
            insert_account(&mut unit, account).await.unwrap();
            unit.brokerage().begin_opening(account, BROKER, &opening, None, NOW).await.unwrap();
        }
        unit.commit().await.unwrap();
        let batches = concurrently(2, |_| {
            let store = world.store.clone();
            async move {
                let mut own = Vec::new();
                // A worker that comes away empty-handed may have lost a race; it looks again while there is something.
                while read!(store, unit => unit.brokerage().next_check(BROKER)).is_some_and(|due| due <= at(60)) {
                    let lease = seconds(30);
                    own.extend(commit!(store, unit => unit.brokerage().claim_due(BROKER, at(60), lease, 3)));
                }
                own
            }
        })
        .await;
        let claimed: Vec<AccountId> = batches.iter().flatten().map(|record| record.account).collect();
        assert_eq!(claimed.len(), 40);
        assert_eq!(claimed.iter().collect::<BTreeSet<_>>().len(), 40);
    }

    async fn a_claim_that_was_not_committed_did_not_happen(world: World) {
        let (ada, _) = customer(&world, Some(10)).await;
        let mut unit = world.store.begin().await.unwrap();
        assert_eq!(unit.brokerage().claim_due(BROKER, at(10), seconds(30), 1).await.unwrap().len(), 1);
        drop(unit);
        assert_eq!(claim(&world, 10, 1).await, BTreeSet::from([ada]));
    }

    async fn the_next_check_is_the_earliest_of_the_broker(world: World) {
        assert_eq!(next_check(&world).await, None);
        let (ada, elsewhere) = (world.account().await, opening(&world, -600));
        commit!(world.store, unit => unit.brokerage().begin_opening(ada, ANOTHER, &elsewhere, None, NOW));
        assert_eq!(next_check(&world).await, None);
        customer(&world, None).await;
        assert_eq!(next_check(&world).await, None);
        for (check, next) in [(50, 50), (70, 50), (20, 20), (-5, -5)] {
            customer(&world, Some(check)).await;
            assert_eq!(next_check(&world).await, Some(next));
        }
    }

    async fn an_opening_is_no_account_yet(world: World) {
        let any = async |broker: &str| read!(world.store, unit => unit.brokerage().any(broker));
        assert!(!any(BROKER).await);
        let (ada, _) = applicant(&world, 0).await;
        assert!(!any(BROKER).await);
        assert!(end(&world, ada, account_at_broker(world.key(), None), 1).await);
        assert!(any(BROKER).await);
        assert!(!any(ANOTHER).await);
    }

    async fn a_state_no_version_has_written_is_an_error_not_a_guess(world: World) {
        let (ada, _) = applicant(&world, 0).await;
        world.database.sql("update brokerage_accounts set opening_state = 'perhaps'").await;
        let mut unit = world.store.read().await.unwrap();
        let found = unit.brokerage().find(ada, BROKER).await;
        assert!(
            matches!(found, Err(StoreError::Unreadable("brokerage_accounts.opening_state"))),
            "{found:?}"
        );
    }
}
