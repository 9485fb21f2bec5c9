//! The unit of work: everything one request does to the store, or nothing of it.

use std::any::Any;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use uuid::Uuid;

use crate::damage::Damage;
use crate::engine::{Change, ChangeListener, Connection, Session, note};
use crate::put_off::{PutOff, Values};
use crate::{Result, StoreError};

/// Writes that a unit puts off to its end, so that several rows of a table take one statement. Nothing is lost by it: the unit is
/// written as a whole or not at all.
pub trait Deferred: Any + Send {
    /// Writes them.
    fn write(self: Box<Self>, unit: &mut Unit) -> BoxFuture<'_, Result<()>>;
}

/// What a unit holds until it ends, and is told that it is committed: such as something that was done apart from it, and is undone when it is
/// dropped without that.
pub trait OnCommit: Send {
    /// The unit is about to be committed.
    fn committed(&mut self);
}

/// One transaction. Dropped without [`Unit::commit`], it is rolled back.
///
/// Keep it short and pure database: hashing, signing and network come before or after it.
pub struct Unit {
    session: Session,
    changes: Vec<Change>,
    listener: Option<Arc<dyn ChangeListener>>,
    /// Whether a statement failed, or was cut off and may have been run or not.
    must_roll_back: bool,
    damage: Damage,
    /// What is to be written before the commit.
    deferred: Vec<Box<dyn Deferred>>,
    /// Statements that are to be run before the next one.
    put_off: Option<PutOff>,
    /// Rows that the unit made.
    made: Vec<Uuid>,
    /// Rows that the unit locked.
    locked: Vec<Uuid>,
    /// What is told of its commit, and dropped at its end.
    on_commit: Vec<Box<dyn OnCommit>>,
}

impl Unit {
    pub(crate) fn new(session: Session, listener: Option<Arc<dyn ChangeListener>>, damage: Damage) -> Self {
        Self {
            session,
            changes: Vec::new(),
            listener,
            must_roll_back: false,
            damage,
            deferred: Vec::new(),
            put_off: None,
            made: Vec::new(),
            locked: Vec::new(),
            on_commit: Vec::new(),
        }
    }

    /// The writes of one kind that are put off to the end of the unit: for repositories. To read the same table in the same unit, a
    /// repository writes them first, with [`Unit::write_deferred`].
    ///
    /// # Errors
    /// [`StoreError::Database`] when the unit only reads: they would never be written.
    pub fn deferred<D: Deferred + Default>(&mut self) -> Result<&mut D> {
        if !self.session.writes() {
            return Err(only_reads());
        }
        if !self.deferred.iter().any(|deferred| (deferred.as_ref() as &dyn Any).is::<D>()) {
            self.deferred.push(Box::<D>::default());
        }
        let mut all = self.deferred.iter_mut();
        all.find_map(|deferred| (deferred.as_mut() as &mut dyn Any).downcast_mut())
            .ok_or_else(|| StoreError::Database("nothing can be put off".into()))
    }

    /// Writes what was put off.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn write_deferred(&mut self) -> Result<()> {
        for deferred in std::mem::take(&mut self.deferred) {
            deferred.write(self).await?;
        }
        Ok(())
    }

    /// Puts a statement off until the unit's next one that is not, or its commit, and then runs all of them in one trip: for repositories,
    /// through [`crate::put_off!`], which adds its values. Of two that concern the same table the first is run before. On PostgreSQL those of
    /// one trip lock rows in an order that is not said: of rows that are there already, a unit that holds nothing which keeps the others
    /// away, such as the account, locks those of one table at most.
    ///
    /// # Errors
    /// [`StoreError::Database`] as of [`Unit::connection`], and those of the statements that had to be run.
    pub async fn put_off(&mut self, sql: &str) -> Result<&mut Values> {
        self.put_off_together(&[sql]).await
    }

    /// The same of several statements that share their placeholders, also of one table: through [`crate::put_off_together!`].
    ///
    /// # Errors
    /// The same.
    pub async fn put_off_together(&mut self, statements: &[&str]) -> Result<&mut Values> {
        if !self.session.writes() {
            return Err(only_reads());
        }
        if self.put_off.as_ref().is_some_and(|put_off| statements.iter().any(|sql| put_off.concerns(sql))) {
            self.run_put_off().await?;
        }
        if self.must_roll_back {
            return Err(must_roll_back());
        }
        let is_postgres = self.is_postgres();
        Ok(self.put_off.get_or_insert_with(|| PutOff::new(is_postgres)).add(statements))
    }

    /// Notes that a statement that is put off has a value that cannot be sent: the unit cannot be committed.
    pub fn cannot_send(&mut self, error: sqlx::error::BoxDynError) -> StoreError {
        self.must_roll_back = true;
        self.failed(sqlx::Error::Encode(error))
    }

    /// Runs the statements that were put off; answers how many rows the last of them changed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn run_put_off(&mut self) -> Result<u64> {
        let Some(put_off) = self.put_off.take() else { return Ok(0) };
        match put_off.run(self.connection("put off")?).await {
            Ok(changed) => {
                self.succeeded();
                Ok(changed)
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Notes that the unit made a row: for repositories. Until it is committed, no other unit refers to it.
    pub fn note_made(&mut self, row: Uuid) {
        self.made.push(row);
    }

    /// Whether the unit made that row.
    pub fn has_made(&self, row: Uuid) -> bool {
        self.made.contains(&row)
    }

    /// Whether the unit holds the lock of a row already, because it locked it before or made it; from now on it does: for repositories
    /// that are about to lock it.
    pub fn note_locked(&mut self, row: Uuid) -> bool {
        let is_held = self.locked.contains(&row) || self.has_made(row);
        if !is_held {
            self.locked.push(row);
        }
        is_held
    }

    /// The connection, for the statement `sql`: for repositories, through [`crate::execute!`] and [`crate::fetch!`]. The
    /// unit is must_roll_back until [`Unit::succeeded`] says that the statement was run.
    ///
    /// # Errors
    /// [`StoreError::Database`] when a statement before it was not run: PostgreSQL would refuse this one anyway; SQLite
    /// would run it, after some errors outside of any transaction. Also when the unit is one to read with and the
    /// statement is not: SQLite would refuse it anyway; PostgreSQL would run it, and the caches would not hear of it.
    pub fn connection(&mut self, sql: &str) -> Result<Connection<'_>> {
        if self.must_roll_back {
            return Err(must_roll_back());
        }
        if !self.session.writes() && !sql.starts_with("select") {
            return Err(only_reads());
        }
        self.must_roll_back = self.session.writes();
        Ok(self.session.connection())
    }

    /// Whether it runs on PostgreSQL: for [`crate::prune!`].
    pub fn is_postgres(&self) -> bool {
        self.session.is_postgres()
    }

    /// Notes that a statement was run: for repositories.
    pub fn succeeded(&mut self) {
        self.must_roll_back = false;
        self.session.settled();
    }

    /// Notes that a statement failed: for repositories.
    pub fn failed(&mut self, error: sqlx::Error) -> StoreError {
        self.session.failed(&error);
        self.damage.note(error.into())
    }

    /// Makes everything durable, then notifies the caches, here and on other nodes. When this returns `Ok` the work survives power loss.
    ///
    /// Once called, it completes and the caches are notified, even when the caller goes away.
    ///
    /// # Errors
    /// Those of the database; nothing was written then. [`StoreError::Database`] also when a statement of the unit
    /// failed: what is left of it is not what its caller meant.
    pub async fn commit(mut self) -> Result<()> {
        if self.must_roll_back {
            return Err(must_roll_back());
        }
        if !self.session.writes() {
            return Ok(());
        }
        // In a task of its own: a caller who goes away cannot stop it half-way with the writer in hand, nor keep from
        // the caches that a session has ended.
        let finishing = tokio::spawn(async move {
            self.write_deferred().await?;
            self.run_put_off().await?;
            // A commit that fails may have been carried out.
            self.on_commit.iter_mut().for_each(|held| held.committed());
            let announced =
                self.session.commit(&self.changes).await.map_err(|error| self.damage.note(error))?;
            self.damage.present();
            if let Some(listener) = self.listener {
                self.changes.into_iter().for_each(|change| listener.changed(change));
            }
            announced.sent().await;
            Ok(())
        });
        finishing.await.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string().into())))
    }

    /// Holds that until the unit ends, and tells it of the commit.
    pub fn on_commit(&mut self, held: Box<dyn OnCommit>) {
        self.on_commit.push(held);
    }

    /// Notes a change that caches must hear of once it is committed: for repositories.
    pub fn note(&mut self, change: Change) {
        note(&mut self.changes, change);
    }
}

fn only_reads() -> StoreError {
    StoreError::Database("a unit that only reads cannot write".into())
}

fn must_roll_back() -> StoreError {
    StoreError::Database("a statement of this unit of work failed, so nothing of the unit is written".into())
}
