//! What a data source is called in SQL.

/// Longest slug, in characters, without the number that tells two apart.
const MAX: usize = 48;

/// The slug of a name: small ASCII letters, digits and `_`, and no digit first, so that it needs no quotes.
pub(super) fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.to_lowercase().chars() {
        let c = if c.is_ascii_alphanumeric() { c } else { '_' };
        if c != '_' || (!slug.is_empty() && !slug.ends_with('_')) {
            slug.push(c);
        }
        if slug.len() >= MAX {
            break;
        }
    }
    let slug = slug.trim_end_matches('_');
    match slug.chars().next() {
        None => "source".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("s_{slug}"),
        Some(_) => slug.to_owned(),
    }
}

/// The slug, or the first of `slug_2`, `slug_3` and so on that is not among those taken.
pub(super) fn free(slug: &str, taken: &[String]) -> String {
    let is_taken = |candidate: &str| taken.iter().any(|one| one == candidate);
    if !is_taken(slug) {
        return slug.to_owned();
    }
    // Of so many candidates one is not taken.
    let mut numbered = (2..=taken.len() + 2).map(|number| format!("{slug}_{number}"));
    numbered.find(|candidate| !is_taken(candidate)).unwrap_or_else(|| slug.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_needs_no_quotes_in_sql() {
        for (name, expected) in [
            ("Sales", "sales"),
            ("Sales (EU) 2024", "sales_eu_2024"),
            ("2024", "s_2024"),
            ("  --  ", "source"),
            ("\"; drop table x", "drop_table_x"),
            ("Umsätze", "ums_tze"),
            ("数据", "source"),
            ("🦀", "source"),
        ] {
            assert_eq!(slug(name), expected, "{name}");
        }
        assert!(slug(&"x".repeat(255)).len() <= MAX);
    }

    #[test]
    fn the_first_free_one_is_taken() {
        let taken = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(free("sales", &taken(&[])), "sales");
        assert_eq!(free("sales", &taken(&["sales"])), "sales_2");
        assert_eq!(free("sales", &taken(&["sales", "sales_2", "sales_4"])), "sales_3");
    }
}
