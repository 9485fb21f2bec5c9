//! Whether an answer is for a person or for a program.

use axum::http::{HeaderMap, header};

/// Whether the client accepts HTML by name (RFC 9110 section 12.5.1), as browsers do and programs do not: `*/*` alone is a
/// program.
pub(crate) fn prefers_html(headers: &HeaderMap) -> bool {
    let mut best = [0_u16; 2];
    let lists = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    for range in lists.flat_map(|list| list.split(',')).take(50) {
        let mut parts = range.split(';').map(str::trim);
        let Some(media_type) = parts.next() else { continue };
        let weight = parts.find_map(weight_of).unwrap_or(1_000);
        let [html, json] = &mut best;
        if media_type.eq_ignore_ascii_case("text/html") {
            *html = weight.max(*html);
        } else if media_type.eq_ignore_ascii_case("application/json") {
            *json = weight.max(*json);
        }
    }
    let [html, json] = best;
    html > 0 && html >= json
}

/// A weight in thousandths; none for another parameter, nothing for what is no weight.
fn weight_of(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    let weight = name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse::<f32>().unwrap_or(0.0))?;
    Some((weight.clamp(0.0, 1.0) * 1_000.0) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefers(accept: &str) -> bool {
        prefers_html(&[(header::ACCEPT, accept.parse().unwrap())].into_iter().collect())
    }

    #[test]
    fn browsers_get_pages_and_programs_do_not() {
        assert!(prefers("text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"));
        assert!(prefers("TEXT/HTML; q=0.5"));
        assert!(prefers("application/json;q=0.3, text/html;level=1;q=0.7"));
        for accept in
            ["*/*", "application/json", "application/json, text/html;q=0.9", "text/html;q=0", "text/*", ""]
        {
            assert!(!prefers(accept), "{accept}");
        }
        assert!(!prefers_html(&HeaderMap::new()));
    }
}
