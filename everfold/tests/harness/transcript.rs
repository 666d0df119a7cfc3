//! Whole command-line sessions against the ones checked in. `EVERFOLD_BLESS=1 cargo x test` writes them anew.

use std::{
    env, fs,
    io::Write,
    path::Path,
    process::{ChildStdin, Output, Stdio},
};

use super::server::everfold;

/// Everything that was typed and said, with what differs from run to run replaced by a name in brackets.
pub struct Session {
    text: String,
    masks: Vec<(String, String)>,
    settings: Vec<(String, String)>,
}

impl Session {
    /// `settings` are the environment of every command.
    pub fn new(settings: &[(&str, &str)]) -> Session {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Session { text: String::new(), masks: vec![], settings }
    }

    pub fn mask(&mut self, secret: &str, name: &str) {
        self.masks.push((secret.to_owned(), format!("[{name}]")));
    }

    pub fn run(&mut self, words: &[&str]) -> Output {
        self.run_with_stdin(words, "")
    }

    pub fn run_with_stdin(&mut self, words: &[&str], stdin: &str) -> Output {
        let settings = self.settings.iter().map(|(name, value)| (name, value));
        let mut command = everfold();
        command.args(words).envs(settings).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("everfold starts");
        // A command that does not read its input closes it; that is its right.
        let _ = process.stdin.take().expect("stdin is a pipe").write_all(stdin.as_bytes());
        let output = process.wait_with_output().expect("everfold ends");
        self.show(words, stdin, &output);
        output
    }

    fn show(&mut self, words: &[&str], stdin: &str, output: &Output) {
        let shown: Vec<String> = words.iter().map(|word| shell_word(word)).collect();
        let before = if stdin.is_empty() { String::new() } else { format!("printf {} | ", shell_word(stdin)) };
        self.text.push_str(&format!("$ {before}everfold {}\n", shown.join(" ")));
        self.text.push_str(&String::from_utf8_lossy(&output.stdout));
        self.text.push_str(&String::from_utf8_lossy(&output.stderr));
        match output.status.code() {
            Some(0) => self.text.push('\n'),
            code => self.text.push_str(&format!("[exit {}]\n\n", code.unwrap_or(-1))),
        }
    }

    /// A command that is answered while it runs: `talk` writes what a person would type. It is not shown.
    pub fn run_talking(&mut self, words: &[&str], talk: impl FnOnce(&mut ChildStdin)) -> Output {
        let settings = self.settings.iter().map(|(name, value)| (name, value));
        let mut command = everfold();
        command.args(words).envs(settings).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("everfold starts");
        talk(&mut process.stdin.take().expect("stdin is a pipe"));
        let output = process.wait_with_output().expect("everfold ends");
        self.show(words, "", &output);
        output
    }

    /// Compares the session so far with `transcripts/NAME.txt`.
    #[track_caller]
    pub fn is_as_in(&self, name: &str) {
        let mut said = self.text.clone();
        for (secret, name) in &self.masks {
            said = said.replace(secret, name);
        }
        said = masked(&said, "ffffffff-ffff-ffff-ffff-ffffffffffff", "[id]");
        said = masked(&said, &"f".repeat(64), "[hash]");
        said = masked(&said, "0000-00-00 00:00:00", "[time]");
        assert!(!said.contains('\x1b'), "output that is piped is plain: {said}");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/transcripts/{name}.txt"));
        if env::var_os("EVERFOLD_BLESS").is_some() {
            fs::write(&file, &said).expect("a transcript can be written");
        }
        let known = fs::read_to_string(&file).unwrap_or_default();
        let first = said.lines().zip(known.lines()).position(|(said, known)| said != known);
        let line = first.unwrap_or_else(|| said.lines().count().min(known.lines().count())) + 1;
        assert!(said == known, "{} differs at line {line}; said now:\n{said}", file.display());
    }
}

fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:[]=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) { word.to_owned() } else { format!("'{word}'") }
}

/// In a pattern `f` stands for a hexadecimal digit and `0` for a decimal one.
fn masked(text: &str, pattern: &str, name: &str) -> String {
    let fits = |rest: &[u8]| {
        rest.len() >= pattern.len()
            && rest.iter().zip(pattern.bytes()).all(|(byte, pattern)| match pattern {
                b'f' => byte.is_ascii_hexdigit(),
                b'0' => byte.is_ascii_digit(),
                literal => *byte == literal,
            })
    };
    let mut masked = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let length = if fits(rest.as_bytes()) { pattern.len() } else { next.len_utf8() };
        masked.push_str(if length == pattern.len() { name } else { &rest[..length] });
        rest = &rest[length..];
    }
    masked
}
