//! `cargo x`: everything that CI does, one word each.

mod canaries;
mod fuzz;
mod install;
mod prove;
mod step;

use std::{env, process::ExitCode};

use step::{Failed, Step, cargo, headline, root};

const USAGE: &str = "\
cargo x fmt [--check]   format every file, or say which are not
cargo x deny            licences, bans and sources of every dependency
cargo x lint            clippy, warnings denied; the dashboard's types and lints
cargo x guest           rebuild the Wasm guest and compare it with the one checked in
cargo x test [ARGS]     every test; ARGS go to cargo nextest (cargo test where that is missing)
cargo x ci              fmt --check, deny, lint, guest, fuzz, test: the first failure ends it
cargo x prove [TARGETS] every proof of the promises, and one table of figures
cargo x canaries        plant ten bugs, one after the other, and see each caught
cargo x fuzz [--seconds N] every fuzz target, two at a time, 60 s each
cargo x bench [--quick] [--against | --jobs | --functions | --cluster]
                        measure the whole process, and the way to beat beside it, and print a table";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let (verb, rest) = match words.split_first() {
        Some((verb, rest)) => (verb.as_str(), rest),
        None => ("", &[][..]),
    };
    let done = match verb {
        "fmt" => fmt(rest),
        "deny" => deny(),
        "lint" => lint(),
        "guest" => guest(),
        "test" => test(rest),
        "ci" => ci(),
        "prove" => prove::run(rest),
        "canaries" => headline("canaries", || canaries::run().map(drop)),
        "fuzz" => fuzz::run(rest),
        "bench" => bench(rest),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed(why)) => {
            eprintln!("cargo x {verb}: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Cheapest first. `test` is last because its runner's summary is the line that a reader of the log looks for.
fn ci() -> Result<(), Failed> {
    fmt(&["--check".into()])?;
    deny()?;
    lint()?;
    guest()?;
    fuzz::run(&[])?;
    test(&[])
}

fn fmt(args: &[String]) -> Result<(), Failed> {
    headline("fmt", || {
        cargo(["fmt", "--all", "--"]).args(args).run()?;
        cargo(["fmt", "--all", "--manifest-path", "guest/Cargo.toml", "--"]).args(args).run()?;
        dashboard(if args.iter().any(|arg| arg == "--check") { "format:check" } else { "format" })
    })
}

/// One of the scripts of dashboard/package.json.
fn dashboard(script: &str) -> Result<(), Failed> {
    let folder = root().join("dashboard");
    if !folder.join("package.json").is_file() {
        return Ok(());
    }
    install::dashboard()?;
    Step::new("npm").args(["run", "--silent", script]).inside(&folder).run()
}

fn lint() -> Result<(), Failed> {
    headline("lint", || {
        cargo(["clippy", "--workspace", "--all-targets", "--release", "--quiet", "--", "-D", "warnings"]).run()?;
        dashboard("check")
    })
}

fn deny() -> Result<(), Failed> {
    headline("deny", || {
        let cargo_deny = install::cargo_deny()?;
        println!("   advisories are not checked: their database is on GitHub (`cargo deny check advisories` reads it)");
        ["Cargo.toml", "guest/Cargo.toml"].iter().try_for_each(|manifest| {
            cargo(["deny", "--manifest-path", manifest, "--all-features", "--config", "deny.toml", "check"])
                .args(["--hide-inclusion-graph", "licenses", "bans", "sources"])
                .path(&cargo_deny)
                .run()
        })
    })
}

fn guest() -> Result<(), Failed> {
    headline("guest", || {
        install::program("clang", "clang")?;
        install::program("wasm-ld", "lld")?;
        install::wasm_target()?;
        cargo(["run", "--quiet", "--release", "--manifest-path", "guest/Cargo.toml", "-p", "bake", "--", "--check"])
            .run()
    })
}

/// Nextest builds the whole workspace, the binary included, before the first test starts. With `-p` it would build
/// only what is named, and a black-box test would meet an old binary or none: then `everfold` is built first.
fn test(args: &[String]) -> Result<(), Failed> {
    let names_a_package = args.iter().any(|arg| arg == "-p" || arg.starts_with("--package"));
    headline("test: what the tests need", || {
        install::payloads()?;
        install::host()?;
        install::dashboard()?;
        install::program("chromium", "chromium")?;
        install::program("bwrap", "bubblewrap")?;
        install::network()?;
        install::postgresql()?;
        install::mail_server()?;
        install::schemathesis()?;
        install::s3_server()?;
        install::languages()?;
        if names_a_package { cargo(["build", "--quiet", "--release", "-p", "everfold"]).run() } else { Ok(()) }
    })?;
    let scope: &[&str] = if names_a_package { &[] } else { &["--workspace"] };
    println!("── test");
    if install::is_there("cargo-nextest") {
        let profile = ["nextest", "run", "--cargo-profile", "release", "--cargo-quiet"];
        cargo(profile).args(["--config-file", ".ci/nextest.toml"]).args(scope).args(args).run()
    } else {
        cargo(["test", "--quiet", "--release"]).args(scope).args(args).run()
    }
}

fn bench(args: &[String]) -> Result<(), Failed> {
    headline("bench: build", || {
        install::program("wrk", "wrk")?;
        install::program("bwrap", "bubblewrap")?;
        install::postgresql()?;
        cargo(["build", "--quiet", "--release", "-p", "everfold", "-p", "bench"]).run()
    })?;
    cargo(["run", "--quiet", "--release", "-p", "bench", "--bin", "bench", "--"]).args(args).run()
}
