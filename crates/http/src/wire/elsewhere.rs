//! Where a path is served that a proxy in front has made shorter or longer.

/// Longest path that is looked at, in bytes.
const LONGEST_PATH: usize = 200;
/// So many parts of a path have to be alike: single words are found in too many.
const FEWEST_PARTS: usize = 2;

/// What is told of an unknown path, where it lacks the beginning of one that is described at `/docs`, or has one besides. It repeats nothing of the
/// request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServedElsewhere(pub(crate) String);

impl ServedElsewhere {
    /// Of the patterns that are `described`, the one that differs from `path` by the shortest beginning.
    pub(crate) fn of(path: &str, described: &[String]) -> Option<Self> {
        let path = path.trim_end_matches('/');
        if path.len() > LONGEST_PATH {
            return None;
        }
        let asked = path.matches('/').count();
        let alike = described.iter().filter_map(|pattern| {
            let served = pattern.matches('/').count();
            let is_alike = served.min(asked) >= FEWEST_PARTS && served != asked && ends_alike(pattern, path);
            is_alike.then(|| (served.abs_diff(asked), pattern, beginning(pattern, asked)))
        });
        let told = |(_, pattern, beginning): (usize, &String, &str)| {
            let what = if beginning.is_empty() {
                "add a beginning, or not take it away".to_owned()
            } else {
                format!("take {beginning} away")
            };
            Self(format!("{pattern} is served: a proxy in front may {what}"))
        };
        alike
            .filter(|(_, _, beginning)| !beginning.contains('{'))
            .min_by_key(|(parts, _, _)| *parts)
            .map(told)
    }
}

/// Whether the shorter of both is the end of the other: parts in braces stand for any, but for the first one.
fn ends_alike(pattern: &str, path: &str) -> bool {
    let mut first_is_alike = false;
    for (served, asked) in below_root(pattern).rsplit('/').zip(below_root(path).rsplit('/')) {
        first_is_alike = served == asked;
        if !first_is_alike && !served.starts_with('{') {
            return false;
        }
    }
    first_is_alike
}

fn below_root(path: &str) -> &str {
    path.strip_prefix('/').unwrap_or(path)
}

/// What a pattern has before its last so many parts.
fn beginning(pattern: &str, parts: usize) -> &str {
    pattern.rsplitn(parts + 1, '/').nth(parts).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str) -> String {
        let described = [
            "/api/v1/auth/login",
            "/login/root",
            "/v1/login/root",
            "/oauth/token",
            "/api/v1/files/{id}",
            "/healthz",
        ];
        let told = ServedElsewhere::of(path, &described.map(str::to_owned));
        told.map(|elsewhere| elsewhere.0).unwrap_or_default()
    }

    #[test]
    fn a_path_that_lost_its_beginning_or_has_one_too_many_is_recognized() {
        let lost = "/api/v1/auth/login is served: a proxy in front may take /api away";
        assert_eq!(told("/v1/auth/login"), lost);
        assert_eq!(told("/v1/auth/login/"), lost);
        assert_eq!(
            told("/auth/login"),
            "/api/v1/auth/login is served: a proxy in front may take /api/v1 away"
        );
        assert_eq!(told("/v1/files/7"), "/api/v1/files/{id} is served: a proxy in front may take /api away");
        let added = |path: &str| {
            format!("{path} is served: a proxy in front may add a beginning, or not take it away")
        };
        assert_eq!(told("/auth/api/v1/auth/login"), added("/api/v1/auth/login"));
        assert_eq!(told("/id/oauth/token"), added("/oauth/token"));
        assert_eq!(told("/x/v1/login/root"), added("/v1/login/root"), "the nearest one");
    }

    #[test]
    fn of_any_other_path_nothing_is_told() {
        for path in [
            "/",
            "",
            "/login",
            "/token",
            "/x/healthz",
            "/7",
            "/x/7",
            "/v1/auth/logout",
            "/api/v3/auth/login",
            "/oauth/login",
            "//auth//login//",
        ] {
            assert_eq!(told(path), "", "{path}");
        }
        assert_eq!(told(&format!("/{}/oauth/token", "x".repeat(LONGEST_PATH))), "");
    }
}
