//! Live guests: the requests of one batch follow one another in one guest, where it is proven that none could tell.
//!
//! The proof is in two parts: the program cannot change what is its own or catch what is thrown
//! (typescript/purity.rs), and all else is frozen in the guest (guest/guest/src/live.rs). So a live guest gives only
//! plain answers: the function returned, far from every bound. What it leaves is asked of a pristine guest, whose word
//! counts. When the batch is over the guest is rinsed: two calls share nothing, live or not.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rules::{
    call::{Bounded, Foldable, Ran},
    limits::Limits,
};

use super::{Guest, Isolate, Origin, batch::Batch, parse::parse};
use crate::bounds::{LIVE_LEFT_SHARE, LIVE_STRIDE_MAX, LIVE_STRIDE_MIN, LIVE_STRIDE_SHARE, LIVE_TRIAL};

/// Whether requests of one batch may follow one another in one guest.
pub enum Live {
    /// There is no proof that they could not tell.
    Never,
    /// It is proven; the first batch of more than one request tries it.
    Proven,
    Ready {
        origin: Origin,
        /// Requests that a live guest was given, and how many of them it left, in the last while.
        given: u32,
        left: u32,
    },
    /// It did not pay. The file goes back when the program is forgotten.
    GivenUp(Origin),
}

impl Live {
    pub fn of(is_pure: bool) -> Self {
        if is_pure { Live::Proven } else { Live::Never }
    }

    /// Makes a proven program's live image, before the first batch that can use it.
    pub fn try_once(&mut self, isolate: &Isolate, program: &Origin, blanks: &mut Vec<OwnedFd>) {
        if let Live::Proven = self {
            let file = blanks.pop().expect("there are blanks for every program that may be known");
            *self = match isolate.enliven(program, file) {
                Ok(origin) => Live::Ready { origin, given: 0, left: 0 },
                Err(file) => {
                    blanks.push(file);
                    Live::Never
                }
            };
        }
    }

    pub fn into_file(self) -> Option<OwnedFd> {
        match self {
            Live::Ready { origin, .. } | Live::GivenUp(origin) => origin.into_file(),
            Live::Never | Live::Proven => None,
        }
    }
}

/// What one batch has of its live guest.
pub struct Run {
    guest: Option<Guest>,
    /// How many requests it is given at once: few enough that the clock of one call is for one slow request.
    stride: usize,
    /// Requests that are not for it, because it fell over one of them.
    spared: usize,
}

impl Run {
    pub fn begin() -> Self {
        Run { guest: None, stride: LIVE_STRIDE_MIN, spared: 0 }
    }

    /// What a live guest makes of the first of these requests: as many as it can answer plainly, often all of its
    /// stride, perhaps none.
    pub fn answer<B: Batch>(
        &mut self,
        isolate: &Isolate,
        live: &mut Live,
        batch: &B,
        requests: &[Foldable],
        limits: Limits,
    ) -> Vec<Ran<B::Result>> {
        let Live::Ready { origin, given, left } = live else { return Vec::new() };
        if self.spared > 0 {
            self.spared -= 1;
            return Vec::new();
        }
        let stride: Vec<_> =
            requests.iter().take(self.stride).take_while(|request| request.forced.is_none()).cloned().collect();
        let asked = stride.len();
        // Alone, a request costs the same in a pristine guest.
        if asked == 0 || (asked == 1 && self.guest.is_none()) {
            return Vec::new();
        }
        let begun = Instant::now();
        let guest = match self.guest.take() {
            Some(guest) => Ok(guest),
            None => isolate.guest(origin),
        };
        let parsed = parse(&stride);
        let call = batch.call(stride);
        // Half a heap, because what earlier requests left counts as well.
        let bounded = Bounded { call, limits: Limits { heap_bytes: limits.heap_bytes / 2, ..limits }, parsed };
        let answer = guest.and_then(|mut guest| Ok((guest.answer(&bounded)?, guest)));
        let rans = match answer.map(|(outcome, guest)| (B::rans(outcome), guest)) {
            Ok((Some(rans), guest)) if rans.len() <= asked && rans.iter().all(|ran| is_plain::<B>(ran, &limits)) => {
                self.guest = Some(guest);
                // All of a stride shares the clock of one call: twice as many requests must still be far from it.
                let is_long = begun.elapsed() > Duration::from_millis(limits.call_ms / LIVE_STRIDE_SHARE);
                let longer = (self.stride * 2).min(LIVE_STRIDE_MAX);
                self.stride = if is_long { (self.stride / 2).max(LIVE_STRIDE_MIN) } else { longer };
                rans
            }
            _ => {
                self.spared = asked.saturating_sub(1);
                Vec::new()
            }
        };
        let missing = (asked - rans.len()).min(1 + self.spared) as u32;
        (*given, *left) = (*given + rans.len() as u32 + missing, *left + missing);
        if *given >= LIVE_TRIAL {
            if *left > LIVE_TRIAL / LIVE_LEFT_SHARE {
                self.guest = None;
                if let Live::Ready { origin, .. } = std::mem::replace(live, Live::Never) {
                    *live = Live::GivenUp(origin);
                }
            } else {
                (*given, *left) = (0, 0);
            }
        }
        rans
    }

    /// Nothing of this batch is left for the next.
    pub fn end(self, isolate: &mut Isolate, live: &mut Live) {
        if let (Live::Ready { origin, .. }, Some(guest)) = (live, self.guest) {
            isolate.rinse(origin, guest);
        }
    }
}

fn is_plain<B: Batch>(ran: &Ran<B::Result>, limits: &Limits) -> bool {
    ran.result.as_ref().is_ok_and(|result| B::is_sound(result, limits))
}

#[cfg(test)]
mod tests {
    use std::{fs::File, sync::Arc, thread};

    use rules::call::{Bytes, Call, Json, Outcome, Program, Request};

    use super::super::{Code, Programs, batch::Folding, code};
    use super::*;
    use crate::bounds::{PROGRAMS_MAX, STACK_BYTES};

    /// Each is proven pure, and does what it can to see the request before.
    const PURE: &[&str] = &[
        "export function reducer(state, { body }) { return { ...(state ?? {}), [body.k ?? 'n']: body.v ?? 0 } }",
        // Whatever a name from outside leads to is changed, or asked whether it was.
        "export function reducer(state, { body: { a, b, v } }) { const it = {}; const old = it[a]?.[b]; it[a] ??= {}; it[a][b] = v; return [String(old), ({})[b] ?? 0, state] }",
        "export function reducer(state, { body: { a, b, v } }) { return [String([][a]?.[b]?.(v)), ''[a]?.name, state?.[0] ?? 0] }",
        "export function reducer(state, request) { const { a, b } = request.body; return String(request[a]?.[b] ?? request[b]?.constructor?.[a]) }",
        // What stands at the top is changed.
        "const DEFAULTS = { n: 0, list: [] };\nexport function reducer(state = DEFAULTS, { body }) { state.n += 1; state.list.push(body.v ?? null); return state }",
        "const NAMES = ['b', 'a'];\nexport const reducer = (state, { body }) => (body.v === 1 ? NAMES.sort() : NAMES.slice())",
        "const WORD = /a/g;\nexport const reducer = (state, { body }) => [WORD.test('aaa'), body.v ?? 0]",
        "export function reducer(state, { body }) { reducer.n = (reducer.n ?? 0) + 1; return [reducer.n, state] }",
        "const LIST = [3, 1, 2], EMPTY = [], WORD = /a/, DEEP = { a: { b: 1 } };\nexport function reducer(state, { body: { a, b, v } }) { const was = JSON.stringify([LIST, EMPTY, DEEP, WORD.source, WORD.test('a'), WORD.lastIndex]); if (a === 'change') [LIST, EMPTY, WORD, DEEP, DEEP.a, reducer][v]?.[b]?.('b'); return was }",
        // Functions of their own, that are handed over and thrown out of.
        "export function reducer(state, { body }) { return [1, 2, 3].map((x) => { if (body.v === 1) throw new Error('no ' + x); return x + (body.v ?? 0) }) }",
        "export function reducer(state, { body }) { console.log(body, state); console.log({ toString() { Object.prototype.x = 1 } }); return ({}).x ?? 0 }",
        "export function reducer(state, { body }) { const o = {}; Object.defineProperty(o, 'x', { get: () => { Object.prototype.y = 1; return 2 }, enumerable: true }); console.log(o); return [({}).y ?? 0, o.x] }",
        // States that JSON does not give back as they were.
        "export function reducer(state, { body }) { const same = { n: body.v ?? 0 }; if (state?.a) { state.a.n += 1; return [state.a.n, state.b.n] } return { a: same, b: same, z: -0, u: undefined, d: new Date(0), l: [1, , 3] } }",
        "export function reducer(state, { body }) { if (Array.isArray(state)) { state.extra = 1; state.push(Object.is(state[0], -0), 'extra' in state); return state.slice(-4) } return Object.freeze([-0, body]) }",
        "export function reducer(state, request) { return { ...request, id: 0, state: state?.seq ?? 0, keys: Object.keys(request).length } }",
        "export function reducer(state, { body, id }) { return [Math.random(), uuid(), Date.now(), new Date().toISOString(), toHex(sha256(JSON.stringify(body)))] }",
        "export function reducer(state, request) { return [request.headers, request.query.get('a'), request.rawBody, request.event, request.bodyError ?? 0, request.contentType, request.createdAt] }",
        "export function reducer(state, { body }) { let s = ''; for (let i = 0; i < (body.v ?? 0) * 100000; i++) s = String(i); const f = (n) => (n > 0 ? f(n - 1) + 1 : 0); return [s, f((body.v ?? 0) * 300)] }",
        "export function reducer(state, { rawBody, body }) { return JSON.stringify(body) === JSON.stringify(JSON.parse(rawBody)) && Object.is(body, body) }",
        // Templates share what stands at the top with the reducer, which may try to declare one itself.
        "const DEFAULTS = { n: 0, seen: [] };\nconst field = input('n');\ntemplate('first', (state) => { DEFAULTS.n += 1; DEFAULTS.seen.push(state); field.kept = state; return { body: { n: field, seen: DEFAULTS.seen } } });\nexport function reducer(state, { body }) { if (body.v === 1) template('late', () => 1); return [DEFAULTS, field, select('a', [body.v ?? 0])] }",
    ];

    /// The same for keys.
    const PURE_KEYS: &[&str] = &[
        "export const getIdempotencyKey = ({ body }) => body.k ?? body.v",
        "const SEEN = [];\nexport function getIdempotencyKey({ body, id }) { SEEN.push(id); return SEEN.length }",
        "export function getIdempotencyKey({ body: { a, b, v } }) { const it = {}; const old = it[a]?.[b]; it[a] ??= {}; it[a][b] = v; return String(old) }",
        "export function getIdempotencyKey({ body }) { console.log(body); if (body.v === 7) throw new Error('no'); return [undefined, null, 12n, -0, NaN, true, 'a', {}][body.v ?? 0] }",
        "export const getIdempotencyKey = ({ body }) => 'k'.repeat(body.v)",
        "export const getIdempotencyKey = ({ rawBody }) => [Math.random(), uuid(), Date.now(), rawBody.length].join()",
        "export const reducer = () => 1",
    ];

    /// What a stranger may send, to find what is shared.
    fn bodies() -> Vec<String> {
        let mut bodies: Vec<String> = [
            r#"{}"#,
            r#"{"v":1}"#,
            r#"{"v":7}"#,
            r#"{"k":"constructor","v":1}"#,
            r#"{"k":"__proto__","v":{"x":1}}"#,
            r#"{"k":"toString"}"#,
            r#"{"k":"toJSON","v":5}"#,
            r#"{"k":"12","v":-0}"#,
            r#"{"v":1.5e300,"w":[1,[2,{"a":null}]]}"#,
            r#"{"v":"\u00e9\ud83d\ude00\n\u0001\"\\","k":"\u00e9"}"#,
            r#"{"v":"\ud800"}"#,
            r#"{"a":1,"a":2,"b":{},"a":3}"#,
            r#"[1,2,3]"#,
            r#""text""#,
            r#"17"#,
            r#"null"#,
            r#"{"v":12345678901234567890,"w":0.1,"x":1e21,"y":-1e-7}"#,
            r#"{"broken"#,
            r#"{"v":50}"#,
            r#"{"v":400}"#,
            r#"{"__proto__":{"polluted":1},"v":2}"#,
        ]
        .map(str::to_owned)
        .into();
        for b in [
            "compile",
            "exec",
            "push",
            "pop",
            "shift",
            "unshift",
            "sort",
            "reverse",
            "splice",
            "fill",
            "copyWithin",
            "__defineGetter__",
            "bind",
            "toString",
        ] {
            bodies.extend((0..6).map(|v| format!(r#"{{"a":"change","b":"{b}","v":{v}}}"#)));
        }
        for a in ["__proto__", "constructor", "toString", "headers", "at"] {
            for b in [
                "x",
                "toString",
                "constructor",
                "isFrozen",
                "freeze",
                "fromAsync",
                "prototype",
                "name",
                "__proto__",
                "getOwnPropertyDescriptor",
                "stackTraceLimit",
                "call",
                "headers",
            ] {
                for v in ["1", "\"return this\"", "null"] {
                    bodies.push(format!(r#"{{"a":"{a}","b":"{b}","v":{v}}}"#));
                }
            }
        }
        bodies
    }

    fn request(seq: u64, body: &str) -> Foldable {
        let request = Request {
            id: u128::from(seq) << 70 | 5,
            seq,
            method: "POST".into(),
            path: "/write/key".into(),
            query: "a=1&b=2".into(),
            headers: vec![
                ("content-type".into(), Bytes(b"application/json".to_vec())),
                ("x-two".into(), Bytes(b"1".to_vec())),
                ("x-two".into(), Bytes(b"2".to_vec())),
            ],
            body: Bytes(body.as_bytes().to_vec()),
            created_at_ms: 1_780_000_000_000 + seq * 12_345_678,
        };
        Foldable { request: Arc::new(request), forced: None }
    }

    fn on_a_large_stack(test: impl FnOnce() + Send + 'static) {
        thread::Builder::new().stack_size(STACK_BYTES).spawn(test).expect("a thread").join().expect("the test");
    }

    fn programs() -> Programs {
        let code = Code::of(code::file().expect("a file").into()).expect("code");
        let page_map = File::open("/proc/self/pagemap").expect("a page map");
        Programs::new(Isolate::new(code, Some(page_map.into())).expect("an isolate")).expect("programs")
    }

    /// Folds in calls of `batch` requests.
    fn fold(programs: &mut Programs, program: &Program, requests: &[Foldable], batch: usize) -> Vec<Ran<Json>> {
        let mut rans: Vec<Ran<Json>> = Vec::new();
        while rans.len() < requests.len() {
            let state = rans.iter().rev().find_map(|ran| ran.result.clone().ok());
            let requests = requests[rans.len()..].iter().take(batch).cloned().collect();
            let call = Call::Fold { state, requests, secrets: r#"{"s":{"t":1}}"#.into() };
            match programs.call(&program.id, call, Limits::default()) {
                Some(Outcome::Folded(more)) => rans.extend(more),
                other => panic!("{other:?}"),
            }
        }
        rans
    }

    #[test]
    fn together_and_alone_come_to_the_same() {
        on_a_large_stack(|| {
            let mut programs = programs();
            // Twice, and turned around, so that each stands behind every kind of other.
            let mut bodies = bodies();
            bodies.extend(bodies.clone().into_iter().rev());
            let requests: Vec<_> = (1..).zip(&bodies).map(|(seq, body)| request(seq, body)).collect();
            for source in PURE {
                let program = Program::new(*source);
                programs.know(program.clone());
                let alone = fold(&mut programs, &program, &requests, 1);
                for batch in [7, 1_000] {
                    let together = fold(&mut programs, &program, &requests, batch);
                    for (index, (one, other)) in alone.iter().zip(&together).enumerate() {
                        assert_eq!(one, other, "{source}\n{}", bodies[index]);
                    }
                }
            }
        });
    }

    /// Asks for the keys in calls of `batch` requests.
    fn keys(programs: &mut Programs, program: &Program, requests: &[Foldable], batch: usize) -> Vec<Ran<String>> {
        let mut rans: Vec<Ran<String>> = Vec::new();
        while rans.len() < requests.len() {
            let requests = requests[rans.len()..].iter().take(batch).cloned().collect();
            let call = Call::Keys { requests, secrets: r#"{"s":{"t":1}}"#.into() };
            match programs.call(&program.id, call, Limits::default()) {
                Some(Outcome::Keyed(more)) => rans.extend(more),
                other => panic!("{other:?}"),
            }
        }
        rans
    }

    #[test]
    fn keys_together_and_alone_are_the_same() {
        on_a_large_stack(|| {
            let mut programs = programs();
            let bodies = bodies();
            let requests: Vec<_> = (1..).zip(&bodies).map(|(seq, body)| request(seq, body)).collect();
            for source in PURE_KEYS {
                let program = Program::new(*source);
                programs.know(program.clone());
                let alone = keys(&mut programs, &program, &requests, 1);
                for batch in [7, 1_000] {
                    let together = keys(&mut programs, &program, &requests, batch);
                    for (index, (one, other)) in alone.iter().zip(&together).enumerate() {
                        assert_eq!(one, other, "{source}\n{}", bodies[index]);
                    }
                }
            }
        });
    }

    #[test]
    fn a_proven_program_is_folded_in_a_live_guest_and_others_are_not() {
        on_a_large_stack(|| {
            let mut programs = programs();
            let requests: Vec<_> = (1..=500).map(|seq| request(seq, r#"{"v":1,"k":"a"}"#)).collect();
            let templates = "template('a', (state) => ({ body: { v: input('v'), state } }));";
            for (source, is_live) in [
                (PURE[0].to_owned(), true),
                (format!("{templates}{}", PURE[0]), true),
                (format!("let n = 0; n++;{}", PURE[0]), false),
            ] {
                let program = Program::new(source);
                programs.know(program.clone());
                fold(&mut programs, &program, &requests, 500);
                assert_eq!(programs.live_answers(&program.id), if is_live { Some((500, 0)) } else { None });
            }
            let program = Program::new(PURE_KEYS[0]);
            programs.know(program.clone());
            keys(&mut programs, &program, &requests, 500);
            assert_eq!(programs.live_answers(&program.id), Some((500, 0)));
        });
    }

    #[test]
    fn a_program_that_live_guests_do_not_suit_is_left_alone() {
        on_a_large_stack(|| {
            let mut programs = programs();
            let program = Program::new("export function reducer() { throw new Error('always') }");
            programs.know(program.clone());
            let requests: Vec<_> = (1..=2 * u64::from(LIVE_TRIAL)).map(|seq| request(seq, "{}")).collect();
            fold(&mut programs, &program, &requests[..10], 10);
            assert!(programs.live_answers(&program.id).is_some());
            fold(&mut programs, &program, &requests, 1_000);
            assert_eq!(programs.live_answers(&program.id), None);
            // What was given up gives its file back: any number of such programs can come and go.
            for number in 0..3 * PROGRAMS_MAX {
                let program = Program::new(format!("export function reducer() {{ throw new Error('{number}') }}"));
                programs.know(program.clone());
                fold(&mut programs, &program, &requests, 1_000);
            }
        });
    }

    #[test]
    fn a_live_guest_is_rinsed_before_the_next_fold() {
        on_a_large_stack(|| {
            let code = Code::of(code::file().expect("a file").into()).expect("code");
            let page_map = File::open("/proc/self/pagemap").expect("a page map");
            let mut isolate = Isolate::new(code, Some(page_map.into())).expect("an isolate");
            let module = crate::typescript::module_of(PURE[0]).expect("a module");
            let blank = || super::super::Image::blank().expect("a file");
            let within = std::time::Duration::from_secs(2);
            let loaded = isolate.load(&module.source, within, blank());
            let (_, program) = loaded.unwrap_or_else(|_| panic!("not loaded"));
            let mut live = Live::of(module.is_pure);
            live.try_once(&isolate, &program, &mut vec![blank()]);
            let requests: Vec<_> = (1..=50).map(|seq| request(seq, r#"{"v":1}"#)).collect();
            let mut run = Run::begin();
            let folding = Folding { state: None, secrets: "{}".into() };
            let rans = run.answer(&isolate, &mut live, &folding, &requests, Limits::default());
            assert_eq!(rans.len(), LIVE_STRIDE_MIN);
            run.end(&mut isolate, &mut live);
            let Live::Ready { origin, .. } = &mut live else { panic!("it is live") };
            assert!(origin.is_rinsed(), "the guest was kept, and is its image to the last byte");
        });
    }
}
