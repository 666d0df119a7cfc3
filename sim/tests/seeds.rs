//! Many seeds, each a history of crashes and failures. `SEEDS=n` runs more; `SEED=n` runs one again.

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_folded_twice_whatever_the_seed() {
    let seeds = number("SEED").map_or(0..number("SEEDS").unwrap_or(200), |seed| seed..seed + 1);
    let mut acknowledged = 0;
    for seed in seeds {
        match sim::simulate(seed) {
            Ok(report) => acknowledged += report.acknowledged,
            Err(broken) => panic!("seed {seed}: {broken}\nrepeat it with SEED={seed} cargo test -p sim"),
        }
    }
    assert!(acknowledged > 0, "a simulation in which nothing happens proves nothing");
    println!("{acknowledged} acknowledged requests");
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [1, 7, 42] {
        assert_eq!(sim::simulate(seed), sim::simulate(seed), "seed {seed}");
    }
}
