//! The columns of a relation of several files, and each file's rows as rows of the relation.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::{Field, Schema, SchemaRef};

use super::layout::{PartOf, Relation};
use crate::error::{SourceError, quoted};
use crate::files::{self, Format, Kind, MOST_COLUMNS};
use crate::rows::{Batch, Cell};

/// Columns of the files that were looked at, with the types that hold every value of theirs.
#[derive(Debug)]
pub(super) struct Columns {
    /// Those of the files, then those of the folders.
    pub(super) schema: SchemaRef,
    /// The kinds of the files' columns; none where files have types of their own.
    kinds: Option<HashMap<String, Kind>>,
}

/// Columns that are being put together.
#[derive(Default)]
pub(super) struct Merging {
    fields: Vec<Field>,
    kinds: Vec<Kind>,
    places: HashMap<String, usize>,
    inferred: bool,
}

impl Merging {
    /// Adds the columns of a file.
    pub(super) fn add(&mut self, format: &dyn Format, table: usize, key: &str) -> Result<(), SourceError> {
        let schema = table_schema(format, table, key)?;
        let kinds = format.kinds(table);
        self.inferred = kinds.is_some();
        for (index, field) in schema.fields().iter().enumerate() {
            let kind = kinds.and_then(|kinds| kinds.get(index)).copied().unwrap_or_default();
            match self.places.get(field.name()).copied() {
                None => {
                    self.places.insert(field.name().clone(), self.fields.len());
                    self.fields.push(Field::clone(field).with_nullable(true));
                    self.kinds.push(kind);
                }
                Some(place) => self.merge(place, field, kind, key)?,
            }
        }
        if self.fields.len() > MOST_COLUMNS {
            return Err(SourceError::query(format!("The files have more than {MOST_COLUMNS} columns.")));
        }
        Ok(())
    }

    fn merge(&mut self, place: usize, field: &Field, kind: Kind, key: &str) -> Result<(), SourceError> {
        let (Some(known), Some(known_kind)) = (self.fields.get_mut(place), self.kinds.get_mut(place)) else {
            return Ok(());
        };
        if self.inferred {
            *known_kind = known_kind.and(kind);
            return Ok(());
        }
        if known.data_type() != field.data_type() {
            return Err(SourceError::query(format!(
                "The column {} has another type in the file {} than in others.",
                quoted(field.name()),
                quoted(key)
            )));
        }
        Ok(())
    }

    /// With the columns of the folders. A folder's value takes the place of a column of its name.
    pub(super) fn columns(self, relation: &Relation) -> Columns {
        let is_key = |name: &str| relation.keys.iter().any(|(key, _)| key == name);
        let mut fields: Vec<Field> = if self.inferred {
            let names = self.fields.iter().map(|field| field.name().clone());
            let schema = files::schema_of(names.zip(self.kinds.iter().copied()));
            schema.fields().iter().map(|field| field.as_ref().clone()).collect()
        } else {
            self.fields.clone()
        };
        fields.retain(|field| !is_key(field.name()));
        let keys = files::schema_of(relation.keys.iter().cloned());
        fields.extend(keys.fields().iter().map(|field| field.as_ref().clone()));
        let names = self.fields.into_iter().map(|field| field.name().clone());
        let kinds = self.inferred.then(|| names.zip(self.kinds).collect());
        Columns { schema: Arc::new(Schema::new(fields)), kinds }
    }
}

fn table_schema<'a>(format: &'a dyn Format, table: usize, key: &str) -> Result<&'a SchemaRef, SourceError> {
    let table = format.tables().get(table).map(|table| &table.schema);
    table.ok_or_else(|| SourceError::query(format!("The file {} has no such table.", quoted(key))))
}

impl Columns {
    /// Gives a file's columns the relation's kinds. A file that has more than the relation is refused, so that nothing of it is lost.
    pub(super) fn adapt(
        &self,
        format: &mut Arc<dyn Format>,
        table: usize,
        relation: &Relation,
        key: &str,
    ) -> Result<(), SourceError> {
        let schema = SchemaRef::clone(table_schema(&**format, table, key)?);
        let more = |name: &str| {
            SourceError::query(format!(
                "The column {} of the file {} has values that the columns' types, learned from other files, do not hold; raise metadata.sample_files.",
                quoted(name),
                quoted(key)
            ))
        };
        let mut widened = Vec::new();
        for (index, field) in schema.fields().iter().enumerate() {
            if relation.keys.iter().any(|(key, _)| key == field.name()) {
                let own = format.kinds(table).and_then(|kinds| kinds.get(index)).copied();
                widened.push(own.unwrap_or_default());
                continue;
            }
            match (&self.kinds, format.kinds(table).and_then(|kinds| kinds.get(index))) {
                (Some(kinds), Some(own)) => {
                    let kind = *kinds.get(field.name()).ok_or_else(|| more(field.name()))?;
                    // Of no value at all anything is true.
                    let holds = kind.and(*own) == kind || *own == Kind::Unknown;
                    let as_text = kind == Kind::Unknown && *own == Kind::Text;
                    if !holds && !as_text {
                        return Err(more(field.name()));
                    }
                    widened.push(if as_text { Kind::Text } else { kind });
                }
                _ => {
                    let known = self.schema.field_with_name(field.name()).map_err(|_| more(field.name()))?;
                    if known.data_type() != field.data_type() {
                        return Err(more(field.name()));
                    }
                }
            }
        }
        if self.kinds.is_some() {
            let format =
                Arc::get_mut(format).ok_or_else(|| SourceError::query("The file is being read already."))?;
            format.widen(table, &widened);
        }
        Ok(())
    }

    /// The columns of a file that are among those wanted, in their order. Those of folders are not read.
    pub(super) fn read_of(file: &Schema, wanted: &Schema, relation: &Relation) -> Vec<String> {
        let is_key = |name: &str| relation.keys.iter().any(|(key, _)| key == name);
        let names = wanted.fields().iter().map(|field| field.name());
        names.filter(|name| !is_key(name) && file.index_of(name).is_ok()).cloned().collect()
    }
}

/// The rows of a file as rows of the relation: with the values of its folders, and NULL in columns that it has not.
pub(super) fn conformed(
    rows: &RecordBatch,
    wanted: &SchemaRef,
    relation: &Relation,
    file: &PartOf,
) -> Result<RecordBatch, SourceError> {
    let count = rows.num_rows();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(wanted.fields().len());
    for field in wanted.fields() {
        let key = relation.keys.iter().find(|(key, _)| key == field.name());
        columns.push(match (key, rows.column_by_name(field.name())) {
            (Some((key, kind)), _) => repeated(field, *kind, file.value(key), count)?,
            (None, Some(column)) => Arc::clone(column),
            (None, None) => new_null_array(field.data_type(), count),
        });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(count));
    RecordBatch::try_new_with_options(SchemaRef::clone(wanted), columns, &options)
        .map_err(|error| SourceError::query("The rows do not fit the columns.").with_detail(error))
}

/// A folder's value once for each row.
fn repeated(
    field: &Arc<Field>,
    kind: Kind,
    text: Option<&str>,
    count: usize,
) -> Result<ArrayRef, SourceError> {
    let cell = match text {
        Some(text) => kind.cell(text)?,
        None => Cell::Null,
    };
    let schema = Arc::new(Schema::new(vec![Arc::clone(field)]));
    let mut batch = Batch::new(schema)?;
    for _ in 0..count {
        batch.append(0, cell)?;
        batch.end_row();
    }
    let taken = batch.take()?;
    Ok(Arc::clone(taken.column(0)))
}
