//! Lengths of texts that stand before them in a page of a Parquet file, measured before the library makes room for as many as are announced.
//!
//! They are packed as differences: a block of any number of equal lengths takes a few bytes.
//!
//! Source: Apache Parquet, "Encodings", DELTA_BINARY_PACKED, DELTA_LENGTH_BYTE_ARRAY, DELTA_BYTE_ARRAY.

use parquet::basic::Encoding;
use parquet::column::page::Page;
use parquet::schema::types::ColumnDescriptor;

use super::LONGEST_ROW;

/// Lengths of a page at most: in memory each has four bytes.
const MOST: u64 = LONGEST_ROW as u64 / 4;
/// Bytes of a number at most.
const LONGEST_NUMBER: usize = 10;

/// Whether a page has no more lengths than there may be. One that cannot be read is none that the library could read.
pub(super) fn are_bounded(page: &Page, column: &ColumnDescriptor) -> bool {
    let lists = match (page, page.encoding()) {
        (Page::DictionaryPage { .. }, _) => 0,
        (_, Encoding::DELTA_LENGTH_BYTE_ARRAY) => 1,
        // Of what is repeated, and of the rest.
        (_, Encoding::DELTA_BYTE_ARRAY) => 2,
        _ => 0,
    };
    if lists == 0 {
        return true;
    }
    let mut rest = values(page, column);
    for _ in 0..lists {
        rest = rest.and_then(after_lengths);
    }
    rest.is_some()
}

/// The bytes of a page behind its levels.
fn values<'p>(page: &'p Page, column: &ColumnDescriptor) -> Option<&'p [u8]> {
    match page {
        Page::DataPage { buf, num_values, def_level_encoding, rep_level_encoding, .. } => {
            let mut rest = &buf[..];
            let levels = [
                (column.max_rep_level(), *rep_level_encoding),
                (column.max_def_level(), *def_level_encoding),
            ];
            for (most, encoding) in levels {
                if most > 0 {
                    rest = after_levels(rest, most, *num_values, encoding)?;
                }
            }
            Some(rest)
        }
        Page::DataPageV2 { buf, def_levels_byte_len, rep_levels_byte_len, .. } => {
            let levels = usize::try_from(rep_levels_byte_len.checked_add(*def_levels_byte_len)?).ok()?;
            buf.get(levels..)
        }
        Page::DictionaryPage { .. } => None,
    }
}

fn after_levels(bytes: &[u8], most: i16, count: u32, encoding: Encoding) -> Option<&[u8]> {
    #[expect(deprecated, reason = "old files have it")]
    let is_packed = encoding == Encoding::BIT_PACKED;
    if is_packed {
        let bits = u64::from(16 - most.leading_zeros()) * u64::from(count);
        return bytes.get(usize::try_from(bits.div_ceil(8)).ok()?..);
    }
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.get(usize::try_from(u32::from_le_bytes(*length)).ok()?..)
}

/// What stands behind some lengths.
fn after_lengths(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes;
    let (block, parts) = (number(&mut rest)?, number(&mut rest)?);
    let count = number(&mut rest)?;
    number(&mut rest)?;
    let of_part = block.checked_div(parts)?;
    if count > MOST || block % 128 != 0 || block % parts != 0 || of_part % 32 != 0 {
        return None;
    }
    let parts = usize::try_from(parts).ok()?;
    // The first one stands before the blocks.
    let mut left = count.saturating_sub(1);
    while left > 0 {
        if of_part == 0 {
            return None;
        }
        number(&mut rest)?;
        let (widths, packed) = rest.split_at_checked(parts)?;
        let mut bytes = 0_u64;
        for width in widths {
            // Those of parts that are not there may be anything.
            if left > 0 {
                bytes = bytes.checked_add(u64::from(*width).checked_mul(of_part)? / 8)?;
                left = left.saturating_sub(of_part);
            }
        }
        rest = packed.get(usize::try_from(bytes).ok()?..)?;
    }
    Some(rest)
}

/// A number of seven bits a byte.
fn number(rest: &mut &[u8]) -> Option<u64> {
    let end = rest.iter().take(LONGEST_NUMBER).position(|byte| byte & 0x80 == 0)?;
    let (bytes, after) = rest.split_at_checked(end + 1)?;
    *rest = after;
    let parts = bytes.iter().enumerate();
    Some(parts.fold(0, |number, (place, byte)| number | u64::from(byte & 0x7f) << (place * 7)))
}

#[cfg(test)]
mod tests {
    use super::super::headers::tests::varint;
    use super::*;

    /// So many lengths of 3: one block of any size is enough.
    fn equal(count: u64) -> Vec<u8> {
        let block = count.next_multiple_of(128).max(128);
        [varint(block), varint(1), varint(count), varint(6), varint(0), vec![0]].concat()
    }

    #[test]
    fn a_few_bytes_announce_no_more_lengths_than_there_may_be() {
        assert_eq!(after_lengths(&[&equal(1_000)[..], b"abc"].concat()), Some(&b"abc"[..]));
        assert!(after_lengths(&equal(MOST)).is_some());
        assert!(after_lengths(&equal(MOST + 1)).is_none());
        assert!(after_lengths(&equal(u64::from(u32::MAX))).is_none());
        assert!(after_lengths(&equal(1 << 60)).is_none());
    }

    #[test]
    fn what_stands_behind_the_lengths_is_found() {
        let head = |count: u64| [varint(128), varint(4), varint(count), varint(6)].concat();
        assert_eq!(after_lengths(&[&head(0)[..], b"x"].concat()), Some(&b"x"[..]));
        assert_eq!(after_lengths(&[&head(1)[..], b"x"].concat()), Some(&b"x"[..]));
        // Of 40 there are 39 in the block: two parts, of two bits and of three.
        let block = [&head(40)[..], &[0, 2, 3, 99, 99], &[7; 8 + 12], b"x"].concat();
        assert_eq!(after_lengths(&block), Some(&b"x"[..]));
        assert_eq!(after_lengths(&block[..block.len() - 2]), None, "the block is not all there");
        assert_eq!(after_lengths(&[varint(0), varint(1), varint(9), varint(6), vec![0; 99]].concat()), None);
        assert_eq!(after_lengths(&[varint(128), varint(0), varint(9), varint(6)].concat()), None);
        assert_eq!(after_lengths(&[0xff; 20]), None);
        assert_eq!(after_lengths(&[]), None);
    }
}
