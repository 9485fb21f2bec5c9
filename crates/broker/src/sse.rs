//! Server-sent events (WHATWG HTML, section 9.2), as much of them as the broker uses: `data:` lines and
//! comments.
//!
//! Not a crate's: `eventsource-stream` 0.2 and `sseer` 0.3 drop comments, in which the broker says that it lost events,
//! and keep a message of any length in memory.

/// Longest message that is kept: real ones have a few hundred bytes.
const MAX_MESSAGE: usize = 1024 * 1024;

/// What a stream says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// The `data:` lines of one message, joined by line feeds.
    Data(Vec<u8>),
    /// A comment. The broker sends heartbeats and complaints this way.
    Comment(Vec<u8>),
    /// A message longer than this decoder keeps.
    TooLong,
}

/// Cuts a stream of bytes into messages, however the network has cut it.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    line: Vec<u8>,
    data: Option<Vec<u8>>,
    too_long: bool,
    /// The last byte ended a line as CR: an LF right after it belongs to the same line end.
    after_cr: bool,
    started: bool,
}

impl Decoder {
    /// Takes the next bytes and returns the messages they complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Message> {
        let mut complete = Vec::new();
        for &byte in bytes {
            match byte {
                b'\n' if self.after_cr => {}
                b'\r' | b'\n' => self.end_line(&mut complete),
                _ if self.line.len() < MAX_MESSAGE => self.line.push(byte),
                _ => self.too_long = true,
            }
            self.after_cr = byte == b'\r';
        }
        complete
    }

    fn end_line(&mut self, complete: &mut Vec<Message>) {
        let mut line = std::mem::take(&mut self.line);
        if !self.started {
            self.started = true;
            if line.starts_with(b"\xef\xbb\xbf") {
                line.drain(..3);
            }
        }
        if line.is_empty() {
            complete.extend(self.end_message());
        } else if let Some(comment) = line.strip_prefix(b":") {
            complete.push(Message::Comment(comment.trim_ascii().to_vec()));
        } else if let Some(value) = line.strip_prefix(b"data") {
            match value {
                [] => self.keep(b""),
                [b':', b' ', value @ ..] | [b':', value @ ..] => self.keep(value),
                // Another field, whose name begins the same way.
                _ => {}
            }
        }
    }

    fn keep(&mut self, value: &[u8]) {
        match &mut self.data {
            Some(data) if data.len() + value.len() < MAX_MESSAGE => {
                data.push(b'\n');
                data.extend_from_slice(value);
            }
            Some(_) => self.too_long = true,
            None => self.data = Some(value.to_vec()),
        }
    }

    fn end_message(&mut self) -> Option<Message> {
        let data = self.data.take();
        if std::mem::take(&mut self.too_long) {
            return Some(Message::TooLong);
        }
        data.filter(|data| !data.is_empty()).map(Message::Data)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn data(text: &str) -> Message {
        Message::Data(text.as_bytes().to_vec())
    }

    fn comment(text: &str) -> Message {
        Message::Comment(text.as_bytes().to_vec())
    }

    #[test]
    fn messages_end_at_empty_lines_of_any_kind() {
        let stream = "\u{feff}data: one\n\n: heartbeat\n\ndata:two\r\n\r\ndata: a\rdata: b\r\rdata\n\nevent: x\nid: 1\n\
                      database: no\ndata: {\"k\":1}\n\ndata: unfinished";
        assert_eq!(
            Decoder::default().push(stream.as_bytes()),
            [data("one"), comment("heartbeat"), data("two"), data("a\nb"), data("{\"k\":1}")]
        );
    }

    #[test]
    fn a_message_without_end_does_not_fill_the_memory() {
        let mut decoder = Decoder::default();
        for _ in 0..40 {
            assert!(decoder.push(&[b'x'; 64 * 1024]).is_empty());
        }
        assert!(decoder.line.len() <= MAX_MESSAGE);
        assert_eq!(decoder.push(b"\n\ndata: next\n\n"), [Message::TooLong, data("next")]);

        let line = format!("data: {}\n", "y".repeat(60 * 1024));
        for _ in 0..40 {
            assert!(decoder.push(line.as_bytes()).is_empty());
        }
        assert_eq!(decoder.push(b"\ndata: next\n\n"), [Message::TooLong, data("next")]);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_the_network_cuts(
            bytes in prop::collection::vec(prop::sample::select(b"data: x\r\n:\xef\xbb\xbf\xff".to_vec()), 0..120),
            cuts in prop::collection::vec(1_usize..9, 1..40),
        ) {
            let whole = Decoder::default().push(&bytes);
            let mut decoder = Decoder::default();
            let (mut pieces, mut rest) = (Vec::new(), bytes.as_slice());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                pieces.extend(decoder.push(piece));
                rest = after;
            }
            prop_assert_eq!(whole, pieces);
        }

        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            Decoder::default().push(&bytes);
        }

        #[test]
        fn what_was_written_is_what_is_read(lines in prop::collection::vec("[^\r\n\u{feff}]{1,20}", 1..5)) {
            let text: String = lines.iter().map(|line| format!("data: {line}\n")).collect();
            prop_assert_eq!(Decoder::default().push(format!("{text}\n").as_bytes()), [data(&lines.join("\n"))]);
        }
    }
}
