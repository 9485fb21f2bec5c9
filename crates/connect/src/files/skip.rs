//! Which row groups of a Parquet file may have a row that is wanted, by the least and the greatest value that the file keeps of each
//! column of each of them.

use std::cmp::Ordering;

use arrow_schema::{DataType, Schema, TimeUnit};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;

use crate::filter::{Literal, Operator};
use crate::truth::{Known, Truth};

/// A row group, as far as its file describes it.
pub(super) struct Group<'a> {
    schema: &'a Schema,
    metadata: &'a RowGroupMetaData,
}

impl<'a> Group<'a> {
    pub(super) fn new(schema: &'a Schema, metadata: &'a RowGroupMetaData) -> Self {
        Self { schema, metadata }
    }

    /// How the least and the greatest value of a column compare with another one; none where that is not known. Floating-point numbers are
    /// not among them: NaN is in no statistics.
    fn ends(&self, column: &str, value: &Literal) -> Option<(Ordering, Ordering)> {
        let mut fields = self.schema.fields().iter().enumerate().filter(|(_, field)| field.name() == column);
        let (root, field) = fields.next()?;
        if fields.next().is_some() {
            return None;
        }
        let known = self.statistics(root)?;
        let kind = field.data_type();
        if let (DataType::Utf8, Literal::Utf8(text)) = (kind, value) {
            // Cut ones are still below and above all values.
            let (least, greatest) = (known.min_bytes_opt()?, known.max_bytes_opt()?);
            let is_text = matches!(known, Statistics::ByteArray(_));
            return is_text.then(|| (least.cmp(text.as_bytes()), greatest.cmp(text.as_bytes())));
        }
        let value = match (kind, value) {
            (DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64, Literal::Int(value)) => {
                *value
            }
            (DataType::Date32, Literal::Date(day)) => i64::from(*day),
            (DataType::Timestamp(TimeUnit::Microsecond, _), Literal::Timestamp(micros)) => *micros,
            _ => return None,
        };
        let (least, greatest) = match known {
            Statistics::Int32(known) => (i64::from(*known.min_opt()?), i64::from(*known.max_opt()?)),
            Statistics::Int64(known) => (*known.min_opt()?, *known.max_opt()?),
            _ => return None,
        };
        Some((least.cmp(&value), greatest.cmp(&value)))
    }

    /// Those of a column that has no others inside. Old ones are in an order that nobody can rely on.
    fn statistics(&self, root: usize) -> Option<&'a Statistics> {
        let described = self.metadata.schema_descr();
        let leaf = (0..described.num_columns()).find(|leaf| described.get_column_root_idx(*leaf) == root)?;
        let known = self.metadata.columns().get(leaf)?.statistics()?;
        (!known.is_min_max_deprecated()).then_some(known)
    }
}

impl Known for Group<'_> {
    fn compared(&self, column: &str, operator: Operator, value: &Literal) -> Truth {
        let Some((least, greatest)) = self.ends(column, value) else { return Truth::MAYBE };
        let may_be = |operator| match operator {
            Operator::Eq => least.is_le() && greatest.is_ge(),
            Operator::NotEq => least.is_ne() || greatest.is_ne(),
            Operator::Lt => least.is_lt(),
            Operator::LtEq => least.is_le(),
            Operator::Gt => greatest.is_gt(),
            Operator::GtEq => greatest.is_ge(),
        };
        // Numbers of NULLs are not relied on: not every program writes them.
        Truth { is_true: may_be(operator), is_false: may_be(operator.opposite()), is_null: true }
    }

    fn null(&self, _: &str) -> Truth {
        Truth::MAYBE
    }
}
