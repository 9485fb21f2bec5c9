//! A signed-in connection: messages come in, and answers go out.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;
use tidegate_kernel::{Actor, Call};
use tidegate_prompts::executions::ExecutionKind;
use tidegate_prompts::executions::execution::{MAX_PARAMETERS, MAX_SQL};
use tidegate_prompts::executions::start::{Asked, NewExecution};
use tidegate_prompts::executions::stream::QueryStream;
use tidegate_prompts::ports::Relation;
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::sync::{AcquireError, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::answer::{Answer, Source};
use super::database::Database;
use super::extended::{Portal, Statement};
use super::opening::Session;
use super::server::{Io, Metrics, Wire};
use super::settings::SessionSettings;
use crate::cancel::Ticket;
use crate::listing::{self, Context, Listed, Place, Verdict};
use crate::protocol::backend::{Outgoing, Transaction};
use crate::protocol::frontend::{self, Message};
use crate::protocol::incoming::Incoming;
use crate::protocol::problem::Problem;
use crate::seats::Seat;
use crate::values::columns::{Encoded, described_all};
use crate::words::Kind;

/// Bytes of an answer that wait before they are written.
const ENOUGH: usize = 32 * 1024;
/// For how long it is believed what relations somebody sees: as long as a session is believed to be current.
const RELATIONS_AGE: std::time::Duration = std::time::Duration::from_secs(2);
/// After how long who asks nothing of data is looked at again.
const SESSION_AGE: std::time::Duration = std::time::Duration::from_secs(60);

/// What a statement waits for.
type Waited<'w, T> = Pin<Box<dyn Future<Output = T> + Send + 'w>>;

/// A signed-in connection.
pub(super) struct Connection {
    pub(super) wire: Arc<Wire>,
    reader: ReadHalf<Io>,
    writer: WriteHalf<Io>,
    incoming: Incoming,
    pub(super) out: Outgoing,
    actor: Actor,
    call: Call,
    user: String,
    database: Database,
    /// When it was looked at last what the database means.
    found_at: Instant,
    pub(super) settings: SessionSettings,
    ticket: Ticket,
    stop: watch::Receiver<bool>,
    pub(super) transaction: Transaction,
    pub(super) statements: HashMap<String, Statement>,
    pub(super) portals: HashMap<String, Portal>,
    /// After a mistake in a row of messages, the others are skipped up to its end.
    is_skipping: bool,
    relations: Option<(Instant, Arc<Vec<Relation>>)>,
    seat: Seat,
}

impl Connection {
    pub(super) fn new(wire: Arc<Wire>, session: Session, stop: watch::Receiver<bool>) -> Self {
        let Session { io, incoming, actor, call, user, database, settings, ticket, seat } = session;
        let (reader, writer) = split(io);
        Self {
            wire,
            reader,
            writer,
            incoming,
            out: Outgoing::default(),
            actor,
            call,
            user,
            database,
            found_at: Instant::now(),
            settings,
            ticket,
            stop,
            transaction: Transaction::Idle,
            statements: HashMap::new(),
            portals: HashMap::new(),
            is_skipping: false,
            relations: None,
            seat,
        }
    }

    /// Answers until the client goes, or is sent away; says why.
    pub(super) async fn run(mut self) -> Problem {
        loop {
            let message = match self.next_message().await {
                Ok(Some(message)) => message,
                Ok(None) => return Problem::gone(),
                Err(problem) => return self.send_away(problem).await,
            };
            if let Err(problem) = self.handle(message).await {
                return self.send_away(problem).await;
            }
        }
    }

    async fn send_away(mut self, problem: Problem) -> Problem {
        self.out.problem(&problem);
        drop(self.flush().await);
        drop(timeout(self.wire.settings.write_timeout, self.writer.shutdown()).await);
        problem
    }

    /// The next message; none at the end.
    async fn next_message(&mut self) -> Result<Option<Message>, Problem> {
        loop {
            let late = self.first_deadline();
            // Who asks on and on is never waited for below.
            if late.is_some_and(|late| late <= Instant::now()) {
                self.let_go();
            }
            if let Some((kind, body)) = self.incoming.take()? {
                return match frontend::message(kind, &body)? {
                    Message::Terminate => Ok(None),
                    message => Ok(Some(message)),
                };
            }
            let idle = self.wire.settings.idle_timeout;
            let late = async move {
                match late {
                    Some(late) => sleep_until(late).await,
                    None => std::future::pending().await,
                }
            };
            // What is waited for is not kept: it would borrow the connection.
            let stopped = async { drop(self.stop.wait_for(|stop| *stop).await) };
            tokio::select! {
                read = timeout(idle, self.incoming.fill(&mut self.reader)) => match read {
                    Ok(Ok(0) | Err(_)) => return Ok(None),
                    Ok(Ok(_)) => {}
                    Err(_) => {
                        return Err(Problem::fatal("57P01", "Nothing was asked for too long."));
                    }
                },
                () = stopped => {
                    return Err(Problem::fatal("57P01", "The server is stopping."));
                }
                () = late => self.let_go(),
            }
        }
    }

    /// When the first of what is held is to be let go of.
    fn first_deadline(&self) -> Option<Instant> {
        let relations = self.relations.as_ref().map(|(at, _)| *at + RELATIONS_AGE);
        self.portals.values().filter_map(Portal::deadline).chain(relations).min()
    }

    /// Lets go of what nobody asked for in time: rows hold a place for executions, names of relations memory.
    fn let_go(&mut self) {
        let now = Instant::now();
        self.portals.values_mut().for_each(|portal| portal.let_go(now));
        self.relations = self.relations.take().filter(|(at, _)| *at + RELATIONS_AGE > now);
    }

    /// Answers one message. An error ends the connection.
    async fn handle(&mut self, message: Message) -> Result<(), Problem> {
        match message {
            Message::Query(text) => {
                self.is_skipping = false;
                self.ensure_session_current().await?;
                self.simple_query(&text).await?;
                self.out.ready(self.transaction);
                self.flush().await
            }
            Message::Sync => {
                self.is_skipping = false;
                self.ensure_session_current().await?;
                // A row of messages is a transaction, unless one was begun.
                if self.transaction == Transaction::Idle {
                    self.portals.clear();
                }
                self.out.ready(self.transaction);
                self.flush().await
            }
            Message::Flush => self.flush().await,
            // Never under way; PostgreSQL ignores them, too.
            Message::Copy => Ok(()),
            Message::Password(_) => Err(Problem::fatal("08P01", "Nobody asked for a password.")),
            Message::Terminate => Err(Problem::gone()),
            message if self.is_skipping => {
                drop(message);
                Ok(())
            }
            message => match self.extended_query(message).await {
                Err(problem) if !problem.is_fatal => {
                    self.failed(&problem);
                    self.is_skipping = true;
                    self.flush().await
                }
                // Who asks on and on without an end of the row takes the answers meanwhile.
                Ok(()) if self.out.bytes.len() >= ENOUGH => self.flush().await,
                outcome => outcome,
            },
        }
    }

    /// Tells of a mistake.
    pub(super) fn failed(&mut self, problem: &Problem) {
        if self.transaction == Transaction::Open {
            self.transaction = Transaction::Failed;
        }
        self.out.problem(problem);
    }

    /// Writes what waits.
    pub(super) async fn flush(&mut self) -> Result<(), Problem> {
        let written = async {
            self.writer.write_all(&self.out.bytes).await?;
            self.writer.flush().await
        };
        let written = timeout(self.wire.settings.write_timeout, written).await;
        self.out.sent();
        match written {
            Ok(Ok(())) => Ok(()),
            _ => Err(Problem::gone()),
        }
    }

    /// What is asked of the engine.
    fn execution(&self, sql: &str, parameters: Vec<Value>) -> Result<NewExecution, Problem> {
        if sql.contains('\0') || sql.len() > MAX_SQL {
            return Err(Problem::new("54000", format!("A statement has at most {MAX_SQL} bytes.")));
        }
        if parameters.len() > MAX_PARAMETERS {
            return Err(Problem::new("54000", format!("A query has at most {MAX_PARAMETERS} parameters.")));
        }
        Ok(NewExecution {
            kind: ExecutionKind::Sql,
            asked: Asked::Sql(sql.to_owned(), parameters),
            workspace: self.database.workspace,
            sources: self.database.sources.clone(),
            schemas: Vec::new(),
            save: None,
            again: None,
            template: None,
            model: None,
            waits: false,
        })
    }

    /// Waits for something of a statement, but no longer than its client does. It is on the heap: within the connection's own future it would
    /// be part of each of those around it, all of which are on the stack below what reads a source.
    pub(super) async fn attended<T>(&mut self, mut work: Waited<'_, T>) -> Result<T, Problem> {
        loop {
            tokio::select! {
                biased;
                () = self.ticket.cancelled() => return Err(Problem::cancelled()),
                done = &mut work => return Ok(done),
                read = self.incoming.fill(&mut self.reader), if self.incoming.has_room() => {
                    if !matches!(read, Ok(1..)) {
                        return Err(Problem::gone());
                    }
                }
            }
        }
    }

    /// What the database means now: data sources come and go. Without it the connection ends.
    async fn refresh(&mut self) -> Result<(), Problem> {
        if self.found_at.elapsed() < RELATIONS_AGE {
            return Ok(());
        }
        let (prompts, actor) = (Arc::clone(&self.wire.prompts), self.actor.clone());
        let queryable = self.attended(Box::pin(async move { prompts.queryable(&actor).await })).await??;
        let database = Database::find(&self.database.name, &self.user, &queryable)?;
        if database != self.database {
            (self.database, self.relations) = (database, None);
        }
        self.found_at = Instant::now();
        Ok(())
    }

    /// Statements about data look at the token. Who says nothing of data would keep a place of the listener with one that was revoked.
    async fn ensure_session_current(&mut self) -> Result<(), Problem> {
        if self.found_at.elapsed() < SESSION_AGE {
            return Ok(());
        }
        match self.refresh().await {
            Err(problem) if problem.is_fatal => Err(problem),
            // What is wrong otherwise is told where it matters.
            _ => Ok(()),
        }
    }

    /// Refuses more requests than somebody may make.
    fn meter(&self) -> Result<(), Problem> {
        match self.wire.kernel.meter_authenticated(&self.call, &self.actor) {
            Some(status) if status.exceeded => {
                Err(Problem::new("53400", "Too many statements within a minute; try again later."))
            }
            _ => Ok(()),
        }
    }

    /// Answers a statement; what it is was found out before.
    pub(super) async fn answer(&mut self, sql: &str, parameters: &[Value]) -> Result<Answer, Problem> {
        self.ticket.begin();
        self.meter()?;
        self.refresh().await?;
        if let Some(answer) = self.listed(sql, parameters).await? {
            return Ok(answer);
        }
        let new = self.execution(sql, parameters.to_vec())?;
        let (prompts, call, actor) = (Arc::clone(&self.wire.prompts), self.call.clone(), self.actor.clone());
        let begun = Box::pin(async move { prompts.stream(&call, &actor, new).await });
        let stream = self.attended(begun).await??;
        let columns = described_all(&stream.schema);
        Ok(Answer::new("query", columns, Source::Query { stream: Box::new(stream), batch: None }))
    }

    /// The columns of a statement, and the types of its parameters, before it has values.
    pub(super) async fn shape(&mut self, sql: &str, count: usize) -> Result<super::extended::Shape, Problem> {
        self.ticket.begin();
        self.meter()?;
        self.refresh().await?;
        if let Some(answer) = self.listed(sql, &vec![Value::Null; count]).await? {
            return Ok(super::extended::Shape { columns: answer.columns, parameters: Vec::new() });
        }
        let new = self.execution(sql, Vec::new())?;
        let (prompts, actor) = (Arc::clone(&self.wire.prompts), self.actor.clone());
        let shape = Box::pin(async move { prompts.query_shape(&actor, &new).await });
        let shape = self.attended(shape).await??;
        Ok(super::extended::Shape { columns: described_all(&shape.schema), parameters: shape.parameters })
    }

    /// The answer to a statement about catalogs; none where it is about data.
    async fn listed(&mut self, sql: &str, parameters: &[Value]) -> Result<Option<Answer>, Problem> {
        if !listing::may_be_ours(sql) {
            return Ok(None);
        }
        let place = self.catalog_place().await?;
        let verdict = self.attended(Box::pin(listing::judge(sql.to_owned(), place))).await??;
        let relations = match verdict {
            Verdict::NotOurs => return Ok(None),
            Verdict::WithoutRelations => Arc::default(),
            Verdict::WithRelations => self.relations().await?,
        };
        let context = Context {
            relations,
            user: self.user.clone(),
            database: self.database.name.clone(),
            is_source: self.database.is_source,
            settings: self.settings.all(),
        };
        let place = self.catalog_place().await?;
        let answered = listing::answer(sql.to_owned(), parameters.to_vec(), context, place);
        let listed = self.attended(Box::pin(answered)).await??;
        let listed = self.held(listed)?;
        Ok(Some(Answer::new("catalog", listed.columns(), Source::Listed { listed, next: 0 })))
    }

    /// One of the places for statements about catalogs. Not had while relations are read: that takes as long as the database does.
    async fn catalog_place(&mut self) -> Result<Place, Problem> {
        let (turn, places) = (Arc::clone(&self.seat.turn), Arc::clone(&self.wire.catalog_answers));
        // Its account's turn first: whoever asks on many connections waits behind themselves.
        let both = async move {
            Ok::<_, AcquireError>([turn.acquire_owned().await?, places.acquire_owned().await?])
        };
        self.attended(Box::pin(both)).await?.map_err(|_| Problem::gone())
    }

    /// An answer that was worked out here and waits for its client.
    pub(super) fn held(&self, listed: Listed) -> Result<Listed, Problem> {
        listed.within(&self.seat.room, &self.wire.catalog_room)
    }

    async fn relations(&mut self) -> Result<Arc<Vec<Relation>>, Problem> {
        if let Some((at, relations)) = &self.relations
            && at.elapsed() < RELATIONS_AGE
        {
            return Ok(Arc::clone(relations));
        }
        let (prompts, actor) = (Arc::clone(&self.wire.prompts), self.actor.clone());
        let (workspace, sources) = (self.database.workspace, self.database.sources.clone());
        let seen = Box::pin(async move { prompts.relations_seen(&actor, workspace, &sources).await });
        let seen = Arc::new(self.attended(seen).await??);
        self.relations = Some((Instant::now(), Arc::clone(&seen)));
        Ok(seen)
    }

    /// Sends rows of an answer, at most `most` of them; says whether it may have more.
    pub(super) async fn send(&mut self, answer: &mut Answer, most: u64) -> Result<bool, Problem> {
        let mut left = most;
        loop {
            answer.hurry(Instant::now());
            answer.is_in_time()?;
            left -= answer.write(left, ENOUGH, &mut self.out)?;
            if self.out.bytes.len() >= ENOUGH {
                self.flush().await?;
            }
            if answer.has_rows() {
                if left == 0 {
                    return Ok(true);
                }
                continue;
            }
            let Source::Query { stream, batch } = &mut answer.source else { return Ok(false) };
            if left == 0 {
                return Ok(true);
            }
            match self.next_batch(stream).await? {
                Some(next) => *batch = Some((Encoded::new(&next, &answer.columns)?, 0)),
                None => {
                    answer.source = Source::Over;
                    return Ok(false);
                }
            }
        }
    }

    async fn next_batch(
        &mut self,
        stream: &mut QueryStream,
    ) -> Result<Option<arrow_array::RecordBatch>, Problem> {
        Ok(self.attended(Box::pin(stream.next())).await??)
    }

    /// Answers a statement that means no data; none where it does.
    pub(super) fn harmless(&mut self, kind: &Kind) -> Result<Option<Harmless>, Problem> {
        if self.transaction == Transaction::Failed && !matches!(kind, Kind::Commit | Kind::Rollback) {
            let text = "The transaction failed; statements are ignored until its end.";
            return Err(Problem::new("25P02", text));
        }
        let tag = match kind {
            Kind::Query => return Ok(None),
            Kind::Set(name, value) => {
                if let Some(told) = self.settings.change(name, value)? {
                    self.out.notice("01000", told);
                }
                if name == "application_name" {
                    self.out.parameter(name, self.settings.get(name).unwrap_or_default());
                }
                "SET"
            }
            Kind::Forget(tag, name) => {
                self.settings.reset(name.as_deref());
                if *tag != "RESET" {
                    self.statements.clear();
                }
                *tag
            }
            Kind::Show(name) if name == "all" => {
                return Ok(Some(Harmless::Rows(Listed::pairs(["name", "setting"], self.settings.all()))));
            }
            Kind::Show(name) => {
                let own = [("session_authorization", self.user.clone())];
                let own = own.into_iter().find(|(known, _)| known == name).map(|(_, value)| value);
                let value = own.or_else(|| self.settings.get(name).map(str::to_owned));
                let value = value.ok_or_else(|| Problem::new("42704", "There is no such setting."))?;
                return Ok(Some(Harmless::Rows(Listed::single(name, value))));
            }
            Kind::Begin => {
                self.transaction = Transaction::Open;
                "BEGIN"
            }
            Kind::Commit | Kind::Rollback => {
                let failed = std::mem::take(&mut self.transaction) == Transaction::Failed;
                self.portals.clear();
                if failed || *kind == Kind::Rollback { "ROLLBACK" } else { "COMMIT" }
            }
            Kind::Nothing(tag) => *tag,
        };
        Ok(Some(Harmless::Done(tag)))
    }

    /// Counts a statement.
    pub(super) fn count(kind: &'static str, outcome: Result<(), &Problem>) {
        Metrics::statement(kind, outcome.map_or_else(|problem| problem.state, |()| "00000"));
    }
}

/// What a statement that means no data is answered with.
pub(super) enum Harmless {
    Done(&'static str),
    Rows(Listed),
}
