//! The unit of work: everything one request does to the store, or nothing of it.

use std::sync::Arc;

use crate::damage::Damage;
use crate::engine::{Change, ChangeListener, Connection, Session};
use crate::{Result, StoreError};

/// Most changes sent one by one; with more, the caches drop everything, which is quicker.
const MOST_CHANGES: usize = 200;

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
}

impl Unit {
    pub(crate) fn new(session: Session, listener: Option<Arc<dyn ChangeListener>>, damage: Damage) -> Self {
        Self { session, changes: Vec::new(), listener, must_roll_back: false, damage }
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
            return Err(StoreError::Database("a unit that only reads cannot write".to_owned()));
        }
        self.must_roll_back = self.session.writes();
        Ok(self.session.connection())
    }

    /// Notes that a statement was run: for repositories.
    pub fn succeeded(&mut self) {
        self.must_roll_back = false;
    }

    /// Notes that a statement failed: for repositories.
    pub fn failed(&mut self, error: sqlx::Error) -> StoreError {
        self.damage.note(error.into())
    }

    /// Makes everything durable, then notifies the caches. When this returns `Ok` the work survives power loss.
    ///
    /// Once called, it completes and the caches are notified, even when the caller goes away.
    ///
    /// # Errors
    /// Those of the database; nothing was written then. [`StoreError::Database`] also when a statement of the unit
    /// failed: what is left of it is not what its caller meant.
    pub async fn commit(self) -> Result<()> {
        if self.must_roll_back {
            return Err(must_roll_back());
        }
        if !self.session.writes() {
            return Ok(());
        }
        // In a task of its own: a caller who goes away cannot stop it half-way with the writer in hand, nor keep from
        // the caches that a session has ended.
        let finishing = tokio::spawn(async move {
            self.session.commit(&self.changes).await.map_err(|error| self.damage.note(error))?;
            self.damage.present();
            if let Some(listener) = self.listener {
                self.changes.into_iter().for_each(|change| listener.changed(change));
            }
            Ok(())
        });
        finishing.await.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
    }

    /// Notes a change that caches must hear of once it is committed: for repositories.
    pub fn note(&mut self, change: Change) {
        if self.changes.len() >= MOST_CHANGES {
            self.changes = vec![Change::Everything];
        } else if !self.changes.contains(&change) {
            self.changes.push(change);
        }
    }
}

fn must_roll_back() -> StoreError {
    StoreError::Database(
        "a statement of this unit of work failed, so nothing of the unit is written".to_owned(),
    )
}
