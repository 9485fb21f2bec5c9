//! From text to words: of questions, of names in a schema, of values.

use crate::vocabulary::Vocabulary;

/// One word of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// As it was written.
    pub(crate) written: String,
    /// In lower case.
    pub(crate) plain: String,
    /// In lower case and singular.
    pub(crate) lemma: String,
}

/// Words of a text in lower case: runs of letters and digits, numbers with their point, and the signs that carry meaning.
pub(crate) fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let number = !word.is_empty() && word.chars().all(|each| each.is_ascii_digit() || each == '.');
        let digit_follows = letters.peek().is_some_and(char::is_ascii_digit);
        if letter.is_alphanumeric() || (number && letter == '.' && digit_follows && !word.contains('.')) {
            word.push(letter);
        } else if number && letter == ',' && thousands(&letters) {
        } else if matches!(letter, '\'' | '’') && !word.is_empty() {
            flush(&mut word, &mut words);
            if let Some(mark) = contraction(&mut letters) {
                words.push(mark.to_owned());
            }
        } else {
            flush(&mut word, &mut words);
            if matches!(letter, '%' | '€' | '$' | '<' | '>' | '=' | '≥' | '≤' | ';' | '*') {
                words.push(letter.to_string());
            }
        }
    }
    flush(&mut word, &mut words);
    words
}

fn flush(word: &mut String, words: &mut Vec<String>) {
    if !word.is_empty() {
        words.push(std::mem::take(word));
    }
}

/// Whether three digits and no fourth follow: then a comma only groups.
fn thousands(letters: &std::iter::Peekable<std::str::Chars<'_>>) -> bool {
    let next: Vec<char> = letters.clone().take(4).collect();
    next.len() >= 3
        && next.iter().take(3).all(char::is_ascii_digit)
        && !next.get(3).is_some_and(char::is_ascii_digit)
}

/// After an apostrophe: "s" of "what's" is dropped, "t" of "don't" is a "not"; anything else stays a word of its own.
fn contraction(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<&'static str> {
    let rest: String = letters.clone().take_while(|each| each.is_alphanumeric()).take(3).collect();
    let mark = match rest.to_lowercase().as_str() {
        "s" => None,
        "t" => Some("not"),
        _ => return None,
    };
    letters.next();
    mark
}

/// The words of a question.
pub(crate) fn question(text: &str, vocabulary: &Vocabulary) -> Vec<Word> {
    split(text)
        .into_iter()
        .flat_map(|written| {
            let plain = written.to_lowercase();
            // "don't" arrives as "don" and "not".
            let plain = match plain.as_str() {
                "don" | "doesn" | "didn" | "haven" | "hasn" | "weren" | "wasn" | "aren" | "isn" => {
                    return None;
                }
                _ => plain,
            };
            let lemma = vocabulary.singular(&plain);
            Some(Word { written, plain, lemma })
        })
        .collect()
}

/// The form in which values are compared: words in lower case, one space between them.
pub fn normalize(text: &str) -> String {
    let mut words = split(text);
    for word in &mut words {
        *word = word.to_lowercase();
    }
    words.join(" ")
}

/// The words of a name in snake, kebab or camel case, in lower case.
pub(crate) fn name(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let letters: Vec<char> = text.chars().collect();
    for (at, letter) in letters.iter().enumerate() {
        if !letter.is_alphanumeric() {
            flush(&mut word, &mut words);
            continue;
        }
        let before = at.checked_sub(1).and_then(|before| letters.get(before)).copied().unwrap_or(' ');
        let after = letters.get(at + 1).copied().unwrap_or(' ');
        if letter.is_uppercase() && (before.is_lowercase() || (before.is_uppercase() && after.is_lowercase()))
        {
            flush(&mut word, &mut words);
        }
        word.extend(letter.to_lowercase());
    }
    flush(&mut word, &mut words);
    words
}

/// The same, each word singular.
pub(crate) fn name_lemmas(text: &str, vocabulary: &Vocabulary) -> Vec<String> {
    name(text).iter().map(|word| vocabulary.singular(word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_questions() {
        assert_eq!(split("What's >= 1,250.5 in A-b?"), ["What", ">", "=", "1250.5", "in", "A", "b"]);
        assert_eq!(split("they don't"), ["they", "don", "not"]);
        assert_eq!(split("5. Ünder, 1,2"), ["5", "Ünder", "1", "2"]);
    }

    #[test]
    fn words_of_names() {
        assert_eq!(name("originWarehouseId"), ["origin", "warehouse", "id"]);
        assert_eq!(name("order_items"), ["order", "items"]);
        assert_eq!(name("HTTPStatus"), ["http", "status"]);
        assert_eq!(name("capacityM3"), ["capacity", "m3"]);
    }

    #[test]
    fn values_are_compared_by_their_words() {
        assert_eq!(normalize("  No-Show "), "no show");
        assert_eq!(normalize("Lübeck"), "lübeck");
    }
}
