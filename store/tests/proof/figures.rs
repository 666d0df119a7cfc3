//! Writes down what a proof has measured, for whoever collects the figures of a release.

use std::{env, fs::File, io::Write};

/// Appends `figure, how, value, pass` to the file that `EVERFOLD_FIGURES` names, with tabs between them.
pub fn note(figure: &str, how: &str, value: &str) {
    println!("{figure}: {how}: {value}");
    let Some(path) = env::var_os("EVERFOLD_FIGURES") else { return };
    let line = format!("{figure}\t{how}\t{value}\tyes\n");
    let file = File::options().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("figures are written");
}

/// How many times, unless the environment says otherwise.
pub fn times(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group).expect("digits")).collect();
    groups.join(",")
}
