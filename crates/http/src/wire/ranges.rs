//! Parts of a content, and contents that a client has already (RFC 9110 sections 13 and 14).

use std::ops::Range;

use axum::http::{HeaderMap, header};

/// What of a content is to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it.
    All,
    /// These bytes.
    Part(Range<u64>),
    /// None of its bytes: 416.
    Unsatisfiable,
    /// Nothing: the client has it. 304.
    NotModified,
}

/// What a request with these headers wants of a content of that size and entity tag. What cannot be understood, and several parts at
/// once, mean all of it, as the RFC allows.
pub(crate) fn wanted(headers: &HeaderMap, size: u64, etag: &str) -> Wanted {
    let mut tags = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let has_it =
        tags.any(|list| list.split(',').map(str::trim).any(|tag| tag == "*" || is_weakly(tag, etag)));
    if has_it {
        return Wanted::NotModified;
    }
    // A part of another content than the client has the rest of is of no use.
    if let Some(condition) = headers.get(header::IF_RANGE)
        && condition.as_bytes() != etag.as_bytes()
    {
        return Wanted::All;
    }
    let mut ranges = headers.get_all(header::RANGE).iter();
    match (ranges.next().and_then(|value| value.to_str().ok()), ranges.next()) {
        (Some(range), None) => part(range, size),
        _ => Wanted::All,
    }
}

/// Whether two tags are the same content (RFC 9110 section 8.8.3.2).
fn is_weakly(tag: &str, etag: &str) -> bool {
    tag.strip_prefix("W/").unwrap_or(tag) == etag
}

fn part(range: &str, size: u64) -> Wanted {
    let Some((unit, spec)) = range.split_once('=') else { return Wanted::All };
    let Some((first, last)) =
        spec.trim().split_once('-').filter(|_| unit.trim().eq_ignore_ascii_case("bytes"))
    else {
        return Wanted::All;
    };
    let number = |text: &str| -> Option<u64> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // One too large for any content is as good as the largest.
        is_number.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Some(first), None) if last.is_empty() => first..size,
        (None, Some(count)) if first.is_empty() => size.saturating_sub(count)..size,
        _ => return Wanted::All,
    };
    if range.start < range.end { Wanted::Part(range) } else { Wanted::Unsatisfiable }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;
    use proptest::prelude::*;

    use super::*;

    const TAG: &str = "\"abc\"";

    fn asked(headers: &[(&str, &str)]) -> Wanted {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
            .collect();
        wanted(&headers, 10, TAG)
    }

    #[test]
    fn one_range_is_answered() {
        for (range, part) in [
            ("bytes=0-3", 0..4),
            ("bytes=5-", 5..10),
            ("bytes=-3", 7..10),
            ("bytes=-99", 0..10),
            ("bytes=9-99999999999999999999999", 9..10),
            ("Bytes = 0-0", 0..1),
        ] {
            assert_eq!(asked(&[("range", range)]), Wanted::Part(part), "{range}");
        }
        for range in ["bytes=10-", "bytes=10-12", "bytes=-0"] {
            assert_eq!(asked(&[("range", range)]), Wanted::Unsatisfiable, "{range}");
        }
        for range in
            ["bytes=0-1,3-4", "bytes=3-1", "bytes=-", "items=0-1", "bytes=a-b", "bytes", "bytes=+1-2"]
        {
            assert_eq!(asked(&[("range", range)]), Wanted::All, "{range}");
        }
    }

    #[test]
    fn conditions_are_looked_at_first() {
        for tag in [TAG, "W/\"abc\"", "*", "\"x\", \"abc\""] {
            assert_eq!(
                asked(&[("if-none-match", tag), ("range", "bytes=0-3")]),
                Wanted::NotModified,
                "{tag}"
            );
        }
        assert_eq!(asked(&[("if-none-match", "\"x\"")]), Wanted::All);
        assert_eq!(asked(&[("if-range", TAG), ("range", "bytes=0-3")]), Wanted::Part(0..4));
        assert_eq!(asked(&[("if-range", "\"x\""), ("range", "bytes=0-3")]), Wanted::All);
    }

    proptest! {
        #[test]
        fn any_range_is_within_the_content(range in "(bytes=)?[0-9,\\- ]{0,30}", size in 0u64..40) {
            let headers: HeaderMap = [(header::RANGE, range.parse().unwrap())].into_iter().collect();
            if let Wanted::Part(part) = wanted(&headers, size, TAG) {
                prop_assert!(part.start < part.end && part.end <= size);
            }
        }
    }
}
