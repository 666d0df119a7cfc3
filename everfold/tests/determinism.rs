//! The same requests come to the same state: live with kills between, from zero, from any snapshot, together in a live
//! guest or each in a pristine one.

mod harness;

use std::{
    env, thread,
    time::{Duration, Instant},
};

use harness::{
    figures::figure,
    hook::Hook,
    http::{Ask, Connection},
    server::Server,
};
use serde_json::json;

/// In four parts, with a kill after each.
const PARTS: usize = 4;
const WRITERS: usize = 16;
const REFOLD_PATIENCE: Duration = Duration::from_secs(300);
/// At how many seqs the past of two versions is compared.
const MOMENTS: usize = 12;
/// Before it, every program is proven pure or not by its own code; with it, none is.
const NO_PROOF: &str = "let unproven = 0; unproven++;\n";

/// Five programs, each with what it is for.
const PROGRAMS: [(&str, &str); 5] = [
    (
        "counts by type",
        "export function reducer(state, { body }) {
            const { count, total, byType } = state ?? { count: 0, total: 0, byType: {} };
            return { count: count + 1, total: total + body.amount, byType: { ...byType, [body.type]: (byType[body.type] ?? 0) + 1 } };
        }",
    ),
    (
        "a ledger: nested, floating, dated, with chance",
        "const KEEP = 20, LABELS = Object.freeze(['low', 'high']);
        export function reducer(state = { sum: 0, last: [], chain: '', customers: {} }, request) {
            const { amount, customer } = request.body;
            const mine = state.customers[customer % 50] ??= { orders: 0, mean: 0 };
            mine.mean += (amount / 7 - mine.mean) / ++mine.orders;
            state.sum += amount * 0.1 + Math.random();
            state.chain = toHex(sha256(state.chain + request.id + uuid() + Date.now())).slice(0, 16);
            state.last = [...state.last, { at: request.createdAt, label: LABELS[amount > 48 ? 1 : 0], seq: request.seq }].slice(-KEEP);
            return state;
        }",
    ),
    (
        "impure on purpose",
        "let calls = 0; const seen = new Map(); class Memory { static last = null }
        export function reducer(state = { sum: 0, calls: 0, kept: 0 }, request) {
            const { amount, n } = request.body;
            calls += 1; seen.set(n, amount); globalThis.kept = (globalThis.kept ?? 0) + 1;
            Array.prototype.kept = ([].kept ?? 0) + 1; Memory.last = request;
            Math.max = (max => (...x) => max(...x) + 1)(Math.max);
            state.sum += amount + Math.max(0, 1) + Math.random() + new Date().getMilliseconds();
            state.calls += calls + seen.size; state.kept += globalThis.kept + [].kept;
            if (n % 10 === 3) throw new Error('after half a change ' + calls);
            return state;
        }",
    ),
    (
        "catches, matches, sorts; with keys of its own, and secrets that change",
        "export const getIdempotencyKey = ({ body }) => body.n % 11 === 5 ? 'again ' + body.n % 700 : body.n % 50 === 1 ? null : body.n;
        class Top { constructor(items) { this.items = items } add(item) { this.items.push(item); this.items.sort((a, b) => b.amount - a.amount || a.n - b.n); return this.items.slice(0, 10) } }
        export async function reducer(state = { top: [], words: {}, failed: 0 }, { body, rawBody }) {
            try { JSON.parse(rawBody + (body.n % 3 === 0 ? '}' : '')) } catch (error) { state.failed += error.name.length }
            for (const [word] of rawBody.matchAll(/\\b[a-z]{4,}\\b/g)) state.words[word] = (state.words[word] ?? 0) + 1;
            state.salt = toHex(sha256((state.salt ?? '') + secrets.salt)).slice(0, 16);
            state.top = new Top(state.top).add({ amount: body.amount, n: body.n });
            return await state;
        }",
    ),
    (
        "stopped now and then: budget, memory, stack, state",
        "export function reducer(state = { n: 0, last: 0 }, { body, seq }) {
            state.n += 1; state.last = seq;
            if (body.n % 5000 === 7) for (;;) state.n += 1;
            if (body.n % 5000 === 77) { const all = []; for (;;) all.push(new Uint8Array(1 << 20).fill(1)) }
            if (body.n % 500 === 99) { const deeper = (x) => [deeper(x)]; state.deep = deeper(1) }
            if (body.n % 500 === 222) return { big: 'x'.repeat(11 << 20) };
            if (body.n % 100 === 50) { state.half = 'changed'; throw new TypeError('no') }
            return state;
        }",
    ),
];

#[test]
fn the_same_requests_come_to_the_same_state_however_they_are_folded() {
    let requests: usize = env::var("EVERFOLD_REQUESTS").map_or(20_000, |n| n.parse().expect("a number"));
    let begun = Instant::now();
    let data = tempfile::tempdir().expect("a folder for the data");
    let mut server = Server::start_on(data.path());
    let hooks: Vec<Hook> = PROGRAMS.iter().map(|(_, code)| Hook::running(&server, code)).collect();
    let each = requests / PROGRAMS.len() / PARTS / WRITERS * WRITERS;
    for part in 0..PARTS {
        for hook in hooks.iter().map(|hook| hook.at(&server)) {
            let salt = json!({"key": "salt", "value": format!("salt {part}")});
            hook.owner.post(&format!("/api/secrets/{}", hook.id), &salt).expect(201);
        }
        write_all(&server, &hooks, part * each..(part + 1) * each);
        // Whatever was still being folded is folded again by the next process.
        server.kill();
        server = Server::start_on(data.path());
    }
    let total = (PARTS * each) as u64;
    let moments: Vec<u64> = (1..=MOMENTS as u64).map(|n| (n * 2_654_435_761) % total + 1).collect();

    let mut hash = blake3::Hasher::new();
    for (hook, (name, code)) in hooks.iter().map(|hook| hook.at(&server)).zip(PROGRAMS) {
        let live = states(&hook, total, &moments);
        refold(&hook, &format!("{code}\n// From zero."));
        assert_eq!(states(&hook, total, &moments), live, "{name}: from zero, and from other snapshots");
        refold(&hook, &format!("{NO_PROOF}{code}"));
        assert_eq!(states(&hook, total, &moments), live, "{name}: each request in a pristine guest");
        for state in &live {
            hash.update(state.as_bytes());
        }
    }
    let how = format!("{} requests, 5 programs, {PARTS} kills, refolded twice, {MOMENTS} moments each", 5 * total);
    let value = format!("one hash {}, {:.0} s", &hash.finalize().to_hex()[..16], begun.elapsed().as_secs_f64());
    figure("determinism", &how, &value, true);
}

/// Publishes, and waits until readers see the new version.
fn refold(hook: &Hook, code: &str) {
    hook.save(code);
    hook.owner.post(&hook.api("/publish"), &json!({})).expect(200);
    let begun = Instant::now();
    while hook.owner.get(&hook.api("/replay")).expect(200).json()["status"] != "done" {
        assert!(begun.elapsed() < REFOLD_PATIENCE, "it is not folded yet");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The state now, which is that of the last request, and at the moments.
fn states(hook: &Hook, total: u64, moments: &[u64]) -> Vec<String> {
    let now = hook.read(&format!("after={total}")).expect(200);
    assert_eq!(now.header("x-seq"), Some(total.to_string().as_str()));
    let then = moments.iter().map(|seq| hook.read(&format!("at={seq}")).expect(200).text());
    [now.text()].into_iter().chain(then).collect()
}

fn write_all(server: &Server, hooks: &[Hook], numbers: std::ops::Range<usize>) {
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let numbers = numbers.clone().skip(writer).step_by(WRITERS);
            scope.spawn(move || {
                let mut connection = Connection::open(&server.address).expect("the server listens");
                for n in numbers {
                    let kind = ["order.created", "order.paid", "refund.created"][n % 3];
                    let body = format!(
                        r#"{{"n":{n},"type":"{kind}","amount":{},"customer":{},"note":"some words of a person"}}"#,
                        (n * 37) % 97,
                        (n * 7919) % 1_000,
                    );
                    for hook in hooks {
                        let ask = Ask::new("POST", hook.write_path()).body("application/json", body.clone());
                        connection.ask(&ask).expect("a reply").expect(202);
                    }
                }
            });
        }
    });
}
