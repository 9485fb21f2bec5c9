//! The alphabet of text messages: GSM 7 bit (3GPP TS 23.038 section 6.2.1).

/// Characters of this alphabet that fit into one message.
pub(crate) const ONE_MESSAGE: usize = 160;

const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
                     ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// These are written as two.
const EXTENDED: &str = "\u{c}^{}\\[~]|€";

/// How much of a message `text` takes.
///
/// # Errors
/// The first character that is not in the alphabet: with it, a message holds 70 characters of any kind.
pub(crate) fn septets(text: &str) -> Result<usize, char> {
    text.chars().try_fold(0, |sum, c| {
        if BASIC.contains(c) {
            Ok(sum + 1)
        } else if EXTENDED.contains(c) {
            Ok(sum + 2)
        } else {
            Err(c)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_has_its_127_characters_and_10_more_that_count_twice() {
        // The 128th is the escape to the extension.
        assert_eq!(BASIC.chars().count(), 127);
        assert_eq!(EXTENDED.chars().count(), 10);
        assert_eq!(septets("Karibu! 5 €"), Ok(12));
        assert_eq!(septets("Riven’s code"), Err('’'));
    }
}
