//! The explanation of an answer, read while the model still writes it.
//!
//! It is all that is shown of an answer before its end: SQL is shown once the gate has passed it.

use super::reply::MAX_EXPLANATION;

/// The field that is shown.
const SHOWN: &str = "explanation";

/// An answer that is being written. What is not JSON shows nothing.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// Objects and arrays that are open.
    depth: usize,
    is_over: bool,
    /// Within the object itself: a name was read, and its value follows.
    is_value: bool,
    /// The latest name of the object itself.
    name: String,
    string: Option<Open>,
    shown: String,
    characters: usize,
}

/// A string that is open.
#[derive(Debug)]
struct Open {
    role: Role,
    escape: Escape,
    /// The first half of a character beyond the basic plane.
    high: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    Name,
    Shown,
    Other,
}

#[derive(Clone, Copy, Debug)]
enum Escape {
    None,
    /// After a backslash.
    Begun,
    /// After `\u`: how many digits, and what they come to.
    Digits(u8, u32),
}

impl Draft {
    /// Reads on. True when there is more to show.
    pub(super) fn read(&mut self, piece: &str) -> bool {
        let before = self.characters;
        for letter in piece.chars() {
            if self.is_over {
                break;
            }
            match self.string.take() {
                Some(open) => self.string = self.within(open, letter),
                None => self.between(letter),
            }
        }
        self.characters > before
    }

    /// What there is of the explanation.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// A letter outside of strings.
    fn between(&mut self, letter: char) {
        match letter {
            '{' => self.depth += 1,
            // Whatever stands before the object.
            _ if self.depth == 0 => {}
            '[' => self.depth += 1,
            '}' | ']' => {
                self.depth -= 1;
                self.is_over = self.depth == 0;
            }
            ':' if self.depth == 1 => self.is_value = true,
            ',' if self.depth == 1 => self.is_value = false,
            '"' => self.string = Some(Open { role: self.role(), escape: Escape::None, high: None }),
            _ => {}
        }
    }

    /// What a string is that begins here.
    fn role(&mut self) -> Role {
        if self.depth != 1 {
            return Role::Other;
        }
        if !self.is_value {
            self.name.clear();
            return Role::Name;
        }
        // Only the first of that name.
        if self.name == SHOWN && self.shown.is_empty() { Role::Shown } else { Role::Other }
    }

    /// A letter of a string; none when it ends.
    fn within(&mut self, open: Open, letter: char) -> Option<Open> {
        let Open { role, escape, high } = open;
        let mut open = Open { role, escape: Escape::None, high: None };
        match (escape, letter) {
            (Escape::None, '"') => {
                self.lost_half(role, high);
                return None;
            }
            (Escape::None, '\\') => open = Open { role, escape: Escape::Begun, high },
            (Escape::None, letter) => {
                self.lost_half(role, high);
                self.add(role, letter);
            }
            (Escape::Begun, 'u') => open = Open { role, escape: Escape::Digits(0, 0), high },
            (Escape::Begun, letter) => {
                self.lost_half(role, high);
                self.add(role, escaped(letter));
            }
            (Escape::Digits(count, code), letter) => {
                let code = code * 16 + letter.to_digit(16).unwrap_or(0);
                if count < 3 {
                    open = Open { role, escape: Escape::Digits(count + 1, code), high };
                } else {
                    open.high = self.unit(role, high, code);
                }
            }
        }
        Some(open)
    }

    /// A unit of UTF-16; answers it where it is the first half of a character.
    fn unit(&mut self, role: Role, high: Option<u32>, unit: u32) -> Option<u32> {
        match (high, unit) {
            (Some(high), 0xdc00..=0xdfff) => {
                let code = 0x1_0000 + ((high - 0xd800) << 10) + (unit - 0xdc00);
                self.add(role, char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                None
            }
            (high, 0xd800..=0xdbff) => {
                self.lost_half(role, high);
                Some(unit)
            }
            (high, unit) => {
                self.lost_half(role, high);
                self.add(role, char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
                None
            }
        }
    }

    /// A first half that no second one follows.
    fn lost_half(&mut self, role: Role, high: Option<u32>) {
        if high.is_some() {
            self.add(role, char::REPLACEMENT_CHARACTER);
        }
    }

    fn add(&mut self, role: Role, letter: char) {
        match role {
            Role::Name if self.name.len() <= SHOWN.len() => self.name.push(letter),
            Role::Shown if self.characters < MAX_EXPLANATION && letter != '\0' => {
                self.shown.push(letter);
                self.characters += 1;
            }
            _ => {}
        }
    }
}

const fn escaped(letter: char) -> char {
    match letter {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        'f' => '\u{c}',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// What is shown of a text that comes in pieces of so many characters.
    fn shown(text: &str, size: usize) -> String {
        let letters: Vec<char> = text.chars().collect();
        let mut draft = Draft::default();
        for piece in letters.chunks(size) {
            let before = draft.shown().to_owned();
            let has_grown = draft.read(&piece.iter().collect::<String>());
            assert!(draft.shown().starts_with(&before));
            assert_eq!(has_grown, draft.shown() != before);
        }
        draft.shown().to_owned()
    }

    #[test]
    fn the_explanation_is_shown_and_nothing_else() {
        let text = r#"Here: "explanation": "no" ```{"sql": "select 'explanation: \"x\"'", "parameters": ["explanation", {"explanation": "inner"}],
            "confidence": 0.5, "explanation": "Orders, \"paid\"\n\u00e4 \ud83d\ude00 \ud83d! \\", "refusal": null} {"explanation": "later"}"#;
        for size in 1..40 {
            assert_eq!(shown(text, size), "Orders, \"paid\"\nä 😀 \u{fffd}! \\", "{size}");
        }
        for odd in [
            "",
            "explanation",
            "[\"explanation\", \"x\"]",
            "{\"explanation\": 5}",
            "{\"explanation\" \"x\"}",
            "}}]{",
            "{\"a\\",
        ] {
            assert_eq!(shown(odd, 1), "", "{odd}");
        }
    }

    #[test]
    fn a_long_explanation_ends() {
        let text = json!({ "explanation": "ä".repeat(MAX_EXPLANATION + 5) }).to_string();
        assert_eq!(shown(&text, 100).chars().count(), MAX_EXPLANATION);
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_is_shown(text in "\\PC{0,100}", sql in "\\PC{0,50}", size in 1_usize..20) {
            let answer = json!({ "confidence": 1, "explanation": &text, "parameters": [&sql], "sql": &sql });
            prop_assert_eq!(shown(&answer.to_string(), size), text.clone());
            // With every character escaped.
            let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            prop_assert_eq!(shown(&format!("{{\"explanation\":\"{escaped}\"}}"), size), text);
        }

        #[test]
        fn nothing_that_a_model_writes_is_a_panic(text in "[\\{\\}\\[\\]\":,\\\\u0-9a-f ]{0,80}", size in 1_usize..9) {
            shown(&text, size);
        }
    }
}
