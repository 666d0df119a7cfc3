//! A state as a page that follows it, and the files that the page is made of.

use axum::{
    extract::Path,
    http::header,
    response::{IntoResponse, Response},
};
use rules::{record::Seq, refusal::Refusal};
use std::fmt::Write;

use super::{notice, problem::Problem};

/// Nothing but our own files, and the stream of states.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'";
const STYLE: &str =
    concat!(include_str!("../../../dashboard/src/style/tokens.css"), include_str!("state_page/state.css"));
const CSS: &str = "text/css; charset=utf-8";
/// A longer state is not laid out in lines for those who read without JavaScript.
const INDENTED_BYTES_MAX: usize = 256 << 10;
/// Deeper lines begin where these do.
const INDENTED_DEPTH_MAX: usize = 32;

/// `GET /page/FILE`
pub async fn file(Path(file): Path<String>) -> Result<Response, Problem> {
    let (kind, text) = match file.as_str() {
        "notice.css" => (CSS, notice::STYLE),
        "state.css" => (CSS, STYLE),
        "state.js" => ("text/javascript; charset=utf-8", include_str!("state_page/state.js")),
        _ => return Err(Refusal::PATH_UNKNOWN.into()),
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, text).into_response())
}

/// The page of a state: whole without JavaScript, live with it. A state of the past stays what it was.
pub fn of(json: &str, seq: Seq, is_live: bool) -> Response {
    let page = format!(
        include_str!("state_page/state.html"),
        follow = if is_live { "live" } else { "no" },
        seq = if seq == Seq(0) { "before the first request".to_owned() } else { format!("after request {}", seq.0) },
        words = if is_live { "As it was when this page was loaded" } else { "As it was then" },
        state = escaped(&indented(json)),
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // The address holds the key.
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, page).into_response()
}

/// Text as HTML shows it.
pub fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + text.len() / 8);
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

/// JSON in lines. Only what stands between its tokens is touched, so no number becomes another.
fn indented(json: &str) -> String {
    if json.len() > INDENTED_BYTES_MAX {
        return json.to_owned();
    }
    let mut text = String::with_capacity(2 * json.len());
    let mut depth = 0usize;
    let (mut in_string, mut is_escaped) = (false, false);
    let mut characters = json.chars().peekable();
    let line = |text: &mut String, depth: usize| {
        let _ = write!(text, "\n{:1$}", "", 2 * depth.min(INDENTED_DEPTH_MAX));
    };
    while let Some(character) = characters.next() {
        if in_string {
            text.push(character);
            in_string = is_escaped || character != '"';
            is_escaped = !is_escaped && character == '\\';
            continue;
        }
        match character {
            '{' | '[' => {
                text.push(character);
                while characters.next_if(char::is_ascii_whitespace).is_some() {}
                match characters.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => text.push(end),
                    None => {
                        depth += 1;
                        line(&mut text, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut text, depth);
                text.push(character);
            }
            ',' => {
                text.push(character);
                line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            '"' => {
                in_string = true;
                text.push(character);
            }
            other if other.is_ascii_whitespace() => {}
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_in_lines_is_the_same_json() {
        let json = r#"{"a": [1,1e400,{"b":"},\\\"[ <"}],"c":{},"d":[ ],"e":0.10}"#;
        let lines = indented(json);
        let expected = "{\n  \"a\": [\n    1,\n    1e400,\n    {\n      \"b\": \"},\\\\\\\"[ <\"\n    }\n  ],\n  \
                        \"c\": {},\n  \"d\": [],\n  \"e\": 0.10\n}";
        assert_eq!(lines, expected);
        assert_eq!(indented("null"), "null");
        let deep = "[".repeat(100_000);
        assert!(indented(&deep).len() < 100_000 * 70, "a line's beginning has a bound");
    }

    #[test]
    fn what_a_state_holds_is_never_markup() {
        assert_eq!(escaped(r#"</pre><script x="&'">"#), "&lt;/pre&gt;&lt;script x=&quot;&amp;&#39;&quot;&gt;");
    }
}
