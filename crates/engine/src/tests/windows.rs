//! Window functions that are the same once they are simplified.

use super::fixture::{self, Caller};
use super::{ask, engine, rows};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_window_functions_have_equal_values() {
    for (one, other) in [
        ("avg(coalesce(id, 7)) over ()", "avg(id) over ()"),
        ("sum(id * 1) over (partition by dept)", "sum(id) over (partition by dept)"),
        ("sum(id) over (order by id desc)", "sum(id) over (order by coalesce(id, 7) desc)"),
        ("lag(id) over (order by id)", "lag(id * 1) over (order by id)"),
    ] {
        for fixture in [fixture::memory(), fixture::sqlite().await] {
            let asked = async |columns: &str, more: &str| {
                let sql = format!("select id, {columns} from emp {more} order by 1");
                let found = ask(&engine(), &fixture, Caller::Eu, &sql).await;
                rows(&found.unwrap_or_else(|error| panic!("{sql}: {error:?}")), false)
            };
            let expected = asked(one, "").await;
            assert!(expected.len() > 2, "{expected:?}");
            for more in ["", "qualify row_number() over (order by id) > 0", "qualify max(id) over () > 0"] {
                let columns = format!("{one} as a, {other} as b, count(*) over () as n, {one} as c");
                for (found, expected) in asked(&columns, more).await.iter().zip(&expected) {
                    let value = &expected[1];
                    assert_eq!([&found[1], &found[2], &found[4]], [value; 3], "{columns} {more}");
                    assert_eq!(found[0], expected[0]);
                }
            }
        }
    }
}
