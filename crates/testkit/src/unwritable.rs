//! Databases that can be read only.

use crate::{Engine, TestApp};

/// Has every table answer as in a read-only transaction.
const REFUSE_WRITES: &str = "
    create function refuse_write() returns trigger language plpgsql as $$
    begin raise exception 'cannot execute % in a read-only transaction', tg_op using errcode = '25006'; end $$;
    do $$ declare name text; begin
        for name in select tablename from pg_tables where schemaname = current_schema() loop
            execute format('create trigger read_only before insert or update or delete on %I
                for each statement execute function refuse_write()', name);
        end loop;
    end $$";

impl TestApp {
    /// Makes the database one that can be read only: as on a full disk, or after a fail-over to a replica. On PostgreSQL, until
    /// its function `refuse_write` is dropped.
    ///
    /// # Panics
    /// When the database refuses it.
    pub async fn refuse_writes(&self) {
        match self.database.engine() {
            Engine::Sqlite => self.pragma("pragma query_only = on").await.expect("a setting of SQLite"),
            Engine::Postgres => {
                self.sql(REFUSE_WRITES).await;
            }
        }
    }

    /// Has the database itself refuse to write: SQLite because it may grow no larger, with the code of a full disk; PostgreSQL because
    /// it is read-only. The latter for an application that is [alone](Builder::alone).
    ///
    /// # Panics
    /// When the database refuses it.
    pub async fn run_out_of_room(&self) {
        match self.database.engine() {
            Engine::Sqlite => {
                self.sql("create table ballast (filling blob)").await;
                let tables = "select name from sqlite_schema where type = 'table' and name not like 'sqlite%' and name <> 'ballast'";
                for table in self.database.sql_texts(tables).await {
                    for change in ["insert", "update", "delete"] {
                        // What is there may have room for a row more; it has none for this.
                        self.sql(&format!(
                            "create trigger {table}_{change}_ballast before {change} on {table}
                             begin insert into ballast values (zeroblob(1000000)); end"
                        ))
                        .await;
                    }
                }
                self.pragma("pragma max_page_count = 1").await.expect("a setting of SQLite");
            }
            Engine::Postgres => self.database.only_reads(true).await,
        }
    }

    /// Ends what [`run_out_of_room`](TestApp::run_out_of_room) began.
    ///
    /// # Panics
    /// When the database refuses it.
    pub async fn find_room(&self) {
        match self.database.engine() {
            Engine::Sqlite => {
                self.pragma("pragma max_page_count = 4294967294").await.expect("a setting of SQLite");
                let triggers = "select name from sqlite_schema where type = 'trigger' and name like '%\\_ballast' escape '\\'";
                for trigger in self.database.sql_texts(triggers).await {
                    self.sql(&format!("drop trigger {trigger}")).await;
                }
                self.sql("drop table ballast").await;
            }
            Engine::Postgres => self.database.only_reads(false).await,
        }
    }

    /// Sets up the connection that writes.
    async fn pragma(&self, pragma: &'static str) -> tidegate_database::Result<()> {
        let mut unit = self.store().begin().await?;
        tidegate_database::execute!(unit, pragma)?;
        unit.commit().await
    }
}
