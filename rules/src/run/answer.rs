//! What a question asks, what an answer says, and whether it will do.
//!
//! Both are JSON in the shapes of the SDK. An answer is checked here and nowhere else: whoever shows a form shows these
//! words.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec,
    vec::Vec,
};
use serde_json::{Map, Value, json};

use super::{Ending, Log, host};
use crate::{
    call::{Json, Level},
    email::Email,
    record::At,
};

/// What is asked at once: one part, or those of a group.
#[derive(Clone, Debug)]
pub struct Question {
    pub parts: Vec<Part>,
    /// The values of its buttons, where it has any of its own.
    choices: Vec<String>,
    /// It comes with words about an answer that would not do.
    is_refused: bool,
}

#[derive(Clone, Debug)]
pub struct Part {
    pub method: String,
    pub label: String,
    is_optional: bool,
    is_multiple: bool,
    props: Value,
}

/// One value for each part, and the button that was pressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub values: Vec<Value>,
    /// Of superjson, where a value is none of JSON's.
    pub meta: Option<Value>,
    pub choice: Option<String>,
}

/// What will not do, and with which part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    pub index: usize,
    pub message: String,
}

impl Question {
    pub fn parse(render: &str) -> Option<Question> {
        let render: Value = serde_json::from_str(render).ok()?;
        let parts: Vec<_> = render.get("toRender")?.as_array()?.iter().map(Part::of).collect::<Option<_>>()?;
        let buttons = render.get("choiceButtons").and_then(Value::as_array);
        let value = |button: &Value| button.get("value").and_then(Value::as_str).map(String::from);
        let choices = buttons.into_iter().flatten().filter_map(value).collect();
        let is_said = |value: &Value| value.get("validationErrorMessage").is_some_and(Value::is_string);
        let is_refused =
            is_said(&render) || render["toRender"].as_array().is_some_and(|parts| parts.iter().any(is_said));
        (!parts.is_empty()).then_some(Question { parts, choices, is_refused })
    }

    pub fn len(&self) -> usize {
        self.parts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// Whether somebody has to press something, though it only shows.
    pub fn waits(&self) -> bool {
        !self.choices.is_empty()
    }

    /// Everything that will not do; nothing when it will. `is_proven`: who answers has shown lately who they are.
    pub fn check(&self, answer: &Answer, is_proven: bool) -> Vec<Wrong> {
        if answer.values.len() != self.parts.len() {
            let message =
                format!("{} values are needed, one for each part; {} came.", self.parts.len(), answer.values.len());
            return vec![Wrong { index: 0, message }];
        }
        let unknown = answer.choice.as_ref().filter(|choice| !self.choices.contains(choice));
        if let Some(choice) = unknown {
            let message = format!("{choice:?} is none of the choices: {}.", self.choices.join(", "));
            return vec![Wrong { index: 0, message }];
        }
        let wrong = self.parts.iter().zip(&answer.values).enumerate();
        let message = |part: &Part, value: &Value| match part.method.as_str() {
            "CONFIRM_IDENTITY" if *value == true && !is_proven => Some(UNPROVEN.into()),
            _ => part.check(value),
        };
        wrong.filter_map(|(index, (part, value))| Some(Wrong { index, message: message(part, value)? })).collect()
    }

    /// The answer as it is kept: the first choice where none was made, and an empty optional one by superjson's name.
    pub fn settle(&self, mut answer: Answer) -> Answer {
        if answer.choice.is_none() {
            answer.choice = self.choices.first().cloned();
        }
        for (index, (part, value)) in self.parts.iter().zip(&mut answer.values).enumerate() {
            let is_empty = value.as_str().is_some_and(str::is_empty) || value.as_array().is_some_and(Vec::is_empty);
            if !part.is_display() && part.is_optional && (value.is_null() || is_empty) {
                *value = Value::Null;
                answer.meta.get_or_insert_with(|| json!({}))["values"][index.to_string()] = json!(["undefined"]);
            }
        }
        answer
    }
}

const UNPROVEN: &str = "Sign in by a link that comes by e-mail, and confirm within 15 minutes.";
const REQUIRED: &str = "This field is required.";

impl Part {
    fn of(part: &Value) -> Option<Part> {
        let flag = |key: &str| part.get(key).and_then(Value::as_bool).unwrap_or(false);
        Some(Part {
            method: part.get("methodName")?.as_str()?.into(),
            label: part.get("label").and_then(Value::as_str).unwrap_or_default().into(),
            is_optional: flag("isOptional"),
            is_multiple: flag("isMultiple"),
            props: part.get("props").cloned().unwrap_or(Value::Null),
        })
    }

    fn is_display(&self) -> bool {
        self.method.starts_with("DISPLAY_")
    }

    fn check(&self, value: &Value) -> Option<String> {
        if self.is_display() {
            return None;
        }
        let is_nothing = value.is_null()
            || value.as_str().is_some_and(|text| text.trim().is_empty())
            || self.is_multiple && value.as_array().is_some_and(Vec::is_empty);
        if is_nothing {
            return (!self.is_optional).then(|| REQUIRED.into());
        }
        if self.is_multiple {
            return match value.as_array() {
                Some(all) => all.iter().find_map(|one| self.check_one(one)),
                None => Some("A list is needed.".into()),
            };
        }
        self.check_one(value)
    }

    fn check_one(&self, value: &Value) -> Option<String> {
        match self.method.as_str() {
            "INPUT_TEXT" | "INPUT_RICH_TEXT" => self.check_text(value),
            "INPUT_EMAIL" => match value.as_str().map(Email::parse) {
                Some(Ok(_)) => None,
                _ => Some("Enter a valid e-mail address.".into()),
            },
            "INPUT_NUMBER" | "INPUT_SLIDER" => match value.as_f64() {
                Some(number) => self.within(number, "min", "max", ""),
                None => Some("Enter a number.".into()),
            },
            "INPUT_BOOLEAN" | "CONFIRM" | "CONFIRM_IDENTITY" => {
                (!value.is_boolean()).then(|| "Say yes or no: true or false.".into())
            }
            "INPUT_URL" => self.check_url(value),
            "INPUT_DATE" => self.check_time(value, true, false),
            "INPUT_TIME" => self.check_time(value, false, true),
            "INPUT_DATETIME" => self.check_time(value, true, true),
            "UPLOAD_FILE" => self.check_file(value),
            "SELECT_SINGLE" => {
                let is_one = self.options().iter().any(|option| is_option(option, value));
                (!is_one).then(|| "Choose one of the options.".into())
            }
            "SELECT_MULTIPLE" => {
                let Some(chosen) = value.as_array() else { return Some("Choose from the options.".into()) };
                let options = self.options();
                if !chosen.iter().all(|one| options.iter().any(|option| is_option(option, one))) {
                    return Some("Choose from the options.".into());
                }
                self.check_selected(chosen.len())
            }
            "SELECT_TABLE" => match value.as_array() {
                Some(rows) if rows.iter().all(|row| row.get("key").is_some_and(Value::is_string)) => {
                    self.check_selected(rows.len())
                }
                _ => Some("Select rows of the table.".into()),
            },
            "SEARCH" => (!value.is_string()).then(|| "Choose one of the results.".into()),
            "INPUT_SPREADSHEET" => self.check_sheet(value),
            _ => None,
        }
    }

    fn options(&self) -> &[Value] {
        self.props.get("options").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    fn number(&self, key: &str) -> Option<f64> {
        self.props.get(key).and_then(Value::as_f64)
    }

    /// Whether a number lies between two props, in words that name both.
    fn within(&self, number: f64, min: &str, max: &str, unit: &str) -> Option<String> {
        match (self.number(min), self.number(max)) {
            (Some(min), Some(max)) if number < min || number > max => {
                Some(format!("This must be between {min} and {max}{unit}."))
            }
            (Some(min), None) if number < min => Some(format!("This must be at least {min}{unit}.")),
            (None, Some(max)) if number > max => Some(format!("This must be at most {max}{unit}.")),
            _ => None,
        }
    }

    fn check_selected(&self, count: usize) -> Option<String> {
        if count == 0 && !self.is_optional && self.number("minSelections").is_none() && self.method == "SELECT_TABLE" {
            return None;
        }
        self.within(count as f64, "minSelections", "maxSelections", " selected")
    }

    fn check_text(&self, value: &Value) -> Option<String> {
        match value.as_str() {
            Some(text) => self.within(text.chars().count() as f64, "minLength", "maxLength", " characters"),
            None => Some("Enter a text.".into()),
        }
    }

    fn check_url(&self, value: &Value) -> Option<String> {
        let allowed = self.props.get("allowedProtocols").and_then(Value::as_array);
        let allowed: Vec<&str> =
            allowed.map_or(vec!["http", "https"], |list| list.iter().filter_map(Value::as_str).collect());
        let is_url = value.as_str().and_then(|url| url.split_once(':')).is_some_and(|(protocol, rest)| {
            let is_web = matches!(protocol.to_ascii_lowercase().as_str(), "http" | "https");
            let rest = if is_web { rest.strip_prefix("//").unwrap_or_default() } else { rest };
            let is_allowed = allowed.iter().any(|one| one.trim_end_matches(':').eq_ignore_ascii_case(protocol));
            is_allowed && !rest.trim_start_matches('/').is_empty() && !rest.contains(char::is_whitespace)
        });
        (!is_url).then(|| format!("Enter a valid URL that begins with {}.", allowed.join(" or ")))
    }

    fn check_time(&self, value: &Value, has_date: bool, has_time: bool) -> Option<String> {
        let Some(moment) = Moment::of(value, has_date, has_time) else {
            let what = match (has_date, has_time) {
                (true, true) => "date and time",
                (true, false) => "date",
                _ => "time",
            };
            return Some(format!("Enter a valid {what}."));
        };
        let bound = |key: &str| self.props.get(key).and_then(|bound| Moment::of(bound, has_date, has_time));
        match (bound("min"), bound("max")) {
            (Some(min), Some(max)) if moment < min || moment > max => Some(format!(
                "This must be between {} and {}.",
                min.show(has_date, has_time),
                max.show(has_date, has_time)
            )),
            (Some(min), None) if moment < min => {
                Some(format!("This must be at least {}.", min.show(has_date, has_time)))
            }
            (None, Some(max)) if moment > max => {
                Some(format!("This must be at most {}.", max.show(has_date, has_time)))
            }
            _ => None,
        }
    }

    fn check_file(&self, value: &Value) -> Option<String> {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let (Some(name), Some(_)) = (text("name"), text("url")) else { return Some("Choose a file.".into()) };
        let allowed = self.props.get("allowedExtensions").and_then(Value::as_array)?;
        let mut allowed = allowed.iter().filter_map(Value::as_str).peekable();
        allowed.peek()?;
        let list: Vec<&str> = allowed.collect();
        let name = name.to_lowercase();
        let is_allowed =
            list.iter().any(|one| name.ends_with(&format!(".{}", one.trim_start_matches('.').to_lowercase())));
        (!is_allowed).then(|| format!("The file must be one of: {}.", list.join(", ")))
    }

    fn check_sheet(&self, value: &Value) -> Option<String> {
        let Some(rows) = value.as_array() else { return Some("Rows are needed.".into()) };
        let columns = self.props.get("columns").and_then(Value::as_object)?;
        for (number, row) in rows.iter().enumerate() {
            for (column, kind) in columns {
                let kind = kind.as_str().unwrap_or_default();
                let cell = row.get(column).unwrap_or(&Value::Null);
                let is_good = match kind.trim_end_matches('?') {
                    _ if cell.is_null() => kind.ends_with('?'),
                    "number" => cell.is_number(),
                    "boolean" => cell.is_boolean(),
                    _ => cell.is_string(),
                };
                if !is_good {
                    let kind = kind.trim_end_matches('?');
                    return Some(format!("Row {}: {column} must be a {kind}.", number + 1));
                }
            }
        }
        None
    }
}

/// Options are told by their value, and by their label where that is all there is.
fn is_option(option: &Value, chosen: &Value) -> bool {
    let value = |of: &Value| of.get("value").or_else(|| of.get("label")).cloned().unwrap_or_else(|| of.clone());
    value(option) == value(chosen)
}

/// Year, month, day, hour, minute: what is not asked for is nought.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Moment([u32; 5]);

impl Moment {
    fn of(value: &Value, has_date: bool, has_time: bool) -> Option<Moment> {
        let part = |key: &str, is_asked: bool, min: u32, max: u32| -> Option<u32> {
            if !is_asked {
                return Some(0);
            }
            let number = value.get(key)?.as_u64().and_then(|number| u32::try_from(number).ok())?;
            (min..=max).contains(&number).then_some(number)
        };
        let year = part("year", has_date, 1, 9_999)?;
        let month = part("month", has_date, 1, 12)?;
        let days = match month {
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let day = part("day", has_date, 1, days)?;
        Some(Moment([year, month, day, part("hour", has_time, 0, 23)?, part("minute", has_time, 0, 59)?]))
    }

    fn show(self, has_date: bool, has_time: bool) -> String {
        let [year, month, day, hour, minute] = self.0;
        match (has_date, has_time) {
            (true, true) => format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}"),
            (true, false) => format!("{year:04}-{month:02}-{day:02}"),
            _ => format!("{hour:02}:{minute:02}"),
        }
    }
}

impl Answer {
    pub fn parse(json: &str) -> Option<Answer> {
        let mut answer: Map<String, Value> = serde_json::from_str(json).ok()?;
        let Some(Value::Array(values)) = answer.remove("values") else { return None };
        let choice = answer.get("choice").and_then(Value::as_str).map(String::from);
        Some(Answer { values, meta: answer.remove("valuesMeta").filter(Value::is_object), choice })
    }

    pub fn of_display(parts: usize) -> Answer {
        Answer { values: vec![Value::Null; parts], meta: None, choice: None }
    }

    /// `{values, valuesMeta?, choice?}`.
    pub fn to_json(&self) -> Json {
        json_of(&self.to_value())
    }

    /// IO_RESPONSE, but for the names that it goes by.
    pub fn response(&self, kind: &str) -> Json {
        let mut response = self.to_value();
        response["kind"] = kind.into();
        json_of(&response)
    }

    fn to_value(&self) -> Value {
        let mut value = json!({ "values": self.values });
        if let Some(meta) = &self.meta {
            value["valuesMeta"] = meta.clone();
        }
        if let Some(choice) = &self.choice {
            value["choice"] = choice.as_str().into();
        }
        value
    }
}

pub(super) fn state(values: &str) -> Json {
    format!(r#"{{"kind":"SET_STATE","values":{values}}}"#).into()
}

pub(super) fn cancelled() -> Json {
    r#"{"kind":"CANCELED","values":[]}"#.into()
}

fn json_of(value: &Value) -> Json {
    Arc::from(value.to_string())
}

pub(super) fn log_of(payload: &str, at: At) -> Log {
    let payload: Value = serde_json::from_str(payload).unwrap_or_default();
    let text = payload.get("text").and_then(Value::as_str).unwrap_or_default().into();
    Log { level: Level::Log, text, at }
}

/// When a sleep is over: at once, where it does not say.
pub(super) fn until(payload: &str) -> At {
    let payload: Value = serde_json::from_str(payload).unwrap_or_default();
    At(payload.get("untilMs").and_then(Value::as_f64).unwrap_or_default().max(0.0) as u64)
}

/// What a host says of a run's end.
pub(super) fn ending(is_success: bool, result: &str) -> Ending {
    let mut result: Value = serde_json::from_str(result).unwrap_or_default();
    let data = result.get_mut("data").map(Value::take).unwrap_or_default();
    if !is_success {
        return Ending::Failed(host::error_of(&data));
    }
    let mut completed = json!({ "json": data });
    if let Some(meta) = result.get_mut("meta").map(Value::take).filter(Value::is_object) {
        completed["meta"] = meta;
    }
    Ending::Completed(json_of(&completed))
}

/// As much of a text as fits.
pub(super) fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        let end = (0..=bytes_max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
    }
    text
}
