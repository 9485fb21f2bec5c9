//! Columns without what is left of hidden rows in them.
//!
//! Some arrays keep their values apart from their rows. When rows are taken away, the values stay: a dictionary has the words of hidden rows,
//! which a cast fails on and an Arrow stream sends; views of texts have the bytes that other rows are in. Nothing of it may leave a barrier.

use std::sync::Arc;

use arrow_select::dictionary::garbage_collect_any_dictionary;
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::arrow::error::ArrowError;

/// The same rows, with the values of these rows alone.
pub(crate) fn compacted(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(match column.data_type() {
        DataType::Dictionary(..) => {
            let used = garbage_collect_any_dictionary(column.as_any_dictionary())?;
            let used = used.as_any_dictionary();
            used.with_values(compacted(used.values())?)
        }
        DataType::Utf8View => Arc::new(column.as_string_view().gc()),
        DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
        // Of the others each row has its own values: see `outside`.
        _ => Arc::clone(column),
    })
}

/// The type that a column of this type has outside of its barrier: without metadata of nested fields, and with nested values that are copied
/// where rows are, instead of being shared among them.
pub(crate) fn outside(kind: &DataType) -> DataType {
    match kind {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(nested).collect()),
        DataType::List(field) | DataType::ListView(field) => DataType::List(nested(field)),
        DataType::LargeList(field) | DataType::LargeListView(field) => DataType::LargeList(nested(field)),
        DataType::FixedSizeList(field, size) => DataType::FixedSizeList(nested(field), *size),
        DataType::Map(field, sorted) => DataType::Map(nested(field), *sorted),
        DataType::Dictionary(_, values) if values.is_nested() => outside(values),
        kind => kind.clone(),
    }
}

fn nested(field: &FieldRef) -> FieldRef {
    let kind = match field.data_type() {
        DataType::Dictionary(_, values) => outside(values),
        kind => outside(kind),
    };
    let kind = match kind {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        kind => kind,
    };
    Arc::new(Field::new(field.name(), kind, field.is_nullable()))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{
        BooleanArray, DictionaryArray, ListViewArray, RecordBatch, StringViewArray,
    };
    use datafusion::arrow::buffer::ScalarBuffer;
    use datafusion::arrow::compute::{cast, filter};
    use datafusion::arrow::datatypes::Int32Type;
    use datafusion::arrow::ipc::writer::StreamWriter;

    use super::*;

    /// Longer than what a view holds itself.
    const SEEN: &str = "what everybody may see";
    const HIDDEN: &str = "SECRET, and longer than a view";

    fn sent(column: &ArrayRef) -> String {
        let batch = RecordBatch::try_from_iter([("x", Arc::clone(column))]).unwrap();
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        String::from_utf8_lossy(&writer.into_inner().unwrap()).into_owned()
    }

    fn first_row(column: ArrayRef) -> ArrayRef {
        filter(column.as_ref(), &BooleanArray::from(vec![true, false])).unwrap()
    }

    #[test]
    fn dictionaries_and_views_keep_the_values_of_their_rows_alone() {
        let words: DictionaryArray<Int32Type> = [SEEN, HIDDEN].into_iter().collect();
        let views = StringViewArray::from(vec![SEEN, HIDDEN]);
        let keys = words.keys().clone();
        let both: ArrayRef = Arc::new(DictionaryArray::new(keys, Arc::new(views.clone()) as ArrayRef));
        let bytes = cast(&views, &DataType::BinaryView).unwrap();
        let all: [ArrayRef; 4] = [Arc::new(words), Arc::new(views), both, bytes];
        for column in all {
            let kind = column.data_type().clone();
            let left = first_row(column);
            assert!(
                sent(&left).contains("SECRET"),
                "{kind}: the library has changed, and this is not needed"
            );
            let compacted = compacted(&left).unwrap();
            let sent = sent(&compacted);
            assert!(!sent.contains("SECRET") && sent.contains(SEEN), "{kind}");
            assert_eq!(compacted.data_type(), &kind);
        }
    }

    #[test]
    fn nested_values_are_copied_with_their_rows() {
        let words: DictionaryArray<Int32Type> = [SEEN, HIDDEN].into_iter().collect();
        let item = Arc::new(Field::new("item", words.data_type().clone(), true));
        let (starts, sizes) = (ScalarBuffer::from(vec![0, 1]), ScalarBuffer::from(vec![1, 1]));
        let lists: ArrayRef = Arc::new(ListViewArray::new(item, starts, sizes, Arc::new(words), None));
        let kind = outside(lists.data_type());
        assert_eq!(kind, DataType::List(Arc::new(Field::new("item", DataType::Utf8, true))));
        let left = first_row(lists);
        assert_eq!(left.as_list_view::<i32>().values().len(), 2);
        let copied = sent(&cast(&left, &kind).unwrap());
        assert!(!copied.contains("SECRET") && copied.contains(SEEN));
        let members =
            |inner| DataType::Struct([Arc::new(Field::new("a", inner, true))].into_iter().collect());
        assert_eq!(outside(&members(DataType::Utf8View)), members(DataType::Utf8));
        assert_eq!(outside(&members(kind.clone())), members(kind));
    }
}
