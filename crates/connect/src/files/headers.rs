//! What headers, the end and the index of a Parquet file announce, measured before a library makes room for it.
//!
//! Source: Apache Parquet, "parquet.thrift".

use super::thrift::{BINARY, BYTE, FALSE, I32, I64, LIST, Reader, STRUCT, TRUE, Unmeasured};

/// Row groups of a file at most: their number has fifteen bits.
const ROW_GROUPS: u64 = i16::MAX as u64;
/// Columns and groups of columns of a file at most.
const ELEMENTS: u64 = 100_000;
/// Groups of columns inside of one another at most. The library goes into each by calling itself.
const DEEPEST_GROUPS: usize = 64;
/// Bytes of the names of all columns at most, each with those of the groups that it is in: the library keeps them so.
const PATHS: usize = 64 << 20;

/// What the header of a page announces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Page {
    /// Bytes of the header itself.
    pub(super) head: usize,
    /// What kind of page.
    kind: i32,
    /// Bytes when it is unpacked, and as it is.
    pub(super) unpacked: usize,
    pub(super) packed: usize,
    /// Bytes at its start that are never packed, and whether the rest is.
    pub(super) levels: usize,
    pub(super) is_packed: bool,
    /// Values that it says it has. Of a dictionary the library makes room for as many.
    pub(super) values: usize,
    encoding: i32,
}

impl Page {
    /// Whether it holds each value once that others refer to.
    pub(super) fn is_dictionary(self) -> bool {
        self.kind == 2
    }

    /// Whether its values repeat the starts of others (DELTA_BYTE_ARRAY).
    pub(super) fn repeats_starts(self) -> bool {
        self.encoding == 7
    }

    /// Whether the lengths of its values stand before them (DELTA_LENGTH_BYTE_ARRAY, DELTA_BYTE_ARRAY). The library makes room for as many as
    /// are announced, and a few bytes can announce any number.
    pub(super) fn has_lengths(self) -> bool {
        matches!(self.encoding, 6 | 7)
    }

    /// Reads the header of a page.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, Unmeasured> {
        let mut page = Self { is_packed: true, ..Self::default() };
        let mut seen = 0_u16;
        let mut reader = Reader { rest: bytes };
        reader.fields(&mut |reader, id, kind| {
            let Some(bit) = u32::try_from(id).ok().and_then(|id| 1_u16.checked_shl(id)).filter(|_| id <= 8)
            else {
                return Ok(false);
            };
            let expected = if id <= 4 { I32 } else { STRUCT };
            // Of a field that comes twice the library takes the last, and of one of another kind whatever is there.
            if seen & bit != 0 || kind != expected {
                return Err(Unmeasured::Broken);
            }
            seen |= bit;
            match id {
                1 => page.kind = reader.int()?,
                2 => page.unpacked = reader.size()?,
                3 => page.packed = reader.size()?,
                5 | 7 | 8 => page.about(reader, id)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        // The library takes the one of its kind, and of the second version's how the page is packed, whatever its kind.
        let about = match page.kind {
            0 => 1 << 5,
            1 => 1 << 6,
            2 => 1 << 7,
            3 => 1 << 8,
            _ => return Err(Unmeasured::Broken),
        };
        let needed = 1 << 1 | 1 << 2 | 1 << 3 | about;
        let others = (1 << 5 | 1 << 6 | 1 << 7 | 1 << 8) & !about;
        page.head = bytes.len() - reader.rest.len();
        let is_of_one_mind = seen & needed == needed && seen & others == 0;
        if is_of_one_mind && page.levels <= page.unpacked.min(page.packed) {
            Ok(page)
        } else {
            Err(Unmeasured::Broken)
        }
    }

    /// What the header says of pages of one kind, by the field that it stands in: 5 of data, 7 of a dictionary, 8 of data of the second
    /// version, which has levels apart. The library takes each number for what it should be, whatever kind it says that it is.
    fn about(&mut self, reader: &mut Reader<'_>, of: i16) -> Result<(), Unmeasured> {
        let (numbers, encoding) = match of {
            5 => (4, 2),
            7 => (2, 2),
            _ => (6, 4),
        };
        let mut last = 0;
        reader.fields(&mut |reader, id, kind| {
            let is_expected = match (of, id) {
                (7, 3) | (8, 7) => matches!(kind, TRUE | FALSE),
                (5, 5) | (8, 8) => kind == STRUCT,
                (_, id) if id <= numbers => kind == I32,
                _ => true,
            };
            if id <= last || !is_expected {
                return Err(Unmeasured::Broken);
            }
            last = id;
            match (of, id) {
                (_, 1) => self.values = reader.size()?,
                (_, id) if id == encoding => self.encoding = reader.int()?,
                (8, 5 | 6) => self.levels = self.levels.saturating_add(reader.size()?),
                (8, 7) => self.is_packed = kind == TRUE,
                _ => return Ok(false),
            }
            // A truth is in the head of its field.
            Ok(true)
        })
    }
}

/// Refuses what the end of a file says of the rest, if it announces more row groups than there can be: the library makes room for as many.
///
/// The library takes a field for what it should be, whatever it says that it is. So what comes before the row groups must be what it should
/// be, or both would read different things.
pub(super) fn measure_footer(bytes: &[u8]) -> Result<(), Unmeasured> {
    let (mut reader, mut last) = (Reader { rest: bytes }, 0);
    reader.fields(&mut |reader, id, kind| {
        let expected = match id {
            1 => I32,
            2 | 4 | 5 | 7 => LIST,
            3 => I64,
            6 | 9 => BINARY,
            8 => STRUCT,
            _ => kind,
        };
        if id <= last || kind != expected {
            return Err(Unmeasured::Broken);
        }
        last = id;
        match id {
            2 => reader.schema().map(|()| true),
            4 if (Reader { rest: reader.rest }).list()?.1 > ROW_GROUPS => Err(Unmeasured::Broken),
            _ => Ok(false),
        }
    })
}

/// Refuses the places of a column's pages, if more are announced than there are: the library makes room for as many.
pub(super) fn measure_places(bytes: &[u8]) -> Result<(), Unmeasured> {
    let (mut reader, mut last) = (Reader { rest: bytes }, 0);
    reader.fields(&mut |reader, id, kind| {
        if id <= last || matches!(id, 1 | 2) && kind != LIST {
            return Err(Unmeasured::Broken);
        }
        last = id;
        match id {
            1 => reader.places().map(|()| true),
            2 => reader.list_of(&[I64]).map(|()| true),
            _ => Ok(false),
        }
    })
}

/// The same of what is said of the values of a column's pages.
pub(super) fn measure_bounds(bytes: &[u8]) -> Result<(), Unmeasured> {
    let (mut reader, mut last) = (Reader { rest: bytes }, 0);
    reader.fields(&mut |reader, id, kind| {
        let expected = match id {
            1..=3 | 5..=7 => LIST,
            4 => I32,
            _ => kind,
        };
        if id <= last || kind != expected {
            return Err(Unmeasured::Broken);
        }
        last = id;
        match id {
            1 => reader.list_of(&[TRUE, FALSE]).map(|()| true),
            2 | 3 => reader.list_of(&[BINARY]).map(|()| true),
            5..=7 => reader.list_of(&[I64]).map(|()| true),
            _ => Ok(false),
        }
    })
}

impl Reader<'_> {
    /// Reads the list of a file's columns: each group before those that are in it.
    fn schema(&mut self) -> Result<(), Unmeasured> {
        let (kind, count) = self.list()?;
        if kind != STRUCT && count > 0 || count > ELEMENTS {
            return Err(Unmeasured::Broken);
        }
        // The groups that the next one is in: how many are still to come of each, and the bytes of the names down to it.
        let mut groups: Vec<(u64, usize)> = Vec::new();
        let mut paths = 0_usize;
        for place in 0..count {
            let (name, children) = self.element()?;
            while groups.last().is_some_and(|(left, _)| *left == 0) {
                groups.pop();
            }
            let mut path = name;
            if let Some((left, above)) = groups.last_mut() {
                *left -= 1;
                path = path.saturating_add(*above);
            }
            if children == 0 {
                paths = paths.saturating_add(path);
            } else {
                groups.push((children, path));
            }
            // The library makes room for as many as are announced.
            if children >= count - place || groups.len() > DEEPEST_GROUPS || paths > PATHS {
                return Err(Unmeasured::Broken);
            }
        }
        Ok(())
    }

    /// Reads a column or a group of columns: the bytes of its name, and how many are in it.
    fn element(&mut self) -> Result<(usize, u64), Unmeasured> {
        let (mut name, mut children, mut last) = (0, 0, 0);
        self.fields(&mut |reader, id, kind| {
            let expected = match id {
                1..=3 | 5..=9 => I32,
                4 => BINARY,
                10 => STRUCT,
                _ => kind,
            };
            if id <= last || kind != expected {
                return Err(Unmeasured::Broken);
            }
            last = id;
            match id {
                4 => {
                    let length = reader.varint()?;
                    name = usize::try_from(length).map_err(|_| Unmeasured::Broken)?;
                    reader.skip_bytes(length).map(|()| true)
                }
                5 => {
                    children = u64::try_from(reader.int()?).map_err(|_| Unmeasured::Broken)?;
                    Ok(true)
                }
                10 => reader.logical_type().map(|()| true),
                _ => Ok(false),
            }
        })?;
        Ok((name, children))
    }

    /// Reads what a column means.
    fn logical_type(&mut self) -> Result<(), Unmeasured> {
        self.fields(&mut |reader, meaning, kind| {
            if kind != STRUCT {
                return Err(Unmeasured::Broken);
            }
            reader.fields(&mut |reader, id, kind| {
                let is_expected = match (meaning, id) {
                    // Decimals, and geographies with their algorithm.
                    (5, 1 | 2) | (18, 2) => kind == I32,
                    // Times and moments: whether they are in UTC, and their unit.
                    (7 | 8, 1) | (10, 2) => matches!(kind, TRUE | FALSE),
                    (7 | 8, 2) => kind == STRUCT,
                    // Bits of integers, versions of variants.
                    (10 | 16, 1) => kind == BYTE,
                    (17 | 18, 1) => kind == BINARY,
                    _ => true,
                };
                match (meaning, id) {
                    _ if !is_expected => Err(Unmeasured::Broken),
                    (7 | 8, 2) => reader.unit().map(|()| true),
                    _ => Ok(false),
                }
            })?;
            Ok(true)
        })
    }

    fn unit(&mut self) -> Result<(), Unmeasured> {
        self.fields(&mut |_, _, kind| if kind == STRUCT { Ok(false) } else { Err(Unmeasured::Broken) })
    }

    /// Reads a list of places of pages.
    fn places(&mut self) -> Result<(), Unmeasured> {
        let (kind, count) = self.list()?;
        if count > 0 && kind != STRUCT || count > self.rest.len() as u64 {
            return Err(Unmeasured::Broken);
        }
        for _ in 0..count {
            let mut last = 0;
            self.fields(&mut |_, id, kind| {
                let expected = match id {
                    1 | 3 => I64,
                    2 => I32,
                    _ => kind,
                };
                if id <= last || kind != expected {
                    return Err(Unmeasured::Broken);
                }
                last = id;
                Ok(false)
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn varint(mut number: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    }

    /// A field of a number, one after the one before.
    fn number(number: u64) -> Vec<u8> {
        [vec![0x15], varint(number << 1)].concat()
    }

    /// The header of a page of data.
    pub(crate) fn header(unpacked: u64, packed: u64) -> Vec<u8> {
        // One value, PLAIN, levels in runs.
        let data = [number(1), number(0), number(3), number(3), vec![0]].concat();
        [number(0), number(unpacked), number(packed), vec![0x2c], data, vec![0]].concat()
    }

    /// The header of a page with a dictionary.
    pub(crate) fn dictionary(values: u64, unpacked: u64) -> Vec<u8> {
        let about = [number(values), number(0), vec![0]].concat();
        [number(2), number(unpacked), number(unpacked), vec![0x4c], about, vec![0]].concat()
    }

    #[test]
    fn what_a_page_announces_is_read() {
        let bytes = header(300, 20);
        let page = Page::of(&[bytes.as_slice(), b"rest"].concat()).unwrap();
        assert_eq!((page.head, page.unpacked, page.packed), (bytes.len(), 300, 20));
        assert!(page.is_packed && !page.is_dictionary() && !page.repeats_starts());
        for length in 0..bytes.len() {
            assert_eq!(Page::of(&bytes[..length]), Err(Unmeasured::Ended), "{length}");
        }
    }

    #[test]
    fn levels_of_the_second_version_are_apart() {
        let data =
            [number(1), number(0), number(1), number(7), number(4), number(2), vec![0x12], vec![0]].concat();
        let bytes = [number(3), number(100), number(50), vec![0x5c], data, vec![0]].concat();
        let page = Page::of(&bytes).unwrap();
        assert_eq!((page.levels, page.is_packed, page.repeats_starts()), (6, false, true));
        let more = [number(1), number(0), number(1), number(7), number(99), vec![0]].concat();
        let bytes = [number(3), number(100), number(50), vec![0x5c], more, vec![0]].concat();
        assert_eq!(Page::of(&bytes), Err(Unmeasured::Broken), "more levels than bytes");
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let again = [number(0), number(1), number(1), vec![0x05, 0x04], varint(2 << 30), vec![0]].concat();
        assert_eq!(Page::of(&again), Err(Unmeasured::Broken), "a size that comes twice");
        let other = [number(0), vec![0x16], varint(2), number(1), vec![0]].concat();
        assert_eq!(Page::of(&other), Err(Unmeasured::Broken), "a size of another kind");
        let negative = [number(0), vec![0x15], varint(1), number(1), vec![0]].concat();
        assert_eq!(Page::of(&negative), Err(Unmeasured::Broken));
        assert_eq!(
            Page::of(&[number(0), number(1), vec![0]].concat()),
            Err(Unmeasured::Broken),
            "one is missing"
        );
        assert_eq!(Page::of(&[0x1c; 100]), Err(Unmeasured::Broken));
    }

    // The library takes the last of what comes twice, a number whatever it says that it is, and the header of the page's kind.
    #[test]
    fn what_is_said_of_a_page_could_not_be_read_in_two_ways_either() {
        let page =
            |kind: u64, about: &[u8]| [&number(kind)[..], &number(100), &number(50), about, &[0]].concat();
        let first =
            |encoding: &[u8]| [&[0x2c][..], &number(1), encoding, &number(3), &number(3), &[0]].concat();
        let plain = first(&number(0));
        assert!(Page::of(&page(0, &plain)).is_ok());
        let another_kind = first(&[0x13, 14]);
        assert_eq!(Page::of(&page(0, &another_kind)), Err(Unmeasured::Broken), "an encoding of another kind");
        let again = first(&[&number(0)[..], &[0x05, 0x04, 14]].concat());
        assert_eq!(Page::of(&page(0, &again)), Err(Unmeasured::Broken), "an encoding that comes twice");
        let second = |levels: &[u8]| {
            let numbers = [number(1), number(0), number(1), number(0)].concat();
            [&[0x5c][..], &numbers, levels, &[0]].concat()
        };
        assert!(Page::of(&page(3, &second(&[number(4), number(2)].concat()))).is_ok());
        let levels = [number(4), number(2), vec![0x05, 0x0a], number(0)].concat();
        assert_eq!(Page::of(&page(3, &second(&levels))), Err(Unmeasured::Broken), "levels that come twice");
        let levels = [number(4), vec![0x16, 4]].concat();
        assert_eq!(Page::of(&page(3, &second(&levels))), Err(Unmeasured::Broken), "levels of another kind");
        let both = [&first(&number(7))[..], &[0x3c], &second(&[number(0), number(0)].concat())[1..]].concat();
        assert_eq!(Page::of(&page(0, &both)), Err(Unmeasured::Broken), "two headers");
        assert_eq!(Page::of(&page(3, &plain)), Err(Unmeasured::Broken), "the header of another kind");
        let dictionary = |values: &[u8]| [&[0x4c][..], values, &number(0), &[0]].concat();
        assert_eq!(Page::of(&page(2, &dictionary(&number(9)))).unwrap().values, 9);
        let other = dictionary(&[0x16, 18]);
        assert_eq!(Page::of(&page(2, &other)), Err(Unmeasured::Broken), "a number of another kind");
        // Statistics in which there is a list of truths: the library reads on in it.
        let truths =
            [&number(1)[..], &number(0), &number(3), &number(3), &[0x1c, 0x99, 0x11, 0, 0, 0]].concat();
        let truths = [&[0x2c][..], &truths].concat();
        assert_eq!(Page::of(&page(0, &truths)), Err(Unmeasured::Broken), "truths that nobody reads");
    }

    #[test]
    fn row_groups_are_as_many_as_there_can_be() {
        let footer = |count: u64| [number(1), vec![0x39, 0xfc], varint(count)].concat();
        assert_eq!(measure_footer(&footer(0x7fff_ffff)), Err(Unmeasured::Broken));
        assert_eq!(measure_footer(&footer(40_000)), Err(Unmeasured::Broken));
        assert_eq!(measure_footer(&footer(3)), Err(Unmeasured::Ended));
        let whole = [footer(2 << 3), vec![0; 17]].concat();
        assert_eq!(measure_footer(&whole), Ok(()));
    }

    // The library would read a number where this says that a text is, and find other fields behind it.
    #[test]
    fn what_comes_before_the_row_groups_is_what_it_should_be() {
        let columns = |column: &[u8]| [&number(1)[..], &[0x19, 0x1c], column, &[0, 0]].concat();
        // A name, and decimals of a precision.
        let text = |head: u8| [head, 2, b'a', b'b'];
        let decimal = [&[0x6c, 0x5c][..], &number(2), &number(9), &[0, 0]].concat();
        let right = [&text(0x48)[..], &decimal].concat();
        assert_eq!(measure_footer(&columns(&right)), Ok(()));
        assert_eq!(measure_footer(&columns(&text(0x18))), Err(Unmeasured::Broken), "a text for the type");
        let wrong = [&text(0x48)[..], &[0x6c, 0x5c], &text(0x18), &[0, 0]].concat();
        assert_eq!(measure_footer(&columns(&wrong)), Err(Unmeasured::Broken), "a text for a scale");
        let unit = [&text(0x48)[..], &[0x6c, 0x7c, 0x11, 0x1c, 0x11, 0, 0, 0]].concat();
        assert_eq!(measure_footer(&columns(&unit)), Err(Unmeasured::Broken), "a truth for a unit");
        let again = [number(1), vec![0x05, 0x02], number(1), vec![0]].concat();
        assert_eq!(measure_footer(&again), Err(Unmeasured::Broken), "out of order");
        assert_eq!(
            measure_footer(&[text(0x48).as_slice(), &[0]].concat()),
            Err(Unmeasured::Broken),
            "a text for row groups"
        );
    }

    // The library makes room for as many columns as a group announces, and calls itself for each group in a group.
    #[test]
    fn groups_of_columns_have_an_end() {
        let leaf = |name: &[u8]| [&[0x48][..], &varint(name.len() as u64), name, &[0]].concat();
        let group = |children: u64| [&[0x48][..], &[1, b'g'], &number(children), &[0]].concat();
        let footer = |columns: &[Vec<u8>]| {
            let count = varint(columns.len() as u64);
            [&number(1)[..], &[0x19, 0xfc], &count, &columns.concat(), &[0]].concat()
        };
        let two = [group(2), group(1), leaf(b"a"), leaf(b"b")];
        assert_eq!(measure_footer(&footer(&two)), Ok(()));
        assert_eq!(measure_footer(&footer(&[group(0x7fff_ffff), leaf(b"a")])), Err(Unmeasured::Broken));
        assert_eq!(measure_footer(&footer(&[group(3), leaf(b"a"), leaf(b"b")])), Err(Unmeasured::Broken));
        let nested = |depth: usize| footer(&[vec![group(1); depth], vec![leaf(b"a")]].concat());
        assert_eq!(measure_footer(&nested(DEEPEST_GROUPS)), Ok(()));
        assert_eq!(measure_footer(&nested(DEEPEST_GROUPS + 1)), Err(Unmeasured::Broken));
        let wide = |names: usize, bytes: usize| {
            let group = [&[0x48][..], &varint(bytes as u64), &vec![b'n'; bytes], &number(names as u64), &[0]]
                .concat();
            footer(&[vec![group], vec![leaf(b"a"); names]].concat())
        };
        assert_eq!(measure_footer(&wide(1_000, 1_000)), Ok(()));
        assert_eq!(
            measure_footer(&wide(1_000, 100_000)),
            Err(Unmeasured::Broken),
            "a name that each has again"
        );
        let many = footer(&[vec![group(100_000)], vec![leaf(b"a"); 100_000]].concat());
        assert_eq!(measure_footer(&many), Err(Unmeasured::Broken), "more than there may be");
    }

    #[test]
    fn an_index_has_the_pages_that_it_announces() {
        let place = [vec![0x16], varint(8), number(100), vec![0x16], varint(0), vec![0]].concat();
        let places = |count: u64, all: &[u8]| [&[0x19, 0xfc][..], &varint(count), all, &[0]].concat();
        assert_eq!(measure_places(&places(2, &place.repeat(2))), Ok(()));
        assert_eq!(measure_places(&places(0x7fff_ffff, &place)), Err(Unmeasured::Broken));
        let text = [vec![0x18, 1, b'a'], number(100), vec![0x16], varint(0), vec![0]].concat();
        assert_eq!(measure_places(&places(1, &text)), Err(Unmeasured::Broken), "a text for a place");
        let bounds = |count: u64| [&[0x19, 0xf1][..], &varint(count), &[1, 0x19, 0x18, 1, b'a', 0]].concat();
        assert_eq!(measure_bounds(&bounds(1)), Ok(()));
        assert_eq!(measure_bounds(&bounds(0x7fff_ffff)), Err(Unmeasured::Ended));
    }
}
