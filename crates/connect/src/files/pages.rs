//! Pages of Parquet files, measured before the library makes room for what they announce.
//!
//! What a page has when it is unpacked is the file's word, and gzip and Brotli give more than that if they are let. One value of a
//! dictionary can stand in every row of a batch.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Cursor, Read};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use parquet::basic::{Compression, Encoding, Type};
use parquet::column::page::{Page as Unpacked, PageReader};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;

use super::headers::{Page, measure_footer};
use super::lengths::are_bounded;
use super::parquet::failed;
use super::thrift::Unmeasured;
use super::{LONGEST_ROW, READ_ROWS};
use crate::error::SourceError;

/// Bytes of the pages of one batch at most.
const BATCH: u64 = 2 << 30;
/// Bytes of a value in a list, with what says where it is in it: a few bytes can announce a list of billions.
const LISTED: u64 = 12;
/// Bytes that the values of one batch may have when each row repeats the longest of a dictionary.
pub(super) const WRITTEN_OUT: usize = 512 << 20;
/// Bytes of a page whose values repeat the starts of others, and so of each value of it, at most.
const REPEATING: usize = 2 << 20;
/// Bytes of what the end of a file says of the rest, at most: in memory it is many times as large.
const LONGEST_FOOTER: u32 = 64 << 20;
/// Bytes of a page's header at most; statistics are in it.
const LONGEST_HEAD: usize = 1 << 20;
/// The first bytes of a frame of LZ4, which the library unpacks whatever it has. Only writers of before 2020 made such pages.
const LZ4_FRAME: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];

fn refused(why: &str) -> SourceError {
    SourceError::query(format!("The Parquet file cannot be held: {why}."))
}

/// Looks at the end of a file, before the library does.
pub(super) fn look_at_footer(file: &impl ChunkReader) -> Result<(), SourceError> {
    let end = file.len().saturating_sub(8);
    let tail = file.get_bytes(end, 8).map_err(|error| failed(&error))?;
    let Some((length, b"PAR1")) = tail.split_first_chunk::<4>() else { return Ok(()) };
    let length = u32::from_le_bytes(*length);
    let Some(start) = end.checked_sub(length.into()) else { return Ok(()) };
    if length > LONGEST_FOOTER {
        return Err(refused("its end is larger than 64 MiB"));
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let footer = file.get_bytes(start, length).map_err(|error| failed(&error))?;
    measure_footer(&footer).map_err(|_| refused("its end announces what cannot be"))
}

/// A part of the file, and what its pages may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    pub(super) start: u64,
    pub(super) end: u64,
    packing: Packing,
    /// Whether a value of it has any length.
    pub(super) is_text: bool,
    repeats_starts: bool,
    has_lengths: bool,
    /// Bytes of each value at least, where it is not packed.
    pub(super) least: usize,
    /// Bytes that each value of it takes in lists, however it is packed; 0 where it is in none.
    listed: u64,
}

/// What gives as much as it likes, whatever the page announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Bounded,
    Gzip,
    Brotli,
    Lz4,
}

impl Chunk {
    /// Whether the headers of its pages say all that there is to know: none can give more than it announces.
    pub(super) fn is_told_by_headers(&self) -> bool {
        self.packing == Packing::Bounded && !self.repeats_starts && !self.has_lengths
    }

    /// Whether a page has to be looked at before it is read: a value of it may stand in every row, or its lengths come first.
    fn must_be_looked_at(&self, page: Page) -> bool {
        let has_any_length = self.is_text && self.least > 1;
        page.has_lengths() || page.is_dictionary() && has_any_length
    }

    /// Whether a dictionary has the bytes of as many values as it announces: the library makes room for them before it looks.
    pub(super) fn has_all_of(&self, dictionary: Page) -> bool {
        dictionary.values.saturating_mul(self.least) <= dictionary.unpacked
    }

    pub(super) fn of(chunk: &ColumnChunkMetaData) -> Option<Self> {
        let dictionary = chunk.dictionary_page_offset().filter(|offset| *offset > 0);
        let start = dictionary.unwrap_or_else(|| chunk.data_page_offset());
        let start = u64::try_from(start).ok()?;
        Some(Self {
            start,
            end: start.saturating_add(u64::try_from(chunk.compressed_size()).ok()?),
            packing: match chunk.compression() {
                Compression::GZIP(_) => Packing::Gzip,
                Compression::BROTLI(_) => Packing::Brotli,
                Compression::LZ4 => Packing::Lz4,
                _ => Packing::Bounded,
            },
            is_text: matches!(chunk.column_type(), Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY),
            repeats_starts: chunk.encodings().any(|encoding| encoding == Encoding::DELTA_BYTE_ARRAY),
            has_lengths: chunk.encodings().any(|encoding| encoding == Encoding::DELTA_LENGTH_BYTE_ARRAY),
            least: match chunk.column_type() {
                Type::BOOLEAN | Type::FIXED_LEN_BYTE_ARRAY => 1,
                Type::INT32 | Type::FLOAT | Type::BYTE_ARRAY => 4,
                Type::INT64 | Type::DOUBLE => 8,
                Type::INT96 => 12,
            },
            listed: if chunk.column_descr().max_rep_level() > 0 { LISTED } else { 0 },
        })
    }
}

/// What one read of a file takes.
struct Pages {
    /// By where they start; none of them within another.
    chunks: Vec<Chunk>,
    /// Pages whose content is still to come, by where it starts.
    announced: Mutex<HashMap<u64, Page>>,
    /// Bytes of the pages of this batch.
    taken: AtomicU64,
    failure: Mutex<Option<SourceError>>,
    /// Sums of the pages that were looked at, by where their content starts: a server may answer something else when they are read.
    seen: Mutex<HashMap<u64, u64>>,
    /// How often pages are looked at now, and not read.
    looking: AtomicUsize,
    sums: RandomState,
}

/// As long as it is there, pages are looked at.
struct Looking<'p>(&'p AtomicUsize);

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A file whose pages are measured.
pub(super) struct Measured<R> {
    file: R,
    pages: Arc<Pages>,
}

impl<R: Clone> Clone for Measured<R> {
    fn clone(&self) -> Self {
        Self { file: self.file.clone(), pages: Arc::clone(&self.pages) }
    }
}

impl<R: ChunkReader + Clone> Measured<R> {
    /// A file of which this is known.
    pub(super) fn new(file: R, metadata: &ParquetMetaData) -> Result<Self, SourceError> {
        let all = metadata.row_groups().iter().flat_map(|group| group.columns());
        let mut chunks: Vec<Chunk> = all.filter_map(Chunk::of).collect();
        chunks.sort_unstable_by_key(|chunk| chunk.start);
        if chunks.windows(2).any(|pair| matches!(pair, [one, other] if other.start < one.end)) {
            return Err(refused("its columns are within one another"));
        }
        Ok(Self { file, pages: Arc::new(Pages::of(chunks)) })
    }

    /// How many rows of a row group may come at once: as many as have room if each had the longest value of each dictionary of the
    /// columns, by their places in the file.
    pub(super) fn rows_at_once(
        &self,
        metadata: &ParquetMetaData,
        group: usize,
        columns: &[usize],
    ) -> parquet::errors::Result<usize> {
        self.pages.seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let schema = metadata.file_metadata().schema_descr();
        let Some(group) = metadata.row_groups().get(group) else { return Ok(READ_ROWS) };
        let mut row = 0_usize;
        for (leaf, chunk) in group.columns().iter().enumerate().take(schema.num_columns()) {
            if !columns.contains(&schema.get_column_root_idx(leaf)) {
                continue;
            }
            let Some(about) = Chunk::of(chunk) else { continue };
            row = row.saturating_add(about.least);
            if !about.is_text {
                continue;
            }
            if about.repeats_starts || about.has_lengths {
                self.measure_lengths(chunk)?;
            }
            let repeating = if about.repeats_starts { REPEATING } else { 0 };
            // In lists a row has as many as all rows have on the average, and about as much.
            let each = chunk.num_values().checked_div(group.num_rows()).filter(|_| about.listed > 0);
            let each = each.and_then(|each| usize::try_from(each).ok()).unwrap_or(1).max(1);
            let longest = self.longest_in_dictionary(chunk)?.max(repeating);
            row = row.saturating_add(longest.saturating_mul(each));
            self.next_batch();
        }
        Ok((WRITTEN_OUT / row.max(1)).clamp(1, READ_ROWS))
    }

    /// Refuses a column that has a page with more lengths than there may be.
    fn measure_lengths(&self, chunk: &ColumnChunkMetaData) -> parquet::errors::Result<()> {
        if chunk.compressed_size() <= 0 {
            return Ok(());
        }
        let _looking = self.pages.look();
        let mut pages = SerializedPageReader::new(Arc::new(self.clone()), chunk, 0, None)?;
        while let Some(page) = pages.get_next_page()? {
            self.next_batch();
            if !are_bounded(&page, chunk.column_descr()) {
                return Err(self
                    .pages
                    .refuse("a page has more values than there may be, or not all of them"));
            }
        }
        Ok(())
    }

    /// Bytes of the longest value of a column's dictionary, or of each value where all have as many; 0 where neither is.
    pub(super) fn longest_in_dictionary(
        &self,
        chunk: &ColumnChunkMetaData,
    ) -> parquet::errors::Result<usize> {
        // A value that is NULL takes as much room, and is in no page.
        if chunk.column_type() == Type::FIXED_LEN_BYTE_ARRAY {
            return Ok(usize::try_from(chunk.column_descr().type_length()).unwrap_or(0));
        }
        if chunk.compressed_size() <= 0 {
            return Ok(0);
        }
        let _looking = self.pages.look();
        let mut pages = SerializedPageReader::new(Arc::new(self.clone()), chunk, 0, None)?;
        let Some(Unpacked::DictionaryPage { buf, .. }) = pages.get_next_page()? else { return Ok(0) };
        let (mut longest, mut rest) = (0, &buf[..]);
        // Each value has its length before it.
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
            let Some(after) = after.get(length..) else { break };
            (longest, rest) = (longest.max(length), after);
        }
        Ok(longest)
    }

    /// A batch came: the next one may have as much.
    pub(super) fn next_batch(&self) {
        self.pages.taken.store(0, Ordering::Relaxed);
    }

    /// Why reading ended, if it was refused here.
    pub(super) fn failure(&self) -> Option<SourceError> {
        self.pages.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The header of a page, and the bytes that were read for it.
pub(super) fn announced<R: ChunkReader>(
    file: &R,
    start: u64,
) -> parquet::errors::Result<(Page, Vec<u8>, R::T)> {
    let mut input = file.get_read(start)?;
    let mut bytes = Vec::new();
    let mut wanted = 128;
    loop {
        let before = bytes.len();
        input.by_ref().take((wanted - before) as u64).read_to_end(&mut bytes)?;
        match Page::of(&bytes) {
            Ok(page) => return Ok((page, bytes, input)),
            Err(Unmeasured::Ended) if bytes.len() == wanted && wanted < LONGEST_HEAD => wanted *= 4,
            Err(_) => return Err(ParquetError::General("the header of a page is broken".to_owned())),
        }
    }
}

impl Pages {
    fn of(chunks: Vec<Chunk>) -> Self {
        Self {
            chunks,
            announced: Mutex::default(),
            taken: AtomicU64::new(0),
            failure: Mutex::default(),
            seen: Mutex::default(),
            looking: AtomicUsize::new(0),
            sums: RandomState::new(),
        }
    }

    fn look(&self) -> Looking<'_> {
        self.looking.fetch_add(1, Ordering::Relaxed);
        Looking(&self.looking)
    }

    /// Whether a page is what was looked at, if that has to be.
    fn is_as_it_was(&self, start: u64, page: Page, bytes: &[u8]) -> bool {
        if !self.chunk(start).is_some_and(|chunk| chunk.must_be_looked_at(page)) {
            return true;
        }
        let sum = self.sums.hash_one((page, bytes));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if self.looking.load(Ordering::Relaxed) > 0 {
            seen.insert(start, sum);
            return true;
        }
        seen.get(&start) == Some(&sum)
    }

    fn chunk(&self, at: u64) -> Option<Chunk> {
        let after = self.chunks.partition_point(|chunk| chunk.start <= at);
        let chunk = self.chunks.get(after.checked_sub(1)?)?;
        (at < chunk.end).then_some(*chunk)
    }

    fn refuse(&self, why: &str) -> ParquetError {
        let error = refused(why);
        let text = error.message.clone();
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        ParquetError::General(text)
    }

    /// Lets a page through by its header.
    fn admit(&self, start: u64, page: Page) -> parquet::errors::Result<()> {
        let Some(chunk) = self.chunk(start) else {
            return Err(self.refuse("a page is outside of its column"));
        };
        if page.unpacked > LONGEST_ROW || page.packed > LONGEST_ROW {
            return Err(self.refuse("a page is larger than 64 MiB"));
        }
        // It was looked at before how many rows may come at once; another one was not.
        if page.is_dictionary() && start != chunk.start {
            return Err(self.refuse("a column has several dictionaries"));
        }
        if page.is_dictionary() && !chunk.has_all_of(page) {
            return Err(self.refuse("a dictionary has not all values that it announces"));
        }
        if page.has_lengths() && !page.repeats_starts() && !chunk.has_lengths {
            return Err(self.refuse("a page has an encoding that was not announced"));
        }
        if page.repeats_starts() && (!chunk.repeats_starts || page.unpacked > REPEATING) {
            return Err(self.refuse("a page has an encoding that was not announced, or is too large for it"));
        }
        let mut announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner);
        announced.insert(start.saturating_add(page.head as u64), page);
        Ok(())
    }

    /// Lets the content of a page through: as much as was announced, and no more when it is unpacked.
    fn check(&self, start: u64, bytes: &[u8]) -> parquet::errors::Result<()> {
        let page = self.announced.lock().unwrap_or_else(PoisonError::into_inner).remove(&start);
        let Some(page) = page.filter(|page| page.packed == bytes.len()) else {
            return Err(self.refuse("a page is not what its header says"));
        };
        if !self.is_as_it_was(start, page, bytes) {
            return Err(self.refuse("a page is not what it was"));
        }
        let listed = self.chunk(start).filter(|_| !page.is_dictionary()).map_or(0, |chunk| chunk.listed);
        let room = (page.unpacked as u64).max(listed.saturating_mul(page.values as u64));
        let taken = self.taken.fetch_add(room, Ordering::Relaxed);
        if taken.saturating_add(room) > BATCH {
            return Err(self.refuse("its rows are too large"));
        }
        let packing = self.chunk(start).filter(|_| page.is_packed).map(|chunk| chunk.packing);
        let packed = bytes.get(page.levels..).unwrap_or_default();
        let most = (page.unpacked - page.levels) as u64;
        let is_within = match packing {
            Some(Packing::Gzip) => gives_at_most(MultiGzDecoder::new(packed), most),
            Some(Packing::Brotli) => gives_at_most(brotli::Decompressor::new(packed, 4096), most),
            Some(Packing::Lz4) => !packed.starts_with(&LZ4_FRAME),
            Some(Packing::Bounded) | None => true,
        };
        if is_within { Ok(()) } else { Err(self.refuse("a page has more than it announces")) }
    }
}

/// Whether something unpacks to so many bytes at most. What is broken ends where the library ends, too.
fn gives_at_most(unpacking: impl Read, most: u64) -> bool {
    let mut given = Counted(0);
    let _ = io::copy(&mut unpacking.take(most.saturating_add(1)), &mut given);
    given.0 <= most
}

/// Counts what is written, also when writing ends early.
struct Counted(u64);

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<R: ChunkReader> Length for Measured<R> {
    fn len(&self) -> u64 {
        self.file.len()
    }
}

/// Reads of the readers of files are of pages' headers.
impl<R: ChunkReader> ChunkReader for Measured<R> {
    type T = io::Chain<Cursor<Vec<u8>>, R::T>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let (page, bytes, rest) = announced(&self.file, start)?;
        self.pages.admit(start, page)?;
        Ok(Cursor::new(bytes).chain(rest))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let bytes = self.file.get_bytes(start, length)?;
        self.pages.check(start, &bytes)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use flate2::write::GzEncoder;
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::{
        ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
    };
    use parquet::file::properties::WriterProperties;

    use super::super::headers::tests::{dictionary, header};
    use super::*;

    /// Texts that repeat, texts that do not, and numbers.
    fn batch(longest: usize) -> RecordBatch {
        let long = "x".repeat(longest);
        let few = (0..20_000).map(|row| if row % 10_000 == 0 { long.as_str() } else { "b" });
        let few = StringArray::from_iter_values(few);
        let many = StringArray::from_iter_values((0..20_000).map(|row| format!("text {row}")));
        let numbers = Int64Array::from_iter_values(0..20_000);
        let columns: [(&str, ArrayRef); 3] =
            [("few", Arc::new(few)), ("many", Arc::new(many)), ("numbers", Arc::new(numbers))];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn written(batch: &RecordBatch, properties: WriterProperties) -> Bytes {
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
        writer.write(batch).unwrap();
        writer.into_inner().unwrap().into()
    }

    /// How many rows there are, and how few came at once at most.
    fn read(file: &Bytes) -> (usize, usize) {
        look_at_footer(file).unwrap();
        let metadata = ArrowReaderMetadata::load(file, ArrowReaderOptions::new()).unwrap();
        let measured = Measured::new(file.clone(), metadata.metadata()).unwrap();
        let (mut count, mut fewest) = (0, READ_ROWS);
        for group in 0..metadata.metadata().num_row_groups() {
            let rows = measured.rows_at_once(metadata.metadata(), group, &[0, 1, 2]).unwrap();
            fewest = fewest.min(rows);
            let reader =
                ParquetRecordBatchReaderBuilder::new_with_metadata(measured.clone(), metadata.clone());
            for batch in reader.with_row_groups(vec![group]).with_batch_size(rows).build().unwrap() {
                count += batch.unwrap_or_else(|error| panic!("{error}: {:?}", measured.failure())).num_rows();
                measured.next_batch();
            }
        }
        (count, fewest)
    }

    #[test]
    fn what_writers_write_is_read() {
        for compression in [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::GZIP(Default::default()),
            Compression::BROTLI(Default::default()),
            Compression::ZSTD(Default::default()),
            Compression::LZ4_RAW,
        ] {
            for version in [
                parquet::file::properties::WriterVersion::PARQUET_1_0,
                parquet::file::properties::WriterVersion::PARQUET_2_0,
            ] {
                let properties = WriterProperties::builder()
                    .set_compression(compression)
                    .set_writer_version(version)
                    .set_max_row_group_row_count(Some(7_000))
                    .set_data_page_row_count_limit(1_000);
                assert_eq!(
                    read(&written(&batch(5_000), properties.build())).0,
                    20_000,
                    "{compression:?} {version:?}"
                );
            }
        }
    }

    #[test]
    fn texts_whose_lengths_come_first_are_read() {
        for encoding in [Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY] {
            for version in [
                parquet::file::properties::WriterVersion::PARQUET_1_0,
                parquet::file::properties::WriterVersion::PARQUET_2_0,
            ] {
                let properties = WriterProperties::builder()
                    .set_dictionary_enabled(false)
                    .set_writer_version(version)
                    .set_compression(Compression::SNAPPY)
                    .set_max_row_group_row_count(Some(7_000))
                    .set_column_encoding("few".into(), encoding)
                    .set_column_encoding("many".into(), encoding);
                let file = written(&batch(50), properties.build());
                assert_eq!(read(&file).0, 20_000, "{encoding:?} {version:?}");
            }
        }
    }

    #[test]
    fn what_was_looked_at_is_what_is_read() {
        let (head, content) = (dictionary(1, 7), b"\x03\0\0\0abc");
        let pages = pages(Packing::Bounded, head.len() + content.len());
        let page = Page::of(&head).unwrap();
        let read = |bytes: &[u8]| {
            pages.admit(0, page).unwrap();
            pages.check(head.len() as u64, bytes)
        };
        assert!(read(content).is_err(), "nobody looked at it");
        let looking = pages.look();
        read(content).unwrap();
        drop(looking);
        read(content).unwrap();
        assert!(read(b"\x03\0\0\0abd").is_err(), "a server answers something else");
    }

    #[test]
    fn a_few_bytes_announce_no_list_of_billions() {
        let head = header(10, 10);
        let mut page = Page::of(&head).unwrap();
        page.values = 0x7fff_ffff;
        let read = |listed: u64| {
            let mut pages = pages(Packing::Bounded, head.len() + 10);
            pages.chunks[0].listed = listed;
            pages.admit(0, page).unwrap();
            pages.check(head.len() as u64, &[0; 10])
        };
        assert!(read(0).is_ok(), "of rows only as many come as are wanted");
        assert!(read(LISTED).is_err());
    }

    // The library makes room for as many values as it says that there are, whatever the page has.
    #[test]
    fn a_dictionary_has_the_values_that_it_announces() {
        for (values, is_let_through) in [(25, true), (26, false), (0x7fff_ffff, false)] {
            let file = Bytes::from([dictionary(values, 100), vec![0; 100]].concat());
            let file = Measured { pages: Arc::new(pages(Packing::Bounded, file.len())), file };
            assert_eq!(file.get_read(0).is_ok(), is_let_through, "{values}");
        }
    }

    #[test]
    fn the_longer_the_texts_of_dictionaries_the_fewer_rows_come_at_once() {
        let plain = WriterProperties::builder().set_dictionary_enabled(false).build();
        assert_eq!(read(&written(&batch(5_000), plain)), (20_000, READ_ROWS));
        let usual = || WriterProperties::builder().build();
        assert_eq!(read(&written(&batch(5_000), usual())), (20_000, READ_ROWS));
        let (count, rows) = read(&written(&batch(400_000), usual()));
        assert_eq!(count, 20_000);
        let longest = 400_000 + "text 19999".len();
        assert!((WRITTEN_OUT / longest..=WRITTEN_OUT / 400_000).contains(&rows), "{rows}");
    }

    /// One column of the whole file.
    fn pages(packing: Packing, length: usize) -> Pages {
        let end = length as u64;
        let chunk = Chunk {
            start: 0,
            end,
            packing,
            is_text: true,
            repeats_starts: false,
            has_lengths: false,
            least: 4,
            listed: 0,
        };
        Pages::of(vec![chunk])
    }

    fn measured(packing: Packing, unpacked: u64, content: &[u8]) -> (Measured<Bytes>, u64) {
        let head = header(unpacked, content.len() as u64);
        let file = Bytes::from([head.as_slice(), content].concat());
        (Measured { pages: Arc::new(pages(packing, file.len())), file }, head.len() as u64)
    }

    #[test]
    fn a_page_that_announces_gigabytes_is_refused_by_its_header() {
        let (file, _) = measured(Packing::Bounded, 0x7fff_fff0, b"abc");
        assert!(file.get_read(0).is_err());
        assert!(file.failure().unwrap().message.contains("64 MiB"));
    }

    #[test]
    fn a_page_that_gives_more_than_it_announces_is_refused() {
        let mut packed = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&[0; 1_000_000]).unwrap();
        let packed = packed.finish().unwrap();
        for (unpacked, is_let_through) in [(1_000_000, true), (999_999, false), (10, false)] {
            let (file, at) = measured(Packing::Gzip, unpacked, &packed);
            file.get_read(0).map(drop).unwrap();
            assert_eq!(file.get_bytes(at, packed.len()).is_ok(), is_let_through, "{unpacked}");
        }
        let (file, at) = measured(Packing::Lz4, 100, &[&LZ4_FRAME[..], b"rest"].concat());
        file.get_read(0).map(drop).unwrap();
        assert!(file.get_bytes(at, 8).is_err());
    }

    #[test]
    fn content_that_no_header_announced_is_refused() {
        let (file, at) = measured(Packing::Bounded, 10, b"0123456789");
        assert!(file.get_bytes(at, 10).is_err(), "before its header");
        file.get_read(0).map(drop).unwrap();
        assert!(file.get_bytes(at, 9).is_err(), "another length");
        file.get_read(0).map(drop).unwrap();
        assert_eq!(file.get_bytes(at, 10).unwrap(), Bytes::from_static(b"0123456789"));
    }

    #[test]
    fn the_pages_of_a_batch_have_an_end() {
        let (file, at) = measured(Packing::Bounded, LONGEST_ROW as u64, b"abc");
        for _ in 0..BATCH / LONGEST_ROW as u64 {
            file.get_read(0).map(drop).unwrap();
            file.get_bytes(at, 3).unwrap();
        }
        file.get_read(0).map(drop).unwrap();
        assert!(file.get_bytes(at, 3).is_err());
        file.next_batch();
        file.get_read(0).map(drop).unwrap();
        assert!(file.get_bytes(at, 3).is_ok());
    }

    // The library makes room for as many row groups as are announced, and the process would end.
    #[test]
    fn a_footer_that_announces_billions_of_row_groups_is_refused() {
        let footer = [0x15, 0x02, 0x39, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07];
        let length = u32::try_from(footer.len()).unwrap().to_le_bytes();
        let file = Bytes::from([&b"PAR1"[..], &footer, &length, b"PAR1"].concat());
        assert!(look_at_footer(&file).unwrap_err().message.contains("announces"));
    }
}
