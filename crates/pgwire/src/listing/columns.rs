//! Columns of a query over catalogs: what they are called, and of which type they are.

use sqlparser::ast::{BinaryOperator, Expr, SelectItem, SelectItemQualifiedWildcardKind, Value};

use super::calls;
use super::datum::{Datum, Type};
use super::machine::{Field, type_name, unsupported};
use super::query::Sorted;
use crate::protocol::problem::Problem;
use crate::values::oids::PgType;

/// Most columns of a query: as many as PostgreSQL has.
pub(super) const MOST: usize = 1_664;

/// Refuses more columns than there may be.
pub(super) fn within(count: usize) -> Result<(), Problem> {
    if count <= MOST {
        return Ok(());
    }
    Err(Problem::new("54000", format!("A query over catalogs has at most {MOST} columns.")))
}

/// The place of the column that an expression names, if it is one of these alone.
pub(super) fn place(expr: &Expr, columns: &[Field]) -> Option<usize> {
    let (table, name) = match expr {
        Expr::Identifier(name) => (None, name),
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [.., table, name] => (Some(table), name),
            _ => return None,
        },
        _ => return None,
    };
    let is_meant = |field: &Field| {
        field.name.eq_ignore_ascii_case(&name.value)
            && table.is_none_or(|table| {
                field.table.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(&table.value))
            })
    };
    columns.iter().position(is_meant)
}

/// The expressions of a projection with their names, `*` written out.
pub(super) fn items(projection: &[SelectItem], columns: &[Field]) -> Result<Vec<(Expr, String)>, Problem> {
    let mut all = Vec::new();
    let column = |field: &Field| {
        let quoted = |text: &str| sqlparser::ast::Ident::with_quote('"', text);
        let parts =
            field.table.as_deref().into_iter().chain([field.name.as_str()]).map(quoted).collect::<Vec<_>>();
        let expr = match parts.as_slice() {
            [name] => Expr::Identifier(name.clone()),
            _ => Expr::CompoundIdentifier(parts),
        };
        (expr, field.name.clone())
    };
    for item in projection {
        match item {
            SelectItem::UnnamedExpr(expr) => all.push((expr.clone(), name_of(expr))),
            SelectItem::ExprWithAlias { expr, alias } => all.push((expr.clone(), alias.value.clone())),
            SelectItem::Wildcard(_) => all.extend(columns.iter().map(column)),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                let table = name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.clone());
                let is_meant = |field: &&Field| {
                    field
                        .table
                        .as_deref()
                        .zip(table.as_deref())
                        .is_some_and(|(one, other)| one.eq_ignore_ascii_case(other))
                };
                all.extend(columns.iter().filter(is_meant).map(column));
            }
            _ => return Err(unsupported("This column of a query over catalogs")),
        }
        within(all.len())?;
    }
    Ok(all)
}

/// What a column without a name is called.
fn name_of(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(name) => name.value.clone(),
        Expr::CompoundIdentifier(parts) => parts.last().map(|name| name.value.clone()).unwrap_or_default(),
        Expr::Function(function) => calls::name_of(&function.name).unwrap_or_default(),
        Expr::Case { .. } => "case".to_owned(),
        Expr::Cast { expr, data_type, .. } => match name_of(expr) {
            name if name == "?column?" => type_name(data_type),
            name => name,
        },
        Expr::Nested(inner) => name_of(inner),
        Expr::Exists { .. } => "exists".to_owned(),
        Expr::Array(_) => "array".to_owned(),
        _ => "?column?".to_owned(),
    }
}

/// The type of an expression, where it says it.
pub(super) fn type_of(expr: &Expr, columns: &[Field]) -> Option<Type> {
    match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
            columns.get(place(expr, columns)?).map(|field| field.kind)
        }
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => type_of(inner, columns),
        Expr::Cast { data_type, .. } => {
            let name = type_name(data_type);
            let (inner, is_list) =
                name.strip_suffix("[]").map_or((name.as_str(), false), |inner| (inner, true));
            // Their values are names.
            if matches!(inner, "regclass" | "regtype") {
                return Some(Type::TEXT);
            }
            Some(Type { of: PgType::of_name(inner)?, is_list })
        }
        Expr::Function(function) => calls::type_of(&calls::name_of(&function.name)?),
        Expr::Case { conditions, else_result, .. } => {
            let mut results = conditions.iter().map(|when| &when.result).chain(else_result.as_deref());
            results.find_map(|result| type_of(result, columns))
        }
        Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::Exists { .. }
        | Expr::InList { .. }
        | Expr::AnyOp { .. } => Some(Type::BOOL),
        Expr::BinaryOp {
            op: BinaryOperator::Eq | BinaryOperator::NotEq | BinaryOperator::And | BinaryOperator::Or,
            ..
        } => Some(Type::BOOL),
        Expr::Value(value) => match value.value {
            Value::Number(..) => Some(Type::one(PgType::Int4)),
            Value::Boolean(_) => Some(Type::BOOL),
            _ => None,
        },
        _ => None,
    }
}

/// Types of columns whose expressions do not say them, by their values.
pub(super) fn refine(columns: &mut [Field], items: &[(Expr, String)], from: &[Field], rows: &[Sorted]) {
    for (at, (field, (expr, _))) in columns.iter_mut().zip(items).enumerate() {
        if type_of(expr, from).is_some() {
            continue;
        }
        let values = || rows.iter().filter_map(|sorted| sorted.row.get(at)).filter(|value| !value.is_null());
        let all = |is: fn(&Datum) -> bool| values().next().is_some() && values().all(is);
        field.kind = if all(|value| matches!(value, Datum::Bool(_))) {
            Type::BOOL
        } else if all(|value| matches!(value, Datum::Int(_))) {
            Type::one(PgType::Int8)
        } else if all(|value| matches!(value, Datum::List(_))) {
            Type::list(PgType::Text)
        } else {
            Type::TEXT
        };
    }
}
