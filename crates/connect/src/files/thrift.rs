//! As much of Thrift's compact protocol as is needed to measure what it announces, before a library makes room for it.
//!
//! Source: Apache Thrift, "thrift-compact-protocol".

/// Structures inside of one another at most.
const DEEPEST: u8 = 16;

/// Kinds of fields, as they are written.
pub(super) const TRUE: u8 = 1;
pub(super) const FALSE: u8 = 2;
pub(super) const BYTE: u8 = 3;
pub(super) const I32: u8 = 5;
pub(super) const I64: u8 = 6;
pub(super) const BINARY: u8 = 8;
pub(super) const LIST: u8 = 9;
pub(super) const STRUCT: u8 = 12;

/// Why something cannot be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unmeasured {
    /// There are fewer bytes than it takes.
    Ended,
    /// It is none, or says that it is larger than it can be.
    Broken,
}

/// What is still to be read.
pub(super) struct Reader<'a> {
    pub(super) rest: &'a [u8],
}

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, Unmeasured> {
        let (first, rest) = self.rest.split_first().ok_or(Unmeasured::Ended)?;
        self.rest = rest;
        Ok(*first)
    }

    pub(super) fn skip_bytes(&mut self, count: u64) -> Result<(), Unmeasured> {
        let count = usize::try_from(count).map_err(|_| Unmeasured::Broken)?;
        self.rest = self.rest.get(count..).ok_or(Unmeasured::Ended)?;
        Ok(())
    }

    pub(super) fn varint(&mut self) -> Result<u64, Unmeasured> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Unmeasured::Broken)
    }

    /// A number with its sign in the last bit.
    pub(super) fn int(&mut self) -> Result<i32, Unmeasured> {
        let coded = self.varint()?;
        let number = i64::try_from(coded >> 1).map_err(|_| Unmeasured::Broken)?;
        let number = if coded & 1 == 0 { number } else { -number - 1 };
        i32::try_from(number).map_err(|_| Unmeasured::Broken)
    }

    pub(super) fn size(&mut self) -> Result<usize, Unmeasured> {
        usize::try_from(self.int()?).map_err(|_| Unmeasured::Broken)
    }

    /// The kind of a list's elements, and how many they are.
    pub(super) fn list(&mut self) -> Result<(u8, u64), Unmeasured> {
        let head = self.byte()?;
        let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        Ok((head & 15, count))
    }

    /// Reads a list of nothing but elements of one of these kinds.
    pub(super) fn list_of(&mut self, kinds: &[u8]) -> Result<(), Unmeasured> {
        let (kind, count) = self.list()?;
        if count > 0 && !kinds.contains(&kind) {
            return Err(Unmeasured::Broken);
        }
        self.elements(count, &[kind], DEEPEST)
    }

    /// Gives each field of a structure to a function: its number and its kind. What the function leaves is skipped.
    pub(super) fn fields(
        &mut self,
        each: &mut dyn FnMut(&mut Self, i16, u8) -> Result<bool, Unmeasured>,
    ) -> Result<(), Unmeasured> {
        let mut last = 0_i16;
        loop {
            let head = self.byte()?;
            let kind = head & 15;
            if kind == 0 {
                return Ok(());
            }
            let id = match head >> 4 {
                0 => i16::try_from(self.int()?).ok(),
                more => last.checked_add(i16::from(more)),
            };
            last = id.ok_or(Unmeasured::Broken)?;
            if !each(self, last, kind)? {
                self.skip(kind, DEEPEST)?;
            }
        }
    }

    fn skip(&mut self, kind: u8, deeper: u8) -> Result<(), Unmeasured> {
        let deeper = deeper.checked_sub(1).ok_or(Unmeasured::Broken)?;
        match kind {
            TRUE | FALSE => Ok(()),
            BYTE => self.skip_bytes(1),
            4 | I32 | I64 => self.varint().map(drop),
            7 => self.skip_bytes(8),
            BINARY => {
                let length = self.varint()?;
                self.skip_bytes(length)
            }
            LIST | 10 => {
                let (kind, count) = self.list()?;
                self.unread(count, &[kind], deeper)
            }
            11 => match self.varint()? {
                0 => Ok(()),
                count => {
                    let kinds = self.byte()?;
                    self.unread(count, &[kinds >> 4, kinds & 15], deeper)
                }
            },
            STRUCT => loop {
                let head = self.byte()?;
                if head & 15 == 0 {
                    return Ok(());
                }
                if head >> 4 == 0 {
                    self.varint()?;
                }
                self.skip(head & 15, deeper)?;
            },
            13 => self.skip_bytes(16),
            _ => Err(Unmeasured::Broken),
        }
    }

    /// Skips a list or a map that nobody reads. The library skips no byte for a truth in it, and would read on within it.
    fn unread(&mut self, count: u64, kinds: &[u8], deeper: u8) -> Result<(), Unmeasured> {
        if count > 0 && kinds.iter().any(|kind| matches!(*kind, TRUE | FALSE)) {
            return Err(Unmeasured::Broken);
        }
        self.elements(count, kinds, deeper)
    }

    /// Skips what a list or a map holds, where a truth is a byte of its own.
    fn elements(&mut self, count: u64, kinds: &[u8], deeper: u8) -> Result<(), Unmeasured> {
        // Each has a byte at least.
        if count > self.rest.len() as u64 {
            return Err(Unmeasured::Ended);
        }
        for _ in 0..count {
            for kind in kinds {
                match *kind {
                    TRUE | FALSE => self.skip_bytes(1)?,
                    kind => self.skip(kind, deeper)?,
                }
            }
        }
        Ok(())
    }
}
