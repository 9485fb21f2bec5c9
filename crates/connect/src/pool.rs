//! A bounded pool of connections.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::error::{ErrorCode, SourceError};
use crate::source::Connections;

/// How long a connection may lie idle before it is closed rather than used.
const IDLE: Duration = Duration::from_secs(300);

/// Connections of one source. Taking one waits for a free place, at most as long as connecting may take.
pub(crate) struct Pool<C> {
    idle: Arc<Mutex<Vec<(C, Instant)>>>,
    places: Arc<Semaphore>,
    size: u32,
}

impl<C: Send + 'static> Pool<C> {
    pub(crate) fn new(size: u32) -> Self {
        let size = size.clamp(1, 1_000);
        Self { idle: Arc::default(), places: Arc::new(Semaphore::new(size as usize)), size }
    }

    /// A place, and with it an idle connection, if there is one. It may have been closed at the other end.
    pub(crate) async fn take(&self, limit: Duration) -> Result<(Place<C>, Option<C>), SourceError> {
        let permit = tokio::time::timeout(limit, Arc::clone(&self.places).acquire_owned())
            .await
            .map_err(|_| {
                SourceError::new(ErrorCode::Timeout, "All connections of this data source are in use.")
            })?
            .map_err(|_| SourceError::connection("The data source was closed."))?;
        let place = Place { idle: Arc::clone(&self.idle), _permit: permit };
        let mut idle = lock(&self.idle);
        while let Some((connection, since)) = idle.pop() {
            if since.elapsed() < IDLE {
                return Ok((place, Some(connection)));
            }
        }
        Ok((place, None))
    }

    /// Closes what is idle and lets nobody take more.
    pub(crate) fn close(&self) {
        self.places.close();
        lock(&self.idle).clear();
    }

    pub(crate) fn connections(&self) -> Connections {
        let free = u32::try_from(self.places.available_permits()).unwrap_or(self.size);
        let idle = u32::try_from(lock(&self.idle).len()).unwrap_or(self.size);
        Connections { active: self.size.saturating_sub(free), idle, size: self.size }
    }
}

/// The right to hold one connection.
pub(crate) struct Place<C> {
    idle: Arc<Mutex<Vec<(C, Instant)>>>,
    _permit: OwnedSemaphorePermit,
}

impl<C> Place<C> {
    /// Gives a connection back that is ready for the next user.
    pub(crate) fn put(self, connection: C) {
        lock(&self.idle).push((connection, Instant::now()));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pool_is_bounded_and_forgets_what_lay_idle() {
        let pool = Pool::<u32>::new(1);
        let (place, none) = pool.take(Duration::from_secs(1)).await.unwrap();
        assert!(none.is_none());
        assert_eq!(pool.connections(), Connections { active: 1, idle: 0, size: 1 });
        let full = pool.take(Duration::ZERO).await.map(|_| ()).unwrap_err();
        assert_eq!(full.code, ErrorCode::Timeout);
        place.put(7);
        let (place, seven) = pool.take(Duration::from_secs(1)).await.unwrap();
        assert_eq!(seven, Some(7));
        place.put(7);
        for (_, since) in lock(&pool.idle).iter_mut() {
            *since = since.checked_sub(IDLE).unwrap();
        }
        let (place, none) = pool.take(Duration::from_secs(1)).await.unwrap();
        assert!(none.is_none());
        drop(place);
        pool.close();
        assert!(pool.take(Duration::from_secs(1)).await.is_err());
    }
}
