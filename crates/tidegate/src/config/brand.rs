//! What the installation looks like, and the languages it speaks: colours, logo, support address, files of texts.

use std::io::Read;
use std::path::{Path, PathBuf};

use axum::http::Uri;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_domain::brand::{Brand, Colour, Logo};
use tidegate_domain::{EmailAddress, LanguageTag, Languages};

/// Most bytes of a logo. It is part of every page.
const MAX_LOGO: u64 = 64 * 1024;

/// The table `[brand]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BrandTable {
    /// Buttons and links on light pages and in mails. A colour that cannot be read on a page is refused.
    pub(crate) accent: String,
    /// The same on dark pages.
    pub(crate) accent_dark: String,
    /// An SVG or PNG file of at most 64 KiB, shown beside the product's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"/etc/tidegate/logo.svg")]
    pub(crate) logo: Option<PathBuf>,
    /// Whom people ask for help: an e-mail address or a URL. Shown on pages and in mails.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"support@example.com")]
    pub(crate) support: Option<String>,
}

impl Default for BrandTable {
    fn default() -> Self {
        let Brand { accent, accent_dark, .. } = Brand::default();
        Self { accent: accent.css(), accent_dark: accent_dark.css(), logo: None, support: None }
    }
}

impl BrandTable {
    /// The look that it asks for.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn load(&self) -> Result<Brand, String> {
        let colour = |name: &str, text: &str| {
            Colour::parse(text).ok_or_else(|| format!("{name} {text:?} is not a colour such as #0b637d"))
        };
        let brand = Brand {
            accent: colour("accent", &self.accent)?,
            accent_dark: colour("accent_dark", &self.accent_dark)?,
            logo: self.logo.as_deref().map(logo).transpose()?,
            support: self.support.as_deref().map(support).transpose()?,
        };
        brand.check()?;
        Ok(brand)
    }
}

/// An e-mail address or the URL of a page.
fn support(text: &str) -> Result<String, String> {
    let is_page = text.parse::<Uri>().is_ok_and(|uri| super::check::is_web(&uri));
    if is_page || EmailAddress::parse(text).is_ok() {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "support {text:?} is neither an e-mail address nor a URL such as https://example.com/help"
        ))
    }
}

fn logo(path: &Path) -> Result<Logo, String> {
    let unreadable = |error: std::io::Error| format!("logo {}: {error}", path.display());
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(MAX_LOGO + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_LOGO {
        return Err(format!("logo {}: is larger than 64 KiB", path.display()));
    }
    let is_svg = || std::str::from_utf8(&bytes).is_ok_and(|text| text.contains("<svg"));
    let media_type = if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        "image/png"
    } else if is_svg() {
        "image/svg+xml"
    } else {
        return Err(format!("logo {}: is neither an SVG nor a PNG file", path.display()));
    };
    Ok(Logo { media_type, bytes })
}

/// The built-in languages, and those of the operator's directory: `fr.json` is French.
///
/// # Errors
/// The first file that cannot be read or does not fit, and what is wrong with it.
pub(crate) fn languages(directory: Option<&Path>) -> Result<Languages, String> {
    let mut languages = Languages::default();
    let Some(directory) = directory else { return Ok(languages) };
    let unreadable = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(|error| unreadable(directory, error))? {
        paths.push(entry.map_err(|error| unreadable(directory, error))?.path());
    }
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "json")) {
        let tag = path.file_stem().and_then(|stem| LanguageTag::parse(&stem.to_string_lossy()));
        let tag =
            tag.ok_or_else(|| format!("{}: is not named after a language, such as fr.json", path.display()))?;
        let source = std::fs::read_to_string(path).map_err(|error| unreadable(path, error))?;
        languages.add(tag, &source).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(languages)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(change: impl FnOnce(&mut BrandTable)) -> Result<Brand, String> {
        let mut table = BrandTable::default();
        change(&mut table);
        table.load()
    }

    #[test]
    fn the_default_look_is_tidegates_own() {
        assert_eq!(table(|_| {}), Ok(Brand::default()));
    }

    #[test]
    fn a_look_that_cannot_be_read_or_shown_is_told() {
        let said = |change: fn(&mut BrandTable)| table(change).unwrap_err();
        assert_eq!(
            said(|table| table.accent = "teal".into()),
            "accent \"teal\" is not a colour such as #0b637d"
        );
        assert!(
            said(|table| table.accent_dark = "#222222".into())
                .starts_with("accent_dark #222222 has a contrast")
        );
        assert!(
            said(|table| table.support = Some("the office".into()))
                .starts_with("support \"the office\" is neither")
        );
        assert!(said(|table| table.support = Some("javascript:alert(1)".into())).contains("is neither"));
        assert!(
            said(|table| table.logo = Some("/nowhere.svg".into()))
                .starts_with("logo /nowhere.svg: No such file")
        );
    }

    #[test]
    fn a_logo_is_a_small_picture() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = directory.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            logo(&path)
        };
        assert_eq!(
            file("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>").unwrap().media_type,
            "image/svg+xml"
        );
        assert_eq!(file("a.png", b"\x89PNG\r\n\x1a\n...").unwrap().media_type, "image/png");
        assert!(file("a.gif", b"GIF89a").unwrap_err().ends_with("is neither an SVG nor a PNG file"));
        assert!(file("big.svg", &vec![b'<'; 65 * 1024]).unwrap_err().ends_with("is larger than 64 KiB"));
    }

    #[test]
    fn an_operators_language_is_one_file_and_a_missing_text_is_told_at_start() {
        let english = include_str!("../../../domain/messages/en.json");
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("README"), "notes").unwrap();
        std::fs::write(directory.path().join("fr.json"), english.replace("\"Thank you\"", "\"Merci\""))
            .unwrap();
        let known = languages(Some(directory.path())).unwrap();
        let french = known.preferred("fr-CA").unwrap();
        assert_eq!(known.of(Some(french)).text("page.verified.title"), "Merci");

        std::fs::write(directory.path().join("fr.json"), english.replace("page.home", "page.house")).unwrap();
        assert!(languages(Some(directory.path())).unwrap_err().ends_with("fr.json: lacks page.home"));
        std::fs::write(directory.path().join("fr.json"), english).unwrap();
        std::fs::write(directory.path().join("fr_FR.json"), english).unwrap();
        assert!(languages(Some(directory.path())).unwrap_err().contains("is not named after a language"));
    }
}
