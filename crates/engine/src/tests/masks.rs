//! Masks on columns of every type, against what policies say of single values.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Date64Array, Decimal128Array,
    DictionaryArray, FixedSizeBinaryArray, Float32Array, Float64Array, Int8Array, Int64Array,
    LargeStringArray, ListArray, NullArray, StringArray, StringViewArray, StructArray,
    TimestampNanosecondArray, TimestampSecondArray, UInt64Array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Int32Type, Int64Type};
use tidegate_policy::{ColumnType, DateUnit, Decimal, Mask, MaskedBy, Value};

use super::fixture::{self, POLICY};
use super::is_null;
use crate::column_type;
use crate::mask::{Hasher, apply};

fn masked(mask: &Mask, column: &ArrayRef) -> ArrayRef {
    let masked =
        MaskedBy { mask: mask.clone(), kind: column_type(column.data_type()), policy: POLICY, rule: 1 };
    let hash: Hasher = Arc::new(fixture::hash);
    apply(&masked, column, &hash).unwrap()
}

fn columns() -> Vec<ArrayRef> {
    let texts = vec![Some("ada@example.com"), None, Some(""), Some("123-45-6789"), Some("Zoë🦀")];
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>(vec![
        Some(vec![Some(1)]),
        None,
        Some(vec![]),
        None,
        None,
    ]);
    let inner: ArrayRef = Arc::new(StringArray::from(texts.clone()));
    let dictionary: DictionaryArray<Int32Type> = texts.iter().copied().collect();
    vec![
        Arc::new(StringArray::from(texts.clone())),
        Arc::new(LargeStringArray::from(texts.clone())),
        Arc::new(StringViewArray::from(texts)),
        Arc::new(dictionary),
        Arc::new(Int8Array::from(vec![Some(-128), None, Some(127), Some(4), Some(5)])),
        Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(i64::MAX), Some(15), Some(-15)])),
        Arc::new(UInt64Array::from(vec![Some(u64::MAX), None, Some(0), Some(15), Some(14)])),
        Arc::new(Float32Array::from(vec![Some(1.26), None, Some(f32::NAN), Some(f32::MAX), Some(-0.05)])),
        Arc::new(Float64Array::from(vec![
            Some(1.26),
            None,
            Some(f64::INFINITY),
            Some(f64::MAX),
            Some(-0.05),
        ])),
        Arc::new(
            Decimal128Array::from(vec![Some(12_345), None, Some(-15), Some(99_999), Some(0)])
                .with_precision_and_scale(5, 2)
                .unwrap(),
        ),
        Arc::new(Date32Array::from(vec![Some(20_000), None, Some(-1), Some(i32::MIN), Some(i32::MAX)])),
        Arc::new(Date64Array::from(vec![
            Some(20_000 * 86_400_000),
            None,
            Some(-86_400_000),
            Some(0),
            Some(1),
        ])),
        Arc::new(TimestampSecondArray::from(vec![Some(1_700_000_000), None, Some(-1), Some(0), Some(59)])),
        Arc::new(
            TimestampNanosecondArray::from(vec![
                Some(1_700_000_000_123_456_789),
                None,
                Some(-1),
                Some(i64::MIN),
                Some(i64::MAX),
            ])
            .with_timezone("UTC"),
        ),
        Arc::new(BinaryArray::from_opt_vec(vec![Some(b"abc"), None, Some(b""), Some(b"x"), Some(b"y")])),
        Arc::new(
            FixedSizeBinaryArray::try_from_sparse_iter_with_size(
                (0..5).map(|n| (n != 1).then_some([n; 4])),
                4,
            )
            .unwrap(),
        ),
        Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), None, None])),
        Arc::new(list),
        Arc::new(StructArray::from(vec![(Arc::new(Field::new("a", DataType::Utf8, true)), inner)])),
        Arc::new(NullArray::new(5)),
    ]
}

fn masks() -> Vec<Mask> {
    vec![
        Mask::Null,
        Mask::Hash,
        Mask::Partial { mask_char: '*', visible_prefix: 1, visible_suffix: 2 },
        Mask::Email { mask_char: '•' },
        Mask::Constant(Value::Text("hidden".into())),
        Mask::Constant(Value::Int(7)),
        Mask::Constant(Value::Date(0)),
        Mask::DateTruncation(DateUnit::Year),
        Mask::DateTruncation(DateUnit::Hour),
        Mask::Rounding { step: Value::Int(10) },
        Mask::Rounding { step: Value::Float(0.1) },
        Mask::Rounding { step: Value::Decimal(Decimal { unscaled: 1_000, scale: 2 }) },
    ]
}

#[test]
fn every_mask_keeps_every_type_or_shows_nothing() {
    for column in columns() {
        for mask in masks() {
            let shown = masked(&mask, &column);
            assert_eq!((shown.data_type(), shown.len()), (column.data_type(), column.len()), "{mask:?}");
            if !matches!(mask, Mask::Constant(_)) {
                assert!(
                    shown.logical_null_count() == 5
                        || shown.is_null(1)
                        || *column.data_type() == DataType::Null,
                    "{mask:?}"
                );
            }
        }
    }
}

#[test]
fn what_a_mask_is_not_for_shows_nothing() {
    for column in columns() {
        let kind = column_type(column.data_type());
        for mask in masks() {
            let fits = match &mask {
                Mask::Null => false,
                Mask::Hash => matches!(kind, ColumnType::Text) || *column.data_type() == DataType::Binary,
                Mask::Partial { .. } | Mask::Email { .. } => kind == ColumnType::Text,
                // Whether a policy's constant fits is the policy's business.
                Mask::Constant(_) => true,
                Mask::DateTruncation(_) => matches!(kind, ColumnType::Date | ColumnType::Timestamp { .. }),
                Mask::Rounding { step: Value::Int(_) } => {
                    matches!(kind, ColumnType::Int { .. } | ColumnType::UInt { .. })
                }
                Mask::Rounding { step: Value::Float(_) } => matches!(kind, ColumnType::Float { .. }),
                Mask::Rounding { .. } => matches!(kind, ColumnType::Decimal { .. }),
                _ => true,
            };
            if !fits {
                let shown = masked(&mask, &column);
                assert_eq!(shown.logical_null_count(), 5, "{mask:?} of {}", column.data_type());
            }
        }
    }
}

#[test]
fn texts_numbers_and_dates_are_masked_as_policies_mask_values() {
    let hash = |bytes: &[u8]| fixture::hash(bytes);
    for column in columns() {
        let kind = column_type(column.data_type());
        for mask in masks() {
            let shown = masked(&mask, &column);
            for row in 0..column.len() {
                let Some(value) = value(&column, row) else { continue };
                let expected = if matches!(value, Value::Null) && !matches!(mask, Mask::Constant(_)) {
                    Value::Null
                } else {
                    mask.apply(&value, kind, &hash)
                };
                // A constant of another type is shown as NULL here, and refused when the policy is made.
                if matches!(mask, Mask::Constant(_)) {
                    continue;
                }
                assert_eq!(
                    self::value(&shown, row),
                    Some(expected),
                    "{mask:?} of {value:?} ({})",
                    column.data_type()
                );
            }
        }
    }
}

/// A value as policies have it, of types that are whole there.
fn value(column: &ArrayRef, row: usize) -> Option<Value> {
    if column.is_null(row) {
        return Some(Value::Null);
    }
    Some(match column.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => {
            Value::Text(cast(column, &DataType::Utf8).unwrap().as_string::<i32>().value(row).to_owned())
        }
        DataType::Int8 | DataType::Int64 => {
            Value::Int(cast(column, &DataType::Int64).unwrap().as_primitive::<Int64Type>().value(row).into())
        }
        DataType::Date32 => {
            Value::Date(column.as_primitive::<datafusion::arrow::datatypes::Date32Type>().value(row))
        }
        DataType::Decimal128(_, scale) => Value::Decimal(Decimal {
            unscaled: column.as_primitive::<datafusion::arrow::datatypes::Decimal128Type>().value(row),
            scale: *scale,
        }),
        DataType::Binary => Value::Binary(column.as_binary::<i32>().value(row).to_vec()),
        DataType::Timestamp(datafusion::arrow::datatypes::TimeUnit::Second, _) => Value::Timestamp(
            column.as_primitive::<datafusion::arrow::datatypes::TimestampSecondType>().value(row) * 1_000_000,
        ),
        _ => return None,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_masked_structure_is_null_as_a_whole() {
    let fixture = fixture::memory();
    let mut emp = fixture.governed(fixture::Caller::Eu);
    let mut resolved = (*emp.resolved).clone();
    for name in ["s", "region", "note"] {
        let kind = column_type(fixture.rows.schema().field_with_name(name).unwrap().data_type());
        resolved.masks.insert(name.to_owned(), MaskedBy { mask: Mask::Null, kind, policy: POLICY, rule: 2 });
    }
    emp.resolved = Arc::new(resolved);
    let mut request =
        super::request(&fixture, fixture::Caller::Eu, "select s, s['b'], region, note, {} from emp");
    request.relations = Arc::new(super::People { secret: emp.clone(), emp });
    for sql in [
        "select s, s['b'], region, note from emp",
        "select max(s), max(s['b']), max(region), max(note) from emp",
    ] {
        request.sql = sql.to_owned();
        let answer = super::engine().query(request.clone()).await.unwrap().collect().await.unwrap();
        assert!(!answer.is_empty());
        assert!(answer.iter().all(|batch| (0..4).all(|column| is_null(batch, column))), "{sql}");
    }
}
