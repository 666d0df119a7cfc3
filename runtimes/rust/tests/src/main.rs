// What the table test asks for, by the header `x-action`: everfold/tests/runtimes.rs.

use std::{collections::HashMap, env, thread::sleep, time::Duration};

use openruntimes_types_for_rust::{Context, Response};
use serde_json::{json, Value};

pub fn main(context: Context) -> Response {
    let (mut req, res) = (context.req.clone(), context.res.clone());
    let one = |name: &str, value: &str| Some(HashMap::from([(name.to_owned(), value.to_owned())]));
    match req.headers.get("x-action").map(String::as_str).unwrap_or_default() {
        "request" => res.json(
            json!({"method": req.method, "scheme": req.scheme, "host": req.host, "port": req.port, "path": req.path,
                "query": req.query, "queryString": req.query_string, "url": req.url, "headers": req.headers}),
            None,
            None,
        ),
        "text" => res.text(req.body_text(), None, None),
        "json" => res.json(json!({"json": req.body_json::<Value>().unwrap()}), None, None),
        "body" => res.json(json!({"body": req.body(), "raw": req.body_text()}), None, None),
        "binary" => res.binary(req.body_binary(), None, None),
        "length" => res.text(req.body_binary().len().to_string(), None, None),
        "created" => {
            let headers = [("X-Upper", "Kept"), ("X-Open-Runtimes-Mine", "dropped"), ("Content-Length", "1")];
            let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
            res.text("made", Some(201), Some(HashMap::from(headers)))
        }
        "html" => res.text("<p>", None, one("content-type", "TEXT/HTML")),
        "charset" => res.text("<p>", None, one("content-type", "text/html; charset=latin1")),
        "multipart" => res.text("--b--", None, one("content-type", "multipart/mixed; boundary=b")),
        "split" => res.text("", None, one("x-one", "a\r\nx-two: b")),
        "status" => res.text("", Some(1000), None),
        "empty" => res.empty(),
        "body204" => res.text("not sent", Some(204), None),
        "redirect" => res.redirect("https://everfold.test/there", None, None),
        "redirect307" => res.redirect("/there", Some(307), one("x-why", "moved")),
        "throw" => panic!("thrown on purpose"),
        "sleep" => {
            sleep(Duration::from_secs(3));
            res.text("late", None, None)
        }
        "logs" => {
            context.log_multiple(vec!["plain".into(), "1".into(), "true".into(), json!({"a": [1]}).to_string()]);
            context.error("bad");
            context.error("told".to_owned());
            res.text("logged", None, None)
        }
        "long" => {
            context.log("é".repeat(8000));
            context.log("é".repeat(8001));
            res.text("logged", None, None)
        }
        "concurrent" => {
            for part in ["first", "second"] {
                context.log(format!("{} {part}", req.body_text()));
                sleep(Duration::from_millis(200));
            }
            res.text(req.body_text(), None, None)
        }
        "environment" => res.json(json!({"all": env::vars().collect::<HashMap<_, _>>()}), None, None),
        _ => res.text("Hello", None, None),
    }
}
