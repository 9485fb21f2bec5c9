//! What is told of a query that failed: which data source does not answer, and to the operator why, and which policy limits it.

use std::sync::{Arc, Mutex, PoisonError};

use tidegate_catalog::sources::SourceRefusal;
use tidegate_connect::{ErrorCode, Refused, SourceError};
use tidegate_domain::{Permission, Timestamp};
use tidegate_engine::{Code, OnFailure, QueryError, SOURCE_AWAY};
use tidegate_policy::Limits;
use tidegate_prompts::ports::{Purpose, QueryCode, QueryFailure};

use super::PersonRelations;
use crate::queries::failure;

/// Data sources of a query that are named where one of them does not answer.
const MOST_NAMED: usize = 3;

/// Keeps for the operator why a data source failed, once.
fn keep(all: &Mutex<Vec<String>>, why: &str) {
    let why = why.trim_end().to_owned();
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    if !all.contains(&why) {
        all.push(why);
    }
}

/// That a data source does not answer, or refuses this server, with the code that its test would have.
fn not_open(slug: &str, code: ErrorCode) -> String {
    match code {
        ErrorCode::Authentication => format!("The data source {slug} does not let this server in ({code})."),
        _ => format!("The data source {slug} does not answer ({code})."),
    }
}

/// Whether a failure says that tables are not as they were discovered.
fn is_outdated(error: &SourceError) -> bool {
    error.code == ErrorCode::Query && matches!(error.refused, Some(Refused::Permission | Refused::Changed))
}

/// What has a data source asked for its tables, whatever is known of them.
fn discovery(number: &str) -> String {
    format!("POST /api/v1/data-sources/{number}/discover-schema?refresh=true.")
}

/// Since when the tables of data sources are known, each with what it is called and its number, and what asks for them again. None of no
/// data source.
fn known_since(known: &[(&str, i64, Timestamp)], is_operators: bool) -> Option<String> {
    let number = match known {
        [] => return None,
        [(_, number, _)] => number.to_string(),
        _ => "{id}".to_owned(),
    };
    let since = known
        .iter()
        .take(MOST_NAMED)
        .map(|(slug, number, since)| format!("{slug} ({number}) as of {}", since.iso_seconds()));
    let since = since.collect::<Vec<_>>().join(", ");
    let rest = if known.len() > MOST_NAMED { " and more" } else { "" };
    let asks =
        if is_operators { format!("`tidegate source discover {number}`.") } else { discovery(&number) };
    Some(format!(
        "Tables are known of {since}{rest}; what was made or granted there since is found by {asks}"
    ))
}

/// What a person is told of a data source that failed while it was read. No names of it: they may be of what is hidden from them. `managed`
/// is its number, for those who may test and discover it.
fn told(slug: &str, managed: Option<i64>, error: &SourceError) -> String {
    match (error.code, error.refused) {
        (ErrorCode::Query, Some(Refused::Permission)) => {
            let told =
                format!("The data source {slug} refused the query: its user may not read what is asked for.");
            match managed {
                Some(number) => format!(
                    "{told} Grant select on it to that user, or have the schema discovered again: {}",
                    discovery(&number.to_string())
                ),
                None => told,
            }
        }
        (ErrorCode::Query, Some(Refused::Changed)) => {
            let told = format!(
                "The data source {slug} refused the query: a table or a column has changed there, is gone, or may not be read any more. Its schema has to be discovered again"
            );
            match managed {
                Some(number) => format!("{told}: {}", discovery(&number.to_string())),
                None => format!("{told}."),
            }
        }
        (ErrorCode::Query, Some(Refused::Statement)) => {
            format!("The data source {slug} refused the query.")
        }
        (ErrorCode::Query, Some(Refused::Type)) => format!(
            "What the data source {slug} answers cannot be read. If the type of a column was changed there, ask again."
        ),
        (ErrorCode::Query, None) => format!("What the data source {slug} answers cannot be read."),
        (code, _) => {
            let told = not_open(slug, code);
            match managed {
                Some(number) => format!("{told} POST /api/v1/data-sources/{number}/test says why."),
                None => told,
            }
        }
    }
}

impl PersonRelations {
    /// What a data source is called in this query.
    fn slug(&self, number: i64) -> &str {
        let called = self.sources.iter().find(|(_, source)| source.number == number);
        called.map_or("", |(slug, _)| slug.as_str())
    }

    /// Hears of failures of a data source while it is read. The log and the operator have its own words, but for those that may quote values.
    /// What says that tables have changed has the next discovery ask for them.
    pub(super) fn on_failure(&self, number: i64) -> OnFailure {
        let (slug, why_away) = (self.slug(number).to_owned(), Arc::clone(&self.why_away));
        let catalog = Arc::clone(&self.catalog);
        let is_managed = self.reader.authorize(Permission::ManageDataSources).is_ok();
        let managed = is_managed.then_some(number);
        Arc::new(move |error: &SourceError| {
            let (code, reason, detail) = (error.code, &error.message, error.detail_without_values());
            tracing::warn!(source = slug, number, %code, reason, detail, "a data source failed under a query");
            keep(&why_away, &format!("{slug} ({number}): {code}: {reason} {detail}"));
            if is_outdated(error) {
                catalog.note_outdated(number);
            }
            QueryError::new(Code::SourceUnavailable, told(&slug, managed, error))
        })
    }

    /// A data source of the query that does not answer: what it is called there, and the code that its test would have. The rest may
    /// name servers, and is for the operator.
    pub(super) fn away(&self, number: i64, refusal: Option<&SourceRefusal>) -> QueryError {
        let slug = self.slug(number);
        let Some(SourceRefusal::Failed { code, message, detail }) = refusal else {
            return QueryError::new(
                Code::SourceUnavailable,
                format!("The data source {slug} does not answer."),
            );
        };
        let away = not_open(slug, *code);
        // Which file is gone stands where data sources are read, too.
        let tells_file =
            *code == ErrorCode::FileNotFound && self.reader.authorize(Permission::ReadDataSources).is_ok();
        if !tells_file || !detail.is_empty() {
            keep(&self.why_away, &format!("{slug} ({number}): {code}: {message} {detail}"));
        }
        let told = match code {
            // What this server lacks comes first, and there is nothing to be mended at the source.
            ErrorCode::LocalDisk => {
                format!("{message} The data source {slug} cannot be read until then ({code}).")
            }
            _ if tells_file => format!("{away} {message}"),
            _ => away,
        };
        QueryError::new(Code::SourceUnavailable, told)
    }

    /// A failure of the query in the words of Prompt Studio. One of a reading does not know whose it is: few sources are named.
    pub(crate) fn failed(&self, error: QueryError) -> QueryFailure {
        let is_unnamed = error.code == Code::SourceUnavailable && error.message == SOURCE_AWAY;
        let names: Vec<&str> = self.sources.iter().map(|(slug, _)| slug.as_str()).collect();
        let message = match names.as_slice() {
            [one] => format!("The data source {one} does not answer."),
            [_, ..] if names.len() <= MOST_NAMED => {
                format!("One of the data sources {} does not answer.", names.join(", "))
            }
            _ => SOURCE_AWAY.to_owned(),
        };
        failure(if is_unnamed { QueryError { message, ..error } } else { error })
    }

    /// An unknown relation may be one that was not discovered yet, or that was made or granted later: whoever may discover is told since when
    /// tables are known, and the next discovery on this node asks for them where that was not a moment ago. Nobody asks for a query without a
    /// purpose, whose text is not a person's. The same is said and done whatever was asked for. An uploaded file has the tables that it had.
    pub(crate) async fn with_discoveries(
        &self,
        failed: QueryFailure,
        purpose: Option<&Purpose>,
    ) -> QueryFailure {
        if failed.code != QueryCode::UnknownRelation {
            return failed;
        }
        let mut known = Vec::new();
        for (slug, source) in &self.sources {
            let (number, is_file) = (source.number, source.connection.file_path.is_some());
            if let (Some(since), Some(_), false) = (source.schema_discovered_at, purpose, is_file) {
                self.catalog.note_unknown(number, since);
                known.push((slug.as_str(), number, since));
            }
        }
        let is_operators = matches!(purpose, Some(Purpose::Operator(_)));
        let may_discover = is_operators || self.reader.authorize(Permission::ManageDataSources).is_ok();
        let since = if may_discover { known_since(&known, is_operators) } else { None };
        let more = self.undiscovered().await.into_iter().chain(since);
        let message = more.fold(failed.message, |text, more| format!("{text} {more}"));
        QueryFailure { message, ..failed }
    }

    /// The same with what the operator may know besides, who asks in the person's place. `asked` is what the server allows a query.
    pub(crate) fn explained(&self, failed: QueryFailure, asked: &tidegate_engine::Limits) -> QueryFailure {
        let limits = self.limits();
        let more: Vec<String> = match failed.code {
            QueryCode::SourceUnavailable => {
                self.why_away.lock().unwrap_or_else(PoisonError::into_inner).clone()
            }
            QueryCode::LimitRows => {
                let policies = limits.max_rows.filter(|rows| rows.value <= asked.rows);
                vec![match policies {
                    Some(rows) => {
                        format!("For this member policy {} allows {} at most.", rows.policy.id, rows.value)
                    }
                    None => "That is data.queries.rows; no policy allows this member less.".to_owned(),
                }]
            }
            QueryCode::LimitTime => {
                let seconds = limits.max_execution_time_seconds;
                let policies = seconds.filter(|seconds| seconds.value <= asked.time.as_secs());
                let told = policies.map(|seconds| {
                    format!(
                        "For this member policy {} allows {} s at most.",
                        seconds.policy.id, seconds.value
                    )
                });
                told.into_iter().collect()
            }
            _ => Vec::new(),
        };
        let message = more.iter().fold(failed.message, |text, more| format!("{text} {more}"));
        QueryFailure { message, ..failed }
    }

    /// The limits of the policies on all that the query has opened.
    fn limits(&self) -> Limits {
        let opened = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        opened.iter().fold(Limits::default(), |all, one| all.smallest(one.resolved.limits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_when_tables_are_known_is_told_with_what_asks_again() {
        let since = Timestamp::from_micros(1_767_607_200_000_000);
        let of = |count: i64, is_operators| {
            let known: Vec<_> = (7..7 + count).map(|number| ("shop", number, since)).collect();
            known_since(&known, is_operators)
        };
        assert_eq!(of(0, false), None);
        let begins = "Tables are known of shop (7) as of 2026-01-05T10:00:00Z";
        let one = of(1, false).unwrap();
        assert!(one.starts_with(&format!("{begins}; what was made or granted there since")), "{one}");
        assert!(one.ends_with(" POST /api/v1/data-sources/7/discover-schema?refresh=true."), "{one}");
        assert!(of(1, true).unwrap().ends_with(" `tidegate source discover 7`."));
        let several = of(4, false).unwrap();
        assert!(several.contains("shop (9) as of") && several.contains(" and more;"), "{several}");
        assert!(!several.contains("shop (10)") && several.contains("/data-sources/{id}/"), "{several}");
    }

    #[test]
    fn who_asks_is_told_whether_a_source_refuses_or_is_away_and_no_names_of_it() {
        let of = |code, refused, managed| {
            let error =
                SourceError::new(code, "The column \"ssn\" is odd.").with_detail("ssn is 123-45-6789");
            told("shop", managed, &SourceError { refused, ..error })
        };
        let discovery = "discovered again: POST /api/v1/data-sources/7/discover-schema?refresh=true.";
        let test = "POST /api/v1/data-sources/7/test says why.";
        let (lets_in, answers) =
            ("does not let this server in (AUTHENTICATION_ERROR).", "does not answer (CONNECTION_ERROR).");
        for (code, refused, said, advice) in [
            (
                ErrorCode::Query,
                Some(Refused::Permission),
                "refused the query: its user may not read",
                discovery,
            ),
            (ErrorCode::Query, Some(Refused::Changed), "Its schema has to be discovered again", discovery),
            (ErrorCode::Query, Some(Refused::Statement), "The data source shop refused the query.", ""),
            (
                ErrorCode::Query,
                Some(Refused::Type),
                "What the data source shop answers cannot be read. If the type",
                "was changed there, ask again.",
            ),
            // A row that is too large is so the next time, too.
            (ErrorCode::Query, None, "What the data source shop answers", " cannot be read."),
            (ErrorCode::Connection, None, answers, test),
            // What a status means may be learned only from what is said with it.
            (ErrorCode::Authentication, Some(Refused::Statement), lets_in, test),
        ] {
            let (told, managed) = (of(code, refused, None), of(code, refused, Some(7)));
            assert!(told.contains(said) && !told.contains("POST"), "{told}");
            assert!(managed.contains(said) && managed.ends_with(advice), "{managed}");
            assert!(!managed.contains("ssn") && !told.contains("ssn"), "{managed}");
        }
    }
}
