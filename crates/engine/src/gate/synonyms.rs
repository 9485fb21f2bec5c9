//! Functions of other databases that there are not under that name, and what is written instead.

/// Names in small letters, and the same here: of a date `d`, a text `s`, a number `n`, a condition `c` and any value `x`.
const INSTEAD: &[(&[&str], &str)] = &[
    // Parts of dates and times.
    (&["year"], "extract(year from d)"),
    (&["quarter"], "extract(quarter from d)"),
    (&["month"], "extract(month from d)"),
    (&["week", "weekofyear"], "extract(week from d)"),
    (&["day", "dayofmonth"], "extract(day from d)"),
    (&["dayofweek", "day_of_week", "weekday"], "extract(dow from d)"),
    (&["dayofyear", "day_of_year"], "extract(doy from d)"),
    (&["hour"], "extract(hour from d)"),
    (&["minute"], "extract(minute from d)"),
    (&["second"], "extract(second from d)"),
    (&["unix_timestamp"], "to_unixtime(d)"),
    // What is computed with them.
    (&["age", "datediff", "date_diff", "timediff", "timestampdiff"], "later - earlier"),
    (
        &["add_days", "adddate", "date_add", "dateadd", "timestamp_add", "timestampadd"],
        "d + interval '1 day'",
    ),
    (&["date_sub", "datesub", "subdate", "timestamp_sub"], "d - interval '1 day'"),
    (&["add_months"], "d + interval '1 month'"),
    (&["eomonth", "last_day"], "date_trunc('month', d) + interval '1 month' - interval '1 day'"),
    (&["datefromparts"], "make_date(2026, 12, 31)"),
    (&["clock_timestamp", "getdate", "getutcdate", "localtimestamp", "sysdate", "sysdatetime"], "now()"),
    (&["curdate"], "current_date"),
    (&["curtime"], "current_time"),
    (&["format_date", "format_datetime", "strftime", "time_format"], "to_char(d, '%Y-%m-%d')"),
    (&["parse_date", "str_to_date", "strptime"], "to_date(s, '%Y-%m-%d')"),
    (&["parse_datetime", "parse_timestamp", "to_datetime"], "to_timestamp(s)"),
    (&["todate"], "cast(s as date)"),
    // Values that may be missing, and conditions.
    (&["isnull", "zeroifnull"], "coalesce(x, 0)"),
    (&["nullifzero"], "nullif(n, 0)"),
    (&["if", "iff", "iif"], "case when c then 1 else 0 end"),
    // Text.
    (&["group_concat", "listagg", "string_concat", "wm_concat"], "string_agg(s, ', ')"),
    (&["len", "strlen"], "length(s)"),
    (&["datalength", "lengthb"], "octet_length(s)"),
    (&["charindex", "indexof", "locate"], "strpos(s, 'part')"),
    (&["mid", "substrb"], "substr(s, 1, 3)"),
    (&["ucase", "toupper"], "upper(s)"),
    (&["lcase", "tolower"], "lower(s)"),
    (&["char"], "chr(65)"),
    (&["space"], "repeat(' ', 3)"),
    (&["replicate"], "repeat(s, 3)"),
    (&["regexp_extract", "regexp_matches", "regexp_substr"], "regexp_match(s, 'pattern')"),
    (&["rlike", "regexp_contains"], "regexp_like(s, 'pattern')"),
    (&["split", "string_split", "strsplit"], "string_to_array(s, ',')"),
    (&["to_varchar", "tostring", "to_string"], "cast(x as text)"),
    (&["to_number", "to_decimal", "tonumber", "val"], "cast(s as double)"),
    (&["gen_random_uuid", "generate_uuid", "newid", "uuid_generate_v4"], "uuid()"),
    // Numbers.
    (&["ceiling"], "ceil(n)"),
    (&["truncate"], "trunc(n)"),
    (&["sign"], "signum(n)"),
    (&["mod"], "n % 2"),
    (&["square"], "power(n, 2)"),
    (&["average"], "avg(n)"),
    (&["stdev", "std_dev"], "stddev(n)"),
    (&["std", "stdevp"], "stddev_pop(n)"),
    (&["variance"], "var(n)"),
    (&["varp"], "var_pop(n)"),
    (&["approx_count_distinct", "ndv", "uniq"], "approx_distinct(x)"),
    (&["count_if", "countif"], "sum(case when c then 1 else 0 end)"),
    (&["every"], "bool_and(c)"),
    (&["collect_list", "collect_set", "array_aggregate"], "array_agg(x)"),
];

/// What is written instead of a function that there is not, by its name in small letters.
pub(super) fn instead(name: &str) -> Option<&'static str> {
    INSTEAD.iter().find(|(names, _)| names.contains(&name)).map(|(_, form)| *form)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::functions::Functions;
    use crate::gate::parse;
    use crate::options::SizeLimits;

    #[test]
    fn what_is_written_instead_is_allowed() {
        let functions = Functions::new();
        for (names, form) in INSTEAD {
            let parsed = parse(&format!("select {form}"), &SizeLimits::default(), &functions);
            assert!(parsed.is_ok(), "{names:?}: {form}: {:?}", parsed.err());
        }
    }

    #[test]
    fn no_function_that_there_is_has_another_instead() {
        let functions = Functions::new();
        let mut seen = HashSet::new();
        for name in INSTEAD.iter().flat_map(|(names, _)| names.iter()) {
            assert!(!functions.has(name), "{name} is a function here");
            assert!(seen.insert(*name) && *name == name.to_lowercase(), "{name}");
            assert!(instead(name).is_some(), "{name}");
        }
        assert_eq!(instead("upper"), None);
    }
}
