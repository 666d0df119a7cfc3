//! The lines that a run writes, and their bound.

use core::cell::RefCell;

use rquickjs::{Object, Result, prelude::Func};
use rules::call::{Level, Line};

struct Console {
    lines: Vec<Line>,
    bytes_left: usize,
    is_full: bool,
}

struct Single(RefCell<Console>);
// SAFETY: Wasm without threads; nothing here is shared.
unsafe impl Sync for Single {}

static CONSOLE: Single = Single(RefCell::new(Console { lines: Vec::new(), bytes_left: 0, is_full: false }));

/// What one line costs beside its text, so that empty lines are not free.
const LINE_BYTES: usize = 8;

/// Begins an empty console that takes so many bytes of text.
pub fn begin(console_bytes: usize) {
    *CONSOLE.0.borrow_mut() = Console { lines: Vec::new(), bytes_left: console_bytes, is_full: false };
}

/// Says nothing until it begins again: what is said now was said before.
pub fn mute() {
    *CONSOLE.0.borrow_mut() = Console { lines: Vec::new(), bytes_left: 0, is_full: true };
}

/// The lines written since `begin`.
pub fn take() -> Vec<Line> {
    core::mem::take(&mut CONSOLE.0.borrow_mut().lines)
}

pub fn install(natives: &Object<'_>) -> Result<()> {
    natives.set("write", Func::from(write))?;
    natives.set("consoleRoom", Func::from(|| CONSOLE.0.borrow().bytes_left as f64))
}

fn write(level: u8, messages: Vec<String>) {
    let mut console = CONSOLE.0.borrow_mut();
    if console.is_full {
        return;
    }
    let level = match level {
        0 => Level::Trace,
        1 => Level::Debug,
        2 => Level::Info,
        3 => Level::Log,
        4 => Level::Warn,
        _ => Level::Error,
    };
    let wanted = LINE_BYTES + messages.iter().map(|message| message.len() + 1).sum::<usize>();
    if wanted <= console.bytes_left {
        console.bytes_left -= wanted;
        console.lines.push(Line { level, messages });
        return;
    }
    let mut room = console.bytes_left.saturating_sub(LINE_BYTES);
    let kept: Vec<String> = messages.into_iter().map_while(|message| cut(message, &mut room)).collect();
    if !kept.is_empty() {
        console.lines.push(Line { level, messages: kept });
    }
    console
        .lines
        .push(Line { level: Level::Warn, messages: vec!["The console is full; the rest of it is cut.".into()] });
    console.bytes_left = 0;
    console.is_full = true;
}

fn cut(mut message: String, room: &mut usize) -> Option<String> {
    if *room == 0 {
        return None;
    }
    let mut end = message.len().min(*room);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message.truncate(end);
    *room -= end.min(*room);
    Some(message)
}
