//! Tokens of conditions.

use crate::ConditionError;

use super::MAX_CONDITION;

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A name or a keyword, as it was written.
    Word(String),
    /// A name in double quotes.
    Quoted(String),
    /// A text in single quotes.
    Text(String),
    /// Digits, as they were written, with their sign.
    Number(String),
    /// An operator or a bracket.
    Sign(&'static str),
}

/// Longest first.
const SIGNS: [&str; 13] = ["<>", "!=", "<=", ">=", "==", "(", ")", ",", "=", "<", ">", ".", ";"];

/// Tokens with the characters, from 1, at which they begin.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, ConditionError> {
    let characters: Vec<char> = text.chars().collect();
    if characters.len() > MAX_CONDITION {
        return Err(ConditionError::new(
            MAX_CONDITION,
            format!("a condition has at most {MAX_CONDITION} characters"),
        ));
    }
    let mut lexer = Lexer { rest: &characters, place: 1 };
    let mut found = Vec::new();
    loop {
        lexer.skip(lexer.rest.iter().take_while(|c| c.is_whitespace()).count());
        let place = lexer.place;
        match lexer.next()? {
            Some(token) => found.push((place, token)),
            None => return Ok(found),
        }
    }
}

struct Lexer<'t> {
    rest: &'t [char],
    place: usize,
}

impl Lexer<'_> {
    fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
        self.place += count;
    }

    fn take(&mut self, count: usize) -> String {
        let taken = self.rest.iter().take(count).collect();
        self.skip(count);
        taken
    }

    fn next(&mut self) -> Result<Option<Token>, ConditionError> {
        let Some(first) = self.rest.first().copied() else { return Ok(None) };
        let second = self.rest.get(1).copied();
        match first {
            '\'' => self.quoted('\'').map(|text| Some(Token::Text(text))),
            '"' => self.quoted('"').map(|name| Some(Token::Quoted(name))),
            '-' if second == Some('-') => Err(ConditionError::new(self.place, "comments are not allowed")),
            '/' if second == Some('*') => Err(ConditionError::new(self.place, "comments are not allowed")),
            '-' if second.is_some_and(|c| c.is_ascii_digit()) => Ok(Some(self.number())),
            c if c.is_ascii_digit() => Ok(Some(self.number())),
            c if c.is_alphabetic() || c == '_' => {
                let length =
                    self.rest.iter().take_while(|c| c.is_alphanumeric() || **c == '_' || **c == '$').count();
                Ok(Some(Token::Word(self.take(length))))
            }
            c => self.sign(c).map(Some),
        }
    }

    fn sign(&mut self, first: char) -> Result<Token, ConditionError> {
        let starts = |sign: &&str| sign.chars().eq(self.rest.iter().take(sign.len()).copied());
        let sign = SIGNS.into_iter().find(starts).ok_or_else(|| {
            ConditionError::new(self.place, format!("{first:?} is not allowed in a condition"))
        })?;
        self.skip(sign.len());
        Ok(Token::Sign(sign))
    }

    fn number(&mut self) -> Token {
        let mut length = 1;
        while let Some(c) = self.rest.get(length) {
            let before = self.rest.get(length - 1).copied().unwrap_or_default();
            let sign_of_exponent = matches!(c, '+' | '-') && matches!(before, 'e' | 'E');
            if !(c.is_ascii_alphanumeric() || *c == '.' || sign_of_exponent) {
                break;
            }
            length += 1;
        }
        Token::Number(self.take(length))
    }

    /// Up to the closing quote; twice the quote is one.
    fn quoted(&mut self, quote: char) -> Result<String, ConditionError> {
        let start = self.place;
        self.skip(1);
        let mut text = String::new();
        while let Some(c) = self.rest.first().copied() {
            self.skip(1);
            if c != quote {
                text.push(c);
            } else if self.rest.first() == Some(&quote) {
                self.skip(1);
                text.push(quote);
            } else {
                return Ok(text);
            }
        }
        Err(ConditionError::new(start, format!("{quote} is not closed")))
    }
}
