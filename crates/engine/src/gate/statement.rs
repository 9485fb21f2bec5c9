//! What the one statement may be, looked at in its syntax tree.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    self, Expr, ObjectName, ObjectNamePart, Query, Select, SetExpr, Statement as SqlStatement, TableFactor,
    Visit, Visitor,
};

use super::{synonyms, words};
use crate::error::{QueryError, nearest, quoted};
use crate::functions::Functions;
use crate::options::SizeLimits;

/// Refuses all but one query that only reads.
pub(super) fn check(
    statement: &Statement,
    limits: &SizeLimits,
    functions: &Functions,
) -> Result<(), QueryError> {
    let Statement::Statement(statement) = statement else { return Err(refused()) };
    let SqlStatement::Query(query) = statement.as_ref() else { return Err(not_a_query(statement)) };
    let mut gate = Gate { functions, uses: HashMap::new(), whole: Vec::new() };
    if let ControlFlow::Break(error) = query.visit(&mut gate) {
        return Err(error);
    }
    if gate.expanded() > limits.relations {
        return Err(QueryError::too_big(format!(
            "The query reads more than {} relations, counted as often as they are used.",
            limits.relations
        )));
    }
    Ok(())
}

fn refused() -> QueryError {
    QueryError::not_allowed("Only a query that reads may be run: SELECT, WITH or VALUES.")
}

/// A refusal of a statement that is no query. Those that ask for names are told which query has them.
fn not_a_query(statement: &SqlStatement) -> QueryError {
    let relation = match statement {
        SqlStatement::ShowTables { .. } | SqlStatement::ShowViews { .. } => "tables",
        SqlStatement::ShowColumns { .. } | SqlStatement::ExplainTable { .. } => "columns",
        SqlStatement::ShowDatabases { .. } | SqlStatement::ShowSchemas { .. } => "schemata",
        _ => return refused(),
    };
    QueryError::not_allowed(format!(
        "Only a query that reads may be run: write SELECT * FROM information_schema.{relation}."
    ))
}

fn unsupported(what: &str) -> ControlFlow<QueryError> {
    ControlFlow::Break(QueryError::not_allowed(format!("{what} is not supported.")))
}

struct Gate<'f> {
    functions: &'f Functions,
    /// What each common table expression reads.
    uses: HashMap<String, Vec<String>>,
    /// What the statement reads.
    whole: Vec<String>,
}

impl Gate<'_> {
    fn query(&mut self, query: &Query) -> ControlFlow<QueryError> {
        if !query.locks.is_empty() || query.for_clause.is_some() {
            return ControlFlow::Break(refused());
        }
        if query.fetch.is_some() {
            return ControlFlow::Break(QueryError::not_allowed("FETCH is not supported: write LIMIT."));
        }
        if let Some(error) = words::count(query) {
            return ControlFlow::Break(error);
        }
        if query.settings.is_some() || query.format_clause.is_some() || !query.pipe_operators.is_empty() {
            return unsupported("A setting, format or pipe in a query");
        }
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            let mut names = Names(Vec::new());
            let _ = cte.query.visit(&mut names);
            self.uses.entry(cte.alias.name.value.to_lowercase()).or_default().extend(names.0);
        }
        body(&query.body)
    }

    /// How many relations are read when every common table expression is written out where it is used.
    fn expanded(&self) -> usize {
        let mut known = HashMap::new();
        let mut open = HashSet::new();
        self.whole
            .iter()
            .fold(0, |sum: usize, name| sum.saturating_add(self.weight(name, &mut known, &mut open)))
    }

    fn weight<'n>(
        &'n self,
        name: &'n str,
        known: &mut HashMap<&'n str, usize>,
        open: &mut HashSet<&'n str>,
    ) -> usize {
        let Some(uses) = self.uses.get(name) else { return 1 };
        if let Some(weight) = known.get(name) {
            return *weight;
        }
        // It reads itself, or a relation of the same name.
        if !open.insert(name) {
            return 1;
        }
        let weight =
            uses.iter().fold(0, |sum: usize, used| sum.saturating_add(self.weight(used, known, open)));
        open.remove(name);
        known.insert(name, weight.max(1));
        weight.max(1)
    }

    fn function(&self, name: &ObjectName) -> ControlFlow<QueryError> {
        let [ObjectNamePart::Identifier(ident)] = name.0.as_slice() else {
            return ControlFlow::Break(self.unknown_function(&name.to_string()));
        };
        let lower = ident.value.to_lowercase();
        if self.functions.has(&lower) {
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(match synonyms::instead(&lower) {
            Some(form) => {
                let name = quoted(&ident.value);
                QueryError::not_allowed(format!("There is no function {name}: write {form}."))
            }
            None => self.unknown_function(&ident.value),
        })
    }

    fn table_function(&self, name: &ObjectName) -> ControlFlow<QueryError> {
        match name.0.as_slice() {
            [ObjectNamePart::Identifier(ident)] if self.functions.has_table(&ident.value.to_lowercase()) => {
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Break(self.unknown_function(&name.to_string())),
        }
    }

    fn unknown_function(&self, name: &str) -> QueryError {
        let mut error = QueryError::not_allowed(format!("There is no function {}.", quoted(name)));
        error.nearest = nearest(name, self.functions.names());
        error
    }
}

fn body(body: &SetExpr) -> ControlFlow<QueryError> {
    match body {
        // Queries within are visited by themselves.
        SetExpr::Select(_) | SetExpr::Values(_) | SetExpr::Query(_) => ControlFlow::Continue(()),
        SetExpr::SetOperation { left, right, .. } => {
            self::body(left)?;
            self::body(right)
        }
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
            ControlFlow::Break(refused())
        }
        SetExpr::Table(_) => unsupported("TABLE"),
    }
}

fn select(select: &Select) -> ControlFlow<QueryError> {
    if select.into.is_some() {
        return ControlFlow::Break(refused());
    }
    if select.top.is_some() {
        return ControlFlow::Break(QueryError::not_allowed("TOP is not supported: write LIMIT at the end."));
    }
    if !select.lateral_views.is_empty() || select.prewhere.is_some() || !select.connect_by.is_empty() {
        return unsupported("LATERAL VIEW, PREWHERE or CONNECT BY");
    }
    if !select.cluster_by.is_empty() || !select.distribute_by.is_empty() || !select.sort_by.is_empty() {
        return unsupported("CLUSTER BY, DISTRIBUTE BY or SORT BY");
    }
    ControlFlow::Continue(())
}

impl Visitor for Gate<'_> {
    type Break = QueryError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<QueryError> {
        self.query(query)
    }

    fn pre_visit_select(&mut self, it: &Select) -> ControlFlow<QueryError> {
        select(it)
    }

    fn pre_visit_statement(&mut self, _: &SqlStatement) -> ControlFlow<QueryError> {
        ControlFlow::Break(refused())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<QueryError> {
        self.whole.push(simple(relation));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<QueryError> {
        match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                self.table_function(name)
            }
            TableFactor::Table { args: None, version, partitions, json_path, sample, with_hints, .. } => {
                if version.is_some()
                    || !partitions.is_empty()
                    || json_path.is_some()
                    || sample.is_some()
                    || !with_hints.is_empty()
                {
                    return unsupported("A version, partition, sample or hint of a relation");
                }
                ControlFlow::Continue(())
            }
            TableFactor::Derived { .. } | TableFactor::UNNEST { .. } | TableFactor::NestedJoin { .. } => {
                ControlFlow::Continue(())
            }
            _ => unsupported("This kind of relation"),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<QueryError> {
        match expr {
            Expr::Function(function) => {
                self.function(&function.name)?;
                let refused = words::too_few(function, self.functions).or_else(|| words::part(function));
                if let Some(error) = refused {
                    return ControlFlow::Break(error);
                }
                words::pattern(function).map_or(ControlFlow::Continue(()), ControlFlow::Break)
            }
            Expr::Lambda(_) => unsupported("A lambda function"),
            expr => match words::unsupported(expr) {
                Some(what) => unsupported(&what),
                None => {
                    let refused = words::unknown_type(expr).or_else(|| words::extracted(expr));
                    refused.map_or(ControlFlow::Continue(()), ControlFlow::Break)
                }
            },
        }
    }
}

/// Names of relations without a schema, in small letters: those that can be a common table expression.
fn simple(name: &ObjectName) -> String {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(ident)] => ident.value.to_lowercase(),
        // No name of one part has this character.
        _ => "\0".to_owned(),
    }
}

struct Names(Vec<String>);

impl Visitor for Names {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &ast::ObjectName) -> ControlFlow<()> {
        self.0.push(simple(relation));
        ControlFlow::Continue(())
    }
}
