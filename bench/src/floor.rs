//! What the disk alone can do: append to a file and sync it, over and over.

use std::{
    fs::OpenOptions,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

pub fn appends_per_s(folder: &Path, bytes: usize, duration: Duration) -> f64 {
    let mut file =
        OpenOptions::new().create(true).append(true).open(folder.join("floor")).expect("a file to append to");
    let record = vec![b'x'; bytes];
    let started = Instant::now();
    let mut appended = 0;
    while started.elapsed() < duration {
        file.write_all(&record).and_then(|()| file.sync_data()).expect("the disk takes it");
        appended += 1;
    }
    f64::from(appended) / started.elapsed().as_secs_f64()
}
