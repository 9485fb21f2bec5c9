//! What is cut off is finished or taken back, and what does not fit together is found.

use std::time::Duration;

use tidegate_domain::EmailAddress;
use tidegate_identity::operator::{AccountName, Operator};
use tidegate_testkit::{TestApp, on_both_engines};

use super::super::wire::{url, wait};
use super::{ADA, assert_no_drift, file, files_on_disk, get, names, remove, signed, stored, used};

/// Runs what is due until nothing is.
async fn run_jobs(app: &TestApp) {
    app.storage().settle_unfinished().await.unwrap();
}

/// An operator deletes the account.
async fn delete_account(app: &TestApp) {
    let operator = Operator::at_command_line(app.kernel().settings().contracts.of_installation());
    let name = AccountName::Login(EmailAddress::parse(ADA).unwrap().into());
    app.identity().delete_account_for_operator(&operator, &name).await.unwrap();
}

on_both_engines! {
    async fn an_upload_that_was_cut_off_is_taken_back(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        stored(&app, &ada, "kept.csv", b"kept").await;
        let object = stored(&app, &ada, "a.csv", b"12345678").await;
        // As if its node had died before it was said to be stored.
        let until = app.now().plus(Duration::from_secs(900)).micros();
        app.sql(&format!(
            "update storage_files set state = 'uploading', reserved_until = {until} where object_name = '{object}'"
        )).await;
        run_jobs(&app).await;
        assert_eq!((files_on_disk(&app).len(), used(&app, &ada).await), (2, 12), "it may still be under way");
        wait(&app, 900);
        run_jobs(&app).await;
        assert_eq!((files_on_disk(&app).len(), used(&app, &ada).await), (1, 4));
        assert_no_drift(&app).await;
    }

    async fn a_removal_that_was_cut_off_is_finished(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let object = stored(&app, &ada, "a.csv", b"12345678").await;
        app.sql("update storage_files set state = 'removing'").await;
        get(&app, &ada, &format!("storage/objects/{object}/metadata")).send().await.assert_error(404, "NOT_FOUND");
        run_jobs(&app).await;
        assert_eq!((files_on_disk(&app).len(), used(&app, &ada).await), (0, 0));
        // And nothing is given back twice.
        run_jobs(&app).await;
        assert_no_drift(&app).await;
    }

    // The job lists what is due and comes to each one after the other: what was acknowledged in between stays.
    async fn a_slow_upload_that_is_acknowledged_while_others_are_settled_stays(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for place in 0..60 {
            stored(&app, &ada, &format!("{place}.csv"), b"1234").await;
        }
        app.sql("update storage_files set state = 'uploading', reserved_until = 0").await;
        let acknowledging = async {
            let over = "select count(*) from storage_files where state = 'removed'";
            while app.sql_count(over).await == 0 {
                tokio::task::yield_now().await;
            }
            // As uploads that were slower than their reservation do at their end.
            app.sql("update storage_files set state = 'stored' where state = 'uploading'").await;
            app.sql_count("select count(*) from storage_files where state = 'stored'").await
        };
        let (settled, acknowledged) = tokio::join!(app.storage().settle_unfinished(), acknowledging);
        settled.unwrap();
        assert!(acknowledged > 0, "all were settled before one was acknowledged");
        let kept = app.sql_count("select count(*) from storage_files where state = 'stored'").await;
        assert_eq!(kept, acknowledged);
        assert_eq!(files_on_disk(&app).len(), usize::try_from(acknowledged).unwrap());
        assert_no_drift(&app).await;
    }

    async fn of_those_who_remove_a_file_at_once_one_does(app: TestApp) {
        let app = std::sync::Arc::new(app);
        let ada = app.sign_up_rivergen_verified(ADA).await;
        stored(&app, &ada, "kept.csv", b"kept").await;
        let object = stored(&app, &ada, "a.csv", b"12345678").await;
        let answers = tidegate_testkit::concurrently(6, |_| {
            let (app, ada, object) = (app.clone(), ada.clone(), object.clone());
            async move { remove(&app, &ada, &object).await.status }
        })
        .await;
        assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
        assert!(answers.iter().all(|status| matches!(status, 200 | 404)), "{answers:?}");
        assert_eq!((files_on_disk(&app).len(), used(&app, &ada).await), (1, 4));
        assert_no_drift(&app).await;
    }

    async fn an_object_that_was_removed_does_not_come_back(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let object = stored(&app, &ada, "a.csv", b"12345678").await;
        let path = app.files_directory().join(&object);
        remove(&app, &ada, &object).await.assert_status(200);
        // As an upload does that was slower than its reservation, and whose node died then.
        std::fs::write(&path, b"12345678").unwrap();
        let written = std::time::UNIX_EPOCH + Duration::from_secs(app.now().seconds().unsigned_abs() - 86_400);
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
        app.storage().compare_with_store().await.unwrap();
        assert!(!path.exists());
        assert_eq!(used(&app, &ada).await, 0);
        assert_no_drift(&app).await;
    }

    async fn the_files_of_a_deleted_account_go(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let object = stored(&app, &ada, "a.csv", b"12345678").await;
        let url = signed(&app, &ada, &object).await;
        delete_account(&app).await;
        app.get(&url).send().await.assert_status(404);
        assert!(app.sql_count("select count(*) from jobs where name = 'storage removal'").await == 1);
        run_jobs(&app).await;
        assert!(files_on_disk(&app).is_empty());
        assert_no_drift(&app).await;
    }

    async fn a_row_without_an_object_is_missing_until_it_is_back(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let object = stored(&app, &ada, "a.csv", b"12345678").await;
        stored(&app, &ada, "b.csv", b"1").await;
        let path = app.files_directory().join(&object);
        let aside = app.files_directory().join("aside");
        std::fs::rename(&path, &aside).unwrap();
        let url = signed(&app, &ada, &object).await;
        app.get(&url).send().await.assert_status(404);
        app.storage().compare_with_store().await.unwrap();
        assert_eq!(used(&app, &ada).await, 1);
        get(&app, &ada, &format!("storage/objects/{object}/metadata")).send().await.assert_error(404, "NOT_FOUND");
        assert_no_drift(&app).await;
        std::fs::rename(&aside, &path).unwrap();
        app.storage().compare_with_store().await.unwrap();
        assert_eq!(used(&app, &ada).await, 9);
        app.get(&url).send().await.assert_status(200);
        assert_no_drift(&app).await;
    }

    async fn a_file_that_the_store_has_lost_can_be_removed_by_its_owner_alone(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let eve = app.sign_up_rivergen_verified("eve@example.com").await;
        let object = stored(&app, &ada, "a.csv", b"12345678").await;
        stored(&app, &ada, "b.csv", b"1").await;
        let path = app.files_directory().join(&object);
        std::fs::remove_file(&path).unwrap();
        app.storage().compare_with_store().await.unwrap();
        remove(&app, &eve, &object).await.assert_error(403, "FORBIDDEN");
        remove(&app, &ada, &object).await.assert_status(200);
        // Its bytes were given back when it was lost, and are not twice. Nothing looks for it any more.
        assert_eq!(used(&app, &ada).await, 1);
        assert_no_drift(&app).await;
        let looked_for = "select count(*) from storage_files where state in ('stored', 'missing')";
        assert_eq!(app.sql_count(looked_for).await, 1);
        remove(&app, &ada, &object).await.assert_error(404, "NOT_FOUND");
        // One that is back before it was found to be is removed with its row.
        let object = stored(&app, &ada, "c.csv", b"123").await;
        let (path, aside) = (app.files_directory().join(&object), app.files_directory().join("aside"));
        std::fs::rename(&path, &aside).unwrap();
        app.storage().compare_with_store().await.unwrap();
        std::fs::rename(&aside, &path).unwrap();
        remove(&app, &ada, &object).await.assert_status(200);
        assert!(!path.exists());
        assert_eq!(used(&app, &ada).await, 1);
        assert_no_drift(&app).await;
    }

    async fn an_object_without_a_row_gets_one(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let object = stored(&app, &ada, "a.csv", b"12345678").await;
        let folder = object.rsplit_once('/').unwrap().0.to_owned();
        let directory = app.files_directory().join(&folder);
        let put = |path: std::path::PathBuf, content: &str, age: u64| {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, content).unwrap();
            let written = std::time::UNIX_EPOCH + Duration::from_secs(app.now().seconds().unsigned_abs() - age);
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
        };
        const DAY: u64 = 86_400;
        put(directory.join("put.csv"), "1234", DAY);
        put(directory.join("young.csv"), "1234", 60);
        put(app.files_directory().join("organizations/999/files/999/foreign.csv"), "1", DAY);
        put(app.files_directory().join("organizations/999/files/999/old.csv"), "1", 31 * DAY);
        app.storage().compare_with_store().await.unwrap();
        let listed = get(&app, &ada, "storage/files").send().await;
        assert_eq!(names(listed.field("data.items"), "file_name"), ["put.csv", "a.csv"]);
        assert_eq!(listed.text_at("data.items.0.content_type"), "text/csv");
        assert_eq!(used(&app, &ada).await, 12);
        let on_disk = files_on_disk(&app);
        assert!(on_disk.iter().any(|path| path.ends_with("foreign.csv")), "its owner may come back");
        assert!(!on_disk.iter().any(|path| path.ends_with("old.csv")));
        assert_no_drift(&app).await;
        // One that has no row yet can be removed all the same.
        remove(&app, &ada, &format!("{folder}/young.csv")).await.assert_status(200);
        assert!(!directory.join("young.csv").exists());
    }

    // A copy without hidden files looks so.
    async fn a_directory_without_its_mark_is_away_until_it_has_it_again(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let object = stored(&app, &ada, "a.csv", b"12345678").await;
        let at = signed(&app, &ada, &object).await;
        let mark = app.files_directory().join(".tidegate-files");
        std::fs::remove_file(&mark).unwrap();
        let node = app.another_node().await;
        let client = node.client();
        let answer = client.get(&at).send().await;
        assert_eq!(answer.assert_status(503).text_at("error"), "temporarily_unavailable");
        let uploading = client.post(&url("storage/upload")).bearer(&ada.access_token);
        file("b.csv", b"1").on(uploading).send().await.assert_error(503, "SERVICE_UNAVAILABLE");
        assert!(node.storage.compare_with_store().await.is_err(), "nothing is taken for lost");
        std::fs::write(&mark, "").unwrap();
        client.get(&at).send().await.assert_status(200);
        assert_eq!(used(&app, &ada).await, 8);
        assert_no_drift(&app).await;
    }

    async fn a_store_that_is_away_has_lost_nothing(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        stored(&app, &ada, "a.csv", b"12345678").await;
        let (here, aside) = (app.files_directory(), app.files_directory().with_extension("aside"));
        std::fs::rename(&here, &aside).unwrap();
        std::fs::write(&here, "no directory").unwrap();
        // A new node finds no directory.
        let node = app.another_node().await;
        assert!(node.storage.compare_with_store().await.is_err());
        assert_eq!(used(&app, &ada).await, 8);
    }
}
