//! The calls that hosts and the server make of each other: their types, read and written in one place.

use std::collections::BTreeMap;

use engine::host::{FromHost, Route, ToHost};
use rules::{
    call::Json,
    limits::JSON_DEPTH_MAX,
    slug::{SLUG_BYTES_MAX, is_slug},
};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::http::request::depth;

/// Actions and pages that one host may offer.
pub const HOST_ROUTES_MAX: usize = 2_000;
/// Of a name in a list; the rest is cut.
pub const ROUTE_NAME_CHARS_MAX: usize = 200;
/// Of a description; the rest is cut.
pub const ROUTE_ABOUT_CHARS_MAX: usize = 2_000;
/// Who may see a route.
const ACCESS_BYTES_MAX: usize = 4 << 10;
/// One line of a log. The package cuts it at 10,000 and says so behind it.
pub const HOST_LOG_CHARS_MAX: usize = 10_240;
/// The id of a run or a page.
const TRANSACTION_BYTES_MAX: usize = 128;

type Fields = BTreeMap<String, Box<RawValue>>;

/// What a message says.
#[derive(Debug)]
pub enum Heard {
    Call {
        id: String,
        method: String,
        call: Result<Call, String>,
    },
    /// To a call of ours; no data where there is nothing to say.
    Response {
        id: String,
        data: Option<String>,
    },
}

#[derive(Debug)]
pub enum Call {
    Initialize(Initialize),
    Say {
        transaction: String,
        said: FromHost,
    },
    BeginShutdown,
    /// Of browsers and older hosts.
    Other,
}

#[derive(Deserialize)]
struct Message<'a> {
    id: String,
    kind: Kind,
    #[serde(rename = "methodName")]
    method: String,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Kind {
    Call,
    Response,
}

pub const SEND_IO_CALL: &str = "SEND_IO_CALL";
pub const INITIALIZE_HOST: &str = "INITIALIZE_HOST";

/// `None` for what is no message.
pub fn read(text: &str) -> Option<Heard> {
    let Message { id, kind, method, data } = serde_json::from_str(text).ok()?;
    let data = data.map(RawValue::get);
    Some(match kind {
        Kind::Call => Heard::Call { call: call(&method, data.unwrap_or("{}")), id, method },
        Kind::Response => Heard::Response { id, data: data.map(str::to_owned) },
    })
}

fn call(method: &str, data: &str) -> Result<Call, String> {
    match method {
        INITIALIZE_HOST => parsed(data).map(Call::Initialize),
        SEND_IO_CALL => parsed(data).and_then(IoCall::said),
        "SEND_LOADING_CALL" => {
            let keep = ["label", "title", "description", "itemsInQueue", "itemsCompleted"];
            fields(data, &keep).map(|(transaction, state)| say(transaction, FromHost::Loading(state)))
        }
        "SEND_LOG" => parsed(data).map(Log::said),
        "SEND_REDIRECT" => {
            let keep = ["url", "href", "route", "action", "params", "paramsMeta", "replace"];
            fields(data, &keep).map(|(transaction, to)| say(transaction, FromHost::Redirect(to)))
        }
        "MARK_TRANSACTION_COMPLETE" => parsed(data).and_then(Completed::said),
        "SEND_PAGE" => parsed(data).and_then(Page::said),
        "BEGIN_HOST_SHUTDOWN" => Ok(Call::BeginShutdown),
        _ => Ok(Call::Other),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IoCall {
    transaction_id: String,
    io_call: String,
}

/// As much of an `IO_RENDER` as everything else rests on.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IoRender {
    #[serde(rename = "id")]
    _id: String,
    #[serde(rename = "inputGroupKey")]
    _input_group_key: String,
    #[serde(rename = "toRender")]
    _to_render: Vec<IgnoredAny>,
}

impl IoCall {
    fn said(self) -> Result<Call, String> {
        parsed::<IoRender>(&self.io_call)?;
        Ok(say(self.transaction_id, FromHost::Io { call: json(self.io_call)? }))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Log {
    transaction_id: String,
    data: String,
    index: Option<u32>,
    timestamp: Option<f64>,
}

impl Log {
    fn said(self) -> Call {
        let at_ms = self.timestamp.unwrap_or(0.0).max(0.0) as u64;
        let text = cut(self.data, HOST_LOG_CHARS_MAX);
        say(self.transaction_id, FromHost::Log { index: self.index.unwrap_or(0), text, at_ms })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Completed {
    transaction_id: String,
    result_status: Option<String>,
    result: Option<String>,
}

impl Completed {
    fn said(self) -> Result<Call, String> {
        let is_success = self.result_status.as_deref() != Some("FAILURE");
        let nothing = || r#"{"schemaVersion":1,"data":null}"#.to_owned();
        let result = json(self.result.unwrap_or_else(nothing))?;
        Ok(say(self.transaction_id, FromHost::Completed { is_success, result }))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    page_key: String,
    page: Option<String>,
}

impl Page {
    fn said(self) -> Result<Call, String> {
        let page = self.page.map(json).transpose()?;
        Ok(say(self.page_key, FromHost::Page(page)))
    }
}

fn say(transaction: String, said: FromHost) -> Call {
    Call::Say { transaction, said }
}

fn parsed<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("The call is not understood: {error}."))
}

/// JSON that whoever reads it may nest into: no deeper than a body.
fn json(text: String) -> Result<Json, String> {
    parsed::<&RawValue>(&text)?;
    if depth(text.as_bytes()) > JSON_DEPTH_MAX {
        return Err(format!("What was sent nests deeper than {JSON_DEPTH_MAX} levels."));
    }
    Ok(text.into())
}

/// Whom a call is of, and those of its fields that are to be kept. A page is named under either name.
fn fields(data: &str, keep: &[&str]) -> Result<(String, Json), String> {
    let mut fields: Fields = parsed(data)?;
    let id = fields.remove("transactionId").or_else(|| fields.remove("pageKey")).ok_or("The call names no run.")?;
    fields.retain(|name, _| keep.contains(&name.as_str()));
    Ok((parsed(id.get())?, json(serde_json::to_string(&fields).expect("JSON as it came"))?))
}

fn cut(mut text: String, chars_max: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(chars_max) {
        text.truncate(end);
    }
    text
}

/// What a host is and offers. It says so when it connects, and whenever that changes.
#[derive(Debug, Deserialize)]
pub struct Initialize {
    actions: Vec<ActionDefinition>,
    groups: Option<Vec<PageDefinition>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ActionDefinition {
    group_slug: Option<String>,
    slug: String,
    name: Option<String>,
    description: Option<String>,
    backgroundable: Option<bool>,
    unlisted: Option<bool>,
    warn_on_close: Option<bool>,
    access: Option<Box<RawValue>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageDefinition {
    slug: String,
    name: Option<String>,
    description: Option<String>,
    has_handler: Option<bool>,
    unlisted: Option<bool>,
    access: Option<Box<RawValue>>,
}

impl Initialize {
    /// What it offers, and the slugs of what cannot be offered; `Err` with a sentence for whoever wrote the host.
    pub fn routes(self) -> Result<(Vec<Route>, Vec<String>), String> {
        let pages = self.groups.unwrap_or_default();
        let offered = self.actions.len() + pages.len();
        if offered > HOST_ROUTES_MAX {
            return Err(format!(
                "This host offers {offered} actions and pages; one host may offer {HOST_ROUTES_MAX}. \
                 Spread them over several hosts."
            ));
        }
        let routes = self.actions.into_iter().map(Route::from).chain(pages.into_iter().map(Route::from));
        let (good, bad): (Vec<_>, Vec<_>) = routes.partition(|route| {
            is_slug(&route.slug) && route.access.as_ref().is_none_or(|access| access.len() <= ACCESS_BYTES_MAX)
        });
        Ok((good, bad.into_iter().map(|route| cut(route.slug, SLUG_BYTES_MAX)).collect()))
    }
}

impl From<ActionDefinition> for Route {
    fn from(action: ActionDefinition) -> Route {
        let slug = match action.group_slug {
            Some(group) if !group.is_empty() => format!("{group}/{}", action.slug),
            _ => action.slug,
        };
        Route {
            slug,
            name: action.name.map(|name| cut(name, ROUTE_NAME_CHARS_MAX)),
            description: action.description.map(|about| cut(about, ROUTE_ABOUT_CHARS_MAX)),
            is_page: false,
            has_handler: true,
            unlisted: action.unlisted.unwrap_or(false),
            backgroundable: action.backgroundable.unwrap_or(false),
            warn_on_close: action.warn_on_close.unwrap_or(true),
            access: action.access.map(|access| access.get().into()),
        }
    }
}

impl From<PageDefinition> for Route {
    fn from(page: PageDefinition) -> Route {
        Route {
            slug: page.slug,
            name: page.name.map(|name| cut(name, ROUTE_NAME_CHARS_MAX)),
            description: page.description.map(|about| cut(about, ROUTE_ABOUT_CHARS_MAX)),
            is_page: true,
            has_handler: page.has_handler.unwrap_or(false),
            unlisted: page.unlisted.unwrap_or(false),
            backgroundable: false,
            warn_on_close: false,
            access: page.access.map(|access| access.get().into()),
        }
    }
}

/// Whether this may be the id of a run or a page.
pub fn is_transaction(id: &str) -> bool {
    !id.is_empty() && id.len() <= TRANSACTION_BYTES_MAX
}

/// What a host learns when it has said what it offers.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase", rename_all_fields = "camelCase")]
pub enum Initialized<'a> {
    Success {
        environment: &'a str,
        invalid_slugs: Vec<String>,
        organization: Organization<'a>,
        dashboard_url: &'a str,
        warnings: [&'a str; 0],
    },
    Error {
        message: String,
    },
}

#[derive(Serialize)]
pub struct Organization<'a> {
    pub name: &'a str,
    pub slug: &'a str,
}

/// To a question that is not taken: its `io` call rejects with this.
#[derive(Serialize)]
#[serde(tag = "type", rename = "ERROR")]
pub struct IoRefused {
    pub message: String,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "success")]
pub struct Success {}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a, T> {
    id: &'a str,
    kind: Kind,
    method_name: &'a str,
    data: T,
}

pub fn response(id: &str, method: &str, data: impl Serialize) -> String {
    written(&Written { id, kind: Kind::Response, method_name: method, data })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StartTransaction<'a> {
    transaction_id: &'a str,
    /// What is shown is not waited for; and the host keeps what was shown until it hears that nobody looks any more.
    display_resolves_immediately: bool,
    action_name: &'a str,
    #[serde(flatten)]
    context: Fields,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OpenPage<'a> {
    page_key: &'a str,
    #[serde(flatten)]
    context: Fields,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IoResponse<'a> {
    transaction_id: &'a str,
    value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IoResponseValue<'a> {
    id: &'a str,
    input_group_key: &'a str,
    transaction_id: &'a str,
    #[serde(flatten)]
    response: Fields,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CloseTransaction<'a> {
    transaction_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClosePage<'a> {
    page_key: &'a str,
}

/// A call of ours; `Err` where what it is made of is no object.
pub fn call_of(id: &str, message: &ToHost) -> Result<String, serde_json::Error> {
    Ok(match message {
        ToHost::Start { transaction, slug, context } => {
            let context = serde_json::from_str(context)?;
            let data = StartTransaction {
                transaction_id: transaction,
                display_resolves_immediately: true,
                action_name: slug,
                context,
            };
            written(&Written { id, kind: Kind::Call, method_name: "START_TRANSACTION", data })
        }
        ToHost::Answer { transaction, key, id: rendered, response } => {
            let response = serde_json::from_str(response)?;
            let value = IoResponseValue { id: rendered, input_group_key: key, transaction_id: transaction, response };
            let data = IoResponse { transaction_id: transaction, value: written(&value) };
            written(&Written { id, kind: Kind::Call, method_name: "IO_RESPONSE", data })
        }
        ToHost::Close { transaction } => {
            let data = CloseTransaction { transaction_id: transaction };
            written(&Written { id, kind: Kind::Call, method_name: "CLOSE_TRANSACTION", data })
        }
        ToHost::OpenPage { page_key, context, .. } => {
            let data = OpenPage { page_key, context: serde_json::from_str(context)? };
            written(&Written { id, kind: Kind::Call, method_name: OPEN_PAGE, data })
        }
        ToHost::ClosePage { page_key } => {
            written(&Written { id, kind: Kind::Call, method_name: "CLOSE_PAGE", data: ClosePage { page_key } })
        }
    })
}

pub const OPEN_PAGE: &str = "OPEN_PAGE";

/// Why a page was not opened, as a page that says so; `None` when it was.
pub fn unopened(data: &str) -> Option<Json> {
    #[derive(Deserialize)]
    struct Opened {
        #[serde(rename = "type")]
        kind: String,
        message: Option<String>,
    }
    #[derive(Serialize)]
    struct Layout<'a> {
        kind: &'a str,
        errors: [LayoutError<'a>; 1],
    }
    #[derive(Serialize)]
    struct LayoutError<'a> {
        error: &'a str,
        message: &'a str,
    }
    let opened: Opened = serde_json::from_str(data).ok()?;
    (opened.kind == "ERROR").then(|| {
        let message = opened.message.as_deref().unwrap_or("The host did not open the page.");
        written(&Layout { kind: "BASIC", errors: [LayoutError { error: "Error", message }] }).into()
    })
}

fn written(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn said(method: &str, data: Value) -> Result<(String, FromHost), String> {
        let text = json!({"id": "1", "kind": "CALL", "methodName": method, "data": data}).to_string();
        match read(&text) {
            Some(Heard::Call { call: Ok(Call::Say { transaction, said }), .. }) => Ok((transaction, said)),
            Some(Heard::Call { call: Err(why), .. }) => Err(why),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_a_host_says_is_read_and_what_nobody_knows_is_left_out() {
        let loading = json!({"transactionId": "t", "label": "L", "itemsInQueue": 2, "skipClientCall": true, "new": 1});
        let (of, loading) = said("SEND_LOADING_CALL", loading).expect("well formed");
        assert_eq!((of.as_str(), loading), ("t", FromHost::Loading(r#"{"itemsInQueue":2,"label":"L"}"#.into())));
        let redirect = said("SEND_REDIRECT", json!({"pageKey": "p", "route": "a", "params": {"n": 1e3}}));
        let to = FromHost::Redirect(r#"{"params":{"n":1000.0},"route":"a"}"#.into());
        assert_eq!(redirect, Ok(("p".to_owned(), to)));
        let log =
            said("SEND_LOG", json!({"transactionId": "t", "data": "é".repeat(10_241), "index": 3, "timestamp": 5}));
        assert_eq!(log, Ok(("t".to_owned(), FromHost::Log { index: 3, text: "é".repeat(10_240), at_ms: 5 })));
        assert_eq!(
            said("SEND_PAGE", json!({"pageKey": "p", "page": null})),
            Ok(("p".to_owned(), FromHost::Page(None)))
        );
    }

    #[test]
    fn a_question_that_is_none_is_refused_with_a_sentence() {
        let io = |call: &str| said(SEND_IO_CALL, json!({"transactionId": "t", "ioCall": call}));
        let whole = r#"{"id":"i","inputGroupKey":"k","toRender":[],"kind":"RENDER"}"#;
        assert_eq!(io(whole), Ok(("t".to_owned(), FromHost::Io { call: whole.into() })));
        for call in ["", "{", "[]", r#"{"id":"i"}"#] {
            assert!(io(call).is_err_and(|why| why.starts_with("The call is not understood")), "{call}");
        }
        let deep = format!(r#"{{"id":"i","inputGroupKey":"k","toRender":[{}{}]}}"#, "[".repeat(500), "]".repeat(500));
        assert!(io(&deep).is_err_and(|why| why.contains("128 levels")));
        assert!(said("SEND_LOG", json!({"data": "x"})).is_err());
        assert!(said("SEND_LOADING_CALL", json!({"label": "x"})).is_err());
    }

    #[test]
    fn slugs_are_whole_paths_and_bad_ones_are_named() {
        let initialize: Initialize = serde_json::from_value(json!({
            "actions": [
                {"slug": "hello"},
                {"groupSlug": "users", "slug": "create", "name": "Create", "backgroundable": true, "access": {"teams": ["a"]}},
                {"slug": "not good"},
            ],
            "groups": [{"slug": "users", "name": "Users", "hasHandler": true}, {"slug": "../x", "name": "X"}],
            "sdkName": "@interval/sdk", "sdkVersion": "2.0.0",
        }))
        .expect("well formed");
        let (routes, invalid) = initialize.routes().expect("few");
        assert_eq!(invalid, ["not good", "../x"]);
        let slugs: Vec<_> = routes.iter().map(|route| (route.slug.as_str(), route.is_page)).collect();
        assert_eq!(slugs, [("hello", false), ("users/create", false), ("users", true)]);
        assert_eq!(routes[1].access.as_deref(), Some(r#"{"teams":["a"]}"#));
        let many = json!({"actions": (0..2_001).map(|n| json!({"slug": n.to_string()})).collect::<Vec<_>>()});
        assert!(serde_json::from_value::<Initialize>(many).expect("well formed").routes().is_err());
    }

    #[test]
    fn what_a_host_is_told_is_written_as_the_package_reads_it() {
        let data = |message: ToHost| {
            let text = call_of("7", &message).expect("objects");
            let call: Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!((&call["id"], &call["kind"]), (&json!("7"), &json!("CALL")));
            call["data"].clone()
        };
        let (transaction, context) =
            ("t".to_owned(), r#"{"user":{"email":"a@b.c"},"params":{"n":12345678901234567890123}}"#);
        let start = ToHost::Start { transaction: transaction.clone(), slug: "a/b".to_owned(), context: context.into() };
        assert!(
            call_of("1", &start).is_ok_and(|text| text.contains("12345678901234567890123")),
            "numbers as they came"
        );
        assert_eq!(data(start)["displayResolvesImmediately"], true);
        let response = r#"{"kind":"RETURN","values":["Bob"]}"#.into();
        let answer = data(ToHost::Answer { transaction, key: "k".to_owned(), id: "i".to_owned(), response });
        let value: Value = serde_json::from_str(answer["value"].as_str().expect("a string")).expect("JSON");
        let wanted =
            json!({"id": "i", "inputGroupKey": "k", "transactionId": "t", "kind": "RETURN", "values": ["Bob"]});
        assert_eq!(value, wanted);
        assert_eq!(unopened(r#"{"type":"SUCCESS","pageKey":"p"}"#), None);
        assert!(unopened(r#"{"type":"ERROR"}"#).is_some_and(|layout| layout.contains("did not open")));
    }
}
