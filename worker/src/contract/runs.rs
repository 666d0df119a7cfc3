//! Promises about actions: a run is played as far as it goes, and the same whenever it is played.

use std::sync::Arc;

use rules::{
    call::{
        Call, Error, Exports, Json, Outcome, Program, Ran, Stop,
        run::{End, Kind, Move, Note, Running, Stand, Telling},
    },
    limits::Limits,
};

use super::{NOW_MS, call, unrunnable};
use crate::Worker;

/// A fetch that came to something.
const FETCHED: &str = r#"{"url":"u","status":200,"statusText":"","headers":[],"body":"aGk=","redirected":false}"#;

pub async fn actions_are_described_with_their_paths(worker: impl Worker) {
    let source = "
        export function reducer(state: number) { return state }
        const actions = {
            refund: { name: 'Refund', description: 'Gives back', unlisted: true, handler: async (io: any) => {} },
            users: new Page({ name: 'Users', routes: { create: async () => {} }, handler: () => new Layout({}) }),
        };";
    let Outcome::Described(described) = call(&worker, source, Call::Describe).await else { panic!("not described") };
    assert_eq!(described.exports, Exports { reducer: true, ..Exports::default() });
    let slugs: Vec<_> = described.actions.iter().map(|one| (one.slug.as_str(), one.is_page, one.unlisted)).collect();
    assert_eq!(slugs, [("refund", false, true), ("users", true, false), ("users/create", false, false)]);
    assert_eq!(described.actions[0].name.as_deref(), Some("Refund"));
    assert_eq!(described.actions[0].description.as_deref(), Some("Gives back"));
}

pub async fn a_name_that_no_address_can_hold_is_unrunnable(worker: impl Worker) {
    let error = unrunnable(&worker, "export const actions = { 'a/b': async () => {} };").await;
    assert_eq!(error.name, "TypeError");
    assert!(error.message.contains("\"a/b\" is no name for an action"), "{error:?}");
}

pub async fn a_question_waits_and_its_answer_goes_on(worker: impl Worker) {
    let mut run = Run::of("const name = await io.input.text('Name'); return { hello: name };");
    run.play(&worker).await;
    assert_eq!((run.called(), &run.stand().end), (vec!["0 INPUT_TEXT Name".into()], &None));
    run.receive("0", r#"{"values":["Bob"]}"#);
    run.play(&worker).await;
    assert_eq!(run.stand().end, Some(End::Completed(r#"{"json":{"hello":"Bob"}}"#.into())));
    assert_eq!(run.stand().moves, []);
}

/// More than thirty calls of every sort, some of them side by side.
const LONG: &str = "
    const page = (name) => ctx.step(name, async () => {
        ctx.log('in', name, Math.random());
        const text = await (await ctx.fetch('http://x/' + name)).text();
        await io.display.markdown(text + name);
        return [text, ctx.uuid(), Date.now()];
    });
    await io.display.heading('Welcome');
    const name = await io.input.text('Name').validate((given) => (given === 'bad' ? 'no' : undefined));
    const all = await Promise.all([page('a'), page('b'), io.input.number('N'), page('c')]);
    ctx.loading.start({ itemsInQueue: 9 });
    for (let i = 0; i < 9; i++) {
        await ctx.step('item ' + i, () => { ctx.log('item', i) });
        ctx.loading.completeOne();
    }
    const nested = await ctx.step('outer', async () => {
        const inner = await ctx.step('inner', () => new Map([[1, new Date(2)]]));
        await ctx.sleep(5);
        return inner;
    });
    try {
        await ctx.step('throws', async () => { await ctx.sleep(1); throw new RangeError('no') });
    } catch (error) { ctx.log(error.name) }
    const { go } = await io.group({ go: io.input.boolean('Go'), why: io.display.markdown('why') });
    return { name, all, nested, go, chance: Math.random(), at: Date.now() };";

pub async fn a_run_cut_anywhere_goes_on_move_by_move(worker: impl Worker) {
    let whole = played(&worker).await;
    let Some(End::Completed(result)) = &whole.stand().end else { panic!("{:?}", whole.stand().end) };
    assert!(whole.called().len() > 25, "{:?}", whole.called());
    for cut in 0..whole.journal.len() {
        let mut run = Run::of(LONG);
        run.journal = whole.journal[..cut].to_vec();
        run.play(&worker).await;
        for (note, is_own) in &whole.journal[cut..] {
            if !is_own {
                run.journal.push((note.clone(), false));
                run.play(&worker).await;
            }
        }
        assert_eq!(run.stand().end, Some(End::Completed(result.clone())), "cut at {cut}");
        let done = whole.journal[..cut].iter().filter(|(_, is_own)| *is_own).count();
        // Two answers came at once when the whole was played, and one by one here: that tells in the order alone.
        assert_eq!(sorted(&run.moves), sorted(&whole.moves[done..]), "cut at {cut}");
    }
}

/// Plays it to its end. What comes from outside does not come in the order in which it was asked for.
async fn played(worker: &impl Worker) -> Run {
    let mut run = Run::of(LONG);
    run.play(worker).await;
    run.receive("1", r#"{"values":["bad"]}"#);
    run.play(worker).await;
    run.receive("1~1", r#"{"values":["good"]}"#);
    run.play(worker).await;
    run.receive("4.0", FETCHED);
    run.receive("5", r#"{"values":[7]}"#);
    run.play(worker).await;
    run.receive("2.0", FETCHED);
    run.play(worker).await;
    run.receive("3.0", FETCHED);
    run.play(worker).await;
    while run.stand().end.is_none() {
        let open = run.open().expect("something is open");
        let answer = if run.called().last().is_some_and(|name| name.contains("BOOLEAN")) {
            r#"{"values":[true,null]}"#
        } else {
            "null"
        };
        run.receive(&open, answer);
        run.play(worker).await;
    }
    run
}

pub async fn steps_side_by_side_keep_their_order(worker: impl Worker) {
    let mut run = Run::of(
        "const each = (name) => ctx.step(name, async () => (await ctx.fetch('http://x/' + name)).status);
        const seen = [];
        await Promise.all(['a', 'b', 'c'].map(async (name) => { await each(name); seen.push(name); await ctx.step('then ' + name, () => 1) }));
        return seen;",
    );
    run.play(&worker).await;
    for id in ["2.0", "0.0", "1.0"] {
        run.receive(id, FETCHED);
    }
    run.play(&worker).await;
    let names = ["3 then c", "4 then a", "5 then b"];
    assert_eq!(run.called()[6..], names.map(String::from));
    assert_eq!(run.stand().end, Some(End::Completed(r#"{"json":["c","a","b"]}"#.into())));
    // All at once or one after another, played again it is the same.
    run.play(&worker).await;
    assert_eq!(
        (run.stand().moves.len(), &run.stand().end),
        (0, &Some(End::Completed(r#"{"json":["c","a","b"]}"#.into())))
    );
}

pub async fn code_that_does_something_else_is_changed(worker: impl Worker) {
    let mut run = Run::of("await io.input.text('Name'); await io.input.text('Age');");
    run.play(&worker).await;
    run.receive("0", r#"{"values":["Bob"]}"#);
    run.play(&worker).await;
    for (body, made) in [
        ("await io.input.text('Name'); await io.input.number('Age');", "INPUT_NUMBER Age"),
        ("await io.input.text('Name'); await ctx.step('Age', () => 1);", "step Age"),
        ("await io.input.text('Name');", "nothing"),
        ("await io.input.text('Name'); try { await io.confirm('Age') } catch {} for (;;);", "CONFIRM Age"),
    ] {
        let mut other = Run::of(body);
        other.journal = run.journal.clone();
        other.play(&worker).await;
        let end = End::Changed { id: "1".into(), recorded: "INPUT_TEXT Age".into(), made: made.into() };
        assert_eq!((&other.stand().moves, &other.stand().end), (&Vec::new(), &Some(end)), "{body}");
    }
}

pub async fn the_date_stands_at_what_last_came_from_outside(worker: impl Worker) {
    let mut run = Run::of(
        "const at = () => Date.now() - 1780000000000;
        const seen = [at()]; await ctx.sleep(1); seen.push(at()); await ctx.step('s', () => 1); seen.push(at());
        await io.display.heading('h'); seen.push(at()); await io.confirm('?'); return [...seen, new Date().getTime() - 1780000000000];",
    );
    run.play(&worker).await;
    run.receive("0", "null");
    run.play(&worker).await;
    run.receive("3", r#"{"values":[true]}"#);
    run.play(&worker).await;
    assert_eq!(run.stand().end, Some(End::Completed(r#"{"json":[0,1000,1000,1000,2000]}"#.into())));
}

pub async fn a_run_that_loops_is_stopped(worker: impl Worker) {
    for body in ["for (;;);", "for (;;) await 0;", "for (;;) try { await ctx.step('s', () => { for (;;); }) } catch {}"]
    {
        let failure = Run::of(body).try_play(&worker).await.result.expect_err("a stop");
        assert_eq!(failure.stop, Some(Stop::Budget), "{body}");
    }
    let failure = Run::of("for (;;) ctx.log('x'.repeat(9000));").try_play(&worker).await.result.expect("an end");
    assert!(matches!(failure.end, Some(End::Failed(Error { name, .. })) if name == "RangeError"));
}

pub async fn two_runs_share_nothing(worker: impl Worker) {
    let body = "globalThis.kept = (globalThis.kept ?? 0) + 1; io.kept = (io.kept ?? 0) + 1; Array.prototype.kept = ([].kept ?? 0) + 1;
        ctx.log(globalThis.kept, io.kept, [].kept); await io.confirm('?'); return globalThis.kept";
    for _ in 0..3 {
        let mut run = Run::of(body);
        run.play(&worker).await;
        let told = Move::Told { telling: Telling::Log, payload: r#"{"text":"1 1 1","level":"info"}"#.into() };
        assert_eq!(run.moves[0], told);
        run.receive("0", r#"{"values":[true]}"#);
        run.play(&worker).await;
        assert_eq!(run.stand().end, Some(End::Completed(r#"{"json":1}"#.into())));
    }
    // And chance is each run's own.
    let mut chances = Vec::new();
    for run in [1, 2, 1] {
        let mut run = Run { run, ..Run::of("return [Math.random(), ctx.uuid()]") };
        run.play(&worker).await;
        chances.push(run.stand().end.clone());
    }
    assert!(chances[0] == chances[2] && chances[0] != chances[1], "{chances:?}");
}

pub async fn lines_of_a_failed_run_are_the_owners(worker: impl Worker) {
    let source = "interface State {\n  n: number\n}\n\nexport const actions = {\n  it: async (io: any) => {\n    throw new Error('here')\n  },\n};";
    let mut run = Run { source: source.into(), ..Run::of("") };
    run.play(&worker).await;
    let Some(End::Failed(error)) = &run.stand().end else { panic!("{:?}", run.stand()) };
    assert_eq!((error.message.as_str(), error.place.map(|(line, _)| line)), ("here", Some(7)), "{error:?}");
    assert!(error.stack.contains("hook.ts:7:"), "{error:?}");
}

/// A run, and what a server would keep of it.
struct Run {
    source: String,
    run: u128,
    /// Each note, and whether the code itself made it.
    journal: Vec<(Note, bool)>,
    moves: Vec<Move>,
    stand: Option<Stand>,
    /// How much has come from outside.
    received: u64,
}

impl Run {
    fn of(body: &str) -> Run {
        Run {
            source: format!("export const actions = {{ it: async (io, ctx) => {{ {body} }} }};"),
            run: 7,
            journal: Vec::new(),
            moves: Vec::new(),
            stand: None,
            received: 0,
        }
    }

    async fn try_play(&self, worker: &impl Worker) -> Ran<Stand> {
        let running = Running {
            action: "it".into(),
            context: r#"{"user":{},"params":{},"environment":"production","organization":{},"action":{"slug":"it"}}"#
                .into(),
            secrets: "{}".into(),
            run: self.run,
            began_at_ms: NOW_MS,
            journal: self.journal.iter().map(|(note, _)| note.clone()).collect(),
        };
        let program = Arc::new(Program::new(self.source.as_str()));
        match worker.call(&program, Call::Run(Arc::new(running)), Limits::of_run()).await {
            Outcome::Ran(ran) => ran,
            other => panic!("{other:?}"),
        }
    }

    async fn play(&mut self, worker: &impl Worker) {
        let stand = self.try_play(worker).await.result.expect("it is not stopped");
        self.journal.extend(stand.moves.iter().map(|step| {
            let note = match step {
                Move::Called { name, .. } => Note::Called(name.clone()),
                Move::Returned { id, result } => {
                    Note::Returned { id: id.clone(), at_ms: NOW_MS + 999_999, result: result.clone() }
                }
                Move::Told { .. } => Note::Told,
            };
            (note, true)
        }));
        self.moves.extend(stand.moves.clone());
        self.stand = Some(stand);
    }

    fn receive(&mut self, id: &str, json: &str) {
        self.received += 1;
        let at_ms = NOW_MS + 1000 * self.received;
        self.journal.push((Note::Returned { id: id.into(), at_ms, result: Ok(Json::from(json)) }, false));
    }

    fn stand(&self) -> &Stand {
        self.stand.as_ref().expect("it was played")
    }

    /// The calls so far, by id and name.
    fn called(&self) -> Vec<String> {
        let names = self.moves.iter().filter_map(|step| match step {
            Move::Called { name, .. } => {
                Some([name.id.as_str(), &name.method, &name.label].join(" ").trim_end().to_owned())
            }
            _ => None,
        });
        names.collect()
    }

    /// The last call that waits for somebody outside.
    fn open(&self) -> Option<String> {
        let has_returned = |id: &str| {
            self.journal.iter().any(|(note, _)| matches!(note, Note::Returned { id: other, .. } if other == id))
        };
        let mut waiting = self.moves.iter().rev().filter_map(|step| match step {
            Move::Called { name, .. } if name.kind != Kind::Step && !has_returned(&name.id) => Some(name.id.clone()),
            _ => None,
        });
        waiting.next()
    }
}

fn sorted(moves: &[Move]) -> Vec<String> {
    let mut texts: Vec<String> = moves.iter().map(|step| format!("{step:?}")).collect();
    texts.sort();
    texts
}
