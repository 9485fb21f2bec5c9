//! Lists of one expression that exclude one another.

use super::fixture::{self, Caller};
use super::{ask, engine, rows};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_null_no_list_says_anything() {
    for (condition, value) in [
        ("region in ('EU', 'US') and region not in ('US', 'EU')", "false"),
        ("region in ('EU') and region in ('US', 'ASIA')", "false"),
        ("region not in ('EU', 'US') and not (region not in ('EU', 'EU'))", "false"),
        ("region not in ('EU') or region not in ('US')", "true"),
        ("(region = 'EU' or region = 'US') and (region = 'ASIA' or region = 'NONE')", "false"),
        ("not (upper(region) in ('EU') and upper(region) not in ('EU', 'US'))", "true"),
        (
            "region in ('EU') and region in ('US') and region in ('ASIA') and region not in ('EU', 'US')",
            "false",
        ),
    ] {
        for fixture in [fixture::memory(), fixture::sqlite().await] {
            let asked = async |sql: &str| {
                let found = ask(&engine(), &fixture, Caller::Everybody, sql).await;
                rows(&found.unwrap_or_else(|error| panic!("{sql}: {error:?}")), false)
            };
            let expected = asked(&format!(
                "select id, case when region is null then cast(null as boolean) else {value} end from emp order by 1"
            ))
            .await;
            assert!(expected.iter().any(|row| row[1] == "NULL"), "{expected:?}");
            let found = asked(&format!("select id, {condition} as c from emp order by 1")).await;
            assert_eq!(found, expected, "{condition}");
            let grouped = asked(&format!("select {condition} as c from emp group by 1 order by 1")).await;
            assert_eq!(grouped, [[value], ["NULL"]], "{condition}");
            let negated = asked(&format!("select id, case when {condition} then 1 when not ({condition}) then 0 end from emp order by 1")).await;
            let numbers = asked(&format!("select id, case when region is null then null when {value} then 1 else 0 end from emp order by 1")).await;
            assert_eq!(negated, numbers, "{condition}");
            if value == "false" {
                assert!(
                    asked(&format!("select id from emp where {condition}")).await.is_empty(),
                    "{condition}"
                );
            }
        }
    }
}
