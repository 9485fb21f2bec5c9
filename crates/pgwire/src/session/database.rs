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
}

/// The same for what is not there and what the person does not see.
fn unknown(name: &str) -> Problem {
    let name: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
    Problem::fatal("3D000", format!("There is no database \"{name}\".")).hint(
        "A database is a data source by its name in SQL, the number of a workspace, or NUMBER/NAME for a data source in a workspace.",
    )
}

impl Database {
    /// Finds it. `user` is what the client signed in as: drivers that are told no database ask for one of that name.
    pub(crate) fn find(name: &str, user: &str, queryable: &Queryable) -> Result<Self, Problem> {
        if name.is_empty() || name.eq_ignore_ascii_case(user) {
            let Some(workspace) = queryable.workspace else { return Err(unknown(name)) };
            return Self::of_workspace(name, workspace, queryable);
        }
        if let Some((workspace, slug)) = name.split_once('/') {
            let workspace: i64 = workspace.parse().map_err(|_| unknown(name))?;
            let is_meant = |source: &&SourceName| source.workspace == workspace && is_called(source, slug);
            let source = queryable.sources.iter().find(is_meant).ok_or_else(|| unknown(name))?;
            return Ok(Self::of_source(name, source));
        }
        let called: Vec<&SourceName> =
            queryable.sources.iter().filter(|source| is_called(source, name)).collect();
        match called.as_slice() {
            [source] => Ok(Self::of_source(name, source)),
            // In several workspaces: the one the person lands in, or none.
            [_, _, ..] => {
                let landing = called.iter().find(|source| Some(source.workspace) == queryable.workspace);
                landing.map(|source| Self::of_source(name, source)).ok_or_else(|| unknown(name))
            }
            [] => match name.parse::<i64>() {
                Ok(workspace) if is_seen(workspace, queryable) => {
                    Self::of_workspace(name, workspace, queryable)
                }
                _ => Err(unknown(name)),
            },
        }
    }

    fn of_source(name: &str, source: &SourceName) -> Self {
        Self {
            name: name.to_owned(),
            sources: vec![source.number],
            workspace: Some(source.workspace),
            is_source: true,
        }
    }

    fn of_workspace(name: &str, workspace: i64, queryable: &Queryable) -> Result<Self, Problem> {
        let sources = queryable.sources.iter().filter(|source| source.workspace == workspace);
        let sources: Vec<i64> = sources.map(|source| source.number).collect();
        if sources.len() > MAX_SOURCES {
            let text = format!("The workspace has more than {MAX_SOURCES} data sources.");
            return Err(Problem::fatal("54000", text).hint("Name one of them as the database."));
        }
        Ok(Self { name: name.to_owned(), sources, workspace: Some(workspace), is_source: false })
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
        let many = (0..21).map(|number| source(number, 7, &format!("s{number}"))).collect();
        let many = Queryable { sources: many, workspace: Some(7) };
        assert_eq!(Database::find("7", "", &many).unwrap_err().state, "54000");
        assert!(Database::find("s3", "", &many).is_ok());
    }
}
