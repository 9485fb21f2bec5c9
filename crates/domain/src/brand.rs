//! What an installation looks like to people: colours, logo, whom to ask.

/// The least contrast between a text and what is behind it (WCAG 2.2, success criterion 1.4.3).
pub const LEAST_CONTRAST: f64 = 4.5;

/// A colour of the screen (sRGB).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    red: u8,
    green: u8,
    blue: u8,
}

/// A picture, served as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logo {
    /// `image/svg+xml` or `image/png`.
    pub media_type: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
}

/// What an installation looks like to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brand {
    /// Buttons and links on a light page.
    pub accent: Colour,
    /// The same on a dark page.
    pub accent_dark: Colour,
    /// Shown beside the product's name; none for Tidegate's own.
    pub logo: Option<Logo>,
    /// Whom people ask for help: an e-mail address or the URL of a page.
    pub support: Option<String>,
}

impl Colour {
    /// White.
    pub const WHITE: Self = Self { red: 0xff, green: 0xff, blue: 0xff };
    /// The background of a card on a light page.
    pub const LIGHT_PAGE: Self = Self { red: 0xf4, green: 0xf7, blue: 0xf8 };
    /// The background of a card on a dark page.
    pub const DARK_PAGE: Self = Self { red: 0x17, green: 0x20, blue: 0x28 };
    /// Dark text.
    pub const INK: Self = Self { red: 0x0c, green: 0x19, blue: 0x22 };

    /// Reads `#rrggbb`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let number = u32::from_str_radix(digits, 16).ok()?;
        let [_, red, green, blue] = number.to_be_bytes();
        Some(Self { red, green, blue })
    }

    /// `#rrggbb`.
    pub fn css(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }

    /// How far two colours are apart in brightness, from 1 to 21 (WCAG 2.2, "contrast ratio").
    pub fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// White or dark, whichever is read better on this colour.
    pub fn ink_on(self) -> Self {
        if self.contrast(Self::WHITE) >= self.contrast(Self::INK) { Self::WHITE } else { Self::INK }
    }

    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let channel = f64::from(channel) / 255.0;
            if channel <= 0.04045 { channel / 12.92 } else { ((channel + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.red) + 0.7152 * linear(self.green) + 0.0722 * linear(self.blue)
    }
}

impl Default for Brand {
    fn default() -> Self {
        Self {
            accent: Colour { red: 0x0b, green: 0x63, blue: 0x7d },
            accent_dark: Colour { red: 0x6f, green: 0xc7, blue: 0xdf },
            logo: None,
            support: None,
        }
    }
}

impl Brand {
    /// Checks that links and buttons in its colours can be read.
    ///
    /// # Errors
    /// What is wrong with one of the two colours.
    pub fn check(&self) -> Result<(), String> {
        let pages = [
            ("accent", self.accent, [Colour::WHITE, Colour::LIGHT_PAGE]),
            ("accent_dark", self.accent_dark, [Colour::DARK_PAGE, Colour::INK]),
        ];
        for (name, colour, behind) in pages {
            let least =
                behind.map(|behind| colour.contrast(behind)).into_iter().fold(f64::INFINITY, f64::min);
            if least < LEAST_CONTRAST {
                return Err(format!(
                    "{name} {} has a contrast of {least:.1} with the page, where text needs {LEAST_CONTRAST}",
                    colour.css()
                ));
            }
        }
        Ok(())
    }

    /// Where a click on the support address leads; none where there is no such address.
    pub fn support_link(&self) -> Option<String> {
        let support = self.support.as_deref()?;
        Some(if support.contains("://") { support.to_owned() } else { format!("mailto:{support}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_that_of_the_guidelines() {
        let of = |one: &str, two: &str| Colour::parse(one).unwrap().contrast(Colour::parse(two).unwrap());
        assert!((of("#000000", "#ffffff") - 21.0).abs() < 0.01);
        assert!((of("#777777", "#ffffff") - 4.48).abs() < 0.01);
        assert!((of("#ffffff", "#ffffff") - 1.0).abs() < 0.01);
    }

    #[test]
    fn the_default_colours_can_be_read_and_pale_ones_are_refused() {
        let usual = Brand::default();
        assert_eq!(usual.check(), Ok(()));
        for colour in [usual.accent, usual.accent_dark] {
            assert!(colour.contrast(colour.ink_on()) >= LEAST_CONTRAST);
        }
        let pale = Brand { accent: Colour::parse("#ffd000").unwrap(), ..Brand::default() };
        assert!(pale.check().unwrap_err().starts_with("accent #ffd000 has a contrast of 1."));
    }

    #[test]
    fn what_is_no_colour_is_none() {
        for text in ["", "#fff", "0b637d", "#0b637", "#0b637dd", "#+b637d", "#0b637é", "red"] {
            assert_eq!(Colour::parse(text), None, "{text}");
        }
        assert_eq!(Colour::parse("#0B637D").unwrap().css(), "#0b637d");
    }

    #[test]
    fn a_support_address_is_a_link() {
        let of =
            |support: &str| Brand { support: Some(support.to_owned()), ..Brand::default() }.support_link();
        assert_eq!(of("help@example.com").as_deref(), Some("mailto:help@example.com"));
        assert_eq!(of("https://example.com/help").as_deref(), Some("https://example.com/help"));
    }
}
