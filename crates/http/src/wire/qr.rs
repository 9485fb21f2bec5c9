//! QR codes as pictures inside a document (RFC 2397).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use qrcodegen::{QrCode, QrCodeEcc};

/// Pixels of one module.
const SCALE: usize = 6;
/// Modules of the light margin that scanners need (ISO/IEC 18004).
const QUIET: usize = 4;

/// The text as a QR code: a `data:` URI with a black and white PNG. None where it is too long for one.
pub(crate) fn data_uri(text: &str) -> Option<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let modules = usize::try_from(code.size()).ok()?;
    let side = (modules + 2 * QUIET) * SCALE;
    let is_dark = |x: usize, y: usize| {
        let module =
            |pixel: usize| i32::try_from(pixel / SCALE).ok()?.checked_sub(i32::try_from(QUIET).ok()?);
        // Outside of the code every module is light.
        module(x).zip(module(y)).is_some_and(|(x, y)| code.get_module(x, y))
    };
    let pixels: Vec<u8> =
        (0..side).flat_map(|y| (0..side).map(move |x| if is_dark(x, y) { 0 } else { 255 })).collect();
    let mut picture = Vec::new();
    let pixels_a_side = u32::try_from(side).ok()?;
    let mut encoder = png::Encoder::new(&mut picture, pixels_a_side, pixels_a_side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(&pixels).ok()?;
    writer.finish().ok()?;
    Some(format!("data:image/png;base64,{}", STANDARD.encode(picture)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_becomes_a_picture_and_one_that_does_not_fit_none() {
        let uri = data_uri("otpauth://totp/Tidegate:ada?secret=GEZDGNBVGY3TQOJQ").unwrap();
        let picture = STANDARD.decode(uri.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        assert!(picture.starts_with(b"\x89PNG"), "{uri}");
        assert_eq!(data_uri(&"a".repeat(5_000)), None);
    }
}
