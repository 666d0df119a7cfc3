//! What becomes of a function's deployments, and what it may be run with.

use std::collections::BTreeMap;

use rules::{
    account::Step,
    call::Bytes,
    function::{DEPLOYMENTS_MAX, Deployment, Function, Limits, Network, Plan, Sent, Status, Tree, Variable},
    record::{At, LaneId},
    row,
};

const ID: LaneId = LaneId(9);
const OWNER: LaneId = LaneId(1);
const TREE: Tree = Tree { hash: [7; 32], bytes: 10, files: 1 };

fn plan() -> Plan {
    Plan {
        name: "Hello".into(),
        slug: "hello".into(),
        runtime: "node".into(),
        entrypoint: None,
        build: None,
        limits: Limits::default(),
        cron: None,
        network: Network::None,
    }
}

fn made() -> Function {
    Function::make(ID, OWNER, plan(), 0, At(1)).expect("it is made").0
}

fn sent(id: u128, code: u8) -> Sent {
    Sent { id, archive: id, archive_bytes: 10, hash: [code; 32] }
}

/// Deploys and builds.
fn deployed(function: &mut Function, id: u128, code: u8) {
    if function.deploy(sent(id, code), true, At(2)).expect("there is room").result == Ok(true) {
        function.begin_build(id, At(3)).expect("it waits");
        function.end_build(id, Ok(Tree { hash: [code; 32], ..TREE }), At(4)).expect("it is built");
    }
}

fn is_building(step: &Step<()>) -> Option<bool> {
    step.rows.iter().find(|(key, _)| *key == row::building(ID)).map(|(_, kept)| kept.is_some())
}

fn answering(function: &Function) -> Option<u128> {
    function.answering().map(|(deployment, _)| deployment.id)
}

#[test]
fn what_was_built_answers_and_what_answered_before_comes_back() {
    let mut function = made();
    assert_eq!(answering(&function), None);
    assert_eq!(function.deploy(sent(1, 1), true, At(2)).expect("room").result, Ok(true));
    assert_eq!(function.to_build().map(|one| one.id), Some(1));
    let begun = function.begin_build(1, At(3)).expect("it waits");
    assert_eq!((is_building(&begun), answering(&function)), (Some(true), None));
    let ended = function.end_build(1, Ok(TREE), At(4)).expect("it was being built");
    assert_eq!((is_building(&ended), answering(&function)), (Some(false), Some(1)));
    deployed(&mut function, 2, 2);
    assert_eq!(answering(&function), Some(2));
    function.activate(1, At(5)).expect("it is ready");
    assert_eq!(answering(&function), Some(1), "back");
    function.activate(2, At(6)).expect("it is ready");
    assert_eq!(answering(&function), Some(2), "and forth");
}

#[test]
fn a_build_that_failed_or_was_cancelled_touches_nothing_that_answers() {
    let mut function = made();
    deployed(&mut function, 1, 1);
    function.deploy(sent(2, 2), true, At(5)).expect("room");
    function.begin_build(2, At(6)).expect("it waits");
    function.end_build(2, Err("no such module".into()), At(7)).expect("it was being built");
    function.deploy(sent(3, 3), true, At(8)).expect("room");
    function.begin_build(3, At(9)).expect("it waits");
    function.cancel(3, At(10)).expect("it is being built");
    assert!(function.end_build(3, Ok(TREE), At(11)).is_none(), "it comes too late");
    assert_eq!((answering(&function), function.to_build()), (Some(1), None));
    for id in [2, 3] {
        assert_eq!(function.activate(id, At(12)).expect_err("refused").code, "deployment_not_ready");
        assert_eq!(function.cancel(id, At(12)).expect_err("refused").code, "deployment_over");
    }
    assert_eq!(function.activate(4, At(12)).expect_err("refused").code, "deployment_unknown");
}

#[test]
fn an_older_build_that_ends_later_does_not_take_over() {
    let mut function = made();
    function.deploy(sent(1, 1), true, At(2)).expect("room");
    function.deploy(sent(2, 2), true, At(2)).expect("room");
    for id in [1, 2] {
        function.begin_build(id, At(3)).expect("it waits");
    }
    function.end_build(2, Ok(TREE), At(4)).expect("it was being built");
    function.end_build(1, Ok(TREE), At(5)).expect("it was being built");
    assert_eq!(answering(&function), Some(2));
}

#[test]
fn one_that_is_not_to_answer_waits_until_it_is_asked() {
    let mut function = made();
    function.deploy(sent(1, 1), false, At(2)).expect("room");
    function.begin_build(1, At(3)).expect("it waits");
    function.end_build(1, Ok(TREE), At(4)).expect("it was being built");
    assert_eq!(answering(&function), None);
    function.activate(1, At(5)).expect("it is ready");
    assert_eq!(answering(&function), Some(1));
}

#[test]
fn what_was_built_before_in_the_same_way_is_ready_at_once() {
    let mut function = made();
    deployed(&mut function, 1, 1);
    assert_eq!(function.deploy(sent(2, 1), true, At(5)).expect("room").result, Ok(false));
    assert_eq!((answering(&function), function.to_build()), (Some(2), None));
    for other in [Plan { build: Some("make".into()), ..plan() }, Plan { runtime: "bun".into(), ..plan() }] {
        function.change(other, At(6)).expect("it is a plan");
        let id = function.deployments.len() as u128 + 1;
        assert_eq!(function.deploy(sent(id, 1), true, At(7)).expect("room").result, Ok(true), "built in another way");
    }
}

#[test]
fn a_build_that_a_servers_end_interrupted_is_built_again() {
    let mut function = made();
    function.deploy(sent(1, 1), true, At(2)).expect("room");
    function.deploy(sent(2, 2), true, At(2)).expect("room");
    let step = function.begin_build(1, At(3)).expect("it waits");
    let (_, kept) = step.rows.iter().find(|(key, _)| *key == row::function(OWNER, ID)).expect("it is kept");
    let mut again: Function = row::decode(kept.as_deref().expect("kept")).expect("a function");
    assert_eq!(again, function);
    assert_eq!(again.to_build().map(|one| one.id), Some(1));
    again.end_build(1, Ok(TREE), At(9)).expect("it is still to be built");
    assert_eq!(again.to_build().map(|one| one.id), Some(2));
}

#[test]
fn what_answers_or_is_being_built_is_not_deleted_and_there_is_an_end_to_what_is_kept() {
    let mut function = made();
    deployed(&mut function, 1, 1);
    function.deploy(sent(2, 2), true, At(5)).expect("room");
    for id in [1, 2] {
        assert_eq!(function.delete_deployment(id, At(6)).expect_err("refused").code, "deployment_in_use");
    }
    for id in 3..=DEPLOYMENTS_MAX as u128 {
        function.deploy(sent(id, 1), false, At(7)).expect("room");
    }
    assert_eq!(function.deploy(sent(1_000, 1), true, At(8)).expect_err("refused").code, "deployments_too_many");
    function.delete_deployment(3, At(9)).expect("nobody needs it");
    function.deploy(sent(1_000, 1), true, At(10)).expect("room again");
}

#[test]
fn instances_are_known_by_all_that_they_are_made_of() {
    let mut function = made();
    deployed(&mut function, 1, 1);
    let key = |function: &Function| {
        let (deployment, tree) = function.answering().expect("it answers");
        function.launch_key(deployment, &tree)
    };
    let mut keys = vec![key(&function)];
    function.change(Plan { name: "Another name".into(), slug: "other".into(), ..plan() }, At(5)).expect("a plan");
    assert_eq!(key(&function), keys[0], "what it is called is not what it is");
    let variable = Variable { sealed: Bytes(vec![1]), is_secret: false };
    function.set_variables(BTreeMap::from([("A".into(), variable)]), At(6)).expect("a variable");
    keys.push(key(&function));
    let mut limits = Limits::default();
    limits.set("memoryMb", 64).expect("within its bounds");
    function.change(Plan { limits, ..plan() }, At(7)).expect("a plan");
    keys.push(key(&function));
    function.change(Plan { limits, network: Network::Internet, ..plan() }, At(8)).expect("a plan");
    keys.push(key(&function));
    deployed(&mut function, 2, 2);
    keys.push(key(&function));
    let (deployment, tree): (Deployment, Tree) =
        function.answering().map(|(one, tree)| (one.clone(), tree)).expect("one");
    let (other, _) = Function::make(LaneId(10), OWNER, function.plan.clone(), 0, At(9)).expect("it is made");
    keys.push(other.launch_key(&deployment, &tree));
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 6);
}

#[test]
fn a_plan_and_its_variables_have_their_bounds() {
    let refused = |plan: Plan| Function::make(ID, OWNER, plan, 0, At(1)).expect_err("it is refused").code;
    for slug in ["", "-a", "a-", "A", "a_b", "a.b", "a/b", "ä", &"a".repeat(64)] {
        assert_eq!(refused(Plan { slug: slug.into(), ..plan() }), "function_malformed", "{slug}");
    }
    for path in ["", "/etc/passwd", "../a", "a/../b", "a//b", "a\nb", "./a", &"a".repeat(1_025)] {
        assert_eq!(refused(Plan { entrypoint: Some(path.into()), ..plan() }), "function_malformed", "{path:?}");
    }
    for name in [String::new(), "a".repeat(201)] {
        assert_eq!(refused(Plan { name, ..plan() }), "function_malformed");
    }
    let limits = Limits { instances_min: 5, ..Limits::default() };
    assert_eq!(refused(Plan { limits, ..plan() }), "function_malformed");
    assert_eq!(refused(Plan { build: Some("a".repeat(8_193)), ..plan() }), "function_malformed");
    let many = Function::make(ID, OWNER, plan(), 1_000, At(1)).expect_err("it is refused").code;
    assert_eq!(many, "functions_too_many");

    let mut function = made();
    let variable = Variable { sealed: Bytes(vec![1]), is_secret: true };
    let mut set = |key: &str| function.set_variables(BTreeMap::from([(key.to_owned(), variable.clone())]), At(2));
    for key in ["", "1A", "A-B", "A=B", "A\0", "EVERFOLD_SOCKET", "OPEN_RUNTIMES_SECRET", &"A".repeat(256)] {
        assert_eq!(set(key).expect_err("it is refused").code, "variable_malformed", "{key:?}");
    }
    for key in ["A", "_a1", "OPEN_RUNTIMES_HEADERS"] {
        set(key).expect(key);
    }
    let mut limits = Limits::default();
    for (name, default, bounds) in Limits::ALL {
        assert_eq!(limits.get(name), Some(*default));
        assert!(bounds.contains(default), "{name}");
        limits.set(name, *bounds.end()).expect(name);
        assert_eq!(limits.set(name, bounds.end() + 1).expect_err("it is refused").code, "function_limit", "{name}");
    }
    let unknown = limits.set("cpu", 1).expect_err("it is refused");
    assert!(unknown.detail.contains("cpuSeconds"), "{unknown:?}");
}

#[test]
fn a_function_that_is_given_away_or_deleted_leaves_nothing_where_it_was() {
    let mut function = made();
    deployed(&mut function, 1, 1);
    let given = function.give(LaneId(2), At(5));
    let kept =
        |step: &Step<()>, key: Vec<u8>| step.rows.iter().find(|(row, _)| *row == key).map(|(_, one)| one.is_some());
    assert_eq!(kept(&given, row::function(OWNER, ID)), Some(false));
    assert_eq!(kept(&given, row::function(LaneId(2), ID)), Some(true));
    let deleted = function.delete(At(6));
    assert_eq!(kept(&deleted, row::function(LaneId(2), ID)), Some(false));
    assert_eq!(kept(&deleted, row::function_owner(ID)), Some(false));
    assert_eq!(kept(&deleted, row::erased(ID)), Some(true));
    assert_eq!(deleted.records.len(), 1, "that it was deleted is recorded");
}

#[test]
fn a_failure_is_told_within_its_bound() {
    let mut function = made();
    function.deploy(sent(1, 1), true, At(2)).expect("room");
    function.begin_build(1, At(3)).expect("it waits");
    function.end_build(1, Err("ä".repeat(10_000)), At(4)).expect("it was being built");
    let Status::Failed(why) = &function.deployments[0].status else { panic!("it failed") };
    assert_eq!(why.len(), 8 << 10);
}

#[test]
fn no_more_executions_wait_than_may_and_each_that_is_over_makes_room() {
    use rules::{
        function::execution::{Asked, EXECUTIONS_WAITING_MAX, Execution, Executions, Outcome, Said, Standing, Trigger},
        record::Seq,
    };
    let mut executions = Executions::of(ID);
    let waiting = |id: u128| Execution {
        id,
        deployment: None,
        trigger: Trigger::Api,
        method: "GET".into(),
        path: "/".into(),
        standing: Standing::Waiting(At(5)),
        attempts: 0,
        created_at: At(1),
        is_async: true,
        scheduled_at: None,
        seq: Seq(0),
    };
    for id in 0..u128::from(EXECUTIONS_WAITING_MAX) {
        executions.ask(waiting(id), Asked::default()).result.expect("there is room");
    }
    let code = |step: Step<()>| step.result.map_err(|refusal| refusal.code);
    assert_eq!(code(executions.ask(waiting(1 << 70), Asked::default())), Err("executions_too_many"));
    let outcome = Outcome { status: Some(200), failure: None, duration_us: 1, is_cold: false };
    let over = Execution { standing: Standing::Over(outcome), ..waiting(7) };
    let step = executions.end(vec![(over, Said { logs: "said".into(), ..Said::default() }, Some(At(5)))]);
    assert!(step.rows.contains(&(row::execution_due(At(5), ID, 7), None)), "it waits no longer");
    assert_eq!(Executions::said_of(&step.records[0].body).map(|said| said.logs), Some("said".into()));
    assert_eq!(code(executions.ask(waiting(1 << 71), Asked::default())), Ok(()));
}
