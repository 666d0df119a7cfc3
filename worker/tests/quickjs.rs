//! What QuickJS in jailed children promises: the contract, and beyond it what becomes of children that are lost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rules::{
    call::{Bytes, Call, Described, Foldable, Outcome, Program, Request, Stop},
    limits::Limits,
};
use worker::{
    Worker,
    bounds::CALLS_WAITING_MAX,
    contract::hold,
    quickjs::{NotStarted, Options, QuickJs},
};

worker::contract!(two_children());

async fn two_children() -> QuickJs {
    children(2, &[]).await
}

async fn children(count: usize, arguments: &[&str]) -> QuickJs {
    started(count, arguments).await.expect("children")
}

async fn started(count: usize, arguments: &[&str]) -> Result<QuickJs, NotStarted> {
    let mut command = vec![env!("CARGO_BIN_EXE_isolate").into()];
    command.extend(arguments.iter().map(Into::into));
    QuickJs::start(Options { children: count, command }).await
}

#[test]
fn every_wall_that_this_machine_can_build_stands() {
    hold(async {
        let layers = two_children().await.layers();
        let names: Vec<&str> = layers.iter().map(|layer| layer.name.as_str()).collect();
        for name in
            ["mount namespace", "network namespace", "process namespace", "empty root", "capabilities", "landlock"]
        {
            assert!(names.contains(&name), "{name} of {names:?}");
        }
        for layer in &layers {
            println!("{:22} {:5} {}", layer.name, layer.holds, layer.detail);
        }
        let filter = layers.iter().find(|layer| layer.name == "system calls").expect("a filter");
        assert!(filter.holds);
    });
}

#[test]
fn a_child_killed_in_the_middle_of_a_fold_costs_nothing() {
    hold(async {
        let worker = Arc::new(children(1, &[]).await);
        let over = Arc::new(AtomicBool::new(false));
        let killer = {
            let (worker, over) = (worker.clone(), over.clone());
            tokio::spawn(async move {
                let mut kills = 0;
                while !over.load(Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_millis(150)).await;
                    for process in worker.process_ids() {
                        let process = rustix::process::Pid::from_raw(process as i32).expect("a process");
                        kills +=
                            u32::from(rustix::process::kill_process(process, rustix::process::Signal::KILL).is_ok());
                    }
                }
                kills
            })
        };
        let source = "export const reducer = (n = 0) => { for (let i = 0; i < 300000; i++); return n + 1 };";
        let program = Arc::new(Program::new(source));
        let mut state = None;
        let mut done = 0;
        while done < 120 {
            let requests = (done + 1..=120).map(request).collect();
            let fold = Call::Fold { state: state.clone(), requests, secrets: "{}".into() };
            let Outcome::Folded(ran) = worker.call(&program, fold, Limits::default()).await else {
                panic!("not folded")
            };
            for ran in ran {
                match ran.result {
                    Ok(next) => {
                        done += 1;
                        assert_eq!(*next, *done.to_string(), "a request was folded twice, or not at all");
                        state = Some(next);
                    }
                    // Killed twice alone: this request is asked again, as the first was never recorded.
                    Err(failure) => {
                        assert_eq!(failure.stop, Some(Stop::Crash), "{failure:?}");
                        break;
                    }
                }
            }
        }
        over.store(true, Ordering::Relaxed);
        assert!(killer.await.expect("the killer") >= 2);
    });
}

#[test]
fn a_child_killed_in_the_middle_of_keys_costs_nothing() {
    hold(async {
        let worker = Arc::new(children(1, &[]).await);
        let source = "export const getIdempotencyKey = ({ seq }) => { for (let i = 0; i < 300000; i++); return seq };";
        let program = Arc::new(Program::new(source));
        let (mut done, mut killed) = (0, 0);
        while done < 60 {
            let keys = Call::Keys { requests: (done + 1..=60).map(request).collect(), secrets: "{}".into() };
            let calling = tokio::spawn(worker.call(&program, keys, Limits::default()));
            if killed < 5 {
                tokio::time::sleep(Duration::from_millis(60)).await;
                worker.process_ids().into_iter().for_each(kill);
                killed += 1;
            }
            let Outcome::Keyed(ran) = calling.await.expect("a call") else { panic!("not keyed") };
            for ran in ran {
                done += 1;
                assert_eq!(ran.result, Ok(done.to_string()), "a key was given twice, or not at all");
            }
        }
        assert!(worker.starts() > 1);
    });
}

#[test]
fn a_call_whose_child_is_killed_once_is_run_again() {
    hold(async {
        let worker = Arc::new(children(1, &[]).await);
        let source = "export const reducer = (n = 0) => { for (let i = 0; i < 3000000; i++); return n + 1 };";
        let program = Arc::new(Program::new(source));
        let fold = Call::Fold { state: None, requests: vec![request(1)], secrets: "{}".into() };
        let limits = Limits { budget_ticks: 100_000, call_ms: 30_000, ..Limits::default() };
        let calling = tokio::spawn(worker.call(&program, fold, limits));
        tokio::time::sleep(Duration::from_millis(30)).await;
        kill(worker.process_ids()[0]);
        let Outcome::Folded(ran) = calling.await.expect("a call") else { panic!("not folded") };
        assert_eq!(ran[0].result.as_deref(), Ok("1"));
        assert_eq!(worker.starts(), 2);
    });
}

#[test]
fn an_idle_child_that_is_killed_is_replaced() {
    hold(async {
        let worker = children(1, &[]).await;
        let before = worker.process_ids();
        kill(before[0]);
        let begun = Instant::now();
        while worker.process_ids().is_empty() || worker.process_ids() == before {
            assert!(begun.elapsed() < Duration::from_secs(5), "it was not replaced");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(describe(&worker).await, Outcome::Described(Described::default()));
    });
}

#[test]
fn children_end_with_their_worker() {
    hold(async {
        let worker = children(2, &[]).await;
        describe(&worker).await;
        let processes = worker.process_ids();
        drop(worker);
        let begun = Instant::now();
        for process in processes {
            let process = rustix::process::Pid::from_raw(process as i32).expect("a process");
            while rustix::process::test_kill_process(process).is_ok() {
                assert!(begun.elapsed() < Duration::from_secs(5), "{process:?} lives on");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
}

#[test]
fn a_child_that_lies_is_not_believed_and_costs_only_its_call() {
    hold(async {
        for lie in ["other id", "other kind", "forgetful", "garbage", "endless", "half a frame", "gone"] {
            let worker = children(1, &["--liar", lie]).await;
            let outcome = describe(&worker).await;
            assert!(matches!(outcome, Outcome::Unrunnable(ref error) if error.name == "Stopped"), "{lie}: {outcome:?}");
        }
    });
}

#[test]
fn a_child_that_says_nothing_is_given_up_in_time() {
    hold(async {
        let worker = children(1, &["--liar", "silent"]).await;
        let begun = Instant::now();
        let limits = Limits { call_ms: 10, ..Limits::default() };
        let program = Arc::new(Program::new(""));
        let outcome = worker.call(&program, Call::Describe, limits).await;
        assert!(matches!(outcome, Outcome::Unrunnable(_)), "{outcome:?}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    });
}

#[test]
fn a_child_that_speaks_unasked_is_replaced_and_never_trusted() {
    hold(async {
        let worker = children(1, &["--liar", "speaks unasked"]).await;
        let outcome = describe(&worker).await;
        assert!(!matches!(outcome, Outcome::Described(_)), "{outcome:?}");
    });
}

#[test]
fn a_guest_that_falls_for_want_of_memory_is_stopped_for_memory() {
    hold(async {
        let worker = children(1, &[]).await;
        let program = Arc::new(Program::new("export const reducer = () => 1;"));
        let limits = Limits { heap_bytes: 1 << 30, call_ms: 10_000, ..Limits::default() };
        // It fits once, as it comes in, but not twice, so the guest cannot even begin.
        let state = Some(format!("\"{}\"", "x".repeat(50 << 20)).into());
        let fold = Call::Fold { state, requests: vec![request(1)], secrets: "{}".into() };
        let Outcome::Folded(ran) = worker.call(&program, fold, limits).await else { panic!("not folded") };
        assert_eq!(ran[0].result.as_deref().map_err(|failure| failure.stop), Err(Some(Stop::Memory)));
        assert_eq!(worker.starts(), 1);
    });
}

#[test]
fn a_child_without_its_filter_is_refused() {
    hold(async {
        assert!(matches!(started(1, &["--liar", "unsealed"]).await, Err(NotStarted::Unsealed(_))));
    });
}

#[test]
fn children_that_are_of_no_use_are_replaced_ever_more_slowly() {
    hold(async {
        let worker = children(1, &["--liar", "speaks unasked"]).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!((3..20).contains(&worker.starts()), "{}", worker.starts());
    });
}

/// On a busy machine time runs out for anybody: what a program is worth must not be said from that.
#[test]
fn a_program_that_was_not_loaded_in_time_is_loaded_again() {
    hold(async {
        let worker = children(1, &[]).await;
        let slow = "let sum = 0; for (let i = 0; i < 300_000; i++) sum += i; export const query = () => 7;";
        let program = Arc::new(Program::new(slow));
        let query = || Call::Query { state: None, params: String::new(), secrets: "{}".into(), at_ms: 0 };
        let hurried = worker.call(&program, query(), Limits { call_ms: 1, ..Limits::default() }).await;
        assert!(matches!(hurried, Outcome::Unavailable(_)), "{hurried:?}");
        let outcome = worker.call(&program, query(), Limits::default()).await;
        let Outcome::Queried(ran) = outcome else { panic!("{outcome:?}") };
        assert_eq!(ran.result.expect("a response").body.0, b"7");
    });
}

#[test]
fn calls_beyond_those_that_may_wait_are_turned_away() {
    hold(async {
        let worker = children(1, &["--liar", "silent"]).await;
        let program = Arc::new(Program::new(""));
        let limits = Limits { call_ms: 60_000, ..Limits::default() };
        let mut calls: Vec<_> =
            (0..CALLS_WAITING_MAX + 2).map(|_| worker.call(&program, Call::Describe, limits)).collect();
        for call in &mut calls {
            let soon = tokio::time::timeout(Duration::ZERO, call).await;
            if let Ok(outcome) = soon {
                assert!(matches!(outcome, Outcome::Unavailable(_)), "{outcome:?}");
                return;
            }
        }
        panic!("all of them wait");
    });
}

#[test]
fn a_child_that_has_grown_fat_is_replaced_after_its_call() {
    hold(async {
        let worker = children(1, &["--liar", "fat"]).await;
        let before = worker.process_ids();
        assert_eq!(describe(&worker).await, Outcome::Described(Described::default()));
        assert_eq!(describe(&worker).await, Outcome::Described(Described::default()));
        assert_ne!(worker.process_ids(), before);
        let worker = children(1, &["--liar", "honest"]).await;
        let before = worker.process_ids();
        describe(&worker).await;
        describe(&worker).await;
        assert_eq!(worker.process_ids(), before);
    });
}

#[test]
fn what_is_no_isolate_is_an_error_at_the_start() {
    hold(async {
        let start = |command: &[&str]| {
            let command = command.iter().map(Into::into).collect();
            QuickJs::start(Options { children: 1, command })
        };
        assert!(matches!(start(&["/bin/true"]).await, Err(NotStarted::Silent(_))));
        assert!(matches!(start(&["/nowhere/isolate"]).await, Err(NotStarted::Spawn(_))));
        assert!(matches!(start(&[]).await, Err(NotStarted::Spawn(_))));
    });
}

#[test]
fn more_programs_than_a_child_keeps_are_told_again() {
    hold(async {
        let worker = children(1, &[]).await;
        for round in 0..2 {
            for n in 0..60 {
                let program = Arc::new(Program::new(format!("export const reducer = () => {n};")));
                let fold = Call::Fold { state: None, requests: vec![request(1)], secrets: "{}".into() };
                let Outcome::Folded(ran) = worker.call(&program, fold, Limits::default()).await else {
                    panic!("not folded")
                };
                assert_eq!(ran[0].result.as_deref(), Ok(n.to_string().as_str()), "round {round}");
            }
        }
    });
}

fn kill(process: u32) {
    let process = rustix::process::Pid::from_raw(process as i32).expect("a process");
    rustix::process::kill_process(process, rustix::process::Signal::KILL).expect("killed");
}

async fn describe(worker: &QuickJs) -> Outcome {
    worker.call(&Arc::new(Program::new("")), Call::Describe, Limits::default()).await
}

fn request(seq: u64) -> Foldable {
    let request = Request {
        id: seq.into(),
        seq,
        method: "POST".into(),
        path: "/".into(),
        query: String::new(),
        headers: Vec::new(),
        body: Bytes::default(),
        created_at_ms: 1_780_000_000_000,
    };
    Foldable { request: Arc::new(request), forced: None }
}

/// The count of operations decides, never the clock: what takes long but stays within its operations goes through,
/// and what does not is stopped, however busy the machine is.
#[test]
fn what_stops_a_request_is_the_same_every_time() {
    hold(async {
        let worker = two_children().await;
        let program = Arc::new(Program::new(
            "let unproven = 0; unproven++;
            export const reducer = (s, { seq }) => { let n = 0; for (let i = 0; i < seq * 20000; i++) n += i % 7; return n };",
        ));
        let other =
            Arc::new(Program::new("export const reducer = () => { for (let i = 0; i < 1000000; i++); return 1 };"));
        let mut stopped = 0;
        for seq in (1..=60).chain([100_000]) {
            let call = |seq: u64| Call::Fold { state: None, requests: vec![request(seq)], secrets: "{}".into() };
            let (first, second, _) = tokio::join!(
                worker.call(&program, call(seq), Limits::default()),
                worker.call(&program, call(seq), Limits::default()),
                worker.call(&other, call(1), Limits::default()),
            );
            assert_eq!(first, second, "{seq}");
            let Outcome::Folded(ran) = first else { panic!("{first:?}") };
            match &ran[0].result {
                Ok(_) => assert!(seq < 100_000),
                Err(failure) => {
                    assert_eq!((failure.stop, seq), (Some(Stop::Budget), 100_000), "{failure:?}");
                    stopped += 1;
                }
            }
        }
        assert_eq!(stopped, 1);
    });
}
