//! What a client wants to read: JSON, a page, or a stream.

use axum::http::{HeaderMap, header};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Json,
    Page,
    Stream,
}

impl Wanted {
    /// A page or a stream has to be asked for by name, above JSON; `*/*` and silence mean JSON.
    pub fn of(headers: &HeaderMap) -> Wanted {
        let (mut json, mut page, mut stream) = (0.0, 0.0, 0.0);
        let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        for range in values.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight =
                parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
            match kind.as_str() {
                "application/json" => json = weight,
                "text/html" => page = weight,
                "text/event-stream" => stream = weight,
                _ => {}
            }
        }
        match () {
            () if stream > json && stream >= page => Wanted::Stream,
            () if page > json => Wanted::Page,
            () => Wanted::Json,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_or_a_stream_has_to_be_asked_for_by_name() {
        let wanted = |accept: &'static str| {
            Wanted::of(&HeaderMap::from_iter([(header::ACCEPT, header::HeaderValue::from_static(accept))]))
        };
        const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
        assert_eq!(Wanted::of(&HeaderMap::new()), Wanted::Json);
        assert_eq!(wanted("*/*"), Wanted::Json);
        assert_eq!(wanted("text/*"), Wanted::Json);
        assert_eq!(wanted(BROWSER), Wanted::Page);
        assert_eq!(wanted("Text/HTML"), Wanted::Page);
        assert_eq!(wanted("text/event-stream"), Wanted::Stream);
        assert_eq!(wanted("text/html, application/json"), Wanted::Json, "a tie");
        assert_eq!(wanted("application/json;q=0.5, text/html;q=0.9"), Wanted::Page);
        assert_eq!(wanted("text/html;q=0"), Wanted::Json);
        assert_eq!(wanted("text/html;q=soon"), Wanted::Json);
    }
}
