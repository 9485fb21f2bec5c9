//! Where files that people upload are kept.

use tidegate_domain::Clock;
use tidegate_objects::{Backend, Expected, Objects, ObjectsError};

use super::super::Verdict::{Fine, Warning, Wrong};
use super::super::{Finding, Verdict};
use crate::clock::SystemClock;
use crate::commands::lost_files::{Missed, missed, missed_remotely};
use crate::config::Config;
use crate::wiring::{objects, wrong_with_directory};

const NAME: &str = "files";
/// When a directory is made. A server makes none in the place of one that it had open: see `open_again` in `tidegate_objects`.
const MADE_LATER: &str = "made by the first upload; if it was removed while a server had it open, by the first one after a restart";
/// Who looks for those that are not among the oldest and the newest.
const ALL_ARE_LOOKED_FOR: &str = "the job \"storage orphans\" of a server looks for all files every day";

/// Whether files can be kept: in the local directory, where uploads under way are in any case, and in a store that is reached over the
/// network, which is tried out with a small one. `looked_for` are files that are to be there.
pub(super) async fn store(config: &Config, looked_for: &[Expected]) -> Finding {
    let objects = match objects(config) {
        Ok(objects) => objects,
        Err(failure) => return Finding::wrong(NAME, failure.message(), "correct [storage]"),
    };
    match objects.look_at_directory() {
        Err(error) => {
            let (what, advice) = wrong_with_directory(objects.directory(), &error);
            Finding::wrong(NAME, what, advice)
        }
        Ok(is_made) if objects.is_local() => directory(config, &objects, is_made, looked_for),
        Ok(_) => remote(config, &objects, looked_for).await,
    }
}

/// Nothing stays made or written there: the disk has a check of its own.
fn directory(config: &Config, objects: &Objects, is_made: bool, looked_for: &[Expected]) -> Finding {
    let place = objects.directory().display();
    let mut detail = if is_made { place.to_string() } else { format!("{place}, {MADE_LATER}") };
    let unread = config.storage.in_vain();
    if !unread.is_empty() {
        detail += &format!("\n{}: without effect: storage.backend is \"local\"", unread.join(", "));
    }
    if let Some(denied) = objects.find_denied(looked_for) {
        let (what, advice) = wrong_with_directory(objects.directory(), &ObjectsError::Unusable(denied));
        return Finding::wrong(NAME, format!("{detail}\n{what}"), advice);
    }
    let missed = missed(objects, looked_for);
    if missed.is_empty() {
        return Finding::new(NAME, if unread.is_empty() { Fine } else { Warning }, detail);
    }
    let verdict = graded(&missed, looked_for);
    let advice = if missed.lost.is_some() {
        format!(
            "if {place} is on a disk of its own, mount that; else copy what is in BACKUP.files of a backup there, as it is"
        )
    } else {
        "copy them from BACKUP.files of a backup that has them as they were, or let their owners upload them again".to_owned()
    };
    Finding::new(NAME, verdict, format!("{detail}\n{}", missed.text())).advised(advice)
}

async fn remote(config: &Config, objects: &Objects, looked_for: &[Expected]) -> Finding {
    let kind = match config.storage.backend {
        Backend::Local => "directory",
        Backend::S3 => "S3",
        Backend::Gcs => "Google Cloud Storage",
        Backend::Azure => "Azure",
    };
    let bucket = objects.bucket();
    let place = match &config.storage.endpoint {
        Some(endpoint) => format!("{kind}, {bucket} at {endpoint}"),
        None => format!("{kind}, {bucket}"),
    };
    let name = format!("{}-{}", std::process::id(), SystemClock.now().micros());
    match objects.try_out(&name).await {
        Ok(()) => {
            let detail = format!("{place}: a file was listed, written, read and removed");
            ask_for(objects, looked_for, detail).await
        }
        Err(error) => {
            let (what, advice) = parts(&error);
            Finding::wrong(NAME, format!("{place}: {what}"), advice)
        }
    }
}

/// Asks a store that answers for files that the database names. `detail` is what is said of it already.
async fn ask_for(objects: &Objects, looked_for: &[Expected], detail: String) -> Finding {
    match missed_remotely(objects, looked_for).await {
        Ok(_) if looked_for.is_empty() => Finding::new(NAME, Fine, detail),
        Ok(missed) if missed.is_empty() => {
            let files = looked_for.len();
            let told = format!("the {files} files that were looked for are there; {ALL_ARE_LOOKED_FOR}");
            Finding::new(NAME, Fine, format!("{detail}\n{told}"))
        }
        Ok(missed) => {
            let advice = "look in the log for \"the store has lost a file\" and \"a file was changed in the store\": `object` in such a line is \
                          the key under which the bucket's versions or backup must have the file; restore it there";
            let (verdict, told) = (graded(&missed, looked_for), missed.text());
            Finding::new(NAME, verdict, format!("{detail}\n{told}; {ALL_ARE_LOOKED_FOR}")).advised(advice)
        }
        Err(error) => {
            let (what, advice) = parts(&error);
            let told = format!("whether files are lost is not known: {what}");
            Finding::new(NAME, Warning, format!("{detail}\n{told}")).advised(advice)
        }
    }
}

/// Where all are lost, no file can be served: this may be another directory or bucket than the one that they are in. One that changed was
/// changed past the server.
fn graded(missed: &Missed, looked_for: &[Expected]) -> Verdict {
    let are_all_lost = missed.lost.as_ref().is_some_and(|(_, lost)| *lost == looked_for.len());
    if are_all_lost || missed.changed.is_some() { Wrong } else { Warning }
}

/// What a store's failure says, and what to look at, with which it ends.
fn parts(error: &ObjectsError) -> (String, String) {
    let said = error.to_string();
    let (what, advice) = said.rsplit_once("; ").unwrap_or((said.as_str(), "check [storage]"));
    (what.to_owned(), advice.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn configured(storage: &str) -> Config {
        Config { storage: serde_json::from_str(storage).unwrap(), ..Config::default() }
    }

    #[tokio::test]
    async fn a_directory_is_looked_at_and_not_made() {
        let here = tempfile::tempdir().unwrap();
        let at = |place: &str| {
            let directory = here.path().join(place);
            configured(
                &serde_json::json!({ "directory": directory, "endpoint": "http://127.0.0.1:9" }).to_string(),
            )
        };
        let finding = store(&at("files"), &[]).await;
        assert_eq!(finding.verdict, Warning);
        assert!(
            finding.detail.contains("by the first one after a restart\nstorage.endpoint: without effect"),
            "{finding:?}"
        );
        assert!(!here.path().join("files").exists());
        let expected = |key: &str| Expected { key: key.to_owned(), size: 3 };
        let lost = [expected("organizations/1/files/1/a.csv")];
        let finding = store(&at("files"), &lost).await;
        let told = "storage.backend is \"local\"\nthe store has lost 1 of the 1 files that were looked for";
        assert!(finding.verdict == Wrong && finding.detail.contains(told), "all are lost: {finding:?}");
        assert!(!here.path().join("files").exists());
        // One of two that is there shows that it is the right directory.
        let there = expected("organizations/1/files/1/b.csv");
        let place = here.path().join("some").join(&there.key);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, "id\n").unwrap();
        fs::write(here.path().join("some/.tidegate-files"), "").unwrap();
        let finding = store(&at("some"), &[lost[0].clone(), there.clone()]).await;
        let told = "the store has lost 1 of the 2 files that were looked for";
        assert!(finding.verdict == Warning && finding.detail.contains(told), "{finding:?}");
        // One that was changed there.
        fs::write(&place, "id\n1\n").unwrap();
        let finding = store(&at("some"), std::slice::from_ref(&there)).await;
        let told = "1 of the 1 files that were looked for changed in the store (organizations/1/files/1/b.csv has 5 bytes and had 3)";
        assert!(finding.verdict == Wrong && finding.detail.contains(told), "{finding:?}");
        assert!(finding.advice.unwrap().contains("copy them from BACKUP.files"));
        // Copied without its mark.
        fs::remove_file(here.path().join("some/.tidegate-files")).unwrap();
        let finding = store(&at("some"), &lost).await;
        assert!(
            finding.verdict == Wrong && finding.detail.contains("copied without hidden files"),
            "{finding:?}"
        );
        let advice = finding.advice.unwrap();
        assert!(advice.contains("some/.tidegate-files`") && advice.contains("cp -a FROM/. "), "{advice}");
        // Root may use any.
        if !rustix::process::geteuid().is_root() {
            let closed = here.path().join("some");
            fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
            let finding = store(&at("some"), &lost).await;
            fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
            assert!(finding.detail.contains("may not be read and written by this user ("), "{finding:?}");
            assert!(finding.advice.unwrap().starts_with("run `chmod u+rwx "));
        }
        fs::write(here.path().join("note"), "").unwrap();
        let finding = store(&at("note"), &[]).await;
        assert_eq!(finding.verdict, Wrong);
        assert!(finding.advice.unwrap().contains("storage.directory"));
        // Uploads under way are on the disk with any store: that is told before the store is asked.
        let directory = here.path().join("note/below");
        let s3 = serde_json::json!({
            "backend": "s3", "endpoint": "http://127.0.0.1:9", "access_key_id": "acct", "secret_access_key": "x", "directory": directory,
        });
        let finding = store(&configured(&s3.to_string()), &[]).await;
        assert!(finding.detail.contains("note/below cannot be used: Not a directory"), "{finding:?}");
    }

    #[tokio::test]
    async fn a_store_that_does_not_answer_is_told_with_its_setting() {
        // Nobody listens there.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        for backend in ["s3", "gcs", "azure"] {
            let storage = serde_json::json!({
                "backend": backend, "endpoint": endpoint, "access_key_id": "acct", "secret_access_key": "aHVudGVyMg==",
            });
            let finding = store(&configured(&storage.to_string()), &[]).await;
            assert_eq!(finding.verdict, Wrong, "{finding:?}");
            assert!(finding.detail.contains("cannot be reached"), "{finding:?}");
            assert!(finding.advice.as_ref().unwrap().starts_with("check storage.endpoint"), "{finding:?}");
            assert!(!format!("{finding:?}").contains("aHVudGVyMg"), "{finding:?}");
        }
    }
}
