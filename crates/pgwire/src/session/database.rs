//! What the database of a connection means: one data source, or all that a person sees in a workspace. See ADR 20.

use tidegate_prompts::executions::execution::MAX_SOURCES;
use tidegate_prompts::executions::stream::Queryable;
use tidegate_prompts::ports::SourceName;

use crate::protocol::problem::Problem;

/// What may be queried on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Database {
    /// As the client named it.
    pub(crate) name: String,
    /// Numbers of data sources.
    pub(crate) sources: Vec<i64>,
    /// The workspace in which queries run.
    pub(crate) workspace: Option<i64>,
    /// Whether it is a single data source, whose schemas are schemas; else data sources are.
    pub(crate) is_source: bool,
    /// Data sources without tables, and why: clients show nothing where these would be.
    pub(crate) notices: Vec<String>,
}

/// Data sources of which a connection is told at most.
const MOST_NOTICES: usize = 3;

/// What is to be said of a data source that shows no tables, or no rows.
fn notice(source: &SourceName) -> Option<String> {
    let (slug, number) = (&source.slug, source.number);
    match (source.is_discovered, source.status.as_str()) {
        (true, "failed" | "inactive") => {
            Some(format!("The data source \"{slug}\" did not answer when it was tested last."))
        }
        (true, _) => None,
        (false, "failed" | "inactive") => Some(format!(
            "The data source \"{slug}\" has never been discovered, because it does not answer: it has no tables. POST /api/v1/data-sources/{number}/test says why."
        )),
        (false, _) => {
            Some(format!("The data source \"{slug}\" is not discovered yet: it has no tables until it is."))
        }
    }
}

/// The same for what is not there and what the person does not see. Names that are like it are of data sources that they see.
fn unknown(name: &str, queryable: &Queryable) -> Problem {
    const RULE: &str = "A database is a data source by its name in SQL (\"slug\" of GET /api/v1/data-sources), the number of a workspace, or NUMBER/NAME for a data source in a workspace.";
    let name: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
    let problem = Problem::fatal("3D000", format!("There is no database \"{name}\"."));
    match nearest(&name, queryable) {
        Some(near) => problem.hint(format!("Nearest: {near}. {RULE}")),
        None => problem.hint(RULE),
    }
}

/// The name in SQL that is most like one, also where somebody gave the name for people.
fn nearest<'q>(name: &str, queryable: &'q Queryable) -> Option<&'q str> {
    let name = name.to_lowercase();
    let like = |other: &str| strsim::jaro_winkler(&name, &other.to_lowercase());
    let likeness = |source: &SourceName| like(&source.slug).max(like(&source.name));
    let all = queryable.sources.iter().map(|source| (likeness(source), source.slug.as_str()));
    all.filter(|(likeness, _)| *likeness >= 0.7).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, slug)| slug)
}

impl Database {
    /// Finds it. `user` is what the client signed in as: drivers that are told no database ask for one of that name.
    pub(crate) fn find(name: &str, user: &str, queryable: &Queryable) -> Result<Self, Problem> {
        if name.is_empty() || name.eq_ignore_ascii_case(user) {
            let Some(workspace) = queryable.workspace else { return Err(unknown(name, queryable)) };
            return Self::of_workspace(name, workspace, queryable);
        }
        if let Some((workspace, slug)) = name.split_once('/') {
            let workspace: i64 = workspace.parse().map_err(|_| unknown(name, queryable))?;
            let is_meant = |source: &&SourceName| source.workspace == workspace && is_called(source, slug);
            let source = queryable.sources.iter().find(is_meant).ok_or_else(|| unknown(name, queryable))?;
            return Ok(Self::of_source(name, source));
        }
        let called: Vec<&SourceName> =
            queryable.sources.iter().filter(|source| is_called(source, name)).collect();
        match called.as_slice() {
            [source] => Ok(Self::of_source(name, source)),
            // In several workspaces: the one the person lands in, or none.
            [_, _, ..] => {
                let landing = called.iter().find(|source| Some(source.workspace) == queryable.workspace);
                landing.map(|source| Self::of_source(name, source)).ok_or_else(|| unknown(name, queryable))
            }
            [] => match name.parse::<i64>() {
                Ok(workspace) if is_seen(workspace, queryable) => {
                    Self::of_workspace(name, workspace, queryable)
                }
                _ => Err(unknown(name, queryable)),
            },
        }
    }

    fn of_source(name: &str, source: &SourceName) -> Self {
        Self {
            name: name.to_owned(),
            sources: vec![source.number],
            workspace: Some(source.workspace),
            is_source: true,
            notices: notice(source).into_iter().collect(),
        }
    }

    fn of_workspace(name: &str, workspace: i64, queryable: &Queryable) -> Result<Self, Problem> {
        let of_it = || queryable.sources.iter().filter(|source| source.workspace == workspace);
        let sources: Vec<i64> = of_it().map(|source| source.number).collect();
        let notices = of_it().filter_map(notice).take(MOST_NOTICES).collect();
        if sources.len() > MAX_SOURCES {
            let text = format!("The workspace has more than {MAX_SOURCES} data sources.");
            return Err(Problem::fatal("54000", text).hint("Name one of them as the database."));
        }
        Ok(Self { name: name.to_owned(), sources, workspace: Some(workspace), is_source: false, notices })
    }
}

fn is_called(source: &SourceName, name: &str) -> bool {
    source.slug.eq_ignore_ascii_case(name)
}

fn is_seen(workspace: i64, queryable: &Queryable) -> bool {
    queryable.workspace == Some(workspace)
        || queryable.sources.iter().any(|source| source.workspace == workspace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(number: i64, workspace: i64, slug: &str) -> SourceName {
        SourceName {
            number,
            workspace,
            slug: slug.to_owned(),
            name: slug.to_owned(),
            kind: "csv".to_owned(),
            status: "active".to_owned(),
            is_discovered: number != 2,
        }
    }

    #[test]
    fn a_database_is_a_source_or_a_workspace() {
        let sources =
            vec![source(1, 7, "shop"), source(2, 7, "crm"), source(3, 8, "shop"), source(4, 9, "hr")];
        let queryable = Queryable { sources, workspace: Some(7) };
        let find = |name: &str| {
            let found = Database::find(name, "ada@example.com", &queryable);
            found
                .map(|found| (found.sources, found.workspace, found.is_source))
                .map_err(|problem| problem.state)
        };
        assert_eq!(find("crm"), Ok((vec![2], Some(7), true)));
        assert_eq!(find("CRM"), Ok((vec![2], Some(7), true)));
        assert_eq!(find("shop"), Ok((vec![1], Some(7), true)), "the one where the person lands");
        assert_eq!(find("8/shop"), Ok((vec![3], Some(8), true)));
        assert_eq!(find("8/crm"), Err("3D000"));
        assert_eq!(find("7"), Ok((vec![1, 2], Some(7), false)));
        for own in ["", "ada@example.com", "Ada@Example.com"] {
            assert_eq!(find(own), Ok((vec![1, 2], Some(7), false)), "{own}");
        }
        assert_eq!(find("10"), Err("3D000"));
        assert_eq!(find("payroll"), Err("3D000"));
        let hint = |name: &str| Database::find(name, "", &queryable).unwrap_err().hint.unwrap_or_default();
        assert!(hint("shopp").starts_with("Nearest: shop. "), "{}", hint("shopp"));
        assert!(hint("payroll").starts_with("A database is"), "{}", hint("payroll"));
        let told = |name: &str| Database::find(name, "", &queryable).unwrap().notices.join("\n");
        assert_eq!(told("shop"), "");
        assert!(told("crm").contains("\"crm\" is not discovered yet"), "{}", told("crm"));
        assert!(told("7").contains("\"crm\" is not discovered yet"), "{}", told("7"));
        let silent = SourceName { status: "failed".to_owned(), ..source(2, 7, "crm") };
        let silent = Queryable { sources: vec![silent], workspace: Some(7) };
        let told = Database::find("crm", "", &silent).unwrap().notices.join("\n");
        assert!(told.contains("does not answer") && told.contains("/api/v1/data-sources/2/test"), "{told}");
        let many = (0..21).map(|number| source(number, 7, &format!("s{number}"))).collect();
        let many = Queryable { sources: many, workspace: Some(7) };
        assert_eq!(Database::find("7", "", &many).unwrap_err().state, "54000");
        assert!(Database::find("s3", "", &many).is_ok());
    }
}
