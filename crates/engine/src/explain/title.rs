//! What columns of an answer are called that the person gave no name: as PostgreSQL calls them where there is a function, a cast or a CASE,
//! else by the expression's own text. How the engine spells an expression is no title.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, Ident, ObjectNamePart, Query, Select, SelectItem, SetExpr, Statement as SqlStatement,
};

/// Most characters of a title that is the text of an expression.
const LONGEST: usize = 60;

/// One item of a SELECT.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    /// Has its name: of the person, or of a column.
    Named,
    /// Is called by us.
    Untitled(String),
    /// Stands for columns of which it is not known here how many there are.
    Several,
}

/// Titles of the columns of a statement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Titles(Vec<Item>);

impl Titles {
    /// Of the SELECT that names the columns: the first of a set operation.
    pub(crate) fn of(statement: &Statement) -> Self {
        let Statement::Statement(statement) = statement else { return Self::default() };
        let SqlStatement::Query(query) = statement.as_ref() else { return Self::default() };
        let Some(select) = first_select(query) else { return Self::default() };
        // A query that begins with FROM may have no list: all columns.
        if select.projection.is_empty() {
            return Self(vec![Item::Several]);
        }
        Self(select.projection.iter().map(item).collect())
    }

    /// A schema under these titles, each of ours there once.
    pub(crate) fn over(&self, schema: &SchemaRef) -> SchemaRef {
        let wanted = self.spread(schema.fields().len());
        let is_ours = |field: &Field, title: Option<&str>| title.is_some_and(|title| title != field.name());
        if !schema.fields().iter().zip(&wanted).any(|(field, title)| is_ours(field, *title)) {
            return Arc::clone(schema);
        }
        let kept = schema.fields().iter().zip(&wanted).filter(|(field, title)| !is_ours(field, **title));
        let mut taken: HashSet<String> = kept.map(|(field, _)| field.name().clone()).collect();
        let fields = schema.fields().iter().zip(&wanted).map(|(field, title)| {
            let field = Field::clone(field);
            match *title {
                Some(title) if is_ours(&field, Some(title)) => field.with_name(unique(title, &mut taken)),
                _ => field,
            }
        });
        Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
    }

    /// The titles of so many columns. What stands for several columns has all that are left; of two such items nobody knows which has how
    /// many, so that nothing is said of what is between them.
    fn spread(&self, count: usize) -> Vec<Option<&str>> {
        let mut titles = vec![None; count];
        let single = self.0.iter().filter(|item| **item != Item::Several).count();
        let is_whole = single == self.0.len();
        if single > count || (is_whole && single != count) {
            return titles;
        }
        for (slot, item) in titles.iter_mut().zip(self.0.iter().take_while(|item| **item != Item::Several)) {
            *slot = item.title();
        }
        if !is_whole {
            let last = self.0.iter().rev().take_while(|item| **item != Item::Several);
            for (slot, item) in titles.iter_mut().rev().zip(last) {
                *slot = item.title();
            }
        }
        titles
    }
}

impl Item {
    fn title(&self) -> Option<&str> {
        match self {
            Self::Untitled(title) => Some(title),
            Self::Named | Self::Several => None,
        }
    }
}

fn unique(title: &str, taken: &mut HashSet<String>) -> String {
    let mut all = std::iter::once(title.to_owned()).chain((2_usize..).map(|n| format!("{title}_{n}")));
    let found = all.find(|title| !taken.contains(title)).unwrap_or_else(|| title.to_owned());
    taken.insert(found.clone());
    found
}

fn first_select(query: &Query) -> Option<&Select> {
    let mut body = query.body.as_ref();
    loop {
        body = match body {
            SetExpr::Select(select) => return Some(select),
            SetExpr::Query(query) => query.body.as_ref(),
            SetExpr::SetOperation { left, .. } => left.as_ref(),
            _ => return None,
        };
    }
}

fn item(item: &SelectItem) -> Item {
    match item {
        SelectItem::UnnamedExpr(Expr::Function(call))
        | SelectItem::ExprWithAlias { expr: Expr::Function(call), .. }
            if function(call).as_deref() == Some("unnest") =>
        {
            Item::Several
        }
        SelectItem::UnnamedExpr(Expr::Identifier(_)) | SelectItem::ExprWithAlias { .. } => Item::Named,
        SelectItem::UnnamedExpr(expr) => Item::Untitled(title(expr)),
        SelectItem::ExprWithAliases { .. } | SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => {
            Item::Several
        }
    }
}

fn title(expr: &Expr) -> String {
    named(expr).unwrap_or_else(|| text(expr))
}

/// The name that PostgreSQL finds in an expression.
fn named(expr: &Expr) -> Option<String> {
    Some(match expr {
        Expr::Identifier(name) => folded(name),
        Expr::CompoundIdentifier(names) => folded(names.last()?),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => named(inner)?,
        Expr::Cast { expr: inner, data_type, .. } => {
            named(inner).unwrap_or_else(|| data_type.to_string().to_lowercase())
        }
        Expr::Function(call) => function(call)?,
        Expr::Case { .. } => "case".to_owned(),
        Expr::Exists { .. } => "exists".to_owned(),
        Expr::Extract { .. } => "extract".to_owned(),
        Expr::Ceil { .. } => "ceil".to_owned(),
        Expr::Floor { .. } => "floor".to_owned(),
        Expr::Position { .. } => "position".to_owned(),
        Expr::Substring { .. } => "substring".to_owned(),
        Expr::Trim { .. } => "trim".to_owned(),
        Expr::Overlay { .. } => "overlay".to_owned(),
        Expr::AtTimeZone { .. } => "timezone".to_owned(),
        Expr::Interval(_) => "interval".to_owned(),
        Expr::TypedString(typed) => typed.data_type.to_string().to_lowercase(),
        Expr::Subquery(query) => match first_select(query)?.projection.first()? {
            SelectItem::UnnamedExpr(expr) => named(expr)?,
            SelectItem::ExprWithAlias { alias, .. } => folded(alias),
            _ => return None,
        },
        _ => return None,
    })
}

fn function(call: &Function) -> Option<String> {
    match call.name.0.last()? {
        ObjectNamePart::Identifier(name) => Some(name.value.to_lowercase()),
        ObjectNamePart::Function(_) => None,
    }
}

/// A name as the engine reads it: in small letters, unless it is quoted.
fn folded(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

/// An expression as the person wrote it, as far as the syntax keeps it.
fn text(expr: &Expr) -> String {
    let whole = expr.to_string();
    let clean = whole.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut text: String = clean.take(LONGEST).collect();
    if whole.chars().nth(LONGEST).is_some() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::DataType;
    use datafusion::sql::parser::DFParser;

    use super::*;

    fn titled(sql: &str, engine: &[&str]) -> Vec<String> {
        let statement = DFParser::parse_sql(sql).unwrap().pop_front().unwrap();
        let fields: Vec<_> = engine.iter().map(|name| Field::new(*name, DataType::Int64, true)).collect();
        let schema = Titles::of(&statement).over(&Arc::new(Schema::new(fields)));
        schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    #[test]
    fn columns_without_a_name_have_titles() {
        assert_eq!(
            titled("select sum(a), a, a + 1 from t", &["sum(t.a)", "a", "t.a + Int64(1)"]),
            ["sum", "a", "a + 1"]
        );
        assert_eq!(titled("select a || 'x' as n, count(*) from t", &["n", "count(*)"]), ["n", "count"]);
        assert_eq!(
            titled("select cast(t.a as int), cast(1 as int) from t", &["t.a", "Int64(1)"]),
            ["a", "int"]
        );
        assert_eq!(
            titled("select case when a then 1 end, (select max(b) from u) from t", &["x", "y"]),
            ["case", "max"]
        );
        assert_eq!(titled("select sum(a) from t union all select b from t", &["sum(t.a)"]), ["sum"]);
    }

    #[test]
    fn titles_of_ours_are_there_once() {
        assert_eq!(
            titled("select sum(a), sum(b), 1 as sum_2 from t", &["x", "y", "sum_2"]),
            ["sum", "sum_3", "sum_2"]
        );
        // Names of the person and of columns stay what they are.
        assert_eq!(
            titled("select t.id, u.id, count(*) as id from t", &["id", "id", "id"]),
            ["id", "id", "id"]
        );
    }

    #[test]
    fn stars_stand_for_what_is_left() {
        assert_eq!(titled("select *, sum(a) over () from t", &["a", "b", "w"]), ["a", "b", "sum"]);
        assert_eq!(titled("select lower(a), * from t", &["l", "a", "b"]), ["lower", "a", "b"]);
        assert_eq!(titled("select t.*, 1, u.* from t, u", &["a", "Int64(1)", "b"]), ["a", "Int64(1)", "b"]);
        assert_eq!(titled("select unnest(s), 1 from t", &["a", "b", "Int64(1)"]), ["a", "b", "1"]);
        assert_eq!(titled("values (1)", &["column1"]), ["column1"]);
    }
}
