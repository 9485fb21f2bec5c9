//! Sessions of applications that ended before their time: the applications hear of it (OpenID Connect Back-Channel Logout 1.0).
//!
//! All ways to end a session are in this crate's repository of sessions, so that none of them can forget it. Jobs are written at the end of
//! the unit of work that ended the sessions: both happen, or neither.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tidegate_database::{Deferred, Result, StoreError, Unit, fetch_optional};
use tidegate_domain::Timestamp;
use tidegate_domain::id::{AccountId, ApplicationId, SessionId};
use tidegate_domain::session::EndReason;
use uuid::Uuid;

use super::sessions::Sessions;
use crate::KernelTables;
use crate::jobs::NewJob;

/// The name of the job that notifies an application: the feature that knows applications registers it.
pub const LOGOUT_JOB: &str = "back-channel logout";

/// What that job is enqueued with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedSession {
    /// The application that the session was opened for.
    pub application: ApplicationId,
    /// Whose it was, as the application knows them: `sub` in its ID tokens.
    pub subject: AccountId,
    /// The session: `sid` in ID tokens.
    pub session: SessionId,
}

#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub(super) struct EndedRow {
    pub(super) id: Uuid,
    pub(super) subject: Uuid,
    pub(super) application_id: Option<Uuid>,
}

/// Sessions of applications that a unit of work has ended.
#[derive(Default)]
struct EndedSessions(Vec<(EndedSession, Timestamp)>);

impl Sessions<'_> {
    /// Notes that sessions ended: caches hear of it, and so do the applications that they were opened for.
    pub(super) fn ended(&mut self, rows: &[EndedRow], reason: EndReason, now: Timestamp) -> Result<()> {
        rows.iter().for_each(|row| self.0.touch_session(row.id.into()));
        if reason.is_applications_own() { Ok(()) } else { self.notify_applications(rows, now) }
    }

    /// Has the applications notified that the sessions were opened for.
    pub(super) fn notify_applications(&mut self, rows: &[EndedRow], now: Timestamp) -> Result<()> {
        let ended = rows.iter().filter_map(|row| {
            let application = row.application_id?.into();
            let (subject, session) = (row.subject.into(), row.id.into());
            Some((EndedSession { application, subject, session }, now))
        });
        let mut ended = ended.peekable();
        if ended.peek().is_some() {
            self.0.deferred::<EndedSessions>()?.0.extend(ended);
        }
        Ok(())
    }
}

impl Deferred for EndedSessions {
    fn write(self: Box<Self>, unit: &mut Unit) -> BoxFuture<'_, Result<()>> {
        let Self(ended) = *self;
        async move {
            let mut listening: BTreeMap<Uuid, bool> = BTreeMap::new();
            for (ended, at) in ended {
                let id = ended.application.0;
                let listens = match listening.get(&id) {
                    Some(known) => *known,
                    None => listens(unit, id).await?,
                };
                listening.insert(id, listens);
                if listens {
                    unit.jobs().enqueue(&job(ended, at)?).await?;
                }
            }
            Ok(())
        }
        .boxed()
    }
}

/// Whether the application is still in use, and wants to hear of sessions that end.
async fn listens(unit: &mut Unit, application: Uuid) -> Result<bool> {
    let row = fetch_optional!(
        unit,
        (i64,),
        "select number from oauth_applications
         where id = $1 and backchannel_logout_uri is not null and status = 'active' and suspended_at is null",
        application,
    )?;
    Ok(row.is_some())
}

/// Not about the account, in the store's sense: the application hears of it also where the account is deleted.
fn job(ended: EndedSession, at: Timestamp) -> Result<NewJob> {
    let payload = serde_json::to_vec(&ended).map_err(|error| {
        StoreError::Database(format!("a session that ended cannot be written: {error}").into())
    })?;
    // A session ends once; one that goes on without its owner may be told of more than once, at different times.
    let id = Uuid::from_u128(ended.session.0.as_u128() ^ u128::from(at.micros().unsigned_abs()));
    Ok(NewJob {
        id,
        name: LOGOUT_JOB,
        dedupe_key: Some(ended.session.to_string()),
        account: None,
        payload,
        sealed: false,
        run_at: at,
        created_at: at,
    })
}
