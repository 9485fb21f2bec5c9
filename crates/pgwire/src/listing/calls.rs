//! Functions of the catalogs. Each answers from what the model holds; what would need more answers null.

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, ObjectName,
    OrderByExpr,
};

use super::datum::{Datum, Type};
use super::machine::{Machine, Scope, flat, unsupported};
use super::model::{OWNER_NAME, format_type, ident};
use crate::protocol::problem::Problem;
use crate::values::oids::PgType;

/// Numbers of one series at most.
const LONGEST_SERIES: i64 = 100_000;

/// Functions about the session. With one of them, and without data, a statement is about the session.
const ABOUT_SESSION: [&str; 13] = [
    "current_catalog",
    "current_database",
    "current_role",
    "current_schema",
    "current_schemas",
    "current_setting",
    "current_user",
    "has_database_privilege",
    "has_schema_privilege",
    "has_table_privilege",
    "session_user",
    "set_config",
    "version",
];
/// Functions of a group.
const AGGREGATES: [&str; 8] =
    ["array_agg", "bool_and", "bool_or", "count", "max", "min", "string_agg", "sum"];
/// Functions that answer several values.
const MANY: [&str; 4] = ["generate_series", "generate_subscripts", "pg_partition_ancestors", "unnest"];
/// Functions that would need what the model does not hold: null.
const NOTHING: [&str; 24] = [
    "inet_client_addr",
    "inet_server_addr",
    "json_build_object",
    "jsonb_build_object",
    "pg_get_expr",
    "pg_get_function_arguments",
    "pg_get_function_identity_arguments",
    "pg_get_function_result",
    "pg_get_functiondef",
    "pg_get_partkeydef",
    "pg_get_ruledef",
    "pg_get_serial_sequence",
    "pg_get_statisticsobjdef_columns",
    "pg_get_triggerdef",
    "pg_get_viewdef",
    "pg_indexes_size",
    "pg_last_wal_receive_lsn",
    "pg_postmaster_start_time",
    "pg_relation_size",
    "pg_size_pretty",
    "pg_stat_get_numscans",
    "pg_table_size",
    "pg_total_relation_size",
    "shobj_description",
];

pub(super) fn is_about_session(name: &str) -> bool {
    ABOUT_SESSION.contains(&name)
}

/// The name of a function of the catalogs, without its schema.
pub(super) fn name_of(name: &ObjectName) -> Option<String> {
    let parts: Vec<String> =
        name.0.iter().filter_map(|part| Some(part.as_ident()?.value.to_lowercase())).collect();
    match parts.as_slice() {
        [name] => Some(name.clone()),
        [schema, name] if schema == "pg_catalog" || schema == "information_schema" => Some(name.clone()),
        _ => None,
    }
}

/// Whether it is one that stands among relations.
pub(super) fn is_table_function(name: &ObjectName) -> bool {
    name_of(name).is_some_and(|name| MANY.contains(&name.as_str()))
}

/// The type of what a function answers, where it is always the same.
pub(super) fn type_of(name: &str) -> Option<Type> {
    Some(match name {
        "count" | "sum" => Type::one(PgType::Int8),
        "bool_and" | "bool_or" => Type::BOOL,
        "array_agg" | "current_schemas" => Type::list(PgType::Text),
        "array_length" | "array_upper" | "cardinality" | "pg_backend_pid" | "generate_subscripts" => {
            Type::one(PgType::Int4)
        }
        name if name.starts_with("has_") || name.ends_with("_is_visible") => Type::BOOL,
        "pg_is_in_recovery" | "pg_relation_is_publishable" | "pg_is_other_temp_schema" => Type::BOOL,
        "current_database" | "current_schema" | "current_user" | "session_user" | "pg_get_userbyid" => {
            Type::one(PgType::Name)
        }
        "format_type" | "version" | "obj_description" | "col_description" | "current_setting"
        | "set_config" => Type::TEXT,
        _ => return None,
    })
}

pub(super) fn has_aggregate(expr: &Expr) -> bool {
    match expr {
        Expr::Function(function) => {
            name_of(&function.name).is_some_and(|name| AGGREGATES.contains(&name.as_str()))
        }
        Expr::Nested(inner)
        | Expr::Cast { expr: inner, .. }
        | Expr::IsNull(inner)
        | Expr::IsNotNull(inner) => has_aggregate(inner),
        Expr::BinaryOp { left, right, .. } => has_aggregate(left) || has_aggregate(right),
        _ => false,
    }
}

fn many(expr: &Expr) -> Option<(String, &Function)> {
    let Expr::Function(function) = expr else { return None };
    let name = name_of(&function.name)?;
    MANY.contains(&name.as_str()).then_some((name, function))
}

pub(super) fn is_many(expr: &Expr) -> bool {
    many(expr).is_some()
}

/// The values of an expression of a projection that has several.
pub(super) fn rows_in_projection(
    machine: &Machine<'_>,
    expr: &Expr,
    scope: &Scope<'_>,
) -> Result<Option<Vec<Datum>>, Problem> {
    let Some((name, function)) = many(expr) else { return Ok(None) };
    rows_of(machine, &name, arguments(function), scope).map(Some)
}

fn arguments(function: &Function) -> &[FunctionArg] {
    match &function.args {
        FunctionArguments::List(list) => &list.args,
        _ => &[],
    }
}

fn argument(argument: &FunctionArg) -> Option<&Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    }
}

/// The values of a function that has several.
pub(super) fn rows_of(
    machine: &Machine<'_>,
    name: &str,
    args: &[FunctionArg],
    scope: &Scope<'_>,
) -> Result<Vec<Datum>, Problem> {
    let args = args.iter().filter_map(argument).map(|expr| machine.eval(expr, scope));
    let args = args.collect::<Result<Vec<_>, _>>()?;
    let first = args.first().cloned().unwrap_or_default();
    let series = |from: i64, to: i64| -> Result<Vec<Datum>, Problem> {
        if to.saturating_sub(from) > LONGEST_SERIES {
            return Err(Problem::new("54000", "A series over catalogs is too long."));
        }
        let count = usize::try_from(to.saturating_sub(from)).unwrap_or(0);
        machine.room.steps(count)?;
        machine.room.charge(count.saturating_mul(Datum::Null.weight()))?;
        Ok((from..=to).map(Datum::Int).collect())
    };
    match name {
        "unnest" => Ok(first.list().unwrap_or_default()),
        "generate_subscripts" => {
            let count = first.list().map_or(0, |all| all.len());
            series(1, i64::try_from(count).unwrap_or(0))
        }
        "generate_series" => match (first.int(), args.get(1).and_then(Datum::int)) {
            (Some(from), Some(to)) => series(from, to),
            _ => Ok(Vec::new()),
        },
        "pg_partition_ancestors" => Ok(Vec::new()),
        _ => Err(unsupported("This function")),
    }
}

/// Calls a function.
pub(super) fn call(machine: &Machine<'_>, function: &Function, scope: &Scope<'_>) -> Result<Datum, Problem> {
    let name = name_of(&function.name).ok_or_else(|| unsupported("This function"))?;
    if function.over.is_some() {
        return Err(unsupported("A window over catalogs"));
    }
    if let FunctionArguments::Subquery(query) = &function.args {
        // ARRAY(SELECT …)
        if name == "array" {
            let rows = machine.query(query, Some(scope))?.rows;
            return flat(rows.into_iter().filter_map(|row| row.into_iter().next()).collect());
        }
        return Err(unsupported("This function of a query"));
    }
    if AGGREGATES.contains(&name.as_str()) {
        return aggregate(machine, &name, function, scope);
    }
    let args = arguments(function).iter().filter_map(argument);
    if name == "coalesce" {
        for arg in args {
            let value = machine.eval(arg, scope)?;
            if !value.is_null() {
                return Ok(value);
            }
        }
        return Ok(Datum::Null);
    }
    let args = args.map(|arg| machine.eval(arg, scope)).collect::<Result<Vec<_>, _>>()?;
    if let Some(value) = about_session(machine, &name, &args)? {
        return Ok(value);
    }
    if let Some(value) = about_catalogs(machine, &name, &args) {
        return Ok(value);
    }
    plain(machine, &name, &args)
}

fn about_session(machine: &Machine<'_>, name: &str, args: &[Datum]) -> Result<Option<Datum>, Problem> {
    let context = &machine.model.context;
    let schema = || machine.model.schema.clone().map_or(Datum::Null, Datum::Text);
    Ok(Some(match name {
        "version" => "PostgreSQL 15.0 (Tidegate)".into(),
        "current_database" | "current_catalog" => context.database.as_str().into(),
        "current_user" | "session_user" | "current_role" | "user" => context.user.as_str().into(),
        "current_schema" => schema(),
        "current_schemas" => {
            let own = machine.model.schema.clone().map(Datum::Text);
            let catalogs = args.first().is_some_and(Datum::is_true).then(|| Datum::from("pg_catalog"));
            Datum::List(catalogs.into_iter().chain(own).collect())
        }
        "current_setting" => {
            let wanted = args.first().and_then(Datum::text).unwrap_or_default().to_lowercase();
            let found = context.settings.iter().find(|(known, _)| *known == wanted);
            match found {
                Some((_, value)) => value.as_str().into(),
                None if args.first().is_none_or(Datum::is_null) => Datum::Null,
                None if args.get(1).is_some_and(Datum::is_true) => Datum::Null,
                None => return Err(Problem::new("42704", "There is no such setting.")),
            }
        }
        // What a client says about its connection; nothing of it changes an answer.
        "set_config" => args.get(1).cloned().unwrap_or_default(),
        "pg_backend_pid" => 0.into(),
        "pg_is_in_recovery" | "pg_is_other_temp_schema" | "pg_relation_is_publishable" => false.into(),
        "pg_my_temp_schema" => 0.into(),
        "pg_encoding_to_char" => "UTF8".into(),
        "pg_client_encoding" => "UTF8".into(),
        name if name.starts_with("has_") && name.ends_with("_privilege") => {
            let wanted = args.last().and_then(Datum::text).unwrap_or_default().to_lowercase();
            ["select", "usage", "connect"].contains(&wanted.as_str()).into()
        }
        _ => return Ok(None),
    }))
}

fn about_catalogs(machine: &Machine<'_>, name: &str, args: &[Datum]) -> Option<Datum> {
    let model = machine.model;
    let oid = args.first().and_then(Datum::int);
    let place = args.get(1).and_then(Datum::int);
    let text = |text: Option<String>| text.map_or(Datum::Null, Datum::Text);
    Some(match name {
        "format_type" => text(oid.and_then(|oid| format_type(oid, place))),
        "pg_table_is_visible" => match oid {
            Some(oid) => model.entry(oid).is_none_or(|entry| entry.is_visible).into(),
            None => Datum::Null,
        },
        name if name.ends_with("_is_visible") => true.into(),
        "pg_get_userbyid" => OWNER_NAME.into(),
        "pg_get_constraintdef" => text(oid.and_then(|oid| model.definitions.get(&oid).cloned())),
        "pg_get_indexdef" if place.is_none_or(|place| place == 0) => {
            text(oid.and_then(|oid| model.definitions.get(&oid).cloned()))
        }
        "pg_get_indexdef" => Datum::Null,
        "obj_description" => text(oid.and_then(|oid| model.entry(oid)?.comments.get(&0).cloned())),
        "col_description" => {
            text(oid.zip(place).and_then(|(oid, place)| model.entry(oid)?.comments.get(&place).cloned()))
        }
        "to_regclass" => {
            let found = args.first().and_then(Datum::text).and_then(|name| model.oid_of(&name));
            found.map_or(Datum::Null, |oid| model.name_of(oid).into())
        }
        "to_regtype" => {
            let found = args.first().and_then(Datum::text).and_then(|name| PgType::of_name(&name));
            found.map_or(Datum::Null, |kind| Datum::Int(kind.oid().into()))
        }
        name if NOTHING.contains(&name) => Datum::Null,
        _ => return None,
    })
}

fn plain(machine: &Machine<'_>, name: &str, args: &[Datum]) -> Result<Datum, Problem> {
    let first = args.first().cloned().unwrap_or_default();
    let text = first.text();
    let of_text = |work: fn(&str) -> String| text.as_deref().map_or(Datum::Null, |text| work(text).into());
    let count = |count: Option<usize>| {
        count.and_then(|count| i64::try_from(count).ok()).map_or(Datum::Null, Datum::Int)
    };
    Ok(match name {
        "lower" => of_text(str::to_lowercase),
        "upper" => of_text(str::to_uppercase),
        "quote_ident" => of_text(ident),
        "btrim" | "trim" => of_text(|text| text.trim().to_owned()),
        "length" | "char_length" => count(text.map(|text| text.chars().count())),
        "array_length" | "array_upper" | "cardinality" => {
            count(first.list().map(|all| all.len()).filter(|count| *count > 0))
        }
        "array_to_string" => {
            let between = args.get(1).and_then(Datum::text).unwrap_or_default();
            let Some(all) = first.list() else { return Ok(Datum::Null) };
            machine.room.charge(between.len().saturating_mul(all.len()))?;
            all.iter().filter_map(Datum::text).collect::<Vec<_>>().join(&between).into()
        }
        "concat" => args.iter().filter_map(Datum::text).collect::<String>().into(),
        "nullif" => match args.get(1).and_then(|other| first.compare(other)) {
            Some(order) if order.is_eq() => Datum::Null,
            _ => first,
        },
        "greatest" | "least" => {
            let mut all: Vec<&Datum> = args.iter().filter(|arg| !arg.is_null()).collect();
            all.sort_by(|one, other| one.order(other));
            let found = if name == "least" { all.first() } else { all.last() };
            found.map_or(Datum::Null, |found| Datum::clone(found))
        }
        _ => return Err(unsupported("This function over catalogs")),
    })
}

fn aggregate(
    machine: &Machine<'_>,
    name: &str,
    function: &Function,
    scope: &Scope<'_>,
) -> Result<Datum, Problem> {
    let Some(group) = scope.group else { return Err(unsupported("An aggregate at this place")) };
    let FunctionArguments::List(list) = &function.args else { return Err(unsupported("This aggregate")) };
    let order: &[OrderByExpr] = list
        .clauses
        .iter()
        .find_map(|clause| match clause {
            FunctionArgumentClause::OrderBy(order) => Some(order.as_slice()),
            _ => None,
        })
        .unwrap_or_default();
    let args: Vec<&Expr> = list.args.iter().filter_map(argument).collect();
    let mut values = Vec::new();
    let mut between = String::new();
    for row in group {
        let scope = Scope { row, group: None, ..*scope };
        if let Some(filter) = &function.filter
            && !machine.holds(filter, &scope)?
        {
            continue;
        }
        let value = args.first().map_or(Ok(Datum::Int(1)), |arg| machine.eval(arg, &scope))?;
        if let Some(separator) = args.get(1) {
            between = machine.eval(separator, &scope)?.text().unwrap_or_default();
        }
        let keys =
            order.iter().map(|order| machine.eval(&order.expr, &scope)).collect::<Result<Vec<_>, _>>()?;
        values.push((keys, value));
    }
    values.sort_by(|(one, _), (other, _)| {
        let mut orders = one.iter().zip(other).map(|(one, other)| one.order(other));
        orders.find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    });
    let all: Vec<Datum> = values.into_iter().map(|(_, value)| value).collect();
    let known = || all.iter().filter(|value| !value.is_null());
    let pick = |wanted: std::cmp::Ordering| {
        let best =
            known().reduce(|best, value| if value.compare(best) == Some(wanted) { value } else { best });
        best.cloned().unwrap_or_default()
    };
    Ok(match name {
        "array_agg" if all.is_empty() => Datum::Null,
        "array_agg" => flat(all)?,
        "string_agg" if known().next().is_none() => Datum::Null,
        "string_agg" => known().filter_map(Datum::text).collect::<Vec<_>>().join(&between).into(),
        "count" => i64::try_from(known().count()).unwrap_or(i64::MAX).into(),
        "min" => pick(std::cmp::Ordering::Less),
        "max" => pick(std::cmp::Ordering::Greater),
        "sum" => known().filter_map(Datum::int).try_fold(0, i64::checked_add).map_or(Datum::Null, Datum::Int),
        "bool_and" if known().next().is_some() => known().all(Datum::is_true).into(),
        "bool_or" if known().next().is_some() => known().any(Datum::is_true).into(),
        _ => Datum::Null,
    })
}
