//! How functions are written: the forms that their signatures have, with types in people's words.

use datafusion::common::types::NativeType;
use datafusion::logical_expr::{
    ArrayFunctionArgument, ArrayFunctionSignature, Coercion, TypeSignature, TypeSignatureClass,
};

use super::types;
use crate::functions::Functions;

/// Most forms of a function that are told.
const MOST: usize = 4;
/// Most kinds of values that one argument of a form names.
const MOST_KINDS: usize = 4;
/// A value of any type.
const ANY: &str = "value";

/// Forms that a signature does not have, or of which an example says more: values that are easily forgotten or exchanged.
const WRITTEN: &[(&str, &[&str])] = &[
    ("array_add", &["list, list"]),
    ("array_avg", &["list"]),
    ("array_concat", &["list, list"]),
    ("array_distance", &["list, list"]),
    ("array_normalize", &["list"]),
    ("array_product", &["list"]),
    ("array_scale", &["list, number"]),
    ("array_subtract", &["list, list"]),
    ("array_sum", &["list"]),
    ("arrays_zip", &["list, list"]),
    ("avg", &["number"]),
    ("coalesce", &["value, value"]),
    ("concat", &["text, text"]),
    ("concat_ws", &["', ', text, text"]),
    ("cosine_distance", &["list, list"]),
    ("count", &["*", "value"]),
    ("date_part", &["'year', date"]),
    ("date_trunc", &["'month', date"]),
    ("first_value", &["value"]),
    ("gcd", &["whole number, whole number"]),
    ("get_field", &["structure, 'name'"]),
    ("greatest", &["value, value"]),
    ("grouping", &["column of GROUP BY"]),
    ("inner_product", &["list, list"]),
    ("lag", &["value", "value, 1", "value, 1, 0"]),
    ("last_value", &["value"]),
    ("lcm", &["whole number, whole number"]),
    ("lead", &["value", "value, 1", "value, 1, 0"]),
    ("least", &["value, value"]),
    ("left", &["text, 3"]),
    ("make_array", &["value, value"]),
    ("map", &["list, list"]),
    ("map_extract", &["map, value"]),
    ("max", &["value"]),
    ("median", &["number"]),
    ("min", &["value"]),
    ("named_struct", &["'name', value"]),
    ("nth_value", &["value, 2"]),
    ("nvl", &["value, value"]),
    ("nvl2", &["value, value, value"]),
    ("replace", &["text, 'old', 'new'"]),
    ("right", &["text, 3"]),
    ("split_part", &["text, '-', 1"]),
    ("string_agg", &["text, ', '"]),
    ("struct", &["value, value"]),
    ("substr", &["text, 1, 3"]),
    ("sum", &["number"]),
    ("to_date", &["text", "text, '%Y-%m-%d'"]),
    ("to_time", &["text", "text, '%H:%M:%S'"]),
    ("to_timestamp", &["text", "text, '%Y-%m-%d %H:%M:%S'"]),
    ("to_timestamp_micros", &["text", "text, '%Y-%m-%d %H:%M:%S'"]),
    ("to_timestamp_millis", &["text", "text, '%Y-%m-%d %H:%M:%S'"]),
    ("to_timestamp_nanos", &["text", "text, '%Y-%m-%d %H:%M:%S'"]),
    ("to_timestamp_seconds", &["text", "text, '%Y-%m-%d %H:%M:%S'"]),
    ("to_unixtime", &["text", "text, '%Y-%m-%d %H:%M:%S'"]),
    ("union_extract", &["union, 'name'"]),
    ("union_tag", &["union"]),
    ("unnest", &["list"]),
];

/// One form: of each argument the kinds of values that it takes.
type Form = Vec<Vec<&'static str>>;

/// How a function is written, by any of its names in small letters, as the end of a sentence. Empty where there is none of that name.
pub(crate) fn written(called: &str, functions: &Functions) -> String {
    match forms(called, functions).as_slice() {
        [] => String::new(),
        [one] => format!("; it is written {one}"),
        [before @ .., last] => format!("; it is written {} or {last}", before.join(", ")),
    }
}

/// The forms of a function, under the name that is asked for.
pub(super) fn forms(called: &str, functions: &Functions) -> Vec<String> {
    let found = functions.find(called);
    let name = found.as_ref().map_or(called, |(name, _)| *name);
    let of = |arguments: &str| format!("{called}({arguments})");
    if let Some((_, known)) = WRITTEN.iter().find(|(function, _)| *function == name) {
        return known.iter().map(|arguments| of(arguments)).collect();
    }
    let signatures = found.map(|(_, signatures)| signatures).unwrap_or_default();
    let mut all: Vec<Form> = Vec::new();
    for form in signatures.iter().flat_map(|signature| of_signature(&signature.type_signature)) {
        add(&mut all, form);
    }
    all.sort_by_key(Vec::len);
    all.iter().take(MOST).map(|form| of(&arguments(form))).collect()
}

/// Every form of a signature, many of which are alike in people's words.
fn of_signature(signature: &TypeSignature) -> Vec<Form> {
    let one = |form: Form| vec![form];
    match signature {
        TypeSignature::Nullary => one(Vec::new()),
        TypeSignature::Exact(all) => one(all.iter().map(|kind| vec![types::word(kind)]).collect()),
        TypeSignature::Uniform(count, all) => one(vec![kinds(all.iter().map(types::word)); *count]),
        TypeSignature::Variadic(all) => one(vec![kinds(all.iter().map(types::word)); 2]),
        TypeSignature::VariadicAny => one(vec![vec![ANY]]),
        TypeSignature::Any(count) | TypeSignature::Comparable(count) => one(vec![vec![ANY]; *count]),
        TypeSignature::Numeric(count) => one(vec![vec!["number"]; *count]),
        TypeSignature::String(count) => one(vec![vec!["text"]; *count]),
        TypeSignature::Coercible(all) => one(all.iter().map(coerced).collect()),
        TypeSignature::OneOf(all) => all.iter().flat_map(of_signature).collect(),
        TypeSignature::ArraySignature(lists) => one(of_lists(lists)),
        // What it takes is in its code alone.
        TypeSignature::UserDefined => Vec::new(),
    }
}

fn of_lists(signature: &ArrayFunctionSignature) -> Form {
    match signature {
        ArrayFunctionSignature::Array { arguments, .. } => {
            let word = |argument: &ArrayFunctionArgument| match argument {
                ArrayFunctionArgument::Element => ANY,
                ArrayFunctionArgument::Index => "whole number",
                ArrayFunctionArgument::Array => "list",
                ArrayFunctionArgument::String => "text",
            };
            arguments.iter().map(|argument| vec![word(argument)]).collect()
        }
        ArrayFunctionSignature::RecursiveArray => vec![vec!["list"]],
        ArrayFunctionSignature::MapArray => vec![vec!["map"]],
    }
}

/// What one argument is, and what it is made of where it is something else. That anything becomes text is not told.
fn coerced(coercion: &Coercion) -> Vec<&'static str> {
    let sources = coercion.allowed_source_types().iter();
    let sources = sources.filter(|source| !matches!(source, TypeSignatureClass::Any)).map(class);
    kinds(std::iter::once(class(coercion.desired_type())).chain(sources))
}

fn class(class: &TypeSignatureClass) -> &'static str {
    match class {
        TypeSignatureClass::Any => ANY,
        TypeSignatureClass::Timestamp => "timestamp",
        TypeSignatureClass::Time => "time of day",
        TypeSignatureClass::Interval | TypeSignatureClass::Duration => "interval",
        TypeSignatureClass::Native(kind) => native(kind.native()),
        TypeSignatureClass::Integer => "whole number",
        TypeSignatureClass::Float | TypeSignatureClass::Decimal | TypeSignatureClass::Numeric => "number",
        TypeSignatureClass::Binary => "bytes",
    }
}

fn native(kind: &NativeType) -> &'static str {
    match kind {
        NativeType::String => "text",
        NativeType::Boolean => "boolean",
        NativeType::Binary | NativeType::FixedSizeBinary(_) => "bytes",
        NativeType::Date => "date",
        NativeType::Time(_) => "time of day",
        NativeType::Timestamp(..) => "timestamp",
        NativeType::Duration(_) | NativeType::Interval(_) => "interval",
        kind if kind.is_integer() => "whole number",
        kind if kind.is_numeric() => "number",
        _ => ANY,
    }
}

/// Kinds of values, each once. A whole number is a number, and everything is a value.
fn kinds(all: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let mut found: Vec<&'static str> = Vec::new();
    for kind in all {
        if !found.contains(&kind) {
            found.push(kind);
        }
    }
    if found.contains(&ANY) {
        return vec![ANY];
    }
    if found.contains(&"number") {
        found.retain(|kind| *kind != "whole number");
    }
    found
}

/// Adds a form: to one that differs in one argument at most, if there is such a one.
fn add(all: &mut Vec<Form>, form: Form) {
    let is_near = |other: &&mut Form| {
        let differs = other.iter().zip(&form).filter(|(one, other)| one != other).count();
        other.len() == form.len() && differs <= 1
    };
    match all.iter_mut().find(is_near) {
        Some(near) => {
            for (known, more) in near.iter_mut().zip(form) {
                *known = kinds(known.iter().copied().chain(more));
            }
        }
        None => all.push(form),
    }
}

fn arguments(form: &[Vec<&'static str>]) -> String {
    let argument = |kinds: &Vec<&'static str>| {
        if kinds.len() > MOST_KINDS { ANY.to_owned() } else { kinds.join(" or ") }
    };
    form.iter().map(argument).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_that_are_alike_are_one() {
        let functions = Functions::new();
        for (function, told) in [
            ("lower", "; it is written lower(text)"),
            ("length", "; it is written length(text)"),
            ("chr", "; it is written chr(whole number)"),
            ("pi", "; it is written pi()"),
            ("power", "; it is written power(number, number)"),
            ("round", "; it is written round(number) or round(number, whole number)"),
            ("btrim", "; it is written btrim(text) or btrim(text, text)"),
            ("array_has", "; it is written array_has(list, value)"),
            ("map_keys", "; it is written map_keys(map)"),
            ("bool_and", "; it is written bool_and(boolean)"),
            ("count", "; it is written count(*) or count(value)"),
            ("unnest", "; it is written unnest(list)"),
            ("no_function", ""),
        ] {
            assert_eq!(written(function, &functions), told);
        }
    }

    #[test]
    fn what_is_written_down_is_of_functions_that_there_are() {
        let functions = Functions::new();
        for (name, _) in WRITTEN {
            assert!(functions.has(name), "{name}");
        }
    }
}
