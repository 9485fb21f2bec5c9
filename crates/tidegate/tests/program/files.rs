//! Uploaded files: what is left when the program is killed, and what they take in memory.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_testkit::{Engine, TestDatabase, eventually, on_both_engines, on_one_engine};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::guards::{as_anybody, close_off};
use crate::member::form;
use crate::storage::name;
use crate::support::{Installation, Said, Server};

const MIB: usize = 1024 * 1024;
/// What a large upload or download may add to what the program takes: the file has 90 MiB.
const LITTLE_KIB: u64 = 40 * 1024;
const PUBLIC_URL: &str = "https://id.example.com";
/// How often the program is killed.
const KILLS: usize = 4;
/// More than the files take.
const FIRST_LIMIT: i64 = 10_000_000_000;

fn serve(here: &Installation) -> Server {
    serve_with(here, &["--dev"])
}

fn serve_with(here: &Installation, arguments: &[&str]) -> Server {
    here.serve_with(arguments, |command: &mut Command| {
        // The issuer stays the same across restarts, and tokens with it.
        command.env("TIDEGATE_PUBLIC_URL", PUBLIC_URL);
        command.env("TIDEGATE_LOG__FILTER", "error");
    })
}

/// Signs up and verifies; answers the access token.
pub(crate) async fn token(here: &Installation, server: &Server) -> String {
    let (status, signed_up) = server.sign_up("ada@example.com").await;
    assert_eq!(status, 201, "{signed_up}");
    let code = here.output(&["outbox", "code", "--to", "ada@example.com"]);
    let body = json!({"temporary_token": signed_up["data"]["temporary_token"], "otp_code": code});
    let (status, verified) = server.post("/api/v1/auth/verify-otp", body).await;
    assert_eq!(status, 200, "{verified}");
    verified["data"]["access_token"].as_str().unwrap().to_owned()
}

/// Status and object name of an upload; none when the program was killed.
pub(crate) async fn upload(
    http: &reqwest::Client,
    base: &str,
    token: &str,
    body: Vec<u8>,
) -> Option<(u16, Value)> {
    let request = http.post(format!("{base}/api/v1/storage/upload")).bearer_auth(token);
    let answer =
        request.header("content-type", "multipart/form-data; boundary=b").body(body).send().await.ok()?;
    Some((answer.status().as_u16(), answer.json().await.ok()?))
}

pub(crate) async fn get(server: &Server, token: &str, path: &str) -> Value {
    let request = server.http.get(format!("{}/api/v1/storage/{path}", server.base)).bearer_auth(token);
    request.send().await.unwrap().json().await.unwrap()
}

/// A signed URL of an object, at the server's own address.
async fn signed(server: &Server, token: &str, object: &str) -> String {
    let answer = get(server, token, &format!("objects/{object}/presigned-url")).await;
    let url = answer["data"]["url"].as_str().unwrap_or_else(|| panic!("{object}: {answer}"));
    url.replace(PUBLIC_URL, &server.base)
}

/// What happened before the program was killed, as far as it was acknowledged.
#[derive(Default)]
struct Acknowledged {
    stored: Vec<(String, usize)>,
    removed: Vec<String>,
}

/// Uploads and removes files until the program is gone.
async fn keep_busy(
    http: reqwest::Client,
    base: String,
    token: String,
    worker: usize,
    done: Arc<Mutex<Acknowledged>>,
) {
    for round in 0_usize.. {
        let size = 1 + (worker * 7_919 + round * 104_729) % 60_000;
        let Some((status, answer)) = upload(&http, &base, &token, form("a.csv", &vec![b'x'; size])).await
        else {
            return;
        };
        assert_eq!(status, 201, "{answer}");
        let object = answer["data"]["file_path"].as_str().unwrap().to_owned();
        done.lock().await.stored.push((object.clone(), size));
        if round % 3 == 2 {
            // From here on it may be gone or not, until it is said.
            done.lock().await.stored.retain(|(stored, _)| *stored != object);
            let request = http.delete(format!("{base}/api/v1/storage/objects/{object}")).bearer_auth(&token);
            match request.send().await {
                Ok(answer) if answer.status() == 200 => done.lock().await.removed.push(object),
                Ok(answer) => panic!("{}", answer.text().await.unwrap()),
                Err(_) => return,
            }
        }
    }
}

/// Sets the quota again and again until then, each time by one more: another process writes the same row. Answers the last one that was
/// acknowledged, and who sets the next, which may be at it still.
async fn keep_setting_quota(here: &Installation, from: i64, until: Instant) -> (Option<i64>, Child) {
    let mut acknowledged = None;
    for limit in from.. {
        let mut command = here.command(&["org", "storage", "1", "--limit", &limit.to_string()]);
        let mut setting = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
        loop {
            if Instant::now() >= until {
                return (acknowledged, setting);
            }
            if let Some(status) = setting.try_wait().unwrap() {
                assert!(status.success(), "the quota could not be set: {status}");
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        acknowledged = Some(limit);
    }
    unreachable!("there are enough numbers")
}

/// How many files of organizations are on disk.
fn files_on_disk(directory: &Path) -> usize {
    let mut found = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found += files_on_disk(&path);
        } else if path.to_string_lossy().contains("/files/organizations/") {
            found += 1;
        }
    }
    found
}

/// Checks that what is counted is what is kept.
async fn assert_no_drift(here: &Installation) {
    let counted = "select cast(coalesce(sum(used_bytes), 0) as bigint) from storage_usage";
    let kept = "select cast(coalesce(sum(size_bytes), 0) as bigint) from storage_files
                where state in ('uploading', 'stored', 'removing')";
    let (counted, kept) = (here.database().sql_count(counted).await, here.database().sql_count(kept).await);
    assert_eq!(counted, kept, "what is counted is not what is kept");
}

on_both_engines! {
    // A database that is moved to another machine without them, say.
    async fn a_start_with_a_directory_without_the_uploaded_files_says_so_once(engine: Engine) {
        let here = Installation::with_database(engine).await;
        let server = serve(&here);
        let token = token(&here, &server).await;
        let (status, answer) =
            upload(&server.http, &server.base, &token, form("a.csv", b"id\n1\n")).await.unwrap();
        assert_eq!(status, 201, "{answer}");
        server.stop();
        std::fs::rename(here.path().join("tidegate-data/files"), here.path().join("kept")).unwrap();
        let server = here.serve_with(&["--dev"], |command| {
            command.env("TIDEGATE_PUBLIC_URL", PUBLIC_URL).env("TIDEGATE_LOG__FILTER", "warn");
        });
        let told = "the store has lost 1 of the 1 files that were looked for (";
        let line = eventually("the start says so", async || {
            server.log().lines().find(|line| line.contains(told)).map(str::to_owned)
        })
        .await;
        for part in ["\"level\":\"WARN\"", answer["data"]["file_path"].as_str().unwrap(), "tidegate-data/files (`cp -a ", "storage.directory"] {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert_eq!(server.log().matches(told).count(), 1);
        server.stop();
    }

    async fn no_acknowledged_file_is_lost_by_a_kill(engine: Engine) {
        let here = Installation::with_database(engine).await;
        let mut server = serve(&here);
        let token = token(&here, &server).await;
        let done = Arc::new(Mutex::new(Acknowledged::default()));
        let mut quotas = 0;
        for round in 0..KILLS {
            let workers: Vec<_> = (0..4)
                .map(|worker| {
                    let work = keep_busy(server.http.clone(), server.base.clone(), token.clone(), worker, Arc::clone(&done));
                    tokio::spawn(work)
                })
                .collect();
            // The files that are there when it is killed differ from round to round.
            let until = Instant::now() + Duration::from_millis(900 + 137 * round as u64);
            let from = FIRST_LIMIT + 1_000_000 * i64::try_from(round).unwrap();
            let (acknowledged, mut setting) = keep_setting_quota(&here, from, until).await;
            server.kill();
            drop(setting.kill());
            setting.wait().unwrap();
            for worker in workers {
                worker.await.unwrap();
            }
            assert_no_drift(&here).await;
            if let Some(acknowledged) = acknowledged {
                quotas += 1;
                let limit = here.database().sql_count("select limit_bytes from storage_usage").await;
                assert!(limit == acknowledged || limit == acknowledged + 1, "{limit}, and {acknowledged} was said");
            }
            server = serve(&here);
        }
        assert!(quotas > 0, "no quota was set");
        let done = std::mem::take(&mut *done.lock().await);
        assert!(done.stored.len() > KILLS && !done.removed.is_empty(), "too little was done: {}", done.stored.len());
        for (object, size) in &done.stored {
            let file = server.http.get(signed(&server, &token, object).await).send().await.unwrap();
            assert_eq!((file.status().as_u16(), file.bytes().await.unwrap().len()), (200, *size), "{object}");
        }
        for object in &done.removed {
            let answer = get(&server, &token, &format!("objects/{object}/metadata")).await;
            assert_eq!(answer["error"]["code"], "NOT_FOUND", "{object}");
        }
        // What was cut off is taken back when its reservation is over, and nothing before.
        here.database().sql("update storage_files set reserved_until = 0 where state = 'uploading'").await;
        here.database().sql("update jobs set run_at = 0 where name = 'storage settling'").await;
        let open = "select count(*) from storage_files where state in ('uploading', 'removing')";
        eventually("what was cut off is settled", async || {
            (here.database().sql_count(open).await == 0).then_some(())
        })
        .await;
        assert_no_drift(&here).await;
        let usage = get(&server, &token, "usage").await;
        let rows = here.database().sql_count("select count(*) from storage_files where state = 'stored'").await;
        assert_eq!(usage["data"]["file_count"], rows);
        // Neither a file that nobody knows of, nor one that is known and not there.
        assert_eq!(i64::try_from(files_on_disk(here.path())).unwrap(), rows);
        server.stop();
    }
}

/// An installation with one file, and a backup of both, called `b1`. Answers the token and the object's name.
async fn backed_up(here: &Installation) -> (String, String) {
    let server = serve(here);
    let token = token(here, &server).await;
    let (status, answer) =
        upload(&server.http, &server.base, &token, form("a.csv", b"id\n1\n")).await.unwrap();
    assert_eq!(status, 201, "{answer}");
    here.output(&["backup", "b1"]);
    server.stop();
    (token, answer["data"]["file_path"].as_str().unwrap().to_owned())
}

/// What `tidegate doctor` says of files in another data directory.
fn judged(here: &Installation, data_dir: &str) -> Value {
    let report = here.json(&["doctor", "--data-dir", data_dir]);
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|found| found["name"] == "files").unwrap_or_else(|| panic!("{report}")).clone()
}

on_one_engine! { Engine::Sqlite;
    async fn a_database_that_is_restored_without_its_files_says_so(here: Installation) {
        let (token, object) = backed_up(&here).await;
        std::fs::rename(here.path().join("b1.files"), here.path().join("kept")).unwrap();
        let said = here.run(&["restore", "b1", "--data-dir", "elsewhere"]);
        assert_eq!(said.code, 1, "not all is back: {said:?}");
        for told in [
            "The database is at ",
            "the store has lost 1 of the 1 files that were looked for",
            "elsewhere/files, and there is no b1.files. Put it beside the backup",
            "away and restore again",
        ] {
            assert!(said.out.contains(told), "{told}: {said:?}");
        }
        let found = judged(&here, "elsewhere");
        assert_eq!(found["status"], "error", "all are lost: {found}");
        assert_eq!(here.run(&["doctor", "--data-dir", "elsewhere"]).code, 1);
        assert!(found["detail"].as_str().unwrap().contains("the store has lost 1 of the 1 files"), "{found}");
        assert!(found["advice"].as_str().unwrap().contains("BACKUP.files"), "{found}");
        // Whoever asks for the file is told nothing else than the log.
        let server = serve_with(&here, &["--dev", "--data-dir", "elsewhere"]);
        let url = signed(&server, &token, &object).await;
        assert_eq!(server.http.get(url).send().await.unwrap().status().as_u16(), 404);
        eventually("the log names the object", async || {
            let log = server.log();
            (log.contains("the store has lost a file") && log.contains(&object)).then_some(())
        })
        .await;
        server.stop();
        // What the advice says: the files of a backup can take the place of the directory.
        let files = here.path().join("elsewhere/files");
        std::fs::remove_dir_all(&files).unwrap();
        std::fs::rename(here.path().join("kept"), &files).unwrap();
        let found = judged(&here, "elsewhere");
        assert_eq!(found["status"], "ok", "{found}");
        assert!(!found.to_string().contains("lost"), "{found}");
        let server = serve_with(&here, &["--dev", "--data-dir", "elsewhere"]);
        let url = signed(&server, &token, &object).await;
        assert_eq!(server.http.get(url).send().await.unwrap().text().await.unwrap(), "id\n1\n");
        server.stop();
    }

    async fn a_backup_of_files_that_are_lost_says_so_and_so_does_its_restore(here: Installation) {
        let (_, object) = backed_up(&here).await;
        let file = here.path().join("tidegate-data/files").join(&object);
        std::fs::remove_file(&file).unwrap();
        let lost = format!("Warning: the store has lost 1 of the 1 files that were looked for ({object}): they are ");
        let said = here.run(&["backup", "b2"]);
        assert_eq!(said.code, 1, "not all is in it: {said:?}");
        for told in ["Wrote b2 (", lost.as_str(), "tidegate-data/files, and not in this backup", "FILE.files of one"] {
            assert!(said.out.contains(told), "{told}: {said:?}");
        }
        assert_eq!(here.json(&["backup", "b3"])["lost_files"], 1);
        let said = here.run(&["restore", "b2", "--data-dir", "elsewhere"]);
        assert_eq!(said.code, 1, "{said:?}");
        for told in ["The database is at ", lost.as_str(), "elsewhere/files nor in b2.files"] {
            assert!(said.out.contains(told), "{told}: {said:?}");
        }
        serve_with(&here, &["--data-dir", "elsewhere"]).stop();
        // What the advice says.
        std::fs::copy(here.path().join("b1.files").join(&object), &file).unwrap();
        here.output(&["backup", "b4"]);
    }

    async fn a_piece_of_the_files_that_another_user_restored_is_told_by_its_path(here: Installation) {
        let (_, object) = backed_up(&here).await;
        let file = here.path().join("tidegate-data/files").join(&object);
        let directory = file.parent().unwrap();
        close_off(directory);
        let denied = format!("tidegate-data/files/{} may not be used by this user (", object.rsplit_once('/').unwrap().0);
        let command = if rustix::process::geteuid().is_root() { "if the server is to run as this one, give it the files: `sudo chown -R 0 " } else { "`chmod -R u+rwX " };
        for arguments in [&["doctor"][..], &["backup", "b2"]] {
            let said = Said::of(&mut as_anybody(&here, arguments));
            let told = format!("{}{}", said.out, said.err);
            assert_eq!(said.code, 1, "{arguments:?}: {told}");
            assert!(told.contains(&denied) && told.contains(command), "{arguments:?}: {told}");
        }
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700)).unwrap();
        here.output(&["backup", "b3"]);
    }

    async fn a_file_that_was_changed_in_the_store_is_told_wherever_it_is_read(here: Installation) {
        let (token, object) = backed_up(&here).await;
        let file = here.path().join("tidegate-data/files").join(&object);
        std::fs::write(&file, "id\n1\n2\n").unwrap();
        let changed = format!("1 of the 1 files that were looked for changed in the store ({object} has 7 bytes and had 5)");
        let found = judged(&here, "tidegate-data");
        assert_eq!(found["status"], "error", "{found}");
        assert!(found["detail"].as_str().unwrap().contains(&changed), "{found}");
        let said = here.run(&["backup", "b2"]);
        assert_eq!(said.code, 1, "{said:?}");
        let warned = format!("Warning: {changed}: they are so in ");
        for told in ["Wrote b2 (", warned.as_str(), "tidegate-data/files, and in this backup. Keep"] {
            assert!(said.out.contains(told), "{told}: {said:?}");
        }
        let counted = here.json(&["backup", "b3"]);
        assert_eq!((&counted["changed_files"], &counted["lost_files"]), (&json!(1), &Value::Null), "{counted}");
        let said = here.run(&["restore", "b2", "--data-dir", "elsewhere"]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.out.contains("The database is at ") && said.out.contains(&changed), "{said:?}");
        let server = serve(&here);
        let url = signed(&server, &token, &object).await;
        assert_eq!(server.http.get(url).send().await.unwrap().status().as_u16(), 404);
        eventually("the log names the object", async || {
            let log = server.log();
            (log.contains("a file was changed in the store") && log.contains(&object)).then_some(())
        })
        .await;
        server.stop();
        std::fs::copy(here.path().join("b1.files").join(&object), &file).unwrap();
        here.output(&["backup", "b4"]);
        assert_eq!(judged(&here, "tidegate-data")["status"], "ok");
    }

    async fn a_copy_says_what_stays_in_the_data_directory(here: Installation) {
        let (token, object) = backed_up(&here).await;
        let data = here.path().canonicalize().unwrap().join("tidegate-data");
        let target = TestDatabase::empty(Engine::Postgres).await;
        let said = here.run(&["copy", "--to", &name(&target)]);
        assert_eq!(said.code, 0, "{said:?}");
        for told in [
            format!(" --data-dir {}`.", data.display()),
            format!("the master key ({}/master.key)", data.display()),
            format!("1 uploaded file(s), 5 B ({}/files)", data.display()),
            "The source is marked as copied".to_owned(),
        ] {
            assert!(said.out.contains(&told), "{told}: {}", said.out);
        }
        // Also where another directory is the configured one.
        let from = format!("sqlite:{}/tidegate.db", data.display());
        let copied = Installation::new().json(&["copy", "--from", &from, "--to", &name(&TestDatabase::empty(Engine::Postgres).await)]);
        assert_eq!((&copied["files"], &copied["files_bytes"]), (&json!(1), &json!(5)), "{copied}");
        assert_eq!(copied["data_directory"], data.display().to_string());
        let server = serve_with(&here, &["--dev", "--database", &name(&target), "--data-dir", data.to_str().unwrap()]);
        let url = signed(&server, &token, &object).await;
        assert_eq!(server.http.get(url).send().await.unwrap().text().await.unwrap(), "id\n1\n");
        server.stop();
    }

    async fn a_restore_that_does_not_finish_is_told_until_it_is_run_again(here: Installation) {
        backed_up(&here).await;
        // The files cannot be copied there.
        here.write("note", "");
        let mut command = here.command(&["restore", "b1", "--data-dir", "elsewhere"]);
        let said = Said::of(command.env("TIDEGATE_STORAGE__DIRECTORY", "note"));
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.err.contains("the restore did not finish: the uploaded files in b1.files"), "{said:?}");
        let database = here.path().join("elsewhere/tidegate.db");
        assert!(!database.exists(), "it would look like one that is restored");
        for arguments in [&["doctor"][..], &["serve", "--listen", "127.0.0.1:0"]] {
            let said = here.run(&[arguments, &["--data-dir", "elsewhere"]].concat());
            assert_eq!(said.code, 1, "{said:?}");
            let told = format!("{}{}", said.out, said.err);
            assert!(told.contains("a restore did not finish") && told.contains("restore FILE"), "{told}");
        }
        let restored = here.json(&["restore", "b1", "--data-dir", "elsewhere"]);
        assert_eq!(restored["files"], 1, "{restored}");
        assert!(database.exists() && !here.path().join("elsewhere/tidegate.db.restoring").exists());
        assert_eq!(judged(&here, "elsewhere")["status"], "ok");
    }

    async fn what_a_backup_left_that_was_cut_off_does_not_look_like_one(here: Installation) {
        backed_up(&here).await;
        // As a kill leaves it.
        here.write("b2.part", "half of a database");
        std::fs::create_dir_all(here.path().join("b2.files.part/organizations")).unwrap();
        here.write("b2.files.part/organizations/half", "half of a file");
        assert_eq!(here.json(&["backup", "b2"])["files"], 1);
        for left in ["b2.part", "b2.files.part", "b2.files/organizations/half"] {
            assert!(!here.path().join(left).exists(), "{left}");
        }
        // In the last moment.
        std::fs::remove_file(here.path().join("b2")).unwrap();
        let said = here.run(&["backup", "b2"]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.err.contains("b2.key exists already, and b2 does not: that backup did not finish"), "{said:?}");
        // What cannot be finished leaves nothing: this directory is none of files.
        here.write("note", "");
        let mut command = here.command(&["backup", "b3"]);
        let said = Said::of(command.env("TIDEGATE_STORAGE__DIRECTORY", "note"));
        assert_eq!(said.code, 1, "{said:?}");
        let left = std::fs::read_dir(here.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with("b3")).collect();
        assert!(left.is_empty(), "{left:?}");
    }

    async fn a_large_file_goes_up_and_down_in_little_memory(here: Installation) {
        let server = serve(&here);
        let token = token(&here, &server).await;
        let small = upload(&server.http, &server.base, &token, form("a.csv", b"id\n")).await.unwrap();
        assert_eq!(small.0, 201, "{}", small.1);
        let before = server.peak_memory_kib();
        let content = vec![b'x'; 90 * MIB];
        let (status, answer) = upload(&server.http, &server.base, &token, form("a.csv", &content)).await.unwrap();
        assert_eq!(status, 201, "{answer}");
        let after = server.peak_memory_kib();
        assert!(after < before + LITTLE_KIB, "an upload took {} MiB", (after - before) / 1024);
        let url = signed(&server, &token, answer["data"]["file_path"].as_str().unwrap()).await;
        let mut file = server.http.get(url).send().await.unwrap();
        let mut length = 0;
        while let Some(chunk) = file.chunk().await.unwrap() {
            length += chunk.len();
        }
        assert_eq!(length, content.len());
        let after = server.peak_memory_kib();
        assert!(after < before + LITTLE_KIB, "a download took {} MiB", (after - before) / 1024);
        server.stop();
    }

    async fn a_backup_has_the_uploaded_files(here: Installation) {
        let server = serve(&here);
        let token = token(&here, &server).await;
        let (status, answer) = upload(&server.http, &server.base, &token, form("a.csv", b"id\n1\n")).await.unwrap();
        assert_eq!(status, 201, "{answer}");
        let object = answer["data"]["file_path"].as_str().unwrap();
        let written = here.json(&["backup", "tidegate.backup"]);
        assert_eq!((&written["files"], &written["files_bytes"]), (&json!(1), &json!(5)));
        assert_eq!(std::fs::read(here.path().join("tidegate.backup.files").join(object)).unwrap(), b"id\n1\n");
        server.stop();
        let restored = here.json(&["restore", "tidegate.backup", "--data-dir", "elsewhere"]);
        assert_eq!(restored["files"], 1);
        assert_eq!(std::fs::read(here.path().join("elsewhere/files").join(object)).unwrap(), b"id\n1\n");
    }
}
