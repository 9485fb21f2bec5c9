//! Text files as UTF-8, whatever they were.

use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use encoding_rs::{CoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::spool::{Spooled, broken};
use crate::disk::TemporaryFile;
use crate::error::{SourceError, quoted};
use crate::settings::Settings;

/// Bytes of a buffer.
const BUFFER: usize = 256 << 10;

/// A file in UTF-8, where its text starts, and what it was encoded in.
pub(crate) struct Text {
    pub(crate) file: Spooled,
    start: u64,
    pub(crate) encoding: &'static str,
}

impl Text {
    /// Finds the encoding (`metadata.encoding`, the byte order mark, the bytes themselves) and decodes if it is not UTF-8.
    pub(crate) fn of(settings: Option<&Settings>, file: Spooled) -> Result<Self, SourceError> {
        let named = settings.map(|settings| settings.option("encoding")).transpose()?.flatten();
        let mut head = vec![0; 4096];
        let mut reader = file.reader()?;
        let mut filled = 0;
        while let Some(space) = head.get_mut(filled..).filter(|space| !space.is_empty()) {
            match reader.read(space).map_err(broken)? {
                0 => break,
                read => filled += read,
            }
        }
        head.truncate(filled);
        let marked = Encoding::for_bom(&head);
        let encoding = match (named, marked) {
            (_, Some((encoding, _))) => encoding,
            (Some(name), None) => Encoding::for_label(name.as_bytes()).ok_or_else(|| {
                SourceError::query(format!("metadata.encoding {} is not known.", quoted(name)))
            })?,
            (None, None) => match unmarked(&head) {
                Some(encoding) => encoding,
                None if is_utf8(&file)? => UTF_8,
                None => WINDOWS_1252,
            },
        };
        let start = marked.map_or(0, |(_, length)| length as u64);
        if encoding == UTF_8 {
            return Ok(Self { file, start, encoding: "UTF-8" });
        }
        let decoded = decode(&file, start, encoding)?;
        Ok(Self { file: decoded, start: 0, encoding: encoding.name() })
    }

    /// The text from its start.
    pub(crate) fn reader(&self) -> Result<BufReader<super::spool::Positioned>, SourceError> {
        let mut reader = self.file.reader()?;
        reader.seek(SeekFrom::Start(self.start)).map_err(broken)?;
        Ok(BufReader::with_capacity(BUFFER, reader))
    }
}

/// UTF-16 without a mark: every second byte of Western text is zero.
fn unmarked(head: &[u8]) -> Option<&'static Encoding> {
    let pairs = head.len() / 2;
    let zeros = |at: usize| head.chunks_exact(2).filter(|pair| pair.get(at) == Some(&0)).count();
    if pairs < 2 {
        return None;
    }
    match (zeros(0) * 10 / pairs, zeros(1) * 10 / pairs) {
        (0, 6..) => Some(UTF_16LE),
        (6.., 0) => Some(UTF_16BE),
        _ => None,
    }
}

fn is_utf8(file: &Spooled) -> Result<bool, SourceError> {
    let mut reader = file.reader()?;
    let mut buffer = vec![0; BUFFER];
    let mut kept = 0;
    loop {
        let read = reader.read(buffer.get_mut(kept..).unwrap_or_default()).map_err(broken)?;
        let filled = kept + read;
        match std::str::from_utf8(buffer.get(..filled).unwrap_or_default()) {
            Ok(_) => kept = 0,
            Err(error) if error.error_len().is_some() => return Ok(false),
            // A character that is cut by the end of the buffer.
            Err(error) => {
                buffer.copy_within(error.valid_up_to()..filled, 0);
                kept = filled - error.valid_up_to();
            }
        }
        if read == 0 {
            return Ok(kept == 0);
        }
    }
}

fn decode(file: &Spooled, start: u64, encoding: &'static Encoding) -> Result<Spooled, SourceError> {
    let mut reader = file.reader()?;
    reader.seek(SeekFrom::Start(start)).map_err(broken)?;
    let out = TemporaryFile::new(file.more_disk()).map_err(broken)?;
    let mut writer = BufWriter::with_capacity(BUFFER, out);
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut input = vec![0; BUFFER];
    let mut output = vec![0; BUFFER * 3 + 64];
    loop {
        let read = reader.read(&mut input).map_err(broken)?;
        let mut rest = input.get(..read).unwrap_or_default();
        loop {
            let (result, used, written, replaced) = decoder.decode_to_utf8(rest, &mut output, read == 0);
            if replaced {
                return Err(SourceError::query(format!(
                    "The file is not in the encoding {}.",
                    encoding.name()
                )));
            }
            writer.write_all(output.get(..written).unwrap_or_default()).map_err(broken)?;
            rest = rest.get(used..).unwrap_or_default();
            if result == CoderResult::InputEmpty {
                break;
            }
        }
        if read == 0 {
            break;
        }
    }
    let out = writer.into_inner().map_err(|error| broken(error.into_error()))?;
    let (out, reserved) = out.into_parts();
    file.replaced(out, reserved)
}
