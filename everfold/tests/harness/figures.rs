//! Figures of a proof, one line each, for whoever puts a release together.

use std::{env, fs::File, io::Write};

/// Prints the figure, and appends `figure, how, value, pass` to the file that EVERFOLD_FIGURES names.
pub fn figure(name: &str, how: &str, value: &str, passes: bool) {
    let passes = if passes { "yes" } else { "no" };
    println!("{name}: {value} ({how}; pass: {passes})");
    let Some(path) = env::var_os("EVERFOLD_FIGURES") else { return };
    let file = File::options().append(true).create(true).open(path);
    let line = format!("{name}\t{how}\t{value}\t{passes}\n");
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the file of figures can be written");
}
