//! A PostgreSQL database that answers and cannot be served: each reason is told before it is met, with what ends it.

use tidegate_database::DatabaseUrl;
use tidegate_testkit::{Engine, TestDatabase, on_both_engines};

use crate::databases::{as_role, refused};
use crate::storage::name;
use crate::support::Installation;

const SERVE: &[&str] = &["serve", "--listen", "127.0.0.1:0"];

/// A new role that may sign in, and the address of the database for it.
async fn role(here: &Installation, suffix: &str) -> (String, String) {
    let DatabaseUrl::Postgres(whole) = here.database_url() else { panic!("not PostgreSQL") };
    let role = format!("{}_{suffix}", database_name(here).await);
    here.database().sql(&format!("create role {role} login password 'x'")).await;
    let address = as_role(&whole, &role);
    (role, address)
}

async fn database_name(here: &Installation) -> String {
    here.database().sql_texts("select current_database()::text").await.remove(0)
}

/// What the doctor says of a database that cannot be served.
fn told_by_doctor(here: &Installation, database: &str, parts: &[&str]) {
    let said = here.run(&["doctor", "--database", database]);
    assert!(said.code == 1 && said.out.contains("✗ database"), "{}", said.out);
    for part in parts {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
}

#[tokio::test]
async fn an_encoding_that_lacks_letters_is_refused_before_anything_is_in_it() {
    let here = Installation::with_database(Engine::Postgres).await;
    let own = database_name(&here).await;
    let make = format!("create database {own}_latin encoding 'LATIN1' locale 'C' template template0");
    here.database().sql(&make).await;
    let latin = name(here.database()).replacen(&format!("/{own}?"), &format!("/{own}_latin?"), 1);
    let (what, advice) = ("is LATIN1", "createdb --encoding UTF8 --template template0");
    for arguments in [SERVE, &["migrate", "--new"]] {
        let said = here.run(&[arguments, &["--json", "--database", &latin]].concat());
        refused(&said, "database_encoding", what, advice);
    }
    told_by_doctor(&here, &latin, &[what, advice]);
    let source = Installation::new();
    source.begin();
    refused(&source.run(&["copy", "--json", "--to", &latin]), "database_encoding", what, advice);
    here.database().sql(&format!("drop database {own}_latin with (force)")).await;
}

#[tokio::test]
async fn an_installation_whose_encoding_lacks_letters_goes_on() {
    let here = Installation::with_database(Engine::Postgres).await;
    here.begin();
    // As if it had been made in such a one: nothing in it has other letters.
    let own = database_name(&here).await;
    let change = "update pg_database set encoding = pg_char_to_encoding('LATIN1')";
    here.database().sql(&format!("{change} where datname = '{own}'")).await;
    let (what, advice) = ("is LATIN1", "createdb --encoding UTF8 --template template0");
    let server = here.serve(&[]);
    server.logs(what);
    server.stop();
    let said = here.run(&["doctor"]);
    assert_eq!(said.code, 0, "{}", said.out);
    for part in ["! database", "its schema is up to date", what, advice] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    for arguments in [SERVE, &["migrate"]] {
        let said = here.run(&[arguments, &["--new", "--json"]].concat());
        refused(&said, "database_encoding", what, advice);
    }
}

#[tokio::test]
async fn tables_that_the_search_path_hides_are_not_called_lost() {
    let here = Installation::with_database(Engine::Postgres).await;
    let (role, own) = role(&here, "path").await;
    here.database().sql(&format!("grant create on schema public to {role}")).await;
    here.output(&["migrate", "--new", "--database", &own]);
    here.database().sql(&format!("alter role {role} set search_path = 'nosuch'")).await;
    let (what, advice) =
        ("are in the schema public of the database", format!("`alter role {role} reset search_path`"));
    for arguments in [&["user", "list"][..], &["migrate"], SERVE] {
        let said = here.run(&[arguments, &["--json", "--database", &own]].concat());
        refused(&said, "database_hidden", what, &advice);
    }
    told_by_doctor(&here, &own, &[what, &advice, "options[search_path]=public"]);
    // The other way that it names.
    here.output(&["migrate", "--check", "--database", &format!("{own}&options[search_path]=public")]);
    // Whoever names a schema in the address means one of its own.
    here.database().sql(&format!("create schema auth authorization {role}")).await;
    let beside = Installation::new();
    beside.serve(&["--database", &format!("{own}&options[search_path]=auth")]).stop();
    // What that left in its data directory is of an installation that has to be somewhere.
    let elsewhere = format!("{own}&options[search_path]=nosuch");
    let said = beside.run(&[SERVE, &["--json", "--database", &elsewhere]].concat());
    refused(&said, "database_hidden", "are in the schema auth of the database", "options[search_path]=auth");

    here.database()
        .sql(&format!("alter role {role} reset search_path; revoke usage on schema public from public"))
        .await;
    here.database().sql("drop schema auth cascade").await;
    let grant = format!("`grant usage, create on schema public to {role}`");
    let said = here.run(&["user", "list", "--json", "--database", &own]);
    refused(&said, "database_hidden", &format!("which {role} may not use"), &grant);
    here.database().sql(grant.trim_matches('`')).await;
    here.output(&["migrate", "--check", "--database", &own]);
}

#[tokio::test]
async fn each_role_may_have_an_installation_in_its_own_schema() {
    let here = Installation::with_database(Engine::Postgres).await;
    let ((first, of_first), (second, of_second)) = (role(&here, "first").await, role(&here, "second").await);
    for role in [&first, &second] {
        here.database().sql(&format!("create schema {role} authorization {role}")).await;
        here.database().sql(&format!("alter role {role} set search_path = {role}")).await;
    }
    here.output(&["migrate", "--new", "--database", &of_first]);
    Installation::new().serve(&["--database", &of_second]).stop();
    // Who may read the other one may have meant it.
    here.database()
        .sql(&format!(
            "grant select on all tables in schema {first} to {second}; drop schema {second} cascade; create schema {second} authorization \
             {second}"
        ))
        .await;
    let said = Installation::new().run(&["user", "list", "--json", "--database", &of_second]);
    let grant = format!("`grant usage, create on schema {first} to {second}`");
    refused(&said, "database_hidden", &format!("which {second} may not use"), &grant);
}

#[tokio::test]
async fn a_role_that_may_make_no_tables_is_told_before_the_first_start() {
    let here = Installation::with_database(Engine::Postgres).await;
    let (role, own) = role(&here, "poor").await;
    let what = format!("{role} may not make tables in the schema public");
    let grant = format!("`grant usage, create on schema public to {role}`");
    told_by_doctor(&here, &own, &[&what, &grant]);
    let said = here.run(&[SERVE, &["--json", "--database", &own]].concat());
    refused(&said, "database_permission", &what, &grant);
    here.database().sql(&format!("alter role {role} set search_path = 'nosuch'")).await;
    let (what, reset) = ("has no schema for tables", format!("`alter role {role} reset search_path`"));
    told_by_doctor(&here, &own, &[what, &reset]);
    let said = here.run(&[SERVE, &["--json", "--database", &own]].concat());
    refused(&said, "database_permission", what, &reset);
    here.database().sql(&format!("{}; {}", reset.trim_matches('`'), grant.trim_matches('`'))).await;
    here.serve(&["--database", &own]).stop();
}

#[tokio::test]
async fn a_role_that_may_only_read_the_tables_is_told_by_the_doctor() {
    let here = Installation::with_database(Engine::Postgres).await;
    let (role, own) = role(&here, "reader").await;
    here.begin();
    here.database().sql(&format!("grant select on all tables in schema public to {role}")).await;
    let advice = format!("alter table NAME owner to {role}");
    told_by_doctor(&here, &own, &["tables of Tidegate (", &format!("{role} may not write them"), &advice]);
    // Enough to serve with.
    here.database().sql(&format!("grant all on all tables in schema public to {role}")).await;
    assert_eq!(here.run(&["doctor", "--database", &own]).code, 0);
    here.serve(&["--database", &own]).stop();
    // And not to migrate with.
    here.database().sql("delete from _sqlx_migrations where version = 30").await;
    told_by_doctor(&here, &own, &[&format!("{role} may not change them"), &advice]);
}

#[tokio::test]
async fn a_role_that_may_not_note_a_migration_is_told_by_the_doctor() {
    let here = Installation::with_database(Engine::Postgres).await;
    let (role, own) = role(&here, "noter").await;
    here.database().sql(&format!("grant create on schema public to {role}")).await;
    here.serve(&["--database", &own]).stop();
    here.database().sql("alter table _sqlx_migrations owner to current_user").await;
    here.database().sql(&format!("grant select on _sqlx_migrations to {role}")).await;
    // Enough to serve with.
    assert_eq!(here.run(&["doctor", "--database", &own]).code, 0);
    here.database().sql("delete from _sqlx_migrations where version = 30").await;
    let (list, denied) =
        ("tables of Tidegate (_sqlx_migrations) belong to ", format!("{role} may not write them"));
    told_by_doctor(&here, &own, &[list, &denied]);
    // And to migrate with: all other tables are its own.
    here.database().sql(&format!("grant all on _sqlx_migrations to {role}")).await;
    let said = here.run(&["doctor", "--database", &own]);
    assert!(said.code == 0 && said.out.contains("1 migration(s)"), "{}", said.out);
}

#[tokio::test]
async fn a_role_or_a_database_that_lets_nobody_in_is_told_with_what_opens_it() {
    let here = Installation::with_database(Engine::Postgres).await;
    let (role, own) = role(&here, "shut").await;
    let list = ["user", "list", "--json", "--database", &own];
    here.database().sql(&format!("alter role {role} nologin")).await;
    refused(&here.run(&list), "database_login", &role, &format!("`alter role {role} login`"));
    here.database().sql(&format!("alter role {role} login valid until '2020-01-01'")).await;
    let over = format!("`alter role {role} valid until 'infinity'`");
    refused(&here.run(&list), "database_login", "refuses the password of", &over);

    let other = TestDatabase::empty(Engine::Postgres).await;
    let shut = other.sql_texts("select current_database()::text").await.remove(0);
    here.database().sql(&format!("alter database {shut} allow_connections false")).await;
    let open = format!("`alter database {shut} allow_connections true`");
    let said = here.run(&["user", "list", "--json", "--database", &name(&other)]);
    refused(&said, "database_unavailable", &format!("lets nobody into the database {shut}"), &open);
}

/// As `pg_restore` leaves it that was not told to replace what is there: the rows stay, and the sequences go back.
const GO_BACK: &str = "select setval(pg_get_serial_sequence('accounts', 'number'), 1, false)";

#[tokio::test]
async fn sequences_behind_their_tables_are_told_before_a_key_is_given_twice() {
    let here = Installation::with_database(Engine::Postgres).await;
    here.begin();
    let accounts = here.database().sql_count("select max(number) from accounts").await;
    assert!(accounts > 0);
    // Ahead, as where rows are gone or a unit was given up, and one that was never used.
    here.database().sql("select setval(pg_get_serial_sequence('accounts', 'number'), 1000)").await;
    assert_eq!(here.database().sql_count("select count(*) from prompts").await, 0);
    assert_eq!(here.run(&["doctor"]).code, 0);
    here.serve(&[]).stop();

    here.database().sql(GO_BACK).await;
    let what = format!("the sequence of accounts goes on with 1, and accounts has rows up to {accounts}");
    let advice = "`pg_restore --clean --if-exists --no-owner --dbname=ADDRESS FILE`";
    for arguments in [SERVE, &["org", "create", "--new", "--name", "B", "--root-email", "b@begin.example"]] {
        let said = here.run(&[arguments, &["--json"]].concat());
        refused(&said, "database_sequences", &what, advice);
    }
    told_by_doctor(&here, &name(here.database()), &[&what, advice]);
    // The other way that it names, up to the last key that was given.
    let set =
        "select setval(pg_get_serial_sequence('accounts', 'number'), (select max(number) from accounts))";
    told_by_doctor(&here, &name(here.database()), &[set]);
    here.database().sql(set).await;
    assert_eq!(here.run(&["doctor"]).code, 0);
    here.serve(&[]).stop();
}

#[tokio::test]
async fn a_generated_key_that_is_taken_is_logged_with_what_mends_it() {
    let here = Installation::with_database(Engine::Postgres).await;
    here.begin();
    let server = here.serve(&[]);
    here.database().sql(GO_BACK).await;
    let said = here.run(&["user", "create", "--email", "ada@begin.example", "--json"]);
    let advice = "a dump was restored over existing tables";
    refused(&said, "internal", "\"accounts_pkey\" (code 23505)", advice);
    server.stop();
}

on_both_engines! {
    async fn a_column_that_was_dropped_is_missed_by_the_doctor(engine: Engine) {
        let here = Installation::with_database(engine).await;
        here.begin();
        assert_eq!(here.run(&["doctor"]).code, 0);
        here.database().sql("alter table accounts drop column language").await;
        let told = "the schema is up to date, but columns of it are missing: accounts.language";
        told_by_doctor(&here, &name(here.database()), &[told, "restore your backup"]);
    }
}
