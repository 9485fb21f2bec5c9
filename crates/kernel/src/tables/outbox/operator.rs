//! What an operator does about a message: see `tidegate outbox`.

use tidegate_database::{Result, execute};
use tidegate_domain::Timestamp;

use super::Outbox;
use crate::changes;

impl Outbox<'_> {
    /// Gives a dead message another life. False when there is no dead message of that number.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn revive(&mut self, number: i64, now: Timestamp) -> Result<bool> {
        let revived = execute!(
            self.0,
            "update outbox_messages set state = 'pending', attempts = 0, next_attempt_at = $2, settled_at = null
             where number = $1 and state = 'dead'",
            number,
            now.micros(),
        )?;
        self.0.note(changes::MAILS);
        self.0.note(changes::TEXTS);
        Ok(revived == 1)
    }

    /// Lets a message that waits for its next attempt be due now. False when there is no pending message of that number.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn hasten(&mut self, number: i64, now: Timestamp) -> Result<bool> {
        let hastened = execute!(
            self.0,
            "update outbox_messages set next_attempt_at = case when next_attempt_at > $2 then $2 else next_attempt_at end
             where number = $1 and state = 'pending'",
            number,
            now.micros(),
        )?;
        self.0.note(changes::MAILS);
        self.0.note(changes::TEXTS);
        Ok(hastened == 1)
    }

    /// Removes a dead message. False when there is no dead message of that number.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn bury(&mut self, number: i64) -> Result<bool> {
        let buried =
            execute!(self.0, "delete from outbox_messages where number = $1 and state = 'dead'", number)?;
        Ok(buried == 1)
    }
}
