use std::future::poll_fn;
use std::task::Poll;

use tempfile::TempDir;

use super::super::DatabaseUrl;
use super::*;

/// A writer and readers on a file of their own, with a table to write to.
async fn fresh() -> (TempDir, Writer, SqlitePool) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("test.db");
    let (writer, readers) = open(&path, &StoreOptions::new(DatabaseUrl::Sqlite(path.clone()))).await.unwrap();
    writer.lane.lock().await.run("create table notes (text text not null)").await.unwrap();
    (directory, writer, readers)
}

async fn write(guard: &mut WriterGuard, text: &str) {
    sqlx::query("insert into notes values ($1)").bind(text).execute(guard.connection()).await.unwrap();
}

async fn notes(readers: &SqlitePool) -> Vec<String> {
    sqlx::query_scalar("select text from notes order by text").fetch_all(readers).await.unwrap()
}

/// Until somebody waits for the writer.
async fn until_waited_for(writer: &Writer) {
    while writer.queue.is_idle() {
        tokio::task::yield_now().await;
    }
}

/// Until a finished unit has left its commit to the next one.
async fn until_handed_on(unit: &tokio::task::JoinHandle<Result<()>>, writer: &Writer) {
    while !writer.queue.is_idle() {
        assert!(!unit.is_finished(), "answered although somebody waits");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_commit_is_flushed_to_disk_and_never_keeps_readers_waiting() {
    let (_directory, writer, readers) = fresh().await;
    let mut lane = writer.lane.lock().await;
    let on = &mut lane.connection;
    // 2 is FULL: the log is flushed before a commit is acknowledged. sqlite.org/pragma.html#pragma_synchronous
    let synchronous: i64 = sqlx::query_scalar("pragma synchronous").fetch_one(&mut *on).await.unwrap();
    let journal: String = sqlx::query_scalar("pragma journal_mode").fetch_one(&mut *on).await.unwrap();
    let foreign_keys: i64 = sqlx::query_scalar("pragma foreign_keys").fetch_one(&mut *on).await.unwrap();
    assert_eq!((synchronous, journal.as_str(), foreign_keys), (2, "wal", 1));
    let journal: String = sqlx::query_scalar("pragma journal_mode").fetch_one(&readers).await.unwrap();
    assert_eq!(journal, "wal");
}

/// `.cargo/config.toml` says why. Another build of the same code, without that file, would be slower under load and never fail.
#[tokio::test]
async fn connections_take_no_common_lock_for_pages_and_allocations() {
    let (_directory, _writer, readers) = fresh().await;
    let built: Vec<String> = sqlx::query_scalar("pragma compile_options").fetch_all(&readers).await.unwrap();
    let is_built = |option: &str| built.iter().any(|one| one == option);
    assert!(!is_built("ENABLE_MEMORY_MANAGEMENT") && is_built("DEFAULT_MEMSTATUS=0"), "{built:?}");
}

#[tokio::test]
async fn readers_cannot_write() {
    let (_directory, _writer, readers) = fresh().await;
    sqlx::query("insert into notes values ('')").execute(&readers).await.unwrap_err();
}

#[tokio::test]
async fn a_unit_is_answered_with_the_one_it_shares_a_commit_with() {
    let (_directory, writer, readers) = fresh().await;
    let writer = Arc::new(writer);
    let mut first = writer.begin().await.unwrap();
    write(&mut first, "first").await;
    let second = tokio::spawn({
        let writer = Arc::clone(&writer);
        async move { writer.begin().await }
    });
    until_waited_for(&writer).await;
    let first = tokio::spawn(first.commit());
    until_handed_on(&first, &writer).await;
    let mut second = second.await.unwrap().unwrap();
    write(&mut second, "second").await;
    assert!(!first.is_finished());
    assert_eq!(notes(&readers).await, [""; 0]);
    second.commit().await.unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(notes(&readers).await, ["first", "second"]);
}

#[tokio::test]
async fn a_unit_is_answered_when_the_one_it_left_the_commit_to_is_dropped() {
    let (_directory, writer, readers) = fresh().await;
    let writer = Arc::new(writer);
    let mut first = writer.begin().await.unwrap();
    write(&mut first, "first").await;
    let second = tokio::spawn({
        let writer = Arc::clone(&writer);
        async move { writer.begin().await }
    });
    until_waited_for(&writer).await;
    let first = tokio::spawn(first.commit());
    let mut second = second.await.unwrap().unwrap();
    write(&mut second, "second").await;
    drop(second);
    first.await.unwrap().unwrap();
    assert_eq!(notes(&readers).await, ["first"]);
}

#[tokio::test]
async fn a_unit_is_answered_when_the_one_it_left_the_commit_to_gives_up_waiting() {
    let (_directory, writer, readers) = fresh().await;
    let mut first = writer.begin().await.unwrap();
    write(&mut first, "first").await;
    let mut second = Box::pin(writer.begin());
    poll_fn(|context| {
        assert!(second.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
    let first = tokio::spawn(first.commit());
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!first.is_finished(), "answered although somebody waits");
    drop(second);
    first.await.unwrap().unwrap();
    assert_eq!(notes(&readers).await, ["first"]);
}

#[tokio::test]
async fn a_full_group_is_committed_although_others_wait() {
    let (_directory, writer, readers) = fresh().await;
    let writer = Arc::new(Writer {
        lane: Arc::clone(&writer.lane),
        queue: Arc::new(Queue { waiting: AtomicUsize::new(0), max_group: 1 }),
        files: Arc::clone(&writer.files),
    });
    let mut first = writer.begin().await.unwrap();
    write(&mut first, "first").await;
    let second = tokio::spawn({
        let writer = Arc::clone(&writer);
        async move { writer.begin().await }
    });
    until_waited_for(&writer).await;
    first.commit().await.unwrap();
    assert_eq!(notes(&readers).await, ["first"]);
    drop(second.await.unwrap().unwrap());
}

#[tokio::test]
async fn a_flood_of_dropped_units_keeps_nobody_waiting_for_ever() {
    let (_directory, writer, readers) = fresh().await;
    let queue = Arc::new(Queue { waiting: AtomicUsize::new(0), max_group: 3 });
    let (lane, files) = (Arc::clone(&writer.lane), Arc::clone(&writer.files));
    let writer = Arc::new(Writer { lane, queue, files });
    let begin = || {
        let writer = Arc::clone(&writer);
        tokio::spawn(async move { writer.begin().await })
    };
    let mut first = writer.begin().await.unwrap();
    write(&mut first, "first").await;
    let mut next = begin();
    until_waited_for(&writer).await;
    let first = tokio::spawn(first.commit());
    for _ in 0..20 {
        let mut dropped = next.await.unwrap().unwrap();
        write(&mut dropped, "dropped").await;
        // There is always one more.
        next = begin();
        until_waited_for(&writer).await;
        // A transaction that never ended would also keep every other process from writing.
        assert!(dropped.lane.begun <= 3);
    }
    first.await.unwrap().unwrap();
    drop(next.await.unwrap().unwrap());
    assert_eq!(notes(&readers).await, ["first"]);
}
