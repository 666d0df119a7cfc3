//! A part of a question as a prompt: a line that is read, a list to choose from.

use std::io::{BufRead, Write};

use serde_json::{Value, json};

use super::{line::Line, show};
use crate::cli::{Failure, client::Client};

pub enum Said {
    Value(Value),
    /// Somebody else answered meanwhile.
    Elsewhere,
}

/// One part of the question that is open.
pub struct Ask<'a> {
    pub client: &'a Client,
    pub line: &'a mut Line,
    pub run: &'a str,
    pub key: &'a Value,
    pub index: usize,
    pub count: usize,
}

/// Which button, where there are several.
pub fn choice(question: &Value) -> Result<Value, Failure> {
    let buttons = question["choiceButtons"].as_array().cloned().unwrap_or_default();
    match buttons.as_slice() {
        [] => Ok(Value::Null),
        [only] => Ok(only["value"].clone()),
        buttons => loop {
            let labels: Vec<_> = buttons.iter().map(|button| text(&button["label"])).collect();
            show::numbered(&labels);
            match numbers(&read("Choose: ")?, buttons.len()).as_deref() {
                Some([one]) => return Ok(buttons[*one]["value"].clone()),
                _ => show::wrong(&format!("Enter a number from 1 to {}.", buttons.len())),
            }
        },
    }
}

impl Ask<'_> {
    pub fn part(&mut self, part: &Value) -> Result<Said, Failure> {
        let method = part["methodName"].as_str().unwrap_or_default();
        if method.starts_with("DISPLAY_") {
            show::display(part);
            return Ok(Said::Value(Value::Null));
        }
        if let Some(said) = part["validationErrorMessage"].as_str() {
            show::wrong(said);
        }
        if let Some(help) = part["props"]["helpText"].as_str() {
            show::aside(help);
        }
        if part["isMultiple"] == true {
            return self.many(part, method);
        }
        match method {
            "SELECT_SINGLE" => self.one_of(part),
            "SELECT_MULTIPLE" => self.some_of(part),
            "SELECT_TABLE" => self.rows(part),
            "SEARCH" => self.search(part),
            _ => loop {
                let line = read(&label(part))?;
                if line.is_empty() && !part["props"]["defaultValue"].is_null() {
                    return Ok(Said::Value(part["props"]["defaultValue"].clone()));
                }
                if line.is_empty() && !matches!(method, "INPUT_BOOLEAN" | "CONFIRM" | "CONFIRM_IDENTITY") {
                    return Ok(Said::Value(Value::Null));
                }
                match self.value(method, &line) {
                    Ok(value) => return Ok(Said::Value(value)),
                    Err(wrong) => show::wrong(&wrong),
                }
            },
        }
    }

    /// One after the other, until an empty line.
    fn many(&mut self, part: &Value, method: &str) -> Result<Said, Failure> {
        let mut all = Vec::new();
        loop {
            let line = read(&format!("{} ({}, empty when done): ", text(&part["label"]), all.len() + 1))?;
            if line.is_empty() {
                return Ok(Said::Value(if all.is_empty() { Value::Null } else { Value::from(all) }));
            }
            match self.value(method, &line) {
                Ok(value) => all.push(value),
                Err(wrong) => show::wrong(&wrong),
            }
        }
    }

    /// A line as the value that the method takes.
    fn value(&mut self, method: &str, line: &str) -> Result<Value, String> {
        match method {
            "INPUT_NUMBER" | "INPUT_SLIDER" => {
                line.parse::<serde_json::Number>().map(Value::Number).map_err(|_| "Enter a number.".to_owned())
            }
            "INPUT_BOOLEAN" | "CONFIRM" => match line.to_lowercase().as_str() {
                "y" | "yes" => Ok(true.into()),
                "n" | "no" | "" => Ok(false.into()),
                _ => Err("Enter yes or no.".into()),
            },
            // Who sits at this terminal is not known well enough.
            "CONFIRM_IDENTITY" => match line.to_lowercase().as_str() {
                "n" | "no" | "" => Ok(false.into()),
                _ => Err(format!("Confirm it in the browser: {}/r/{}", self.client.url, self.run)),
            },
            "INPUT_DATE" => date(line).ok_or_else(|| "Write the date as 2026-12-31.".into()),
            "INPUT_TIME" => time(line).ok_or_else(|| "Write the time as 23:59.".into()),
            "INPUT_DATETIME" => {
                let moment = line.split_once([' ', 'T']).and_then(|(day, hour)| {
                    let (mut moment, time) = (date(day)?, time(hour.trim())?);
                    moment.as_object_mut()?.extend(time.as_object()?.clone());
                    Some(moment)
                });
                moment.ok_or_else(|| "Write date and time as 2026-12-31 23:59.".into())
            }
            "INPUT_SPREADSHEET" => {
                serde_json::from_str(line).map_err(|error| format!("Write the rows as a JSON list: {error}."))
            }
            "INPUT_RICH_TEXT" => {
                let escaped = line.replace('&', "&amp;").replace('<', "&lt;");
                Ok(format!("<p>{escaped}</p>").into())
            }
            "UPLOAD_FILE" => self.upload(line).map_err(|failure| failure.message),
            _ => Ok(line.into()),
        }
    }

    fn upload(&self, path: &str) -> Result<Value, Failure> {
        let unreadable = |error: std::io::Error| Failure::new(format!("{path} cannot be read: {error}."));
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let name = std::path::Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned());
        let kind = "application/octet-stream";
        let size = bytes.len();
        let made: Value = self.client.post("/api/uploads", json!({ "name": name, "type": kind, "size": size }))?;
        let address = made["uploadUrl"].as_str().unwrap_or_default();
        // The server's own address may be another than the one it is reached by here.
        let local = address.find("/api/").map_or(address, |path| &address[path..]);
        super::expect(self.client.send("PUT", local, &[("content-type".into(), kind.into())], &bytes)?)?;
        let changed = std::fs::metadata(path).and_then(|meta| meta.modified()).map_err(unreadable)?;
        let changed = changed.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        Ok(json!({ "name": name, "type": kind, "size": size, "lastModified": changed, "url": made["downloadUrl"] }))
    }

    fn one_of(&mut self, part: &Value) -> Result<Said, Failure> {
        let options = part["props"]["options"].as_array().cloned().unwrap_or_default();
        show::label(part);
        show::numbered(&options.iter().map(|option| text(&option["label"])).collect::<Vec<_>>());
        loop {
            let line = read("Number: ")?;
            let option = match numbers(&line, options.len()).as_deref() {
                Some([one]) => &options[*one],
                Some([]) if !part["props"]["defaultValue"].is_null() => &part["props"]["defaultValue"],
                Some([]) => return Ok(Said::Value(Value::Null)),
                _ => {
                    show::wrong(&format!("Enter a number from 1 to {}.", options.len()));
                    continue;
                }
            };
            return Ok(Said::Value(json!({ "label": option["label"], "value": option["value"] })));
        }
    }

    fn some_of(&mut self, part: &Value) -> Result<Said, Failure> {
        let options = part["props"]["options"].as_array().cloned().unwrap_or_default();
        show::label(part);
        show::numbered(&options.iter().map(|option| text(&option["label"])).collect::<Vec<_>>());
        loop {
            match numbers(&read("Numbers (1,3-5, all, or none): ")?, options.len()) {
                Some(chosen) => {
                    let chosen = chosen.iter().map(|one| &options[*one]);
                    let values = chosen.map(|one| json!({ "label": one["label"], "value": one["value"] }));
                    return Ok(Said::Value(values.collect()));
                }
                None => show::wrong(&format!("Enter numbers from 1 to {}.", options.len())),
            }
        }
    }

    /// Rows of a table: those that are shown by their numbers, or all there are. `/words` filters.
    fn rows(&mut self, part: &Value) -> Result<Said, Failure> {
        let mut part = part.clone();
        loop {
            show::label(&part);
            let rows = part["props"]["data"].as_array().cloned().unwrap_or_default();
            show::table(&part["props"], true);
            let line = read("Rows (1,3-5, all, or none; /words to filter): ")?;
            let keys = match line.as_str() {
                "all" => {
                    let Some(all) = self.moved(json!({ "isSelectAll": true, "offset": 0, "pageSize": 20 }))? else {
                        return Ok(Said::Elsewhere);
                    };
                    all["props"]["selectedKeys"].as_array().cloned().unwrap_or_default()
                }
                words if words.starts_with('/') => {
                    let words = words.trim_start_matches('/').trim();
                    let state = json!({ "queryTerm": words, "offset": 0, "pageSize": 20, "isSelectAll": false });
                    match self.moved(state)? {
                        Some(filtered) => part = filtered,
                        None => return Ok(Said::Elsewhere),
                    }
                    continue;
                }
                line => match numbers(line, rows.len()) {
                    Some(chosen) => chosen.iter().map(|one| rows[*one]["key"].clone()).collect(),
                    None => {
                        show::wrong(&format!("Enter numbers from 1 to {}.", rows.len()));
                        continue;
                    }
                },
            };
            return Ok(Said::Value(keys.iter().map(|key| json!({ "key": key })).collect()));
        }
    }

    fn search(&mut self, part: &Value) -> Result<Said, Failure> {
        loop {
            let words = read(&format!("{} (search): ", text(&part["label"])))?;
            if words.is_empty() {
                return Ok(Said::Value(Value::Null));
            }
            let Some(found) = self.moved(json!({ "queryTerm": words }))? else { return Ok(Said::Elsewhere) };
            let results = found["props"]["results"].as_array().cloned().unwrap_or_default();
            if results.is_empty() {
                show::aside("No results found.");
                continue;
            }
            show::numbered(&results.iter().map(|result| text(&result["label"])).collect::<Vec<_>>());
            match numbers(&read("Number (empty to search again): ")?, results.len()).as_deref() {
                Some([one]) => return Ok(Said::Value(results[*one]["value"].clone())),
                Some([]) => {}
                _ => show::wrong(&format!("Enter a number from 1 to {}.", results.len())),
            }
        }
    }

    /// How this part looks after a move in it; `None` when the question is not open any more.
    fn moved(&mut self, state: Value) -> Result<Option<Value>, Failure> {
        let mut values = vec![Value::Null; self.count];
        values[self.index] = state;
        let body = json!({ "key": self.key, "values": values });
        super::expect(self.client.call("POST", &format!("/api/runs/{}/state", self.run), Some(body))?)?;
        loop {
            self.line.next()?;
            let rendered = self.line.rendered.iter().find(|rendered| rendered["key"] == *self.key);
            if let Some(part) = rendered.map(|rendered| rendered["toRender"][self.index].clone()) {
                return Ok(Some(part));
            }
            if self.line.run["question"]["key"] != *self.key {
                return Ok(None);
            }
        }
    }
}

fn label(part: &Value) -> String {
    let text = text(&part["label"]);
    let hint = match part["methodName"].as_str().unwrap_or_default() {
        "INPUT_BOOLEAN" | "CONFIRM" | "CONFIRM_IDENTITY" => " [y/N]".to_owned(),
        "INPUT_DATE" => " (YYYY-MM-DD)".to_owned(),
        "INPUT_TIME" => " (HH:MM)".to_owned(),
        "INPUT_DATETIME" => " (YYYY-MM-DD HH:MM)".to_owned(),
        "UPLOAD_FILE" => " (path of a file)".to_owned(),
        "INPUT_SLIDER" => format!(" ({} to {})", part["props"]["min"], part["props"]["max"]),
        _ => String::new(),
    };
    let default = match &part["props"]["defaultValue"] {
        Value::Null | Value::Object(_) | Value::Array(_) | Value::Bool(_) => String::new(),
        value => format!(" [{}]", self::text(value)),
    };
    let optional = if part["isOptional"] == true { " (optional)" } else { "" };
    format!("{text}{hint}{default}{optional}: ")
}

pub fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn date(line: &str) -> Option<Value> {
    let mut parts = line.splitn(3, '-').map(str::parse::<u32>);
    let (year, month, day) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    Some(json!({ "year": year, "month": month, "day": day }))
}

fn time(line: &str) -> Option<Value> {
    let (hour, minute) = line.split_once(':')?;
    Some(json!({ "hour": hour.parse::<u32>().ok()?, "minute": minute.parse::<u32>().ok()? }))
}

/// `1,3-5`, `all` or `none`, as places in a list; an empty line is none. `None`: it is not of this kind.
fn numbers(line: &str, count: usize) -> Option<Vec<usize>> {
    match line {
        "all" => return Some((0..count).collect()),
        "none" | "" => return Some(Vec::new()),
        _ => {}
    }
    let mut all = Vec::new();
    for part in line.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.trim().parse::<usize>().ok()?, last.trim().parse::<usize>().ok()?);
        if first < 1 || last > count || first > last {
            return None;
        }
        all.extend(first - 1..last);
    }
    all.dedup();
    Some(all)
}

fn read(prompt: &str) -> Result<String, Failure> {
    eprint!("{prompt}");
    let _ = std::io::stderr().flush();
    let mut line = String::new();
    let unreadable = |error: std::io::Error| Failure::new(format!("Nothing can be read here: {error}."));
    let bytes = std::io::stdin().lock().read_line(&mut line).map_err(unreadable)?;
    if bytes == 0 {
        return Err(
            Failure::new("The input ended before the question was answered.").hint("the run waits for its answer")
        );
    }
    Ok(line.trim().to_owned())
}
