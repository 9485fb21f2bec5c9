//! Which kind of file some bytes are, whatever their sender calls them.

/// A kind of file that the broker takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileType {
    Pdf,
    Png,
    Jpeg,
}

impl FileType {
    /// What to say about anything else.
    pub(super) const WANTED: &str = "must be a PDF, PNG or JPEG file";

    /// By the first bytes: ISO 32000-1 section 7.5.2, PNG section 5.2, and JPEG's start of image with the marker
    /// that follows it.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [b'%', b'P', b'D', b'F', b'-', ..] => Some(Self::Pdf),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            _ => None,
        }
    }

    /// The kind a media type names, whichever of its names it is; parameters aside.
    pub(super) fn named(mime: &str) -> Option<Self> {
        let name = mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match name.as_str() {
            "application/pdf" | "application/x-pdf" => Some(Self::Pdf),
            "image/png" | "image/x-png" => Some(Self::Png),
            "image/jpeg" | "image/jpg" | "image/pjpeg" => Some(Self::Jpeg),
            _ => None,
        }
    }

    /// Its media type.
    pub(super) fn mime(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_first_bytes() {
        assert_eq!(FileType::of(b"%PDF-1.7\n"), Some(FileType::Pdf));
        assert_eq!(FileType::of(b"\x89PNG\r\n\x1a\n...."), Some(FileType::Png));
        assert_eq!(FileType::of(b"\xff\xd8\xff\xe0"), Some(FileType::Jpeg));
        for bytes in [&b""[..], b"%PDF", b" %PDF-1.7", b"\x89PNG\n\x1a\n", b"\xff\xd8", b"GIF89a", b"<html>"]
        {
            assert_eq!(FileType::of(bytes), None);
        }
    }

    #[test]
    fn a_kind_is_found_by_its_media_type() {
        for kind in [FileType::Pdf, FileType::Png, FileType::Jpeg] {
            assert_eq!(FileType::named(kind.mime()), Some(kind));
        }
        assert_eq!(FileType::named("Image/PNG"), Some(FileType::Png));
        for jpeg in ["image/jpg", "image/JPEG; charset=binary", " image/pjpeg "] {
            assert_eq!(FileType::named(jpeg), Some(FileType::Jpeg), "{jpeg}");
        }
        assert_eq!(FileType::named("application/json"), None);
    }
}
