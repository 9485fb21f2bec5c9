//! Cancel requests: a connection of its own names another one by its number and a secret that only its client was told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate_domain::Entropy;
use tokio::sync::watch;

/// Connections of this process that can be called off.
#[derive(Default)]
pub(crate) struct Cancels(Mutex<HashMap<i32, Entry>>);

struct Entry {
    secret: i32,
    times: watch::Sender<u64>,
}

/// A connection's own, until it is dropped.
pub(crate) struct Ticket {
    cancels: Arc<Cancels>,
    /// Told to the client.
    pub(crate) number: i32,
    /// Likewise.
    pub(crate) secret: i32,
    times: watch::Receiver<u64>,
}

impl Cancels {
    fn entries(&self) -> MutexGuard<'_, HashMap<i32, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A ticket of a new connection. Both of its numbers are random: neither says how many connections there were.
    pub(crate) fn ticket(self: &Arc<Self>, entropy: &dyn Entropy) -> Ticket {
        let mut entries = self.entries();
        let secret = i32::from_be_bytes(entropy.bytes());
        let (sender, times) = watch::channel(0);
        let mut number = i32::from_be_bytes(entropy.bytes());
        while entries.contains_key(&number) {
            number = i32::from_be_bytes(entropy.bytes());
        }
        entries.insert(number, Entry { secret, times: sender });
        Ticket { cancels: Arc::clone(self), number, secret, times }
    }

    /// Calls off what runs on a connection. Whether it was there, nobody is told.
    pub(crate) fn cancel(&self, number: i32, secret: i32) {
        if let Some(entry) = self.entries().get(&number)
            && entry.secret == secret
        {
            entry.times.send_modify(|times| *times = times.wrapping_add(1));
        }
    }
}

impl Ticket {
    /// What was called off before now is over.
    pub(crate) fn begin(&mut self) {
        self.times.borrow_and_update();
    }

    /// Ends when it is called off.
    pub(crate) async fn cancelled(&mut self) {
        if self.times.changed().await.is_err() {
            // The sender is as old as the ticket: this does not happen.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.cancels.entries().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// Counts up.
    struct Counting(std::sync::atomic::AtomicU8);

    impl Entropy for Counting {
        fn fill(&self, buffer: &mut [u8]) {
            for byte in buffer {
                *byte = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
    }

    #[tokio::test]
    async fn only_who_knows_the_secret_cancels_and_only_what_runs_now() {
        let cancels = Arc::new(Cancels::default());
        let mut ticket = cancels.ticket(&Counting(0.into()));
        let is_cancelled =
            async |ticket: &mut Ticket| timeout(Duration::from_millis(20), ticket.cancelled()).await.is_ok();
        cancels.cancel(ticket.number, ticket.secret.wrapping_add(1));
        assert!(!is_cancelled(&mut ticket).await);
        cancels.cancel(ticket.number, ticket.secret);
        assert!(is_cancelled(&mut ticket).await);
        cancels.cancel(ticket.number, ticket.secret);
        ticket.begin();
        assert!(!is_cancelled(&mut ticket).await, "that was for the query before");
        let (number, secret) = (ticket.number, ticket.secret);
        drop(ticket);
        cancels.cancel(number, secret);
        assert!(cancels.entries().is_empty());
    }
}
