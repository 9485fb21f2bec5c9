//! The extended query protocol: statements are prepared, given values, and their rows taken in parts.

use arrow_schema::DataType;
use serde_json::Value;
use tidegate_prompts::executions::execution::MAX_SQL;
use tokio::time::Instant;

use super::answer::{Answer, Source};
use super::connection::{Connection, Harmless};
use crate::protocol::backend::Column;
use crate::protocol::frontend::{Bind, Message, Target};
use crate::protocol::problem::Problem;
use crate::values::oids::PgType;
use crate::values::parameters::value;
use crate::words::{Kind, kind, statements};

/// Most prepared statements, and most portals, of a connection.
const MOST: usize = 200;
/// Most bytes of all prepared statements, with their names and the types of their parameters.
const MOST_BYTES: usize = 2 << 20;
/// Longest statement that means no data: each portal of one has a copy of what it sets.
const LONGEST_HARMLESS: usize = 4 * 1024;
/// Most parameters of a statement.
const MOST_PARAMETERS: usize = 1_000;
/// Longest name of a statement or portal, in bytes.
const LONGEST_NAME: usize = 255;
/// Bytes of columns that are remembered of prepared statements, and of one column beside its name. A source may have names of any length.
const MOST_OF_SHAPES: usize = 2 << 20;
const COLUMN: usize = 128;

/// What a statement would answer with.
#[derive(Clone)]
pub(super) struct Shape {
    pub(super) columns: Vec<Column>,
    pub(super) parameters: Vec<Option<DataType>>,
}

/// A prepared statement.
#[derive(Clone)]
pub(super) struct Statement {
    sql: String,
    /// Types that the client stated: 0 for those it leaves open.
    types: Vec<u32>,
    kind: Option<Kind>,
    shape: Option<Shape>,
}

/// A statement with values.
pub(super) enum Portal {
    /// Not begun: a statement that means no data, or none at all.
    Harmless(Option<Kind>),
    /// What `SHOW` answers.
    Rows(Answer),
}

impl Shape {
    fn bytes(&self) -> usize {
        let columns: usize = self.columns.iter().map(|column| COLUMN + column.name.len()).sum();
        columns + self.parameters.len() * size_of::<Option<DataType>>()
    }
}

impl Statement {
    fn bytes(&self) -> usize {
        self.sql.len() + self.types.len() * size_of::<u32>()
    }
}

impl Portal {
    /// When it is to be let go of; none where it holds nothing.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Rows(answer) if answer.holds() => Some(answer.deadline),
            _ => None,
        }
    }

    /// Lets go of its rows, if it is too late for them.
    pub(super) fn let_go(&mut self, now: Instant) {
        if let Self::Rows(answer) = self {
            answer.let_go(now);
        }
    }
}

/// Refuses names that only take room.
fn named(name: &str) -> Result<(), Problem> {
    if name.len() <= LONGEST_NAME {
        return Ok(());
    }
    Err(Problem::new("54000", format!("A name has at most {LONGEST_NAME} bytes.")))
}

impl Connection {
    /// Answers a message of this protocol.
    pub(super) async fn extended_query(&mut self, message: Message) -> Result<(), Problem> {
        match message {
            Message::Parse { name, sql, types } => self.parse(name, sql, types),
            Message::Bind(bind) => self.bind(bind).await,
            Message::Describe(Target::Statement(name)) => self.describe_statement(&name).await,
            Message::Describe(Target::Portal(name)) => self.describe_portal(&name),
            Message::Execute { portal, most } => self.execute(&portal, most).await,
            Message::Close(target) => {
                match target {
                    Target::Statement(name) => drop(self.statements.remove(&name)),
                    Target::Portal(name) => drop(self.portals.remove(&name)),
                }
                self.out.closed();
                Ok(())
            }
            _ => Err(Problem::fatal("08P01", "A message comes at the wrong time.")),
        }
    }

    fn parse(&mut self, name: String, sql: String, types: Vec<u32>) -> Result<(), Problem> {
        named(&name)?;
        if !name.is_empty() && self.statements.contains_key(&name) {
            return Err(Problem::new("42P05", "A prepared statement of this name is there already."));
        }
        if sql.len() > MAX_SQL {
            return Err(Problem::new("54000", format!("A statement has at most {MAX_SQL} bytes.")));
        }
        let kind = match statements(&sql).as_slice() {
            [] => None,
            [one] => Some(kind(one)),
            _ => return Err(Problem::new("42601", "Only one statement can be prepared at a time.")),
        };
        if sql.len() > LONGEST_HARMLESS && kind.as_ref().is_some_and(|kind| *kind != Kind::Query) {
            let text = format!("A statement about the session has at most {LONGEST_HARMLESS} bytes.");
            return Err(Problem::new("54000", text));
        }
        if types.len() > MOST_PARAMETERS {
            let text = format!("A statement has at most {MOST_PARAMETERS} parameters.");
            return Err(Problem::new("54000", text));
        }
        let sql = statements(&sql).first().map(|one| (*one).to_owned()).unwrap_or_default();
        let statement = Statement { sql, types, kind, shape: None };
        // The unnamed one makes room for the next.
        let others = self.statements.iter().filter(|(known, _)| **known != name);
        let (count, bytes) = others
            .fold((0, 0), |(count, bytes), (name, other)| (count + 1, bytes + name.len() + other.bytes()));
        if count >= MOST || bytes + name.len() + statement.bytes() > MOST_BYTES {
            return Err(Problem::new("54000", "Too many statements are prepared; close some of them."));
        }
        self.statements.insert(name, statement);
        self.out.parsed();
        Ok(())
    }

    fn statement(&self, name: &str) -> Result<&Statement, Problem> {
        self.statements.get(name).ok_or_else(|| Problem::new("26000", "There is no such prepared statement."))
    }

    /// The shape of a prepared statement, found once.
    async fn shape_of(&mut self, name: &str) -> Result<Shape, Problem> {
        let statement = self.statement(name)?;
        if let Some(shape) = &statement.shape {
            return Ok(shape.clone());
        }
        let (sql, count) = (statement.sql.clone(), statement.types.len());
        let shape = match statement.kind.clone() {
            Some(Kind::Query) => self.shape(&sql, count).await?,
            Some(Kind::Show(_)) => {
                let listed = match self.harmless(&kind(&sql))? {
                    Some(Harmless::Rows(listed)) => listed.columns(),
                    _ => Vec::new(),
                };
                Shape { columns: listed, parameters: Vec::new() }
            }
            _ => Shape { columns: Vec::new(), parameters: Vec::new() },
        };
        self.remember(name, &shape);
        Ok(shape)
    }

    /// Keeps a shape, and forgets those of other statements where they are too many: they are found again when they are asked for.
    fn remember(&mut self, name: &str, shape: &Shape) {
        let bytes = shape.bytes();
        if bytes > MOST_OF_SHAPES {
            return;
        }
        let known = self.statements.values().filter_map(|statement| statement.shape.as_ref());
        let known: usize = known.map(Shape::bytes).sum();
        if known + bytes > MOST_OF_SHAPES {
            self.statements.values_mut().for_each(|statement| statement.shape = None);
        }
        if let Some(statement) = self.statements.get_mut(name) {
            statement.shape = Some(shape.clone());
        }
    }

    async fn describe_statement(&mut self, name: &str) -> Result<(), Problem> {
        let shape = self.shape_of(name).await?;
        let stated = &self.statement(name)?.types;
        let count = stated.len().max(shape.parameters.len());
        let oid = |at: usize| {
            let stated = stated.get(at).copied().filter(|oid| *oid != 0);
            let wanted = shape.parameters.get(at).cloned().flatten();
            stated.unwrap_or_else(|| wanted.map_or(PgType::Text, |kind| PgType::of(&kind)).oid())
        };
        let oids: Vec<u32> = (0..count).map(oid).collect();
        self.out.parameters(&oids);
        self.tell_columns(&shape.columns);
        Ok(())
    }

    fn tell_columns(&mut self, columns: &[Column]) {
        if columns.is_empty() { self.out.no_columns() } else { self.out.columns(columns) }
    }

    async fn bind(&mut self, bind: Bind) -> Result<(), Problem> {
        let Bind { portal, statement: name, formats, values, results } = bind;
        named(&portal)?;
        if !portal.is_empty() && self.portals.contains_key(&portal) {
            return Err(Problem::new("42P05", "A portal of this name is there already."));
        }
        if self.portals.len() >= MOST {
            return Err(Problem::new("54000", "Too many portals are open; close some of them."));
        }
        // What it held ends before anything else begins.
        self.portals.remove(&portal);
        let statement = self.statement(&name)?;
        let (types, statement_kind) = (statement.types.clone(), statement.kind.clone());
        let bound = match statement_kind {
            Some(Kind::Query) => {
                let sql = statement.sql.clone();
                let parameters = self.values(&name, &types, &formats, &values).await?;
                drop(self.harmless(&Kind::Query)?);
                let answer = self.answer(&sql, &parameters).await;
                if let Err(problem) = &answer {
                    Self::count("query", Err(problem));
                }
                Portal::Rows(self.told(&name, answer?, &results)?)
            }
            Some(Kind::Show(_)) => {
                let sql = statement.sql.clone();
                match self.harmless(&kind(&sql))? {
                    Some(Harmless::Rows(listed)) => {
                        let listed = self.held(listed)?;
                        let columns = listed.columns();
                        let mut answer = Answer::new("other", columns, Source::Listed { listed, next: 0 });
                        answer.formats(&results)?;
                        Portal::Rows(answer)
                    }
                    _ => Portal::Harmless(None),
                }
            }
            other => Portal::Harmless(other),
        };
        self.portals.insert(portal, bound);
        self.out.bound();
        Ok(())
    }

    /// An answer whose columns are of the types that were told when its statement was described.
    fn told(&self, name: &str, mut answer: Answer, results: &[bool]) -> Result<Answer, Problem> {
        let described = self.statements.get(name).and_then(|statement| statement.shape.as_ref());
        if let (Some(shape), Source::Query { .. }) = (described, &answer.source)
            && shape.columns.len() == answer.columns.len()
        {
            answer.columns.clone_from(&shape.columns);
        }
        answer.formats(results)?;
        Ok(answer)
    }

    /// The values of parameters. Of those without a type the statement is asked.
    async fn values(
        &mut self,
        name: &str,
        types: &[u32],
        formats: &[bool],
        sent: &[Option<Vec<u8>>],
    ) -> Result<Vec<Value>, Problem> {
        let stated = |at: usize| types.get(at).copied().unwrap_or(0);
        let is_open =
            sent.iter().enumerate().any(|(at, sent)| sent.is_some() && matches!(stated(at), 0 | 705));
        let wanted = if is_open { self.shape_of(name).await?.parameters } else { Vec::new() };
        let is_binary = |at: usize| match formats {
            [one] => *one,
            each => each.get(at).copied().unwrap_or(false),
        };
        let read = |(at, sent): (usize, &Option<Vec<u8>>)| {
            let wanted = wanted.get(at).and_then(Option::as_ref);
            value(sent.as_deref(), is_binary(at), stated(at), wanted)
        };
        sent.iter().enumerate().map(read).collect()
    }

    fn describe_portal(&mut self, name: &str) -> Result<(), Problem> {
        let columns = match self.portals.get(name) {
            Some(Portal::Rows(answer)) => answer.columns.clone(),
            Some(Portal::Harmless(_)) => Vec::new(),
            None => return Err(no_portal()),
        };
        self.tell_columns(&columns);
        Ok(())
    }

    async fn execute(&mut self, name: &str, most: usize) -> Result<(), Problem> {
        // Taken out while rows are sent, and put back where some are left.
        let mut answer = match self.portals.remove(name) {
            None => return Err(no_portal()),
            Some(Portal::Harmless(None)) => {
                self.out.empty_query();
                return Ok(());
            }
            Some(Portal::Harmless(Some(kind))) => {
                let done = self.harmless(&kind);
                Self::count("other", done.as_ref().map(|_| ()));
                if let Some(Harmless::Done(tag)) = done? {
                    self.out.complete(tag);
                }
                return Ok(());
            }
            Some(Portal::Rows(answer)) => answer,
        };
        let most = if most == 0 { u64::MAX } else { u64::try_from(most).unwrap_or(u64::MAX) };
        // Rows may have waited here since the part before.
        if let Source::Query { stream, .. } = &mut answer.source {
            let held = self.attended(Box::pin(stream.holds())).await;
            if let Err(problem) = held.and_then(|held| held.map_err(Problem::from)) {
                Self::count(answer.kind, Err(&problem));
                return Err(problem);
            }
        }
        let sent = self.send(&mut answer, most).await;
        if !matches!(sent, Ok(true)) {
            Self::count(answer.kind, sent.as_ref().map(|_| ()));
        }
        if sent? {
            self.out.suspended();
            // A tag counts the rows of its own part.
            answer.sent = 0;
            self.portals.insert(name.to_owned(), Portal::Rows(answer));
        } else {
            let tag = if answer.kind == "other" { "SHOW".to_owned() } else { answer.tag() };
            self.out.complete(&tag);
            answer.sent = 0;
            answer.columns = Vec::new();
            self.portals.insert(name.to_owned(), Portal::Rows(answer));
        }
        Ok(())
    }
}

fn no_portal() -> Problem {
    Problem::new("34000", "There is no such portal.")
}
