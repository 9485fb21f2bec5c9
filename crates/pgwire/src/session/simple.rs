//! The simple query protocol: statements in one text, answered one after the other, all values as text.

use super::answer::{Answer, Source};
use super::connection::{Connection, Harmless};
use crate::protocol::problem::Problem;
use crate::words::{Kind, kind, statements};

/// Most statements of one text.
const MOST: usize = 50;

impl Connection {
    /// Answers a text. Only an error that ends the connection is one here.
    pub(super) async fn simple_query(&mut self, text: &str) -> Result<(), Problem> {
        // The unnamed statement and portal end with it.
        self.portals.remove("");
        self.statements.remove("");
        let all = statements(text);
        if all.is_empty() {
            self.out.empty_query();
            return Ok(());
        }
        let kinds = match kinds(&all) {
            Ok(kinds) => kinds,
            Err(problem) => {
                self.failed(&problem);
                return Ok(());
            }
        };
        for (statement, kind) in all.into_iter().zip(kinds) {
            match self.simple_statement(statement, &kind).await {
                Ok(()) => {}
                Err(problem) if problem.is_fatal => return Err(problem),
                Err(problem) => {
                    self.failed(&problem);
                    break;
                }
            }
        }
        Ok(())
    }

    async fn simple_statement(&mut self, statement: &str, kind: &Kind) -> Result<(), Problem> {
        let mut answer = match self.harmless(kind) {
            Ok(Some(Harmless::Done(tag))) => {
                Self::count("other", Ok(()));
                self.out.complete(tag);
                return Ok(());
            }
            Ok(Some(Harmless::Rows(listed))) => {
                Answer::new("other", listed.columns(), Source::Listed { listed, next: 0 })
            }
            Ok(None) => match self.answer(statement, &[]).await {
                Ok(answer) => answer,
                Err(problem) => {
                    Self::count("query", Err(&problem));
                    return Err(problem);
                }
            },
            Err(problem) => {
                Self::count("other", Err(&problem));
                return Err(problem);
            }
        };
        self.out.columns(&answer.columns);
        let sent = self.send(&mut answer, u64::MAX).await.map(drop);
        Self::count(answer.kind, sent.as_ref().copied());
        sent?;
        let tag = if answer.kind == "other" { "SHOW".to_owned() } else { answer.tag() };
        self.out.complete(&tag);
        Ok(())
    }
}

/// Several statements in one text are what clients say about their session, and at most one query: a second one could not be taken back
/// with the first. They are counted before anything is made of them: a long text has a hundred thousand.
fn kinds(all: &[&str]) -> Result<Vec<Kind>, Problem> {
    if all.len() > MOST {
        return Err(Problem::new("54000", format!("A text has at most {MOST} statements.")));
    }
    let kinds: Vec<Kind> = all.iter().map(|statement| kind(statement)).collect();
    if kinds.iter().filter(|kind| **kind == Kind::Query).count() > 1 {
        return Err(Problem::new("0A000", "Only one query may be run at a time."));
    }
    Ok(kinds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_statement_is_not_smuggled_in() {
        let judged = |text: &str| kinds(&statements(text)).map(drop).map_err(|problem| problem.state);
        assert_eq!(judged("begin; set search_path to x; select 1; commit"), Ok(()));
        assert_eq!(judged("select 1; drop table emp"), Err("0A000"));
        assert_eq!(judged("select 1; /* ; */ select 2"), Err("0A000"));
        assert_eq!(judged(&"begin;".repeat(51)), Err("54000"));
        assert_eq!(judged(&"set a=b;".repeat(100_000)), Err("54000"));
    }
}
