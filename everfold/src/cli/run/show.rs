//! What a run shows, in a terminal. What its result is goes to stdout, everything else to stderr.

use comfy_table::{ContentArrangement, Table, presets::UTF8_BORDERS_ONLY};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value};

use super::prompt::text;
use crate::cli::{Failure, say};

/// How much of a run was shown.
#[derive(Default)]
pub struct Screen {
    answers: usize,
    logs: usize,
    bar: Option<ProgressBar>,
}

pub fn begun(run: &Value) {
    eprintln!("{}  {}", text(&run["name"]), text(&run["id"]));
}

pub fn wrong(message: &str) {
    eprintln!("  ! {message}");
}

pub fn aside(message: &str) {
    eprintln!("  {message}");
}

pub fn label(part: &Value) {
    eprintln!("{}", text(&part["label"]));
}

pub fn numbered(labels: &[String]) {
    for (index, label) in labels.iter().enumerate() {
        eprintln!("{:>4}  {label}", index + 1);
    }
}

impl Screen {
    /// What is new since the last time.
    pub fn show(&mut self, run: &Value) {
        for answer in run["answers"].as_array().into_iter().flatten().skip(self.answers) {
            self.answers += 1;
            if answer["isDisplay"] == true {
                self.pause();
                answer["toRender"].as_array().into_iter().flatten().for_each(display);
            }
        }
        for log in run["logs"].as_array().into_iter().flatten().skip(self.logs) {
            self.logs += 1;
            let line = format!("  {}", text(&log["text"]));
            match &self.bar {
                Some(bar) => bar.suspend(|| eprintln!("{line}")),
                None => eprintln!("{line}"),
            }
        }
        self.progress(&run["loading"]);
    }

    fn progress(&mut self, loading: &Value) {
        if loading.is_null() {
            return self.pause();
        }
        let bar = self.bar.get_or_insert_with(|| ProgressBar::new(0));
        let words = ["label", "title"].iter().find_map(|key| loading[*key].as_str()).unwrap_or("Working");
        let is_counted = loading["itemsInQueue"].is_number();
        let template = if is_counted { "{msg} {wide_bar} {pos}/{len}" } else { "{msg}" };
        bar.set_style(ProgressStyle::with_template(template).expect("a fixed template"));
        bar.set_length(loading["itemsInQueue"].as_u64().unwrap_or_default());
        bar.set_position(loading["itemsCompleted"].as_u64().unwrap_or_default());
        bar.set_message(words.to_owned());
        bar.tick();
    }

    /// Nothing moves while somebody types.
    pub fn pause(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    pub fn end(&mut self, run: &Value) -> Result<(), Failure> {
        self.pause();
        match &run["result"] {
            Value::Object(result) => {
                for (key, value) in result {
                    say(format_args!("{key}: {}", text(value)))?;
                }
            }
            Value::Null => {}
            value => say(text(value))?,
        }
        if let Some(url) = run["redirect"]["url"].as_str() {
            say(format_args!("Go on at {url}"))?;
        }
        Ok(())
    }
}

/// A part that only shows.
pub fn display(part: &Value) {
    let (props, label) = (&part["props"], text(&part["label"]));
    match part["methodName"].as_str().unwrap_or_default() {
        "DISPLAY_HEADING" => eprintln!("\n{label}\n{}", "─".repeat(label.chars().count())),
        "DISPLAY_MARKDOWN" => eprintln!("{label}"),
        "DISPLAY_CODE" => eprintln!("{label}\n{}", text(&props["code"])),
        "DISPLAY_OBJECT" => {
            let shown = serde_json::to_string_pretty(&props["data"]).unwrap_or_default();
            eprintln!("{label}\n{shown}");
        }
        "DISPLAY_LINK" => {
            let to = ["url", "route", "action", "href"].iter().find_map(|key| props[*key].as_str());
            eprintln!("{label}: {}", to.unwrap_or_default());
        }
        "DISPLAY_METADATA" => {
            eprintln!("{label}");
            for one in props["data"].as_array().into_iter().flatten() {
                eprintln!("  {}: {}", text(&one["label"]), text(&one["value"]));
            }
        }
        "DISPLAY_TABLE" => {
            eprintln!("{label}");
            table(props, false);
        }
        "DISPLAY_GRID" => {
            eprintln!("{label}");
            for one in props["data"].as_array().into_iter().flatten() {
                eprintln!(
                    "  {}  {}",
                    text(&one["data"]["label"]),
                    one["data"]["description"].as_str().unwrap_or_default()
                );
            }
        }
        method => {
            eprintln!("{label} ({} is shown in the browser)", method.trim_start_matches("DISPLAY_").to_lowercase())
        }
    }
}

pub fn table(props: &Value, is_numbered: bool) {
    let columns: Vec<(String, String)> = props["columns"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
        .map(|(index, column)| {
            let key = column["accessorKey"].as_str().map_or_else(|| index.to_string(), str::to_owned);
            (text(&column["label"]), key)
        })
        .collect();
    let rows = props["data"].as_array().cloned().unwrap_or_default();
    if rows.is_empty() {
        return aside("There are no items");
    }
    let mut table = Table::new();
    table.load_preset(UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    let number = is_numbered.then(|| "#".to_owned());
    table.set_header(number.into_iter().chain(columns.iter().map(|(label, _)| label.clone())));
    let nothing = Map::new();
    for (index, row) in rows.iter().enumerate() {
        let data = row["data"].as_object().unwrap_or(&nothing);
        let number = is_numbered.then(|| (index + 1).to_string());
        table.add_row(number.into_iter().chain(columns.iter().map(|(_, key)| cell(data.get(key)))));
    }
    eprintln!("{table}");
    let total = props["totalRecords"].as_u64().unwrap_or(rows.len() as u64);
    aside(&format!("1 - {} of {total}", rows.len()));
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::Object(cell)) => cell.get("label").or_else(|| cell.get("value")).map(text).unwrap_or_default(),
        Some(value) => text(value),
    }
}
