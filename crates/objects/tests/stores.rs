//! One story for every kind of store: the local directory, S3 as moto speaks it, Azure as azurite does.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code: a broken expectation ends the test"
)]

mod emulator;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::TryStreamExt;
use tempfile::TempDir;
use tidegate_domain::{Clock, Timestamp};
use tidegate_objects::{
    Amiss, Backend, Condition, Expected, ObjectKey, Objects, ObjectsError, StorageConfig,
};

use emulator::Emulator;

const MIB: usize = 1024 * 1024;

/// The time.
struct Now;

impl Clock for Now {
    #[expect(clippy::disallowed_methods, reason = "emulators look at the real clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
    }
}

/// A store with what keeps it up.
struct Store {
    objects: Objects,
    emulator: Option<Emulator>,
    here: TempDir,
}

impl Store {
    fn of(config: &StorageConfig, emulator: Option<Emulator>) -> Self {
        let here = tempfile::tempdir().unwrap();
        let objects = Objects::open(config, here.path(), Arc::new(Now)).unwrap();
        Self { objects, emulator, here }
    }

    fn local() -> Self {
        Self::of(&StorageConfig::default(), None)
    }

    async fn s3() -> Self {
        let emulator = Emulator::moto().await;
        let config = emulator.config(Backend::S3);
        Self::of(&config, Some(emulator))
    }

    async fn azure() -> Self {
        let emulator = Emulator::azurite().await;
        let config = emulator.config(Backend::Azure);
        Self::of(&config, Some(emulator))
    }

    async fn put(&self, key: &str, content: &[u8]) -> Result<(), ObjectsError> {
        let mut staged = self.objects.stage(format!("staged-{}", key.replace('/', "-"))).await?;
        staged.write(content).await?;
        self.objects.publish(staged, &of(key)).await
    }

    async fn get(&self, key: &str, range: Option<std::ops::Range<u64>>) -> Result<Vec<u8>, ObjectsError> {
        let reading = self.objects.read(&of(key), range).await?;
        let chunks: Vec<_> = reading.content.try_collect().await?;
        Ok(chunks.concat())
    }
}

fn of(key: &str) -> ObjectKey {
    ObjectKey::parse(key).unwrap()
}

/// What every store does.
async fn story(store: &Store) {
    store.objects.check().await.unwrap();
    let small = "organizations/1/files/2/Ünïcode_数据.csv";
    let large = "organizations/1/files/2/sub/large.bin";
    let content: Vec<u8> = (0..20 * MIB + 5).map(|byte| u8::try_from(byte % 251).unwrap()).collect();
    assert!(store.objects.find(&of(small)).await.unwrap().is_none());
    assert!(matches!(store.get(small, None).await, Err(ObjectsError::NotFound)));
    store.put(small, b"id\n1\n").await.unwrap();
    store.put(large, &content).await.unwrap();
    store.put("organizations/1/files/2/empty.csv", b"").await.unwrap();
    assert_eq!(store.get(small, None).await.unwrap(), b"id\n1\n");
    assert!(store.get(large, None).await.unwrap() == content, "a large file is the same");
    assert_eq!(store.get("organizations/1/files/2/empty.csv", None).await.unwrap(), b"");
    // Across the border of two parts.
    let border = 8 * MIB as u64;
    let part = store.get(large, Some(border - 3..border + 3)).await.unwrap();
    assert_eq!(part, &content[8 * MIB - 3..8 * MIB + 3]);
    let found = store.objects.find(&of(large)).await.unwrap().unwrap();
    assert_eq!((found.size, found.key.as_str()), (content.len() as u64, large));
    assert!(found.etag.starts_with('"') && found.etag.ends_with('"'), "{}", found.etag);
    let age = Now.now().since(found.last_modified);
    assert!(age < Duration::from_secs(600), "{age:?}");
    let listed: Vec<_> = store.objects.list("organizations").try_collect().await.unwrap();
    let mut keys: Vec<&str> = listed.iter().map(|file| file.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["organizations/1/files/2/empty.csv", large, small]);
    let none: Vec<_> = store.objects.list("nothing").try_collect().await.unwrap();
    assert!(none.is_empty());
    assert!(store.objects.remove(&of(small)).await.unwrap());
    assert!(store.objects.find(&of(small)).await.unwrap().is_none());
    let asked = [(small, 5), (large, found.size), ("organizations/1/files/2/empty.csv", 7)]
        .map(|(key, size)| Expected { key: key.to_owned(), size });
    let [lost, _, changed] = asked.clone();
    let amiss = [
        Amiss { file: lost, condition: Condition::Lost },
        Amiss { file: changed, condition: Condition::Changed { size: 0 } },
    ];
    assert_eq!(store.objects.ask_for_amiss(&asked).await.unwrap(), amiss);
    // As a query engine lists it.
    let directory = object_store::path::Path::from("organizations/1/files/2");
    let within = store.objects.object_store().unwrap().list_with_delimiter(Some(&directory)).await.unwrap();
    assert_eq!(within.common_prefixes.len(), 1, "{within:?}");
    assert_eq!(within.objects.len(), 1, "{within:?}");
    // Nothing is left where uploads are under way.
    let staged = std::fs::read_dir(store.here.path().join("files/.incoming")).unwrap().count();
    assert_eq!(staged, 0);
}

/// A signed URL of the store's own answers without credentials until it expires.
async fn signed(store: &Store) {
    store.put("organizations/1/files/2/a b.csv".replace(' ', "_").as_str(), b"id\n").await.unwrap();
    let key = of("organizations/1/files/2/a_b.csv");
    let url = store.objects.presign(&key, "Q1 ü.csv", Duration::from_secs(60)).unwrap();
    let answer = reqwest_get(&url).await;
    assert_eq!(
        (answer.0, answer.1.as_slice()),
        (200, &b"id\n"[..]),
        "{}",
        String::from_utf8_lossy(&answer.1)
    );
    assert!(answer.2.starts_with("attachment"), "{}", answer.2);
}

async fn reqwest_get(url: &str) -> (u16, Vec<u8>, String) {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    drop(provider.install_default());
    let answer = reqwest::get(url).await.unwrap();
    let disposition =
        answer.headers().get("content-disposition").map(|value| value.to_str().unwrap().to_owned());
    (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec(), disposition.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_local_directory_keeps_files() {
    story(&Store::local()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_keeps_files() {
    let store = Store::s3().await;
    story(&store).await;
    signed(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn azure_keeps_files() {
    let store = Store::azure().await;
    story(&store).await;
    signed(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_and_a_missing_bucket_are_told_and_are_no_missing_files() {
    let store = Store::s3().await;
    let emulator = store.emulator.as_ref().unwrap();
    let config = StorageConfig { bucket: "nobodys".to_owned(), ..emulator.config(Backend::S3) };
    let other = Store::of(&config, None);
    assert!(other.objects.check().await.is_err());
    assert!(!matches!(other.get("a.csv", None).await, Err(ObjectsError::NotFound)));
    assert!(other.put("a.csv", b"x").await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_gone_is_unavailable() {
    let store = Store::s3().await;
    let config = StorageConfig {
        endpoint: Some("http://127.0.0.1:9".to_owned()),
        ..store.emulator.as_ref().unwrap().config(Backend::S3)
    };
    let gone = Store::of(&config, None);
    let error = gone.put("organizations/1/files/2/a.csv", b"x").await.unwrap_err();
    assert!(matches!(error, ObjectsError::Unavailable(_)), "{error}");
    assert!(!error.to_string().contains("Signature"), "{error}");
    let staged = std::fs::read_dir(gone.here.path().join("files/.incoming")).unwrap().count();
    assert_eq!(staged, 0, "what could not be sent is not kept");
}

#[tokio::test]
async fn a_key_is_taken_once() {
    let store = Store::local();
    store.put("a/b.csv", b"one").await.unwrap();
    assert!(matches!(store.put("a/b.csv", b"two").await, Err(ObjectsError::Exists)));
    assert_eq!(store.get("a/b.csv", None).await.unwrap(), b"one");
}

#[tokio::test]
async fn links_and_pipes_are_no_files() {
    let store = Store::local();
    store.put("a/b.csv", b"one").await.unwrap();
    let files = store.here.path().join("files");
    std::fs::write(store.here.path().join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink(store.here.path().join("secret"), files.join("a/link.csv")).unwrap();
    std::os::unix::fs::symlink(store.here.path(), files.join("out")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        files.join("a/pipe.csv"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    for key in ["a/link.csv", "out/secret", "a/pipe.csv", "a"] {
        assert!(matches!(store.get(key, None).await, Err(ObjectsError::NotFound)), "{key}");
        assert!(store.objects.find(&of(key)).await.unwrap().is_none(), "{key}");
    }
    assert!(store.put("out/new.csv", b"x").await.is_err());
    assert!(!store.here.path().join("new.csv").exists());
    let listed: Vec<_> = store.objects.list("a").try_collect().await.unwrap();
    assert_eq!(listed.len(), 1);
}

#[tokio::test]
async fn a_directory_of_something_else_is_not_taken() {
    let here = tempfile::tempdir().unwrap();
    std::fs::create_dir(here.path().join("files")).unwrap();
    std::fs::write(here.path().join("files/precious"), "x").unwrap();
    let objects = Objects::open(&StorageConfig::default(), here.path(), Arc::new(Now)).unwrap();
    let error = objects.stage("x".to_owned()).await.unwrap_err();
    assert!(
        matches!(&error, ObjectsError::Unusable(what) if what.contains("holds something else")),
        "{error}"
    );
    assert_eq!(std::fs::read_dir(here.path().join("files")).unwrap().count(), 1, "nothing was made there");
}

#[tokio::test]
async fn a_directory_of_files_without_its_mark_is_told_as_that() {
    let store = Store::local();
    store.put("organizations/1/files/2/a.csv", b"one").await.unwrap();
    let files = store.here.path().join("files");
    std::fs::remove_file(files.join(".tidegate-files")).unwrap();
    let objects = Objects::open(&StorageConfig::default(), store.here.path(), Arc::new(Now)).unwrap();
    let told = objects.look_at_directory().unwrap_err().to_string();
    let staged = objects.stage("x".to_owned()).await.unwrap_err().to_string();
    let touch = format!("`touch {0}/.tidegate-files`", files.display());
    for said in [&told, &staged] {
        assert!(said.contains("copied without hidden files") && said.contains(&touch), "{said}");
        assert!(!said.contains("something else") && !said.contains("empty directory"), "{said}");
    }
    std::fs::write(files.join(".tidegate-files"), "").unwrap();
    assert!(objects.look_at_directory().unwrap());
    assert!(objects.find(&of("organizations/1/files/2/a.csv")).await.unwrap().is_some());
}

// The directory that is open stays the same one wherever it is moved to: an upload was acknowledged, and not in the one that is served next.
#[tokio::test]
async fn a_directory_that_is_put_in_the_place_of_another_is_used_at_once() {
    let store = Store::local();
    let (one, two) = ("organizations/1/files/2/a.csv", "organizations/1/files/2/b.csv");
    store.put(one, b"one").await.unwrap();
    let (files, away) = (store.here.path().join("files"), store.here.path().join("away"));
    let copy = store.here.path().join("copy");
    store.objects.copy_to(&copy).unwrap();
    std::fs::rename(&files, &away).unwrap();
    let told = format!("storage.directory {} was removed, moved away or replaced", files.display());
    let assert_gone = async || {
        let put = store.put(two, b"two").await.unwrap_err();
        assert!(matches!(&put, ObjectsError::Unusable(said) if said.starts_with(&told)), "{put}");
        // Nothing is taken for lost.
        for error in
            [store.objects.find(&of(one)).await.unwrap_err(), store.objects.check().await.unwrap_err()]
        {
            assert!(error.to_string().starts_with(&told), "{error}");
        }
    };
    assert_gone().await;
    assert!(!files.exists(), "nothing is made where another one may be put");
    // Where a disk was mounted.
    std::fs::create_dir(&files).unwrap();
    assert_gone().await;
    std::fs::remove_dir(&files).unwrap();
    std::fs::rename(&copy, &files).unwrap();
    assert_eq!(store.get(one, None).await.unwrap(), b"one");
    store.put(two, b"two").await.unwrap();
    assert_eq!(std::fs::read(files.join(two)).unwrap(), b"two");
    assert!(!away.join(two).exists());
    // The first one comes back.
    std::fs::rename(&files, store.here.path().join("copy")).unwrap();
    std::fs::rename(&away, &files).unwrap();
    assert!(store.objects.find(&of(two)).await.unwrap().is_none());
    store.put(two, b"again").await.unwrap();
    assert_eq!(std::fs::read(files.join(two)).unwrap(), b"again");
}

#[tokio::test]
async fn an_upload_under_way_ends_where_the_directory_is_replaced_by_a_copy_with_a_part_of_it() {
    let store = Store::local();
    let (files, away) = (store.here.path().join("files"), store.here.path().join("away"));
    let copy = store.here.path().join("copy");
    store.put("organizations/1/files/2/a.csv", b"one").await.unwrap();
    let mut staged = store.objects.stage("under-way".to_owned()).await.unwrap();
    staged.write(b"all of it").await.unwrap();
    store.objects.copy_to(&copy).unwrap();
    std::fs::create_dir(copy.join(".incoming")).unwrap();
    std::fs::write(copy.join(".incoming/under-way"), "all").unwrap();
    std::fs::rename(&files, &away).unwrap();
    std::fs::rename(&copy, &files).unwrap();
    let key = of("organizations/1/files/2/b.csv");
    let refused = store.objects.publish(staged, &key).await.unwrap_err();
    assert!(refused.to_string().contains("while that file was uploaded; upload it again"), "{refused}");
    assert!(store.objects.find(&key).await.unwrap().is_none());
}

#[tokio::test]
async fn a_directory_is_looked_at_before_it_is_made() {
    let here = tempfile::tempdir().unwrap();
    let look = |place: &std::path::Path| {
        let config = StorageConfig { directory: Some(place.to_owned()), ..StorageConfig::default() };
        let objects = Objects::open(&config, here.path(), Arc::new(Now)).unwrap();
        objects.look_at_directory().map_err(|error| error.to_string())
    };
    let files = here.path().join("new/files");
    assert_eq!(look(&files), Ok(false));
    assert_eq!(std::fs::read_dir(here.path()).unwrap().count(), 0, "looking leaves nothing");
    std::fs::create_dir_all(&files).unwrap();
    assert_eq!(look(&files), Ok(true));
    std::fs::write(files.join("precious"), "x").unwrap();
    let astray = here.path().join("astray");
    std::os::unix::fs::symlink("/nowhere/at/all", &astray).unwrap();
    for (place, said) in [
        (files.clone(), "holds something else"),
        (astray, "astray is a link to /nowhere/at/all, which does not exist; mount the disk"),
        (files.join("precious"), "cannot be used: Not a directory"),
        (files.join("precious/below"), "cannot be used: Not a directory"),
        // It says another reason to root than to others.
        ("/proc/nope/below".into(), "/proc/nope/below cannot be made in /proc: "),
    ] {
        let told = look(&place).unwrap_err();
        assert!(told.starts_with("storage.directory ") && told.contains(said), "{told}");
    }
    assert_eq!(std::fs::read_dir(&files).unwrap().count(), 1, "nothing was made there");
}

// Nodes in containers have the same process number.
#[test]
fn several_nodes_look_at_a_directory_that_is_not_there_yet() {
    let here = tempfile::tempdir().unwrap();
    let look = || {
        let config = StorageConfig { directory: Some(here.path().join("files")), ..StorageConfig::default() };
        let objects = Objects::open(&config, here.path(), Arc::new(Now)).unwrap();
        for _ in 0..2_000 {
            assert!(!objects.look_at_directory().unwrap());
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(look);
        }
    });
    assert_eq!(std::fs::read_dir(here.path()).unwrap().count(), 0);
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "files have times of the real clock")]
async fn what_an_upload_left_behind_goes_when_it_is_old() {
    let store = Store::local();
    let mut staged = store.objects.stage("one".to_owned()).await.unwrap();
    staged.write(b"half").await.unwrap();
    // As if its process had died.
    std::mem::forget(staged);
    let day = Duration::from_secs(86_400);
    assert_eq!(store.objects.remove_abandoned(day).await.unwrap(), 0);
    let path = store.here.path().join("files/.incoming/one");
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::now() - 2 * day).unwrap();
    assert_eq!(store.objects.remove_abandoned(day).await.unwrap(), 1);
    assert!(!path.exists());
}
