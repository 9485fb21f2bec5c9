//! Questions about catalogs, of the kinds that clients ask.

use proptest::prelude::*;
use serde_json::json;
use tidegate_prompts::ports::{Relation, RelationColumn};

use super::*;

fn column(name: &str, type_name: &str) -> RelationColumn {
    RelationColumn {
        name: name.to_owned(),
        type_name: type_name.to_owned(),
        nullable: name != "id",
        is_typed: true,
        comment: None,
        primary_key: name == "id",
        references: None,
    }
}

fn relation(source: &str, schema: &str, table: &str, columns: Vec<RelationColumn>) -> Relation {
    let comment = (table == "emp").then(|| "People".to_owned());
    Relation {
        source: source.to_owned(),
        schema: schema.to_owned(),
        table: table.to_owned(),
        comment,
        columns,
    }
}

fn context(is_source: bool) -> Context {
    let references = |schema: &str, table: &str| Some((schema.to_owned(), table.to_owned(), "id".to_owned()));
    let dept = RelationColumn { references: references("public", "dept"), ..column("dept", "integer") };
    // Of a table that the person does not see.
    let grade = RelationColumn { references: references("public", "payroll"), ..column("grade", "integer") };
    let emp = vec![
        column("id", "bigint"),
        column("region", "text"),
        dept,
        column("salary", "numeric(10,2)"),
        grade,
    ];
    let relations = vec![
        relation("hr", "public", "dept", vec![column("id", "integer"), column("name", "text")]),
        relation("hr", "public", "emp", emp),
        relation("hr", "archive", "emp", vec![column("id", "bigint")]),
        relation("crm", "main", "people", vec![column("id", "bigint")]),
    ];
    let relations =
        if is_source { relations.into_iter().filter(|one| one.source == "hr").collect() } else { relations };
    Context {
        relations: Arc::new(relations),
        user: "ada@example.com".to_owned(),
        database: "hr".to_owned(),
        is_source,
        settings: [("server_version", "15"), ("default_table_access_method", "heap")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
    }
}

fn asked(sql: &str, is_source: bool) -> Result<Vec<Vec<String>>, &'static str> {
    let (text, context) = (sql.to_owned(), context(is_source));
    // With the stack that such statements have.
    let thread = std::thread::Builder::new().stack_size(STACK);
    let thread = thread.spawn(move || {
        assert_ne!(verdict(&text), Verdict::NotOurs, "{text}");
        work_out(&text, &[json!("emp")], context, Arc::default())
    });
    let thread = thread.unwrap();
    let listed = thread.join().unwrap().map_err(|problem| problem.state)?;
    for row in 0..listed.rows.len() {
        let mut out = BytesMut::new();
        listed.write(row, &listed.columns(), &mut out).unwrap();
    }
    let text = |value: &Datum| value.text().unwrap_or_else(|| "null".to_owned());
    Ok(listed.rows.iter().map(|row| row.iter().map(text).collect()).collect())
}

fn rows(sql: &str) -> Vec<String> {
    asked(sql, true)
        .unwrap_or_else(|state| panic!("{state}: {sql}"))
        .into_iter()
        .map(|row| row.join("|"))
        .collect()
}

#[test]
fn relations_are_listed_as_psql_asks_for_them() {
    let sql = "select n.nspname as \"Schema\", c.relname as \"Name\", \
        case c.relkind when 'r' then 'table' when 'v' then 'view' end as \"Type\", pg_catalog.pg_get_userbyid(c.relowner) \
        from pg_catalog.pg_class c left join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
        where c.relkind in ('r','p','') and n.nspname <> 'pg_catalog' and n.nspname !~ '^pg_toast' \
        and pg_catalog.pg_table_is_visible(c.oid) order by 1,2";
    assert_eq!(rows(sql), ["public|dept|table|tidegate", "public|emp|table|tidegate"]);
}

#[test]
fn a_relation_is_found_by_a_pattern_and_its_columns_by_its_number() {
    let sql = "select c.oid, n.nspname, c.relname from pg_catalog.pg_class c \
        left join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
        where c.relname operator(pg_catalog.~) '^(emp)$' collate pg_catalog.default \
        and pg_catalog.pg_table_is_visible(c.oid) order by 2, 3";
    let found = asked(sql, true).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    let oid = &found[0][0];
    let sql = format!(
        "select a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), \
         (select pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) from pg_catalog.pg_attrdef d \
          where d.adrelid = a.attrelid and d.adnum = a.attnum and a.atthasdef), a.attnotnull \
         from pg_catalog.pg_attribute a where a.attrelid = '{oid}' and a.attnum > 0 and not a.attisdropped order by a.attnum"
    );
    assert_eq!(
        rows(&sql),
        [
            "id|bigint|null|t",
            "region|text|null|f",
            "dept|integer|null|f",
            "salary|numeric(10,2)|null|f",
            "grade|integer|null|f"
        ]
    );
    let sql = format!(
        "select c2.relname, i.indisprimary, pg_catalog.pg_get_constraintdef(con.oid, true) \
         from pg_catalog.pg_class c, pg_catalog.pg_class c2, pg_catalog.pg_index i \
         left join pg_catalog.pg_constraint con on (conrelid = i.indrelid and conindid = i.indexrelid and contype in ('p','u')) \
         where c.oid = '{oid}' and c.oid = i.indrelid and i.indexrelid = c2.oid"
    );
    assert_eq!(rows(&sql), ["emp_pkey|t|PRIMARY KEY (id)"]);
}

#[test]
fn keys_are_told_where_both_ends_are_seen() {
    let sql = "select conname, pg_catalog.pg_get_constraintdef(oid, true), conrelid::pg_catalog.regclass \
        from pg_catalog.pg_constraint where contype = 'f' order by conname";
    assert_eq!(rows(sql), ["emp_dept_fkey|FOREIGN KEY (dept) REFERENCES dept(id)|emp"]);
    let everything = "select * from pg_catalog.pg_constraint, pg_catalog.pg_class";
    assert!(!rows(everything).concat().contains("payroll"));
    let numbers = "select count(*) from pg_catalog.pg_class where reltuples > 0";
    assert_eq!(rows(numbers), ["0"]);
}

#[test]
fn columns_of_keys_are_unnested_as_sqlalchemy_asks_for_them() {
    let sql = "select attr.conrelid, array_agg(cast(attr.attname as text) order by attr.ord) as cols, attr.conname \
        from (select con.conrelid as conrelid, con.conname as conname, con.ord as ord, pg_catalog.pg_attribute.attname as attname \
         from pg_catalog.pg_attribute join \
          (select pg_catalog.pg_constraint.conrelid as conrelid, pg_catalog.pg_constraint.conname as conname, \
            unnest(pg_catalog.pg_index.indkey) as attnum, generate_subscripts(pg_catalog.pg_index.indkey, 1) as ord \
           from pg_catalog.pg_constraint join pg_catalog.pg_index \
            on pg_catalog.pg_constraint.conindid = pg_catalog.pg_index.indexrelid \
           where pg_catalog.pg_constraint.contype = 'p') as con \
         on pg_catalog.pg_attribute.attnum = con.attnum and pg_catalog.pg_attribute.attrelid = con.conrelid) as attr \
        group by attr.conrelid, attr.conname order by attr.conrelid";
    let found = rows(sql);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[1].ends_with("|{id}|emp_pkey"), "{found:?}");
}

#[test]
fn parameters_lists_and_comments() {
    let sql = "select pg_class.relname from pg_catalog.pg_class join pg_catalog.pg_namespace \
        on pg_namespace.oid = pg_class.relnamespace where pg_class.relkind = any (array['r'::varchar, 'p']) \
        and pg_class.relname in ($1) and pg_namespace.nspname = 'public'";
    assert_eq!(rows(sql), ["emp"]);
    let sql = "select pg_class.relname, pg_description.description from pg_class left join pg_description \
        on pg_class.oid = pg_description.objoid and pg_description.objsubid = 0 \
        and pg_description.classoid = cast('pg_catalog.pg_class' as regclass) where relkind = 'r' and relname = 'emp' \
        and pg_table_is_visible(pg_class.oid)";
    assert_eq!(rows(sql), ["emp|People"]);
    let sql =
        "select nspname from pg_namespace where nspname not like 'pg/_' || '%' escape '/' order by nspname";
    assert_eq!(rows(sql), ["archive", "information_schema", "public"]);
    let sql = "select table_schema, table_name from information_schema.tables where table_schema = 'archive'";
    assert_eq!(rows(sql), ["archive|emp"]);
}

#[test]
fn tables_have_no_options_as_sqlalchemy_asks_for_them() {
    let sql = "select pg_catalog.pg_class.relname, pg_catalog.pg_class.reloptions, null as relhasoids, \
        case when (pg_catalog.pg_am.amname is not null \
          and pg_catalog.pg_am.amname != current_setting('default_table_access_method'::varchar)) \
         then pg_catalog.pg_am.amname else null end as access_method_name, \
        pg_catalog.pg_tablespace.spcname as tablespace_name, inherits.parent_table_names \
        from pg_catalog.pg_class left outer join pg_catalog.pg_am on pg_catalog.pg_class.relam = pg_catalog.pg_am.oid \
        left outer join (select pg_catalog.pg_inherits.inhrelid as inhrelid, \
          array_agg(pg_catalog.pg_class.relname order by pg_catalog.pg_inherits.inhseqno) as parent_table_names \
         from pg_catalog.pg_inherits join pg_catalog.pg_class \
          on pg_catalog.pg_inherits.inhparent = pg_catalog.pg_class.oid group by pg_catalog.pg_inherits.inhrelid) as inherits \
         on pg_catalog.pg_class.oid = inherits.inhrelid \
        left outer join pg_catalog.pg_tablespace on pg_catalog.pg_tablespace.oid = pg_catalog.pg_class.reltablespace \
        where pg_catalog.pg_class.relkind = any (array['r'::varchar, 'p'::varchar]) \
         and pg_catalog.pg_table_is_visible(pg_catalog.pg_class.oid) and pg_catalog.pg_class.relname in ($1)";
    assert_eq!(rows(sql), ["emp|null|null|null|null|null"]);
    assert_eq!(asked("select current_setting('no_such')", true), Err("42704"));
    assert_eq!(rows("select current_setting('no_such', true)"), ["null"]);
}

#[test]
fn the_session_is_known() {
    assert_eq!(rows("select current_schema()"), ["public"]);
    assert_eq!(rows("select current_database(), current_user"), ["hr|ada@example.com"]);
    assert_eq!(rows("select pg_catalog.version()"), ["PostgreSQL 15.0 (Tidegate)"]);
    assert_eq!(rows("SELECT 1"), ["1"]);
    let columns = work_out("select 1", &[], context(true), Arc::default()).unwrap().columns();
    assert_eq!((columns[0].name.as_str(), columns[0].oid), ("?column?", 23));
}

#[test]
fn in_a_workspace_sources_are_schemas() {
    let sql = "select nspname, relname from pg_class join pg_namespace on pg_namespace.oid = relnamespace \
        where relkind = 'r' order by 1, 2";
    let found = asked(sql, false).unwrap();
    let found: Vec<String> = found.into_iter().map(|row| row.join(".")).collect();
    assert_eq!(found, ["crm.people", "hr.dept", "hr.emp"], "archive.emp is reached by three parts");
}

#[test]
fn data_is_not_ours_and_neither_is_a_mixture() {
    for sql in [
        "select * from emp",
        "select version from emp",
        "select * from emp, pg_class",
        "select (select max(ssn) from emp) from pg_class",
        "select * from pg_class where exists (select 1 from emp)",
        "select * from pg_class union all select ssn from emp",
        "with pg_class as (select * from emp) select * from pg_class, pg_type",
        "select pg_read_file('/etc/passwd') from emp",
        "delete from pg_class",
        "select 1; select * from pg_class",
        "select 1 + 1",
        "select generate_series(1, 1000000000000)",
    ] {
        assert_eq!(verdict(sql), Verdict::NotOurs, "{sql}");
    }
    for sql in ["select * from emp", "drop table pg_class", "copy pg_class to stdout"] {
        assert!(!may_be_ours(sql), "{sql}");
    }
}

#[test]
fn too_much_ends() {
    let cross = "select count(*) from pg_type a, pg_type b, pg_type c, pg_type d, pg_type e";
    assert_eq!(asked(cross, true), Err("54000"));
    let series = "select * from pg_class, generate_series(1, 100000000)";
    assert_eq!(asked(series, true), Err("54000"));
    let long = format!("select {}1 from pg_class", "1 + ".repeat(20_000));
    assert_eq!(verdict(&long), Verdict::NotOurs);
    let deep = format!("select {}1 from pg_class", "1 + ".repeat(2_500));
    assert_eq!(asked(&deep, true), Err("54000"));
    assert_eq!(asked("select pg_read_file('/etc/passwd')", true), Err("0A000"));
    assert_eq!(asked("select pg_sleep(10)", true), Err("0A000"));
    assert_eq!(asked("select nothing from pg_class", true), Err("42703"));
    // Each level holds some 40 MB while the next one is worked out.
    let held = (0..8).fold("select 1".to_owned(), |inner, _| {
        format!("select 1 from pg_type a, pg_type b, pg_class c where exists ({inner})")
    });
    assert_eq!(asked(&held, true), Err("54000"), "what is held at the same time is counted together");
    let doubled = (0..14).fold("select relname as c from pg_class".to_owned(), |inner, _| {
        format!("select concat(c, c, c, c) as c from ({inner}) x")
    });
    assert_eq!(asked(&doubled, true), Err("54000"), "texts out of texts");
    assert_eq!(asked("select array[array['x']] from pg_class", true), Err("0A000"));
    let stars = format!("select {}1 from pg_class", "*, ".repeat(100));
    assert_eq!(asked(&stars, true), Err("54000"));
    assert_eq!(asked("select relname ~ '(((((a{99}){99}){99}){99}){99})' from pg_class", true), Err("22000"));
}

#[test]
fn patterns_and_what_they_search_are_short() {
    let text = |count: usize| format!("concat({})", vec!["filler.c"; count].join(", "));
    let from = format!("from pg_class, (select '{}' as c) filler", "x".repeat(1_000));
    let told = |condition: &str| asked(&format!("select relname {from} where {condition}"), true).err();
    // Each character of a pattern would take a hundred bytes before it is found to be too much.
    assert_eq!(told(&format!("relname ~ {}", text(50))), Some("54000"));
    assert_eq!(told(&format!("relname like {}", text(50))), Some("54000"));
    assert_eq!(told(&format!("relname ilike {}", text(5))), Some("54000"));
    assert_eq!(told(&format!("{} ~ '(x|y)*z'", text(50))), Some("54000"));
    assert_eq!(told(&format!("{} like '%z'", text(50))), Some("54000"));
    assert_eq!(told(&format!("{} ~ 'z'", text(16))), None);
    assert_eq!(told(&format!("{} like '%z'", text(16))), None);
}

#[tokio::test]
async fn a_statement_that_nobody_waits_for_leaves_its_place() {
    let places = Arc::new(Semaphore::new(1));
    let turn = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
    let place = [turn, Arc::clone(&places).acquire_owned().await.unwrap()];
    let sql = "select count(*) from pg_type a, pg_type b where exists (select 1 from pg_type c, pg_type d \
        where c.typname = a.typname || d.typname)";
    tokio::select! {
        biased;
        _ = answer(sql.to_owned(), Vec::new(), context(true), place) => {}
        // The client is gone as soon as the work has begun.
        () = std::future::ready(()) => {}
    }
    // The place is taken as long as the thread runs, and free then.
    drop(places.acquire().await.unwrap());
    let halted = work_out("select * from pg_class", &[], context(true), Arc::new(true.into()));
    assert_eq!(halted.unwrap_err().state, "57014");
}

#[test]
fn answers_that_wait_are_counted() {
    let (own, room) = (Arc::new(Semaphore::new(4)), Arc::new(Semaphore::new(8)));
    let answered = || work_out("select * from pg_type", &[], context(true), Arc::default()).unwrap();
    assert_eq!(answered().within(&own, &room).unwrap_err().state, "53200");
    assert_eq!((own.available_permits(), room.available_permits()), (4, 8));
    let held = Listed::single("n", "1".to_owned()).within(&own, &room).unwrap();
    assert_eq!((own.available_permits(), room.available_permits()), (3, 7));
    let stars = format!("select {}1 as n from pg_class c where false", "c.*, ".repeat(40));
    let empty = work_out(&stars, &[], context(true), Arc::default()).unwrap();
    assert!(empty.rows.is_empty() && empty.weight > 1_000 * COLUMN, "columns without a row take room, too");
    // Of settings, too, which clients fill.
    let settings = || Listed::pairs(["name", "setting"], vec![("a".to_owned(), "x".repeat(3_500))]);
    assert_eq!(settings().within(&own, &room).unwrap_err().state, "53200", "the account's own part is full");
    assert!(settings().within(&Arc::new(Semaphore::new(4)), &room).is_ok());
    drop(held);
    assert_eq!((own.available_permits(), room.available_permits()), (4, 8));
}

#[test]
fn values_of_all_types_have_one_order() {
    let all = [
        Datum::Bool(true),
        Datum::Int(9),
        Datum::Int(10),
        Datum::Float(10.0),
        Datum::Float(f64::NAN),
        Datum::Text("10".to_owned()),
        Datum::Text("a".to_owned()),
        Datum::List(vec![Datum::Int(1)]),
        Datum::Null,
    ];
    for (at, one) in all.iter().enumerate() {
        for (place, other) in all.iter().enumerate() {
            assert_eq!(one.order(other), at.cmp(&place), "{one:?} {other:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn no_text_panics(text in "(select|with|pg_class|from|where|\\(|\\)|'|,|\\*|=|[a-z]{1,3}|::regclass| ){0,24}") {
        if may_be_ours(&text) && verdict(&text) != Verdict::NotOurs {
            drop(work_out(&text, &[], context(true), Arc::default()));
        }
    }
}
