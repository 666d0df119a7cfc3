//! What a run decides, told as scenarios: by its answers, by what its code did, by what its host says.

use rules::{
    call::{
        Error, Json,
        run::{End, Kind, Move, Name, Note, Stand, Telling},
    },
    limits::PAGE_BYTES_MAX,
    record::{At, LaneId, Record},
    refusal::Refusal,
    run::{Answer, Begun, Effect, Ending, Entry, Heard, Origin, Question, Run, Said, Status, Step, Why},
};
use serde_json::{Value, json};

const RUN: LaneId = LaneId(7);

fn begun(origin: Origin) -> Begun {
    Begun {
        owner: LaneId(1),
        origin,
        action: "refund".into(),
        declared: "refund".into(),
        name: None,
        description: None,
        context: "{}".into(),
        by: None,
        at: At(1_000),
    }
}

/// A run and its log, which is loaded again after every step and must come to the same.
struct Told {
    run: Run,
    log: Vec<(Entry, Record)>,
}

impl Told {
    fn hosted() -> Told {
        Told::begin(Origin::Hosted { hook: LaneId(2), version: 1 }).0
    }

    fn connected() -> Told {
        Told::begin(Origin::Host { is_backgroundable: true }).0
    }

    fn begin(origin: Origin) -> (Told, Vec<Effect>) {
        let (run, step) = Run::begin(RUN, begun(origin));
        let mut told = Told { run, log: Vec::new() };
        let effects = told.keep(step);
        (told, effects)
    }

    fn keep(&mut self, step: Step) -> Vec<Effect> {
        for record in step.records {
            self.log.push((Entry::decode(&record.body).expect("a run's own record"), record));
        }
        let again = self.loaded();
        assert_eq!(again.status(), self.run.status());
        assert_eq!(again.journal(), self.run.journal());
        assert_eq!((again.tail(), again.brief()), (self.run.tail(), self.run.brief()));
        assert_eq!(again.answered().count(), self.run.answered().count());
        step.effects
    }

    fn loaded(&self) -> Run {
        Run::load(RUN, self.log.clone()).expect("it begins as a run does")
    }

    fn played(&mut self, moves: Vec<Move>, end: Option<End>) -> Vec<Effect> {
        let stand = Stand { moves, rendered: Vec::new(), end };
        let step = self.run.played(self.run.journal().len(), Ok(stand), Vec::new(), At(2_000));
        self.keep(step)
    }

    fn answered(&mut self, key: &str, values: Value) -> Result<Vec<Effect>, Refusal> {
        let answer = answer(values);
        let step = self.run.answer(key, &answer, Some("ada@example.com".into()), At(3_000))?;
        Ok(self.keep(step))
    }

    fn returned(&mut self, id: &str) -> Vec<Effect> {
        let step = self.run.returned(id, Ok("null".into()), At(3_000));
        self.keep(step)
    }

    fn said(&mut self, attempt: u32, said: Said) -> (Heard, Vec<Effect>) {
        let (step, heard) = self.run.host_says(attempt, said, At(4_000));
        (heard, self.keep(step))
    }
}

fn answer(values: Value) -> Answer {
    Answer::parse(&json!({ "values": values }).to_string()).expect("values")
}

fn name(id: &str, kind: Kind) -> Name {
    Name { id: id.into(), kind, method: "INPUT_TEXT".into(), label: "Name".into() }
}

fn asks(id: &str) -> Move {
    let payload = json!({ "toRender": [{ "methodName": "INPUT_TEXT", "label": "Name", "props": {} }] });
    Move::Called { name: name(id, Kind::Io), payload: payload.to_string().into() }
}

fn calls(id: &str, kind: Kind) -> Move {
    Move::Called { name: name(id, kind), payload: r#"{"untilMs":9000}"#.into() }
}

fn done(id: &str) -> Move {
    Move::Returned { id: id.into(), result: Ok("null".into()) }
}

fn does(effects: &[Effect]) -> Vec<&str> {
    let id = |effect: &'_ Effect| match effect {
        Effect::Do { id, .. } => Some(id.clone()),
        _ => None,
    };
    effects.iter().filter_map(id).map(|id| &*id.leak()).collect()
}

fn render(id: &str, group: &str, label: &str) -> Said {
    rendered(id, group, json!({ "methodName": "INPUT_TEXT", "label": label, "props": {} }))
}

fn rendered(id: &str, group: &str, part: Value) -> Said {
    let call = json!({ "id": id, "inputGroupKey": group, "kind": "RENDER", "toRender": [part] });
    Said::Io(call.to_string().into())
}

fn answers(effects: &[Effect]) -> Vec<(String, Value)> {
    let one = |effect: &Effect| match effect {
        Effect::Answer { key, response, .. } => {
            Some((key.clone(), serde_json::from_str::<Value>(response).expect("JSON")["values"].clone()))
        }
        _ => None,
    };
    effects.iter().filter_map(one).collect()
}

#[test]
fn a_question_waits_and_its_first_answer_counts() {
    let mut told = Told::hosted();
    assert_eq!(told.run.status(), Status::Running);
    assert_eq!(told.played(vec![asks("0")], None), []);
    assert_eq!(told.run.status(), Status::Waiting);
    assert_eq!(told.answered("1", json!(["Ada"])), Err(Refusal::QUESTION_UNKNOWN));
    assert_eq!(told.answered("0", json!(["Ada"])), Ok(vec![Effect::Play]));
    assert_eq!(told.run.status(), Status::Running);
    assert_eq!(told.answered("0", json!(["Eve"])), Err(Refusal::QUESTION_ANSWERED));
    let result = r#"{"values":["Ada"]}"#.into();
    assert_eq!(told.run.journal().last(), Some(&Note::Returned { id: "0".into(), at_ms: 3_000, result: Ok(result) }));
}

#[test]
fn what_a_worker_made_of_an_older_journal_is_thrown_away() {
    let mut told = Told::hosted();
    told.played(vec![asks("0"), calls("1", Kind::Fetch)], None);
    let before = told.run.journal().len();
    assert_eq!(told.returned("1"), [Effect::Play]);
    assert_eq!(told.answered("0", json!(["Ada"])), Ok(vec![]), "it is played already, and will be again");
    let stand = Stand { moves: vec![asks("2")], rendered: Vec::new(), end: None };
    let step = told.run.played(before + 1, Ok(stand), Vec::new(), At(5_000));
    assert_eq!(told.keep(step), [Effect::Play]);
    assert!(told.run.call("2").is_none());
    assert_eq!(told.run.status(), Status::Running);
}

#[test]
fn of_one_who_goes_through_a_table_only_the_last_move_is_played_again() {
    let shows = |id: &str, method: &str| {
        let payload = json!({ "toRender": [{ "methodName": method, "label": "Name", "props": {} }] });
        let name = Name { method: method.into(), ..name(id, Kind::Io) };
        Move::Called { name, payload: payload.to_string().into() }
    };
    let mut told = Told::hosted();
    told.played(vec![shows("0", "DISPLAY_TABLE"), shows("1", "SEARCH"), shows("2", "SELECT_TABLE+SEARCH")], None);
    let moves = |told: &mut Told, id: &str, values: &[Value]| {
        for values in values {
            let step = told.run.state(id, values.to_string().into(), At(3_000)).expect("it is shown");
            told.keep(step);
        }
        let played = told.run.to_play().into_iter().filter_map(|note| match note {
            Note::Stated { id: one, values, .. } if one == id => Some(serde_json::from_str(&values).expect("JSON")),
            _ => None,
        });
        played.collect::<Vec<Value>>()
    };
    let to = |offset: usize| json!({ "offset": offset });
    let all = [json!([to(0)]), json!([to(20)]), json!([to(40)])];
    assert_eq!(moves(&mut told, "0", &all), [json!([to(40)])]);
    assert_eq!(moves(&mut told, "1", &all).len(), 3, "what was found before may still be chosen");
    let [table, other, both] = [json!([to(0), null]), json!([null, to(0)]), json!([to(20), to(0)])];
    assert_eq!(moves(&mut told, "2", &[table.clone(), other.clone()]), [table.clone(), other.clone()]);
    assert_eq!(moves(&mut told, "2", &[table.clone(), both.clone()]), [table.clone(), other.clone(), both]);
    // A fetch that the last move led to stands behind it, and is led to again.
    told.played(vec![calls("0.0", Kind::Fetch)], None);
    let fetched = moves(&mut told, "0", &[json!([to(60)])]);
    told.played(vec![calls("0.1", Kind::Fetch)], None);
    assert_eq!(fetched, [json!([to(40)]), json!([to(60)])]);
    assert_eq!(moves(&mut told, "0", &[json!([to(80)])]).len(), 3);
}

#[test]
fn an_effect_is_done_after_it_is_kept_and_again_after_a_crash_until_it_returned() {
    let mut told = Told::hosted();
    let effects = told.played(vec![calls("0", Kind::Fetch), calls("1", Kind::Sleep)], None);
    assert_eq!(does(&effects), ["0", "1"]);
    let mut after = told.loaded();
    assert_eq!(does(&after.resume(true)), ["0", "1"]);
    assert_eq!(after.resume(false), [], "a run that only waits costs nothing to look at");
    told.returned("0");
    assert_eq!(does(&told.loaded().resume(true)), ["1"]);
    assert_eq!(told.returned("0"), [], "once");
    assert_eq!((told.run.wakes_at(), told.run.sleeps_until(At(8_999))), (Some(At(9_000)), vec![]));
    assert_eq!(told.run.sleeps_until(At(9_000)), ["1"]);
}

#[test]
fn nobody_waits_for_what_stands_within_a_step_that_is_done() {
    let mut told = Told::hosted();
    let moves = vec![calls("0", Kind::Step), calls("0.0", Kind::Fetch), done("0"), calls("1", Kind::Fetch)];
    assert_eq!(does(&told.played(moves, None)), ["1"]);
    assert_eq!(does(&told.loaded().resume(true)), ["1"]);
    let mut told = Told::hosted();
    told.played(vec![calls("0", Kind::Step), asks("0.0"), done("0")], None);
    assert_eq!(told.run.status(), Status::Running, "no question that could lead anywhere");
}

#[test]
fn an_end_is_the_last_word() {
    let ends = [
        (End::Completed(r#"{"json":1}"#.into()), Status::Success),
        (End::Failed(Error::plain("Error", "kaput")), Status::Failure),
    ];
    for (end, status) in ends {
        let mut told = Told::hosted();
        assert_eq!(told.played(vec![calls("0", Kind::Fetch)], Some(end)), [], "nothing is done for a run that is over");
        assert_eq!((told.run.status(), told.run.is_busy()), (status, false));
        assert_eq!(told.run.cancel(At(5_000)).err(), Some(Refusal::RUN_OVER));
        assert_eq!(told.returned("0"), []);
        assert_eq!(told.run.state("0", "[]".into(), At(1)).err(), Some(Refusal::QUESTION_UNKNOWN));
    }
    let mut told = Told::hosted();
    let redirect = Move::Told { telling: Telling::Redirect, payload: r#"{"url":"https://a.example"}"#.into() };
    told.played(vec![redirect], Some(End::Completed("{}".into())));
    assert_eq!(told.run.status(), Status::Redirected);
}

#[test]
fn a_cancelled_run_is_over_whatever_its_code_does() {
    let mut told = Told::hosted();
    told.played(vec![asks("0")], None);
    let step = told.run.cancel(At(5_000)).expect("it is open");
    assert_eq!(told.keep(step), []);
    assert_eq!(told.run.status(), Status::Cancelled);
    assert_eq!(told.answered("0", json!(["Ada"])), Err(Refusal::QUESTION_ANSWERED));
    assert_eq!(told.played(vec![asks("1")], None), []);
    assert!(told.run.call("1").is_none());
}

#[test]
fn code_that_does_something_else_parks_the_run() {
    let mut told = Told::hosted();
    told.played(vec![asks("0")], None);
    let changed = End::Changed { id: "0".into(), recorded: "INPUT_TEXT Name".into(), made: "INPUT_TEXT Age".into() };
    told.played(vec![], Some(changed));
    assert_eq!(told.run.status(), Status::Parked);
    assert!(matches!(&told.run.parked, Some((Why::CodeChanged, message)) if message.contains("INPUT_TEXT Age")));
    assert_eq!(told.answered("0", json!(["Ada"])), Err(Refusal::RUN_PARKED));
    assert_eq!(told.run.host_resumes(At(5_000)).err(), Some(Refusal::RUN_NOT_PARKED));
    assert!(told.run.cancel(At(5_000)).is_ok());
}

#[test]
fn a_host_is_started_asked_and_answered() {
    let (mut told, effects) = Told::begin(Origin::Host { is_backgroundable: false });
    assert_eq!(effects, [Effect::Start { transaction: format!("{:032x}.1", RUN.0) }]);
    assert_eq!(told.said(1, render("r1", "g1", "Name")).0, Heard::Yes);
    assert_eq!(told.run.status(), Status::Waiting);
    let effects = told.answered("0", json!(["Ada"])).expect("open");
    assert_eq!(answers(&effects), [("g1".into(), json!(["Ada"]))]);
    let result = r#"{"schemaVersion":1,"status":"SUCCESS","data":{"at":"1970"},"meta":{"values":{}}}"#.into();
    told.said(1, Said::Completed { is_success: true, result });
    assert_eq!(told.run.status(), Status::Success);
    let Some((Ending::Completed(json), _)) = &told.run.ended else { panic!("it is over") };
    assert_eq!(serde_json::from_str::<Value>(json).unwrap(), json!({"json": {"at": "1970"}, "meta": {"values": {}}}));
}

#[test]
fn what_a_host_says_twice_counts_once() {
    let mut told = Told::connected();
    told.said(1, render("r1", "g1", "Name"));
    let length = told.log.len();
    assert_eq!(told.said(1, render("r1", "g1", "Name")), (Heard::Yes, vec![]));
    told.said(1, Said::Log { index: 0, text: "one".into() });
    told.said(1, Said::Log { index: 0, text: "one".into() });
    assert_eq!((told.log.len(), told.run.logs.len()), (length + 1, 1));
    told.answered("0", json!(["Ada"])).expect("open");
    let (heard, effects) = told.said(1, render("r1", "g1", "Name"));
    assert_eq!((heard, answers(&effects)), (Heard::Yes, vec![("g1".into(), json!(["Ada"]))]), "it may not have heard");
    let (_, effects) = told.said(1, render("r2", "g1", "Name"));
    assert_eq!(answers(&effects).len(), 1, "a rendering that crossed the answer is no new question");
    assert_eq!(told.run.calls.len(), 1);
}

#[test]
fn an_answer_that_a_host_refuses_is_asked_for_again_under_another_key() {
    let mut told = Told::connected();
    told.said(1, render("r1", "g1", "Name"));
    told.answered("0", json!(["bad"])).expect("open");
    let refused = json!({ "methodName": "INPUT_TEXT", "label": "Name", "props": {}, "validationErrorMessage": "nope" });
    told.said(1, rendered("r2", "g1", refused.clone()));
    assert_eq!(told.run.question().map(|call| call.name.id.as_str()), Some("0~1"));
    assert_eq!(told.answered("0", json!(["late"])), Err(Refusal::QUESTION_ANSWERED));
    told.answered("0~1", json!(["bad"])).expect("open");
    told.said(1, rendered("r3", "g1", refused));
    assert_eq!(told.run.question().map(|call| call.name.id.as_str()), Some("0~2"));
}

#[test]
fn a_question_that_looks_otherwise_is_the_same_question() {
    let mut told = Told::connected();
    told.said(1, render("r1", "g1", "Name"));
    let length = told.log.len();
    let (heard, _) = told.said(1, render("r2", "g1", "Name"));
    assert!(matches!(heard, Heard::Rendered { ref id, .. } if id == "0"));
    assert_eq!(told.log.len(), length, "nothing of it is kept");
    let effects = told.answered("0", json!(["Ada"])).expect("open");
    assert!(matches!(&effects[..], [Effect::Answer { id, .. }] if id == "r2"), "the newest rendering is answered");
}

#[test]
fn a_display_of_a_host_needs_no_answer() {
    let mut told = Told::connected();
    let heading = json!({ "methodName": "DISPLAY_HEADING", "label": "Hello", "props": {} });
    assert_eq!(told.said(1, rendered("r1", "g1", heading)), (Heard::Yes, vec![]));
    assert_eq!((told.run.status(), told.run.answered().count()), (Status::Running, 1));
}

#[test]
fn a_run_whose_host_died_is_run_anew_over_its_answers() {
    let mut told = Told::connected();
    told.said(1, render("r1", "g1", "Name"));
    told.said(1, Said::Log { index: 0, text: "one".into() });
    told.answered("0", json!(["Ada"])).expect("open");
    told.said(1, render("r2", "g2", "Age"));
    let step = told.run.host_gone("it ended".into(), At(5_000));
    told.keep(step);
    assert_eq!(told.run.status(), Status::Parked);
    assert_eq!(told.answered("1", json!(["7"])).map(|effects| effects.len()), Ok(1), "what is answered is kept");
    let step = told.run.host_resumes(At(6_000)).expect("it is parked");
    assert_eq!(told.keep(step), [Effect::Start { transaction: format!("{:032x}.2", RUN.0) }]);
    assert!(matches!(told.said(1, render("r9", "g9", "Zombie")).0, Heard::No(_)), "the dead one is not heard");
    let (_, effects) = told.said(2, render("r3", "g3", "Name"));
    assert_eq!(answers(&effects), [("g3".into(), json!(["Ada"]))]);
    told.said(2, Said::Log { index: 0, text: "one".into() });
    let (_, effects) = told.said(2, render("r4", "g4", "Age"));
    assert_eq!(answers(&effects), [("g4".into(), json!(["7"]))]);
    told.said(2, Said::Log { index: 1, text: "two".into() });
    assert_eq!(told.run.logs.iter().map(|log| log.text.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    told.said(2, render("r5", "g5", "Next"));
    assert_eq!(told.run.question().map(|call| call.name.label.as_str()), Some("Next"));
}

#[test]
fn an_answer_that_was_refused_is_refused_again_when_the_code_runs_anew() {
    let mut told = Told::connected();
    let refused = json!({ "methodName": "INPUT_TEXT", "label": "Name", "props": {}, "validationErrorMessage": "nope" });
    told.said(1, render("r1", "g1", "Name"));
    told.answered("0", json!(["bad"])).expect("open");
    told.said(1, rendered("r2", "g1", refused.clone()));
    told.answered("0~1", json!(["good"])).expect("open");
    let step = told.run.host_gone("it ended".into(), At(5_000));
    told.keep(step);
    let step = told.run.host_resumes(At(6_000)).expect("it is parked");
    told.keep(step);
    assert_eq!(answers(&told.said(2, render("r3", "g3", "Name")).1), [("g3".into(), json!(["bad"]))]);
    assert_eq!(answers(&told.said(2, rendered("r4", "g3", refused)).1), [("g3".into(), json!(["good"]))]);
}

#[test]
fn a_host_whose_code_changed_parks_the_run() {
    let mut told = Told::connected();
    told.said(1, render("r1", "g1", "Name"));
    let step = told.run.host_gone("it ended".into(), At(5_000));
    told.keep(step);
    let step = told.run.host_resumes(At(6_000)).expect("it is parked");
    told.keep(step);
    assert!(matches!(told.said(2, render("r2", "g2", "Age")).0, Heard::No(_)));
    let result = r#"{"schemaVersion":1,"status":"FAILURE","data":{"error":"IOError"}}"#.into();
    told.said(2, Said::Completed { is_success: false, result });
    assert!(matches!(told.said(2, render("r3", "g3", "Name")).0, Heard::No(_)));
    assert!(matches!(told.run.parked, Some((Why::CodeChanged, _))), "its failing is our doing");
    assert_eq!(told.run.status(), Status::Parked);
}

#[test]
fn a_host_that_fails_says_why() {
    let mut told = Told::connected();
    let data =
        json!({ "status": "FAILURE", "data": { "error": "Error", "message": "kaput", "cause": "TypeError: inner" } });
    told.said(1, Said::Completed { is_success: false, result: data.to_string().into() });
    let Some((Ending::Failed(error), _)) = &told.run.ended else { panic!("it is over") };
    assert_eq!((error.name.as_str(), error.message.as_str()), ("Error", "kaput (cause: TypeError: inner)"));
}

#[test]
fn a_run_goes_to_another_account_with_all_its_rows() {
    let mut told = Told::hosted();
    let step = told.run.give(LaneId(1), LaneId(9), At(5_000));
    let gone = step.rows.iter().filter(|(_, value)| value.is_none()).count();
    assert!(gone >= 2, "{:?}", step.rows);
    told.keep(step);
    assert_eq!(told.loaded().owner, LaneId(9));
    let step = told.run.give(LaneId(1), LaneId(8), At(5_000));
    assert!(step.records.is_empty(), "it is not that one's any more");
}

#[test]
fn records_of_another_lane_are_no_run() {
    assert_eq!(Entry::decode(&rules::row::encode(&begun(Origin::Host { is_backgroundable: true }))), None);
    assert!(Run::load(RUN, []).is_none());
}

/// What a part says to a value: nothing, when it will do.
fn said_to(method: &str, props: Value, value: Value) -> Option<String> {
    let part = json!({ "methodName": method, "label": "L", "props": props });
    wrong(part, value)
}

fn wrong(part: Value, value: Value) -> Option<String> {
    let question: Json = json!({ "toRender": [part] }).to_string().into();
    let question = Question::parse(&question).expect("a question");
    question.check(&answer(json!([value])), false).into_iter().next().map(|wrong| wrong.message)
}

#[test]
fn an_answer_that_will_not_do_is_told_what_is_wrong_and_by_how_much() {
    let options = json!({ "options": [{ "label": "A", "value": 1 }, { "label": "B", "value": "1" }] });
    let bounded = json!({ "min": 1, "max": 9 });
    let date = |year: u32, month: u32, day: u32| json!({ "year": year, "month": month, "day": day });
    let sheet = json!({ "columns": { "name": "string", "age": "number?" } });
    let cases = [
        ("INPUT_TEXT", json!({}), json!("  "), "required"),
        ("INPUT_TEXT", json!({}), json!(null), "required"),
        ("INPUT_TEXT", json!({}), json!(7), "text"),
        ("INPUT_TEXT", json!({ "minLength": 5 }), json!("four"), "at least 5"),
        ("INPUT_TEXT", json!({ "maxLength": 3 }), json!("four"), "at most 3"),
        ("INPUT_EMAIL", json!({}), json!("ada@"), "e-mail"),
        ("INPUT_NUMBER", bounded.clone(), json!(10), "between 1 and 9"),
        ("INPUT_NUMBER", json!({ "min": 5 }), json!(4.5), "at least 5"),
        ("INPUT_NUMBER", json!({}), json!("4"), "number"),
        ("INPUT_SLIDER", bounded, json!(0), "between 1 and 9"),
        ("INPUT_BOOLEAN", json!({}), json!("true"), "true or false"),
        ("INPUT_URL", json!({}), json!("ftp://a.example"), "valid URL"),
        ("INPUT_URL", json!({}), json!("https://"), "valid URL"),
        ("INPUT_URL", json!({}), json!("http://a b"), "valid URL"),
        ("INPUT_DATE", json!({}), date(2026, 2, 29), "valid date"),
        ("INPUT_DATE", json!({ "min": date(2026, 3, 1) }), date(2026, 2, 28), "at least 2026-03-01"),
        ("INPUT_TIME", json!({}), json!({ "hour": 24, "minute": 0 }), "valid time"),
        ("INPUT_DATETIME", json!({}), date(2026, 2, 1), "valid date and time"),
        ("UPLOAD_FILE", json!({ "allowedExtensions": [".txt"] }), json!({ "name": "a.png", "url": "u" }), ".txt"),
        ("UPLOAD_FILE", json!({}), json!("a.txt"), "file"),
        ("SELECT_SINGLE", options.clone(), json!({ "label": "A", "value": 2 }), "one of the options"),
        ("SELECT_MULTIPLE", options.clone(), json!([{ "label": "C", "value": 3 }]), "from the options"),
        ("SELECT_TABLE", json!({ "minSelections": 2 }), json!([{ "key": "0" }]), "at least 2 selected"),
        ("SELECT_TABLE", json!({}), json!([0]), "rows"),
        ("SEARCH", json!({}), json!({ "value": "0:1" }), "results"),
        ("INPUT_SPREADSHEET", sheet.clone(), json!([{ "name": "a" }, { "name": 7 }]), "Row 2: name"),
        ("CONFIRM", json!({}), json!("yes"), "true or false"),
    ];
    for (method, props, value, words) in cases {
        let said = said_to(method, props.clone(), value.clone());
        assert!(
            said.as_ref().is_some_and(|said| said.contains(words)),
            "{method} {props} {value}: {said:?}, not {words}"
        );
    }
    let good = [
        ("INPUT_TEXT", json!({ "minLength": 4, "maxLength": 4 }), json!("fünf")),
        ("INPUT_NUMBER", json!({ "min": 1, "max": 9 }), json!(9)),
        ("INPUT_URL", json!({ "allowedProtocols": ["mailto"] }), json!("mailto:ada@example.com")),
        ("INPUT_DATE", json!({}), date(2028, 2, 29)),
        ("SELECT_SINGLE", options, json!({ "label": "B", "value": "1" })),
        ("SELECT_TABLE", json!({}), json!([])),
        ("INPUT_SPREADSHEET", sheet, json!([{ "name": "a" }, { "name": "b", "age": 7 }])),
        ("DISPLAY_HEADING", json!({}), json!(null)),
        ("CONFIRM", json!({}), json!(false)),
    ];
    for (method, props, value) in good {
        assert_eq!(said_to(method, props.clone(), value.clone()), None, "{method} {props} {value}");
    }
}

#[test]
fn who_has_not_shown_who_they_are_can_only_decline() {
    let part = json!({ "methodName": "CONFIRM_IDENTITY", "label": "L", "props": {} });
    assert!(wrong(part.clone(), json!(true)).is_some_and(|said| said.contains("Sign in")));
    assert_eq!(wrong(part.clone(), json!(false)), None);
    let question: Json = json!({ "toRender": [part] }).to_string().into();
    let question = Question::parse(&question).expect("a question");
    assert_eq!(question.check(&answer(json!([true])), true), []);
}

#[test]
fn an_optional_part_may_be_empty_and_a_list_is_checked_one_by_one() {
    let optional = json!({ "methodName": "INPUT_NUMBER", "label": "L", "isOptional": true, "props": { "min": 1 } });
    assert_eq!(wrong(optional.clone(), json!(null)), None);
    assert!(wrong(optional, json!(0)).is_some());
    let many = json!({ "methodName": "UPLOAD_FILE", "label": "L", "isMultiple": true, "props": { "allowedExtensions": ["txt"] } });
    assert!(wrong(many.clone(), json!([])).is_some_and(|said| said.contains("required")));
    assert!(wrong(many.clone(), json!([{ "name": "a.txt", "url": "u" }, { "name": "b", "url": "u" }])).is_some());
    assert_eq!(wrong(many, json!([{ "name": "a.TXT", "url": "u" }])), None);
}

#[test]
fn an_answer_has_a_value_for_each_part_and_a_choice_that_is_offered() {
    let question: Json = json!({
        "toRender": [{ "methodName": "INPUT_TEXT", "label": "A", "props": {}, "isOptional": true }],
        "choiceButtons": [{ "label": "Go", "value": "go" }, { "label": "Stop", "value": "stop" }],
    })
    .to_string()
    .into();
    let question = Question::parse(&question).expect("a question");
    assert_eq!(question.check(&answer(json!([])), false).len(), 1);
    let with = |choice: Option<&str>| Answer { choice: choice.map(String::from), ..answer(json!([null])) };
    assert!(question.check(&with(Some("jump")), false)[0].message.contains("go, stop"));
    assert_eq!(question.check(&with(Some("stop")), false), []);
    let settled = question.settle(with(None));
    assert_eq!(settled.choice.as_deref(), Some("go"));
    assert_eq!(settled.meta, Some(json!({ "values": { "0": ["undefined"] } })));
}

/// A page that somebody looks at. Whatever it decides, nothing is to be kept.
struct Looked(Run);

impl Looked {
    fn at() -> Looked {
        let (run, step) = Run::look(RUN, begun(Origin::Hosted { hook: LaneId(2), version: 1 }));
        let mut looked = Looked(run);
        assert_eq!(looked.decided(step), [Effect::Play]);
        looked
    }

    fn decided(&mut self, step: Step) -> Vec<Effect> {
        assert!(step.records.is_empty() && step.rows.is_empty(), "{step:?}");
        step.effects
    }

    fn played(&mut self, moves: Vec<Move>) -> Vec<Effect> {
        let stand = Stand { moves, rendered: Vec::new(), end: None };
        let step = self.0.played(self.0.journal().len(), Ok(stand), Vec::new(), At(2_000));
        self.decided(step)
    }

    fn returned(&mut self, id: &str, json: Json) -> Vec<Effect> {
        let step = self.0.returned(id, Ok(json), At(3_000));
        self.decided(step)
    }

    fn error(&self) -> String {
        match &self.0.ended {
            Some((Ending::Failed(error), _)) => error.message.clone(),
            other => panic!("it goes on: {other:?}"),
        }
    }
}

#[test]
fn a_page_plays_as_a_run_does_and_nothing_of_it_is_kept() {
    let mut page = Looked::at();
    let effects = page.played(vec![calls("0", Kind::Fetch), calls("1", Kind::State)]);
    assert!(matches!(&effects[..], [Effect::Do { kind: Kind::Fetch, .. }, Effect::Do { kind: Kind::State, .. }]));
    assert_eq!((page.returned("0", "1".into()), page.0.layout().is_none()), (vec![Effect::Play], true));
    assert_eq!(page.returned("1", "1".into()), []);
    page.0.not_played();
    page.played(vec![asks("2")]);
    assert!(page.0.layout().is_some_and(|layout| layout.name.id == "2") && !page.0.is_busy());
    let step = page.0.state("2", "[1]".into(), At(4_000)).expect("it is shown");
    assert_eq!(page.decided(step), [Effect::Play]);
    let step = page.0.cancel(At(5_000)).expect("it is open");
    assert_eq!(page.decided(step), []);
    assert_eq!(page.played(vec![calls("3", Kind::Fetch)]), [], "nobody looks");
}

#[test]
fn a_page_that_would_change_something_does_nothing_more() {
    for kind in [Kind::Step, Kind::Sleep, Kind::Send, Kind::Function, Kind::Job, Kind::Notify] {
        let mut page = Looked::at();
        assert_eq!(page.played(vec![calls("0", Kind::Fetch), calls("1", kind)]), [], "{kind:?}");
        assert_eq!(page.error(), "A page only shows.");
    }
}

#[test]
fn a_page_holds_only_so_much() {
    let much = || Json::from(format!("\"{}\"", "x".repeat(PAGE_BYTES_MAX)));
    let mut page = Looked::at();
    page.played(vec![calls("0", Kind::Fetch)]);
    assert_eq!(page.returned("0", much()), []);
    assert!(page.error().starts_with("A page fetches, shows and logs at most"));
    let mut page = Looked::at();
    let shown = Move::Called { name: name("0", Kind::Io), payload: much() };
    assert_eq!(page.played(vec![shown]), []);
    assert!(page.error().starts_with("A page fetches, shows and logs at most"));
}
