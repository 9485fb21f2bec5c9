//! The attacks on relations in PostgreSQL and MariaDB, and what the servers' own logs say they were asked: the policy's filter and
//! comparisons of unmasked columns with values, behind the policy the first rows by unmasked columns, and nothing else. A server is started
//! once for all of it, for that takes seconds.

#[path = "../../../connect/tests/sources/databases.rs"]
#[expect(clippy::disallowed_methods, reason = "these tests start the servers they ask")]
mod databases;

use std::iter::Peekable;
use std::str::Chars;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable;

use super::attacks::{self, ATTACKS, STRUCTURES};
use super::fixture::{self, Caller, Employee, Fixture};
use super::further::{self, FURTHER};
use super::{Engine, Options, ask, engine, leaks, options, plain, refused, rows, text};
use crate::Code;
use crate::mutation::Protection;
use databases::{Mariadb, Postgres, here};

/// A server with the employees in it, that logs what it is asked.
enum Server {
    Postgres {
        _server: Postgres,
        admin: Box<tokio_postgres::Client>,
        /// How often the log was read.
        reads: usize,
        /// Statements that were seen.
        seen: usize,
    },
    Mariadb {
        _server: Mariadb,
        admin: mysql_async::Conn,
        seen: usize,
    },
}

/// Statements that fill the relation. `day` writes a date of so many days since 1970.
fn rows_of(relation: &str, day: impl Fn(i32) -> String) -> Vec<String> {
    let row = |employee: &Employee| {
        let Employee { id, region, dept, salary, ssn, note, hired, .. } = employee;
        let region = region.map_or_else(|| "NULL".to_owned(), |region| format!("'{region}'"));
        let hired = day(*hired);
        format!(
            "INSERT INTO {relation} VALUES ({id}, {region}, '{dept}', {salary}, '{ssn}', '{note}', {hired})"
        )
    };
    fixture::employees().iter().map(row).collect()
}

impl Server {
    async fn postgres() -> (Self, Fixture) {
        let settings = [
            "log_statement=all",
            "logging_collector=on",
            "log_directory=log",
            "log_filename=statements.log",
            "log_rotation_size=0",
            "log_line_prefix=%a|",
        ];
        let server = Postgres::start(&settings.map(str::to_owned));
        let admin = server.admin("postgres").await;
        let create = "CREATE TABLE emp (id bigint PRIMARY KEY, region text, dept text NOT NULL, salary bigint NOT NULL, \
                      ssn text NOT NULL, note text, hired date)";
        admin.batch_execute(create).await.unwrap();
        for row in rows_of("emp", |day| format!("DATE '1970-01-01' + {day}")) {
            admin.batch_execute(&row).await.unwrap();
        }
        let fixture = fixture::opened("postgresql", server.settings("postgres"), &here()).await;
        (Self::Postgres { _server: server, admin: Box::new(admin), reads: 0, seen: 0 }, fixture)
    }

    async fn mariadb() -> (Self, Fixture) {
        let server = Mariadb::start(&["--general-log=1".to_owned(), "--log-output=TABLE".to_owned()]);
        let mut admin = server.admin().await;
        for statement in [
            "SET NAMES utf8mb4",
            // Its collation ignores case, accents and blanks at the end.
            "CREATE DATABASE hr CHARACTER SET utf8mb4",
            "CREATE USER reader IDENTIFIED BY 's3cret'",
            "GRANT SELECT ON hr.* TO reader",
            "CREATE TABLE hr.emp (id bigint PRIMARY KEY, region varchar(20), dept varchar(20) NOT NULL, salary bigint NOT NULL, \
             ssn varchar(20) NOT NULL, note varchar(20), hired date)",
        ] {
            admin.query_drop(statement).await.unwrap();
        }
        for row in rows_of("hr.emp", |day| format!("DATE_ADD('1970-01-01', INTERVAL {day} DAY)")) {
            admin.query_drop(row).await.unwrap();
        }
        let fixture = fixture::opened("mariadb", server.settings("hr"), &here()).await;
        (Self::Mariadb { _server: server, admin, seen: 0 }, fixture)
    }

    /// What the server was asked of the relation since this was last called, by its own log.
    async fn statements(&mut self) -> Vec<String> {
        let (all, seen) = match self {
            Self::Postgres { admin, reads, seen, .. } => {
                *reads += 1;
                (logged_by_postgres(admin, *reads).await, seen)
            }
            Self::Mariadb { admin, seen, .. } => {
                let read = "SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log \
                            WHERE user_host LIKE 'reader%' AND argument LIKE '%FROM `hr`.`emp`%'";
                (admin.query::<String, _>(read).await.unwrap(), seen)
            }
        };
        let new = all.get(*seen..).unwrap_or_default().to_vec();
        *seen = all.len();
        new
    }

    /// Takes a column away.
    async fn rename_note(&mut self) {
        match self {
            Self::Postgres { admin, .. } => {
                admin.batch_execute("ALTER TABLE emp RENAME COLUMN note TO other").await.unwrap();
            }
            Self::Mariadb { admin, .. } => {
                admin.query_drop("ALTER TABLE hr.emp RENAME COLUMN note TO other").await.unwrap();
            }
        }
    }
}

/// All statements on the relation that the server has logged. A line that is written last says when it has all been written.
async fn logged_by_postgres(admin: &tokio_postgres::Client, reads: usize) -> Vec<String> {
    let mark = format!("SELECT 'read to here, {reads} times'");
    admin.batch_execute(&mark).await.unwrap();
    loop {
        let row = admin.query_one("SELECT pg_read_file('log/statements.log')", &[]).await.unwrap();
        let log: String = row.get(0);
        if let Some((all, _)) = log.split_once(&mark) {
            let lines = all.lines().filter(|line| line.contains("FROM \"public\".\"emp\""));
            return lines.filter_map(|line| line.find("SELECT ").map(|at| line[at..].to_owned())).collect();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Words of comparisons, as either server is sent them.
const WORDS: &[&str] = &[
    "and", "or", "not", "in", "is", "null", "between", "collate", "int8", "cast", "convert", "using",
    "utf8mb4", "as", "binary",
];

/// Words of the choice of the first rows, which is made of those for which the policy holds.
const FIRST: &[&str] = &["order", "by", "asc", "desc", "nulls", "first", "last", "limit"];

/// Something in a statement's condition that is none of: an unmasked column, a value, a comparison, AND, OR, NOT; behind the policy, the
/// first rows by unmasked columns.
fn too_much(statement: &str) -> Option<String> {
    let Some((_, condition)) = statement.split_once(" WHERE ") else {
        let words = ["ORDER BY", "LIMIT"].into_iter();
        return words.map(str::to_owned).find(|word| statement.contains(&format!(" {word} ")));
    };
    let may_choose = has_policy(statement);
    let mut rest = condition.chars().peekable();
    while let Some(sign) = rest.next() {
        match sign {
            '\'' => skip_text(&mut rest),
            '"' | '`' => {
                let name: String = rest.by_ref().take_while(|next| *next != sign).collect();
                if ["ssn", "salary", "hired"].contains(&name.as_str()) {
                    return Some(name);
                }
            }
            letter if letter.is_alphabetic() || letter == '_' => {
                let mut word = String::from(letter);
                while let Some(next) = rest.next_if(|next| next.is_alphanumeric() || *next == '_') {
                    word.push(next);
                }
                // Names are quoted. What begins so says the character set of a text.
                let known = word.to_lowercase();
                let is_known =
                    WORDS.contains(&known.as_str()) || may_choose && FIRST.contains(&known.as_str());
                if letter != '_' && !is_known {
                    return Some(word);
                }
            }
            // Of a number, and no subtraction.
            '-' if rest.peek().is_some_and(char::is_ascii_digit) => {}
            sign if sign.is_ascii_digit() || " $?(),<>=:.".contains(sign) => {}
            other => return Some(other.to_string()),
        }
    }
    None
}

/// Goes to the end of a text, whose first quote was read.
fn skip_text(rest: &mut Peekable<Chars<'_>>) {
    while let Some(sign) = rest.next() {
        match sign {
            '\\' => {
                rest.next();
            }
            '\'' if rest.next_if_eq(&'\'').is_none() => return,
            _ => {}
        }
    }
}

#[test]
fn a_statement_that_says_too_much_is_noticed() {
    for statement in [
        "SELECT \"id\", \"ssn\" FROM \"public\".\"emp\"",
        "SELECT \"id\" FROM \"public\".\"emp\" WHERE (\"region\" = $1) AND (\"id\" NOT IN ($2::int8, $3::int8))",
        "SELECT \"id\" FROM \"public\".\"emp\" WHERE (\"note\" COLLATE \"C\" > $1) AND (\"id\" > $2::int8)",
        "SELECT `id` FROM `hr`.`emp` WHERE (CAST(CONVERT(`note` USING utf8mb4) AS BINARY) = CAST('a\\'b''c / d' AS BINARY)) \
         AND (NOT (`id` BETWEEN -1 AND 5))",
        "SELECT \"id\" FROM \"public\".\"emp\" WHERE (\"region\" = $1) AND (\"id\" > $2::int8) \
         ORDER BY \"note\" COLLATE \"C\" DESC NULLS LAST, \"emp\".\"id\" ASC LIMIT 5",
        "SELECT `id` FROM `hr`.`emp` WHERE (CAST(CONVERT(`region` USING utf8mb4) AS BINARY) = CAST('EU' AS BINARY)) \
         ORDER BY (`emp`.`id` IS NULL) ASC, `emp`.`id` ASC LIMIT 5",
    ] {
        assert_eq!(too_much(statement), None, "{statement}");
    }
    for (condition, much) in [
        ("(\"ssn\" = $1)", "ssn"),
        ("(`hired` IS NULL)", "hired"),
        ("(CAST(`note` AS SIGNED) > 0)", "SIGNED"),
        ("(\"note\"::int4 > 0)", "int4"),
        ("(\"note\" LIKE $1)", "LIKE"),
        ("(1 / (\"id\" - 2) > 0)", "/"),
        ("(\"id\" - 2 > 0)", "-"),
        ("(\"id\" + 2 > 0)", "+"),
        ("(upper(\"dept\") = $1)", "upper"),
        ("(\"id\" > 2) LIMIT 5", "LIMIT"),
        ("(\"id\" > 2) ORDER BY \"emp\".\"id\" ASC LIMIT 5", "ORDER"),
        ("(\"region\" = $1) ORDER BY \"emp\".\"salary\" DESC LIMIT 5", "salary"),
        ("(\"region\" = $1) ORDER BY length(\"note\") DESC LIMIT 5", "length"),
    ] {
        let statement = format!("SELECT \"id\" FROM \"public\".\"emp\" WHERE {condition}");
        assert_eq!(too_much(&statement).as_deref(), Some(much), "{statement}");
    }
}

/// Whether the policy is the first condition.
fn has_policy(statement: &str) -> bool {
    statement.contains(" WHERE (\"region\" = $1)")
        || statement.contains(" WHERE (CAST(CONVERT(`region` USING utf8mb4) AS BINARY) = CAST(")
}

async fn attacked(mut server: Server, fixture: Fixture) {
    let engine = engine();
    for caller in Caller::UNDER_POLICY {
        let copy = plain::copy(&fixture, caller).await;
        server.statements().await;
        let mut found = attacks::of(&engine, &fixture, caller, &copy, ATTACKS, true).await;
        found.extend(attacks::of(&engine, &fixture, caller, &copy, STRUCTURES, false).await);
        found.extend(further::of(&engine, &fixture, caller, &copy, FURTHER).await);
        assert!(found.is_empty(), "{}", found.join("\n"));

        let sent = server.statements().await;
        assert!(sent.len() > ATTACKS.len(), "{caller:?}: {} statements are too few", sent.len());
        for statement in &sent {
            assert_eq!(too_much(statement), None, "{caller:?}: {statement}");
        }
        // Where the server can evaluate the policy it is a part of each statement. Conditions of the person's come beside it.
        if matches!(caller, Caller::Eu | Caller::Nobody) {
            let without = sent.iter().find(|statement| !has_policy(statement));
            assert_eq!(without, None, "{caller:?}: a statement without the policy");
        }
        let conditions = sent.iter().filter(|statement| statement.contains(" WHERE ")).count();
        assert!(conditions > 10, "{caller:?}: {conditions} conditions crossed: the test says nothing");
    }
    attacks::says_nothing_of_hidden_rows(&engine, &fixture).await;
    attacks::shows_everything_without_a_policy(&engine, &fixture).await;
    refused::has_no_hidden_column(&engine, &fixture).await;
    notices_what_crosses(&mut server, &fixture).await;
    is_asked_for_the_first_rows(&engine, &mut server, &fixture).await;
    shows_no_words_of_the_server(&engine, &mut server, &fixture).await;
}

/// Without a protection the log shows what must not cross: the test above can fail.
async fn notices_what_crosses(server: &mut Server, fixture: &Fixture) {
    for (gone, caller, sql, much) in [
        (Protection::UnmaskedOnly, Caller::Eu, "select id from emp where ssn = '101-11-7001'", "ssn"),
        // Neither server evaluates this policy.
        (Protection::LimitAboveFilter, Caller::Like, "select id from emp limit 5", "LIMIT"),
        (Protection::OrderUnmasked, Caller::Eu, "select id from emp order by salary limit 5", "salary"),
    ] {
        let mutations = Arc::new(vec![gone, Protection::Checker]);
        let engine = Engine::new(Options { mutations, ..options() });
        server.statements().await;
        let answer = ask(&engine, fixture, caller, sql).await;
        assert!(answer.is_ok(), "{gone:?}: {}", text(&answer));
        let sent = server.statements().await;
        let mut found: Vec<_> = sent.iter().filter_map(|statement| too_much(statement)).collect();
        // As it was prepared, and as it was executed.
        found.dedup();
        assert_eq!(found, [much], "{gone:?}: {sent:?}");
    }
}

/// With the policy before, or without one, the server chooses; by what is masked, the engine does.
async fn is_asked_for_the_first_rows(engine: &Engine, server: &mut Server, fixture: &Fixture) {
    let sql = "select id, dept from emp order by id desc limit 3";
    for (caller, first) in [(Caller::Eu, ["15", "13", "11"]), (Caller::Everybody, ["18", "17", "16"])] {
        server.statements().await;
        let answer = rows(&ask(engine, fixture, caller, sql).await.unwrap(), false);
        assert_eq!(answer.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), first, "{caller:?}");
        let sent = server.statements().await;
        let chosen = sent.iter().filter(|statement| statement.ends_with(" LIMIT 3"));
        assert!(chosen.count() > 0, "{caller:?}: {sent:?}");
    }
    server.statements().await;
    let masked = "select id from emp order by salary desc, id limit 3";
    let answer = rows(&ask(engine, fixture, Caller::Eu, masked).await.unwrap(), false);
    assert_eq!(answer, [["1"], ["3"], ["5"]]);
    let sent = server.statements().await;
    assert!(sent.iter().all(|statement| !statement.contains(" ORDER BY ")), "{sent:?}");
}

/// A query that fails at the server is answered with a code.
async fn shows_no_words_of_the_server(engine: &Engine, server: &mut Server, fixture: &Fixture) {
    server.rename_note().await;
    for sql in ["select note from emp", "select count(*) from emp where note = 'SECRET-2'"] {
        let answer = ask(engine, fixture, Caller::Eu, sql).await;
        assert_eq!(leaks(&text(&answer)), None);
        let error = answer.unwrap_err();
        assert_eq!(error.code, Code::SourceUnavailable, "{error:?}");
        assert!(!error.message.contains("note"), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_find_nothing_in_postgresql_and_nothing_of_them_reaches_it() {
    let (server, fixture) = Server::postgres().await;
    attacked(server, fixture).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_find_nothing_in_mariadb_and_nothing_of_them_reaches_it() {
    let (server, fixture) = Server::mariadb().await;
    attacked(server, fixture).await;
}
