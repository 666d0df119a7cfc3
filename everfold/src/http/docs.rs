//! The API as a document for programs and as a page for people, both from the file that is checked in.

use std::{fmt::Write, sync::LazyLock};

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use rules::refusal::Refusal;
use serde_json::{Map, Value};

use super::state_page::escaped;

/// The contract: tests hold the running server against it.
const DOCUMENT: &str = include_str!("../../openapi.json");
const STYLE: &str = concat!(include_str!("../../../dashboard/src/style/tokens.css"), include_str!("docs.css"));
/// Nothing but the style is fetched, and nothing runs.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// The largest integer that every reader of JSON keeps exactly.
const JSON_INTEGER_MAX: u64 = (1 << 53) - 1;
static PAGE: LazyLock<String> =
    LazyLock::new(|| page_of(&serde_json::from_str(DOCUMENT).expect("the document that is checked in is JSON")));

/// `GET /openapi.json`
pub async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}

/// `GET /docs`
pub async fn page() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, PAGE.as_str()).into_response()
}

/// `GET /docs.css`
pub async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")], STYLE)
        .into_response()
}

pub fn page_of(document: &Value) -> String {
    let info = &document["info"];
    let (mut menu, mut calls) = (String::new(), String::new());
    for tag in list(&document["tags"]) {
        let (name, about) = (str_of(&tag["name"]), prose(&tag["description"]));
        let id = anchor(name);
        add(&mut menu, format_args!("<h2><a href=\"#{id}\">{name}</a></h2><ul>"));
        add(&mut calls, format_args!("<section class=tag id=\"{id}\"><h2>{name}</h2>{about}"));
        for call in calls_of(document, name) {
            let (id, verb) = (str_of(&call.operation["operationId"]), call.verb());
            let summary = inline(&call.operation["summary"]);
            add(&mut menu, format_args!("<li><a href=\"#{id}\"><b class={verb}>{verb}</b>{summary}</a></li>"));
            calls.push_str(&call.html());
        }
        menu.push_str("</ul>");
        calls.push_str("</section>");
    }
    let shapes: String =
        fields_of(&document["components"]["schemas"]).map(|(name, schema)| shape(name, schema)).collect();
    let refusals: String = Refusal::ALL.iter().map(refusal).collect();
    let title = inline(&info["title"]);
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <meta name=color-scheme content=\"light dark\"><title>{title} API</title><link rel=stylesheet href=\"/docs.css\">\
         <nav><a class=home href=\"#top\">{title} <span>API</span></a>{menu}\
         <h2>Reference</h2><ul><li><a href=\"#shapes\">Shapes</a></li><li><a href=\"#errors\">Errors</a></li>\
         <li><a href=\"/openapi.json\">openapi.json</a></li></ul></nav>\
         <main id=top><header><h1>{title} API</h1><p class=lead>{summary}</p>{about}{security}</header>{calls}\
         <section class=tag id=shapes><h2>Shapes</h2>{shapes}</section>\
         <section class=tag id=errors><h2>Errors</h2><p>Each is a <a href=\"#Problem\">problem document</a>.</p>\
         <div class=wide><table><thead><tr><th>Status<th>Code<th>What it says, and what to do next<tbody>{refusals}</table></div>\
         </section></main></html>\n",
        summary = inline(&info["summary"]),
        about = prose(&info["description"]),
        security = identities(document),
    )
}

/// One call, and the document that its references lead into.
struct Call<'a> {
    document: &'a Value,
    path: &'a str,
    method: &'a str,
    operation: &'a Value,
}

/// Those of one tag, in the order of the document.
fn calls_of<'a>(document: &'a Value, tag: &'a str) -> impl Iterator<Item = Call<'a>> {
    let calls = fields_of(&document["paths"]).flat_map(move |(path, item)| {
        let operations = fields_of(item).filter(|(_, operation)| operation["operationId"].is_string());
        operations.map(move |(method, operation)| Call { document, path, method, operation })
    });
    calls.filter(move |call| list(&call.operation["tags"]).contains(&Value::from(tag)))
}

impl Call<'_> {
    fn html(&self) -> String {
        let Call { path, operation, document, .. } = *self;
        let address = escaped(path).replace('{', "<i>{").replace('}', "}</i>");
        let mut html = format!(
            "<article id=\"{id}\"><div><h3><a href=\"#{id}\">{summary}</a></h3>\
             <p class=call><b class={verb}>{verb}</b> <code>{address}</code>{identity}</p>{about}{note}",
            verb = self.verb(),
            identity = self.identity(),
            id = str_of(&operation["operationId"]),
            summary = inline(&operation["summary"]),
            about = prose(&operation["description"]),
            note = prose(&document["paths"][path]["description"]),
        );
        let parameters: String = self.parameters().map(parameter).collect();
        if !parameters.is_empty() {
            add(&mut html, format_args!("<h4>Parameters</h4><dl>{parameters}</dl>"));
        }
        let body = &operation["requestBody"];
        if let Some((kind, media)) = fields_of(&body["content"]).next() {
            let needed = if body["required"] == true { "" } else { " <small>may be left away</small>" };
            let fields = rows(self.resolved(&media["schema"]));
            let about = prose(&body["description"]);
            let kind = if fields.is_empty() { format!(" <small>{}</small>", escaped(kind)) } else { String::new() };
            add(&mut html, format_args!("<h4>Body{kind}{needed}</h4>{about}<dl>{fields}</dl>"));
        }
        if operation["x-frame"].is_object() {
            add(&mut html, format_args!("<h4>Frames</h4><p>{}</p>", kind(&operation["x-frame"])));
        }
        add(&mut html, format_args!("<h4>Replies</h4><dl>{}</dl></div>", self.replies()));
        add(&mut html, format_args!("<div class=code>{}</div></article>", self.samples()));
        html
    }

    /// The method, or what says more than it.
    fn verb(&self) -> &str {
        let takes_any = self.document["paths"][self.path]["x-any-method"] == true;
        if takes_any {
            "any"
        } else if self.operation["x-frame"].is_object() {
            "ws"
        } else {
            self.method
        }
    }

    /// Who may call, where that is not every owner.
    fn identity(&self) -> &str {
        match self.operation["security"].as_array() {
            None => "",
            Some(schemes) if schemes.is_empty() => "<small>no identity needed</small>",
            Some(_) => "<small>a sign-in, not an API key</small>",
        }
    }

    fn parameters(&self) -> impl Iterator<Item = &Value> {
        list(&self.operation["parameters"]).iter().map(|parameter| self.resolved(parameter))
    }

    fn resolved<'b>(&'b self, value: &'b Value) -> &'b Value {
        let place = value["$ref"].as_str().and_then(|place| place.strip_prefix('#'));
        place.and_then(|place| self.document.pointer(place)).unwrap_or(value)
    }

    fn replies(&self) -> String {
        let replies = fields_of(&self.operation["responses"]).map(|(status, response)| {
            let response = self.resolved(response);
            let codes = &response["content"]["application/problem+json"]["schema"]["properties"]["code"]["enum"];
            let codes: Vec<_> = list(codes).iter().map(str_of).collect();
            let links = codes.iter().map(|code| format!("<a href=\"#{code}\"><code>{code}</code></a>"));
            let is_problem = !codes.is_empty() && fields_of(&response["content"]).count() == 1;
            let said = if is_problem {
                links.collect::<Vec<_>>().join(" ")
            } else {
                let media = fields_of(&response["content"]).filter(|(media, _)| *media != "*/*");
                let kinds = media.map(|(media, content)| match media {
                    "application/json" => kind(&content["schema"]),
                    media => format!("<small>{}</small>", escaped(media)),
                });
                let kinds = kinds.filter(|kind| !kind.is_empty()).collect::<Vec<_>>().join(", ");
                let headers = fields_of(&response["headers"]).filter(|(_, header)| header["$ref"].is_null());
                let headers: String = headers.map(|(name, header)| header_row(name, header)).collect();
                format!("{} {kinds}{headers}", inline(&response["description"]))
            };
            let status = if status == "default" { "other" } else { status };
            let class = if is_problem { "no" } else { "yes" };
            format!("<dt class={class}>{status}<dd>{said}")
        });
        replies.collect()
    }

    fn samples(&self) -> String {
        let mut html = format!("<pre tabindex=0><code>{}</code></pre>", escaped(&self.curl()));
        let example = fields_of(&self.operation["responses"]).find_map(|(status, response)| {
            let (_, media) = fields_of(&response["content"]).next()?;
            media.get("example").map(|example| (status, example))
        });
        if let Some((status, example)) = example {
            let example = match example {
                Value::String(text) => text.clone(),
                example => format!("{example:#}"),
            };
            add(
                &mut html,
                format_args!("<p>{status}</p><pre tabindex=0><code>{}</code></pre>", escaped(example.trim_end())),
            );
        }
        html
    }

    /// A line that works once the keys and ids in it are one's own.
    fn curl(&self) -> String {
        let mut path = self.path.to_owned();
        let (mut headers, mut query) = (String::new(), String::new());
        for parameter in self.parameters() {
            let name = str_of(&parameter["name"]);
            let example = match &parameter["example"] {
                Value::Null => continue,
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            match str_of(&parameter["in"]) {
                "path" => path = path.replace(&format!("{{{name}}}"), &example),
                "query" if parameter["required"] == true => add(&mut query, format_args!("?{name}={example}")),
                "header" => add(&mut headers, format_args!(" \\\n  -H '{}: {example}'", name.to_lowercase())),
                _ => {}
            }
        }
        let is_open = self.operation["security"].as_array().is_some_and(Vec::is_empty);
        if !is_open {
            headers.insert_str(0, " \\\n  -H \"authorization: Bearer $JWT\"");
        }
        let content = &self.operation["requestBody"]["content"];
        let body = match &content["application/json"]["example"] {
            Value::Null if content["application/zstd"].is_object() => {
                " \\\n  --data-binary @hook.ndjson.zst".to_owned()
            }
            Value::Null => String::new(),
            example => format!(" \\\n  -H 'content-type: application/json' \\\n  -d '{example}'"),
        };
        let is_socket = self.operation["x-frame"].is_object();
        let (program, scheme) = if is_socket { ("websocat", "ws") } else { ("curl", "http") };
        let method = match self.method {
            "get" => String::new(),
            "post" if !body.is_empty() => String::new(),
            method => format!(" -X {}", method.to_uppercase()),
        };
        format!("{program}{method} '{scheme}://localhost:8080{path}{query}'{headers}{body}")
    }
}

fn identities(document: &Value) -> String {
    let schemes = fields_of(&document["components"]["securitySchemes"]);
    let rows: String =
        schemes.map(|(name, scheme)| format!("<dt>{name}<dd>{}", inline(&scheme["description"]))).collect();
    format!("<h2>Identity</h2><dl>{rows}</dl>")
}

fn parameter(parameter: &Value) -> String {
    let needed = if parameter["required"] == true { "" } else { " <small>optional</small>" };
    let place = str_of(&parameter["in"]);
    let (name, about) = (str_of(&parameter["name"]), inline(&parameter["description"]));
    format!("<dt><code>{name}</code> <small>{place}</small>{needed}<dd>{} {about}", kind(&parameter["schema"]))
}

fn header_row(name: &str, header: &Value) -> String {
    format!("<br><code>{}</code> {}", name.to_lowercase(), inline(&header["description"]))
}

fn shape(name: &str, schema: &Value) -> String {
    let about = prose(&schema["description"]);
    let fields = rows(schema);
    let kind = if fields.is_empty() { format!("<p>{}</p>", kind(schema)) } else { format!("<dl>{fields}</dl>") };
    format!(
        "<article class=shape id=\"{name}\"><div><h3><a href=\"#{name}\">{name}</a></h3>{about}{kind}</div></article>"
    )
}

/// The fields of an object, one below the other.
fn rows(schema: &Value) -> String {
    let required = list(&schema["required"]);
    let rows = fields_of(&schema["properties"]).map(|(name, field)| {
        let needed = if required.contains(&Value::from(name)) { "" } else { " <small>optional</small>" };
        // What a list of codes says is in the table of errors.
        let kind = if name == "code" && field["enum"].is_array() { "text".to_owned() } else { kind(field) };
        format!("<dt><code>{name}</code>{needed}<dd>{kind} {}", inline(&field["description"]))
    });
    rows.collect()
}

fn refusal(refusal: &Refusal) -> String {
    let Refusal { status, code, title, detail, hint, .. } = refusal;
    let stop = if title.ends_with('?') { "" } else { "." };
    let (title, detail, hint) = (escaped(title), escaped(detail), escaped(hint));
    format!(
        "<tr id=\"{code}\"><td>{status}<td><code>{code}</code>\
         <td><strong>{title}{stop}</strong> {detail}<br><small>{hint}</small>"
    )
}

/// What a value may be, in words, with links to the shapes.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|place| place.rsplit('/').next()) {
        return format!("<a class=kind href=\"#{name}\">{name}</a>");
    }
    for choice in ["anyOf", "oneOf"] {
        if schema[choice].is_array() {
            return list(&schema[choice]).iter().map(kind).collect::<Vec<_>>().join(" or ");
        }
    }
    if let Some(constant) = schema.get("const") {
        return format!("<span class=kind>{}</span>", escaped(&constant.to_string()));
    }
    if schema["enum"].is_array() {
        let values: Vec<_> = list(&schema["enum"]).iter().map(|value| escaped(&value.to_string())).collect();
        return format!("<span class=kind>{}</span>", values.join(" or "));
    }
    if schema["type"] == "array" {
        return format!("<span class=kind>list of</span> {}", kind(&schema["items"]));
    }
    if schema["type"] == "object" && schema["properties"].is_object() {
        return format!("<span class=kind>object</span><dl>{}</dl>", rows(schema));
    }
    let types = match &schema["type"] {
        Value::Null => return String::new(),
        Value::Array(types) => types.iter().map(str_of).collect(),
        one => vec![str_of(one)],
    };
    let words = types.iter().map(|word| match *word {
        "string" => schema["format"].as_str().map_or("text", |format| if format == "uuid" { "UUID" } else { format }),
        "integer" => "whole number",
        "object" => "object",
        "boolean" => "true or false",
        other => other,
    });
    format!("<span class=kind>{}{}</span>", words.collect::<Vec<_>>().join(" or "), bounds(schema))
}

fn bounds(schema: &Value) -> String {
    let mut bounds = String::new();
    for (name, word) in [("minimum", "≥ "), ("maximum", "≤ "), ("minLength", "length ≥ "), ("maxLength", "length ≤ ")]
    {
        // That a number is neither below 0 nor above what JSON can say goes without saying.
        let is_news = |bound: &&Value| !matches!(bound.as_u64(), Some(0 | JSON_INTEGER_MAX));
        if let Some(bound) = schema.get(name).filter(is_news) {
            add(&mut bounds, format_args!(", {word}{bound}"));
        }
    }
    bounds
}

fn add(html: &mut String, text: std::fmt::Arguments) {
    html.write_fmt(text).expect("a string can always grow");
}

fn str_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn fields_of(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter).map(|(name, value)| (name.as_str(), value))
}

fn anchor(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

/// Paragraphs, as the document writes them.
fn prose(text: &Value) -> String {
    let paragraphs = str_of(text).split("\n\n").filter(|paragraph| !paragraph.is_empty());
    paragraphs.map(|paragraph| format!("<p>{}</p>", code_marked(paragraph))).collect()
}

fn inline(text: &Value) -> String {
    code_marked(str_of(text))
}

/// What stands between backticks is code.
fn code_marked(text: &str) -> String {
    let mut html = String::new();
    for (index, part) in escaped(text).split('`').enumerate() {
        html.push_str(if index == 0 {
            ""
        } else if index % 2 == 1 {
            "<code>"
        } else {
            "</code>"
        });
        html.push_str(part);
    }
    html
}
