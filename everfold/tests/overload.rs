//! More than the server can do: what it takes on it keeps, the rest it refuses at once, and it is soon itself again.

mod harness;

use std::{env, process::Command, rc::Rc, time::Duration};

use harness::{
    eventually_within,
    figures::figure,
    hook::Hook,
    http::Connection,
    load::{Answers, Load, Pace, percentile, send},
    memory::Watch,
    server::Server,
};
use serde_json::Value;

/// How long the server is asked for too much.
fn overload_lasts() -> Duration {
    let given = env::var("EVERFOLD_OVERLOAD_S");
    Duration::from_secs(given.map_or(20, |seconds| seconds.parse().expect("EVERFOLD_OVERLOAD_S is a number")))
}

/// Counts what it is given, and sums up which it was.
const REDUCER: &str = "
    export const reducer = (state, request) =>
        ({ count: (state?.count ?? 0) + 1, sum: (state?.sum ?? 0) + Number(request.query.get('n')) });";

/// Takes its time over every answer.
const RESPONDER: &str = "
    export const responder = () => {
        let n = 0;
        for (let i = 0; i < 200000; i++) n += i;
        return { statusCode: 200, body: 'ok' };
    };";

const HOOKS: u64 = 4;

/// A server and hooks that run this code.
fn hooks_running(code: &str) -> (Server, Vec<Hook>) {
    let server = Server::start();
    let hooks = (0..HOOKS).map(|_| Hook::running(&server, code)).collect();
    (server, hooks)
}

/// Writes to all of them in turn, each with a body of so many bytes.
fn writes(server: &Server, hooks: &[Hook], body_bytes: usize) -> Load {
    let paths: Vec<String> = hooks.iter().map(Hook::write_path).collect();
    let body = "x".repeat(body_bytes);
    let ask = move |n: u64| {
        let path = &paths[n as usize % paths.len()];
        let head = format!("POST {path}?n={n} HTTP/1.1\r\nhost: e\r\ncontent-type: text/plain\r\n");
        format!("{head}content-length: {body_bytes}\r\n\r\n{body}").into_bytes()
    };
    Load {
        address: server.address.clone(),
        clients: 1,
        pace: Pace::Answered,
        lasts: Duration::from_secs(3),
        ask: Rc::new(ask),
    }
}

/// Everything that was asked of the hooks, one load after the other.
#[derive(Default)]
struct Asked {
    next_n: u64,
    kept: u64,
    sum: u64,
    broken: u64,
}

impl Asked {
    fn send(&mut self, load: &Load) -> Answers {
        let answers = send(load, self.next_n);
        self.next_n = answers.next_n;
        self.kept += answers.kept().count() as u64;
        self.sum += answers.kept().map(|answer| answer.n).sum::<u64>();
        self.broken += answers.broken;
        answers
    }

    /// The logs and the folds hold what was acknowledged, each once.
    fn is_all_there(&self, hooks: &[Hook]) {
        assert_eq!(self.broken, 0, "every request was answered");
        let total = |name: &str, of: &dyn Fn(&Hook) -> Value| -> u64 {
            hooks.iter().map(|hook| of(hook)[name].as_u64().unwrap_or(0)).sum()
        };
        eventually_within(Duration::from_secs(120), "all of it is folded", || {
            (total("count", &Hook::state) >= self.kept).then_some(())
        });
        assert_eq!(total("seq", &Hook::verify), self.kept, "the logs hold what was acknowledged");
        assert!(hooks.iter().all(|hook| hook.verify()["ok"] == true));
        assert_eq!(total("count", &Hook::state), self.kept, "each was folded once");
        assert_eq!(total("sum", &Hook::state), self.sum, "and each was itself");
    }
}

/// When, after an overload, the answers of a whole second were as fast as `before`.
fn back_after(before: &Answers, after: &Answers) -> Duration {
    const STEP: Duration = Duration::from_millis(250);
    let normal = percentile(before.answers.iter(), 0.5) * 2 + Duration::from_millis(5);
    let is_normal = |from: &Duration| {
        let second = || after.kept().filter(|answer| *from <= answer.at && answer.at < *from + 4 * STEP);
        second().next().is_some() && percentile(second(), 0.5) <= normal
    };
    (0..).map(|step| STEP * step).find(|from| *from >= after.lasted || is_normal(from)).expect("it ends")
}

fn says_when_to_ask_again(answers: &Answers) {
    let plain = answers.refused().find(|answer| answer.status != 503 || !answer.has_retry_after);
    let plain = plain.map(|answer| (answer.status, String::from_utf8_lossy(&answer.body).into_owned()));
    assert_eq!(plain, None, "a refusal is a 503 with Retry-After");
}

#[test]
fn ten_times_what_can_be_answered_is_refused_at_once_and_the_rest_goes_on() {
    const RESIDENT_MIB_MAX: u64 = 512;
    let (server, hooks) = hooks_running(&format!("{REDUCER}{RESPONDER}"));
    let calm = writes(&server, &hooks, 300);
    let mut asked = Asked::default();
    let watch = Watch::over(server.id());

    let before = asked.send(&calm);
    let peak = asked.send(&Load { clients: 16, lasts: Duration::from_secs(6), ..calm.clone() });
    let rate = 10.0 * peak.kept_per_s();
    let flood = Load { clients: 2_000, pace: Pace::PerSecond(rate), lasts: overload_lasts(), ..calm.clone() };
    let over = asked.send(&flood);
    let after = asked.send(&Load { lasts: Duration::from_secs(11), ..calm });

    let resident = watch.most_mib();
    says_when_to_ask_again(&over);
    asked.is_all_there(&hooks);
    let goodput = over.kept_per_s() / peak.kept_per_s();
    let (p99, most) = (percentile(over.refused(), 0.99), percentile(over.refused(), 1.0));
    let back = back_after(&before, &after);
    figure(
        "overload",
        &format!(
            "{:.0} × {:.0}/s for {:?}, {} clients",
            over.asked_per_s() / peak.kept_per_s(),
            peak.kept_per_s(),
            over.lasted,
            flood.clients
        ),
        &format!(
            "peak {resident} MiB, goodput {:.0} %, {} refused: p50 {:.1?} p99 {p99:.1?} max {most:.1?}; kept p99 {:.1?}; lost 0, back in {back:.1?}",
            goodput * 100.0,
            over.refused().count(),
            percentile(over.refused(), 0.5),
            percentile(over.kept(), 0.99),
        ),
        resident <= RESIDENT_MIB_MAX
            && goodput >= 0.9
            && p99 <= Duration::from_millis(50)
            && back <= Duration::from_secs(10),
    );
    assert!(over.refused().count() as u64 > 5 * over.kept().count() as u64, "most of it was too much");
    assert!(resident <= RESIDENT_MIB_MAX, "{resident} MiB");
    assert!(goodput >= 0.5, "{goodput}");
    assert!(p99 <= Duration::from_millis(500), "{p99:?}");
    assert!(back <= Duration::from_secs(10), "{back:?}");
}

#[test]
fn two_thousand_writers_at_once_are_served_no_worse_than_a_few() {
    const RESIDENT_MIB_MAX: u64 = 512;
    let (server, hooks) = hooks_running(REDUCER);
    let calm = writes(&server, &hooks, 300);
    let mut asked = Asked::default();
    let watch = Watch::over(server.id());

    let before = asked.send(&calm);
    let peak = asked.send(&Load { clients: 64, lasts: Duration::from_secs(5), ..calm.clone() });
    let over = asked.send(&Load { clients: 2_000, lasts: overload_lasts() / 2, ..calm.clone() });
    let after = asked.send(&Load { lasts: Duration::from_secs(11), ..calm });

    let resident = watch.most_mib();
    says_when_to_ask_again(&over);
    asked.is_all_there(&hooks);
    let goodput = over.kept_per_s() / peak.kept_per_s();
    let back = back_after(&before, &after);
    figure(
        "overload, storing",
        &format!("64 → 2,000 clients without a pause, {:?}, peak {:.0}/s", over.lasted, peak.kept_per_s()),
        &format!(
            "peak {resident} MiB, goodput {:.0} %, {} refused, kept p99 {:.1?}, lost 0, back in {back:.1?}",
            goodput * 100.0,
            over.refused().count(),
            percentile(over.kept(), 0.99),
        ),
        resident <= RESIDENT_MIB_MAX && goodput >= 0.9 && back <= Duration::from_secs(10),
    );
    assert!(resident <= RESIDENT_MIB_MAX, "{resident} MiB");
    assert!(goodput >= 0.5, "{goodput}");
    assert!(back <= Duration::from_secs(10), "{back:?}");
}

#[test]
fn a_thousand_large_bodies_at_once_do_not_take_the_memory() {
    const RESIDENT_MIB_MAX: u64 = 768;
    let (server, hooks) = hooks_running(REDUCER);
    let mut asked = Asked::default();
    let watch = Watch::over(server.id());
    let large = Load { clients: 1_000, lasts: Duration::from_secs(6), ..writes(&server, &hooks, 1 << 20) };
    let over = asked.send(&large);

    let resident = watch.most_mib();
    says_when_to_ask_again(&over);
    asked.is_all_there(&hooks);
    figure(
        "overload, large bodies",
        "1,000 clients send 1 MiB each, again and again, 6 s",
        &format!(
            "peak {resident} MiB, {} kept, {} refused: p50 {:.1?} p99 {:.1?}; lost 0",
            over.kept().count(),
            over.refused().count(),
            percentile(over.refused(), 0.5),
            percentile(over.refused(), 0.99),
        ),
        resident <= RESIDENT_MIB_MAX,
    );
    assert!(over.kept().count() > 0 && over.refused().count() > 0, "some are kept, some refused");
    assert!(resident <= RESIDENT_MIB_MAX, "{resident} MiB");
}

#[test]
fn more_connections_than_a_shell_allows_files_are_served() {
    let data = tempfile::tempdir().expect("a folder for the data");
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -Sn 64; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_everfold")]);
    let mut server = Server::start_by(shell, data.path());
    let idle: Vec<_> = (0..200).map(|_| Connection::open(&server.address).expect("the server listens")).collect();
    Hook::running(&server, "export const reducer = n => (n ?? 0) + 1;").fold(&serde_json::json!({}));
    assert!(server.is_well());
    drop(idle);
}
