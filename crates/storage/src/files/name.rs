//! What a file is called: by its owner, and in the store.

use tidegate_domain::Timestamp;
use tidegate_domain::text::line;
use unicode_normalization::UnicodeNormalization;

/// Longest name, in characters.
const MAX_NAME: usize = 255;
/// Longest part of it that is kept in the store, in bytes.
const MAX_STEM: usize = 120;
/// Longest extension, in characters.
const MAX_EXTENSION: usize = 16;

/// What a file was called when it was uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName(String);

impl FileName {
    /// Reads a name. Folders before it are left out: some browsers send them.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let name = text.rsplit(['/', '\\']).next().unwrap_or_default();
        let name = line(name, MAX_NAME).map_err(|error| error.to_string())?;
        if name.chars().all(|one| one == '.' || one.is_whitespace()) {
            return Err("must have a name".to_owned());
        }
        Ok(Self(name))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is behind its last dot, in small letters; empty where that is no extension.
    pub fn extension(&self) -> String {
        extension_of(&self.0)
    }

    /// A name in the store that no other file has: `report_20260105_101500_1a2b3c4d.csv`.
    pub fn unique(&self, now: Timestamp, chance: [u8; 4]) -> String {
        let extension = self.extension();
        let stem = match extension.as_str() {
            "" => self.0.as_str(),
            _ => self.0.rsplit_once('.').map_or(self.0.as_str(), |(stem, _)| stem),
        };
        // No dots: what is before the first one might be a device's name.
        let plain: String =
            stem.nfc().map(|one| if one.is_alphanumeric() || one == '-' { one } else { '_' }).collect();
        let mut plain = plain.trim_start_matches('_');
        while plain.len() > MAX_STEM {
            let (last, _) = plain.char_indices().next_back().unwrap_or_default();
            plain = plain.get(..last).unwrap_or_default();
        }
        let plain = if plain.is_empty() { "file" } else { plain };
        // 2026-01-05T10:15:00Z
        let instant: String =
            now.iso_seconds().chars().filter(|one| one.is_ascii_digit() || *one == 'T').collect();
        let (instant, chance) = (instant.replace('T', "_"), hex::encode(chance));
        let dot = if extension.is_empty() { "" } else { "." };
        format!("{plain}_{instant}_{chance}{dot}{extension}")
    }
}

/// What is behind the last dot of a name, in small letters; empty where that is no extension.
pub(crate) fn extension_of(name: &str) -> String {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension).unwrap_or_default();
    let is_one = (1..=MAX_EXTENSION).contains(&extension.len())
        && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_one { extension.to_ascii_lowercase() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegate_objects::ObjectKey;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_733_220_900);

    fn unique(name: &str) -> String {
        FileName::parse(name).unwrap().unique(NOW, [0x1a, 0x2b, 0x3c, 0x4d])
    }

    #[test]
    fn names_in_the_store_tell_what_was_uploaded_and_when() {
        assert_eq!(unique("report.csv"), "report_20241203_101500_1a2b3c4d.csv");
        assert_eq!(
            unique("C:\\Users\\me\\Q1 (final).v2.XLSX"),
            "Q1__final__v2_20241203_101500_1a2b3c4d.xlsx"
        );
        assert_eq!(unique("../../etc/passwd"), "passwd_20241203_101500_1a2b3c4d");
        assert_eq!(unique(".htaccess"), "file_20241203_101500_1a2b3c4d.htaccess");
        assert_eq!(unique("con.csv"), "con_20241203_101500_1a2b3c4d.csv");
        assert_eq!(unique("продажи.csv"), "продажи_20241203_101500_1a2b3c4d.csv");
    }

    #[test]
    fn a_file_has_a_name() {
        for wrong in ["", "..", "a/", "  ", "a\nb", "a\0b", &"x".repeat(256)] {
            assert!(FileName::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn any_name_becomes_one_that_every_store_takes(text in "\\PC{1,300}") {
            if let Ok(name) = FileName::parse(&text) {
                let unique = name.unique(NOW, [0; 4]);
                prop_assert!(ObjectKey::parse(&unique).is_ok(), "{unique}");
            }
        }
    }
}
