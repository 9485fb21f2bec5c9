//! Parquet files of which whole row groups are read at once, by a reader that chooses which.
//!
//! Such a reader holds the columns of a row group as they are in the file, and takes them for what their headers announce. So the headers
//! of all pages of a column are looked at before it is read the first time, and what does not announce all that it has is left to the
//! reader of this crate, which looks at each page when it comes. The file is a copy of this process's own: nobody changes what was looked
//! at.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow_schema::SchemaRef;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::{SortOrder, Type};
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData};
use parquet::file::reader::ChunkReader;

use super::headers::{Page, measure_bounds, measure_places};
use super::mended::mended;
use super::pages::{Chunk, Measured, WRITTEN_OUT, announced};
use super::parquet::Chunks;
use super::spool::{Spooled, broken};
use super::{LONGEST_ROW, READ_ROWS};
use crate::error::SourceError;

/// Bytes of the index of all pages at most. In memory it is some twenty times as large.
const LARGEST_INDEX: u64 = 4 << 20;
/// Bytes that the columns of a row group may have when they are unpacked.
const LARGEST_GROUP: u64 = 512 << 20;
/// Headers, and columns of row groups, that are looked at, and bytes of dictionaries that are unpacked, for one question.
const MOST_PAGES: usize = 200_000;
const MOST_UNPACKED: usize = 512 << 20;
/// Bytes of a dictionary whose values are not looked at: none of them is longer.
const SHORT: usize = 1 << 10;

/// A Parquet file on this machine that nobody changes.
pub struct ParquetContent {
    file: Arc<Spooled>,
    chunks: Chunks,
    measured: Measured<Chunks>,
    metadata: ArrowReaderMetadata,
    has_page_index: bool,
    rows: u64,
    /// What was seen of columns, by row group and place; nothing of those that are not to be read at once.
    seen: Mutex<HashMap<(usize, usize), Option<Seen>>>,
    /// What its reader made of its end.
    made: OnceLock<Arc<dyn Any + Send + Sync>>,
    bytes_read: AtomicU64,
}

/// What the pages of a column of a row group have.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Bytes, as they are in the file.
    packed: u64,
    unpacked: u64,
    /// Bytes of the longest value that may stand in every row.
    longest: usize,
}

/// What may still be looked at.
struct Budget {
    pages: usize,
    unpacked: usize,
}

impl Budget {
    fn page(&mut self) -> Option<()> {
        self.pages = self.pages.checked_sub(1)?;
        Some(())
    }

    fn unpack(&mut self, bytes: usize) -> Option<()> {
        self.unpacked = self.unpacked.checked_sub(bytes)?;
        Some(())
    }

    fn is_spent(&self, bytes: usize) -> bool {
        self.pages == 0 || self.unpacked < bytes
    }
}

impl fmt::Debug for ParquetContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetContent").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl ParquetContent {
    /// Looks at the end of a file. None where its columns cannot be told from one another, or their bounds mean something else.
    pub(super) fn of(file: Arc<Spooled>, metadata: &ArrowReaderMetadata) -> Option<Self> {
        if !file.is_own || metadata.parquet_schema().num_columns() == 0 {
            return None;
        }
        let rows = rows(metadata.metadata())?;
        let mut columns = metadata.metadata().row_groups().iter().flat_map(|group| group.columns());
        if columns.any(is_ordered_otherwise) {
            return None;
        }
        let chunks = Chunks::Here(Arc::clone(&file));
        let measured = Measured::new(chunks.clone(), metadata.metadata()).ok()?;
        // An index is a help. One that is broken is none, and what the library makes of it is no reason to refuse the file.
        let indexed = catch_unwind(AssertUnwindSafe(|| indexed(&chunks, metadata.metadata())));
        let indexed = indexed.ok().flatten();
        Some(Self {
            has_page_index: indexed.is_some(),
            metadata: indexed.unwrap_or_else(|| metadata.clone()),
            file,
            chunks,
            measured,
            rows,
            seen: Mutex::default(),
            made: OnceLock::new(),
            bytes_read: AtomicU64::new(0),
        })
    }

    /// What its end says: row groups, columns and, if [`Self::has_page_index`], pages.
    pub fn metadata(&self) -> &Arc<ParquetMetaData> {
        self.metadata.metadata()
    }

    /// Its columns, of the types that they have in batches.
    pub fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// Whether its pages can be told apart without reading them.
    pub fn has_page_index(&self) -> bool {
        self.has_page_index
    }

    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.file.size
    }

    /// Rows of the file.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// What a reader makes of its end, and would make again for each query. None where another reader made something else.
    pub fn once<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Option<Arc<T>> {
        let made = self.made.get_or_init(|| Arc::new(make()));
        Arc::clone(made).downcast().ok()
    }

    /// Bytes that [`Self::read`] has read so far.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Bytes of these columns, by their places, in the row group that has most of them. None where a row group is not to be read at once:
    /// they may have more in memory than their pages announce, or too much.
    pub async fn largest_group(self: &Arc<Self>, columns: &[usize]) -> Option<u64> {
        let (content, columns) = (Arc::clone(self), columns.to_vec());
        let mut budget = Budget { pages: MOST_PAGES, unpacked: MOST_UNPACKED };
        super::blocking(move || Ok(content.look_at(&columns, &mut budget))).await.ok().flatten()
    }

    /// The same of what was looked at before.
    pub fn known_group(&self, columns: &[usize]) -> Option<u64> {
        self.look_at(columns, &mut Budget { pages: 0, unpacked: 0 })
    }

    /// Reads parts of it, in order.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Query`](crate::ErrorCode::Query) where it has no such part.
    pub async fn read(self: &Arc<Self>, ranges: Vec<Range<u64>>) -> Result<Vec<Vec<u8>>, SourceError> {
        let content = Arc::clone(self);
        super::briefly(move || ranges.iter().map(|range| content.part(range)).collect()).await
    }

    fn part(&self, range: &Range<u64>) -> Result<Vec<u8>, SourceError> {
        let length = range.end.checked_sub(range.start).filter(|_| range.end <= self.file.size);
        let length = length.and_then(|length| usize::try_from(length).ok());
        let length = length.ok_or_else(|| SourceError::query("The file ends before a chunk does."))?;
        let mut part = vec![0; length];
        let mut reader = self.file.reader()?;
        reader.seek(SeekFrom::Start(range.start)).map_err(broken)?;
        reader.read_exact(&mut part).map_err(broken)?;
        self.bytes_read.fetch_add(length as u64, Ordering::Relaxed);
        Ok(part)
    }
}

/// The rows of all row groups, if the file is of one mind about them.
fn rows(metadata: &ParquetMetaData) -> Option<u64> {
    let mut groups = metadata.row_groups().iter().map(|group| u64::try_from(group.num_rows()).ok());
    let sum = groups.try_fold(0_u64, |sum, rows| sum.checked_add(rows?))?;
    (i64::try_from(sum).ok()? == metadata.file_metadata().num_rows()).then_some(sum)
}

/// Whether a column has bounds of before 2018, which order bytes and unsigned numbers as signed ones: readers by row groups take them for
/// bounds in their own order, and would leave out what is within.
fn is_ordered_otherwise(column: &ColumnChunkMetaData) -> bool {
    let is_signed_number =
        !matches!(column.column_type(), Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY | Type::INT96)
            && column.column_descr().sort_order() == SortOrder::SIGNED;
    column.statistics().is_some_and(|bounds| {
        let has_any = bounds.min_bytes_opt().is_some() || bounds.max_bytes_opt().is_some();
        has_any && bounds.is_min_max_deprecated() && !is_signed_number
    })
}

/// Whether a column that may be NULL has bounds, and not how many are: readers by row groups take it for none, and would leave out those that
/// are.
fn counts_no_nulls(column: &ColumnChunkMetaData) -> bool {
    let is_uncounted = column.statistics().is_some_and(|known| known.null_count_opt().is_none());
    is_uncounted && column.column_descr().max_def_level() > 0
}

/// The end of a file with the index of its pages, if it has one that announces no more than there is.
fn indexed(chunks: &Chunks, metadata: &ParquetMetaData) -> Option<ArrowReaderMetadata> {
    let (mut places, mut bounds) = (Vec::new(), Vec::new());
    for column in metadata.row_groups().iter().flat_map(|group| group.columns()) {
        places.push(part(column.offset_index_offset(), column.offset_index_length())?);
        bounds.extend(part(column.column_index_offset(), column.column_index_length()));
    }
    // The library reads all of it in one piece.
    let all = || places.iter().chain(&bounds);
    let (start, end) = (all().map(|part| part.start).min()?, all().map(|part| part.end).max()?);
    let length = end.checked_sub(start).filter(|length| *length <= LARGEST_INDEX)?;
    let bytes = chunks.get_bytes(start, usize::try_from(length).ok()?).ok()?;
    let of = |part: &Range<u64>| {
        let (from, to) = (usize::try_from(part.start - start), usize::try_from(part.end - start));
        bytes.get(from.ok()?..to.ok()?)
    };
    let is_measured = places.iter().all(|part| of(part).is_some_and(|part| measure_places(part).is_ok()))
        && bounds.iter().all(|part| of(part).is_some_and(|part| measure_bounds(part).is_ok()));
    if !is_measured {
        return None;
    }
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
    let indexed = ArrowReaderMetadata::load(chunks, options).and_then(mended).ok()?;
    let is_whole = indexed.metadata().offset_index().is_some() && indexed.metadata().column_index().is_some();
    is_whole.then_some(indexed)
}

/// A part of the file, as columns tell of their index.
fn part(offset: Option<i64>, length: Option<i32>) -> Option<Range<u64>> {
    let start = u64::try_from(offset?).ok()?;
    Some(start..start.checked_add(u64::try_from(length?).ok()?)?)
}

impl ParquetContent {
    fn look_at(&self, columns: &[usize], budget: &mut Budget) -> Option<u64> {
        let metadata = self.metadata.metadata();
        let (schema, columns) = (self.metadata.parquet_schema(), columns.iter().collect::<HashSet<_>>());
        let leaves = (0..schema.num_columns())
            .filter(|leaf| columns.contains(&schema.get_column_root_idx(*leaf)))
            .collect::<Vec<_>>();
        if leaves.len().saturating_mul(metadata.num_row_groups()) > MOST_PAGES {
            return None;
        }
        // A few bytes can announce a list of billions.
        if leaves.iter().any(|leaf| schema.column(*leaf).max_rep_level() > 0) {
            return None;
        }
        let mut largest = 0;
        for group in 0..metadata.num_row_groups() {
            let (mut all, mut row) = (Seen::default(), 0_usize);
            for leaf in &leaves {
                let seen = self.seen(group, *leaf, budget)?;
                all.packed = all.packed.saturating_add(seen.packed);
                all.unpacked = all.unpacked.saturating_add(seen.unpacked);
                row = row.saturating_add(seen.longest);
            }
            if all.unpacked > LARGEST_GROUP || row.saturating_mul(READ_ROWS) > WRITTEN_OUT {
                return None;
            }
            largest = largest.max(all.packed);
        }
        Some(largest)
    }

    /// What a column of a row group has, as it was seen before or is now. None, too, when nothing more is looked at.
    fn seen(&self, group: usize, leaf: usize, budget: &mut Budget) -> Option<Seen> {
        let known = self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(&(group, leaf)).copied();
        if let Some(known) = known {
            return known;
        }
        let seen = self.look(group, leaf, budget);
        // What was left because of the budget is looked at by the next question.
        if seen.is_some() || !budget.is_spent(LONGEST_ROW) {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert((group, leaf), seen);
        }
        seen
    }

    /// Goes from header to header. None where one of them is not what it should be, where the index says something else, and where more
    /// comes of a page than it announces.
    fn look(&self, group: usize, leaf: usize, budget: &mut Budget) -> Option<Seen> {
        let column = self.metadata.metadata().row_groups().get(group)?.columns().get(leaf)?;
        let chunk = Chunk::of(column).filter(Chunk::is_told_by_headers)?;
        if counts_no_nulls(column) {
            return None;
        }
        // The library begins there, be it what it may.
        if column.dictionary_page_offset().is_some_and(|offset| offset <= 0) {
            return None;
        }
        let index = self.metadata.metadata().offset_index().and_then(|index| index.get(group)?.get(leaf));
        let mut places = index.map(|index| index.page_locations().iter());
        let mut seen = Seen { packed: chunk.end.checked_sub(chunk.start)?, ..Seen::default() };
        let mut at = chunk.start;
        while at < chunk.end {
            budget.page()?;
            let (page, _, _) = announced(&self.chunks, at).ok()?;
            let length = u64::try_from(page.head.checked_add(page.packed)?).ok()?;
            let end = at.checked_add(length).filter(|end| *end <= chunk.end)?;
            if page.packed > LONGEST_ROW || page.unpacked > LONGEST_ROW || page.has_lengths() {
                return None;
            }
            if page.is_dictionary() {
                // Another one would not have been looked at when its values come.
                if at != chunk.start || !chunk.has_all_of(page) {
                    return None;
                }
                seen.longest = self.longest(column, chunk, page, budget)?;
            } else if let Some(places) = &mut places {
                let place = places.next()?;
                let there = (u64::try_from(place.offset), u64::try_from(place.compressed_page_size));
                if there != (Ok(at), Ok(length)) {
                    return None;
                }
            }
            seen.unpacked = seen.unpacked.saturating_add(page.unpacked as u64);
            at = end;
        }
        if places.is_some_and(|mut left| left.next().is_some()) {
            return None;
        }
        let longest = seen.longest.max(width(column)).max(chunk.least);
        Some(Seen { longest, ..seen })
    }

    /// Bytes of the longest value of a dictionary, of which one may stand in every row.
    fn longest(
        &self,
        column: &ColumnChunkMetaData,
        chunk: Chunk,
        page: Page,
        budget: &mut Budget,
    ) -> Option<usize> {
        if !chunk.is_text || page.unpacked <= SHORT {
            return Some(if chunk.is_text { page.unpacked } else { 0 });
        }
        budget.unpack(page.unpacked)?;
        let longest = self.measured.longest_in_dictionary(column).ok();
        self.measured.next_batch();
        longest
    }
}

/// Bytes of each value of a column, NULL or not, where all have as many; else 0.
fn width(column: &ColumnChunkMetaData) -> usize {
    usize::try_from(column.column_descr().type_length()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use arrow_array::types::Int64Type;
    use arrow_array::{ArrayRef, Int64Array, ListArray, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::basic::{Compression, Encoding};
    use parquet::file::properties::{EnabledStatistics, WriterProperties};
    use parquet::file::statistics::Statistics;

    use super::super::pages::look_at_footer;
    use super::*;

    fn columns(longest: usize) -> RecordBatch {
        let long = "x".repeat(longest);
        let few = (0..20_000).map(|row| if row % 10_000 == 0 { long.as_str() } else { "b" });
        let lists = (0..20_000_i64).map(|row| Some(vec![Some(row)]));
        let columns: [(&str, ArrayRef); 3] = [
            ("few", Arc::new(StringArray::from_iter_values(few))),
            ("numbers", Arc::new(Int64Array::from_iter_values(0..20_000))),
            ("lists", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn bytes(batch: &RecordBatch, properties: WriterProperties) -> Vec<u8> {
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
        writer.write(batch).unwrap();
        writer.into_inner().unwrap()
    }

    fn content(bytes: &[u8]) -> Option<Arc<ParquetContent>> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let file = Arc::new(Spooled::of(file, "x".to_owned()).unwrap());
        let chunks = Chunks::Here(Arc::clone(&file));
        look_at_footer(&chunks).ok()?;
        let metadata = ArrowReaderMetadata::load(&chunks, ArrowReaderOptions::new()).ok()?;
        ParquetContent::of(file, &metadata).map(Arc::new)
    }

    fn in_groups(compression: Compression) -> WriterProperties {
        let properties = WriterProperties::builder().set_compression(compression);
        properties.set_max_row_group_row_count(Some(7_000)).build()
    }

    #[tokio::test]
    async fn columns_that_announce_all_they_have_are_read_by_row_groups() {
        for compression in
            [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(Default::default())]
        {
            let content = content(&bytes(&columns(10), in_groups(compression))).unwrap();
            assert!(content.has_page_index());
            assert_eq!((content.rows(), content.metadata().num_row_groups()), (20_000, 3));
            assert_eq!(content.known_group(&[1]), None, "not looked at yet");
            let largest = content.largest_group(&[1]).await.unwrap();
            assert!(largest > 0 && largest < content.size(), "{largest}");
            assert_eq!(content.known_group(&[1]), Some(largest));
            assert_eq!(content.largest_group(&[]).await, Some(0), "rows without columns");
        }
    }

    #[tokio::test]
    async fn what_may_have_more_than_it_announces_is_read_page_by_page() {
        let packed = content(&bytes(&columns(10), in_groups(Compression::GZIP(Default::default())))).unwrap();
        assert_eq!(packed.largest_group(&[1]).await, None);
        let plain = content(&bytes(&columns(10), in_groups(Compression::SNAPPY))).unwrap();
        assert_eq!(plain.largest_group(&[2]).await, None, "lists");
        assert!(plain.largest_group(&[0, 1]).await.is_some());
        let long = content(&bytes(&columns(400_000), in_groups(Compression::SNAPPY))).unwrap();
        assert_eq!(long.largest_group(&[0]).await, None, "a long text that may stand in every row");
        assert!(long.largest_group(&[1]).await.is_some(), "of the other columns nothing is the matter");
        let lengths = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_column_encoding("few".into(), Encoding::DELTA_LENGTH_BYTE_ARRAY);
        let lengths = content(&bytes(&columns(10), lengths.build())).unwrap();
        assert_eq!(lengths.largest_group(&[0]).await, None, "lengths that a few bytes announce");
        assert!(lengths.largest_group(&[1]).await.is_some());
    }

    #[tokio::test]
    async fn columns_whose_nulls_are_not_counted_are_read_page_by_page() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter([Some(1), None]));
        let always: ArrayRef = Arc::new(Int64Array::from_iter_values([1, 1]));
        let batch = RecordBatch::try_from_iter([("numbers", numbers), ("always", always)]).unwrap();
        let properties = WriterProperties::builder().set_statistics_enabled(EnabledStatistics::None);
        let whole = bytes(&batch, properties.set_offset_index_disabled(true).build());
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&whole).unwrap();
        let file = Arc::new(Spooled::of(file, "x".to_owned()).unwrap());
        let chunks = Chunks::Here(Arc::clone(&file));
        let read = ArrowReaderMetadata::load(&chunks, ArrowReaderOptions::new()).unwrap();
        for (nulls, is_counted) in [(Some(1), true), (None, false)] {
            let mut builder = ParquetMetaData::clone(read.metadata()).into_builder();
            let mut groups = Vec::new();
            for group in builder.take_row_groups() {
                let bounds = Statistics::int64(Some(1), Some(1), None, nulls, false);
                let columns = group.columns().iter().cloned();
                let columns =
                    columns.map(|chunk| chunk.into_builder().set_statistics(bounds.clone()).build().unwrap());
                let columns = columns.collect();
                groups.push(group.into_builder().set_column_metadata(columns).build().unwrap());
            }
            let metadata = Arc::new(builder.set_row_groups(groups).build());
            let metadata = ArrowReaderMetadata::try_new(metadata, ArrowReaderOptions::new()).unwrap();
            let content = Arc::new(ParquetContent::of(Arc::clone(&file), &metadata).unwrap());
            assert_eq!(content.largest_group(&[0]).await.is_some(), is_counted);
            assert!(content.largest_group(&[1]).await.is_some(), "it is never NULL");
        }
    }

    #[tokio::test]
    async fn parts_are_read_as_far_as_there_are_any() {
        let whole = bytes(&columns(10), in_groups(Compression::SNAPPY));
        let content = content(&whole).unwrap();
        let end = content.size();
        let parts = content.read(vec![0..4, end - 4..end]).await.unwrap();
        assert_eq!((parts, content.bytes_read()), (vec![b"PAR1".to_vec(), b"PAR1".to_vec()], 8));
        for beyond in [end - 4..end + 1, 0..u64::MAX] {
            assert!(content.read(vec![beyond.clone()]).await.is_err(), "{beyond:?}");
        }
    }

    // Wherever a byte is altered, the pages are those of the index and of the headers, or are not read at once.
    #[tokio::test]
    async fn altered_files_are_looked_at_without_harm() {
        let short = columns(10).slice(0, 50);
        let whole = bytes(&short, WriterProperties::builder().build());
        for place in (4..whole.len() - 8).step_by(3) {
            let mut altered = whole.clone();
            altered[place] ^= 0xff;
            // As elsewhere, what ends in the library ends the reading of this file alone.
            if let Ok(Some(content)) = catch_unwind(AssertUnwindSafe(|| content(&altered))) {
                let _ = content.largest_group(&[0, 1]).await;
            }
        }
    }
}
