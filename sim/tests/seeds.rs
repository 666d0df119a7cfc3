//! Many seeds, each a history of crashes and failures. `SEEDS=n` runs more; `SEED=n` runs one again.

#[allow(dead_code, reason = "the store's own tests use the rest of it")]
#[path = "../../store/tests/harness/mod.rs"]
mod postgres;

use std::{env, fs::File, io::Write, time::Instant};

fn number(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_folded_twice_whatever_the_seed() {
    kept_by("simulation", 200, sim::simulate);
}

#[test]
fn a_database_of_many_nodes_loses_nothing_either() {
    let server = postgres::Server::start();
    let database = sim::Database::at(&server.address());
    kept_by("simulation on PostgreSQL", 20, |seed| sim::simulate_shared(&database, seed));
}

fn kept_by(name: &str, seeds: u64, simulate: impl Fn(u64) -> Result<sim::Report, String>) {
    let seeds = number("SEED").map_or(0..number("SEEDS").unwrap_or(seeds), |seed| seed..seed + 1);
    let (begun, count) = (Instant::now(), seeds.clone().count());
    let (mut acknowledged, mut states) = (0, 0);
    for seed in seeds {
        match simulate(seed) {
            Ok(report) => {
                acknowledged += report.acknowledged;
                states += report.states_seen;
            }
            Err(broken) => panic!("seed {seed}: {broken}\nrepeat it with SEED={seed} cargo test -p sim"),
        }
    }
    assert!(acknowledged > 0, "a simulation in which nothing happens proves nothing");
    let value = format!("{acknowledged} acknowledged, {states} states seen: lost 0, twice 0, unexplained 0");
    figure(name, &format!("{count} seeds, {:.0} s", begun.elapsed().as_secs_f64()), &value);
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [1, 7, 42] {
        assert_eq!(sim::simulate(seed), sim::simulate(seed), "seed {seed}");
    }
}

/// A line of the table that `cargo x prove` prints.
fn figure(name: &str, how: &str, value: &str) {
    println!("{name}: {value} ({how})");
    if let Some(path) = env::var_os("EVERFOLD_FIGURES") {
        let file = File::options().append(true).create(true).open(path);
        let line = format!("{name}\t{how}\t{value}\tyes\n");
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the file of figures can be written");
    }
}
