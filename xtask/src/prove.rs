//! `cargo x prove`: runs every proof of the promises, one after the other, and prints one table of figures.

use std::{fs, time::Instant};

use crate::{
    canaries,
    step::{Failed, cargo, headline, root},
};

/// Package and test target of each proof, in the order of the table. Each writes its figures as it passes.
const PROOFS: [(&str, &str); 9] = [
    ("everfold", "crash"),
    ("store", "proof"),
    ("everfold", "disk"),
    ("sim", "seeds"),
    ("everfold", "determinism"),
    ("worker", "containment"),
    ("everfold", "overload"),
    ("everfold", "neighbours"),
    ("worker", "fairness"),
];
/// The sizes of CI that are not a test's own default, because other tests wait for it.
const SIZES: [(&str, &str); 3] =
    [("EVERFOLD_REQUESTS", "100000"), ("EVERFOLD_OVERLOAD_S", "60"), ("EVERFOLD_CRASH_POINTS", "500")];

pub fn run(args: &[String]) -> Result<(), Failed> {
    let is_part = |name: &str| args.is_empty() || args.iter().any(|arg| arg == name);
    let file = root().join("target/figures.tsv");
    let cannot = |error| Failed(format!("{}: {error}", file.display()));
    fs::create_dir_all(root().join("target")).map_err(cannot)?;
    fs::write(&file, "").map_err(cannot)?;
    headline("prove: build", || cargo(["test", "--quiet", "--release", "--workspace", "--no-run"]).run())?;

    let begun = Instant::now();
    let mut failed = Vec::new();
    for (package, target) in PROOFS {
        if !is_part(target) {
            continue;
        }
        let name = format!("prove: {package}/{target}");
        let proof = cargo(["test", "--quiet", "--release", "-p", package, "--test", target, "--", "--test-threads=1"]);
        let proof = SIZES
            .iter()
            .filter(|(variable, _)| std::env::var_os(variable).is_none())
            .fold(proof.variable("EVERFOLD_FIGURES", &file), |proof, (variable, size)| proof.variable(variable, size));
        if headline(&name, || proof.run()).is_err() {
            failed.push(name);
        }
    }
    let figures = fs::read_to_string(&file).map_err(cannot)?;
    let mut lines: Vec<[String; 4]> = figures
        .lines()
        .map(|line| {
            let mut parts = line.split('\t').map(str::to_owned);
            std::array::from_fn(|_| parts.next().unwrap_or_default())
        })
        .collect();
    let took = begun.elapsed();
    if is_part("canaries") {
        let caught = headline("prove: canaries", || {
            let caught = canaries::run()?;
            lines.extend(
                caught.into_iter().map(|[bug, test, said]| [format!("canary {bug}"), test, said, "yes".into()]),
            );
            Ok(())
        });
        failed.extend(caught.err().map(|Failed(why)| why));
    }

    println!("\n| figure | how | measured | pass |\n|---|---|---|---|");
    for [figure, how, value, pass] in &lines {
        println!("| {figure} | {how} | {} | {pass} |", value.replace('|', "\\|"));
    }
    println!("\nThe proofs took {:.0} s, the planted bugs not counted.", took.as_secs_f64());
    if failed.is_empty() { Ok(()) } else { Err(Failed(failed.join("; "))) }
}
