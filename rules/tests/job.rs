//! What happens to jobs while workers come, go, lie and fall silent.

use rules::{
    call::Error,
    job::{
        Adopted, Brief, Dispatch, Effect, End, Entry, JOB_JSON_BYTES_MAX, JOB_LEASE_MS, JOB_PARTS_OPEN_MAX, JobId,
        Jobs, Kind, Outcome, Part, Place, Said, Status, Step, Task, Worker, WorkerId,
    },
    record::{At, Journal, LaneId},
    refusal::Refusal,
    row,
};

const ACCOUNT: LaneId = LaneId(7);

struct Shop {
    jobs: Jobs,
    at: At,
    rows: std::collections::BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Who was given what, under which fence.
type Given = (u128, Part, u64);

impl Shop {
    fn new() -> Shop {
        Shop { jobs: Jobs::new(ACCOUNT, Journal::EMPTY, 100), at: At(1_000), rows: Default::default() }
    }

    /// One turn: what was done, and what is handed out for it.
    fn turn<T>(&mut self, act: impl FnOnce(&mut Jobs, At, &mut Step) -> T) -> (T, Vec<Effect>) {
        let mut step = self.jobs.step();
        let done = act(&mut self.jobs, self.at, &mut step);
        self.jobs.tick(self.at, &mut step);
        self.jobs.dispatch(self.at, &mut step);
        self.jobs.settle(&mut step);
        for (key, value) in step.rows {
            match value {
                Some(value) => drop(self.rows.insert(key, value)),
                None => drop(self.rows.remove(&key)),
            }
        }
        (done, step.effects)
    }

    fn gives<T>(&mut self, act: impl FnOnce(&mut Jobs, At, &mut Step) -> T) -> Vec<Given> {
        let give = |effect| match effect {
            Effect::Give { worker, part, fence } => Some((worker.0, part, fence)),
            _ => None,
        };
        self.turn(act).1.into_iter().filter_map(give).collect()
    }

    fn comes(&mut self, id: u128, threads: u32) -> Vec<Given> {
        self.comes_as(id, Kind::Tab, threads)
    }

    fn comes_as(&mut self, id: u128, kind: Kind, threads: u32) -> Vec<Given> {
        self.gives(|jobs, at, _| jobs.come(Worker::new(WorkerId(id), kind, format!("w{id}"), threads, at)))
    }

    fn submits(&mut self, id: JobId, change: impl FnOnce(&mut Brief)) -> Vec<Given> {
        self.submits_parts(id, 1, change)
    }

    fn submits_parts(&mut self, id: JobId, parts: u32, change: impl FnOnce(&mut Brief)) -> Vec<Given> {
        let mut brief = Brief::new(Place::Any, parts > 1, parts, self.at);
        change(&mut brief);
        self.gives(|jobs, _, step| jobs.submit(id, brief, task(parts), step).expect("there is room"))
    }

    fn says(&mut self, (worker, part, fence): Given, end: End) -> (Result<(), Refusal>, Vec<Given>) {
        let mut heard = Ok(());
        let given = self.gives(|jobs, at, step| {
            heard = jobs.hear(WorkerId(worker), part, fence, Said::Ended(end), at, step);
        });
        (heard, given)
    }

    fn brief(&self, id: JobId) -> Brief {
        let kept = || row::decode(self.rows.get(&row::job(ACCOUNT, id)).expect("it has a row")).expect("a brief");
        self.jobs.brief(id).unwrap_or_else(kept)
    }

    fn end(&self, id: JobId, index: u32) -> End {
        let bytes = self.rows.get(&row::part(ACCOUNT, id, index)).expect("it is over");
        row::decode::<Outcome>(bytes).expect("an outcome").end
    }
}

fn task(parts: u32) -> Task {
    Task { code: "input".into(), inputs: (0..parts).map(|_| "1".into()).collect() }
}

fn done(json: &str) -> End {
    End::Done(json.into())
}

fn workers(given: &[Given]) -> Vec<u128> {
    given.iter().map(|(worker, ..)| *worker).collect()
}

#[test]
fn jobs_go_round_all_who_have_a_thread_free_and_nobody_has_more_than_its_threads() {
    let mut shop = Shop::new();
    (1..=3).for_each(|id| drop(shop.comes(id, 2)));
    let given: Vec<Given> = (10..16).flat_map(|id| shop.submits(id, |_| ())).collect();
    assert_eq!(workers(&given), [1, 2, 3, 1, 2, 3]);
    assert_eq!(shop.submits(16, |_| ()), [], "all threads are taken");
    assert_eq!(shop.brief(16).status, Status::Queued);
    let (heard, next) = shop.says(given[1], done("1"));
    assert_eq!((heard, workers(&next)), (Ok(()), vec![2]), "who is free again is next");
    assert_eq!(shop.brief(given[1].1.job).status, Status::Done);
}

#[test]
fn the_least_loaded_is_asked_where_that_is_wanted() {
    let mut shop = Shop::new();
    drop(shop.comes(1, 2));
    drop(shop.comes(2, 8));
    let given: Vec<Given> =
        (10..15).flat_map(|id| shop.submits(id, |brief| brief.dispatch = Dispatch::LeastLoaded)).collect();
    assert_eq!(workers(&given), [1, 2, 2, 2, 2], "of two threads one is half, of eight four are");
}

#[test]
fn the_server_helps_out_where_nobody_else_has_a_thread_free() {
    let mut shop = Shop::new();
    drop(shop.comes_as(9, Kind::Server, 1));
    drop(shop.comes(1, 1));
    assert_eq!(workers(&shop.submits(10, |_| ())), [1]);
    assert_eq!(workers(&shop.submits(11, |brief| brief.place = Place::Tab)), [0; 0], "it asked for a tab");
    assert_eq!(workers(&shop.submits(12, |_| ())), [9]);
    assert_eq!(workers(&shop.submits(13, |brief| brief.place = Place::Server)), [0; 0], "its thread is taken");
}

#[test]
fn what_a_worker_had_goes_to_others_at_once_and_its_late_word_is_refused() {
    let mut shop = Shop::new();
    drop(shop.comes(1, 1));
    let first = shop.submits(10, |_| ())[0];
    drop(shop.comes(2, 1));
    let second = shop.gives(|jobs, _, step| jobs.leave(WorkerId(1), step));
    assert_eq!(workers(&second), [2]);
    assert_ne!(second[0].2, first.2, "each lease has a fence of its own");
    assert_eq!(shop.says(first, done("1")).0, Err(Refusal::JOB_NOT_LEASED));
    let forged = (2, first.1, second[0].2 + 1);
    assert_eq!(shop.says(forged, done("1")).0, Err(Refusal::JOB_NOT_LEASED));
    assert_eq!(shop.says(second[0], done("2")).0, Ok(()));
    assert_eq!(shop.says(second[0], done("3")).0, Err(Refusal::JOB_NOT_LEASED), "it is over");
    assert_eq!((shop.end(10, 0), shop.brief(10).attempts), (done("2"), 2));
}

#[test]
fn a_silent_worker_loses_what_it_has_when_its_lease_ends_and_may_come_back() {
    let mut shop = Shop::new();
    drop(shop.comes(1, 1));
    let first = shop.submits(10, |_| ())[0];
    shop.at.0 += JOB_LEASE_MS - 1;
    drop(shop.comes(2, 1));
    assert_eq!(shop.jobs.next_tick(), Some(At(1_000 + JOB_LEASE_MS)));
    shop.at.0 += 1;
    let second = shop.gives(|_, _, _| ());
    assert_eq!(workers(&second), [2]);
    assert_eq!(shop.says(first, done("1")).0, Err(Refusal::JOB_NOT_LEASED));
    assert_eq!(workers(&shop.submits(11, |_| ())), [1], "it has spoken since");
}

#[test]
fn what_a_worker_that_is_there_no_longer_runs_goes_to_others() {
    let mut shop = Shop::new();
    drop(shop.comes(1, 1));
    let first = shop.submits(10, |_| ())[0];
    shop.at.0 += JOB_LEASE_MS - 1;
    let none = shop.gives(|jobs, at, step| jobs.beat(WorkerId(1), &[], at, step));
    assert_eq!(none, [], "it may be on its way");
    shop.at.0 += 1;
    let again = shop.gives(|jobs, at, step| jobs.beat(WorkerId(1), &[], at, step));
    assert_eq!((again[0].1, again[0].2), (first.1, first.2 + 1));
}

#[test]
fn a_part_that_takes_too_long_with_a_worker_that_is_there_has_timed_out() {
    let mut shop = Shop::new();
    drop(shop.comes(1, 1));
    let given = shop.submits(10, |_| ())[0];
    for _ in 0..8 {
        shop.at.0 += 5_000;
        drop(shop.gives(|jobs, at, step| jobs.beat(WorkerId(1), &[given.1], at, step)));
    }
    assert_eq!((shop.brief(10).status, shop.end(10, 0)), (Status::TimedOut, End::TimedOut));
    assert_eq!(shop.says(given, done("1")).0, Err(Refusal::JOB_NOT_LEASED));
}

#[test]
fn a_fan_out_is_over_with_its_last_part_and_keeps_every_result() {
    let mut shop = Shop::new();
    drop(shop.comes(1, 2));
    let given = shop.submits_parts(10, 3, |_| ());
    assert_eq!(given.len(), 2);
    let (_, third) = shop.says(given[1], done("20"));
    shop.says(given[0], End::Failed(Error::plain("Error", "no"))).0.expect("it is heard");
    assert_eq!((shop.brief(10).over, shop.brief(10).status), (2, Status::Leased));
    shop.says(third[0], done("30")).0.expect("it is heard");
    let brief = shop.brief(10);
    assert_eq!((brief.over, brief.status, brief.attempts), (3, Status::Failed, 3));
    assert_eq!(brief.error.map(|error| error.message), Some("no".into()));
    assert_eq!((shop.end(10, 1), shop.end(10, 2)), (done("20"), done("30")));
    assert!(!shop.rows.contains_key(&row::open_job(ACCOUNT, 10)));
}

#[test]
fn what_is_cancelled_is_taken_from_whoever_has_it() {
    let mut shop = Shop::new();
    drop(shop.comes(1, 1));
    let given = shop.submits_parts(10, 2, |_| ());
    let (cancelled, effects) = shop.turn(|jobs, at, step| jobs.cancel(10, at, step));
    assert_eq!(cancelled, Ok(()));
    assert!(effects.contains(&Effect::Take { worker: WorkerId(1), part: given[0].1 }));
    assert_eq!(shop.brief(10).status, Status::Cancelled);
    assert_eq!(shop.turn(|jobs, at, step| jobs.cancel(10, at, step)).0, Err(Refusal::JOB_OVER));
    assert_eq!(workers(&shop.submits(11, |_| ())), [1], "its thread is free");
}

#[test]
fn a_majority_decides_and_nobody_is_asked_twice() {
    let mut shop = Shop::new();
    (1..=3).for_each(|id| drop(shop.comes(id, 4)));
    let given = shop.submits(10, |brief| brief.verify = 3);
    assert_eq!(workers(&given), [1, 2, 3]);
    shop.says(given[0], done(r#"{"a":1,"b":2}"#)).0.expect("a vote");
    shop.says(given[1], done("666")).0.expect("a lie");
    assert_eq!(shop.brief(10).status, Status::Leased);
    shop.says(given[2], done(r#"{"b":2,"a":1}"#)).0.expect("a vote");
    assert_eq!((shop.brief(10).status, shop.end(10, 0)), (Status::Done, done(r#"{"b":2,"a":1}"#)));

    let given = shop.submits(11, |brief| brief.verify = 3);
    for (vote, given) in given.into_iter().enumerate() {
        shop.says(given, done(&vote.to_string())).0.expect("a vote");
    }
    let End::Failed(error) = shop.end(11, 0) else { panic!("nobody agrees") };
    assert_eq!(error.name, "VerifyError");
    assert_eq!(shop.submits(12, |brief| brief.verify = 4).len(), 3, "there are three");
    assert_eq!(workers(&shop.comes(4, 1)), [4]);
    assert_eq!(workers(&shop.submits(13, |_| ())).len(), 1, "what waits for a fourth stops nobody");
}

#[test]
fn what_was_done_elsewhere_is_taken_once_and_the_first_result_stays() {
    let mut shop = Shop::new();
    drop(shop.comes(1, 1));
    let given = shop.submits(10, |_| ())[0];
    let outcome = |json: &str| Outcome {
        end: done(json),
        console: Vec::new(),
        worker: "this tab".into(),
        started_at: At(1),
        finished_at: At(2),
    };
    let deliver = |shop: &mut Shop, id: JobId, json: &str| {
        let known = shop.rows.get(&row::job(ACCOUNT, id)).and_then(|bytes| row::decode::<Brief>(bytes));
        let brief = Brief::new(Place::Any, false, 1, At(0));
        let outcome = outcome(json);
        shop.turn(|jobs, _, step| jobs.deliver(id, known.as_ref(), brief, task(1), outcome, step));
    };
    deliver(&mut shop, 10, "5");
    assert_eq!((shop.brief(10).status, shop.end(10, 0)), (Status::Done, done("5")));
    assert_eq!(shop.says(given, done("6")).0, Err(Refusal::JOB_NOT_LEASED));
    deliver(&mut shop, 11, "7");
    deliver(&mut shop, 11, "8");
    assert_eq!((shop.brief(11).status, shop.end(11, 0)), (Status::Done, done("7")));
}

#[test]
fn a_server_that_starts_again_hands_out_what_was_not_over() {
    let mut shop = Shop::new();
    drop(shop.comes(1, 1));
    let given = shop.submits_parts(10, 3, |_| ());
    shop.says(given[0], done("0")).0.expect("it is heard");
    let brief: Brief = row::decode(&shop.rows[&row::open_job(ACCOUNT, 10)]).expect("a brief");
    assert_eq!((brief.over, brief.status), (1, Status::Queued));
    let mut again = Shop::new();
    again.rows = shop.rows;
    again.jobs = Jobs::new(ACCOUNT, row::decode(&again.rows[&row::jobs(ACCOUNT)]).expect("a journal"), 9_000);
    again.jobs.load(10, brief, [0].into());
    let given = again.comes(1, 8);
    assert_eq!(given.iter().map(|(_, part, _)| part.index).collect::<Vec<_>>(), [1, 2]);
    assert!(given.iter().all(|(_, _, fence)| *fence >= 9_000));
}

#[test]
fn every_record_says_what_happened() {
    let mut shop = Shop::new();
    drop(shop.comes(1, 1));
    let mut step = shop.jobs.step();
    shop.jobs.submit(10, Brief::new(Place::Any, false, 1, At(1)), task(1), &mut step).expect("there is room");
    shop.jobs.dispatch(At(2), &mut step);
    shop.jobs
        .hear(WorkerId(1), Part { job: 10, index: 0 }, 100, Said::Ended(done("1")), At(3), &mut step)
        .expect("heard");
    let entries: Vec<Entry> = step.records.iter().map(|one| row::decode(&one.body).expect("an entry")).collect();
    assert!(matches!(entries[..], [Entry::Submitted { id: 10, .. }, Entry::Ended { id: 10, index: 0, .. }]));
}

#[test]
fn queues_and_results_have_their_bounds() {
    let mut shop = Shop::new();
    let most = u32::try_from(JOB_PARTS_OPEN_MAX).expect("a number");
    shop.submits_parts(10, most, |_| ());
    let brief = Brief::new(Place::Any, false, 1, At(0));
    let (refused, _) = shop.turn(|jobs, _, step| jobs.submit(11, brief, task(1), step));
    assert_eq!(refused, Err(Refusal::JOBS_FULL));
    let given = shop.comes(1, 1)[0];
    shop.says(given, done(&" ".repeat(JOB_JSON_BYTES_MAX + 1))).0.expect("it is heard");
    assert!(matches!(shop.end(10, 0), End::Failed(error) if error.name == "RangeError"));
}

#[test]
fn a_guests_jobs_become_the_users_with_what_is_over_of_them_and_are_done_there_once() {
    let (mut guest, mut user) = (Shop::new(), Shop::new());
    let over: std::collections::BTreeSet<u32> = [0].into();
    guest.turn(|jobs, at, step| jobs.submit(9, Brief::new(Place::Tab, true, 3, at), task(3), step)).0.expect("room");
    let given = guest.comes(1, 1);
    let (worker, part, fence) = given[0];
    let said = Said::Ended(End::Done("7".into()));
    guest.turn(|jobs, at, step| jobs.hear(WorkerId(worker), part, fence, said, at, step)).0.expect("leased");

    let brief: Brief = row::decode(&guest.rows[&row::job(ACCOUNT, 9)]).expect("kept");
    let outcome: Outcome = row::decode(&guest.rows[&row::part(ACCOUNT, 9, 0)]).expect("kept");
    let adopted = Adopted { from: LaneId(8), brief, task: task(3), over: over.clone() };
    user.turn(|jobs, at, step| jobs.adopt_parts(9, LaneId(8), vec![(0, outcome)], at, step));
    for _ in 0..2 {
        let adopted = adopted.clone();
        user.turn(|jobs, at, step| jobs.adopt(9, false, adopted, at, step)).0.expect("room");
    }
    let (_, effects) = guest.turn(|jobs, at, step| jobs.give(9, LaneId(7), over, at, step));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Take { .. })), "nobody goes on with it: {effects:?}");
    assert!(guest.jobs.brief(9).is_none());
    let left: Vec<_> = guest.rows.keys().filter(|key| **key != row::jobs(ACCOUNT)).collect();
    assert!(left.is_empty(), "{left:?}");

    let indexes: Vec<u32> = user.comes(2, 9).iter().map(|(_, part, _)| part.index).collect();
    assert_eq!(indexes, [1, 2], "what is over is not done again");
    let known: Brief = row::decode(&user.rows[&row::job(ACCOUNT, 9)]).expect("kept");
    assert_eq!((known.parts, known.over), (3, 1));
}
